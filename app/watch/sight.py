"""A domain's numbers at one moment, and how fast they move."""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

from app.clock import now_ms
from app.engine.totals import TotalsReader
from tables.domain import Domain
from tables.event import OUTCOMES, iso
from tables.views import Asked, TopView

RATE_SECONDS = 5.0  # the rate is the mean over the last so many: commits come several times a second


class First(NamedTuple):
    """The first entry of a list of the best; `value` as the domain's view shows it, where one does."""

    entity: str
    value: Any


class Sight(NamedTuple):
    """What is known of a domain at one moment. `rate`: records per second; None before two looks."""

    domain: str
    keys: int
    consumed: int
    outcomes: dict[str, int]
    rate: float | None
    at: int
    firsts: dict[str, First]

    def as_json(self) -> dict[str, Any]:
        """For scripts: `at` is ISO 8601, None where nothing was folded; `top` is list -> its first entry."""
        return {
            "domain": self.domain,
            "keys": self.keys,
            "consumed": self.consumed,
            "outcomes": self.outcomes,
            "rate": self.rate,
            "at": iso(self.at) if self.at else None,
            "top": {name: first._asdict() for name, first in self.firsts.items()},
        }


class Watched:
    """One domain, looked at again and again."""

    def __init__(self, domain: Domain, totals: TotalsReader, clock: Callable[[], int] = now_ms) -> None:
        self._domain = domain
        self._totals = totals
        self._clock = clock
        self._shown = _shown_values(domain)
        self._seen: deque[tuple[float, int]] = deque()  # (seconds, consumed), the newest last

    def look(self) -> Sight:
        """The numbers as of the last commits that have been read."""
        totals = self._totals.totals(self._domain)
        consumed = sum(totals.outcomes)
        return Sight(
            self._domain.name,
            totals.keys,
            consumed,
            dict(zip(OUTCOMES, totals.outcomes, strict=True)),
            self._rate(consumed),
            totals.at,
            dict(self._firsts()),
        )

    def _rate(self, consumed: int) -> float | None:
        now, seen = self._clock() / 1000, self._seen
        seen.append((now, consumed))
        while len(seen) > 2 and seen[1][0] <= now - RATE_SECONDS:  # noqa: PLR2004 - a difference takes two
            seen.popleft()
        since, before = seen[0]
        return round((consumed - before) / (now - since), 1) if now > since else None

    def _firsts(self) -> Iterator[tuple[str, First]]:
        for top in self._domain.tops:
            best = self._totals.top(self._domain, top.name)
            if best:
                entity, value = best[0]
                shown = self._shown.get(top.name)
                yield top.name, First(entity, value if shown is None else shown(value))


def _shown_values(domain: Domain) -> dict[str, Callable[[int], Any]]:
    """List of the best -> how the domain's view shows its integers."""
    found: dict[str, Callable[[int], Any]] = {}
    for view in domain.views:
        if not isinstance(view, TopView):
            continue
        allowed = [parameter.allowed or (parameter.default,) for parameter in view.parameters]
        for values in product(*allowed):
            asked = dict(zip((parameter.name for parameter in view.parameters), values, strict=True))
            found[view.name(asked)] = _bound(view, asked)
    return found


def _bound(view: TopView, asked: Asked) -> Callable[[int], Any]:
    return lambda raw: view.value(raw, asked)
