"""What the machine has and does: cores, the signals that end a process, and what libraries print below Python."""

import os
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

# What a scheduler, a container or a terminal that is closed ends a process with; it has seconds left then.
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class TerminatedError(KeyboardInterrupt):
    """The system asked this process to end. It is handled like Ctrl-C, except that nobody waits for an epoch."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number  # as a shell reports it
        super().__init__(f"ended by {signal.Signals(number).name}")


def terminate(number: int) -> NoReturn:
    raise TerminatedError(number)


@contextmanager
def on_termination(
    act: Callable[[int], object] = terminate, *, patience_s: float = 1.0, nested: bool = False
) -> Iterator[None]:
    """Inside, the first SIGTERM or SIGHUP calls `act`, which raises TerminatedError by default; later ones are ignored.

    After `patience_s` TerminatedError is raised wherever the process is then, and again each second for as long as code
    goes on that is no handling of it: a library may have caught it, or Python dropped it in a destructor. A signal that
    is ignored, as SIGHUP is below nohup, stays so. Only a main thread can do this; elsewhere nothing happens.

    Args:
        nested: only signals that something in Python handles already.
    """
    if not hasattr(signal, "SIGALRM"):  # Windows, where nothing but Ctrl-C asks a process to end
        yield
        return
    before: dict[int, Any] = {}
    asked = False

    def handle(number: int, _: Any) -> None:
        nonlocal asked
        asked = True
        for each in before:  # a scheduler tells all processes, and then a parent its children
            signal.signal(each, signal.SIG_IGN)
        if number != signal.SIGTERM:
            leave_terminal()
        signal.signal(signal.SIGALRM, lambda *_: None if handled_now() else terminate(number))
        signal.setitimer(signal.ITIMER_REAL, patience_s, 1.0)
        act(number)

    if threading.current_thread() is threading.main_thread():
        handlers = {each: signal.getsignal(each) for each in ENDING}
        left = (signal.SIG_IGN, None, *([signal.SIG_DFL] if nested else []))
        before = {each: handler for each, handler in handlers.items() if handler not in left}
    outermost = not any(map(callable, before.values()))
    alarm, timer = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    for each in before:
        signal.signal(each, handle)
    try:
        yield
    finally:
        if outermost or not asked:  # else whoever is outside cleans up, and must not be disturbed
            for each, handler in before.items():
                signal.signal(each, handler)
        if before and outermost and signal.getsignal(signal.SIGALRM) is not alarm:
            signal.setitimer(signal.ITIMER_REAL, *timer)
            signal.signal(signal.SIGALRM, alarm)


def handled_now() -> bool:
    """Whether what runs now handles a TerminatedError, be it inside the handling of another error."""
    error = sys.exc_info()[1]
    while error and not isinstance(error, TerminatedError):
        error = error.__context__
    return error is not None


def leave_terminal() -> None:
    """A terminal that is gone takes no more output, and what writes there would fail in the middle of cleaning up."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        if stat.S_ISCHR(os.fstat(stream).st_mode):  # one that is gone does not say any more that it is a terminal
            os.dup2(nowhere, stream)
    os.close(nowhere)


def usable_cores() -> int:
    """Cores that this process may use, which a container or a scheduler may have made fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what is written to standard error below Python (TensorFlow greets there), unless something fails; an end
    that was asked for is no failure.

    A process that is started inside keeps the silence.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except KeyboardInterrupt:  # and what is one, TerminatedError
            raise
        except BaseException:
            hidden.seek(0)
            os.write(kept, hidden.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
