"""Files that hold a net as JSON: read, checked and unpacked, with every fault told in a sentence."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ampsim import AmpsimError, files
from ampsim.players.player import Array

MOST_LAYERS = 1024  # nets have up to some dozens; a file of more would be played for hours
LEEWAY = 1 << 20  # weights that a file may lack before reading ends, so that a made-up size never fills the memory


def read_json(path: Path, kind: str) -> dict[str, Any]:
    """The object in a file; `kind` says in an error what the file was taken for.

    Raises:
        AmpsimError: the file cannot be read as JSON, or holds something other than an object.
    """
    found = files.read_json(path, kind)
    if not isinstance(found, dict):
        raise AmpsimError(f"{path} is no {kind}: it is JSON, but not an object")
    return found


@contextmanager
def understood(path: Path, what: str) -> Iterator[None]:
    """Tell of whatever goes wrong inside as a fault of the file."""
    try:
        yield
    except KeyError as error:
        raise AmpsimError(f"{path}: {what} has no {error}") from error
    except (TypeError, ValueError, IndexError, AttributeError, OverflowError, MemoryError) as error:
        raise AmpsimError(f"{path}: {what} is not understood ({error})") from error


def whole(value: Any, name: str, *, least: int = 1, most: int = 1 << 20) -> int:
    """A whole number in its bounds. Raises ValueError."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value != int(value)
        or not least <= value <= most
    ):
        raise ValueError(f"{name} is {value!r:.60}, and not a whole number from {least} to {most:,}")
    return int(value)


def numbers(values: Any, name: str = "weights") -> Array:
    """Nested lists of finite numbers as an array. Raises ValueError."""
    if not isinstance(values, list):
        raise ValueError(f"{name} is no list of numbers")
    try:
        found = np.array(values, np.float64)
    except (ValueError, TypeError):
        raise ValueError(f"{name} is no list of numbers, or one with rows of different lengths") from None
    if not np.isfinite(found).all():
        raise ValueError(f"{name} holds {np.count_nonzero(~np.isfinite(found)):,} numbers that are NaN or infinite")
    if found.size and np.abs(found).max() > np.finfo(np.float32).max:
        raise ValueError(f"{name} holds a number beyond what a float holds")
    return found.astype(np.float32)


class Weights:
    """A flat list of numbers, taken from the front in the order that a format lays down."""

    def __init__(self, values: Any, precision: Any) -> None:
        self.values, self.taken = numbers(values).astype(precision), 0

    def take(self, *shape: int) -> Array:
        size = math.prod(shape)
        self.taken += size
        if self.taken > 2 * len(self.values) + LEEWAY:
            raise ValueError(f"it has {len(self.values):,} weights, and its config calls for more than {self.taken:,}")
        # A list that is too short is told of in `finish`, where it is known how many there should be.
        found = self.values[self.taken - size : self.taken]
        return found.reshape(shape) if len(found) == size else np.zeros(shape, self.values.dtype)

    def finish(self) -> None:
        """Raises ValueError where the list did not have as many numbers as were taken."""
        if self.taken != len(self.values):
            raise ValueError(f"it has {len(self.values):,} weights, and its config calls for {self.taken:,}")
