import numpy as np
from scipy.signal import lfilter

from ampsim.models import Fir


def test_it_is_a_causal_filter() -> None:
    random = np.random.default_rng(0)
    response, signal = random.normal(size=30), random.normal(size=200)
    model = Fir(taps=30, bias=True)
    model.build()
    model.set_weights([np.float32(0.5), response[::-1]])  # the oldest tap first
    heard = np.concatenate([np.zeros(29), signal]).astype(np.float32)
    np.testing.assert_allclose(model(heard[None])[0], lfilter(response, 1, signal) + 0.5, atol=1e-5)


def test_it_starts_as_a_wire() -> None:
    model = Fir(taps=30, future=7)
    model.build()
    heard = np.random.default_rng(0).normal(size=100).astype(np.float32)
    np.testing.assert_allclose(model(heard[None])[0], heard[model.history : 100 - model.lookahead], atol=1e-6)
