"""An installation of all domains without a broker: one worker, whose partitions the real fold fills, and goes on to."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from aiokafka import TopicPartition

from agents.aggregate import aggregate
from agents.driver import Sent
from agents.emit import take
from agents.task import Task
from app.clock import now_ms
from app.engine.engine import Engine
from app.engine.owned import Owned, State
from app.engine.totals import TotalsReader
from app.settings import load
from app.topology import topic_name
from app.web.worker import Worker
from tables import DOMAINS
from tables.domain import Domain
from tables.table import Table
from tests.web.installation import Member

PARTITIONS = 2
SETTLED_MS = 60_000  # until whatever is debounced is published
Events = Iterable[tuple[str, Mapping[str, Any] | None]]


class Everything:
    """One worker, at a port, that owns all partitions of all domains."""

    def __init__(self, port: int) -> None:
        settings = load(bootstrap_servers="nowhere:9092", web_port=port, partitions=PARTITIONS)
        engine, totals = Engine(settings, DOMAINS), TotalsReader(settings, DOMAINS)
        engine.group = Member()
        self._tasks: dict[str, list[Task]] = {}
        for source, domain in engine.domains.items():
            for partition in range(PARTITIONS):
                owned = engine.owned[source, partition] = Owned(engine, domain, partition)
                table = Table(domain, partition, partitions=PARTITIONS)
                task = owned.task = Task(domain, partition, table, source, engine.partition_of)
                owned.state = State.LIVE
                self._tasks.setdefault(domain.name, []).append(task)
        totals.complete.set()
        self._sent: dict[TopicPartition, int] = defaultdict(int)
        self.worker = Worker(
            settings=settings,
            domains=DOMAINS,
            engine=engine,
            totals=totals,
            distribution=dict,
            lag_records=lambda _owned: 0,
        )

    def fold(self, domain: Domain, events: Events) -> None:
        """Fold some more events of a domain, and tell everybody what their partitions add up to now."""
        keyed = [(key.encode(), None if event is None else orjson.dumps(event)) for key, event in events]
        now = now_ms()
        for task in self._tasks[domain.name]:
            first = task.position
            own = [each for each in keyed if self.worker.engine.partition_of(each[0]) == task.partition]
            records = [Sent(first + number, key, value, [], now) for number, (key, value) in enumerate(own)]
            aggregate(task, records, now - SETTLED_MS)
            for record in take(task, now).outgoing:
                if record.role == "totals":
                    self._tell(domain, task.partition, record.key, record.value)

    def _tell(self, domain: Domain, partition: int, key: bytes | None, value: bytes | None) -> None:
        where = TopicPartition(topic_name(self.worker.settings, domain, "totals"), partition)
        self._sent[where] += 1
        self.worker.totals._take(where, Sent(self._sent[where], key or b"", value or b"", [], 0))
