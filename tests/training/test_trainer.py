"""Fits of a tiny net: the same twice, the same when broken off and resumed, and within their budget."""

import errno
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_array_equal
from synthetic import pair

from ampsim import AmpsimError, DivergedError
from ampsim.losses import ESR, MAE, MSE, Balanced, Sum
from ampsim.metrics import esr, waveform_scores
from ampsim.models import Dense
from ampsim.recordings.pairs import Span
from ampsim.training.observer import Observer
from ampsim.training.schedules import Constant, Cosine
from ampsim.training.segments import Segments
from ampsim.training.state import Progress, State
from ampsim.training.trainer import Trainer, plain_rate

TAKE = pair(1.5)
VALIDATION = [Span(TAKE, 9500, 11_000), Span(TAKE, 11_100, 12_000)]
SEGMENT_LENGTH = 400


class Interrupted(Exception):
    """What breaks a fit off in these tests."""


class Watcher(Observer):
    """An observer whose methods are the functions that it is given."""

    def __init__(self, **methods: Callable[..., object]) -> None:
        self.__dict__.update(methods)


@pytest.fixture(autouse=True, scope="module")
def _deterministic() -> None:
    tf.config.experimental.enable_op_determinism()


def trainer(
    *,
    seed: int = 0,
    dropout: float = 0.2,
    loss: Sum | None = None,
    optimizer: keras.optimizers.Optimizer | None = None,
    schedule=None,
    **arguments: object,
) -> Trainer:
    """A fresh net and trainer, as a new process would make them; 22 steps an epoch unless the batch says otherwise."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = Dense(window=16, future=4, layers=2, units=4, dropout=dropout)
    model.build()
    segments = Segments(
        [Span(TAKE, 0, 9400)], history=model.history, lookahead=model.lookahead, segment_length=SEGMENT_LENGTH
    )
    return Trainer(
        model,
        loss or Sum(terms={"esr": ESR(), "mae": MAE(weight=0)}),
        optimizer or keras.optimizers.Adam(0.01),
        schedule or Cosine(final=0.1),
        segments,
        VALIDATION,
        **{"batch_size": 1, "epochs": 3, "seed": seed, "steps_per_call": 4, **arguments},
    )


def weights(fit: Trainer) -> list[np.ndarray]:
    return [variable.numpy() for variable in fit.model.variables]


def test_out_of_memory_says_what_to_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = trainer()

    def full() -> int:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(fit, "call", full)
    with pytest.raises(AmpsimError, match=r"lower training\.batch_size or training\.segment_length"):
        fit.fit()


def test_a_disk_that_becomes_full_leaves_the_checkpoint_before_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "checkpoint.npz"
    fit = trainer(checkpoint=path, checkpoint_every_s=0)

    def full(file: object, **arrays: np.ndarray) -> None:
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill(row: dict[str, float]) -> None:
        monkeypatch.setattr(np, "savez", full)

    with pytest.raises(AmpsimError, match=r"cannot be written: No space left on device; .* training\.resume=true"):
        fit.fit(Watcher(interval=fill))
    assert list(tmp_path.iterdir()) == [path]
    assert trainer(checkpoint=path, resume=True).state.step > 0


def without_times(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key != "elapsed_s"} for row in rows]


@pytest.fixture(scope="module")
def unbroken() -> Trainer:
    fit = trainer()
    fit.fit()
    return fit


# ---- the same run twice ----


def test_the_same_seed_gives_the_same_weights_to_the_bit(unbroken: Trainer):
    again = trainer()
    again.fit()
    for first, second in zip(weights(unbroken), weights(again), strict=True):
        assert_array_equal(first, second)
    assert without_times(unbroken.state.intervals) == without_times(again.state.intervals)


def test_another_seed_gives_other_weights(unbroken: Trainer):
    other = trainer(seed=1)
    other.fit()
    assert np.abs(weights(unbroken)[0] - weights(other)[0]).max() > 1e-3


def test_how_many_steps_one_call_takes_does_not_change_the_numbers(unbroken: Trainer):
    other = trainer(steps_per_call=1)
    other.fit()
    for first, second in zip(weights(unbroken), weights(other), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


def break_in_call(after: int) -> Observer:
    count = 0

    def report(_: Progress) -> None:
        nonlocal count
        count += 1
        if count > after:
            raise Interrupted

    return Watcher(progress=report)


def break_in_interval(number: int) -> Observer:
    def interval(row: dict[str, float]) -> None:
        if row["epoch"] >= number:
            raise Interrupted

    return Watcher(interval=interval)


@pytest.mark.parametrize(
    "interruption",
    [break_in_call(1), break_in_call(8), break_in_interval(1), break_in_interval(3)],
    ids=["in the first interval", "in the second interval", "at the end of an interval", "at the very end"],
)
def test_a_fit_that_was_broken_off_and_resumed_is_the_unbroken_one(tmp_path: Path, unbroken: Trainer, interruption):
    where = {"checkpoint": tmp_path / "folder" / "checkpoint.npz", "checkpoint_every_s": 0}
    broken = trainer(**where)
    with pytest.raises(Interrupted):
        broken.fit(interruption)
    resumed = trainer(resume=True, **where)
    assert 0 < resumed.state.step < unbroken.state.step
    rows: list[dict[str, float]] = []
    state = resumed.fit(Watcher(interval=rows.append))
    for first, second in zip(weights(unbroken), weights(resumed), strict=True):
        assert_array_equal(first, second)
    assert without_times(state.intervals) == without_times(unbroken.state.intervals)
    assert (state.best_loss, state.best_step, state.step, state.stale) == (
        unbroken.state.best_loss,
        unbroken.state.best_step,
        unbroken.state.step,
        unbroken.state.stale,
    )
    assert rows == state.intervals[-len(rows) :]
    assert state.intervals[-1]["elapsed_s"] >= broken.state.elapsed_s - 1  # the time before the break counts
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["checkpoint.npz"]


def test_a_balanced_loss_goes_on_with_the_norms_that_it_had(tmp_path: Path):
    def balanced() -> Sum:
        loss = Balanced(terms={"esr": ESR(), "mae": MAE(weight=0.5)})
        return loss.prepare(sample_rate=44100, segment_length=SEGMENT_LENGTH, target=tf.constant(TAKE.target[None]))

    where = {"checkpoint": tmp_path / "checkpoint.npz", "checkpoint_every_s": 0}
    whole = trainer(loss=balanced())
    whole.fit()
    with pytest.raises(Interrupted):
        trainer(loss=balanced(), **where).fit(break_in_call(8))
    resumed = trainer(loss=balanced(), resume=True, **where)
    resumed.fit()
    for first, second in zip(weights(whole), weights(resumed), strict=True):
        assert_array_equal(first, second)
    assert without_times(whole.state.intervals) == without_times(resumed.state.intervals)
    assert_array_equal(whole.loss.variables[0].numpy(), resumed.loss.variables[0].numpy())
    assert whole.state.intervals[-1]["loss"] < whole.state.intervals[0]["loss"]


@pytest.mark.parametrize(("validate_every", "epoch"), [(0.5, 0.5), (1, 1), (2, 1)])
def test_a_fit_that_is_asked_to_stop_ends_its_interval_and_goes_on_as_the_unbroken_one(
    tmp_path: Path, validate_every: float, epoch: float
):
    """With an interval that an unbroken fit would not have validated, too."""
    whole = trainer(epochs=4, validate_every=validate_every)
    whole.fit()
    where = {"checkpoint": tmp_path / "checkpoint.npz", "epochs": 4, "validate_every": validate_every}
    fit = trainer(**where)
    rows: list[dict[str, float]] = []
    state = fit.fit(Watcher(interval=rows.append, stop=lambda: True))
    assert fit.stopped
    assert (len(rows), rows[-1]["epoch"], state.best_step) == (1, epoch, state.step)
    assert rows[-1]["validation_loss"] == state.best_loss
    resumed = trainer(resume=True, **where)
    assert resumed.state.step == state.step
    resumed.fit(Watcher(interval=rows.append))
    assert not resumed.stopped
    for first, second in zip(weights(whole), weights(resumed), strict=True):
        assert_array_equal(first, second)
    assert without_times(resumed.state.intervals) == without_times(whole.state.intervals)
    assert [row["step"] for row in rows] == [row["step"] for row in whole.state.intervals]


def test_a_fit_that_is_asked_to_stop_where_it_ends_has_not_been_stopped():
    fit = trainer(epochs=1)
    fit.fit(Watcher(stop=lambda: True))
    assert not fit.stopped


def test_a_fit_that_is_done_and_resumed_keeps_its_best_weights(tmp_path: Path):
    where = {"checkpoint": tmp_path / "checkpoint.npz", "checkpoint_every_s": 0, "epochs": 1}
    first = trainer(**where)
    first.fit()
    again = trainer(resume=True, **where)
    state = again.fit()
    assert state.step == first.state.step
    for one, other in zip(weights(first), weights(again), strict=True):
        assert_array_equal(one, other)


def test_without_resume_a_checkpoint_is_not_looked_at(tmp_path: Path, unbroken: Trainer):
    (tmp_path / "checkpoint.npz").write_bytes(b"of another run")
    fresh = trainer(checkpoint=tmp_path / "checkpoint.npz")
    fresh.fit()
    assert_array_equal(weights(fresh)[0], weights(unbroken)[0])


def garbage(path: Path) -> None:
    path.write_bytes(b"not a checkpoint")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def of_another_net(path: Path) -> None:
    with np.load(path) as saved:
        arrays = dict(saved)
    arrays["variable_0"] = arrays["variable_0"][:3]
    with path.open("wb") as file:
        np.savez(file, **arrays)


def of_another_program(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, weights=np.zeros(3))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "checkpoint.npz"
    with pytest.raises(Interrupted):
        trainer(checkpoint=path, checkpoint_every_s=0).fit(break_in_call(3))
    return path


@pytest.mark.parametrize(
    "spoil",
    [garbage, emptied, truncated, flipped, of_another_net, of_another_program],
    ids=lambda spoil: spoil.__name__,
)
def test_a_spoilt_checkpoint_is_named(tmp_path: Path, checkpoint: Path, spoil):
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(checkpoint.read_bytes())
    spoil(path)
    with pytest.raises(AmpsimError, match=r"checkpoint\.npz is no checkpoint of this run"):
        trainer(checkpoint=path, resume=True)


def test_a_checkpoint_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AmpsimError, match=r"checkpoint\.npz cannot be written"):
        trainer(checkpoint=tmp_path / "file" / "checkpoint.npz", checkpoint_every_s=0).fit()


# ---- the best weights ----


def test_the_best_weights_are_kept_and_not_the_last():
    fit = trainer(epochs=4)
    seen: list[tuple[float, list[np.ndarray]]] = []

    def spoil_the_end(row: dict[str, float]) -> None:
        seen.append((row["validation_loss"], weights(fit)))
        if row["epoch"] == 2:
            for variable in fit.model.trainable_variables:
                variable.assign(20 * tf.ones_like(variable))

    state = fit.fit(Watcher(interval=spoil_the_end))
    losses = [loss for loss, _ in seen]
    best = int(np.argmin(losses))
    assert best < 2
    assert losses[-1] > 2 * losses[best]  # else the test would show nothing
    for kept, expected in zip(weights(fit), seen[best][1], strict=True):
        assert_array_equal(kept, expected)
    assert (state.best_loss, state.best_step) == (losses[best], state.intervals[best]["step"])


def test_validation_is_on_whole_signals_against_numpy(unbroken: Trainer):
    row = min(unbroken.state.intervals, key=lambda row: row["validation_loss"])
    model = unbroken.model
    parts = [
        (span.target, model(span.input(history=model.history, lookahead=model.lookahead)[None]).numpy()[0])
        for span in VALIDATION
    ]
    target, prediction = (np.concatenate(side) for side in zip(*parts, strict=True))
    assert row["validation_esr"] == pytest.approx(esr(target, prediction), rel=1e-4)
    weighted = sum(len(t) * esr(t, p) for t, p in parts) / len(target)
    assert row["validation_loss"] == pytest.approx(weighted, rel=1e-4)


def test_training_learns():
    fit = trainer(dropout=0, epochs=10)
    state = fit.fit()
    assert state.best_loss < 0.3 < state.intervals[0]["loss"]


def test_an_interval_tells_the_mean_loss_and_each_term():
    """With a learning rate of 0 every step's loss can be computed from the segments by hand."""
    fit = trainer(dropout=0, optimizer=keras.optimizers.SGD(0.0), epochs=1, batch_size=3)
    starts = fit.segments.epoch(0, batch_size=3, seed=0)
    context = fit.model.receptive_field - 1
    esrs, maes = [], []
    for batch in starts:
        heard = np.stack([fit.segments.input[at : at + SEGMENT_LENGTH + context] for at in batch])
        target = np.stack([fit.segments.target[at : at + SEGMENT_LENGTH] for at in batch]).astype(float)
        error = target - fit.model(heard).numpy()
        esrs.append(np.sum(error**2) / np.sum(target**2))
        maes.append(np.mean(np.abs(error)))
    (row,) = fit.fit().intervals
    assert row["loss"] == pytest.approx(np.mean(esrs), rel=1e-4)
    assert row["loss_esr"] == pytest.approx(np.mean(esrs), rel=1e-4)
    assert row["loss_mae"] == pytest.approx(np.mean(maes), rel=1e-4)
    assert (row["step"], row["epoch"]) == (len(starts), 1)


