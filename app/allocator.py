"""What is free inside the process, given back to the kernel.

By itself glibc keeps what lies between blocks that are in use: the most that was ever held at once would stay the
worker's for good. Where the C library is another one, memory is left to it.
"""

import asyncio
import ctypes
import gc
import time

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)

REST_SECONDS = 60.0
SHARE = 1_000  # so many times as long as it took: 25 ms without rows, 200 ms with 700,000 objects; all wait for it


def give_back() -> None:
    """Return free memory to the kernel, after much of it has been freed; some milliseconds."""
    if _TRIM is not None:
        _TRIM(0)


async def keep_giving_back() -> None:
    """Do it once in a while, until cancelled: buffers come and go all the time.

    What refers to itself (`app.rings`) is looked for, too: by itself Python's collector would come by too rarely
    (`app.main`), and a client that was given up may hold a MB.
    """
    while True:
        began = time.monotonic()
        gc.collect()  # not in a thread: what is found belongs to the loop
        await asyncio.to_thread(give_back)
        await asyncio.sleep(max(REST_SECONDS, SHARE * (time.monotonic() - began)))
