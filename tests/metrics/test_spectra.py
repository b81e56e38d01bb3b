"""What the ear makes of a signal: against the losses, tones of known level and BS.1770 by hand."""

import numpy as np
import pytest
import tensorflow as tf

from ampsim.losses import MultiResolutionSTFT
from ampsim.metrics import (
    a_weighted_esr,
    auraloss_stft,
    ear_scores,
    log_spectral_distance,
    loudness_difference,
    multi_resolution_stft,
)
from ampsim.signals import filters

RATE = 44100
random = np.random.default_rng(0)
TARGET = (0.2 * random.normal(size=2 * RATE)).astype(np.float32)
PREDICTION = (0.8 * np.tanh(TARGET) + 0.01 * random.normal(size=len(TARGET))).astype(np.float32)


def sine(hertz, amplitude=0.3, seconds=1.0):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)


def test_the_a_weighted_esr_of_a_stray_tone_is_its_weight():
    target = sine(1000)
    for hertz in (63, 250, 4000, 12000):
        found = a_weighted_esr([(target, target + sine(hertz, 0.03))], RATE)
        assert 10 * np.log10(found / 0.01) == pytest.approx(filters.a_weight_db(hertz), abs=0.1)


@pytest.mark.parametrize("gain", [1.0, 0.1, 0.01])
def test_multi_resolution_stft_is_the_loss_on_one_signal_at_any_level(gain):
    loss = MultiResolutionSTFT(floor_db=-60.0, relative=True)
    loss.prepare(sample_rate=RATE, segment_length=len(TARGET), target=tf.constant(TARGET[None]))
    expected = float(loss(tf.constant(TARGET[None]), tf.constant(PREDICTION[None])))
    assert multi_resolution_stft([(gain * TARGET, gain * PREDICTION)], RATE) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("gain", [1.0, 0.001])
def test_the_auraloss_value_is_that_of_its_definition(gain):
    """torch.stft at its defaults, a frame at a time; eps as auraloss.freq.STFTLoss clamps it."""
    target, prediction = (gain * each[:9000].astype(np.float64) for each in (TARGET, PREDICTION))
    parts = []
    for size, hop, length in ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)):
        window = np.zeros(size)
        left = (size - length) // 2
        window[left : left + length] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
        magnitudes = []
        for signal in (target, prediction):
            ends = np.concatenate([signal[size // 2 : 0 : -1], signal, signal[-2 : -size // 2 - 2 : -1]])
            frames = [ends[at : at + size] for at in range(0, len(signal) + 1, hop)]
            power = [np.abs(np.fft.rfft(frame * window)) ** 2 for frame in frames]
            magnitudes.append(np.sqrt(np.maximum(power, 1e-8)))
        y, x = magnitudes
        parts.append(np.linalg.norm(y - x) / np.linalg.norm(y) + np.mean(np.abs(np.log(x) - np.log(y))))
    assert auraloss_stft([(target, prediction)]) == pytest.approx(np.mean(parts), rel=1e-4)


def test_the_auraloss_value_of_what_is_too_short_is_no_number():
    assert np.isnan(auraloss_stft([(TARGET[:300], PREDICTION[:300])]))


def test_multi_resolution_stft_adds_up_over_signals():
    once = multi_resolution_stft([(TARGET, PREDICTION)], RATE)
    assert multi_resolution_stft([(TARGET, PREDICTION), (TARGET, PREDICTION)], RATE) == pytest.approx(once)


@pytest.mark.parametrize("gain_db", [-6.0, 1.0, 12.0])
def test_a_gain_is_as_far_in_db_as_it_is(gain_db):
    louder = TARGET * 10 ** (gain_db / 20)
    # White noise has little in its lowest bands, and the ear little use for it: the floor takes some off.
    assert log_spectral_distance([(TARGET, louder)], RATE) == pytest.approx(abs(gain_db), rel=0.1)
    assert loudness_difference([(TARGET, louder)], RATE) == pytest.approx(gain_db, abs=1e-3)


def test_the_distance_is_that_of_third_octave_levels():
    # A shelf, 10 dB up above 1 kHz: the mean square over bands follows from the share of bands that lie there.
    spectrum = np.fft.rfft(TARGET.astype(np.float64))
    shelf = np.where(np.fft.rfftfreq(len(TARGET), 1 / RATE) > 1000 * 2 ** (1 / 6), 10 ** (10 / 20), 1)
    raised = np.fft.irfft(spectrum * shelf, len(TARGET))
    expected = 10 * np.sqrt(12 / 25)  # bands from 62.5 Hz to 16 kHz: 25, of which 12 lie above that at 1 kHz
    assert log_spectral_distance([(TARGET, raised)], RATE) == pytest.approx(expected, rel=0.04)


def test_what_lies_below_hearing_does_not_count():
    pair = [(TARGET, TARGET + sine(20, 0.001, 2.0) + sine(19000, 0.001, 2.0))]
    assert log_spectral_distance(pair, RATE) < 0.01


def test_loudness_of_a_tone_is_that_of_the_standard():
    """BS.1770: a sine of 997 Hz at 0 dBFS in one channel measures -3.01 LKFS; so -20 dBFS against -23 dBFS is 3 LU."""
    pair = [(sine(997, 10 ** (-23 / 20), 3.0), sine(997, 10 ** (-20 / 20), 3.0))]
    assert loudness_difference(pair, RATE) == pytest.approx(3.0, abs=0.01)


def test_signals_that_are_too_short_or_silent_have_no_score():
    short, silence = TARGET[:100], np.zeros(RATE, np.float32)
    for pair in ((short, short), (silence, silence)):
        found = ear_scores([pair], RATE)
        assert np.isnan(found["loudness_difference_lu"])
        assert np.isnan(found["fluctuation_db"])
    assert ear_scores([(silence, silence)], RATE)["log_spectral_distance_db"] == 0


def test_a_perfect_prediction_scores_nothing():
    assert ear_scores([(TARGET, TARGET)], RATE) == pytest.approx(dict.fromkeys(ear_scores([(TARGET, TARGET)], RATE), 0))
