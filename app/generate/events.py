"""A domain's events as records: what its generator makes, found by the domain's name."""

import importlib
from collections.abc import Iterator
from random import Random

import orjson

from app.failures import fail
from app.generate.poison import Record


def events_of(domain: str, random: Random, keys: int, start: int) -> Iterator[Record]:
    """A domain's events without faults, endless, in time order.

    Args:
        domain: its name.
        random: all chance comes from it.
        keys: of so many entities.
        start: time of the first event, ms since the epoch.

    Raises:
        ClickException: nobody has written a generator for the domain.
    """
    name = f"app.generate.{domain}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        fail(f"{domain} has no generator; write one: {name.replace('.', '/')}.py with events(random, keys, start)")
    for entity, event in module.events(random, keys, start):
        yield Record(entity.encode(), None if event is None else orjson.dumps(event))
