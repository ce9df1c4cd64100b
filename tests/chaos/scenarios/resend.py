"""Dead letters of a mixed load are resent, mended and not, some of them twice, while the worker is killed."""

import asyncio
import json
import random
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from app.deadletters.letter import Letter
from app.deadletters.mending import Mending
from app.deadletters.resending import RESENT_TO, Resender
from app.deadletters.standing import FOLDED, Letters
from app.deadletters.wanted import Wanted
from app.engine.fetch import consuming
from app.topology import topic_name
from tables.domain import Domain
from tables.players import PLAYERS
from tests.chaos import workload
from tests.chaos.checker import Verdict
from tests.chaos.produce import produce
from tests.chaos.run import Run

MISROUTED = 20
OLD_SEQUENCES = 50  # nearly all of them below the last one of their match that was folded
CHOSEN, TWICE, AS_IT_WAS = 0.5, 0.2, 0.1


@dataclass(frozen=True)
class Repaired(Mending):
    """An operator's mending: a record that was no event becomes one of an old sequence, a wrong key the right one."""

    rng: random.Random = field(default_factory=random.Random)

    async def mended(self, letter: Letter, _domain: Domain) -> Letter:
        """The letter as it is sent; some go as they were, and are dead letters again."""
        if self.rng.random() < AS_IT_WAS:
            return letter
        if letter.outcome == "MISROUTED":
            return letter._replace(key=json.loads(letter.value or b"")["player"].encode())
        player = (letter.key or b"").decode()
        match, sequence = f"match-{self.rng.randrange(3)}", self.rng.randrange(OLD_SEQUENCES)
        event = workload.event(self.rng, match, sequence, player, 0)
        return letter._replace(value=json.dumps(event).encode())


def resend(run: Run) -> Verdict:
    """Every original counts once: by the oracle, which knows the source topic alone."""
    run.write()
    asyncio.run(_misroute(run))
    worker = run.worker()
    run.drain()
    sent = 0
    with run.watching():
        for _ in range(run.faults):
            run.write(run.events // 4)
            killing = threading.Timer(run.rng.uniform(0.0, 1.0), worker.kill)
            killing.start()
            sent += asyncio.run(_resend(run, CHOSEN))
            killing.join()
            worker = run.worker()
            worker.wait_live(run.partitions())
        run.drain()  # so that all letters are there, but those that come of resending them
        sent += asyncio.run(_resend(run, 1.0))
        run.drain()
    states = asyncio.run(_states(run))
    verdict = run.finish(worker)
    unknown = {id_: state for id_, state in states.items() if state != FOLDED and not state.startswith("again as ")}
    still_dead = sum(state != FOLDED for state in states.values())
    if not states or len(unknown) > len(states) // 4 or verdict.outcomes["duplicate"] == 0:
        raise RuntimeError(f"of {len(states)} letters {len(unknown)} are still open: {list(unknown.items())[:5]}")
    run.note("letters", f"{sent:,} resent of {len(states):,}; {len(states) - still_dead:,} are folded")
    return verdict


async def _misroute(run: Run) -> None:
    """Events under a key that is nobody's."""
    records = [
        (
            f"nobody-{number}".encode(),
            json.dumps(workload.event(run.rng, "match-m", number, f"player-{number}", 0)).encode(),
        )
        for number in range(MISROUTED)
    ]
    await produce(run.settings, topic_name(run.settings, PLAYERS, "events"), records)


async def _resend(run: Run, share: float) -> int:
    """Resend a share of the letters that there are, some twice, by the command's own way; returns how many."""
    async with consuming(run.settings) as consumer:
        letters = Letters(run.settings, PLAYERS, consumer, lambda _: None)
        standing = await letters.standing()
        mending = Repaired(rng=run.rng)

        async def chosen() -> AsyncIterator[Letter]:
            async for letter in letters.read(Wanted()):
                for _ in range((run.rng.random() < share) + (run.rng.random() < TWICE)):
                    yield letter

        resender = Resender(run.settings, PLAYERS, standing, mending, by_id=True, unchecked=True)
        results = [one.result async for one in resender.resend(chosen())]
    if set(results) - {RESENT_TO}:
        raise RuntimeError(f"not all were delivered: {results}")
    return len(results)


async def _states(run: Run) -> dict[str, str]:
    """Id -> what the commands say has become of the letter."""
    async with consuming(run.settings) as consumer:
        letters = Letters(run.settings, PLAYERS, consumer, lambda _: None)
        standing = await letters.standing()
        return {letter.id: standing.of(letter) async for letter in letters.read(Wanted())}
