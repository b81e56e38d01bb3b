"""Diagonal state-space layers (S4D: Gu, Gupta, Goel & Ré 2022): long convolutions that go on from a small state."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ampsim.models.base import PlainStream
from ampsim.models.convolution import depthwise
from ampsim.models.layers import Convolution, activation_named, check_sizes
from ampsim.models.recurrent import Recurrent

CHUNK = 64  # a pole's powers are products of two tables, one of single steps and one in steps of this many


class Ssm(Recurrent):
    """Each layer filters every channel by a bank of damped oscillators, bends it, mixes the channels and adds the result.

    A block is one FFT convolution, and what the state before it adds; block after block that is the recurrence
    x[k] = pole x[k - 1] + u[k], y[k] = Re(c x[k]) + d u[k], without a step per sample.

    Args:
        channels: of every layer.
        states: complex oscillators of each channel.
        layers: one after another.
        activation: by Keras' name.
        burn_in, skip: as of `Recurrent`.
    """

    def __init__(
        self,
        *,
        channels: int = 16,
        states: int = 8,
        layers: int = 4,
        activation: str = "tanh",
        skip: bool = False,
        burn_in: int = 4096,
        future: int = 1,
        sample_rate: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(burn_in=burn_in, skip=skip, future=future, sample_rate=sample_rate, **keras_arguments)
        check_sizes(channels=channels, states=states, layers=layers)
        self.channels = channels
        self.activation = activation_named(activation)
        self.rechannel = Convolution(channels, name="rechannel")
        self.filters = [Oscillators(channels, states) for _ in range(layers)]
        self.mixers = [Convolution(channels) for _ in range(layers)]
        self.head = Convolution(1, name="head")

    def build(self, input_shape: object = None) -> None:
        self.rechannel.build(1)
        for filters, mixer in zip(self.filters, self.mixers, strict=True):
            filters.build()
            mixer.build(self.channels)
        self.head.build(self.channels)
        self.built = True

    def initial_state(self, batch: int) -> Any:
        return [tf.zeros((self.channels, batch, filters.states), tf.complex64) for filters in self.filters]

    def advance(self, signal: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
        batch, n = signal.shape
        features, after = self.rechannel(tf.reshape(signal, [1, batch * n])), []
        for filters, mixer, before in zip(self.filters, self.mixers, state, strict=True):
            filtered, ended = filters(tf.reshape(features, [self.channels, batch, n]), before=before)
            features += mixer(self.activation(tf.reshape(filtered, [self.channels, batch * n])))
            after.append(ended)
        return tf.reshape(self.head(features), [batch, n]), after

    def adam_layers(self) -> list[keras.layers.Layer]:
        return [self.rechannel, *self.filters, self.head]

    def plain_stream(self, block_length: int) -> tuple[PlainStream, Any]:
        """Without complex numbers: each layer's state is (2, channels, states), real and imaginary."""
        n, filters = block_length, [layer.plain(block_length) for layer in self.filters]
        cells, waiting = self.settled_state()
        initial = [np.stack([np.real(cell)[:, 0], np.imag(cell)[:, 0]]) for cell in cells], waiting

        def stream(block: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
            (before, waiting), after = state, []
            block = self.input_gain * block
            features = self.rechannel(tf.reshape(block, [1, n]))
            for layer, mixer, cell in zip(filters, self.mixers, before, strict=True):
                filtered, ended = layer(features, cell)
                features += mixer(self.activation(filtered))
                after.append(ended)
            output = tf.reshape(self.head(features), [1, n])
            heard = tf.concat([waiting, block], axis=1)
            output = output + heard[:, :n] if self.skip else output
            return self.output_gain * output, (after, heard[:, n:])

        return stream, initial


class Oscillators(keras.layers.Layer):
    """A bank of damped oscillators for each channel, as S4D-Lin starts them: decay 1/2 and harmonics of one half turn."""

    def __init__(self, channels: int, states: int) -> None:
        super().__init__()
        self.channels, self.states = channels, states

    def build(self, input_shape: object = None) -> None:
        shape = (self.channels, self.states)
        # A channel's time step, from 1/1000 to 1/10 of its oscillators' unit of time: memories of 10 to 2,000 samples.
        steps = tf.random.uniform((self.channels, 1), math.log(1e-3), math.log(1e-1))
        self.log_step = self.variable("log_step", steps)
        self.log_decay = self.variable("log_decay", tf.fill(shape, math.log(0.5)))
        self.frequency = self.variable(
            "frequency", tf.tile(math.pi * tf.range(self.states, dtype=tf.float32)[None], [self.channels, 1])
        )
        self.real = self.variable("real", tf.random.normal(shape, stddev=math.sqrt(0.5)))
        self.imaginary = self.variable("imaginary", tf.random.normal(shape, stddev=math.sqrt(0.5)))
        self.direct = self.variable("direct", tf.random.normal((self.channels, 1, 1)))
        self.built = True

    def variable(self, name: str, value: tf.Tensor) -> Any:
        weight = self.add_weight(shape=tuple(value.shape), name=name)
        weight.assign(value)
        return weight

    def call(self, features: tf.Tensor, *, before: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(channels, batch, n) filtered, and the state (channels, batch, states) after it, given that before it."""
        n = features.shape[2]
        rate, weight = self.poles()
        filtered = depthwise(features, series(weight[:, None], rate, n)[:, 0])
        remembered = series(weight[:, None] * tf.exp(rate)[:, None] * before, rate, n)
        after = tf.exp(rate * n)[:, None] * before + folded(features, rate)
        return filtered + remembered + self.direct * features, after

    def poles(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The logarithm of each pole of the recurrence, and its weight in the output; a zero-order hold."""
        step = tf.complex(tf.exp(self.log_step), 0.0)
        pole = tf.complex(-tf.exp(self.log_decay), self.frequency)
        rate = step * pole
        return rate, 2 * tf.complex(self.real, self.imaginary) * (tf.exp(rate) - 1) / pole

    def plain(self, n: int) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
        """`call` on one example in blocks of n without complex numbers and FFT: (channels, n), (2, channels, states)."""
        log_pole, weight = (np.asarray(part, np.complex128) for part in self.poles())
        powers = np.exp(log_pole[..., None] * np.arange(n + 1))  # (channels, states, n + 1)
        response = np.einsum("cs,csn->cn", weight, powers[..., :n]).real
        response[:, 0] += self.direct.numpy()[:, 0, 0]
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


def series(weights: tf.Tensor, rate: tf.Tensor, n: int) -> tf.Tensor:
    """The real part of the sum over states of weights (channels, batch, states) times exp(rate k), (channels, batch, n)."""
    num_chunks = -(-n // CHUNK)
    coarse = weights[..., None] * powers(rate, num_chunks, CHUNK)[:, None]  # (channels, batch, states, num_chunks)
    fine = powers(rate, CHUNK, 1)[:, None]
    parts = tf.concat([tf.math.real(coarse), -tf.math.imag(coarse)], axis=2)
    tables = tf.concat([tf.math.real(fine), tf.math.imag(fine)], axis=2)
    channels, batch = weights.shape[:2]
    return tf.reshape(tf.matmul(parts, tables, transpose_a=True), [channels, batch, num_chunks * CHUNK])[..., :n]


def folded(features: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
    """What (channels, batch, n) leaves in the state, (channels, batch, states): the sum of u[k] exp(rate (n - 1 - k))."""
    channels, batch, n = features.shape
    num_chunks = -(-n // CHUNK)
    chunks = tf.pad(features, [[0, 0], [0, 0], [num_chunks * CHUNK - n, 0]])
    chunks = tf.reshape(chunks, [channels, batch * num_chunks, CHUNK])
    fine = tf.reverse(powers(rate, CHUNK, 1), [2])
    sums = tf.complex(
        tf.matmul(chunks, tf.math.real(fine), transpose_b=True), tf.matmul(chunks, tf.math.imag(fine), transpose_b=True)
    )
    sums = tf.reshape(sums, [channels, batch, num_chunks, -1])
    coarse = tf.transpose(tf.reverse(powers(rate, num_chunks, CHUNK), [2]), [0, 2, 1])
    return tf.reduce_sum(sums * coarse[:, None], axis=2)


def powers(rate: tf.Tensor, count: int, step: int) -> tf.Tensor:
    """exp(rate step k) for k from 0 to count - 1, (channels, states, count)."""
    return tf.exp(rate[..., None] * tf.complex(step * tf.range(count, dtype=tf.float32), 0.0))
