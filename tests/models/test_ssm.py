import keras
import numpy as np

from ampsim.models import Ssm
from ampsim.models.ssm import Oscillators


def test_the_convolution_is_the_recurrence() -> None:
    keras.utils.set_random_seed(0)
    filters = Oscillators(channels=3, states=4)
    filters.build()
    features = np.random.default_rng(0).normal(size=(3, 2, 500)).astype(np.float32)
    before = np.random.default_rng(1).normal(size=(3, 2, 4, 2)).view(np.complex128)[..., 0]
    rate, weight = (np.array(value, np.complex128) for value in filters.poles())
    state, expected = before, []
    for k in range(500):
        state = np.exp(rate)[:, None] * state + features[..., k, None]
        expected.append((weight[:, None] * state).sum(-1).real + filters.direct.numpy()[..., 0] * features[..., k])
    filtered, after = filters(features, before=before.astype(np.complex64))
    np.testing.assert_allclose(filtered, np.stack(expected, -1), atol=2e-5)
    np.testing.assert_allclose(after, state, atol=1e-4)


def test_parameters() -> None:
    model = Ssm()
    model.build()
    oscillators = 16 * (1 + 4 * 8 + 1)
    assert model.count_params() == (16 + 16) + 4 * (oscillators + 16 * 16 + 16) + (16 + 1)
