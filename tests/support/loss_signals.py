"""The arrays that the tests of losses share."""

import numpy as np
import tensorflow as tf

random = np.random.default_rng(0)
TARGET = 0.2 * random.normal(size=(2, 4096))
PREDICTION = 0.8 * np.tanh(TARGET) + 0.01 * random.normal(size=TARGET.shape) + 0.003


def value(loss, target, prediction) -> float:
    """What a term says of two arrays (batch, num_samples)."""
    return float(loss(tf.constant(target, tf.float32), tf.constant(prediction, tf.float32)))
