"""One partition, emptied or made anew: dry, or fenced first and written at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from app.admin import administering
from app.clock import now_ms
from app.engine.fetch import BRIEF_MS, consuming
from app.engine.topic_ids import topic_ids
from app.group import committed_offsets, group_of
from app.repair.found import Found, find
from app.repair.keyless import delete_before
from app.repair.moment import Moment
from app.repair.plan import Plan, emptied, replaced
from app.repair.rebuilt import Rebuilt, Span, rebuild
from app.repair.swap import RepairError, Swap, longest_transaction_seconds
from app.settings import Settings
from app.topology import topic_name
from app.verify.partition import partition_of
from app.verify.reading import Reading, Say
from tables.domain import Domain

BEGINNING = Moment("beginning", word="beginning")


class Repaired(NamedTuple):
    """What was found and planned; `executed` tells whether it was written, too."""

    number: int
    found: Found
    plan: Plan
    made: Rebuilt | None
    executed: bool


@dataclass
class Repair:
    """Repairs partitions of a domain, one after the other."""

    settings: Settings
    domain: Domain
    admin: AIOKafkaAdminClient
    consumer: AIOKafkaConsumer
    say: Say
    execute: bool
    timeout_seconds: float
    begun: bool = False
    """Something may have been written."""

    async def reset(self, number: int, to: Moment | None) -> Repaired:
        """Empty a partition, and set its source's offset."""
        async with self._fenced(number) as swap:
            found = await self._find(number)
            position = await (to or BEGINNING).offset_in(self._reading(number))
            self._check_within(found, position, "--to")
            plan = emptied(found, partition_of(self.settings, self.domain, number).task(), position)
            await self._write(swap, found, plan)
        return Repaired(number, found, plan, None, self.execute)

    async def replay(self, number: int, from_: Moment | None, to: Moment | None) -> Repaired:
        """Make a partition anew from its events."""
        async with self._fenced(number) as swap:
            found = await self._find(number)
            span = await self._span(number, found, from_, to)
            made = await self._made(number, found, span)
            plan = replaced(found, made, span.now)
            await self._write(swap, found, plan)
        return Repaired(number, found, plan, made, self.execute)

    @asynccontextmanager
    async def _fenced(self, number: int) -> AsyncIterator[Swap | None]:
        """With --execute: everybody else is shut out before anything is read."""
        if not self.execute:
            yield None
            return
        await refuse_while_folded(self.admin, self.settings)
        swap = Swap(self.settings, self.domain, number, self.timeout_seconds)
        try:
            await swap.fence(self.consumer)
            # Whoever has joined meanwhile may have fenced before us: an idle one would serve the old table for ever.
            # Whoever joins from here on fences us.
            await refuse_while_folded(self.admin, self.settings)
            yield swap
        finally:
            await swap.release()

    async def _write(self, swap: Swap | None, found: Found, plan: Plan) -> None:
        if swap is None or plan.empty:
            return
        self.begun = True
        await swap.write(plan)
        for role in found.keyless:
            await delete_before(self.admin, swap.topic(role), swap.ends[role])

    def _reading(self, number: int) -> Reading:
        return Reading(self.settings, self.domain, number, self.consumer, self.say)

    async def _find(self, number: int) -> Found:
        source = topic_name(self.settings, self.domain, "events")
        offsets = await committed_offsets(self.admin, self.settings)
        committed = offsets.get(TopicPartition(source, number))
        ids = await topic_ids(self.admin._client, [source])  # noqa: SLF001 - nothing public asks
        return await find(
            self._reading(number),
            partition_of(self.settings, self.domain, number),
            None if committed is None or committed.offset < 0 else committed.offset,
            ids.get(source, 0),
            now_ms(),
        )

    async def _span(self, number: int, found: Found, from_: Moment | None, to: Moment | None) -> Span:
        reading = self._reading(number)
        now = now_ms()  # before the end is asked for
        end = await reading.end("events")
        known = found.position
        if to is not None:
            last = await to.offset_in(reading)
            self._check_within(found, last, "--to")
        else:
            last = end if known is None else max(known, found.beginning)
        if known is not None and last > known and to is not None:
            last = self._not_beyond(number, to, last, known)
        if from_ is None and found.beginning and last:
            raise RepairError(
                f"{reading.topic('events').topic} partition {number} begins at offset {found.beginning}: what came "
                "before was deleted by its retention, and a replay cannot bring it back. To make the table of what is "
                "left, say --from beginning"
            )
        first = await (from_ or BEGINNING).offset_in(reading)
        self._check_within(found, first, "--from")
        if first > last:
            raise RepairError(f"--from is offset {first} of partition {number}, --to is {last}: nothing lies between")
        return Span(first, last, now, now if last >= end else 0)

    @staticmethod
    def _not_beyond(number: int, to: Moment, last: int, known: int) -> int:
        """A worker folds what nobody has folded yet, and publishes what is new: that is not for a replay."""
        if to.offset is not None:
            raise RepairError(
                f"--to {last}: the table of partition {number} has been folded up to {known}; what comes after "
                "is folded by a worker"
            )
        return known

    async def _made(self, number: int, found: Found, span: Span) -> Rebuilt:
        reading, partition = self._reading(number), partition_of(self.settings, self.domain, number)
        known = await reading.dead_letters()
        made = await rebuild(reading, partition, span, known)
        if self.domain.at_time is None:
            return made
        same = replaced(found, made, span.now).differing == 0
        found.restore(partition, span.now)  # comparing has brought its rows to the present
        if same:
            return made
        # What time has changed between two events may decide about the second one.
        return await rebuild(reading, partition, span, known, await reading.publications())

    def _check_within(self, found: Found, offset: int, option: str) -> None:
        if not found.beginning <= offset <= found.end:
            raise RepairError(
                f"{option} {offset}: {topic_name(self.settings, self.domain, 'events')} holds offsets from "
                f"{found.beginning} to {found.end} in this partition"
            )


async def refuse_while_folded(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    """Raise RepairError while the group has members: they would take the partition back, and a reader see no end."""
    group = await group_of(admin, settings)
    if group.members:
        names = ", ".join(map(str, group.members))
        raise RepairError(
            f"workers are running: {names}. Stop all workers of {settings.application_id}; one that was killed leaves "
            f"the group after TIDEMARK_SESSION_TIMEOUT_SECONDS ({settings.session_timeout_seconds:g} s)"
        )


@asynccontextmanager
async def repairing(settings: Settings, domain: Domain, say: Say, *, execute: bool) -> AsyncIterator[Repair]:
    """A repair with its connections."""
    async with administering(settings) as admin, consuming(settings, BRIEF_MS) as consumer:
        seconds = await longest_transaction_seconds(admin, settings)
        yield Repair(settings, domain, admin, consumer, say, execute, seconds)
