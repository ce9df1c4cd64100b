"""What would change, in the conditional, or has changed, in the past: for people and for scripts."""

from collections.abc import Iterator
from typing import Any

from app.history.shown import text
from app.repair.partition import Repaired
from app.repair.plan import Plan
from tables.domain import Domain
from tables.printable import printable

SHOWN_PROBLEMS = 5


def as_json(repaired: Repaired) -> dict[str, Any]:
    """One partition, for scripts."""
    plan, found = repaired.plan, repaired.found
    return {
        "partition": repaired.number,
        "executed": repaired.executed and not plan.empty,
        "position": plan.position,
        "records": None if repaired.made is None else repaired.made.records,
        "offset": {"before": plan.offsets[0], "after": plan.offsets[1]},
        "rows": {"before": _rows_before(plan), "by_totals": plan.told_rows, "after": plan.rows[1]},
        "totals": {name: {"before": before, "after": after} for name, before, after in _changed_totals(repaired)},
        "differing": plan.differing,
        "first": None if plan.first is None else plan.first.as_json(),
        "problems": [
            {"offset": found.offsets.get(problem.key), "key": text(problem.key), "reason": problem.reason}
            for problem in found.problems
        ],
        "written": {role: plan.written(role) for role in plan.records},
        "deleted": {role: plan.buried(role) for role in plan.records},
        "others": len(plan.others),
    }


def lines(domain: Domain, repaired: Repaired) -> Iterator[str]:
    """One partition, for people."""
    plan, done = repaired.plan, repaired.executed
    where = f"{domain.name}[{repaired.number}]"
    if plan.empty:
        nothing = "nothing had to change" if done else "nothing would change"
        yield f"{where}: {nothing}; {_number(plan.rows[0], 'row')}, as of source offset {plan.position:,}"
        return
    way = "emptied" if repaired.made is None else "made anew from its events"
    yield f"{where}: {'' if done else 'would be '}{way}; {_rows(plan, 'could' if done else 'can')}"
    yield from _source(repaired)
    yield from _problems(repaired)
    written, deleted = ("written", "deleted") if done else ("would be written", "would be deleted")
    for role in plan.records:
        if plan.records[role]:
            records, keys = _number(plan.written(role), "record"), _number(plan.buried(role), "key")
            yield f"  {role}: {records} {written}, {keys} {deleted}"
    if plan.others:
        nobody = f"that nobody {'had' if done else 'has'} written yet: {written}"
        yield f"  {_number(len(plan.others), 'dead letter or alert', 'dead letters and alerts')} {nobody}"
    for name, before, after in _changed_totals(repaired):
        known = "unknown" if plan.totals[0] is None else printable(str(before))
        yield f"  totals: {name} {known} before, {printable(str(after))} after"
    if plan.first is not None:
        verb = "differed" if done else "differs" if plan.differing == 1 else "differ"
        yield f"  {_number(plan.differing, 'cell')} {verb}. The first:"
        yield from (f"    {line}" for line in plan.first.as_lines(domain.entity_name))


def _number(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _rows_before(plan: Plan) -> int | None:
    """How many could be read; None where that is none, and nobody knows whether there were any."""
    return None if plan.told_rows is None and not plan.rows[0] else plan.rows[0]


def _rows(plan: Plan, can: str) -> str:
    read, after = plan.rows
    if plan.told_rows is None:
        before = f"{_number(read, 'row') if read else 'unknown how many rows'} before (its totals are unknown)"
    elif plan.told_rows != read:
        before = f"{_number(plan.told_rows, 'row')} before by its totals, of which {read:,} {can} be read"
        if plan.told_rows < read:
            before = f"{_number(read, 'row')} before, {plan.told_rows:,} by its totals"
    else:
        before = f"{_number(read, 'row')} before"
    return f"{before}, {after:,} after"


def _source(repaired: Repaired) -> Iterator[str]:
    """Where a worker goes on, and what is noted of the source: it may be all that changes."""
    plan, done = repaired.plan, repaired.executed
    before, after = plan.offsets
    goes_on = f"a worker {'goes' if done else 'would go'} on at source offset {after:,}"
    if before == after:
        yield f"  {goes_on}, where the group's offset {'was' if done else 'is'}"
    else:
        yield f"  {goes_on}; the group's offset: {'none' if before is None else f'{before:,}'} before, {after:,} after"
    if repaired.found.foreign:
        noted = "is noted now" if done else "would be noted"
        yield f"  the source is another topic than the one that the rows came from; that {noted}"
    if not (plan.others or any(plan.records.values())):
        yield f"  every row {'stays' if done else 'would stay'} as it {'was' if done else 'is'}"


def _problems(repaired: Repaired) -> Iterator[str]:
    found = repaired.found
    cannot = "could not be used" if repaired.executed else "cannot be used"
    for problem in found.problems[:SHOWN_PROBLEMS]:
        offset = found.offsets.get(problem.key)
        at = "" if offset is None else f"offset {offset}: "
        yield f"  {cannot}: {at}key {printable(str(text(problem.key)))}: {printable(problem.reason)}"
    if len(found.problems) > SHOWN_PROBLEMS:
        yield f"  and {len(found.problems) - SHOWN_PROBLEMS:,} more of that kind"


def _changed_totals(repaired: Repaired) -> Iterator[tuple[str, Any, Any]]:
    """Name, before, after; all of them where nobody knows what was before."""
    told, after = repaired.plan.totals
    before = told or {}
    for name in after:
        if told is None or before.get(name) != after[name]:
            yield name, before.get(name), after[name]
