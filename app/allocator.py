"""What is free inside the process, given back to the kernel."""

import ctypes


def give_back() -> None:
    """Return free memory to the kernel, after much of it has been freed; some milliseconds.

    By itself glibc keeps what lies between blocks that are in use: the most that was ever held at once would stay the
    worker's for good. Does nothing where the C library is another one.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
