"""A whitened loss against the spectra of what it was prepared on."""

import numpy as np
import pytest
from scipy import signal as dsp

from ampsim.losses import ESR, Whitened

random = np.random.default_rng(0)


def dull(shape: tuple[int, int]) -> np.ndarray:
    return dsp.sosfilt(dsp.butter(4, 0.2, output="sos"), random.normal(size=shape)).astype(np.float32)


def test_an_error_in_the_treble_counts_as_much_as_one_in_the_bass():
    """Each as large as the target is there: plain ESR hardly sees the one above the low-pass."""
    target = dull((4, 4096))
    whitened, plain = Whitened(ESR(), floor_db=-60.0), ESR()
    whitened.prepare(sample_rate=44100, segment_length=4096, target=target)
    spectrum = np.fft.rfft(target)
    frequency = np.fft.rfftfreq(4096)
    bass, treble = (np.fft.irfft(np.where(band, spectrum, 0)) for band in (frequency < 0.1, frequency > 0.2))
    losses = [
        [float(loss(target, target + e.astype(np.float32))) for e in (bass, treble)] for loss in (whitened, plain)
    ]
    assert losses[0][1] > 0.5 * losses[0][0]
    assert losses[1][1] < 1e-2 * losses[1][0]


def test_without_targets_it_is_the_loss_itself_but_for_the_first_samples():
    target, prediction = dull((2, 4096)), dull((2, 4096))
    for given in (None, 0 * target):
        whitened = Whitened(ESR(), order=8)
        whitened.prepare(sample_rate=44100, segment_length=4096, target=given)
        assert float(whitened(target, prediction)) == pytest.approx(
            float(ESR()(target[:, 8:], prediction[:, 8:])), rel=1e-4
        )
    with pytest.raises(ValueError, match="order=0"):
        Whitened(ESR(), order=0)
