"""Filter, static nonlinearity, filter: the classic grey-box amp (preamp, clipping, tone stack and cabinet)."""

from typing import Any

import keras
import tensorflow as tf

from ampsim.models import layers
from ampsim.models.base import AmpModel


class WienerHammerstein(AmpModel):
    """A filter before a learnt curve and one after it, long enough for a cabinet.

    The curve is a straight line plus a sum of `units` shifted and scaled activations of one variable.

    Args:
        taps_before: length of the filter before the curve.
        taps_after: length of the filter after it, `future` of it on the current sample and later ones.
        units: activations that make the curve.
        activation: of these, by Keras' name.
    """

    def __init__(
        self,
        *,
        taps_before: int = 512,
        taps_after: int = 2048,
        units: int = 16,
        activation: str = "tanh",
        future: int = 1,
        sample_rate: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(future=future, sample_rate=sample_rate, **keras_arguments)
        layers.check_sizes(taps_before=taps_before, taps_after=taps_after, units=units)
        if future > taps_after:
            raise ValueError(f"future={future} and taps_after={taps_after}: the future is part of the last filter")
        self.taps_before, self.taps_after = taps_before, taps_after
        self.before, self.after = layers.Fir(taps_before), layers.Fir(taps_after, future=future)
        self.bend = layers.Convolution(units, name="bend")
        self.activation = layers.activation_named(activation)
        self.sum = layers.Convolution(1, name="head")

    @property
    def receptive_field(self) -> int:
        return self.taps_before + self.taps_after - 1

    def build(self, input_shape: object = None) -> None:
        self.before.build()
        self.after.build()
        self.bend.build(1)
        # Knees at many levels from the start: playing rarely reaches full scale.
        self.bend.kernel.assign(tf.random.uniform(self.bend.kernel.shape, 0.5, 8.0))
        self.bend.bias.assign(tf.random.uniform(self.bend.bias.shape, -2.0, 2.0))
        self.sum.build(self.bend.channels)
        self.slope = self.add_weight(shape=(), initializer="ones", name="slope")
        self.built = True

    def adam_layers(self) -> list[keras.layers.Layer]:
        return [self.bend, self.sum]

    def transform(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.after(self.curve(self.before(segment)))

    def curve(self, signal: tf.Tensor) -> tf.Tensor:
        """The static nonlinearity, (batch, n) -> (batch, n)."""
        bent = self.sum(self.activation(self.bend(layers.interleaved(signal))))
        return self.slope * signal + layers.separated(bent, signal.shape[0])
