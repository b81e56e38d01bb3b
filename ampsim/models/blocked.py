"""A stack of dilated layers in blocks of time that stay in the processor's cache, compiled once for all its layers.

A layer is one matrix product over shifted copies of what it hears, which a whole segment would push out of the cache: in
blocks of a thousand samples it trained 1.5 times faster. The dilation is a number that the compiled layer is given, so that
nets of 23 layers compile two layers, one for each kernel size. Backwards it is written by hand: what a tape would keep, a
layer makes anew from what it heard.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import tensorflow as tf

SHORTEST_BLOCK = 1024  # samples
Weights = tuple[
    tf.Tensor, ...
]  # of a layer: kernel (taps * channels, channels), bias, mixin (1, channels), residual, its bias
NUM_WEIGHTS = 5


class Stack:
    """Layers of one width with leaky ReLU, for one example at a time.

    Args:
        kernel_sizes, dilations: a number a layer.
        slope: of the leaky ReLU, below 0.
    """

    def __init__(self, kernel_sizes: Sequence[int], dilations: Sequence[int], slope: float) -> None:
        self.dilations = [*dilations]
        memories = [(size - 1) * dilation for size, dilation in zip(kernel_sizes, dilations, strict=True)]
        self.memory = sum(memories)
        # What of the memory lies before each layer, and behind the last.
        self.left = [self.memory - heard for heard in accumulate(memories, initial=0)]
        self.length = max(
            SHORTEST_BLOCK, 64 * -(-max(memories) // 64)
        )  # of a block, which reaches into no other but the next
        self.forward = tf.function(forward_layer(self.length, slope), jit_compile=True, autograph=False)
        self.backward = tf.function(backward_layer(self.length, slope), jit_compile=True, autograph=False)
        self.sums = tf.function(self.activations, autograph=False)

    def __call__(self, channel: tf.Tensor, rechannel: tf.Tensor, weights: list[Weights]) -> tf.Tensor:
        """The sum of all activations, (channels, n), of the input, (1, memory + n)."""
        return self.sums(channel, rechannel, [weight for layer in weights for weight in layer])

    def activations(self, channel: tf.Tensor, rechannel: tf.Tensor, weights: list[tf.Tensor]) -> tf.Tensor:
        length, channels = self.length, rechannel.shape[1]
        columns = channel.shape[1] - self.memory
        count = -(-channel.shape[1] // length)
        last = count - -(-columns // length)  # the first block of those whose activations count
        firsts = [(count * length - columns - left) // length for left in self.left]  # in front of each layer; one more
        bounds = tf.constant(firsts)
        dilations = tf.constant(self.dilations)

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def summed(rechannel: tf.Tensor, *weights: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
            padded = tf.pad(channel, [[0, 0], [count * length - channel.shape[1], 0]])
            blocks = tf.reshape(padded, [count, 1, length])
            layers = [weights[at : at + NUM_WEIGHTS] for at in range(0, len(weights), NUM_WEIGHTS)]
            features = tf.transpose(rechannel)[None] * blocks
            kept = []
            for number, layer in enumerate(layers):
                following, activated = self.forward(features, blocks, dilations[number], bounds[number + 1], *layer)
                kept.append((features, activated))
                features = following
            total = tf.add_n([activated[last:] for _, activated in kept])

            def gradient(slope: tf.Tensor) -> tuple[tf.Tensor, ...]:
                slopes = tf.pad(slope, [[last, 0], [0, 0], [0, 0]])
                following = tf.zeros_like(features)
                found: list[tf.Tensor] = []
                for number in reversed(range(len(layers))):
                    following, *own = self.backward(
                        *kept[number], blocks, dilations[number], bounds[number], following, slopes, *layers[number]
                    )
                    found = [*own, *found]
                return tf.reduce_sum(following * blocks, [0, 2])[None], *found

            return total, gradient

        total = summed(rechannel, *weights)
        total = tf.reshape(tf.transpose(total, [1, 0, 2]), [channels, -1])
        return total[:, total.shape[1] - columns :]


def shifted(pair: tf.Tensor, first: Any, step: Any, taps: int) -> tf.Tensor:
    """What each tap hears of a block and its neighbour, (channels, 2 * length): (taps * channels, length).

    In a loop, since one copy after another would be compiled as many times.
    """
    channels, length = pair.shape[0], pair.shape[1] // 2

    def body(tap: Any, at: Any, rows: Any) -> tuple[Any, ...]:
        return tap + 1, at + step, rows.write(tap, tf.slice(pair, [0, at], [channels, length]))

    start = (tf.constant(0), first, tf.TensorArray(tf.float32, taps, element_shape=(channels, length)))
    *_, rows = tf.while_loop(lambda tap, *_: tap < taps, body, start)
    return tf.reshape(rows.stack(), [taps * channels, length])


def taps_of(kernel: tf.Tensor) -> int:
    return int(kernel.shape[0] // kernel.shape[1])


def heard(before: tf.Tensor, now: tf.Tensor, dilation: Any, taps: int) -> tf.Tensor:
    """What each tap hears in a block, the oldest first."""
    return shifted(tf.concat([before, now], 1), now.shape[1] - (taps - 1) * dilation, dilation, taps)


def filled(count: int, like: tf.Tensor) -> tf.TensorArray:
    return tf.TensorArray(tf.float32, count, element_shape=like.shape[1:]).unstack(tf.zeros_like(like))


def forward_layer(length: int, slope: float) -> Callable[..., Any]:
    def layer(
        features: tf.Tensor, blocks: tf.Tensor, dilation: tf.Tensor, first: tf.Tensor, *weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """(count, channels, length) -> the same for the next layer, and the activations; zeros before the first block."""
        kernel, bias, mixin, residual, shift = weights
        count, taps = features.shape[0], taps_of(kernel)

        def body(index: Any, dilation: Any, following: Any, activated: Any) -> tuple[Any, ...]:
            now = features[index]
            rows = heard(features[tf.maximum(index - 1, 0)], now, dilation, taps)
            mixed = tf.matmul(kernel, rows, transpose_a=True) + bias[:, None] + tf.transpose(mixin) * blocks[index]
            active = tf.maximum(mixed, slope * mixed)
            out = now + (tf.matmul(residual, active, transpose_a=True) + shift[:, None])
            # A dilation that never changes would be compiled as a constant, and every layer by itself.
            return (
                index + 1,
                dilation + tf.minimum(index, 0),
                following.write(index, out),
                activated.write(index, active),
            )

        start = (first, dilation, filled(count, features), filled(count, features))
        *_, following, activated = tf.while_loop(lambda index, *_: index < count, body, start)
        return following.stack(), activated.stack()

    return layer


def backward_layer(length: int, slope: float) -> Callable[..., Any]:
    def layer(
        features: tf.Tensor,
        activated: tf.Tensor,
        blocks: tf.Tensor,
        dilation: tf.Tensor,
        first: tf.Tensor,
        following: tf.Tensor,
        slopes: tf.Tensor,
        *weights: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        """Gradients of what the layer heard and of its weights, from those of what followed and of the activations."""
        kernel, _, _, residual, _ = weights
        count, channels, taps = features.shape[0], features.shape[1], taps_of(kernel)
        flipped = tf.reshape(tf.transpose(tf.reshape(kernel, [taps, channels, channels]), [1, 0, 2]), [channels, -1])

        def body(index: Any, dilation: Any, later: Any, sums: Any, before: Any) -> tuple[Any, ...]:
            rising, active = following[index], activated[index]
            mixed = (slopes[index] + residual @ rising) * tf.where(active >= 0, 1.0, slope)
            rows = heard(features[tf.maximum(index - 1, 0)], features[index], dilation, taps)
            out = rising + flipped @ shifted(tf.concat([mixed, later], 1), (taps - 1) * dilation, -dilation, taps)
            own = (
                tf.matmul(rows, mixed, transpose_b=True),
                tf.reduce_sum(mixed, 1),
                tf.matmul(blocks[index], mixed, transpose_b=True),
                tf.matmul(active, rising, transpose_b=True),
                tf.reduce_sum(rising, 1),
            )
            sums = tuple(total + value for total, value in zip(sums, own, strict=True))
            return index - 1, dilation + tf.minimum(index, 0), mixed, sums, before.write(index, out)

        nothing = tuple(tf.zeros_like(weight) for weight in weights)
        start = (tf.constant(count - 1), dilation, tf.zeros_like(features[0]), nothing, filled(count, features))
        *_, sums, before = tf.while_loop(lambda index, *_: index >= first, body, start)
        return before.stack(), *sums

    return layer
