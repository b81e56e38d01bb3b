import numpy as np
from scipy.signal import fftconvolve

from ampsim.models import WienerHammerstein


def test_it_is_filter_curve_filter() -> None:
    model = WienerHammerstein(taps_before=8, taps_after=12, units=5)
    model.build()
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
    before, after, bend = model.before.kernel.numpy(), model.after.kernel.numpy(), model.bend
    signal = random.normal(size=100)
    filtered = fftconvolve(signal, before[::-1], "valid")
    bent = np.tanh(filtered[:, None] * bend.kernel.numpy()[0] + bend.bias.numpy())
    curved = model.slope.numpy() * filtered + bent @ model.sum.kernel.numpy()[:, 0] + model.sum.bias.numpy()
    expected = fftconvolve(curved, after[::-1], "valid")
    np.testing.assert_allclose(model(signal[None].astype(np.float32))[0], expected, atol=1e-4)
