"""A stack in blocks of time against the layers one by one, which a tape differentiates."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ampsim.models import WaveNet
from ampsim.models.blocked import SHORTEST_BLOCK


@pytest.mark.parametrize(
    ("sizes", "dilations", "head", "columns"),
    [
        ([4, 3, 4], [1, 7, 30], 5, 50),  # within a block
        ([4, 3, 4], [1, 7, 30], 5, 3000),
        ([3, 3, 15, 3], [1, 600, 3, 230], 1, 1500),  # layers that reach back by more than the shortest block
        ([2], [1], 1, SHORTEST_BLOCK - 1),  # a whole block with its memory
        ([1], [5], 1, SHORTEST_BLOCK),  # no memory at all
    ],
)
def test_output_and_gradients_are_those_of_the_layers(sizes: list[int], dilations: list[int], head: int, columns: int):
    keras.utils.set_random_seed(0)
    shape = {"channels": [3], "dilations": [dilations], "kernel_size": [sizes], "head_kernel_size": head}
    model = WaveNet(**shape, activation="leaky_relu", negative_slope=0.01, head_scale=0.5)
    model.build()
    random = np.random.default_rng(0)
    model.set_weights([weight + 0.2 * random.normal(size=weight.shape) for weight in model.get_weights()])
    segment = tf.constant(random.normal(size=(2, model.receptive_field - 1 + columns)), tf.float32)
    target = tf.constant(random.normal(size=(2, columns)), tf.float32)

    @tf.function
    def learnt(training: bool) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            output = model(segment, training=training)
            loss = tf.reduce_mean(tf.square(output - target))
        return output, tape.gradient(loss, model.trainable_variables)

    output, gradients = learnt(True)
    expected, expected_gradients = learnt(False)
    np.testing.assert_allclose(output, expected, atol=1e-5)
    for variable, found, wanted in zip(model.trainable_variables, gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max() + 1e-9, err_msg=variable.path)


def test_other_nets_are_trained_as_before():
    plain = {"channels": [3], "dilations": [[1, 2]], "activation": "leaky_relu"}
    assert WaveNet(**plain).xla_parts
    assert not WaveNet(**plain | {"activation": "tanh"}).xla_parts
    assert not WaveNet(**plain, gated=True).xla_parts
    assert not WaveNet(**plain | {"channels": [3, 2], "dilations": [[1], [2]]}).xla_parts