def test_a_step_is_the_optimizers_own_on_the_loss_of_the_segment():
    """One step of plain SGD by hand: weights minus learning rate times gradient."""
    fit = trainer(dropout=0, optimizer=keras.optimizers.SGD(0.1), schedule=Constant(), loss=Sum(terms={"mse": MSE()}))
    at = fit.segments.epoch(0, batch_size=1, seed=0)[0, 0]
    heard = fit.segments.input[None, at : at + SEGMENT_LENGTH + fit.model.receptive_field - 1]
    target = fit.segments.target[None, at : at + SEGMENT_LENGTH]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((target - fit.model(heard, training=True)) ** 2)
    slopes = tape.gradient(loss, fit.model.trainable_variables)
    expected = [
        variable.numpy() - 0.1 * slope.numpy()
        for variable, slope in zip(fit.model.trainable_variables, slopes, strict=True)
    ]
    fit.budget = replace(fit.budget, epochs=1 / fit.epoch_steps)
    fit.fit()
    for variable, value in zip(fit.model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, atol=1e-6)


# ---- budget and patience ----


@pytest.mark.parametrize(("epochs", "batch_size"), [(1.5, 1), (0.25, 1), (2, 5), (0.001, 1)])
def test_a_budget_in_epochs_is_exact_in_steps(epochs: float, batch_size: int):
    fit = trainer(epochs=epochs, batch_size=batch_size)
    state = fit.fit()
    per_epoch = math.ceil(fit.segments.num_segments / batch_size)
    assert state.step == max(1, round(epochs * per_epoch))
    assert int(fit.optimizer.iterations) == state.step
    assert state.intervals[-1]["epoch"] == pytest.approx(state.step / per_epoch)
    assert "validation_loss" in state.intervals[-1]  # what was trained last is validated too


