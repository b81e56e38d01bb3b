"""A model as one step that any runtime can take: a block and a state in, a block and a state out, in plain operations.

Every state starts as zeros: a graph counts it from what silence leaves behind.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from ampsim.export.formats import gains, settled_state
from ampsim.models import AmpModel, Ssm, Tcn, WaveNet, WaveNetCab
from ampsim.models.convolution import without_fft
from ampsim.models.layers import Convolution
from ampsim.models.ssm import Oscillators
from ampsim.signals.audio import Signal

AFTER = "_next"  # ends the name of a state that a step gives back
Run = Callable[[list[Signal]], list[Any]]


@dataclass(frozen=True)
class Step:
    """A function of (1, block_length) and the states, with the next (1, block_length) and the states as its results."""

    function: Any
    block_length: int
    start: list[Any]  # the states that silence leaves behind

    def state_names(self, *, after: bool = False) -> list[str]:
        return [f"state_{number}{AFTER if after else ''}" for number in range(len(self.start))]


def step(model: AmpModel, block_length: int, *, traced: AbstractContextManager[None] | None = None) -> Step:
    """The model's `stream` for blocks of one length, with a flat list of real-valued states.

    `traced` is a context for the tracing of the function alone.
    """
    stream, initial = plain_stream(model, block_length)
    flat = [np.asarray(part) for part in tf.nest.flatten(initial)]
    kept = [number for number, part in enumerate(flat) if part.size]  # runtimes stumble over a state of no numbers
    start = [flat[number] for number in kept]

    def function(block: tf.Tensor, *state: tf.Tensor) -> list[tf.Tensor]:
        before: list[Any] = list(flat)
        for number, part in zip(kept, state, strict=True):
            before[number] = part + flat[number]
        output, after = stream(block, tf.nest.pack_sequence_as(initial, before))
        ended = tf.nest.flatten(after)
        return [tf.reshape(output, (1, block_length)), *(ended[number] - flat[number] for number in kept)]

    found = Step(function, block_length, start)
    shapes = zip(["input", *found.state_names()], [(1, block_length), *(part.shape for part in start)], strict=True)
    compiled = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes])
    with without_fft(), traced or nullcontext():
        compiled.get_concrete_function()
    return replace(found, function=compiled)


def by_blocks(run: Run, block_length: int, state: list[Any]) -> Callable[[Signal], Signal]:
    """What plays a signal of any length through a runtime; `run` maps [block, *state] to the same."""

    def play(signal: Signal) -> Signal:
        current, outputs = state, [np.empty(0, np.float32)]
        padded = np.pad(signal, (0, -len(signal) % block_length)).astype(np.float32)
        for block in padded.reshape(-1, 1, block_length):
            output, *current = run([block, *current])
            outputs.append(np.array(output[0]))
        return np.concatenate(outputs)[: len(signal)]

    return play


def plain_stream(model: AmpModel, n: int) -> tuple[Callable[[tf.Tensor, Any], Any], Any]:
    """A model's `stream` and the state that silence leaves behind, in the form that costs a runtime least."""
    if isinstance(model, Ssm):
        return plain_ssm(model, n)
    if not isinstance(model, Tcn | WaveNet):
        return model.stream, settled_state(model)

    # Every convolution keeps its own past: a model that kept that of its input would play its whole memory anew with
    # each block, which at 64 samples is dozens of times the work.
    net = wavenet if isinstance(model, WaveNet) else tcn

    def stream(block: tf.Tensor, state: list[Any] | None) -> tuple[tf.Tensor, list[Any]]:
        past = Past(state)
        before, after = gains(model)
        return after * net(model, before * block, past), past.after

    silence = tf.zeros((1, model.receptive_field))
    return stream, stream(silence, stream(silence, None)[1])[1]


