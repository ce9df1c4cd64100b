"""What the rollups domain says of its input, in plain Python: nothing here comes from tables/ or agents/.

It keeps every accepted snapshot, and picks and rolls up anew for each answer, by the calendar.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.oracle.interface import Raw

Fields = dict[str, Any]
DAYS, WEEKS, INSTANCES = 400, 520, 200  # kept per instance, per instance, per environment
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
GRACE = timedelta(minutes=5)
WEEK = timedelta(days=7)


class Taken(NamedTuple):
    """An accepted snapshot."""

    at: datetime
    body: Fields


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**53


def _counts(value: Any, most: int) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= most
        and all(len(name) <= 64 and _count(count) for name, count in value.items())
    )


def _name(value: Any) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= 256)


def read(record: Raw) -> tuple[str, str, Taken] | None:
    """The environment, the instance and the snapshot that a record states; None where it is INVALID."""
    try:
        fields = json.loads(record.value or b"")
        env, instance = fields.get("env"), fields.get("instance_id")
        body = {name: fields[name] for name in ("totals", "by_status", "by_priority", "progress_distribution")}
        at = datetime.fromisoformat(fields["timestamp"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    cut = (at - EPOCH) // MILLISECOND
    progress = body["progress_distribution"]
    valid = (
        _name(env)
        and _name(instance)
        and 0 <= cut <= record.timestamp + 86_400_000
        and (_count(body["totals"]) or _counts(body["totals"], 16))
        and _counts(body["by_status"], 70)
        and _counts(body["by_priority"], 70)
        and isinstance(progress, list)
        and len(progress) == 10
        and all(map(_count, progress))
    )
    if not valid:
        return None
    if isinstance(body["totals"], int):
        body["totals"] = {"projects": body["totals"]}
    return env or "", instance or "", Taken(EPOCH + cut * MILLISECOND, body)


def week_of(day: date) -> tuple[int, int]:
    """The ISO year and week of a day."""
    return day.isocalendar()[:2]


def _week_name(week: tuple[int, int]) -> str:
    return f"{week[0]}-W{week[1]:02d}"


class Environment:
    """The snapshots of an environment."""

    def __init__(self) -> None:
        self.taken: dict[str, list[Taken]] = {}
        self.seen: set[tuple[str, datetime, str]] = set()
        self.newest = EPOCH

    def take(self, instance: str, snapshot: Taken) -> str:
        """How a snapshot ends."""
        same = (instance, snapshot.at, "" if instance else json.dumps(snapshot.body, sort_keys=True))
        if same in self.seen:
            return "duplicate"
        if self.is_closed(week_of(snapshot.at.date()), self.newest):
            return "late"
        self.seen.add(same)
        self.taken.setdefault(instance, []).append(snapshot)
        if len(self.taken) > INSTANCES:
            raise NotImplementedError("more instances than an environment keeps: this oracle knows nothing of that")
        self.newest = max(self.newest, snapshot.at)
        return "applied"

    def is_closed(self, week: tuple[int, int], now: datetime) -> bool:
        """Whether a week is over at a time: five minutes into the next one."""
        return now >= datetime.combine(date.fromisocalendar(*week, 1), datetime.min.time(), UTC) + WEEK + GRACE

    def picks(self, instance: str) -> dict[date, Taken]:
        """The first snapshot of every day, in the order of the days; of two at one time the one that came first."""
        days: dict[date, Taken] = {}
        for snapshot in self.taken[instance]:
            day = snapshot.at.date()
            if day not in days or snapshot.at < days[day].at:
                days[day] = snapshot
        return dict(sorted(days.items()))

    def weeks(self, instance: str) -> dict[tuple[int, int], dict[date, Taken]]:
        """The picks by week."""
        weeks: dict[tuple[int, int], dict[date, Taken]] = {}
        for day, pick in self.picks(instance).items():
            weeks.setdefault(week_of(day), {})[day] = pick
        return weeks


def day_shown(env: str, instance: str, day: date, pick: Taken) -> Fields:
    """The body of a pick."""
    stamp = f"{pick.at:%Y-%m-%dT%H:%M:%S}.{pick.at.microsecond // 1000:03d}Z"
    return {"env": env, "instance_id": instance, "day": day.isoformat(), "timestamp": stamp} | pick.body


def week_shown(env: str, instance: str, week: tuple[int, int], picks: dict[date, Taken], *, closed: bool) -> Fields:
    """The body of a rollup."""
    days = [date.fromisocalendar(*week, number) for number in range(1, 8)]
    bodies = [picks[day].body for day in days if day in picks]
    values: dict[str, list[int]] = {}
    for body in bodies:
        for name, value in body["totals"].items():
            values.setdefault(name, []).append(value)
    totals = {
        name: {"last": found[-1], "min": min(found), "max": max(found), "mean": _mean(sum(found), len(found))}
        for name, found in values.items()
    }
    progress = [sum(numbers) for numbers in zip(*(body["progress_distribution"] for body in bodies), strict=True)]
    return {
        "env": env,
        "instance_id": instance,
        "week": _week_name(week),
        "from": days[0].isoformat(),
        "to": days[-1].isoformat(),
        "closed": closed,
        "days": len(picks),
        "missing_days": [day.isoformat() for day in days if day not in picks],
        "totals": totals,
        "by_status": _histogram([body["by_status"] for body in bodies]),
        "by_priority": _histogram([body["by_priority"] for body in bodies]),
        "progress_distribution": {"sum": progress, "mean": [_mean(count, len(bodies)) for count in progress]},
    }


def _histogram(counts: list[dict[str, int]]) -> Fields:
    names = {name for one in counts for name in one}
    sums = {name: sum(one.get(name, 0) for one in counts) for name in names}
    return {"sum": sums, "mean": {name: _mean(sum_, len(counts)) for name, sum_ in sums.items()}}


def _mean(sum_: int, count: int) -> float:
    return float(round(Fraction(sum_, count), 2))


class RollupsOracle:
    """All environments."""

    def __init__(self) -> None:
        self.environments: dict[str, Environment] = {}
        self._outcomes: Counter[str] = Counter()

    def fold(self, record: Raw) -> None:
        """Take the next record of its partition in."""
        found = read(record)
        if found is None:
            self._outcomes["invalid"] += 1
            return
        env, instance, snapshot = found
        if record.key != env.encode():
            self._outcomes["misrouted"] += 1
            return
        self._outcomes[self.environments.setdefault(env, Environment()).take(instance, snapshot)] += 1

    def outcomes(self) -> Mapping[str, int]:
        """How the records ended."""
        return self._outcomes

    def stats(self, now: int) -> Mapping[bytes, Mapping[str, Any]]:
        """Picks and closed weeks, as the clock and the events have closed them; everything is folded by then."""
        days = {self._key(line, "day"): line for line in self.daily()}
        return days | {self._key(line, "week"): line for line in self.weekly(now) if line["closed"]}

    @staticmethod
    def _key(line: Fields, kind: str) -> bytes:
        instance = "".join({"%": "%25", "/": "%2F"}.get(character, character) for character in line["instance_id"])
        return f"{line['env']}/{instance}/{kind}/{line[kind]}".encode()

    def _instances(self) -> Iterator[tuple[str, str, Environment]]:
        for env, environment in self.environments.items():
            for instance in environment.taken:
                yield env, instance, environment

    def daily(self) -> list[Fields]:
        """The newest picks of every instance."""
        return [
            day_shown(env, instance, day, pick)
            for env, instance, environment in self._instances()
            for day, pick in list(environment.picks(instance).items())[-DAYS:]
        ]

    def weekly(self, now: int) -> list[Fields]:
        """The newest closed weeks of every instance, and the open ones."""
        lines = []
        for env, instance, environment in self._instances():
            by_now = max(environment.newest, EPOCH + now * MILLISECOND)
            weeks = environment.weeks(instance)
            closed = [week for week in weeks if environment.is_closed(week, by_now)][-WEEKS:]
            running = [week for week in weeks if not environment.is_closed(week, by_now)]
            lines += [week_shown(env, instance, week, weeks[week], closed=True) for week in closed]
            lines += [week_shown(env, instance, week, weeks[week], closed=False) for week in running]
        return lines

    def totals(self) -> Mapping[str, Any]:
        """How many environments, instances and picks there are; how many weeks is the clock's business, too."""
        return {
            "keys": sum(bool(environment.taken) for environment in self.environments.values()),
            "instances": sum(1 for _ in self._instances()),
            "days": len(self.daily()),
        }

    def answers(self, now: int) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """The first pages of both lists, of everything and of some environments."""
        for path, lines, kind in (("daily", self.daily(), "day"), ("weekly", self.weekly(now), "from")):
            # The newest first, then by environment and instance: text sorts by its bytes, and a stable sort goes last.
            lines.sort(key=lambda line: (line["env"], line["instance_id"]))
            lines.sort(key=lambda line: str(line[kind]), reverse=True)
            yield f"/rollups/{path}?per_page=100", {"total": len(lines), "results": lines[:100]}
            for env in sorted(self.environments)[:5]:
                own = [line for line in lines if line["env"] == env]
                query = urlencode({"env": env, "per_page": 100})
                yield f"/rollups/{path}?{query}", {"total": len(own), "results": own[:100]}
                day = own[len(own) // 2][kind]
                since = [line for line in own if line.get("to", line[kind]) >= day]
                yield f"/rollups/{path}?{query}&from={day}", {"total": len(since), "results": since[:100]}
