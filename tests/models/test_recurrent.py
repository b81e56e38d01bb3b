import keras
import numpy as np
import pytest
import tensorflow as tf

from ampsim.models import Gru, Lstm


@pytest.mark.parametrize(("family", "plain"), [(Lstm, keras.layers.LSTM), (Gru, keras.layers.GRU)])
@pytest.mark.parametrize("skip", [False, True])
def test_it_is_a_keras_layer_from_silence(family: type[Lstm], plain: type, skip: bool) -> None:
    model = family(units=4, burn_in=10, skip=skip, future=3)
    model.build()
    segment = np.random.default_rng(0).normal(size=(2, 40)).astype(np.float32)
    layer = plain(4, return_sequences=True)
    layer.build((None, None, 1))
    layer.set_weights(model.cells[0].get_weights())
    expected = (layer(segment[..., None]) @ model.head.kernel + model.head.bias)[:, 12:, 0]
    if skip:
        expected += segment[:, 10:38]
    np.testing.assert_allclose(model(segment), expected, atol=1e-6)


def test_no_gradient_flows_through_the_burn_in() -> None:
    model = Lstm(units=4, burn_in=10)
    model.build()
    segment = tf.random.normal((1, 30))
    with tf.GradientTape() as tape:
        tape.watch(segment)
        outputs = model(segment)
    seen = np.abs(tape.gradient(outputs, segment)[0]) > 0
    assert not seen[:10].any()
    assert seen[10:].all()


@pytest.mark.parametrize(("family", "parameters"), [(Lstm, 4 * (16 + 256 + 16) + 17), (Gru, 3 * (16 + 256 + 32) + 17)])
def test_parameters(family: type[Lstm], parameters: int) -> None:
    model = family()
    model.build()
    assert model.count_params() == parameters
