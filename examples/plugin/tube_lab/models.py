"""The smallest amp there is: a gain into a curve."""

from typing import Any

import keras
import tensorflow as tf

from ampsim.models import AmpModel


class Tube(AmpModel):
    """A biased tanh, without memory.

    Args:
        drive: gain before the curve at the start of training.
    """

    def __init__(self, *, drive: float = 1.0, sample_rate: int | None = None, **keras_arguments: Any) -> None:
        super().__init__(sample_rate=sample_rate, **keras_arguments)
        self.start = drive

    @property
    def receptive_field(self) -> int:
        return 1

    def build(self, input_shape: object = None) -> None:
        self.drive = self.add_weight(shape=(), initializer=keras.initializers.Constant(self.start), name="drive")
        self.bias = self.add_weight(shape=(), initializer="zeros", name="bias")
        self.level = self.add_weight(shape=(), initializer="ones", name="level")
        self.built = True

    def transform(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.level * (tf.tanh(self.drive * segment + self.bias) - tf.tanh(self.bias))
