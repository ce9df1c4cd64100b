"""Short ways to say what a test sends."""

import json
from collections.abc import Iterable
from itertools import count
from typing import Any

from agents.driver import NOW, Driver
from tables.event import iso
from tables.players import PLAYERS

Fields = dict[str, Any]
_sequence = count()


def event(type_: str = "kill", **over: Any) -> Fields:
    """A valid event of ann's, with a sequence that has not been there."""
    fields: Fields = {
        "type": type_,
        "match": "m",
        "seq": next(_sequence),
        "player": "ann",
        "match_type": "normal",
        "at": iso(NOW),
    }
    return fields | ({"damage": 10.0} if type_ == "damage" else {}) | over


def tell(driver: Driver, *events: Fields) -> Driver:
    """Send events under their players' keys, and fold them."""
    for fields in events:
        driver.send(fields["player"].encode(), json.dumps(fields).encode())
    driver.fold()
    return driver


def told(events: Iterable[Fields], key_limit: int | None = None) -> Driver:
    """A driver of players that has folded these events."""
    return tell(Driver(PLAYERS, key_limit=key_limit), *events)
