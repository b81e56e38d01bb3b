"""Processes of one machine that take turns in a folder."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ampsim import AmpsimError

LOCK = ".lock"  # the file in a folder; it stays, since who waits for it may hold it open already


@contextmanager
def alone(folder: Path, *, refusal: str = "") -> Iterator[None]:
    """One process at a time is inside for a folder; the next waits or, with a `refusal`, gets that.

    A process that is killed leaves the folder free. In a folder that cannot be written to, nobody needs a turn.

    Raises:
        AmpsimError: another process is inside, and there is a `refusal`.
        OSError: the folder is not there.
    """
    folder.stat()  # FileLock would make the folder, and with it an unfinished run that there is not
    lock = FileLock(folder / LOCK, timeout=0 if refusal else -1)
    try:
        lock.acquire()
    except Timeout as error:
        raise AmpsimError(refusal) from error
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    try:
        yield
    finally:
        lock.release()


def busy(folder: Path) -> bool:
    """Whether another process is inside `alone` for a folder; a folder without a lock is left as it is."""
    if not (folder / LOCK).exists():
        return False
    try:
        with alone(folder, refusal=f"{folder} is in use"):
            return False
    except FileNotFoundError:
        return False
    except AmpsimError:
        return True
