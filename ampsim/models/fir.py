"""The linear model: one filter. What it cannot explain of an amp is the amp's nonlinearity (and noise)."""

from typing import Any

import tensorflow as tf

from ampsim.models import layers
from ampsim.models.base import AmpModel


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
