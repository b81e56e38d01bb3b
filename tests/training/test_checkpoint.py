"""A checkpoint is read back whole, and so is one that an earlier version wrote."""

import json
import os
import tracemalloc
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


def parts(seed: int) -> tuple[list[keras.Variable], list[keras.Variable]]:
    keras.utils.set_random_seed(seed)
    model = Dense(window=8, future=2, layers=1, units=3)
    model.build()
    optimizer = keras.optimizers.Adam(0.01 * (1 + seed))
    optimizer.build(model.trainable_variables)
    return model.variables, optimizer.variables


def saved(path: Path) -> tuple[Checkpoint, list[np.ndarray], list[np.ndarray]]:
    """A checkpoint, the values of its variables, and its best weights, which are others."""
    model, others = parts(0)
    best = [2 * variable.numpy() for variable in model]
    Checkpoint(path).save(STATE, model, others, best)
    return Checkpoint(path), [variable.numpy() for variable in [*model, *others]], best


def assert_restored(checkpoint: Checkpoint, values: list[np.ndarray], best: list[np.ndarray]) -> None:
    model, others = parts(1)
    restored = checkpoint.restore(model, others)
    assert restored is not None
    assert restored[0] == STATE
    for one, other in zip(restored[1], best, strict=True):
        assert_array_equal(one, other)
    for variable, value in zip([*model, *others], values, strict=True):
        assert_array_equal(variable.numpy(), value)


def test_what_is_saved_is_restored_to_the_bit(tmp_path: Path):
    assert_restored(*saved(tmp_path / "folder" / "checkpoint.npz"))


def rewritten(path: Path, state: object) -> None:
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


GOOD = {"step": 7, "elapsed_s": 1.5, "best_loss": 0.25, "best_step": 4, "intervals": [{"step": 4, "loss": 0.5}]}
WRONG = {
    "a list": [1, 2],
    "a number": 7,
    "step as text": {**GOOD, "step": "7"},
    "step as a fraction": {**GOOD, "step": 7.5},
    "no loss": {**GOOD, "best_loss": None},
    "sums as one number": {**GOOD, "sums": 2.0},
    "intervals as text": {**GOOD, "intervals": "none"},
    "interval of text": {**GOOD, "intervals": [{"step": 4, "loss": "low"}]},
    "interval without a step": {**GOOD, "intervals": [{"loss": 0.5}]},
    "interval to come": {**GOOD, "intervals": [{"step": 4}, {"step": 9}]},
    "below 0": {**GOOD, "step": -7},
    "no interval of the best": {**GOOD, "best_step": 5},
}


@pytest.mark.parametrize("state", WRONG.values(), ids=WRONG.keys())
def test_a_state_of_wrong_types_is_refused(state: object, tmp_path: Path):
    checkpoint, *_ = saved(tmp_path / "checkpoint.npz")
    rewritten(checkpoint.path, GOOD)
    assert checkpoint.restore(*parts(1)) is not None
    rewritten(checkpoint.path, state)
    with pytest.raises(AmpsimError, match=r"checkpoint\.npz is no checkpoint of this run \(.+\): remove it"):
        checkpoint.restore(*parts(1))


ARRAYS = {
    "of another shape": lambda value: np.zeros((9, 9), np.float32),
    "of text": lambda value: np.full(value.shape, "loud"),
    "of complex numbers": lambda value: value.astype(np.complex64),
    "of dates": lambda value: np.zeros(value.shape, "datetime64[s]"),
}


@pytest.mark.parametrize("name", ["best_0", "variable_0", "state"])
@pytest.mark.parametrize("change", ARRAYS.values(), ids=ARRAYS.keys())
def test_an_array_that_is_none_of_the_models_is_refused_before_any_is_set(name: str, change: object, tmp_path: Path):
    checkpoint, *_ = saved(tmp_path / "checkpoint.npz")
    with np.load(checkpoint.path) as file:
        arrays = dict(file)
    np.savez(checkpoint.path, **{**arrays, name: change(arrays[name].astype(np.float32))})
    model, others = parts(1)
    before = [variable.numpy() for variable in model]
    with pytest.raises(AmpsimError, match="is no checkpoint of this run"):
        checkpoint.restore(model, others)
    for variable, value in zip(model, before, strict=True):
        assert_array_equal(variable.numpy(), value)


def test_where_there_is_no_file_nothing_is_restored(tmp_path: Path):
    assert Checkpoint(tmp_path / "checkpoint.npz").restore(*parts(1)) is None


def test_a_packed_checkpoint_is_refused_before_it_is_unpacked(tmp_path: Path):
    checkpoint, _, _ = saved(tmp_path / "checkpoint.npz")
    with np.load(checkpoint.path) as file:
        np.savez_compressed(checkpoint.path, **{**file, "best_0": np.zeros(50_000_000, np.float32)})
    tracemalloc.start()
    with pytest.raises(AmpsimError, match="compressed, which no checkpoint is"):
        checkpoint.restore(*parts(1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_pipe_in_its_place_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "checkpoint.npz")
    with pytest.raises(AmpsimError, match="is no file, but a pipe"):
        Checkpoint(tmp_path / "checkpoint.npz").restore(*parts(1))
