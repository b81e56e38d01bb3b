"""Test tones through systems whose harmonics are known in closed form."""

import numpy as np
import pytest
import soxr

from ampsim.metrics import Aliasing, aliasing_to_signal_ratio, fingerprint
from ampsim.metrics.probes import PERIOD
from ampsim.recordings import virtual_amp

RATE = 44100


def test_a_linear_system_neither_aliases_nor_distorts():
    def halved(signal):
        return 0.5 * np.concatenate([np.zeros(10), signal[:-10]])

    assert np.all(aliasing_to_signal_ratio(halved, RATE).ratio_db < -120)
    found = fingerprint(halved, RATE, levels_db=(-40, -20, 0))
    np.testing.assert_allclose(found.gain_db, -6.0206, atol=1e-3)
    assert np.all(found.distortion < 1e-4)
    assert np.all(found.intermodulation < 1e-4)


def test_a_cube_has_the_harmonics_and_products_of_a_cube():
    """sin³ = 3/4 sin - 1/4 sin 3; two sines of half the amplitude bring 8 products of third order."""
    found = fingerprint(lambda signal: signal.astype(float) ** 3, RATE, levels_db=(-20, 0))
    np.testing.assert_allclose(found.gain_db, [-40 + 20 * np.log10(0.75), 20 * np.log10(0.75)], atol=1e-3)
    np.testing.assert_allclose(found.harmonics_db[:, 2] - found.harmonics_db[:, 0], 20 * np.log10(1 / 3), atol=1e-3)
    np.testing.assert_allclose(found.distortion, 1 / 3, rtol=1e-4)
    # (a + b)³ = a³ + 3a²b + 3ab² + b³: each tone 3/4 + 6/4, each of the four products 2f±g, 2g±f 3/4.
    np.testing.assert_allclose(found.intermodulation, np.sqrt(4 * 0.75**2 / (2 * 2.25**2)), rtol=1e-4)


def test_an_offset_is_no_distortion_and_no_aliasing():
    def offset(signal):
        return signal.astype(float) + 0.3

    assert np.all(aliasing_to_signal_ratio(offset, RATE).ratio_db < -120)
    assert np.all(fingerprint(offset, RATE).distortion < 1e-2)


def test_a_cube_folds_back_just_what_passes_half_the_rate():
    found = aliasing_to_signal_ratio(lambda s: s.astype(float) ** 3, RATE, pitches_hz=(1000, 10000), levels_db=(0,))
    assert found.ratio_db[0, 0] < -100  # the third harmonic, 3 kHz, is no alias
    assert found.ratio_db[1, 0] == pytest.approx(20 * np.log10(1 / 3), abs=1e-3)  # that of 10 kHz is: at 14.1 kHz


def test_oversampling_takes_aliases_away_and_loudness_and_pitch_bring_them():
    def hard(signal):
        return np.tanh(30 * signal)

    def oversampled(signal):
        return soxr.resample(hard(soxr.resample(signal, RATE, 8 * RATE)), 8 * RATE, RATE)[: len(signal)]

    plain, better = (
        aliasing_to_signal_ratio(render, RATE, pitches_hz=(220, 880, 1760, 3520), levels_db=(-24, -6))
        for render in (hard, oversampled)
    )
    assert better.mean_db < plain.mean_db - 10
    assert np.all(np.diff(plain.ratio_db[-1]) > 0)
    assert np.all(np.diff(plain.ratio_db[:, -1]) > 0)


@pytest.mark.parametrize("gain", [0.5, 4.0, 20.0])
def test_the_aliases_of_a_tanh_are_those_of_its_fourier_series(gain):
    """tanh(g sin) has odd harmonics b_n = 2/π ∫ tanh(g sin x) sin nx dx; sampled, each stands at the bin that it folds to."""
    pitch = 3000.0
    found = aliasing_to_signal_ratio(
        lambda s: np.tanh(gain * s.astype(float)), RATE, pitches_hz=(pitch,), levels_db=(0,)
    )
    number = round(pitch * PERIOD / RATE)
    orders = np.arange(1, 801, 2)
    phase = (np.arange(16384) + 0.5) * np.pi / 16384  # the midpoint rule is exact to rounding for a smooth period
    series = [2 * np.mean(np.tanh(gain * np.sin(phase)) * np.sin(order * phase)) for order in orders]
    spectrum = np.zeros(PERIOD // 2 + 1)
    for order, amplitude in zip(orders, series, strict=True):
        place = order * number % PERIOD
        spectrum[min(place, PERIOD - place)] += amplitude if place <= PERIOD // 2 else -amplitude
    on = np.sum(spectrum[number::number] ** 2)
    expected = 10 * np.log10((np.sum(spectrum**2) - on) / on)
    assert found.ratio_db[0, 0] == pytest.approx(max(expected, -130), abs=0.02 if expected > -100 else 15)


def test_mean_and_worst_are_over_all_pitches_and_levels():
    found = Aliasing(np.array([1000.0, 2000.0]), np.array([-6.0, 0.0]), np.array([[-60.0, -40.0], [-40.0, -20.0]]))
    assert found.worst_db == -20
    assert found.mean_db == -40


def test_the_embedded_amp_is_oversampled_so_that_it_hardly_aliases():
    """Without that the same valves fold back what the speaker lets through; its noise would count as aliases."""

    def clipped(signal):
        return np.tanh(80 * signal)

    def amp(signal):
        return virtual_amp.amplify(signal, RATE, noise_db=-200.0)

    settings = {"pitches_hz": (1000, 4000), "levels_db": (-12, 0)}
    assert aliasing_to_signal_ratio(amp, RATE, **settings).worst_db < -45
    assert aliasing_to_signal_ratio(clipped, RATE, **settings).worst_db > -25


def test_a_system_with_memory_has_settled_before_it_is_measured():
    def sagging(signal):
        """The gain falls with the power of the last 5,000 samples: the same at each point of a steady tone."""
        sums = np.cumsum(np.concatenate([np.zeros(5000), signal.astype(float) ** 2]))
        return signal / (1 + (sums[5000:] - sums[:-5000]) / 5000)

    assert np.all(aliasing_to_signal_ratio(sagging, RATE).ratio_db < -40)
    late = fingerprint(sagging, RATE, levels_db=(0,))
    assert late.gain_db[0] == pytest.approx(20 * np.log10(1 / 1.5), abs=0.05)
