"""The WaveNet of Neural Amp Modeler: dilated convolutions in arrays, each adding to a head (Atkinson 2022)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ampsim.models.base import AmpModel, PlainStream
from ampsim.models.blocked import Stack
from ampsim.models.forms import Array as Weights
from ampsim.models.forms import NamNet
from ampsim.models.layers import (
    Convolution,
    activation_named,
    check_dilations,
    check_sizes,
    check_whole,
    in_full_precision,
    interleaved,
    newest,
    separated,
)
from ampsim.models.past import Past, with_pasts

FILMS = (
    *("conv_pre", "conv_post", "input_mixin_pre", "input_mixin_post"),
    *("activation_pre", "activation_post", "layer1x1_post", "head1x1_post"),
)
DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class WaveNet(AmpModel):
    """The arithmetic of `.nam` files, weight for weight, so that a trained model can be played by NAM.

    Args:
        channels: of each array; a single number is halved from array to array.
        dilations: one list an array, one layer a dilation.
        kernel_size: taps of each dilated convolution; a number, or one list an array with one number a layer.
        head_kernel_size: taps of the last array's head, which hears what the layers activate.
        activation: by Keras' name; NAM plays tanh, relu, leaky_relu, sigmoid, silu and hard_tanh.
        negative_slope: of leaky_relu, below 0.
        gated: multiply each layer's activation by a sigmoid of as many channels of its own.
        head_scale: factor on the output.
    """

    def __init__(
        self,
        *,
        channels: int | Sequence[int] = 16,
        dilations: Sequence[Sequence[int]] = (DILATIONS, DILATIONS),
        kernel_size: int | Sequence[Sequence[int]] = 3,
        head_kernel_size: int = 1,
        activation: str = "tanh",
        negative_slope: float = 0.2,
        gated: bool = False,
        head_scale: float = 0.02,
        future: int = 1,
        sample_rate: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(future=future, sample_rate=sample_rate, **keras_arguments)
        check_sizes(head_kernel_size=head_kernel_size)
        if not isinstance(dilations, Sequence):
            raise ValueError(f"dilations={dilations}: a list of lists is needed, one an array, such as [[1,2,4],[1,2]]")
        check_sizes(layers=sum(len(chosen) for chosen in dilations if isinstance(chosen, Sequence)) or 1)
        widths = array_channels(channels, len(dilations))
        for chosen in dilations:
            check_dilations(chosen)
        sizes = kernel_sizes(kernel_size, dilations)
        activate = Activation(activation, negative_slope)
        self.head_scale = head_scale
        self.arrays = [
            Array(
                layers=[Layer(width, *each, activate, gated) for each in zip(taps, chosen, strict=True)],
                channels=width,
                head_size=head_size,
                head_kernel_size=1 if number < len(widths) else head_kernel_size,
            )
            for number, (width, head_size, taps, chosen) in enumerate(
                zip(widths, [*widths[1:], 1], sizes, dilations, strict=True), 1
            )
        ]
        self.memory = sum(array.memory for array in self.arrays)
        self.check_future()
        if len(self.arrays) == 1 and activation == "leaky_relu" and not gated:
            self.stack = Stack(sizes[0], dilations[0], negative_slope)
            self.xla_parts, self.xla_rendering, self.batch_size = True, False, 2

    @property
    def receptive_field(self) -> int:
        return 1 + self.memory

    def build(self, input_shape: object = None) -> None:
        inputs = 1
        for array in self.arrays:
            array.build(inputs)
            inputs = array.channels
        self.built = True

    def transform(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
        batch = segment.shape[0]
        if training and self.xla_parts and in_full_precision():
            return tf.concat([self.learning(segment[number : number + 1]) for number in range(batch)], 0)
        output = self.net(interleaved(segment), batch=batch)
        # The format has a last residual that nothing reads: a gradient of zero for it, where there would be none.
        unread = sum(tf.reduce_sum(weight) for weight in self.arrays[-1].stack[-1].residual.trainable_weights)
        return separated(output + 0.0 * unread, batch)

    def net(self, channel: tf.Tensor, past: Past | None = None, *, batch: int = 1) -> tf.Tensor:
        """(1, n * batch) -> (1, (n - memory) * batch), or with a past, as of one example, -> (1, n)."""
        # What the last head hears: as much more than it answers as it remembers.
        heard = self.memory - self.arrays[-1].head.memory if past is None else 0
        columns = channel.shape[1] - heard * batch
        features = channel
        head: Any = None
        for array in self.arrays:
            features, head = array(features, condition=channel, head=head, columns=columns, batch=batch, past=past)
        return self.head_scale * head

    def learning(self, channel: tf.Tensor) -> tf.Tensor:
        """`net` of one example, as it trains fastest."""
        (array,) = self.arrays
        total = self.stack(channel, array.rechannel.kernel + 0.0, [layer.weights_in_order() for layer in array.stack])
        return self.head_scale * array.learning_head(total)

    def adam_layers(self) -> list[keras.layers.Layer]:
        mixins = [layer.mixin for array in self.arrays for layer in array.stack]
        return [*mixins, *(layer for array in self.arrays for layer in (array.rechannel, array.head))]

    def plain_stream(self, block_length: int) -> tuple[PlainStream, Any]:
        return with_pasts(self, self.net)

    def as_nam(self) -> NamNet:
        return self.nam_net(*self.nam_arrays())

    def nam_net(self, layers: list[dict[str, Any]], weights: list[Weights]) -> NamNet:
        scale = self.head_scale * self.output_gain
        config = {"layers": layers, "head": None, "head_scale": scale}
        return NamNet("WaveNet", config, [*weights, np.array(scale)])

    def nam_arrays(self) -> tuple[list[dict[str, Any]], list[Weights]]:
        """What a `.nam` file says of each array, and the weights of all. The model's input is mixed into every layer."""
        entries, weights, inputs = [], list[Weights](), 1
        plain = all(array.is_plain for array in self.arrays)
        for array in self.arrays:
            entries.append(array.plain_nam_entry(inputs) if plain else array.nam_entry(inputs))
            gain = self.input_gain
            weights += array.rechannel.nam_weights(gain if array is self.arrays[0] else 1.0)
            for layer in array.stack:
                weights += layer.convolution.nam_weights()
                weights += layer.mixin.nam_weights(gain)
                weights += layer.residual.nam_weights()
            weights += array.head.nam_weights()
            inputs = array.channels
        return entries, weights


