"""How work is stopped from outside: by Ctrl-C, by SIGTERM, by a lack of memory.

Whatever is being written is whole or absent, and a member goes on from its last epoch, so stopping
is nothing but an exception that has to come through.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from chromatic_descent.errors import UserError, causes


class Terminated(KeyboardInterrupt):
    """The process was told to end by SIGTERM: from a cluster, a service manager, or `kill`."""


def exit_code(stop: KeyboardInterrupt) -> int:
    """What shells and clusters expect of a process that a signal ended: 128 plus its number."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Within the block, SIGTERM raises `Terminated` as Ctrl-C raises KeyboardInterrupt.

    Only the first does: what it set off is not to be interrupted. Lightning's own handler, which
    ends with exit code 0, calls this one.
    """

    told = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    if threading.current_thread() is not threading.main_thread():  # Python allows no handlers there
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt as error:
        if told and not isinstance(error, Terminated):  # Ray raises its own for either signal
            raise Terminated from error
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def as_it_was(doing: str) -> Iterator[None]:
    """Let what stopped the block out as what it was.

    Lightning turns Ctrl-C into SystemExit with code 1, or into what its loggers raise as they are
    closed. A lack of memory has a different type and no advice in every library: it becomes a
    UserError that names what was being done.
    """
    try:
        yield
    except BaseException as error:
        chain = list(causes(error))
        for each in chain:
            if isinstance(each, KeyboardInterrupt):
                raise each from None
        for each in chain:
            if _is_out_of_memory(each):
                raise UserError(
                    f"{doing}: out of memory ({str(each).strip() or type(each).__name__}). What is "
                    "on disk is as it was. Lower data.eval_batch_size if it happened on the probe, "
                    "population.chunk in population=joint (neither changes what members become), "
                    "the number of members at a time, or data.batch_size."
                ) from error
        raise


def _is_out_of_memory(error: BaseException) -> bool:
    """Python's and NumPy's error, CUDA's, or the RuntimeError of torch's CPU allocator."""
    names = {kind.__name__ for kind in type(error).__mro__}
    on_cpu = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or on_cpu
