"""The limits of a worker and of the commands, with their values as the code has them."""

from agents import deadletter, emit
from app import main
from app.engine import fetch, members, owned, producer, transport
from app.ingest import array, lines, pubg, smartpool
from app.web import connections, live, parameters, scans, security
from tables import DOMAINS, event

KIB, MIB = 1024, 1024 * 1024

LIMITS: tuple[tuple[str, str, str, str], ...] = (
    ("records of a fetch", f"{main.MAX_POLL_RECORDS:,}", "the rest waits in the client", ""),
    (
        "bytes of a fetch, per partition", f"{main.FETCH_BYTES // MIB} MiB",
        "a larger batch comes alone; a packed one is unpacked whole, whatever comes out", "",
    ),
    ("fetches between the client and an agent", f"{main.QUEUED_FETCHES} per domain", "fetching waits", "`lag_records`"),
    ("records folded without a pause", f"{transport.SLICE_RECORDS:,}", "views have their turn", ""),
    (
        "records folded and not committed, per partition", f"{owned.UNCOMMITTED_RECORDS:,}",
        "the partition is not fetched until its commit", "`lag_records`",
    ),
    (
        "changed rows, tombstones and outgoing records not committed, per partition", f"{owned.UNCOMMITTED_CHANGES:,}",
        "likewise", "`lag_records`",
    ),
    (
        "bytes of dead letters not committed, per partition", f"{owned.UNCOMMITTED_LETTER_BYTES // MIB} MiB",
        "likewise", "`lag_records`",
    ),
    ("bytes of a batch that is written", f"{producer.MAX_BATCH_BYTES // KIB} KiB", "another batch", ""),
    (
        "bytes of a dead letter", f"{deadletter.SIZE_LIMIT // MIB} MiB",
        f"the key is cut to {deadletter.KEPT_KEY // KIB} KiB, the value to {deadletter.KEPT_VALUE // KIB} KiB",
        "header `tidemark-truncated`",
    ),
    ("characters of a dead letter's reason", f"{deadletter.REASON_LIMIT}", "cut", ""),
    (
        "rows of a table", ", ".join(f"{domain.name} {domain.key_limit or 'none'}" for domain in DOMAINS),
        "the least recently updated row is buried", "`domains[].buried`",
    ),
    ("characters of a name in an event", f"{event.NAME_LENGTH}", "INVALID", "`domains[].outcomes.invalid`"),
    ("rows published by a tick, where time changes them", f"{emit.DUE_ROWS}", "the next tick comes at once", ""),
    (
        "bytes of a fetch of a restore", f"{fetch.RESTORE_FETCH_BYTES // MIB} MiB", "the next fetch",
        "`partitions[].restores`",
    ),
    (
        "restores for a record that the domain's code raises at", "1 each", "it becomes a dead letter",
        "`partitions[].defects`",
    ),
    (
        "seconds between attempts at a partition", f"{owned.BACKOFF_SECONDS[-1]:g}", "the last pause repeats",
        "`partitions[].error`",
    ),
    ("bytes of an assignment", f"{members.UNPACKED_BYTES // MIB} MiB", "Kafka's own part of it counts", "log"),
    ("connections of clients", f"{connections.CONNECTIONS}", "closed at once", "`clients.connections_refused`"),
    ("seconds without a whole request", f"{connections.IDLE_SECONDS:g}", "closed", "`clients.idle_closed`"),
    ("listeners", f"{live.LISTENERS}", "503", "`clients.listeners_refused`"),
    (
        "seconds for a listener to take what was sent", f"{live.SEND_SECONDS:g}", "dropped",
        "`clients.listeners_dropped`",
    ),
    ("bytes kept for a listener", f"2 x {live.SEND_BUFFER_BYTES // KIB} KiB", "it gets the newest state later", ""),
    ("bytes of a request line or a header", "8,190", "400", ""),
    ("characters of a query", f"{security.QUERY_LIMIT:,}", "414", ""),
    ("bytes of a request's body", f"{security.BODY_LIMIT:,}, within {security.BODY_SECONDS:g} s", "413, 408", ""),
    ("questions about all rows at a time", f"{scans.SCANS}", "503", ""),
    ("lines that a page reaches", f"{parameters.REACH:,}", "400", ""),
    ("bytes of a line, `ingest events`", f"{lines.LINE_LIMIT:,}", "refused by number", "the report"),
    ("characters of an element, `ingest pubg`", f"{array.ELEMENT_LIMIT // MIB} Mi", "exit code 1, with the place", ""),
    ("events before the match is named, `ingest pubg`", f"{pubg.HELD:,}", "likewise", ""),
    ("bytes of a file, `ingest smartpool`", f"{smartpool.SIZE_LIMIT // MIB} MiB", "likewise", ""),
)  # fmt: skip


def limits_table() -> str:
    """Every limit, its value, what happens beyond it, and what counts it."""
    lines_ = ["| Limit | Value | Beyond it | Counted by |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines_, *(f"| {' | '.join(limit)} |" for limit in LIMITS)]) + "\n"
