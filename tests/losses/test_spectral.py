"""Spectral losses against SciPy's STFT, and against auraloss 0.4.0 (PyPI).

The stored values were made by auraloss on torch 2.13.0 in float64, each example by itself, on the arrays of
`loss_signals`: `STFTLoss(fft_size=n, hop_size=n // 4, win_length=n)`. auraloss reflects the signal at its ends (torch.stft's
`center`), where ampsim takes whole windows only: they agree once the signal is reflected beforehand. Its window is not
scaled and its floor is 1e-8 of that power, which is far below both signals here.
"""

import numpy as np
import pytest
import tensorflow as tf
from loss_signals import PREDICTION, TARGET, value
from scipy import signal as dsp

from ampsim import AmpsimError
from ampsim.losses import MFCC, MSE, AWeighted, AWeightedSpectralMSE, LogMel, MultiResolutionSTFT
from ampsim.metrics import mushra
from ampsim.recordings import virtual_amp
from ampsim.signals import filters
from ampsim.signals.audio import at_rate

AURALOSS = {512: [0.4993384159, 0.5021844988], 1024: [0.5021977558, 0.5066057730]}
SILENT_FLOOR_DB = -180.0  # as good as none


def prepared(loss, length=4096, rate=44100):
    loss.prepare(sample_rate=rate, segment_length=length)
    return loss


