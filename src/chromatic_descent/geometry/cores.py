"""Sharing work: batches that fit the cache or a memory budget, and one thread per core."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

# A block of items has about BLOCK float64 values (2 MiB, which stay in the cache), but at least
# COLUMNS per member, so that a matrix product costs more than adding its result to the total.
BLOCK = 2**18
COLUMNS = 2**10


def batches(count: int, size: int) -> Iterator[slice]:
    """Return slices of at most `size`, and at least 1, that cover `count`.

    >>> list(batches(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    size = max(1, size)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def length(batch: slice) -> int:
    """Return the number of items in a slice from `batches`."""
    size: int = batch.stop - batch.start
    return size


def item_blocks(members: int, items: int, classes: int) -> Iterator[slice]:
    """Return slices over items, each processed as one block [S, n, C]."""
    return batches(items, max(BLOCK // members, COLUMNS) // classes)


def processors() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_thread_a_core(most: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """Open a pool with one thread per core, at most `most`; inside it BLAS uses a single thread.

    NumPy releases the interpreter lock while it computes. Threads that each called a multi-threaded
    BLAS would spend more time waiting for one another than computing.
    """
    workers = processors() if most is None else min(most, processors())
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        yield pool