class Past:
    """What the filters of a net heard before a block, in the order in which they are played; None is zeros."""

    def __init__(self, state: list[Any] | None) -> None:
        self.before = iter(state) if state is not None else None
        self.after: list[Any] = []

    def heard(self, features: tf.Tensor, memory: int) -> tf.Tensor:
        """Features, (channels, n), with the `memory` samples before them."""
        before = tf.zeros((features.shape[0], memory)) if self.before is None else next(self.before)
        heard = tf.concat([before, features], axis=1)
        self.after.append(heard[:, features.shape[1] :])
        return heard

    def convolved(self, layer: Convolution, features: tf.Tensor) -> tf.Tensor:
        return layer(self.heard(features, (layer.kernel_size - 1) * layer.dilation))


def wavenet(model: WaveNet, block: tf.Tensor, past: Past) -> tf.Tensor:
    features = block
    head: Any = None
    for array in model.arrays:
        features = array.rechannel(features)
        for layer in array.stack:
            mixed = past.convolved(layer.convolution, features) + layer.mixin(block)
            activated = layer.activation(mixed[: layer.channels])
            if layer.gated:
                activated *= tf.sigmoid(mixed[layer.channels :])
            head = activated if head is None else head + activated
            features += layer.residual(activated)
        head = array.head(head)
    output = model.head_scale * head
    return model.cabinet(past.heard(output, model.cabinet.taps - 1)) if isinstance(model, WaveNetCab) else output


def tcn(model: Tcn, block: tf.Tensor, past: Past) -> tf.Tensor:
    features = model.rechannel(block)
    for layer in model.blocks:
        features += model.activation(past.convolved(layer, features))
    return model.head(features)


def plain_ssm(model: Ssm, n: int) -> tuple[Callable[[tf.Tensor, Any], Any], Any]:
    """`stream` of a state-space model and its first state, without complex numbers and FFT: the runtimes have neither."""
    gain_before, gain_after = gains(model)
    filters = [plain_oscillators(layer, n) for layer in model.filters]
    cells, waiting = settled_state(model)
    initial = [np.stack([np.real(cell)[:, 0], np.imag(cell)[:, 0]]) for cell in cells], waiting

    def stream(block: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
        (before, waiting), after = state, []
        block = gain_before * block
        features = model.rechannel(tf.reshape(block, [1, n]))
        for layer, mixer, cell in zip(filters, model.mixers, before, strict=True):
            filtered, ended = layer(features, cell)
            features += mixer(model.activation(filtered))
            after.append(ended)
        output = tf.reshape(model.head(features), [1, n])
        heard = tf.concat([waiting, block], axis=1)
        output = output + heard[:, :n] if model.skip else output
        return gain_after * output, (after, heard[:, n:])

    return stream, initial


def plain_oscillators(layer: Oscillators, n: int) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """A bank of oscillators on blocks of n: (channels, n) and its state (2, channels, states), real and imaginary."""
    log_pole, weight = (np.asarray(part, np.complex128) for part in layer.poles())
    powers = np.exp(log_pole[..., None] * np.arange(n + 1))  # (channels, states, n + 1)
    response = np.einsum("cs,csn->cn", weight, powers[..., :n]).real
    response[:, 0] += layer.direct.numpy()[:, 0, 0]
    # Newest tap last, as a convolution without padding reads it; one channel is one group.
    kernel = response[:, ::-1].T[None, :, :, None].astype(np.float32)  # (1, n, channels, 1)
    read = (weight[..., None] * powers[..., 1:]).astype(np.complex64)
    written = np.ascontiguousarray(powers[..., n - 1 :: -1] if n > 1 else powers[..., :1]).astype(np.complex64)
    decay = powers[..., n].astype(np.complex64)

    def call(features: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.pad(tf.transpose(features)[None, None], [[0, 0], [0, 0], [n - 1, 0], [0, 0]])
        filtered = tf.transpose(tf.nn.depthwise_conv2d(image, kernel, [1, 1, 1, 1], "VALID")[0, 0])
        real, imaginary = state[0], state[1]
        remembered = tf.matmul(real[:, None], read.real) - tf.matmul(imaginary[:, None], read.imag)
        entered = [tf.reduce_sum(features[:, None] * part, axis=2) for part in (written.real, written.imag)]
        after = tf.stack(
            [
                decay.real * real - decay.imag * imaginary + entered[0],
                decay.real * imaginary + decay.imag * real + entered[1],
            ]
        )
        return filtered + remembered[:, 0], after

    return call