def test_a_budget_in_seconds_ends_the_fit_at_the_first_call_past_it():
    fit = trainer(epochs=None, seconds=1.5)
    elapsed: list[float] = []
    state = fit.fit(Watcher(progress=lambda _: elapsed.append(fit.state.elapsed_s)))
    assert all(seconds < 1.5 for seconds in elapsed[:-1])
    assert state.elapsed_s >= 1.5
    assert len(state.intervals) >= 1
    assert math.isfinite(state.best_loss)


def test_a_replayed_pace_gives_the_weights_of_the_clock_to_the_bit():
    """Every call of the first fit seemed to take another time; the second fit's calls take none that counts."""
    first = trainer(epochs=None, seconds=1.0)
    first.fit(Watcher(progress=lambda _: time.sleep(0.01 * (first.state.step % 3))))
    again = trainer(epochs=None, seconds=1.0, pace=list(first.state.pace))
    again.fit()
    assert first.state.pace == again.state.pace == sorted(first.state.pace)
    assert first.state.step == again.state.step
    assert [row["learning_rate"] for row in again.state.intervals] == [
        row["learning_rate"] for row in first.state.intervals
    ]
    for one, other in zip(weights(first), weights(again), strict=True):
        assert_array_equal(one, other)


def test_a_fit_ends_with_the_pace_that_it_replays_and_one_in_epochs_keeps_none(unbroken: Trainer):
    fit = trainer(epochs=None, seconds=1e9, pace=[0.1, 0.2, 0.3])
    fit.fit()
    assert fit.state.step == 3 * 4
    assert unbroken.state.pace == []


