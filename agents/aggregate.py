"""Steps 1 to 4 of a batch: decode, route, fold, retain. The hot path of the whole project is the loop in here."""

from collections.abc import Sequence
from typing import Any

import msgspec

from agents.deadletter import dead_letter, original_of
from agents.emit import publish_event, schedule
from agents.task import FoldError, Record, Task
from tables.event import FUTURE_MS, Outcome
from tables.fold import APPLIED, fold, fold_resent

NO_TIMESTAMP = -1  # of a record, on the wire: some producers set none


def aggregate(task: Task, records: Sequence[Record], now: int) -> None:  # noqa: C901 - the hot path: one loop, no calls
    """Fold a slice of records, in order. What a record holds never makes it raise; a defect of a domain does.

    Args:
        task: the task that owns the records' partition.
        records: consecutive records of the source partition, none below `task.position`.
        now: wall clock, ms since the epoch; events more than a day ahead of it, or before 1970, are
            INVALID.

    Raises:
        FoldError: when the domain's own code raised; the task's rows must not be used any more.
    """
    table, domain = task.table, task.domain
    decode, entity_of, at_of = task.decode, domain.entity, domain.at
    rows, outcomes, horizon, poison = table.rows, table.totals.outcomes, now + FUTURE_MS, task.poison
    per_event = domain.per_event
    for record in records:
        key = record.key
        if poison and record.offset in poison:
            outcomes[Outcome.INVALID] += 1
            dead_letter(task, record, Outcome.INVALID, poison[record.offset])
            continue
        # 1 decode
        try:
            value = record.value
            event = _meaning_of_null(task, key) if value is None else decode(value)
            at, entity = at_of(event), entity_of(event)
            if at is None:
                at = record.timestamp
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
            outcomes[Outcome.INVALID] += 1
            reason = "the value is empty" if record.value == b"" else _one_line(error)
            dead_letter(task, record, Outcome.INVALID, reason)
            continue
        except Exception as error:
            raise _defect(record, error) from error
        if not 0 <= at <= horizon:
            outcomes[Outcome.INVALID] += 1
            dead_letter(task, record, Outcome.INVALID, _wrong_time(at, own=at_of(event) is not None))
            continue
        # 2 route
        row = rows.get(key)  # type: ignore[arg-type] # null is nobody's key
        if row is None or row.entity != entity:
            wrong = misrouted(task, key, entity)
            if wrong:
                outcomes[Outcome.MISROUTED] += 1
                dead_letter(task, record, Outcome.MISROUTED, wrong)
                continue
        # 3 fold (4 retain happens where a row is inserted)
        try:
            outcome = (
                _fold_with_headers(task, record, event, at)
                if record.headers  # few records have any
                else fold(table, key, event, at, record.offset)  # type: ignore[arg-type] # routed: not null
            )
            outcomes[outcome] += 1
            if per_event is not None and outcome is APPLIED:
                publish_event(task, per_event, rows.get(key) or row)  # type: ignore[arg-type] # the one that went
        except Exception as error:
            raise _defect(record, error) from error
    if records:
        task.position = records[-1].offset + 1
        table.totals_changed = True
        schedule(task, now)


def _fold_with_headers(task: Task, record: Record, event: Any, at: int) -> Outcome:
    """Fold a routed record, one of whose headers may say that it is a resent dead letter."""
    key: bytes = record.key  # type: ignore[assignment] # routed: not null
    try:
        original = original_of(task, record)
    except ValueError as error:
        dead_letter(task, record, Outcome.INVALID, str(error))
        return Outcome.INVALID
    if original is None:
        return fold(task.table, key, event, at, record.offset)
    return fold_resent(task.table, key, event, at, record.offset, original)


def _wrong_time(at: int, *, own: bool) -> str:
    if not own and at == NO_TIMESTAMP:
        return "the event has no time, and its record no timestamp"
    return f"the {'event' if own else 'record'}'s time is {'before 1970' if at < 0 else 'more than a day ahead of now'}"


def _meaning_of_null(task: Task, key: bytes | None) -> Any:
    if task.domain.on_null is None or key is None:
        raise TypeError("the value is null")
    return task.domain.on_null(key.decode())


def misrouted(task: Task, key: bytes | None, entity: str) -> str:
    """Why a record does not belong here, or "" where it does. Its row and its partition must not part."""
    if key is None:
        return "the record has no key"
    if key != entity.encode("utf-8", "surrogatepass"):
        return f"the key is not the event's {task.domain.entity_name}"
    partition = task.partition_of(key)
    if partition != task.partition:
        return (
            f"the key belongs to partition {partition} by Kafka's default partitioner, not to {task.partition}; "
            "a producer on librdkafka needs partitioner=murmur2_random"
        )
    return ""


def _defect(record: Record, error: Exception) -> FoldError:
    return FoldError(record.offset, f"{type(error).__name__}: {_one_line(error)}")


def _one_line(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return " ".join(str(error).split()) or type(error).__name__
