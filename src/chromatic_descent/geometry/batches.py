"""Work in batches: slices of items, draws or permutations that fit a cache or a memory budget."""

from collections.abc import Iterator

# Items are processed in blocks of about this many float64 values when members are few (2 MiB,
# which stay in the cache) ...
BLOCK = 2**18

# ... and, when they are many, of enough values per member that a matrix product costs more than
# adding its result to the [S, S] total.
COLUMNS = 2**10


def batches(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size`, and at least 1, that cover `count`.

    >>> list(batches(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    size = max(1, size)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def length(batch: slice) -> int:
    """Return how many a slice from `batches` holds."""
    size: int = batch.stop - batch.start
    return size


def item_blocks(members: int, items: int, classes: int) -> Iterator[slice]:
    """Slices over items, each processed as one block [S, n, C]."""
    return batches(items, max(BLOCK // members, COLUMNS) // classes)
