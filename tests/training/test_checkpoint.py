"""A checkpoint is read back whole, and so is one that an earlier version wrote."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ampsim import AmpsimError
from ampsim.models import Dense
from ampsim.training.checkpoint import Checkpoint
from ampsim.training.state import State

STATE = State(
    step=7, elapsed_s=1.5, best_loss=0.25, best_step=4, stale=1, sums=[2.0], intervals=[{"step": 4, "loss": 0.5}]
)


def parts(seed: int) -> tuple[Dense, keras.optimizers.Optimizer]:
    keras.utils.set_random_seed(seed)
    model = Dense(window=8, future=2, layers=1, units=3)
    model.build()
    optimizer = keras.optimizers.Adam(0.01 * (1 + seed))
    optimizer.build(model.trainable_variables)
    return model, optimizer


def saved(path: Path) -> tuple[Checkpoint, list[np.ndarray], list[np.ndarray]]:
    """A checkpoint, the values of its variables, and its best weights, which are others."""
    model, optimizer = parts(0)
    best = [2 * variable.numpy() for variable in model.variables]
    Checkpoint(path).save(STATE, model, optimizer, best)
    return Checkpoint(path), [variable.numpy() for variable in [*model.variables, *optimizer.variables]], best


def assert_restored(checkpoint: Checkpoint, values: list[np.ndarray], best: list[np.ndarray]) -> None:
    model, optimizer = parts(1)
    restored = checkpoint.restore(model, optimizer)
    assert restored is not None
    assert restored[0] == STATE
    for one, other in zip(restored[1], best, strict=True):
        assert_array_equal(one, other)
    for variable, value in zip([*model.variables, *optimizer.variables], values, strict=True):
        assert_array_equal(variable.numpy(), value)


def test_what_is_saved_is_restored_to_the_bit(tmp_path: Path):
    assert_restored(*saved(tmp_path / "folder" / "checkpoint.npz"))


def rewritten(path: Path, state: dict[str, object]) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    arrays["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    np.savez(path, **arrays)


def test_a_checkpoint_that_calls_its_intervals_rounds_is_restored(tmp_path: Path):
    """As every version before 0.2 wrote it, in these very words."""
    written = saved(tmp_path / "checkpoint.npz")
    old = {"step": 7, "elapsed_s": 1.5, "best_loss": 0.25, "best_step": 4, "stale": 1, "sums": [2.0]}
    rewritten(tmp_path / "checkpoint.npz", {**old, "rounds": [{"step": 4, "loss": 0.5}], "pace": []})
    assert_restored(*written)


def test_a_state_of_other_names_is_refused(tmp_path: Path):
    checkpoint, *_ = saved(tmp_path / "checkpoint.npz")
    rewritten(checkpoint.path, {"steps": 7})
    with pytest.raises(AmpsimError, match=r"checkpoint\.npz is no checkpoint of this run"):
        checkpoint.restore(*parts(1))


def test_where_there_is_no_file_nothing_is_restored(tmp_path: Path):
    assert Checkpoint(tmp_path / "checkpoint.npz").restore(*parts(1)) is None
