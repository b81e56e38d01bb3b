"""The founding net: a dense net that sees a window of input and predicts one sample, over whole segments at once."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ampsim.models.base import AmpModel
from ampsim.models.convolution import filter_bank
from ampsim.models.forms import ChainLayer, activation_name, window_layer
from ampsim.models.layers import check_sizes, product

FFT_FROM = 128  # window from which the first layer is faster as an FFT convolution (two AVX-512 cores, 64 units)
FIRST_LAYERS = ("fft", "matmul", "auto")


class Dense(AmpModel):
    """Layers of units over a window of input; the output is a tanh.

    The first layer is `units` filters of `window` taps. As an FFT convolution over the segment it gives the numbers that
    `keras.layers.Dense` gives on windows, without a window ever being stored.

    Args:
        window: input samples that one output sees: `window - future` past ones, the current one and `future - 1` later.
        layers: hidden layers, 1 or more.
        units: units of each hidden layer.
        activation: of the hidden layers, by Keras' name.
        dropout: share of the units dropped in training after each hidden layer.
        emphasis: keeps the first layer's weights as weights on the pre-emphasised input x[k] - emphasis x[k - 1]. The net
            is the same; the descent is better conditioned, since a guitar has little energy where an amp adds much.
        first_layer: "fft", "matmul" or "auto".
    """

    xla_training = xla_rendering = False  # its FFTs and products are one operation each already
    levelled = False  # its output is a tanh, which reaches full scale

    def __init__(
        self,
        *,
        window: int = 4000,
        future: int = 300,
        layers: int = 3,
        units: int = 256,
        activation: str = "relu",
        dropout: float = 0.0,
        emphasis: float = 0.0,
        first_layer: str = "auto",
        sample_rate: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(future=future, sample_rate=sample_rate, **keras_arguments)
        if not 1 <= future <= window:
            raise ValueError(f"future={future} and window={window}: the future is part of the window")
        check_sizes(layers=layers, units=units)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout}: it is a share from 0 up to 1")
        if not 0 <= emphasis < 1:
            raise ValueError(f"emphasis={emphasis}: it is from 0 (none) up to 1")
        if first_layer not in FIRST_LAYERS:
            raise ValueError(f"first_layer={first_layer}: it is one of {', '.join(FIRST_LAYERS)}")
        self.window, self.emphasis, self.first_layer = window, emphasis, first_layer
        self.hidden = [keras.layers.Dense(units, activation=activation) for _ in range(layers)]
        self.dropout = keras.layers.Dropout(dropout)
        self.head = keras.layers.Dense(1, activation="tanh", name="head")

    @property
    def receptive_field(self) -> int:
        return self.window

    @property
    def num_features(self) -> int:
        """What the second layer sees at each instant."""
        return self.hidden[0].units

    def build(self, input_shape: object = None) -> None:
        first, *rest = self.hidden
        first.build((None, self.window))
        size = self.num_features
        for layer in [*rest, self.head]:
            layer.build((None, size))
            size = layer.units
        self.built = True

    def transform(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
        batch, n = segment.shape[0], segment.shape[1] - self.window + 1
        features, transposed = self.features(segment), True
        for layer in [*self.hidden[1:], self.head]:
            features = self.dropout(features, training=training)
            # Features come with the units in front; the product reads them so, and nothing is moved.
            features = layer.activation(product(features, layer.kernel, transpose_a=transposed) + layer.bias)
            transposed = False
        return tf.reverse(tf.reshape(features, [batch, n]), [1])

    def adam_layers(self) -> list[keras.layers.Layer]:
        return [self.head]

    def features(self, segment: tf.Tensor) -> tf.Tensor:
        """The first layer's outputs, (num_features, batch * n), backwards in time within each example."""
        first, kernel = self.hidden[0], self.first_kernel()
        if self.uses_fft():
            units = first.activation(filter_bank(segment, kernel) + first.bias[:, None, None])
            return tf.reshape(units, [first.units, -1])
        windows = tf.reverse(tf.signal.frame(segment, self.window, 1), [1])
        products = product(kernel, tf.reshape(windows, [-1, self.window]), transpose_a=True, transpose_b=True)
        return first.activation(products + first.bias[:, None])

    def first_kernel(self) -> tf.Tensor:
        """(window, units): the first layer's weights on the input itself."""
        kernel = tf.convert_to_tensor(self.hidden[0].kernel)
        later = tf.concat([kernel[1:], tf.zeros_like(kernel[:1])], axis=0)
        # What pre-emphasis takes from the level of the input, the gain gives back.
        return (kernel - self.emphasis * later) / (1 - self.emphasis) ** 0.5

    def uses_fft(self) -> bool:
        return self.first_layer == "fft" or (self.first_layer == "auto" and self.window >= FFT_FROM)

    def as_chain(self, *, net_only: bool = False) -> list[ChainLayer]:
        first, *rest = self.hidden
        before, after = (1.0, 1.0) if net_only else (self.input_gain, self.output_gain)
        kernel, activation = before * np.asarray(self.first_kernel()), activation_name(first.activation)
        chain = [window_layer(kernel, first.bias.numpy(), activation)]
        chain += [
            ChainLayer("dense", layer.units, activation_name(layer.activation), layer.get_weights())
            for layer in [*rest, self.head]
        ]
        louder = ChainLayer("dense", 1, "linear", [np.array([[after]]), np.zeros(1)])  # after the head's tanh
        return chain if after == 1 else [*chain, louder]