def magnitudes(signals, size):
    """(batch, bins, frames) by SciPy; a full-scale sine peaks at 1."""
    stft = dsp.ShortTimeFFT(dsp.get_window("hann", size), size // 4, 1, scale_to="magnitude")
    last = (signals.shape[-1] - size) // stft.hop + 1
    first = size // 2 // stft.hop  # the first window that lies inside the signal whole
    return 2 * np.abs(stft.stft(signals, p0=first, p1=first + last))


@pytest.mark.parametrize("size", [512, 1024])
@pytest.mark.parametrize("example", [0, 1])
def test_one_resolution_is_auralosses_on_a_reflected_signal(size, example):
    reflected = [np.pad(x[example : example + 1], ((0, 0), (size // 2,) * 2), "reflect") for x in (TARGET, PREDICTION)]
    loss = prepared(MultiResolutionSTFT(sizes=[size], floor_db=SILENT_FLOOR_DB))
    assert value(loss, *reflected) == pytest.approx(AURALOSS[size][example], rel=1e-4)


def test_resolutions_are_averaged_and_the_batch_is_one_ratio():
    parts = []
    for size in (256, 1024):
        target, prediction = magnitudes(TARGET, size), magnitudes(PREDICTION, size)
        convergence = np.linalg.norm(target - prediction) / np.linalg.norm(target)
        parts.append(convergence + np.mean(np.abs(np.log(target / prediction))))
    loss = prepared(MultiResolutionSTFT(sizes=[256, 1024], floor_db=SILENT_FLOOR_DB))
    assert value(loss, TARGET, PREDICTION) == pytest.approx(np.mean(parts), rel=1e-4)


def test_sizes_in_milliseconds_follow_the_sample_rate():
    loss = MultiResolutionSTFT(sizes_ms=[10, 20])
    assert prepared(loss, rate=48000).sizes == [480, 960]
    assert prepared(loss, rate=96000).sizes == [960, 1920]


def test_spectral_losses_do_not_hear_polarity_and_the_waveform_does():
    for loss in (MultiResolutionSTFT(), AWeightedSpectralMSE(), LogMel(), MFCC()):
        assert value(prepared(loss), TARGET, -TARGET) == pytest.approx(0, abs=1e-5)
    assert value(MSE(), TARGET, -TARGET) > 0.1


def test_a_weighted_spectral_mse_is_the_weighted_distance_of_magnitudes():
    size = 1024
    window = dsp.get_window("hann", size)
    target, prediction = magnitudes(TARGET, size), magnitudes(PREDICTION, size)
    bins = np.full(size // 2 + 1, 2.0)
    bins[[0, -1]] = 1
    weight = bins * filters.a_magnitude(np.arange(size // 2 + 1) * 44100 / size) ** 2
    # From amplitudes back to the window's unscaled spectrum, and from that to a mean square.
    unscaled = (window.sum() / 2) ** 2 / (size * np.sum(window**2))
    expected = np.mean(np.sum(weight[:, None] * (target - prediction) ** 2, axis=1)) * unscaled
    loss = prepared(AWeightedSpectralMSE(sizes=[size], floor_db=SILENT_FLOOR_DB))
    assert value(loss, TARGET, PREDICTION) == pytest.approx(expected, rel=1e-4)


def test_a_weighted_spectral_mse_counts_a_missing_tone_like_the_waveform_does():
    tone = 0.3 * np.sin(2 * np.pi * 300 * np.arange(8192) / 44100)[None]
    spectral = value(prepared(AWeightedSpectralMSE(), 8192), tone, 0 * tone)
    assert spectral == pytest.approx(value(prepared(AWeighted(MSE()), 8192), tone, 0 * tone), rel=0.03)


def test_log_mel_is_the_distance_of_band_levels_in_db():
    size, bands = 2048, tf.signal.linear_to_mel_weight_matrix(40, 1025, 44100, 60.0, 16000.0).numpy()
    levels = [10 * np.log10(bands.T @ magnitudes(x, size) ** 2) for x in (TARGET, PREDICTION)]
    loss = prepared(LogMel(sizes=[size], floor_db=SILENT_FLOOR_DB))
    assert value(loss, TARGET, PREDICTION) == pytest.approx(np.mean(np.abs(levels[0] - levels[1])), rel=1e-3)
    assert value(loss, TARGET, 2 * TARGET) == pytest.approx(20 * np.log10(2), rel=1e-4)


def test_bands_of_the_treble_move_down_where_the_rate_has_less_of_it():
    high = prepared(LogMel(num_bands=12, low_hz=6000, high_hz=20000, sizes=[2048]), rate=16000)
    same = prepared(LogMel(num_bands=12, low_hz=2160, high_hz=7200, sizes=[2048]), rate=16000)
    assert value(high, TARGET, PREDICTION) == pytest.approx(value(same, TARGET, PREDICTION), rel=1e-6)
    assert value(high, TARGET, PREDICTION) > 0


def test_a_signal_shorter_than_a_window_is_filled_up():
    loss = prepared(MultiResolutionSTFT(sizes=[512]))
    padded = [np.pad(x[:, :300], ((0, 0), (0, 212))) for x in (TARGET, PREDICTION)]
    assert value(loss, TARGET[:, :300], PREDICTION[:, :300]) == pytest.approx(value(loss, *padded), rel=1e-6)


def test_what_cannot_work_is_refused_with_what_to_change():
    with pytest.raises(AmpsimError, match=r"2,048 samples is longer than the 1,024.*raise training.segment_length"):
        prepared(MultiResolutionSTFT(), 1024)
    with pytest.raises(AmpsimError, match="there are no bands from 18000 to 16000 Hz at 44100 Hz"):
        prepared(LogMel(low_hz=18000))
    with pytest.raises(AmpsimError, match="lower the loss term's num_bands"):
        prepared(LogMel(num_bands=128, sizes=[512]))
    with pytest.raises(ValueError, match="either sizes_ms"):
        MultiResolutionSTFT(sizes_ms=[10], sizes=[512])
    with pytest.raises(RuntimeError, match=r"call prepare\(\)"):
        value(LogMel(), TARGET, PREDICTION)


def test_a_config_that_says_nothing_of_it_has_the_floor_it_had():
    """Powers of full-scale sines, plus 1e-8: what `floor_db: -80` meant before a floor could be relative."""
    quiet = [0.003 * x for x in (TARGET, PREDICTION)]
    target, prediction = (np.square(magnitudes(x, 512)) + 1e-8 for x in quiet)
    convergence = np.linalg.norm(np.sqrt(target) - np.sqrt(prediction)) / np.sqrt(target.sum())
    loss = MultiResolutionSTFT(sizes=[512], floor_db=-80.0)
    loss.prepare(sample_rate=44100, segment_length=4096, target=tf.constant(quiet[0], tf.float32))
    expected = convergence + 0.5 * np.mean(np.abs(np.log(target / prediction)))
    assert value(loss, *quiet) == pytest.approx(expected, rel=1e-4)


def test_a_relative_floor_is_that_of_a_sine_as_strong_as_the_recording():
    sine = 0.02 * np.sqrt(2) * np.sin(2 * np.pi * 5512.5 * np.arange(4096) / 44100)[None]
    loss = LogMel(sizes=[1024], floor_db=-20.0, relative=True)
    loss.prepare(sample_rate=44100, segment_length=4096, target=tf.constant(sine, tf.float32))
    assert loss.floor == pytest.approx(0.01 * 2 * 0.02**2, rel=1e-4)
    silent = MultiResolutionSTFT(relative=True)
    silent.prepare(sample_rate=44100, segment_length=4096, target=tf.zeros((1, 4096)))
    assert value(silent, 0 * TARGET, 0 * TARGET) < 1e-2


def test_a_relative_a_weighted_spectral_distance_is_that_over_the_targets():
    plain, relative = (AWeightedSpectralMSE(floor_db=SILENT_FLOOR_DB, relative=each) for each in (False, True))
    for loss in (plain, relative):
        loss.prepare(sample_rate=44100, segment_length=4096, target=tf.constant(TARGET, tf.float32))
    of_nothing = value(plain, TARGET, 0 * TARGET)
    expected = value(plain, TARGET, PREDICTION) / of_nothing
    assert value(relative, TARGET, PREDICTION) == pytest.approx(expected, rel=1e-3)
    # 40 dB down: the denominator stays 20 dB below the recording's.
    quiet = value(relative, 0.01 * TARGET, 0.01 * PREDICTION)
    assert quiet == pytest.approx(expected * 1e-4 / 1e-2, rel=1e-3)


def amps(rate):
    """Three seconds of a guitar, with a recording's noise, through an amp and one that is near it, (1, num_samples)."""
    played = virtual_amp.guitar(3.0, rate, seed=3)
    noise = 1e-3 * np.random.default_rng(0).normal(size=played.shape)
    cabinets = [dsp.butter(2, hertz, fs=rate, output="sos") for hertz in (5000, 6000)]
    return [
        (dsp.sosfilt(cabinet, np.tanh(gain * played)) + noise)[None]
        for cabinet, gain in zip(cabinets, (8, 6), strict=True)
    ]


@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_mfcc_is_the_distance_of_predicted_mushra(gain):
    target, prediction = (gain * each for each in amps(44100))
    centred = [np.pad(each, ((0, 0), (1024, 1024))) for each in (target, prediction)]  # as the formula takes its frames
    loss = MFCC(sizes=[2048])
    loss.prepare(sample_rate=44100, segment_length=centred[0].shape[1], target=tf.constant(centred[0], tf.float32))
    loud = 0.3 / gain  # the formula sets the level first
    expected = mushra.mfcc_distance(loud * target[0], loud * prediction[0])
    assert value(loss, *centred) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("rate", [22050, 48000, 96000])
def test_mfcc_at_another_rate_is_nearly_that_of_the_formula_after_resampling(rate):
    target, prediction = amps(rate)
    loss = MFCC()
    loss.prepare(sample_rate=rate, segment_length=target.shape[1], target=tf.constant(target, tf.float32))
    expected = mushra.mfcc_distance(*(0.3 * at_rate(each[0], rate, mushra.RATE) for each in (target, prediction)))
    assert value(loss, target, prediction) == pytest.approx(expected, rel=0.1)


def test_mfcc_says_what_it_cannot_do():
    with pytest.raises(
        AmpsimError, match=r"MFCC: \d+ of 127 bands are narrower than a bin.*lower the loss term's num_bands"
    ):
        prepared(MFCC(sizes=[512]))
    with pytest.raises(ValueError, match="num_coefficients=200"):
        MFCC(num_coefficients=200)
