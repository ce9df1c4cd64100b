"""A source that is written in transactions ends in commit markers; retention takes them, and nothing is lost."""

import asyncio
import json
import random
from pathlib import Path

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete

from app import topology
from app.admin import administering
from app.settings import Settings
from app.topology import topic_name
from tables.players import PLAYERS
from tests.chaos import workload
from tests.chaos.checker import committed_offsets, totals_of
from tests.chaos.process import wait_for
from tests.chaos.run import Run, Size, running

SECONDS = 30


async def write(settings: Settings, first: int, events: int) -> None:
    """Events of one player, in one transaction."""
    producer = AIOKafkaProducer(**settings.kafka(), transactional_id=f"{settings.prefix}producer")
    await producer.start()
    async with producer.transaction():
        for number in range(first, first + events):
            event = workload.event(random.Random(number), "match", number, "ann", 1)
            await producer.send_and_wait(
                topic_name(settings, PLAYERS, "events"), json.dumps(event).encode(), key=b"ann"
            )
    await producer.stop()


async def empty(settings: Settings) -> None:
    """What retention does to a topic that nobody has written to for long enough."""
    async with administering(settings) as admin:
        topic, everything = topic_name(settings, PLAYERS, "events"), RecordsToDelete(before_offset=-1)
        await admin.delete_records({TopicPartition(topic, number): everything for number in range(settings.partitions)})


def folded(run: Run) -> int:
    """How many events are counted."""
    return sum(totals["outcomes"]["applied"] for totals in asyncio.run(totals_of(run.settings, PLAYERS)).values())


def test_a_worker_that_may_lose_nothing_goes_on_over_markers_that_are_gone(kafka: str, tmp_path: Path) -> None:
    """Idle, restarted, live: the partition is emptied in between, and every event is counted."""
    with running(kafka, tmp_path, "markers", seed=1, size=Size()) as run:
        asyncio.run(topology.create(run.settings, [PLAYERS]))
        asyncio.run(write(run.settings, 0, 5))
        worker = run.worker("first", TIDEMARK_LOST_EVENTS="stop")
        wait_for(lambda: folded(run) == 5, SECONDS, worker)
        assert 5 in asyncio.run(committed_offsets(run.settings)).values()
        worker.stop()
        asyncio.run(empty(run.settings))
        worker = run.worker("second", TIDEMARK_LOST_EVENTS="stop")
        worker.wait_live(run.partitions())
        asyncio.run(write(run.settings, 5, 1))
        wait_for(lambda: folded(run) == 6, SECONDS, worker)
        asyncio.run(empty(run.settings))
        asyncio.run(write(run.settings, 6, 1))
        wait_for(lambda: folded(run) == 7, SECONDS, worker)
        worker.stop()
        assert "deleted" not in worker.said()