def test_a_budget_in_seconds_that_compiling_alone_uses_up_still_gives_an_interval():
    fit = trainer(epochs=None, seconds=1e-3)
    rows: list[dict[str, float]] = []
    state = fit.fit(Watcher(interval=rows.append))
    assert state.step == 4  # one call
    assert [row["step"] for row in rows] == [4]
    assert "validation_loss" in rows[0]


def test_a_fit_without_a_budget_is_refused():
    with pytest.raises(AmpsimError, match=r"training\.epochs or training\.seconds"):
        trainer(epochs=None, seconds=None)


def test_patience_counts_validations_without_a_better_one():
    fit = trainer(dropout=0, epochs=50, patience=2, optimizer=keras.optimizers.SGD(0.0))
    state = fit.fit()
    assert len(state.intervals) == 3  # the first is the best, two more are not better
    assert (state.stale, state.best_step) == (2, state.intervals[0]["step"])


@pytest.mark.parametrize(
    ("validate_every", "validated", "logged"),
    [(1, [1, 2, 3, 4], 4), (2, [2, 4], 4), (3, [3, 4], 4), (0.5, [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4], 8)],
)
def test_validation_comes_as_often_as_asked_and_at_the_end(validate_every: float, validated: list, logged: int):
    state = trainer(epochs=4, validate_every=validate_every).fit()
    assert len(state.intervals) == logged
    epochs = [row["epoch"] for row in state.intervals if "validation_loss" in row]
    assert epochs == pytest.approx(validated, abs=0.03)


