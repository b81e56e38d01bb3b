"""A temporal convolutional net: dilated convolutions with residual connections (Steinmetz & Reiss 2022)."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from ampsim.models import layers
from ampsim.models.base import AmpModel, PlainStream
from ampsim.models.past import Past, with_pasts


class Tcn(AmpModel):
    """Each block adds an activated dilated convolution to what it was given; a 1x1 convolution makes the output.

    Args:
        channels: of every block.
        kernel_size: taps of each convolution.
        dilations: one block each.
        activation: by Keras' name.
    """

    def __init__(
        self,
        *,
        channels: int = 16,
        kernel_size: int = 3,
        dilations: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
        activation: str = "tanh",
        future: int = 1,
        sample_rate: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(future=future, sample_rate=sample_rate, **keras_arguments)
        layers.check_sizes(channels=channels, kernel_size=kernel_size)
        layers.check_dilations(dilations)
        self.memory = (kernel_size - 1) * sum(dilations)
        self.check_future()
        self.rechannel = layers.Convolution(channels, name="rechannel")
        self.blocks = [layers.Convolution(channels, kernel_size, dilation) for dilation in dilations]
        self.head = layers.Convolution(1, name="head")
        self.activation = layers.activation_named(activation)

    @property
    def receptive_field(self) -> int:
        return 1 + self.memory

    def build(self, input_shape: object = None) -> None:
        self.rechannel.build(1)
        for block in self.blocks:
            block.build(self.rechannel.channels)
        self.head.build(self.rechannel.channels)
        self.built = True

    def transform(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
        batch = segment.shape[0]
        return layers.separated(self.net(layers.interleaved(segment), batch=batch), batch)

    def net(self, channel: tf.Tensor, past: Past | None = None, *, batch: int = 1) -> tf.Tensor:
        """(1, n * batch) -> (1, (n - memory) * batch), or with a past, as of one example, -> (1, n)."""
        features = self.rechannel(channel)
        for block in self.blocks:
            heard = features if past is None else past.heard(features, block.memory)
            added = self.activation(block(heard, batch=batch))
            features = layers.newest(features, added.shape[1]) + added
        return self.head(features)

    def adam_layers(self) -> list[keras.layers.Layer]:
        return [self.rechannel, self.head]

    def plain_stream(self, block_length: int) -> tuple[PlainStream, Any]:
        return with_pasts(self, self.net)
