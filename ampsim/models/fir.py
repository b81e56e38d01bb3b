"""The linear model: one filter. What it cannot explain of an amp is the amp's nonlinearity (and noise)."""

from typing import Any

import numpy as np
import tensorflow as tf

from ampsim.models import layers
from ampsim.models.base import AmpModel
from ampsim.models.forms import ChainLayer, NamNet, window_layer


class Fir(AmpModel):
    """A finite impulse response, trained like any net.

    Args:
        taps: length of the response, `future` of it on the current sample and later ones.
        bias: add a constant.
    """

    def __init__(
        self,
        *,
        taps: int = 1024,
        future: int = 1,
        bias: bool = False,
        sample_rate: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(future=future, sample_rate=sample_rate, **keras_arguments)
        layers.check_sizes(taps=taps)
        self.taps = taps
        self.check_future()
        self.filter = layers.Fir(taps, future=future)
        self.use_bias = bias

    @property
    def receptive_field(self) -> int:
        return self.taps

    def build(self, input_shape: object = None) -> None:
        self.filter.build()
        if self.use_bias:
            self.bias = self.add_weight(shape=(), initializer="zeros", name="bias")
        self.built = True

    def transform(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
        filtered = self.filter(segment)
        return filtered + self.bias if self.use_bias else filtered

    def as_nam(self) -> NamNet:
        # Newest sample first, as the C++ players read it; neural-amp-modeler's own Python writes it the other way round.
        weights = [self.input_gain * self.output_gain * self.filter.kernel.numpy()[::-1]]
        if self.use_bias:
            weights.append(self.output_gain * self.bias.numpy())
        return NamNet("Linear", {"receptive_field": self.taps, "bias": self.use_bias}, weights)

    def as_chain(self, *, net_only: bool = False) -> list[ChainLayer]:
        before, after = (1.0, 1.0) if net_only else (self.input_gain, self.output_gain)
        bias = after * self.bias.numpy() if self.use_bias else 0.0
        return [window_layer(before * after * self.filter.kernel.numpy()[:, None], np.array([bias]), "linear")]
