"""The loudness and the gain that `.nam` files state, against what the format's own second of noise gives."""

import os
import subprocess
from collections.abc import Callable

import numpy as np
import pytest
from scipy import signal as dsp

from ampsim.players.loudness import gain, loudness_db, reference_input

Play = Callable[[np.ndarray], np.ndarray]


def butterworth(frequency_hz: float, kind: str = "low") -> Play:
    return lambda signal: dsp.lfilter(*dsp.butter(2, frequency_hz, kind, fs=48000), signal)


def after(first: Play, then: Play) -> Play:
    return lambda signal: then(first(signal))


def bent(signal: np.ndarray) -> np.ndarray:
    return np.tanh(8 * signal)


# In dB, of the file that neural-amp-modeler 0.13 holds.
STATED: dict[str, tuple[Play, float]] = {
    "nothing": (lambda signal: signal, -14.97),
    "below 10 Hz": (butterworth(10), -21.85),
    "below 30 Hz": (butterworth(30), -19.88),
    "below 60 Hz": (butterworth(60), -18.94),
    "below 300 Hz": (butterworth(300), -17.47),
    "above 60 Hz": (butterworth(60, "high"), -17.19),
    "above 1 kHz": (butterworth(1000, "high"), -20.04),
    "a curve": (bent, -2.82),
    "a lopsided curve": (lambda signal: np.tanh(2 * signal + 0.5) - np.tanh(0.5), -10.58),
    "a curve of lows": (after(butterworth(30), bent), -4.84),
    "the lows of a curve": (after(bent, butterworth(60)), -7.17),
    "the lows of a rectifier": (after(np.square, butterworth(60)), -28.85),
}


@pytest.mark.parametrize("name", STATED)
def test_loudness_is_that_of_the_formats_own_file(name: str):
    play, stated = STATED[name]
    assert loudness_db(play) == pytest.approx(stated, abs=0.1)


def test_gain_goes_from_a_straight_line_to_a_switch():
    assert gain(lambda signal: 0.1 * signal) == pytest.approx(0, abs=1e-6)
    assert gain(np.sign) == pytest.approx(9 / 11, abs=0.01)  # ten levels alike, and silence
    assert gain(np.zeros_like) == 0


@pytest.mark.slow
def test_the_reference_is_as_loud_as_neural_amp_modelers_in_every_octave(tmp_path):
    python = os.environ.get("AMPSIM_NAM_PYTHON")
    if not python:
        pytest.skip("AMPSIM_NAM_PYTHON is not set: a Python that has neural-amp-modeler")
    code = (
        "import sys, numpy; from nam.models.base import BaseNet; "
        "numpy.save(sys.argv[1], BaseNet._metadata_loudness_x().numpy())"
    )
    subprocess.run([python, "-c", code, str(tmp_path / "x.npy")], check=True, capture_output=True)
    powers = [np.abs(np.fft.rfft(each)) ** 2 for each in (np.load(tmp_path / "x.npy").ravel(), reference_input())]
    for first in (1, 2, 4, 13, 60, 500, 4000):
        theirs, ours = (np.sum(power[first:]) for power in powers)
        assert 10 * np.log10(ours / theirs) == pytest.approx(0, abs=0.1)
