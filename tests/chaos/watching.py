"""I4: what views answer while faults happen. Asked all the time, judged afterwards.

An answer names the partition and the offset of the last event that it shows. So it can be judged: the input of that
entity, folded by the oracle up to exactly this offset, has to give the same numbers. And it must not be old: whatever
was durable (published with the totals) before it was asked has to be in it.
"""

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition

from app.settings import Settings
from app.topology import topic_name
from tables.players import PLAYERS
from tests.chaos.checker import BrokenError, Verdict, expect
from tests.chaos.oracle import PlayersOracle
from tests.chaos.process import wait_for
from tests.oracle.difference import difference
from tests.oracle.interface import Raw

ASKERS = 4  # so that some question is under way when a worker that was stopped wakes
PAUSE_SECONDS = 0.1  # of each of them between two questions: enough to meet every fault, too little to be a load
ANSWER_SECONDS = 5.0
FOLLOWS_SECONDS = 60.0
# Questions without an answer: some, or one in so many. A worker that is stopped for 20 s takes 4 from each asker, and
# in a short run there are few others meanwhile.
UNANSWERED, UNANSWERED_SHARE = 4 * ASKERS, 10


class Answer(NamedTuple):
    """What a view said of a player, and what had been durable when it was asked."""

    player: str
    durable: dict[int, int]
    """Partition -> source offset up to which everything was published before the question."""
    seconds: float
    status: int
    body: dict[str, Any]


class Watcher:
    """Asks for players, one after the other, at whatever workers there are.

    Attributes:
        answers: what was said.
        silent: how often nobody listened, or an answer broke off: the worker was dead.
        unanswered: how often there was no answer in time: the worker was stopped.
    """

    def __init__(self, settings: Settings, players: Sequence[str], ports: Callable[[], Sequence[int]]) -> None:
        self._settings = settings
        self._players = players
        self._ports = ports
        self._durable: dict[int, int] = {}
        self._rng = random.Random(len(players))
        self._end = threading.Event()
        self._follows = threading.Event()
        self.answers: list[Answer] = []
        self.silent = 0
        self.unanswered = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch as long as the block runs; a failure of the watcher's own is raised at its end."""
        failed: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self._run())
            except BaseException as error:  # noqa: BLE001 - told to the thread that waits
                failed.append(error)

        thread = threading.Thread(target=run, name="watcher")
        thread.start()
        try:
            wait_for(lambda: self._follows.is_set() or bool(failed), FOLLOWS_SECONDS)  # before the first fault
            yield
        finally:
            self._end.set()
            thread.join()
        if failed:
            raise failed[0]

    async def _run(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._settings.kafka(), isolation_level="read_committed", auto_offset_reset="earliest",
            enable_auto_commit=False,
        )  # fmt: skip
        await consumer.start()
        following = None
        try:
            topic = topic_name(self._settings, PLAYERS, "totals")
            consumer.assign([TopicPartition(topic, number) for number in range(self._settings.partitions)])
            following = asyncio.create_task(self._follow(consumer))
            self._follows.set()
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_SECONDS)) as session:
                await asyncio.gather(*(self._keep_asking(session) for _ in range(ASKERS)))
        finally:
            if following is not None:
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following
            await consumer.stop()

    async def _keep_asking(self, session: aiohttp.ClientSession) -> None:
        while not self._end.is_set():
            await self._ask(session)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            if record.value is not None and record.key == b"%d" % record.partition:  # top lists stand there, too
                self._durable[record.partition] = json.loads(record.value)["position"]

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        ports = self._ports()
        if not ports:
            return
        player = self._rng.choice(self._players)
        url = f"http://127.0.0.1:{self._rng.choice(ports)}/api/v1/players/{quote(player, safe='')}/enhanced-stats"
        durable, asked_at = dict(self._durable), time.monotonic()
        try:
            async with session.get(url) as response:
                body = await response.json()
        except TimeoutError:
            self.unanswered += 1
            return
        except (aiohttp.ClientError, OSError):
            self.silent += 1
            return
        self.answers.append(Answer(player, durable, time.monotonic() - asked_at, response.status, body))

    def judge(self, records: Iterable[Raw], verdict: Verdict) -> None:
        """Compare every answer with the prefix of the input that it names.

        Args:
            records: the input topic.
            verdict: told how many answers were compared, and how many were refused.

        Raises:
            BrokenError: naming the player, the offset, and both values; or that views do not answer.
        """
        if self.unanswered > max(UNANSWERED, len(self.answers) / UNANSWERED_SHARE):
            raise BrokenError(f"I4 views: {self.unanswered} were not answered, {len(self.answers)} were")
        asked = {answer.player.encode() for answer in self.answers}
        histories: dict[bytes, list[Raw]] = {key: [] for key in asked}
        for record in records:
            if record.key in asked:
                histories[record.key].append(record)
        refusals: Counter[str] = Counter()
        told: dict[str, list[Answer]] = {}
        for answer in self.answers:
            if answer.status in {200, 404}:
                told.setdefault(answer.player, []).append(answer)
            elif answer.status == 503 and answer.body["error"]["message"]:
                refusals[answer.body["error"]["code"]] += 1
            else:
                raise BrokenError(f"I4 view of {answer.player!r}: {answer.status} {answer.body!r}")
        for player, answers in told.items():
            _judge(player, histories[player.encode()], answers)
        expect("I4 views: any", "answered", bool(told), True)
        verdict.views += sum(map(len, told.values()))
        verdict.refused += sum(refusals.values())


def _judge(player: str, history: list[Raw], answers: list[Answer]) -> None:
    """The answers about one player, against his records."""
    oracle, changed = PlayersOracle(), [-1]
    bodies: dict[int, Any] = {-1: None}
    for record in history:
        before = oracle.outcomes().get("applied", 0)
        oracle.fold(record)
        if oracle.outcomes()["applied"] > before:
            changed.append(record.offset)
            bodies[record.offset] = oracle.stats(0)[f"{player}/all".encode()]
    for answer in answers:
        offset = answer.body["offset"] if answer.status == 200 else -1
        if offset not in bodies:
            raise BrokenError(f"I4 view of {player!r}: it is as of offset {offset}, at which nothing has changed it")
        if bodies[offset] is not None:
            said = difference(answer.body, bodies[offset], "view")
            expect("I4 view", (player, offset), said, "")
        partition = history[0].partition if history else -1
        durable = answer.durable.get(partition, 0)
        least = max((one for one in changed if one < durable), default=-1)
        if offset < least:
            raise BrokenError(
                f"I4 view of {player!r}: it is as of offset {offset}, and {least} had been durable when it was asked"
            )
