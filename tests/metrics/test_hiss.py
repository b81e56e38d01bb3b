"""Hiss of signals that are made of a note with a known decay and noise of known power."""

import math

import numpy as np
import pytest

from ampsim.metrics import hiss

RATE = 44100
random = np.random.default_rng(0)


def pluck(num_samples: int = 3 * RATE) -> np.ndarray:
    """A low note with treble that dies away first, then rings below 1 kHz for the rest of three seconds."""
    time_s = np.arange(num_samples) / RATE
    treble = 0.05 * np.sin(2 * np.pi * 12_000 * time_s) * np.exp(-time_s / 0.02)
    return 0.5 * np.sin(2 * np.pi * 220 * time_s) * np.exp(-time_s / 0.5) + treble


def noise(level_db: float, num_samples: int = 3 * RATE) -> np.ndarray:
    return 10 ** (level_db / 20) * random.normal(size=num_samples)


@pytest.mark.parametrize("more_db", [-9.0, 0.0, 12.0])
def test_noise_of_a_known_level_is_so_much_over_the_amps(more_db: float):
    note = pluck()
    found = hiss([(note + noise(-60), note + noise(-60 + more_db))], RATE)
    assert found.db == pytest.approx(more_db, abs=0.3)
    assert found.duration_s > 0.5
    band = (found.frequencies_hz > 11_000) & (found.frequencies_hz < 19_000)
    difference = np.mean(10 ** (found.prediction_db[band] / 10)) / np.mean(10 ** (found.amp_db[band] / 10))
    assert 10 * math.log10(difference) == pytest.approx(more_db, abs=0.5)


def test_it_is_the_same_at_another_volume_and_of_the_same_signal_in_pieces():
    note = pluck()
    target, prediction = note + noise(-75), note + noise(-65)
    whole = hiss([(target, prediction)], RATE).db
    assert hiss([(0.01 * target, 0.01 * prediction)], RATE).db == pytest.approx(whole, abs=0.01)
    assert hiss([(target, prediction)] * 2, RATE).db == pytest.approx(whole, abs=1e-9)


def test_what_is_wrong_while_the_amp_has_treble_or_rests_is_no_hiss():
    note = np.concatenate([pluck(), np.zeros(2 * RATE)])
    target = note + noise(-75, len(note))
    loud = target.copy()
    loud[: RATE // 20] += noise(-40, RATE // 20)
    loud[4 * RATE :] += noise(-40, RATE)
    assert hiss([(target, loud)], RATE).db == pytest.approx(0, abs=0.05)


def test_a_recording_without_noise_asks_only_for_what_could_be_heard():
    note = pluck()
    quiet, audible = (hiss([(note, note + noise(level))], RATE).db for level in (-115, -60))
    assert quiet < 0.5
    assert audible > 10


def test_a_compressed_amp_holds_its_level_while_its_treble_dies_away():
    time_s = np.arange(3 * RATE) / RATE
    treble = 0.05 * np.sin(2 * np.pi * 12_000 * time_s) * np.exp(-time_s / 0.1)
    steady = 0.5 * np.sin(2 * np.pi * 220 * time_s) + treble
    assert hiss([(steady + noise(-70), steady + noise(-60))], RATE).db == pytest.approx(10, abs=0.5)


def test_no_decay_no_band_and_no_samples_have_no_hiss_and_say_why():
    steady = noise(-20)
    found = hiss([(steady, steady)], RATE)
    assert math.isnan(found.db)
    assert found.notes == [
        "no hiss: neither the amp nor its treble falls 10 dB below its loudest for 0.25 s: score notes that ring "
        "out too"
    ]
    assert "22050 Hz leaves too little above 10 kHz" in hiss([(pluck(), pluck())], 22050).note
    for signal in (np.zeros(100), np.zeros(RATE)):
        assert math.isnan(hiss([(signal, signal)], RATE).db)
