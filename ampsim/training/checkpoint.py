"""The file from which a fit goes on after a kill: weights, optimizer, best weights so far and the state."""

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from ampsim import AmpsimError
from ampsim.files import refuse_irregular, uncollected
from ampsim.training.state import State


@dataclass(frozen=True)
class Checkpoint:
    """A file that is always whole: a kill while it is written leaves the one before.

    Args:
        path: an .npz file; its folder is made.
        every_s: seconds between two checkpoints.
    """

    path: Path
    every_s: float = 30.0

    def save(
        self, state: State, model: Sequence[keras.Variable], others: Sequence[keras.Variable], best: list[np.ndarray]
    ) -> None:
        """Write the variables of the model and those of the optimizer and the loss; a temporary name, then rename.

        Raises:
            AmpsimError: the disk is full or read-only.
        """
        variables = [*model, *others]
        arrays = {f"variable_{index}": variable.numpy() for index, variable in enumerate(variables)}
        arrays |= {f"best_{index}": value for index, value in enumerate(best)}
        packed = np.frombuffer(json.dumps(asdict(state)).encode(), np.uint8)
        temporary = self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                np.savez(file, state=packed, **arrays)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise AmpsimError(
                f"the checkpoint {self.path} cannot be written: {error.strerror}; fix this, then resume from the previous "
                "checkpoint, which is intact, with training.resume=true"
            ) from error

    def restore(
        self, model: Sequence[keras.Variable], others: Sequence[keras.Variable]
    ) -> tuple[State, list[np.ndarray]] | None:
        """Set these variables; the state and the best weights, None where there is no file.

        Raises:
            AmpsimError: the file is damaged, or is no checkpoint of this run.
        """
        if not self.path.exists():
            return None
        refuse_irregular(self.path, "checkpoint")
        try:
            refuse_packed(self.path)
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as saved, uncollected():
                state = State.restored(json.loads(bytes(saved["state"])))
                best = [like(variable, saved[f"best_{index}"]) for index, variable in enumerate(model)]
                variables = [*model, *others]
                values = [like(variable, saved[f"variable_{index}"]) for index, variable in enumerate(variables)]
        except (OSError, EOFError, ValueError, KeyError, TypeError, RecursionError, MemoryError) as error:
            raise self.refusal(error) from error
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, struct.error) as error:
            raise self.refusal(error) from error
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return state, best

    def refusal(self, error: Exception) -> AmpsimError:
        said = str(error) or type(error).__name__
        return AmpsimError(f"{self.path} is no checkpoint of this run ({said}): remove it to start from the beginning")


def refuse_packed(path: Path) -> None:
    """Raises ValueError for a file whose arrays unpack to more than it has on the disk; ours are written as they are."""
    with zipfile.ZipFile(path) as file:
        if packed := [member.filename for member in file.infolist() if member.compress_type != zipfile.ZIP_STORED]:
            raise ValueError(f"its {packed[0]} is compressed, which no checkpoint is")


def like(variable: keras.Variable, value: np.ndarray) -> np.ndarray:
    """An array from a file, if it can be the variable's value; raises ValueError where it cannot."""
    if value.shape != tuple(variable.shape):
        raise ValueError(f"it holds an array of {value.shape} for {variable.path}, which is {tuple(variable.shape)}")
    kinds = "fiu" if np.issubdtype(variable.numpy().dtype, np.floating) else "iub"
    if value.dtype.kind not in kinds:
        raise ValueError(f"it holds {value.dtype} for {variable.path}")
    return value
