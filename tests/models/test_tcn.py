import keras
import numpy as np

from ampsim.models import Tcn


def test_it_is_a_chain_of_keras_convolutions() -> None:
    model = Tcn(channels=4, kernel_size=3, dilations=[1, 5, 2], activation="relu")
    model.build()
    segment = np.random.default_rng(0).normal(size=(2, 60)).astype(np.float32)
    features = model.rechannel.kernel * segment[..., None] + model.rechannel.bias
    for block in model.blocks:
        layer = keras.layers.Conv1D(4, 3, dilation_rate=block.dilation, activation="relu")
        layer.build(features.shape)
        layer.set_weights([block.kernel.numpy().reshape(3, 4, 4), block.bias])
        added = layer(features)
        features = features[:, -added.shape[1] :] + added
    expected = features @ model.head.kernel + model.head.bias
    np.testing.assert_allclose(model(segment), expected[..., 0], atol=1e-5)


def test_parameters() -> None:
    model = Tcn()
    model.build()
    assert model.count_params() == (16 + 16) + 10 * (3 * 16 * 16 + 16) + (16 + 1)
    assert model.receptive_field == 2047
