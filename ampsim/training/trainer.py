"""Fits a model to segments within a budget, validating on whole signals, keeping the best weights and a checkpoint."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ampsim import AmpsimError, DivergedError
from ampsim.files import refuse_larger
from ampsim.losses import Sum
from ampsim.metrics import waveform_scores
from ampsim.models import AmpModel, compiled
from ampsim.models.layers import products_in
from ampsim.models.optimizing import leave_to_adam
from ampsim.models.rendering import Renderer
from ampsim.recordings.controls import encoded
from ampsim.recordings.pairs import Span
from ampsim.training.budget import Budget
from ampsim.training.checkpoint import Checkpoint
from ampsim.training.observer import Observer
from ampsim.training.packed import Packed
from ampsim.training.segments import Segments
from ampsim.training.state import Progress, State
from ampsim.training.tones import Tones

NOTABLE_S = 2.0  # of compiling, from which it is told
SOLVED_LENGTH, SOLVED_STRETCHES = 200_000, 8  # samples of training audio that a model may solve for weights from
SOLVED_TOLERANCE = 1.05


class Trainer:
    """One fit of one model.

    Args:
        loss: called with (batch, n) target and prediction.
        optimizer: a Keras optimizer; its learning rate is multiplied by `schedule(progress)` unless it brings a Keras
            schedule of its own.
        segments: what to train on. An epoch sees every segment once.
        validation: spans to validate on, whole. The weights with the lowest validation loss are kept.
        batch_size: segments per optimizer step; None does what suits the model.
        epochs, seconds, patience, pace: the `Budget`; the first that is reached ends the fit.
        validate_every: in epochs; a fraction validates several times an epoch.
        steps_per_call: optimizer steps in one call of the compiled function.
        xla: compile the step with XLA; None does what suits the model.
        anti_aliasing: weight of a penalty on what the model adds to test tones off their harmonics, in bels; see `Tones`.
        precision: of the numbers in matrix products, "float32" or "bfloat16"; all else is float32, and so is rendering.
        checkpoint: the file to keep a checkpoint in, or None.
        checkpoint_every_s: seconds between checkpoints.
        resume: go on from the checkpoint if there is one.

    Raises:
        AmpsimError: there is no budget, the devices cannot share the batch evenly, or the checkpoint is of another run.
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
        anti_aliasing: float = 0.0,
        seed: int = 0,
        checkpoint: Path | None = None,
        checkpoint_every_s: float = 30.0,
        resume: bool = False,
        pace: Sequence[float] | None = None,
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.segments, self.validation = segments, validation
        self.batch_size, self.seed = batch_size or model.batch_size, seed
        self.epoch_steps = segments.num_steps(self.batch_size)
        # Training losses are logged every epoch, or at every validation where that is more often.
        self.interval_steps = max(1, round(min(validate_every, 1.0) * self.epoch_steps))
        self.steps_per_call = min(steps_per_call, self.interval_steps)  # more are never taken
        self.refuse_large_batches()
        self.intervals_per_validation = max(1, round(validate_every))
        rates: dict[str, Any] = {"learning_rate": plain_rate(optimizer), "schedule": schedule}
        limits: dict[str, Any] = {"epochs": epochs, "seconds": seconds, "patience": patience, "pace": pace}
        self.budget = Budget(epoch_steps=self.epoch_steps, **limits, **rates)
        self.checkpoint = None if checkpoint is None else Checkpoint(checkpoint, checkpoint_every_s)
        self.tones = Tones.of(model, segments, anti_aliasing) if anti_aliasing else None
        self.compile(xla=(model.xla_training or model.xla_parts) if xla is None else xla, precision=precision)
        self.renderers = {name: Renderer(member) for name, member in model.members().items()}
        self.order: tuple[int, np.ndarray] = (-1, np.empty(0))
        self.stopped = False  # before its budget was spent, because it was asked to
        restored = self.checkpoint.restore(*self.learnt()) if resume and self.checkpoint else None
        self.heard: list[tuple[np.ndarray, np.ndarray]] = []  # of the last validation, until it is told
        self.state, self.best = restored or (State(), [variable.numpy() for variable in model.variables])
        self.place(segments)

    def place(self, segments: Segments) -> None:
        """Put the recording where the steps read it, a copy on each device."""
        with self.strategy.scope():
            self.input, self.target = (tf.Variable(x, trainable=False) for x in (segments.input, segments.target))
        self.firsts = tf.constant([first for first, _ in segments.starts])
        self.settings = tf.constant(
            [encoded(self.model.controls, setting) for setting in segments.settings], tf.float32
        )

    def refuse_large_batches(self) -> None:
        heard = self.segments.segment_length + self.model.receptive_field - 1
        step_bytes = 4 * self.batch_size * (heard + self.segments.segment_length)
        order_bytes = 16 * self.batch_size * self.epoch_steps
        refuse_larger(f"an epoch with training.batch_size={self.batch_size}", step_bytes + order_bytes)

    def compile(self, *, xla: bool, precision: str) -> None:
        """Prepare the optimizer and the functions that take steps, on one device or on several."""
        leave_to_adam(self.optimizer, self.model)
        self.strategy, self.precision = tf.distribute.get_strategy(), precision
        replicas = self.strategy.num_replicas_in_sync
        if self.batch_size % replicas:
            raise AmpsimError(
                f"training.batch_size={self.batch_size} cannot be shared out evenly to {replicas} devices: make it a "
                "multiple of these"
            )
        several = replicas > 1  # which have to meet between forward and backward
        parts = self.model.xla_parts and not several and precision == "float32"
        members = self.model.members().values()
        whole = xla and not self.model.xla_parts
        self.forwards = [tf.function(each, jit_compile=whole) if several else each for each in members]
        self.run_steps = tf.function(self.steps, jit_compile=xla and not several and not parts)
        self.loss_gradient = tf.function(self.loss.gradient, jit_compile=xla) if parts else self.loss.gradient
        self.take_step = tf.autograph.experimental.do_not_convert(self.step) if parts else self.step
        stacks = self.model.stacks()
        if (parts or (stacks and not several)) and Packed.suits(self.optimizer):
            packed = Packed(self.optimizer, self.model.trainable_variables, xla=xla, stacks=stacks)
            self.optimizer, self.apply = packed.optimizer, packed.apply
        else:
            self.optimizer.build(self.model.trainable_variables)
            self.apply = tf.function(self.apply_to_each, jit_compile=xla) if parts else self.apply_to_each

    # ---- the story of a fit ----

    def fit(self, observer: Observer | None = None) -> State:
        """Train until the budget is spent or patience is lost; the model is left with its best weights.

        When `observer.stop()` says so, the fit ends with the current interval (an epoch, or its part where validation comes
        more often), which is validated; resumed, it goes on as if it had not been stopped. A KeyboardInterrupt that the
        observer raises ends it at once, with a checkpoint of this step.

        Raises:
            DivergedError: the loss became NaN or infinite. The model is left with its best weights.
        """
        observer = observer or Observer()
        if not self.budget.finished(self.state):
            self.warm_up(observer)
        saved = time.perf_counter()
        started = saved - self.state.elapsed_s
        while not self.budget.finished(self.state):
            before = time.perf_counter()
            with self.enough_memory():
                samples = self.call()
            now = time.perf_counter()
            self.budget.spend(self.state, now - started)
            try:
                observer.progress(self.progress(samples / (now - before)))
                asked = observer.stop()
            except KeyboardInterrupt:
                self.save()  # between two steps, from where a fit goes on as if it had not been stopped
                raise
            if self.at_interval_end():
                self.end_interval(observer, stop=asked)
            if self.stopped:
                break
            if self.checkpoint and now - saved > self.checkpoint.every_s:
                self.save()
                saved = time.perf_counter()
        if not self.stopped:  # which has saved already
            self.save()  # scoring and writing may fail, and what was learnt would be lost
        self.set_weights(self.best)
        self.solve(time.perf_counter() - started, observer)
        return self.state

    def solve(self, elapsed_s: float, observer: Observer) -> None:
        """What the model solves for after its training is kept if the validation split is the better for it, or hardly worse:
        what it gains in the treble the loss may not hear.

        It comes after the last checkpoint and is no step of the training: one that goes on does without it.
        """
        began = time.perf_counter()
        observer.doing("finishing the weights")
        if not self.model.solve(self.segments.stretches(SOLVED_LENGTH, SOLVED_STRETCHES)):
            return
        validation = self.validate()
        if not validation["validation_loss"] < SOLVED_TOLERANCE * self.state.best_loss:
            self.set_weights(self.best)
            return
        self.state.best_loss, self.state.best_step = validation["validation_loss"], self.state.step + 1
        row = {"step": self.state.best_step, "epoch": self.state.step / self.epoch_steps, **validation}
        self.state.intervals.append(row | {"elapsed_s": elapsed_s + time.perf_counter() - began})
        observer.interval(self.state.intervals[-1])
        observer.validated(self.state.best_step, self.heard)

    def warm_up(self, observer: Observer) -> None:
        """Compile the training function by a call without a step: the clock of the budget begins after it."""
        observer.doing("compiling the training step")
        began = time.perf_counter()
        starts = tf.zeros((self.steps_per_call, self.batch_size), tf.int32)
        with self.enough_memory():
            if self.model.xla_parts:  # which are compiled when a step is taken: one, from which nothing remains
                changed = [variable for some in self.learnt() for variable in some]
                before = [variable.numpy() for variable in changed]
                self.run_steps(starts, tf.zeros(self.steps_per_call), tf.constant(1))
                for variable, value in zip(changed, before, strict=True):
                    variable.assign(value)
            else:
                self.run_steps(starts, tf.zeros(self.steps_per_call), tf.constant(0))
        compiled.seal()  # now: a sweep's job ends without what Python does at the end
        took_s = time.perf_counter() - began
        if self.budget.seconds is not None and took_s > max(NOTABLE_S, 0.1 * self.budget.seconds):
            observer.notice(
                f"compiling the training step took {took_s:.0f} s; the {self.budget.seconds:g} s of training begin now"
            )

    @contextmanager
    def enough_memory(self) -> Iterator[None]:
        try:
            yield
        except tf.errors.ResourceExhaustedError as error:
            self.set_weights(self.best)
            raise AmpsimError(
                compiled.unwritten(error)
                or "the memory does not suffice for a training step: lower training.batch_size or training.segment_length, or "
                "make the model smaller"
            ) from error

    def call(self) -> int:
        """Take the next steps in one call of the compiled function; the samples trained on."""
        starts = self.next_starts()
        count = len(starts)
        rates = [self.budget.rate(self.state, step=self.state.step + index) for index in range(count)]
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
            if self.budget.learning_rate is not None:
                self.optimizer.learning_rate.assign(rates[index])
            sums += self.strategy.experimental_local_results(self.strategy.run(self.take_step, (starts[index],)))[0]
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
        if self.model.controls:
            span_of_batch = tf.searchsorted(self.firsts, starts[:1], side="right")[0] - 1
            self.model.setting.assign(self.settings[span_of_batch])
        with tf.GradientTape() as tape, products_in(self.precision):
            predictions = [forward(segment, training=True) for forward in self.forwards]
            if context.num_replicas_in_sync > 1:
                # The loss is of the whole batch, as on one device (a ratio of sums is no mean of ratios); each device has
                # the gradient of its own share, and the optimizer adds these up.
                wholes = [context.all_gather(tf.stop_gradient(each), axis=0) for each in predictions]
                predictions = [
                    tf.concat([whole[:first], part, whole[first + share :]], axis=0)
                    for part, whole in zip(predictions, wholes, strict=True)
                ]
            penalties = []
            if self.tones:  # once for the whole batch, whatever it is shared out to
                penalty = self.tones.penalty(tf.stack([self.seed % 2**31, starts[0] + starts[-1]]))
                penalties.append(self.tones.weight * penalty / context.num_replicas_in_sync)
        lost = [self.loss_gradient(target, prediction) for prediction in predictions]
        slopes = [*(slope for _, _, slope in lost), *(tf.ones(()) for _ in penalties)]
        gradients = tape.gradient([*predictions, *penalties], self.model.trainable_variables, output_gradients=slopes)
        self.apply(gradients)
        values = tf.add_n([tf.stack([loss, *terms.values()]) for loss, terms, _ in lost])
        return values + tf.pad(tf.reshape(sum(penalties, tf.zeros(())), [1]), [[0, len(self.loss.terms)]])

    def apply_to_each(self, gradients: Sequence[tf.Tensor]) -> None:
        self.optimizer.apply(gradients, self.model.trainable_variables)

    def next_starts(self) -> np.ndarray:
        """Segments for the next call: up to `steps_per_call` steps, not past the end of an interval or an epoch."""
        epoch, step = divmod(self.state.step, self.epoch_steps)
        if self.order[0] != epoch:
            self.order = (
                epoch,
                self.segments.epoch(epoch, batch_size=self.batch_size, seed=self.seed)[: self.epoch_steps],
            )
        left = min(
            self.interval_steps - step % self.interval_steps,
            self.epoch_steps - step,
            self.budget.total_steps - self.state.step,
        )
        return self.order[1][step : step + min(left, self.steps_per_call)]

    def progress(self, samples_per_s: float) -> Progress:
        steps_into_interval = (self.state.step - 1) % self.epoch_steps % self.interval_steps + 1
        loss = self.state.sums[0] / steps_into_interval
        epoch, left_s = self.state.step / self.epoch_steps, self.budget.remaining_s(self.state)
        return Progress(self.budget.done(self.state), epoch, loss, samples_per_s, left_s)

    # ---- intervals and validation ----

    def at_interval_end(self) -> bool:
        step = self.state.step % self.epoch_steps
        return step % self.interval_steps == 0 or self.budget.done(self.state) >= 1

    def end_interval(self, observer: Observer, *, stop: bool = False) -> None:
        """Log the interval's mean losses; validate if it is time, and keep the weights if they are the best."""
        number = len(self.state.intervals) + 1
        steps = self.state.step - (self.state.intervals[-1]["step"] if self.state.intervals else 0)
        means = [value / steps for value in self.state.sums]
        row = dict(zip(["loss", *(f"loss_{name}" for name in self.loss.terms)], means, strict=True))
        row |= {"step": self.state.step, "epoch": self.state.step / self.epoch_steps}
        row["elapsed_s"] = self.state.elapsed_s
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.optimizer.learning_rate))
        due = number % self.intervals_per_validation == 0 or self.budget.done(self.state) >= 1
        if due or stop:
            observer.doing("validating")
        if due:
            self.keep_best(row)
        self.state.sums = []
        self.state.intervals.append(row)
        self.stopped = stop and not self.budget.finished(self.state)
        if self.stopped:
            self.save()  # before a validation that an unbroken fit would not have had
            if not due:
                self.keep_best(row)
        observer.interval(row)
        if self.heard:
            observer.validated(self.state.step, self.heard)
            self.heard = []

    def keep_best(self, row: dict[str, float]) -> None:
        """Validate, add the result to the interval's row, and keep the weights if they are the best."""
        row |= self.validate()
        if not math.isfinite(row["validation_loss"]):
            self.set_weights(self.best)
            raise DivergedError(
                f"the validation loss became {row['validation_loss']} at epoch {row['epoch']:.2f}: lower "
                "optimizer.learning_rate, or give data.splits.validation longer pieces than the loss looks at"
            )
        before = dict(self.state.member_losses)
        for name, member in self.model.members().items():
            loss = row[of_member("validation_loss", name)]
            if loss < before.get(name, math.inf):
                self.state.member_losses[name] = loss
                kept = {id(variable) for variable in member.variables}
                for index, variable in enumerate(self.model.variables):
                    if id(variable) in kept:
                        self.best[index] = variable.numpy()
        if self.state.member_losses != before:
            self.state.best_loss, self.state.best_step = sum(self.state.member_losses.values()), self.state.step
            self.state.stale = 0
        else:
            self.state.stale += 1

    def validate(self) -> dict[str, float]:
        """Loss and ESR of each member; without a name the losses' sum, and the ESR of the last, which is the model's."""
        row = dict[str, float]()
        for name, renderer in self.renderers.items():
            pairs = [(span.target, renderer.span(span)) for span in self.validation]
            lengths = [len(target) for target, _ in pairs]
            losses = [float(self.loss(tf.constant(t[None]), tf.constant(p[None]))[0]) for t, p in pairs]
            row[of_member("validation_loss", name)] = float(np.average(losses, weights=lengths))
            row[of_member("validation_esr", name)] = esr = waveform_scores(pairs)["esr"]
        self.heard = pairs
        total = sum(row[of_member("validation_loss", name)] for name in self.renderers)
        return row | {"validation_loss": total, "validation_esr": esr}

    # ---- weights ----

    def save(self) -> None:
        if self.checkpoint:
            self.checkpoint.save(self.state, *self.learnt(), self.best)

    def learnt(self) -> tuple[list[keras.Variable], list[keras.Variable]]:
        """The model's variables, and the others that training changes."""
        return self.model.variables, [*self.optimizer.variables, *self.loss.variables]

    def set_weights(self, values: list[np.ndarray]) -> None:
        for variable, value in zip(self.model.variables, values, strict=True):
            variable.assign(value)


def of_member(key: str, name: str) -> str:
    """A curve's name for one of a model's members; its own where the model is the only one."""
    return f"{key}_{name}" if name else key


def plain_rate(optimizer: keras.optimizers.Optimizer) -> float | None:
    """The learning rate as a number; None where the optimizer follows a Keras schedule of its own."""
    rate = optimizer.learning_rate  # a variable, unless a schedule computes it
    return float(keras.ops.convert_to_numpy(rate)) if isinstance(rate, keras.Variable) else None