def test_progress_tells_how_far_the_fit_is():
    seen: list[Progress] = []
    fit = trainer(epochs=2)
    state = fit.fit(Watcher(progress=seen.append))
    total = state.step
    assert seen[0].done == pytest.approx(4 / total)
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    assert seen[-1].done == 1
    assert seen[-1].epoch == 2
    assert seen[-1].remaining_s == 0
    assert seen[-1].loss == pytest.approx(state.intervals[-1]["loss"])  # at an interval's end both are its mean


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("ampsim.training.trainer.time.perf_counter", lambda: self.now)

    def taking(self, fit: Trainer, *, compile_s: float, call_s: float) -> None:
        """Have the training function of a fit take so long by this clock."""
        run_steps = fit.run_steps

        def slow(starts: tf.Tensor, rates: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
            self.now += call_s if int(count) else compile_s
            return run_steps(starts, rates, count)

        fit.run_steps = slow


def test_compiling_takes_nothing_from_a_budget_in_seconds_and_is_told(monkeypatch: pytest.MonkeyPatch):
    fit, notices, doings = trainer(epochs=None, seconds=30), [], []
    Clock(monkeypatch).taking(fit, compile_s=25, call_s=1)
    state = fit.fit(Watcher(notice=notices.append, doing=doings.append))
    assert (state.step, state.elapsed_s) == (30 * 4 - 2 * 5, 30)  # an epoch of 22 steps ends with a call of 2
    assert state.pace == [float(second) for second in range(1, 31)]
    assert notices == ["compiling the training step took 25 s; the 30 s of training begin now"]
    assert doings[0] == "compiling the training step"
    assert "validating" in doings


def test_a_fit_whose_compiling_is_quick_or_that_counts_epochs_says_nothing_of_it(monkeypatch: pytest.MonkeyPatch):
    for arguments, compile_s in (({"epochs": None, "seconds": 30.0}, 1), ({"epochs": 1}, 100)):
        fit, notices = trainer(**arguments), []
        Clock(monkeypatch).taking(fit, compile_s=compile_s, call_s=1)
        fit.fit(Watcher(notice=notices.append))
        assert notices == []


def test_the_time_left_is_that_of_steps_and_not_of_compiling(monkeypatch: pytest.MonkeyPatch):
    fit, seen = trainer(epochs=2), []
    Clock(monkeypatch).taking(fit, compile_s=1000, call_s=1)
    fit.fit(Watcher(progress=seen.append))
    total_s = 44 / 4  # as long as every call takes four steps
    assert seen[0].remaining_s == pytest.approx(total_s - 1)
    assert [progress.remaining_s for progress in seen] == sorted((p.remaining_s for p in seen), reverse=True)


def test_compiling_takes_no_step(unbroken: Trainer):
    fit = trainer()
    before = [variable.numpy() for variable in (*fit.model.variables, *fit.optimizer.variables)]
    fit.warm_up(Observer())
    after = [variable.numpy() for variable in (*fit.model.variables, *fit.optimizer.variables)]
    for one, other in zip(before, after, strict=True):
        assert_array_equal(one, other)
    fit.fit()
    for one, other in zip(weights(unbroken), weights(fit), strict=True):
        assert_array_equal(one, other)


# ---- learning rate ----


def test_the_learning_rate_follows_the_schedule_over_the_budget():
    fit = trainer(epochs=2, optimizer=keras.optimizers.Adam(0.02), schedule=Cosine(final=0.1))
    state = fit.fit()
    for row in state.intervals:
        progress = (row["step"] - 1) / state.step  # of the last step taken
        expected = 0.02 * (0.1 + 0.9 * (1 + math.cos(math.pi * progress)) / 2)
        assert row["learning_rate"] == pytest.approx(expected, rel=1e-5)


def test_a_schedule_of_keras_own_is_left_to_itself():
    decay = keras.optimizers.schedules.ExponentialDecay(0.01, decay_steps=10, decay_rate=0.5)
    state = trainer(epochs=2, optimizer=keras.optimizers.Adam(decay), schedule=Constant()).fit()
    for row in state.intervals:
        assert row["learning_rate"] == pytest.approx(0.01 * 0.5 ** (row["step"] / 10), rel=1e-5)


def test_the_plain_rate_is_a_number_unless_keras_computes_it():
    decay = keras.optimizers.schedules.ExponentialDecay(0.01, decay_steps=10, decay_rate=0.5)
    assert plain_rate(keras.optimizers.Adam(0.25)) == 0.25
    assert plain_rate(keras.optimizers.Muon(0.25)) == 0.25
    assert plain_rate(keras.optimizers.Adam(decay)) is None


# ---- divergence ----


def test_a_loss_that_becomes_nan_ends_the_fit_with_the_best_weights():
    fit = trainer(epochs=5)
    best: list[np.ndarray] = []

    def poison(row: dict[str, float]) -> None:
        if row["epoch"] == 1:
            best.extend(weights(fit))
            kernel = fit.model.head.kernel  # past the last ReLU, which may turn NaN into 0
            kernel.assign(np.nan * kernel)

    with pytest.raises(DivergedError, match=r"loss became nan near epoch 1\.\d+: lower optimizer\.learning_rate"):
        fit.fit(Watcher(interval=poison))
    for kept, expected in zip(weights(fit), best, strict=True):
        assert_array_equal(kept, expected)
    assert DivergedError.exit_code == 3


def test_a_validation_loss_that_is_nan_does_not_pass_for_a_result():
    """No weights are ever better than NaN, so the untrained ones would be kept without a word."""
    fit = trainer(epochs=2)
    fit.validate = lambda: {"validation_loss": math.nan, "validation_esr": math.nan}
    with pytest.raises(DivergedError, match=r"validation loss became nan at epoch 1\.00"):
        fit.fit()


def test_a_fresh_state_is_that_of_no_step():
    assert (State().step, State().best_loss, State().intervals) == (0, math.inf, [])


@pytest.mark.parametrize(("times", "better"), [(1e-9, True), (1.04, True), (1.06, False), (1e9, False)])
def test_what_a_model_solves_for_is_kept_if_validation_is_hardly_worse_for_it(
    times: float, better: bool, tmp_path: Path
):
    plain, fit = trainer(epochs=1), trainer(epochs=1, checkpoint=tmp_path / "checkpoint.npz")
    trained = plain.fit() and weights(plain)

    solved: list[int] = []
    told: list[dict[str, float]] = []
    validate = fit.validate

    def solve(examples: list) -> bool:
        solved.append(sum(len(each.target) for each in examples))
        fit.model.variables[-1].assign(0 * fit.model.variables[-1])
        return True

    object.__setattr__(fit.model, "solve", solve)
    fit.validate = lambda: validate() | ({"validation_loss": times * fit.state.best_loss} if solved else {})
    state = fit.fit(Watcher(interval=told.append))
    assert solved == [9400]
    if better:
        assert told[-1]["step"] == state.best_step == state.step + 1
        assert "loss" not in told[-1]
    else:
        assert told == state.intervals[: len(told)]
        for one, other in zip(weights(fit), trained, strict=True):
            assert_array_equal(one, other)
    again = trainer(epochs=1, checkpoint=tmp_path / "checkpoint.npz", resume=True)
    for one, other in zip(again.best, trained, strict=True):  # the checkpoint is of the training alone
        assert_array_equal(one, other)


def test_a_batch_beyond_the_limit_is_refused_before_it_is_set_aside(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(
        AmpsimError, match=r"an epoch with training\.batch_size=1000000000 would take [\d,]+\.\d GB of memory"
    ):
        trainer(batch_size=10**9)
    monkeypatch.setenv("AMPSIM_MEMORY_GB", "0.001")
    with pytest.raises(AmpsimError, match=r"training\.batch_size=2000 .* may take 1\.0 MB"):
        trainer(batch_size=2000)


def test_steps_in_one_call_are_no_more_than_are_taken():
    """And the weights are the same, since only the shape of a call differs."""
    weights = []
    for steps in (22, 10**9):
        fit = trainer(epochs=1, steps_per_call=steps)
        fit.fit()
        weights.append(fit.model.get_weights())
    for one, other in zip(*weights, strict=True):
        assert_array_equal(one, other)


def test_an_observer_hears_each_validation():
    """What it is given scores what the training curves say of the same step."""
    told: dict[int, float] = {}
    fit = trainer(epochs=2, validate_every=1)
    fit.fit(Watcher(validated=lambda step, pairs: told.update({step: waveform_scores(pairs)["esr"]})))
    assert told == {row["step"]: row["validation_esr"] for row in fit.state.intervals if "validation_esr" in row}
    assert len(told) == 2
