"""Stopping from outside: by Ctrl-C, by SIGTERM, by a lack of memory.

Files are whole or absent, and members continue: it is enough that the exception gets through.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from chromatic_descent.errors import UserError, causes


class Terminated(KeyboardInterrupt):
    """SIGTERM asked the process to end: from a cluster, a service manager, or `kill`."""


def exit_code(stop: KeyboardInterrupt) -> int:
    """The exit code that shells and clusters expect after a signal: 128 plus its number."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Within the block, SIGTERM raises `Terminated` as Ctrl-C raises KeyboardInterrupt.

    Only the first SIGTERM does, so that cleaning up is not interrupted. Lightning's own handler,
    which ends with exit code 0, calls this one.
    """

    terminated = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal terminated
        terminated = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    if threading.current_thread() is not threading.main_thread():  # Python allows no handlers there
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt as error:
        if terminated and not isinstance(error, Terminated):  # Ray raises its own for either signal
            raise Terminated from error
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def readable_errors(doing: str) -> Iterator[None]:
    """Let an interruption leave the block as an interruption, and a lack of memory with advice.

    Lightning turns Ctrl-C into SystemExit with code 1, or into whatever its loggers raise as they
    are closed. A lack of memory has a different type and no advice in every library: it becomes a
    UserError that names what was being done.
    """
    try:
        yield
    except BaseException as error:
        for each in causes(error):
            if isinstance(each, KeyboardInterrupt):
                raise each from None
        for each in causes(error):
            if _is_out_of_memory(each):
                raise UserError(
                    f"{doing}: out of memory ({str(each).strip() or type(each).__name__}). Files "
                    "on disk are as they were. Lower data.eval_batch_size if it happened on the "
                    "probe, population.chunk in population=joint (neither changes what members "
                    "become), the number of members at a time, or data.batch_size."
                ) from error
        raise


def _is_out_of_memory(error: BaseException) -> bool:
    """Python's and NumPy's error, CUDA's, or the RuntimeError of torch's CPU allocator."""
    names = {kind.__name__ for kind in type(error).__mro__}
    on_cpu = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or on_cpu
