"""The other model of hearing: told by what everybody hears, and by its own functions on excerpts cut by hand."""

import math

import numpy as np
import pytest
from scipy import signal as dsp
from synthetic import amp, guitar, noise

from ampsim.metrics import zimtohrli
from ampsim.metrics.zimtohrli import excerpts, zimtohrli_mos

RATE = 48000
SOUND = amp(guitar(7 * RATE, sample_rate=RATE, seed=8))


def test_excerpts_are_long_enough_sound_and_are_equally_loud():
    """Of 7 s with silence in the middle: no excerpt is silent, and none shorter than the native code takes."""
    gapped = np.where((np.arange(len(SOUND)) >= 3 * RATE) & (np.arange(len(SOUND)) < 6 * RATE), 0, SOUND)
    found = list(excerpts([(gapped, 2 * gapped), (SOUND[:100], SOUND[:100])], RATE))
    assert [len(one) for one, _ in found] == [3 * RATE, RATE]
    for one, other in found:
        np.testing.assert_allclose(other, 2 * one, rtol=1e-6)
    quiet = list(excerpts([(0.01 * gapped, 0.02 * gapped)], RATE))
    for (one, _), (same, _) in zip(found, quiet, strict=True):
        np.testing.assert_allclose(one, same, rtol=1e-3)


def test_a_signal_at_another_rate_is_resampled():
    ((one, other),) = excerpts([(SOUND[:RATE], SOUND[:RATE])], RATE // 2)
    assert len(one) == len(other) == 2 * RATE


def test_what_everybody_hears():
    pytest.importorskip("zimtohrli")

    def score(prediction: np.ndarray) -> float:
        return zimtohrli_mos([(SOUND, prediction.astype(np.float32))], RATE)

    low, lower = (dsp.sosfiltfilt(dsp.butter(2, hz, fs=RATE, output="sos"), SOUND) for hz in (8000, 2000))
    hiss, hissing = (SOUND + noise(len(SOUND), seed=1, level=level) for level in (3e-5, 3e-3))
    assert score(SOUND) == pytest.approx(5)
    assert score(SOUND) > score(hiss) > score(hissing) > 1
    assert score(noise(len(SOUND), seed=2)) < 3
    assert score(SOUND) > score(low) > score(lower)
    assert score(amp(guitar(7 * RATE, sample_rate=RATE, seed=8), gain=8)) > score(np.tanh(0.2 * SOUND))


def test_it_is_the_mean_of_what_the_package_says():
    package = pytest.importorskip("zimtohrli")
    other = SOUND + noise(len(SOUND), seed=3, level=0.02)
    parts = [package.mos_from_signals(*pair) for pair in excerpts([(SOUND, other)], RATE)]
    assert len(parts) == 3
    assert zimtohrli_mos([(SOUND, other)], RATE) == pytest.approx(np.mean(parts))


def test_silence_has_no_score():
    pytest.importorskip("zimtohrli")
    assert math.isnan(zimtohrli_mos([(0 * SOUND, SOUND)], RATE))
    assert zimtohrli_mos([(SOUND, 0 * SOUND)], RATE) < 4


def test_whether_it_is_there_is_asked_without_loading_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(zimtohrli, "PACKAGE", "no_such_package_at_all")
    assert not zimtohrli.installed()
    monkeypatch.setattr(zimtohrli, "PACKAGE", "json")
    assert zimtohrli.installed()
