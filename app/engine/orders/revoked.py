"""The order *revoked*: stop taking batches, commit what is done, release the producer, park the rows, or drop them."""

import asyncio
import logging
from typing import TYPE_CHECKING

from app.engine.errors import GenerationError
from app.engine.failpoints import reach
from app.rings import forget

if TYPE_CHECKING:
    from app.engine.owned import Owned

log = logging.getLogger("tidemark.engine")

REVOKE_SECONDS = 4  # for the last commit, when partitions go: well inside the shortest session timeout (6 s)


async def revoked(owned: "Owned") -> None:
    """Let a partition go: what was folded is committed, or forgotten; its rows are parked, and not served."""
    reach("revoked.begun")
    # 1 Stop taking batches: slices that are on their way belong to a former epoch from here on.
    was_live = owned.live
    owned.stop_taking()
    reach("revoked.stopped")
    # 2 Commit what is done (a running commit ends first; the loop makes one more turn).
    try:
        await last_commit(owned, was_live=was_live)
        reach("revoked.committed")
        # 3 Release the producer; the rows stay, parked, in case the partition comes straight back.
        producer, owned.producer = owned.producer, None
        if producer is not None:
            await producer.release()
    except Exception as error:  # noqa: BLE001 - whatever it was, the rows must not outlive it; `on_done` judges it
        log.warning("%r: its last commit failed (%s): the next owner folds those records again", owned, error)
        forget(error)
        await owned.lose()
    owned.park()
    reach("revoked.released")


async def last_commit(owned: "Owned", *, was_live: bool) -> None:
    """End the partition's run, with one more commit where it was live.

    Raises:
        GenerationError: the rows were lost meanwhile.
        TimeoutError: the commit did not end in time.
    """
    run, owned.run = owned.run, None
    owned.revoking.set()
    owned.hurry.set()
    if run is None:
        return
    if not was_live:
        run.cancel()  # a restore, or a pause between attempts: nothing to save
    done, _ = await asyncio.wait([run], timeout=REVOKE_SECONDS)
    if not done:
        run.cancel()
        raise TimeoutError(f"no answer within {REVOKE_SECONDS} s")
    if was_live and not run.cancelled():
        run.result()
        if owned.task is None:
            raise GenerationError("the rows were lost on the way")
    elif not was_live:
        await owned.lose()
