"""All weights updated as few large ones, against each by itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ampsim.training.packed import Packed

RULES = {
    "adam": keras.optimizers.Adam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
    "muon": lambda rate: keras.optimizers.Muon(rate, weight_decay=None, adam_weight_decay=None, adam_lr_ratio=0.5),
    "muon, decaying": lambda rate: keras.optimizers.Muon(rate, weight_decay=2.0, adam_weight_decay=5.0),
    "adam, decaying": lambda rate: keras.optimizers.Adam(rate, weight_decay=2.0),
    "muon by norm": lambda rate: keras.optimizers.Muon(rate, weight_decay=None, adam_weight_decay=None, rms_rate=None),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_packed_steps_are_those_of_each_weight_by_itself(rule):
    shapes, rng = [(3, 4), (4,), (), (6, 2), (3, 4), (2, 6)], np.random.default_rng(0)
    apart, together = (
        [
            keras.Variable(np.linspace(1, 2, max(1, int(np.prod(shape)))).reshape(shape), dtype="float32")
            for shape in shapes
        ]
        for _ in range(2)
    )
    each, all_at_once = rule(0.01), Packed(rule(0.01), together, xla=True)
    each.build(apart)
    for _ in range(3):
        gradients = [tf.constant(rng.normal(size=shape), tf.float32) for shape in shapes]
        each.apply(gradients, apart)
        all_at_once.apply(gradients)
    for one, other in zip(apart, together, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5)
        assert not np.allclose(one.numpy(), np.linspace(1, 2, one.numpy().size).reshape(one.shape))


def test_matrices_of_one_shape_are_one_weight():
    weights = [keras.Variable(np.ones(shape), name=f"w{number}") for number, shape in enumerate([(3, 4), (4,), (3, 4)])]
    packed = Packed(keras.optimizers.Muon(0.01, weight_decay=None), weights, xla=False)
    assert [tuple(whole.shape) for whole in packed.wholes] == [(2, 3, 4), (4,)]


def test_each_matrix_of_a_stack_takes_the_step_of_a_weight_of_its_own():
    """Three matrices in the rows of one weight, which a rule of matrices would else take for one matrix."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, 4, 2)).astype(np.float32)
    stack, apart = keras.Variable(values.reshape(3, 8)), [keras.Variable(each) for each in values]
    rule = RULES["muon"]
    whole, each = Packed(rule(0.01), [stack], xla=False, stacks=[(stack, (4, 2))]), rule(0.01)
    each.build(apart)
    for _ in range(3):
        gradients = rng.normal(size=(3, 4, 2)).astype(np.float32)
        whole.apply([tf.constant(gradients.reshape(3, 8))])
        each.apply([*map(tf.constant, gradients)], apart)
    np.testing.assert_allclose(stack.numpy().reshape(3, 4, 2), [one.numpy() for one in apart], rtol=1e-5)
    assert not np.allclose(stack.numpy(), values.reshape(3, 8), atol=1e-3)


def test_a_rule_of_numbers_takes_a_stack_as_numbers():
    stack = keras.Variable(np.ones((3, 8), np.float32))
    packed = Packed(keras.optimizers.Adam(0.01), [stack], xla=False, stacks=[(stack, (4, 2))])
    assert [tuple(whole.shape) for whole in packed.wholes] == [(24,)]


def test_a_rule_of_norms_or_chosen_weights_is_not_packed():
    assert Packed.suits(keras.optimizers.Adam(0.01))
    assert Packed.suits(keras.optimizers.Muon(0.01))
    for other in (
        keras.optimizers.AdamW(0.01),
        keras.optimizers.Adam(0.01, clipnorm=1.0),
        keras.optimizers.Adam(0.01, global_clipnorm=1.0),
        keras.optimizers.Adam(0.01, use_ema=True),
    ):
        assert not Packed.suits(other)
