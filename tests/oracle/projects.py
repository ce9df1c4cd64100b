"""What the projects domain says of its input, in plain Python: nothing here comes from tables/ or agents/.

It keeps the facts of every project as they were sent and counts them anew for each answer.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from tests.oracle.interface import Raw

Fields = dict[str, Any]
NAMES = 64  # that a partition tells apart; further ones are Other
OPTIONAL: Fields = {"customer_id": None, "active": True, "started_at": None, "finished_at": None}
ASKED = 40  # projects whose views are asked for
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Known(NamedTuple):
    """A living project."""

    facts: Fields
    partition: int
    status: str  # under which it counts
    priority: str
    updated: int


def _text(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and least <= len(value) <= most


def _progress(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e9 <= value <= 1e9


def _moment(value: Any) -> bool:
    try:
        return value is None or (isinstance(value, str) and 1970 <= _utc(value).year <= 9999)
    except (ValueError, OverflowError):
        return False


RULES: dict[str, Callable[[Any], bool]] = {
    "project_id": _text(1, 256),
    "name": _text(0, 256),
    "status": _text(1, 64),
    "priority": _text(1, 64),
    "customer_id": lambda value: value is None or _text(0, 256)(value),
    "active": lambda value: isinstance(value, bool),
    "progress": _progress,
    "started_at": _moment,
    "finished_at": _moment,
}


def _utc(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return time.astimezone(UTC)


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"


def read(record: Raw) -> Fields | None:
    """The facts that a record states (none for a deletion, but the id); None where it is INVALID."""
    try:
        if record.value is None:
            fields: Any = {"type": "deleted", "project_id": (record.key or b"").decode()}
        else:
            fields = json.loads(record.value)
        kind = fields["type"]
        names = {"upserted": tuple(RULES), "deleted": ("project_id",)}[kind]
        facts = {name: fields[name] if name in fields else OPTIONAL[name] for name in names}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not all(RULES[name](value) for name, value in facts.items()):
        return None
    for name in ("started_at", "finished_at"):
        if facts.get(name) is not None:
            facts[name] = _shown(_utc(facts[name]))
    return facts


class ProjectsOracle:
    """All projects."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self._counted: dict[tuple[int, str], Counter[str]] = {}
        self._outcomes: Counter[str] = Counter()

    def fold(self, record: Raw) -> None:
        """Take the next record of its partition in."""
        facts = read(record)
        if facts is None:
            self._outcomes["invalid"] += 1
        elif record.key != facts["project_id"].encode():
            self._outcomes["misrouted"] += 1
        else:
            self._outcomes["applied" if self._told(facts, record) else "duplicate"] += 1

    def _told(self, facts: Fields, record: Raw) -> bool:
        name = facts["project_id"]
        before = self.known.get(name)
        if before is not None and before.facts == facts:
            return False
        if before is not None:
            for kind, counted in (("status", before.status), ("priority", before.priority)):
                self._counts(record, kind)[counted] -= 1
            del self.known[name]
        elif len(facts) == 1:
            return False
        if len(facts) > 1:
            status, priority = (self._name(record, kind, facts[kind]) for kind in ("status", "priority"))
            updated = max(record.timestamp, before.updated if before is not None else 0)
            self.known[name] = Known(facts, record.partition, status, priority, updated)
        return True

    def _counts(self, record: Raw, kind: str) -> Counter[str]:
        return self._counted.setdefault((record.partition, kind), Counter())

    def _name(self, record: Raw, kind: str, name: str) -> str:
        counts = self._counts(record, kind)
        there = {known for known, count in counts.items() if count and known != "Other"}
        counted = name if name in there or len(there) < NAMES else "Other"
        counts[counted] += 1
        return counted

    def outcomes(self) -> Mapping[str, int]:
        """How the records ended."""
        return self._outcomes

    def shown(self, name: str) -> Fields:
        """A project."""
        known = self.known[name]
        return known.facts | {"updated_at": _shown(EPOCH + timedelta(milliseconds=known.updated))}

    def stats(self, _now: int) -> Mapping[bytes, Mapping[str, Any]]:
        """Every living project."""
        return {name.encode(): self.shown(name) for name in self.known}

    def totals(self) -> Mapping[str, Any]:
        """The counts of everything."""
        counted = self.counts()
        histograms = {name: counted[name] for name in ("by_status", "by_priority", "progress_distribution")}
        return {"keys": counted["totals"]["projects"], "active": counted["totals"]["active"]} | histograms

    def counts(self, **wanted: Any) -> Fields:
        """The counts of the projects whose facts are the wanted ones: by their own names, if any are wanted."""
        chosen = self.chosen(**wanted)
        statuses = (known.facts["status"] if wanted else known.status for known in chosen)
        priorities = (known.facts["priority"] if wanted else known.priority for known in chosen)
        bins = [0] * 10
        for known in chosen:
            progress = known.facts["progress"]
            bins[0 if progress < 0 else 9 if progress >= 100 else int(progress / 10)] += 1
        return {
            "totals": {"projects": len(chosen), "active": sum(known.facts["active"] for known in chosen)},
            "by_status": dict(Counter(statuses)),
            "by_priority": dict(Counter(priorities)),
            "progress_distribution": bins,
        }

    def chosen(self, **wanted: Any) -> list[Known]:
        """The projects whose facts are the wanted ones."""
        return [k for k in self.known.values() if all(k.facts[name] == value for name, value in wanted.items())]

    def answers(self, _now: int) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """Counts with and without filters, what the filters take, some projects, lists in every order."""
        yield "/stats", self.counts()
        statuses = sorted({known.facts["status"] for known in self.known.values()})
        for status in statuses[:8]:
            yield f"/stats?{urlencode({'status': status})}", self.counts(status=status)
            yield f"/stats?{urlencode({'status': status})}&active=true", self.counts(status=status, active=True)
        customer = min((k.facts["customer_id"] for k in self.known.values() if k.facts["customer_id"]), default="none")
        yield f"/stats?{urlencode({'customer_id': customer})}", self.counts(customer_id=customer)
        ranked = sorted(self.counts()["by_status"].items(), key=lambda item: (-item[1], item[0]))
        yield "/status-meta", {"statuses": [{"name": name, "projects": count} for name, count in ranked]}
        for name in sorted(self.known)[:ASKED]:
            yield f"/projects/{quote(name, safe='')}", self.shown(name)
        for sort in ("updated", "name", "priority", "status", "progress"):
            for direction in ("asc", "desc"):
                total = len(self.known)
                results = [self.shown(name) for name in self._sorted(sort, down=direction == "desc")[20:40]]
                path = f"/projects?sort={sort}&direction={direction}&page=2&per_page=20"
                yield path, {"total": total, "results": results}
        few = self._sorted("name", down=False, customer_id=customer)
        yield (
            f"/projects?{urlencode({'customer_id': customer, 'sort': 'name', 'direction': 'asc', 'per_page': 100})}",
            {"total": len(few), "results": [self.shown(name) for name in few[:100]]},
        )

    def _sorted(self, sort: str, *, down: bool, **wanted: Any) -> list[str]:
        def value(known: Known) -> Any:
            fact = known.updated if sort == "updated" else known.facts[sort]
            return fact.casefold() if isinstance(fact, str) else fact

        # Stable: equal ones stay in the order of their ids, downwards, too.
        by_id = sorted(self.chosen(**wanted), key=lambda known: str(known.facts["project_id"]))
        return [known.facts["project_id"] for known in sorted(by_id, key=value, reverse=down)]
