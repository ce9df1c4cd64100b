"""What would change, or has changed: for people and for scripts."""

from collections.abc import Iterator
from typing import Any

from app.history.shown import text
from app.repair.found import Found
from app.repair.partition import Repaired
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
        "rows": {"before": plan.rows[0], "after": plan.rows[1]},
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
    plan = repaired.plan
    where = f"{domain.name}[{repaired.number}]"
    if plan.empty:
        yield f"{where}: nothing to change; {plan.rows[0]:,} rows, as of source offset {plan.position:,}"
        return
    yield (f"{where}: {plan.rows[0]:,} rows before, {plan.rows[1]:,} after; goes on at source offset {plan.position:,}")
    yield from _problems(repaired.found)
    for role in plan.records:
        if plan.records[role]:
            yield f"  {role}: {plan.written(role):,} records to write, {plan.buried(role):,} keys to delete"
    if plan.others:
        yield f"  {len(plan.others):,} dead letters and alerts that nobody has written yet"
    for name, before, after in _changed_totals(repaired):
        yield f"  totals: {name} {printable(str(before))} before, {printable(str(after))} after"
    if plan.first is not None:
        yield f"  {plan.differing:,} cells differ. The first:"
        yield from (f"    {line}" for line in plan.first.as_lines(domain.entity_name))


def _problems(found: Found) -> Iterator[str]:
    for problem in found.problems[:SHOWN_PROBLEMS]:
        offset = found.offsets.get(problem.key)
        at = "" if offset is None else f"offset {offset}: "
        yield f"  {at}key {printable(str(text(problem.key)))}: {printable(problem.reason)}"
    if len(found.problems) > SHOWN_PROBLEMS:
        yield f"  and {len(found.problems) - SHOWN_PROBLEMS:,} more of that kind"


def _changed_totals(repaired: Repaired) -> Iterator[tuple[str, Any, Any]]:
    before, after = repaired.plan.totals
    for name in after:
        if before.get(name) != after[name]:
            yield name, before.get(name), after[name]
