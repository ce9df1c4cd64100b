"""What is free goes back to the kernel."""

import asyncio
import platform
from itertools import count
from pathlib import Path

import pytest

from app import allocator

# 120 MB, of which one in 40 stays and keeps its neighbours' heap in place.
BLOCK_BYTES, BLOCKS, KEPT = 3_000, 40_000, 40
GIVEN_BACK_BYTES = 60_000_000
THIRD = 3


def resident_bytes() -> int:
    """Of this process, as the kernel says."""
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) * 1024


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library keeps what is free as it likes")
def test_what_lies_free_between_blocks_in_use_goes_back() -> None:
    """By itself it would stay."""
    blocks = [bytes(BLOCK_BYTES) for _ in range(BLOCKS)]
    kept = blocks[::KEPT]
    del blocks
    before = resident_bytes()
    allocator.give_back()
    assert before - resident_bytes() > GIVEN_BACK_BYTES
    assert kept


async def test_it_goes_back_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the worker runs."""
    loop, third, times = asyncio.get_running_loop(), asyncio.Event(), count(1)

    def note() -> None:  # in its thread
        if next(times) == THIRD:
            loop.call_soon_threadsafe(third.set)

    monkeypatch.setattr(allocator, "give_back", note)
    monkeypatch.setattr(allocator, "REST_SECONDS", 0.0)
    monkeypatch.setattr(allocator, "SHARE", 0)
    running = asyncio.create_task(allocator.keep_giving_back())
    await asyncio.wait_for(third.wait(), 5)
    running.cancel()
