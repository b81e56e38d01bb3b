"""Fits a model to segments within a budget, validating on whole signals, keeping the best weights and a checkpoint."""

import json
import math
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ampsim import AmpsimError, DivergedError
from ampsim.losses import Sum
from ampsim.metrics import scores
from ampsim.models import AmpModel
from ampsim.models.layers import products_in
from ampsim.models.optimizing import leave_to_adam
from ampsim.models.rendering import Renderer
from ampsim.recordings.pairs import Span
from ampsim.training.segments import Segments


@dataclass
class State:
    """Where a run stands, apart from its weights; what a checkpoint holds as JSON."""

    step: int = 0  # optimizer steps taken
    elapsed_s: float = 0.0  # wall time spent fitting, compilation and validation included
    best_loss: float = math.inf
    best_step: int = 0
    stale: int = 0  # validations since the best
    sums: list[float] = field(default_factory=list)  # of each loss term over the current round
    rounds: list[dict[str, float]] = field(default_factory=list)  # what was logged, one dict a round
    pace: list[float] = field(default_factory=list)  # elapsed_s after each call, where the budget is in seconds


@dataclass(frozen=True)
class Progress:
    """How far a fit has come, for whoever shows it."""

    done: float  # 0 to 1
    epoch: float
    loss: float
    samples_per_s: float
    remaining_s: float


def ignore(_: Any) -> None:
    pass


SOLVED_LENGTH, SOLVED_STRETCHES = 200_000, 8  # samples of training audio that a model may solve for weights from


