"""What the machine has and does: cores, processes, and what libraries print below Python."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def usable_cores() -> int:
    """Cores that this process may use, which a container or a scheduler may have made fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def alive(pid: int) -> bool:
    """Whether a process of this machine is running, be it another user's."""
    if pid <= 0:  # to `kill`, these are groups of processes
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what is written to standard error below Python (TensorFlow greets there), unless something fails.

    A process that is started inside keeps the silence.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            hidden.seek(0)
            os.write(kept, hidden.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