class Array(keras.layers.Layer):
    """Layers of one width. What each activates is summed for the head, which the next array goes on with."""

    def __init__(self, layers: list["Layer"], *, channels: int, head_size: int, head_kernel_size: int) -> None:
        super().__init__()
        self.channels = channels
        self.rechannel = Convolution(channels, use_bias=False, name="rechannel")
        self.stack = layers
        self.head = Convolution(head_size, head_kernel_size, use_bias=head_size == 1, name="head")
        self.learning_head = tf.function(self.head.call, jit_compile=True, autograph=False)

    @property
    def memory(self) -> int:
        return sum(layer.convolution.memory for layer in self.stack) + self.head.memory

    def build(self, inputs: int) -> None:
        self.rechannel.build(inputs)
        for layer in self.stack:
            layer.build()
        self.head.build(self.channels)
        self.built = True

    @property
    def is_plain(self) -> bool:
        """Whether files before version 0.7.0 can hold it."""
        same = len({layer.convolution.kernel_size for layer in self.stack}) == 1
        return same and not self.head.memory and self.stack[0].activation.name != "leaky_relu"

    def plain_nam_entry(self, inputs: int) -> dict[str, Any]:
        layer = self.stack[0]
        return {
            "input_size": inputs,
            "condition_size": 1,
            "head_size": self.head.channels,
            "head_bias": self.head.use_bias,
            "channels": self.channels,
            "kernel_size": layer.convolution.kernel_size,
            "dilations": [layer.convolution.dilation for layer in self.stack],
            "activation": layer.activation.name,
            "gated": layer.gated,
        }

    def nam_entry(self, inputs: int) -> dict[str, Any]:
        """Every key that the reference trainer writes: players' fast code for A2 takes a missing one for another net."""
        head = {"out_channels": self.head.channels, "kernel_size": self.head.kernel_size, "bias": self.head.use_bias}
        gated = self.stack[0].gated
        return {
            "input_size": inputs,
            "condition_size": 1,
            "head": head,
            "channels": self.channels,
            "kernel_sizes": [layer.convolution.kernel_size for layer in self.stack],
            "dilations": [layer.convolution.dilation for layer in self.stack],
            "activation": [layer.activation.nam_entry() for layer in self.stack],
            "bottleneck": self.channels,
            "head1x1": {"active": False, "out_channels": head["out_channels"], "groups": 1},
            "layer1x1": {"active": True, "groups": 1},
            "groups_input": 1,
            "groups_input_mixin": 1,
            **{f"{place}_film": {"active": False, "shift": True, "groups": 1} for place in FILMS},
            "gating_mode": ["gated" if gated else "none" for _ in self.stack],
            "secondary_activation": ["Sigmoid" if gated else None for _ in self.stack],
            "slimmable": None,
        }

    def call(
        self,
        features: tf.Tensor,
        *,
        condition: tf.Tensor,
        head: tf.Tensor | None,
        columns: int,
        batch: int,
        past: Past | None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        features = self.rechannel(features)
        for layer in self.stack:
            features, activated = layer(features, condition=condition, batch=batch, past=past)
            useful = newest(activated, columns)
            head = useful if head is None else head + useful
        if past is not None and self.head.memory:
            head = past.heard(head, self.head.memory)
        return features, self.head(head, batch=batch)


class Layer(keras.layers.Layer):
    """A dilated convolution with the model's input mixed in, activated, and added to what came in."""

    def __init__(self, channels: int, kernel_size: int, dilation: int, activation: "Activation", gated: bool) -> None:
        super().__init__()
        self.channels, self.gated, self.activation = channels, gated, activation
        wide = 2 * channels if gated else channels
        self.convolution = Convolution(wide, kernel_size, dilation)
        self.mixin = Convolution(wide, use_bias=False, name="mixin")
        self.residual = Convolution(channels)

    def build(self, input_shape: object = None) -> None:
        self.convolution.build(self.channels)
        self.mixin.build(1)
        self.residual.build(self.channels)
        self.built = True

    def weights_in_order(self) -> tuple[tf.Tensor, ...]:
        """As `blocked.Stack` takes them."""
        parts = (self.convolution.kernel, self.convolution.bias, self.mixin.kernel)
        return tuple(tf.convert_to_tensor(part) for part in (*parts, self.residual.kernel, self.residual.bias))

    def call(
        self, features: tf.Tensor, *, condition: tf.Tensor, batch: int, past: Past | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        heard = features if past is None else past.heard(features, self.convolution.memory)
        convolved = self.convolution(heard, batch=batch)
        mixed = convolved + self.mixin(newest(condition, convolved.shape[1]))
        activated = self.activation(mixed[: self.channels])
        if self.gated:
            activated *= tf.sigmoid(mixed[self.channels :])
        return newest(features, activated.shape[1]) + self.residual(activated), activated


@dataclass(frozen=True)
class Activation:
    """An activation by Keras' name, and what a `.nam` file calls it."""

    name: str
    negative_slope: float

    def __post_init__(self) -> None:
        activation_named(self.name)

    def __call__(self, values: tf.Tensor) -> tf.Tensor:
        if self.name == "leaky_relu":
            return keras.activations.leaky_relu(values, self.negative_slope)
        return activation_named(self.name)(values)

    def nam_entry(self) -> dict[str, Any]:
        return {"type": self.name} | ({"negative_slope": self.negative_slope} if self.name == "leaky_relu" else {})


def kernel_sizes(kernel_size: int | Sequence[Sequence[int]], dilations: Sequence[Sequence[int]]) -> list[list[int]]:
    """Taps of each layer, one list an array; raises ValueError for lists that are not as long as those of the dilations."""
    if isinstance(kernel_size, int):
        check_sizes(kernel_size=kernel_size)
        return [[kernel_size] * len(chosen) for chosen in dilations]
    if [len(taps) if isinstance(taps, Sequence) else None for taps in kernel_size] != [len(each) for each in dilations]:
        raise ValueError(f"kernel_size={kernel_size}: one number, or lists as long as those of the dilations")
    for taps in kernel_size:
        check_whole("kernel_size", taps)
    return [[*taps] for taps in kernel_size]


def array_channels(channels: int | Sequence[int], arrays: int) -> list[int]:
    """The width of each array."""
    widths = [channels // 2**index for index in range(arrays)] if isinstance(channels, int) else list(channels)
    if not arrays or len(widths) != arrays or min(widths) < 1:
        raise ValueError(
            f"channels={channels} for {arrays} arrays (lists in dilations): a list with one number an array, each 1 or "
            "more, or one number that can be halved from array to array"
        )
    return widths