class Trainer:
    """One fit of one model.

    Args:
        loss: called with (batch, n) target and prediction.
        optimizer: a Keras optimizer; its learning rate is multiplied by `schedule(progress)` unless it brings a Keras
            schedule of its own.
        segments: what to train on. An epoch sees every segment once.
        validation: spans to validate on, whole. The weights with the lowest validation loss are kept.
        batch_size: segments per optimizer step; None does what suits the model.
        epochs, seconds: the budget; the first that is reached ends the fit. One of them may be None.
        validate_every: in epochs; a fraction validates several times an epoch.
        patience: validations without a better one after which to stop; None never stops early.
        steps_per_call: optimizer steps in one call of the compiled function.
        xla: compile the step with XLA; None does what suits the model.
        precision: of the numbers in matrix products, "float32" or "bfloat16"; all else is float32, and so is rendering.
        checkpoint: the file to keep a checkpoint in, or None.
        checkpoint_every_s: seconds between checkpoints.
        resume: go on from the checkpoint if there is one.
        pace: the `State.pace` of an earlier fit, to be taken for the clock: a budget in seconds then comes to the same
            steps at the same learning rates, however fast the machine is.
    """

    def __init__(
        self,
        model: AmpModel,
        loss: Sum,
        optimizer: keras.optimizers.Optimizer,
        schedule: Callable[[float], float],
        segments: Segments,
        validation: list[Span],
        *,
        batch_size: int | None = None,
        epochs: float | None = None,
        seconds: float | None = None,
        validate_every: float = 1.0,
        patience: int | None = None,
        steps_per_call: int = 8,
        xla: bool | None = None,
        precision: str = "float32",
        seed: int = 0,
        checkpoint: Path | None = None,
        checkpoint_every_s: float = 30.0,
        resume: bool = False,
        pace: Sequence[float] | None = None,
    ) -> None:
        if epochs is None and seconds is None:
            raise AmpsimError("a fit needs a budget: set training.epochs or training.seconds")
        self.model, self.loss, self.optimizer, self.schedule = model, loss, optimizer, schedule
        self.segments, self.validation = segments, validation
        self.batch_size, self.epochs, self.seconds = batch_size or model.batch_size, epochs, seconds
        self.patience, self.steps_per_call, self.seed = patience, steps_per_call, seed
        self.checkpoint, self.checkpoint_every_s = checkpoint, checkpoint_every_s
        self.strategy, self.precision = tf.distribute.get_strategy(), precision
        if self.batch_size % self.strategy.num_replicas_in_sync:
            raise AmpsimError(
                f"training.batch_size={self.batch_size} cannot be shared out evenly to {self.strategy.num_replicas_in_sync} "
                "devices: make it a multiple of these"
            )
        self.pace = pace if seconds is not None else None
        self.epoch_steps = -(-segments.num_segments // self.batch_size)
        # Training losses are logged every epoch, or at every validation where that is more often.
        self.round_steps = max(1, round(min(validate_every, 1.0) * self.epoch_steps))
        self.rounds_per_validation = max(1, round(validate_every))
        leave_to_adam(self.optimizer, model)
        self.optimizer.build(model.trainable_variables)
        self.base_rate = (
            None if has_own_schedule(optimizer) else float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        )
        self.renderer = Renderer(model)
        compiled = model.xla_training if xla is None else xla
        several = self.strategy.num_replicas_in_sync > 1  # which have to meet between forward and backward
        self.forward = tf.function(self.model, jit_compile=compiled) if several else self.model
        self.run_steps = tf.function(self.steps, jit_compile=compiled and not several)
        self.state = State()
        self.best = [variable.numpy() for variable in model.variables]
        self.order: tuple[int, np.ndarray] = (-1, np.empty(0))
        self.stopped = False  # before its budget was spent, because it was asked to
        if resume and checkpoint is not None and checkpoint.exists():
            self.restore(checkpoint)
        with self.strategy.scope():  # a copy on each device
            self.input = tf.Variable(segments.input, trainable=False)
            self.target = tf.Variable(segments.target, trainable=False)

    # ---- the story of a fit ----

    def fit(
        self,
        *,
        report: Callable[[Progress], None] = ignore,
        on_round: Callable[[dict[str, float]], None] = ignore,
        stop: Callable[[], bool] = lambda: False,
    ) -> State:
        """Train until the budget is spent or patience is lost; the model is left with its best weights.

        When `stop` says so, the fit ends with the epoch, or with its part where validation comes more often, which is
        validated; resumed, it goes on as if it had not been stopped.

        Raises:
            DivergedError: the loss became NaN or infinite. The model is left with its best weights.
        """
        started = saved = time.perf_counter() - self.state.elapsed_s
        while not self.finished():
            before = time.perf_counter()
            try:
                samples = self.call()
            except tf.errors.ResourceExhaustedError as error:
                self.set_weights(self.best)
                raise AmpsimError(
                    "the memory does not suffice for a training step: lower training.batch_size or "
                    "training.segment_length, or make the model smaller"
                ) from error
            now = time.perf_counter()
            self.state.elapsed_s = self.spent(now - started)
            report(self.progress(samples / (now - before)))
            asked = stop()
            if self.at_round_end():
                self.end_round(self.state.elapsed_s, on_round, stop=asked)
            if self.stopped:
                break
            if now - saved > self.checkpoint_every_s:
                self.save()
                saved = time.perf_counter()
        if not self.stopped:  # which has saved already
            self.save()  # scoring and writing may fail, and what was learnt would be lost
        self.set_weights(self.best)
        self.solve(time.perf_counter() - started, on_round)
        return self.state

    def solve(self, elapsed_s: float, on_round: Callable[[dict[str, float]], None]) -> None:
        """What the model solves for after its training is kept if the validation split is the better for it.

        It comes after the last checkpoint and is no step of the training: one that goes on does without it.
        """
        began = time.perf_counter()
        if not self.model.solve(self.segments.stretches(SOLVED_LENGTH, SOLVED_STRETCHES)):
            return
        found = self.validate()
        if not found["validation_loss"] < self.state.best_loss:
            self.set_weights(self.best)
            return
        self.state.best_loss, self.state.best_step = found["validation_loss"], self.state.step + 1
        row = {"step": self.state.best_step, "epoch": self.state.step / self.epoch_steps, **found}
        self.state.rounds.append(row | {"elapsed_s": elapsed_s + time.perf_counter() - began})
        on_round(self.state.rounds[-1])

    def call(self) -> int:
        """Take the next steps in one call of the compiled function; the samples trained on."""
        starts = self.next_starts()
        count = len(starts)
        rates = [self.rate(self.state.step + index) for index in range(count)]
        fill = self.steps_per_call - count  # one shape, so that nothing is compiled twice
        values = self.run_steps(
            tf.constant(np.pad(starts, ((0, fill), (0, 0)))),
            tf.constant(rates + [0.0] * fill, tf.float32),
            tf.constant(count),
        ).numpy()
        self.state.sums = list(np.add(self.state.sums or 0.0, values.astype(float)))
        self.state.step += count
        if not np.all(np.isfinite(values)):
            self.set_weights(self.best)
            raise DivergedError(
                f"the training loss became {values[0]} near epoch {self.state.step / self.epoch_steps:.2f}: lower "
                "optimizer.learning_rate, or set optimizer.clipnorm=1"
            )
        return count * self.batch_size * self.segments.segment_length

    def steps(self, starts: tf.Tensor, rates: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """`count` optimizer steps; returns the sums over them of the loss and of each term."""
        sums = tf.zeros(1 + len(self.loss.terms))
        index = tf.constant(0)
        # A `for` over tf.range would have XLA compile anew for every other count.
        while index < count:
            if self.base_rate is not None:
                self.optimizer.learning_rate.assign(rates[index])
            sums += self.strategy.experimental_local_results(self.strategy.run(self.step, (starts[index],)))[0]
            index += 1
        return sums

    def step(self, starts: tf.Tensor) -> tf.Tensor:
        """One optimizer step, as each device takes it with its share of the batch; the loss and each term."""
        length = self.segments.segment_length
        span = length + self.model.receptive_field - 1
        context = tf.distribute.get_replica_context()
        share = self.batch_size // context.num_replicas_in_sync
        first = context.replica_id_in_sync_group * share
        own = starts[first : first + share] if context.num_replicas_in_sync > 1 else starts
        segment = tf.gather(self.input, own[:, None] + tf.range(span))
        target = tf.gather(self.target, starts[:, None] + tf.range(length))
        with tf.GradientTape() as tape, products_in(self.precision):
            prediction = self.forward(segment, training=True)
            if context.num_replicas_in_sync > 1:
                # The loss is of the whole batch, as on one device (a ratio of sums is no mean of ratios); each device has
                # the gradient of its own share, and the optimizer adds these up.
                whole = context.all_gather(tf.stop_gradient(prediction), axis=0)
                prediction = tf.concat([whole[:first], prediction, whole[first + share :]], axis=0)
            loss, terms = self.loss(target, prediction)
        gradients = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply(gradients, self.model.trainable_variables)
        return tf.stack([loss, *terms.values()])

    def next_starts(self) -> np.ndarray:
        """Segments for the next call: up to `steps_per_call` steps, not past the end of a round or an epoch."""
        epoch, step = divmod(self.state.step, self.epoch_steps)
        if self.order[0] != epoch:
            self.order = (
                epoch,
                self.segments.epoch(epoch, batch_size=self.batch_size, seed=self.seed)[: self.epoch_steps],
            )
        left = min(
            self.round_steps - step % self.round_steps, self.epoch_steps - step, self.total_steps() - self.state.step
        )
        return self.order[1][step : step + min(left, self.steps_per_call)]

    # ---- budget ----

    def total_steps(self) -> float:
        return math.inf if self.epochs is None else max(1, round(self.epochs * self.epoch_steps))

    def done(self, step: float) -> float:
        """The share of the budget that is spent."""
        by_time = 0.0 if self.seconds is None else self.state.elapsed_s / self.seconds
        return min(1.0, max(step / self.total_steps(), by_time))

    def spent(self, clock_s: float) -> float:
        """The seconds of the budget that count as spent after a call: by the clock, or by the pace that is replayed."""
        if self.seconds is None:
            return clock_s
        number = len(self.state.pace)
        # In tenths of a millisecond, which is fine enough and makes a long fit's pace small.
        self.state.pace.append(round(clock_s, 4) if self.pace is None else self.pace[number])
        return self.state.pace[-1]

    def rate(self, step: int) -> float:
        return 0.0 if self.base_rate is None else self.base_rate * self.schedule(self.done(step))

    def finished(self) -> bool:
        replayed = self.pace is not None and len(self.state.pace) >= len(self.pace)
        out_of_patience = self.patience is not None and self.state.stale >= self.patience
        return replayed or out_of_patience or self.done(self.state.step) >= 1

    def progress(self, samples_per_s: float) -> Progress:
        done = self.done(self.state.step)
        remaining = self.state.elapsed_s * (1 - done) / max(done, 1e-9)
        steps_into_round = (self.state.step - 1) % self.epoch_steps % self.round_steps + 1
        loss = self.state.sums[0] / steps_into_round
        return Progress(done, self.state.step / self.epoch_steps, loss, samples_per_s, remaining)

    # ---- rounds and validation ----

    def at_round_end(self) -> bool:
        step = self.state.step % self.epoch_steps
        return step % self.round_steps == 0 or self.done(self.state.step) >= 1

    def end_round(self, elapsed_s: float, on_round: Callable[[dict[str, float]], None], *, stop: bool = False) -> None:
        """Log the round's mean losses; validate if it is time, and keep the weights if they are the best."""
        number = len(self.state.rounds) + 1
        steps = self.state.step - (self.state.rounds[-1]["step"] if self.state.rounds else 0)
        means = [value / steps for value in self.state.sums]
        row = dict(zip(["loss", *(f"loss_{name}" for name in self.loss.terms)], means, strict=True))
        row |= {"step": self.state.step, "epoch": self.state.step / self.epoch_steps, "elapsed_s": elapsed_s}
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.optimizer.learning_rate))
        due = number % self.rounds_per_validation == 0 or self.done(self.state.step) >= 1
        if due:
            self.keep_best(row)
        self.state.sums = []
        self.state.rounds.append(row)
        self.stopped = stop and not self.finished()
        if self.stopped:
            self.save()  # before a validation that an unbroken fit would not have had
            if not due:
                self.keep_best(row)
        on_round(row)

    def keep_best(self, row: dict[str, float]) -> None:
        """Validate, add what came out to the round's row, and keep the weights if they are the best."""
        row |= self.validate()
        if not math.isfinite(row["validation_loss"]):
            self.set_weights(self.best)
            raise DivergedError(
                f"the validation loss became {row['validation_loss']} at epoch {row['epoch']:.2f}: lower "
                "optimizer.learning_rate, or give data.splits.validation longer pieces than the loss looks at"
            )
        if row["validation_loss"] < self.state.best_loss:
            self.state.best_loss, self.state.best_step, self.state.stale = row["validation_loss"], self.state.step, 0
            self.best = [variable.numpy() for variable in self.model.variables]
        else:
            self.state.stale += 1

    def validate(self) -> dict[str, float]:
        pairs = [(span.target, self.renderer.span(span)) for span in self.validation]
        lengths = [len(target) for target, _ in pairs]
        losses = [float(self.loss(tf.constant(t[None]), tf.constant(p[None]))[0]) for t, p in pairs]
        loss = float(np.average(losses, weights=lengths))
        return {"validation_loss": loss, "validation_esr": scores(pairs)["esr"]}

    # ---- checkpoint ----

    def variables(self) -> list[Any]:
        return [*self.model.variables, *self.optimizer.variables]

    def set_weights(self, values: list[np.ndarray]) -> None:
        for variable, value in zip(self.model.variables, values, strict=True):
            variable.assign(value)

    def save(self) -> None:
        """Write the checkpoint under a temporary name, then rename it, so that a kill leaves the one before whole."""
        if self.checkpoint is None:
            return
        arrays = {f"variable_{index}": variable.numpy() for index, variable in enumerate(self.variables())}
        arrays |= {f"best_{index}": value for index, value in enumerate(self.best)}
        state = np.frombuffer(json.dumps(asdict(self.state)).encode(), np.uint8)
        temporary = self.checkpoint.with_suffix(".part")
        try:
            self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                np.savez(file, state=state, **arrays)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.checkpoint)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise AmpsimError(
                f"the checkpoint {self.checkpoint} cannot be written: {error.strerror}; mend that and go on from the one "
                "before, which is whole, with training.resume=true"
            ) from error

    def restore(self, path: Path) -> None:
        """Raises AmpsimError for a file that is no checkpoint of this run."""
        try:
            with np.load(path, allow_pickle=False) as saved:
                self.state = State(**json.loads(bytes(saved["state"])))
                self.best = [saved[f"best_{index}"] for index in range(len(self.best))]
                for index, variable in enumerate(self.variables()):
                    variable.assign(saved[f"variable_{index}"])
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            raise AmpsimError(f"{path} is no checkpoint of this run ({error}): remove it to start anew") from error


def distribution(devices: int | str) -> tf.distribute.Strategy:
    """What shares a batch out to `devices` GPUs (CPUs where there is none) of this machine, or to "all" of them.

    Raises:
        AmpsimError: there are not as many.
    """
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    wanted = len(found) if devices == "all" else int(devices)
    if wanted > len(found):
        names = ", ".join(device.name.removeprefix("/device:") for device in found)
        raise AmpsimError(f"training.devices={wanted}: there are {len(found)} on this machine ({names})")
    if wanted == 1:
        return tf.distribute.get_strategy()
    # The nets are small, so that copies cost little; collective operations do not keep their order within a loop.
    together = tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy([device.name for device in found[:wanted]], cross_device_ops=together)


def has_own_schedule(optimizer: keras.optimizers.Optimizer) -> bool:
    return isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule)
