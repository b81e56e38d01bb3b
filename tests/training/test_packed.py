"""One update of all weights at once is the update of each."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ampsim.training.packed import Packed


@pytest.mark.parametrize("rule", [keras.optimizers.Adam, keras.optimizers.RMSprop, keras.optimizers.SGD])
def test_it_is_the_rule_applied_to_each_weight(rule: type):
    random = np.random.default_rng(0)
    shapes = [(3, 2), (4,), (), (1, 5)]
    first = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    alone, together = ([keras.Variable(value) for value in first] for _ in range(2))
    each, all_at_once = rule(0.01), Packed(rule(0.01), together, xla=True)
    each.build(alone)
    for _ in range(4):
        gradients = [tf.constant(random.normal(size=shape), tf.float32) for shape in shapes]
        each.apply(gradients, alone)
        all_at_once.apply(gradients)
    for one, other, value in zip(alone, together, first, strict=True):
        assert np.abs(one.numpy() - value).max() > 1e-3
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)


def test_a_rule_of_matrices_norms_or_chosen_weights_is_not_packed():
    assert Packed.suits(keras.optimizers.Adam(0.01))
    for other in (
        keras.optimizers.Muon(0.01),
        keras.optimizers.Adam(0.01, clipnorm=1.0),
        keras.optimizers.Adam(0.01, global_clipnorm=1.0),
        keras.optimizers.AdamW(0.01),
        keras.optimizers.Adam(0.01, use_ema=True),
    ):
        assert not Packed.suits(other)
