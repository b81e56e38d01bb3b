"""A model as one step that any runtime can take: a block and a state in, a block and a state out, in plain operations.

Every state starts as zeros: a graph counts it from what silence leaves behind.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from ampsim.models.base import AmpModel
from ampsim.models.convolution import without_fft
from ampsim.recordings.controls import middle_of
from ampsim.signals.audio import Signal

AFTER = "_next"  # ends the name of a state that a step gives back
Run = Callable[[list[Signal]], list[Any]]


@dataclass(frozen=True)
class Step:
    """A function of (1, block_length) and the states, with the next (1, block_length) and the states as its results."""

    function: Any
    block_length: int
    start: list[Any]  # the states that silence leaves behind
    num_controls: int = 0  # of the model; where it has some, their values stand between block and states

    @property
    def input_names(self) -> list[str]:
        return ["input", *(["controls"] if self.num_controls else []), *self.state_names()]

    def state_names(self, *, after: bool = False) -> list[str]:
        return [f"state_{number}{AFTER if after else ''}" for number in range(len(self.start))]


def step(model: AmpModel, block_length: int, *, traced: AbstractContextManager[None] | None = None) -> Step:
    """The model's `stream` for blocks of one length, with a flat list of real-valued states.

    `traced` is a context for the tracing of the function alone.
    """
    model.turn(middle_of(model.controls))  # where silence leaves the states
    stream, initial = model.plain_stream(block_length)
    flat = [np.asarray(part) for part in tf.nest.flatten(initial)]
    kept = [number for number, part in enumerate(flat) if part.size]  # runtimes stumble over a state of no numbers
    start = [flat[number] for number in kept]

    def function(block: tf.Tensor, *others: tf.Tensor) -> list[tf.Tensor]:
        values, state = others[: bool(model.controls)], others[bool(model.controls) :]
        with model.turned(values[0][0]) if values else nullcontext():
            return played(block, *state)

    def played(block: tf.Tensor, *state: tf.Tensor) -> list[tf.Tensor]:
        before: list[Any] = list(flat)
        for number, part in zip(kept, state, strict=True):
            before[number] = part + flat[number]
        output, after = stream(block, tf.nest.pack_sequence_as(initial, before))
        ended = tf.nest.flatten(after)
        return [tf.reshape(output, (1, block_length)), *(ended[number] - flat[number] for number in kept)]

    count = len(model.controls)
    found = Step(function, block_length, start, count)
    shapes = [(1, block_length), *([(1, count)] if count else []), *(part.shape for part in start)]
    named = zip(found.input_names, shapes, strict=True)
    compiled = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32, name) for name, shape in named])
    with without_fft(), traced or nullcontext():
        compiled.get_concrete_function()
    return replace(found, function=compiled)


def by_blocks(run: Run, block_length: int, state: list[Any], *values: Any) -> Callable[[Signal], Signal]:
    """What plays a signal of any length through a runtime; `run` maps [block, *values, *state] to block and state.

    Args:
        values: of the controls, (1, num_controls), where the step has some.
    """

    def play(signal: Signal) -> Signal:
        current, outputs = state, [np.empty(0, np.float32)]
        padded = np.pad(signal, (0, -len(signal) % block_length)).astype(np.float32)
        for block in padded.reshape(-1, 1, block_length):
            output, *current = run([block, *values, *current])
            outputs.append(np.array(output[0]))
        return np.concatenate(outputs)[: len(signal)]

    return play
