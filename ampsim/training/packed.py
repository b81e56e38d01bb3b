"""One update of an optimizer for all weights of a model at once: hundreds of small ones take longer to compile than the net."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf


class Packed:
    """An optimizer whose rule treats every number by itself, on all weights as one vector.

    Args:
        optimizer: not yet built; `suits` says whether it is such a one.
        variables: a model's.
    """

    def __init__(
        self, optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable], *, xla: bool
    ) -> None:
        self.optimizer, self.variables = optimizer, [*variables]
        self.sizes = [math.prod(variable.shape) for variable in variables]
        self.vector = keras.Variable(tf.zeros(sum(self.sizes)), name="vector")
        optimizer.build([self.vector])
        self.update = tf.function(self.updated, jit_compile=xla, autograph=False)

    @staticmethod
    def suits(optimizer: keras.optimizers.Optimizer) -> bool:
        """Whether the rule is one of numbers: none of matrices, of a weight's norm, or of weights that are left out."""
        plain = (keras.optimizers.Adam, keras.optimizers.RMSprop, keras.optimizers.SGD)
        norms = optimizer.clipnorm or optimizer.global_clipnorm
        return type(optimizer) in plain and not (norms or optimizer.weight_decay or optimizer.use_ema)

    def apply(self, gradients: Sequence[tf.Tensor]) -> None:
        values = self.update(packed(self.variables), packed(gradients))
        for variable, value in zip(self.variables, tf.split(values, self.sizes), strict=True):
            variable.assign(tf.reshape(value, variable.shape))

    def updated(self, weights: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        self.vector.assign(weights)
        self.optimizer.apply([gradients], [self.vector])
        return self.vector.value + 0.0


def packed(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.concat([tf.reshape(tf.convert_to_tensor(part), [-1]) for part in parts], 0)
