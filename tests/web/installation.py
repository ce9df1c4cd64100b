"""An installation without a broker: real engines, whose partitions the real fold fills from events in memory."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiokafka import TopicPartition
from pydantic import SecretStr

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
from tables.domain import Domain
from tables.event import iso
from tables.table import Table
from tests.web.declared import DECLARED

HOSTILE = (
    'a/b ü"<script>',
    "<img src=x onerror=alert(1)>",
    "100%2Fpercent",
    "?search=&x",
    "日本",
    "a b+c",
    "x\ny",
    "%00",
)
PLAIN = ("Ann", "anna", "ANNABEL", "Bob", "bea", "Cid", "Dan", "Eve")
NAMES = (*PLAIN, *HOSTILE)


@dataclass
class Member:
    """The group's member, as far as the engine asks: of a generation, with nothing committed."""

    generation: int = 1
    silent_seconds: float = 0.0

    async def committed_offset(self, partition: TopicPartition) -> int | None:  # noqa: ARG002 - the engine's protocol
        """Nothing was ever committed."""
        return None

    async def is_member(self) -> bool:
        """Still one."""
        return True


def events() -> Iterable[tuple[str, dict[str, Any]]]:
    """Some fighting, today: who comes earlier in NAMES kills and hits more."""
    at = iso(now_ms() - 1_000)
    for place, player in enumerate(NAMES):
        common = {"player": player, "match_type": "competitive" if place % 2 else "official", "at": at}
        for number in range(40 - place):
            each = common | {
                "match": f"match {place}",
                "seq": 2 * number,
                "weapon": "WeapHK416_C",
                "reason": "HeadShot",
            }
            yield player, each | {"type": "damage", "damage": 12.5}
            yield player, each | {"type": "kill", "seq": 2 * number + 1, "weapon": "WeapKar98k_C", "distance_cm": 2_500}


@dataclass
class Installation:
    """Workers that share partitions. `distribution` is what Faust's assignor would tell each of them."""

    domain: Domain = DECLARED
    token: str = ""
    distribution: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def worker(self, port: int, owns: Iterable[int] = range(4), *, token: str | None = None) -> Worker:
        """A worker at a port, with all the rows of its partitions and everybody's totals."""
        settings = load(
            bootstrap_servers="nowhere:9092", web_port=port, web_token=SecretStr(self.token if token is None else token)
        )
        engine = Engine(settings, [self.domain])
        engine.group = Member()
        totals = TotalsReader(settings, [self.domain])
        for partition, records in self._records(engine).items():
            owned = self._owned(engine, partition, records)
            commit = take(self._task(owned), now_ms())
            for number, record in enumerate(commit.outgoing):
                if record.role == "totals":
                    where = TopicPartition(topic_name(settings, self.domain, "totals"), partition)
                    totals._take(where, Sent(number, record.key or b"", record.value or b"", [], 0))
            if partition in set(owns):
                engine.owned[owned.source, partition] = owned
        totals.complete.set()
        changelog = topic_name(settings, self.domain, "changelog")
        self.distribution[settings.advertised_url] = {changelog: list(owns)}
        return Worker(
            settings=settings,
            domains=(self.domain,),
            engine=engine,
            totals=totals,
            distribution=lambda: self.distribution,
            lag_records=lambda _owned: 0,
        )

    def _records(self, engine: Engine) -> dict[int, list[Sent]]:
        sent: dict[int, list[Sent]] = defaultdict(list)
        for player, event in events():
            partition = engine.partition_of(player.encode())
            sent[partition].append(Sent(len(sent[partition]), player.encode(), orjson.dumps(event), [], 0))
        return sent

    def _owned(self, engine: Engine, partition: int, records: list[Sent]) -> Owned:
        owned = Owned(engine, self.domain, partition)
        owned.task = Task(
            self.domain, partition, Table(self.domain, partition, partitions=4), owned.source, engine.partition_of
        )
        aggregate(owned.task, records, now_ms())
        owned.state = State.LIVE
        return owned

    @staticmethod
    def _task(owned: Owned) -> Task:
        assert owned.task is not None
        return owned.task
