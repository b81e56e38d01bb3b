"""A loss between squared and absolute error."""

import math

import tensorflow as tf

from ampsim.losses import Loss


class LogCosh(Loss):
    """Mean log(cosh(error)): squared for small errors, absolute for large ones.

    Args:
        scale: the error, re full scale, around which one turns into the other.
    """

    def __init__(self, *, scale: float = 0.1, **kwargs: float) -> None:
        super().__init__(**kwargs)
        if not 0 < scale < math.inf:
            raise ValueError(f"scale={scale}: it is above 0 and finite")
        self.scale = scale

    def __call__(self, target: tf.Tensor, prediction: tf.Tensor) -> tf.Tensor:
        error = tf.abs(target - prediction) / self.scale
        # log(cosh(x)) without the overflow of cosh
        return tf.reduce_mean(error + tf.math.softplus(-2 * error) - math.log(2))
