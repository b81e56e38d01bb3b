"""Nets that are trained together: as each alone, each with its own best weights, and the same when broken off and resumed."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import pair

from ampsim.losses import ESR, Sum
from ampsim.models import AmpModel, Slimmable, WaveNet
from ampsim.recordings.pairs import Span
from ampsim.training.observer import Observer
from ampsim.training.schedules import Cosine
from ampsim.training.segments import Segments
from ampsim.training.state import Progress
from ampsim.training.trainer import Trainer

TAKE = pair(1.5)
SHAPE: dict[str, Any] = {
    "head_scale": 0.5,
    "head_kernel_size": 3,
    "activation": "leaky_relu",
}  # which compiles its parts


def together() -> Slimmable:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    model = Slimmable(channels=[2, 3], dilations=[1, 4], kernel_size=[3, 2], **SHAPE)
    model.build()
    return model


def alone(like: AmpModel, channels: int) -> WaveNet:
    model = WaveNet(channels=[channels], dilations=[[1, 4]], kernel_size=[[3, 2]], **SHAPE)
    model.build()
    model.set_weights(like.get_weights())
    return model


def trainer(model: AmpModel, optimizer: keras.optimizers.Optimizer | None = None, **arguments: Any) -> Trainer:
    tf.config.experimental.enable_op_determinism()
    spans = [Span(TAKE, 0, 9400)]
    segments = Segments(spans, history=model.history, lookahead=model.lookahead, segment_length=400)
    options = {"batch_size": 2, "epochs": 4, "steps_per_call": 3, "validate_every": 0.5} | arguments
    loss, validation = Sum(terms={"esr": ESR()}), [Span(TAKE, 9500, 12_000)]
    optimizer = optimizer or keras.optimizers.Adam(0.1)
    return Trainer(model, loss, optimizer, Cosine(), segments, validation, **options)


@pytest.fixture(scope="module")
def unbroken() -> Trainer:
    fit = trainer(together())
    fit.fit()
    return fit


def test_each_keeps_the_weights_that_were_best_by_its_own_validation(unbroken: Trainer):
    state, rows = unbroken.state, unbroken.state.intervals
    for name in ("lite", "full"):
        lowest = min(row[f"validation_loss_{name}"] for row in rows)
        assert state.member_losses[name] == lowest
        assert unbroken.validate()[f"validation_loss_{name}"] == pytest.approx(lowest, rel=1e-6)
    assert state.best_loss == sum(state.member_losses.values())
    assert all(row["validation_esr"] == row["validation_esr_full"] for row in rows)
    best = [min(rows, key=lambda row: row[f"validation_loss_{name}"])["step"] for name in ("lite", "full")]
    assert state.best_step == max(best)
    assert best[0] != best[1]  # or this test would show nothing


@pytest.mark.parametrize(("name", "channels"), [("lite", 2), ("full", 3)])
def test_each_learns_what_it_would_learn_alone(unbroken: Trainer, name: str, channels: int):
    fit = trainer(alone(together().members()[name], channels))
    fit.fit()
    expected = [row["validation_loss"] for row in fit.state.intervals]
    assert_allclose([row[f"validation_loss_{name}"] for row in unbroken.state.intervals], expected, rtol=2e-3)


def test_an_optimizer_of_matrices_trains_them_too():
    fit = trainer(together(), optimizer=keras.optimizers.Muon(0.01), epochs=2)
    fit.fit()
    losses = [row["validation_loss"] for row in fit.state.intervals]
    assert losses[-1] < losses[0]


class Interrupted(Exception):
    pass


class Breaking(Observer):
    calls = 0

    def progress(self, progress: Progress) -> None:
        self.calls += 1
        if self.calls == 14:
            raise Interrupted


def test_broken_off_and_resumed_it_is_the_unbroken_one(unbroken: Trainer, tmp_path: Path):
    where = {"checkpoint": tmp_path / "checkpoint.npz", "checkpoint_every_s": 0}
    with pytest.raises(Interrupted):
        trainer(together(), **where).fit(Breaking())
    resumed = trainer(together(), resume=True, **where)
    assert 0 < resumed.state.step < unbroken.state.step
    assert resumed.state.member_losses
    resumed.fit()
    for first, second in zip(unbroken.model.get_weights(), resumed.model.get_weights(), strict=True):
        assert_array_equal(first, second)
    timeless = [
        [{key: value for key, value in row.items() if key != "elapsed_s"} for row in fit.state.intervals]
        for fit in (unbroken, resumed)
    ]
    assert timeless[0] == timeless[1]
    assert np.isfinite(unbroken.state.best_loss)
