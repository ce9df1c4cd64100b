"""Faust's recovery and table manager with their bodies replaced.

Faust's own recovery waits for a record at the end of the changelog; after a transaction a commit marker stands there,
which is never delivered, so it would wait for ever. The tables stay real Faust tables: they declare their changelog
topics and take part in the assignment; rows are restored by the engine.
"""

import asyncio
from typing import Any

from faust.tables.manager import TableManager as FaustTableManager
from faust.tables.recovery import Recovery as FaustRecovery
from mode import Service


class Recovery(FaustRecovery):
    """Hands what was assigned to the engine and lets records flow at once.

    Each partition takes part in the flow as soon as it is live; none waits for the slowest restore.
    """

    @Service.task  # type: ignore[untyped-decorator] # mode publishes no types
    async def _restart_recovery(self) -> None:
        app = self.app
        while not self.should_stop:
            if await self.wait_for_stopped(self.signal_recovery_start):
                return
            self.signal_recovery_start.clear()
            generation = self._generation_id
            consumer = app.consumer
            sources = [(tp.topic, tp.partition) for tp in consumer.assignment() if tp.topic in app.engine.domains]
            app.engine.expect(len([tp for tp in app.assignor.assigned_actives() if tp.topic in app.tables._changelogs]))  # noqa: SLF001
            if app.consumer_generation_id != generation:
                continue  # rebalancing again already
            app.engine.standby.follow(
                [(tp.topic, tp.partition) for tp in app.assignor.assigned_standbys() if tp.topic in app.engine.domains],
                sources,
            )
            app.on_rebalance_end()
            await app.engine.assigned(sources, generation)
            await app.on_rebalance_complete.send()
            self.completed.set()
            app.flow_control.resume()
            consumer.resume_flow()
            await app._fetcher.maybe_start()  # noqa: SLF001 - as Faust's recovery does
            self.tables.on_actives_ready()
            self.tables.on_standbys_ready()


class TableManager(FaustTableManager):
    """Faust's table manager with our recovery, and without its second of sleep at the start."""

    _recovery: Recovery | None = None

    @property
    def recovery(self) -> Any:
        """The recovery service."""
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """Start; Faust sleeps here for tables of late imports, and ours are all declared when the app is built."""
        await asyncio.sleep(0)
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()
