"""What is free inside the process, given back to the kernel.

By itself glibc keeps what lies between blocks that are in use: the most that was ever held at once would stay the
worker's for good. Nothing here does anything where the C library is another one.
"""

import asyncio
import ctypes
import time

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)

REST_SECONDS = 60.0
SHARE = 1_000  # so many times as long as it took: a large heap takes some hundred ms, and allocations wait for it


def give_back() -> None:
    """Return free memory to the kernel, after much of it has been freed; some milliseconds."""
    if _TRIM is not None:
        _TRIM(0)


async def keep_giving_back() -> None:
    """Do it once in a while, until cancelled, without holding the loop up: buffers come and go all the time."""
    while True:
        began = time.monotonic()
        await asyncio.to_thread(give_back)
        await asyncio.sleep(max(REST_SECONDS, SHARE * (time.monotonic() - began)))
