"""The one place where an event changes anything."""

from typing import Any

from tables.event import REMOVED, Outcome
from tables.resent import Original
from tables.row import HEAD, Row
from tables.table import Table

APPLIED = Outcome.APPLIED


def fold(table: Table, key: bytes, event: Any, at: int, offset: int) -> Outcome:
    """Fold one decoded, routed event into its row.

    Args:
        table: the partition of the table that the event belongs to.
        key: the record's key; `domain.entity(event)` encoded.
        event: an event of the table's domain.
        at: the event's time, ms since the epoch.
        offset: the record's offset in the source partition.

    A domain may say REMOVED: the event is applied, and the row goes; where there was none, nothing has happened.

    Returns:
        APPLIED, DUPLICATE or LATE. Unless APPLIED, nothing has changed (but the caller's count of outcomes).
    """
    domain, totals = table.domain, table.totals
    row = table.rows.get(key)
    if row is None:
        row = Row(table, domain.entity(event), domain.head())
        outcome = domain.reduce(row, event, at, totals)
        if outcome is not APPLIED:
            return Outcome.DUPLICATE if outcome is REMOVED else outcome
        table.insert(key, row)
    else:
        outcome = domain.reduce(row, event, at, totals)
        if outcome is not APPLIED:
            if outcome is REMOVED:
                table.remove(key)
                totals.at = max(totals.at, at)
                return APPLIED
            return outcome
        table.rows.move_to_end(key)
    # From here on spelled out rather than called: each call would cost as much as the whole line.
    head = row.head
    head.revision += 1
    head.offset = offset
    if at > head.at:
        head.at = at
        if at > totals.at:  # noqa: PLR1730
            totals.at = at
    if row.changed is None:
        row.touch()
    else:
        row.changed[HEAD] = None
    if head.pending and not row.scheduled:
        row.scheduled = True
        table.pending.append(row)
    return outcome


def fold_resent(table: Table, key: bytes, event: Any, at: int, offset: int, original: Original) -> Outcome:
    """Fold the event of a dead letter that was resent. It counts once, however often it is resent.

    It is recognised by its original alone: rules that go by a source's last sequence see `table.resent` and let it
    pass. Once its event is in the row (APPLIED, or by the domain's own rules a DUPLICATE) the original is remembered.

    Args:
        table: as for `fold`, like the other arguments.
        key: of the record, mended or not.
        event: of the record, mended or not.
        at: the event's time.
        offset: that of the resent record.
        original: the place of the record that became a dead letter.

    Returns:
        As `fold`; also LATE where originals as old as this one are forgotten.
    """
    known = table.originals.recognised(original)
    if known is not None:
        return known
    table.resent = True
    try:
        outcome = fold(table, key, event, at, offset)
    finally:
        table.resent = False
    if outcome in {APPLIED, Outcome.DUPLICATE}:
        table.originals.remember(original)
    return outcome
