"""The predicted rating against the published pairs and against librosa, which the recipe was written with."""

import os
import warnings
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
import soxr
from scipy import signal as dsp

from ampsim.metrics import block_sums, predicted_mushra
from ampsim.metrics.mushra import EXCERPT, RATE, mel_bands, mfcc, rating
from ampsim.recordings import virtual_amp

# Distance of MFCCs and rating, as the authors' own examples state them.
PUBLISHED = {3.42595: 95.088, 4.20805: 88.890, 7.99005: 69.565, 12.45437: 56.186, 1.61286: 100.0, 16.60699: 47.513}


@pytest.fixture(scope="module")
def played() -> np.ndarray:
    """Ten seconds of a synthetic guitar at 44.1 kHz."""
    return virtual_amp.guitar(10.0, RATE, seed=3).astype(np.float32)


def amplified(played: np.ndarray) -> np.ndarray:
    """An amp with a loudspeaker."""
    return dsp.sosfilt(dsp.butter(2, 5000, fs=RATE, output="sos"), np.tanh(8 * played)).astype(np.float32)


def emulated(played: np.ndarray) -> np.ndarray:
    """An emulation of it with less gain, a brighter loudspeaker and some noise."""
    noise = 1e-4 * np.random.default_rng(0).normal(size=len(played))
    return (dsp.sosfilt(dsp.butter(2, 6000, fs=RATE, output="sos"), np.tanh(6 * played)) + noise).astype(np.float32)


def librosas(target: np.ndarray, prediction: np.ndarray, sample_rate: int) -> list[float]:
    """The recipe with librosa: the distance of every whole excerpt of 3 s."""
    librosa = pytest.importorskip("librosa")
    if sample_rate != RATE:
        target, prediction = (
            librosa.resample(each, orig_sr=sample_rate, target_sr=RATE) for each in (target, prediction)
        )
    _, (first, _) = librosa.effects.trim(target, top_db=40)
    found = []
    for start in range(first, len(target) - EXCERPT + 1, EXCERPT):
        one, other = (each[start : start + EXCERPT] for each in (target, prediction))
        gain = 10 ** ((-16 - pyloudnorm.Meter(RATE).integrated_loudness(one.astype(float))) / 20)
        mfccs = [librosa.feature.mfcc(y=gain * each, sr=RATE) for each in (one, other)]
        found.append(float(np.mean(np.abs(mfccs[0] - mfccs[1]))))
    return found


@pytest.mark.parametrize(("distance", "expected"), PUBLISHED.items())
def test_the_rating_of_a_distance_is_the_published_one(distance: float, expected: float):
    assert rating(distance) == pytest.approx(expected, abs=1e-3)


def test_a_rating_lies_between_0_and_100():
    assert (rating(0.0), rating(1e-30), rating(200.0), rating(1e9)) == (100, 100, 0, 0)
    assert np.isnan(rating(np.nan))


