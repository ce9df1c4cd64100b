"""Options of a domain: the few numbers and names that whoever runs it may set, declared beside what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Option:
    """One option. The environment sets it; the fold reads it as `row.table.options[name]`.

    Attributes:
        name: in lower case; `worker_history_limit` is set by `TIDEMARK_WORKER_HISTORY_LIMIT`.
        default: its value where nobody sets it; also its type: int, float or str.
        about: one sentence, for the docs and for the error of a wrong value.
        least: the smallest value that is allowed.
        most: the greatest one; of a text, its length.
        warn_below: a value below it is allowed, and said at start.
        variable: an environment variable of another name, where one is customary.
    """

    name: str
    default: int | float | str
    about: str
    least: float | None = None
    most: float | None = None
    warn_below: float | None = None
    variable: str = ""


Options = Mapping[str, Any]
"""The values of a domain's options by name."""
