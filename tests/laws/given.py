"""What the laws need to know about a domain's input: one module per domain beside this one, one entry in `GIVEN`."""

from typing import Any, NamedTuple

from hypothesis.strategies import SearchStrategy

Fields = dict[str, Any]


class Given(NamedTuple):
    """The input of one domain.

    Attributes:
        events: valid events with their entities, few enough values that they meet each other; a value of None is a
            record without one.
        spoilt: fields that, put over those of a valid event, make it INVALID.
        moment: fields of snapshots that speak of the moment of their publication, not of the row.
        recognised: whether an event that comes again much later is recognised; if not, only one that is repeated at
            once is (an upsert without a version).
    """

    events: SearchStrategy[tuple[str, Fields | None]]
    spoilt: SearchStrategy[Fields]
    moment: tuple[str, ...] = ()
    recognised: bool = True