@pytest.mark.slow
def test_mel_bands_and_coefficients_are_librosas(played: np.ndarray):
    librosa = pytest.importorskip("librosa")
    np.testing.assert_allclose(mel_bands().T, librosa.filters.mel(sr=RATE, n_fft=2048), atol=1e-8)
    for samples in (played[:RATE], amplified(played)[:70001], np.zeros(5000)):
        expected = librosa.feature.mfcc(y=samples.astype(np.float64), sr=RATE)
        np.testing.assert_allclose(mfcc(samples.astype(np.float64)).T, expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("sample_rate", [RATE, 48000, 22050, 96000])
def test_distances_are_librosas_at_any_rate(played: np.ndarray, sample_rate: int):
    pair = [soxr.resample(make(played), RATE, sample_rate) for make in (amplified, emulated)]
    expected = librosas(*pair, sample_rate)
    found = predicted_mushra([tuple(pair)], sample_rate).distances
    assert len(expected) == 3
    assert found[:3] == pytest.approx(expected, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("gain", [1.0, 0.01, 0.001])
@pytest.mark.parametrize("pause_s", [0.0, 1.234])
def test_distances_are_librosas_behind_a_silent_start_and_for_quiet_signals(
    played: np.ndarray, gain: float, pause_s: float
):
    hiss = 1e-5 * np.random.default_rng(1).normal(size=round(pause_s * RATE))
    pair = [
        gain * np.append(hiss.astype(np.float32), make(played)).astype(np.float32) for make in (amplified, emulated)
    ]
    expected = librosas(*pair, RATE)
    assert predicted_mushra([tuple(pair)], RATE).distances[: len(expected)] == pytest.approx(expected, rel=0.01)


@pytest.mark.slow
@pytest.mark.skipif("AMPSIM_DATA" not in os.environ, reason="AMPSIM_DATA names no folder with recordings")
@pytest.mark.parametrize("name", ["ds1/test_input.wav ds1/test_target.wav", "marshall_2204/test.flac"])
def test_distances_are_librosas_on_real_recordings(name: str):
    """A driven copy of the direct guitar stands for a poor emulation."""
    files = [Path(os.environ["AMPSIM_DATA"]) / part for part in name.split()]
    sample_rate = soundfile.info(files[0]).samplerate
    read = [soundfile.read(file, dtype="float32", always_2d=True, frames=20 * sample_rate)[0] for file in files]
    direct, amp = np.concatenate(read, axis=1).T
    prediction = 0.3 * np.tanh(10 * direct)
    expected = librosas(amp, prediction, sample_rate)
    found = predicted_mushra([(amp, prediction)], sample_rate).distances
    assert found[: len(expected)] == pytest.approx(expected, rel=0.01)


def test_one_gain_for_both_keeps_a_difference_of_level(played: np.ndarray):
    """A prediction 6 dB down lies 6.02 dB down in every band: 6.02 sqrt(128) in the first coefficient alone, over 20."""
    amp = amplified(played)[: 3 * RATE + 512]
    noisy = amp + 0.01 * np.random.default_rng(0).normal(size=len(amp))  # no band anywhere near the range's end
    expected = 20 * np.log10(2) * np.sqrt(128) / 20
    assert predicted_mushra([(noisy, noisy / 2)], RATE).distances == pytest.approx([expected], rel=0.01)
    assert predicted_mushra([(noisy / 30, noisy / 60)], RATE).distances == pytest.approx([expected], rel=0.01)
    assert predicted_mushra([(noisy, noisy)], RATE).distances == [0]


def test_scores_are_mean_worst_and_share_above_90(played: np.ndarray):
    amp, other = amplified(played), 0.1 * amplified(played)
    found = predicted_mushra([(amp, amp), (amp[: 4 * RATE], other[: 4 * RATE])], RATE)
    assert found.ratings[:3] == [100, 100, 100]
    low = found.ratings[-1]
    assert len(found.ratings) == 4
    assert low < 90
    assert found.scores == pytest.approx(
        {
            "predicted_mushra": (300 + low) / 4,
            "predicted_mushra_worst": low,
            "predicted_mushra_share_above_90": 0.75,
        }
    )
    assert not found.notes


def test_excerpts_follow_each_other_and_what_is_left_counts_from_half_of_one(played: np.ndarray):
    amp = amplified(played)
    lengths = {2.9: 1, 3.0: 1, 4.4: 1, 4.7: 2, 7.6: 3, 0.5: 1}
    for seconds, count in lengths.items():
        loud = amp[RATE : RATE + round(seconds * RATE)]  # begins within a note
        assert len(predicted_mushra([(loud, loud)], RATE).ratings) == count, seconds


def test_a_pause_is_left_out_and_told(played: np.ndarray):
    amp = amplified(played)[RATE:]
    hiss = 1e-5 * np.random.default_rng(0).normal(size=6 * RATE + 3000)
    for pause in (hiss, 0 * hiss):
        target = np.concatenate([amp[:EXCERPT], pause, amp[:EXCERPT]])
        found = predicted_mushra([(amp[:EXCERPT], amp[:EXCERPT]), (target, target)], RATE)
        assert found.ratings == [100, 100, 100]
        assert found.left_out == [6.0, 9.0]
        assert found.notes == ["predicted MUSHRA leaves out 2 of 5 excerpts, where the amp is silent: 0:06.0, 0:09.0"]


@pytest.mark.parametrize("samples", [np.zeros(5 * RATE), np.zeros(0), np.ones(100), 1e-6 * np.ones(4 * RATE)])
def test_what_cannot_be_rated_has_no_score_and_says_so(samples: np.ndarray):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = predicted_mushra([(samples, samples)], RATE)
    assert all(np.isnan(value) for value in found.scores.values())
    assert found.notes == ["no predicted MUSHRA: it needs 0.4 s of the amp that are not silent"]


def test_a_silent_or_broken_prediction_is_rated_as_such(played: np.ndarray):
    amp = amplified(played)[: 4 * RATE]
    assert predicted_mushra([(amp, 0 * amp)], RATE).scores["predicted_mushra"] < 30
    broken = predicted_mushra([(amp, np.full_like(amp, np.nan))], RATE).scores
    assert all(np.isnan(value) for value in broken.values())


def test_the_ratings_are_the_blocks_of_their_mean(played: np.ndarray):
    pairs = [(amplified(played), emulated(played))]
    found = predicted_mushra(pairs, RATE)
    above, below = block_sums(pairs, RATE, predicted_mushra=found.ratings).parts("predicted_mushra")
    assert above.sum() / below.sum() == pytest.approx(found.scores["predicted_mushra"])
    assert block_sums(pairs, RATE).parts("predicted_mushra") is None  # a run of before
    assert block_sums(pairs, RATE, predicted_mushra=[95.0]).parts("predicted_mushra") is None
