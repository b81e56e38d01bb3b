"""Long signals that are worked on block by block, and lie in a temporary file while a command needs them."""

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ampsim import AmpsimError

BLOCK = 1 << 20  # samples that are worked on at a time, where a copy of all of them would be another hour of audio
IN_MEMORY = 1 << 26  # bytes that are not worth a file: three minutes of stereo


class Scratch:
    """`num_channels` signals of `length` samples, full scale at 1, written in blocks and then read as one array.

    More than IN_MEMORY bytes lie in a temporary file that has no name, so that it goes when the process ends, however it
    ends. The array is mapped from it: what is read counts as this process' memory until `release`.

    Args:
        on_disk: whether a file may be used at all.
    """

    def __init__(self, num_channels: int, length: int, *, on_disk: bool = True) -> None:
        self.shape, self.done = (num_channels, length), 0
        self.array, self.file = np.empty(0, np.float32), None
        if not on_disk or 4 * num_channels * length <= IN_MEMORY:
            self.array = np.empty(self.shape, np.float32)
        else:
            with self.told():
                self.file = tempfile.TemporaryFile(prefix="ampsim-")  # noqa: SIM115 - read() maps it

    def write(self, block: NDArray[np.floating]) -> None:
        """Append samples, (num_channels, num_samples).

        Raises:
            AmpsimError: the disk is full.
        """
        if self.file is None:
            self.array[:, self.done : self.done + block.shape[1]] = block
        else:
            with self.told():
                for channel, samples in enumerate(block):
                    self.file.seek(4 * (channel * self.shape[1] + self.done))
                    self.file.write(samples.astype(np.float32).tobytes())
        self.done += block.shape[1]

    def read(self) -> NDArray[np.float32]:
        """What was written, (num_channels, length); nothing more can be."""
        if self.file is None:
            return self.array
        with self.told():
            self.file.truncate(4 * self.shape[0] * self.shape[1])
            self.file.flush()
            whole = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(whole, np.float32).reshape(self.shape)

    @contextmanager
    def told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            size = 4e-9 * self.shape[0] * self.shape[1]
            raise AmpsimError(
                f"the temporary folder has no room for {size:.1f} GB of audio ({error.strerror}): "
                "free some, or name another folder with TMPDIR"
            ) from error


def blocks(*signals: NDArray[Any], size: int = 0, more: int = 0) -> Iterator[tuple[Any, ...]]:
    """Where a block starts, and that block of each signal, (size,) and shorter at the end, with `more` samples after it."""
    size = size or BLOCK
    for start in range(0, len(signals[0]), size):
        yield start, *(samples[start : start + size + more] for samples in signals)
        for samples in signals:
            release(samples)


def release(samples: NDArray[Any]) -> None:
    """Give back the memory that what was read of a `Scratch` takes; it is read again when it is asked for."""
    base: Any = samples
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)
