"""Runs a model over a signal of any length, block by block, at constant memory."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import tensorflow as tf

from ampsim.models import AmpModel
from ampsim.recordings.controls import Automation
from ampsim.recordings.pairs import Span
from ampsim.recordings.sources import DEFAULT_RATE
from ampsim.signals.audio import Signal
from ampsim.signals.playing import BLOCK_LENGTH, oversampled, regular


class Renderer:
    """A model, compiled once for one block length.

    Output sample k belongs to input sample k: what the model must wait for (`future`) is looked ahead, so a rendered
    file is in time with its input.
    """

    name = "the model"  # in errors

    def __init__(self, model: AmpModel, *, block_length: int = BLOCK_LENGTH) -> None:
        self.model, self.sample_rate = model, model.sample_rate
        self.block_length = block_length
        # With XLA a TCN rendered twice as fast, and an LSTM, whose loop it compiles whole, more than 40 times.
        self.step = tf.function(model.stream, jit_compile=model.xla_rendering)
        self.step(tf.zeros((1, block_length)), model.stream_state())  # compile now rather than inside the first block

    def __call__(self, signal: Signal) -> Signal:
        """Render a whole signal, (num_samples,), with silence before and after it."""
        return np.concatenate([*self.blocks([signal])])

    def span(self, span: Span) -> Signal:
        """Render a piece of a take, which the model hears with what was played before it, at the take's setting."""
        self.model.turn(span.take.setting)
        history = self.model.history
        heard = span.input(history=history, lookahead=self.model.lookahead)
        return self(heard)[history : history + len(span)]

    def blocks(self, signals: Iterable[Signal], *, state: Any = None) -> Iterator[Signal]:
        """Render a signal that arrives in pieces of any length; what comes out adds up to the same length.

        `state` is what to begin from; None is as after silence.
        """
        self.turn(0)
        state = self.model.stream_state() if state is None else state
        drop, done = self.model.lookahead, 0
        ending = np.zeros(self.model.lookahead, np.float32)
        for block, length in regular(chain(signals, [ending]), self.block_length):
            self.turn(done)
            output, state = self.step(tf.constant(block[None]), state)
            yield output.numpy()[0, drop:length]
            drop, done = max(drop - length, 0), done + length

    def turn(self, done: int) -> None:
        """Called before each block, with the number of samples before it."""


class Automated(Renderer):
    """A model whose controls are turned while it plays.

    Its weights are those of the setting at the middle of each block, which is short: a knob that is turned from one end to
    the other in a second moves by less than a hundredth with a block.
    """

    def __init__(self, model: AmpModel, automation: Automation, *, block_length: int = 256) -> None:
        super().__init__(model, block_length=block_length)
        self.automation = automation

    def turn(self, done: int) -> None:
        middle = done + self.block_length / 2
        self.model.turn(self.automation.at(middle / (self.sample_rate or DEFAULT_RATE)))


class Oversampled(Renderer):
    """A model played at `factor` times its sample rate; see `oversampled`."""

    def __init__(self, model: AmpModel, factor: int, *, block_length: int = BLOCK_LENGTH) -> None:
        super().__init__(model, block_length=block_length)
        self.factor = factor

    def blocks(self, signals: Iterable[Signal], *, state: Any = None) -> Iterator[Signal]:
        return oversampled(partial(super().blocks, state=state), signals, self.factor)
