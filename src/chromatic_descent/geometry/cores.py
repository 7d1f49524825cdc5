"""Sharing work between cores: one Python thread per core, each with a single-threaded BLAS.

NumPy releases the interpreter lock while it computes. Threads that each called a multi-threaded
BLAS would wait for one another more than they compute, especially on a shared machine.
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
    """A pool with one thread per core, at most `most`; within it a BLAS call uses one thread."""
    workers = processors() if most is None else min(most, processors())
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        yield pool
