"""Sharing work out to the cores: one Python thread each, and in it a BLAS that starts no more.

NumPy lets other threads run while it computes. Threads that each call a BLAS with threads of its
own would wait for each other more than they compute, the more so on a machine that others use.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


def processors() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_thread_a_core(most: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """A pool of one thread a core, `most` at most; until it is left, a BLAS call is one thread."""
    workers = processors() if most is None else min(most, processors())
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        yield pool
