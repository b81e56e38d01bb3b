"""The loudness and the gain that `.nam` files state, against what the format's own second of noise gives."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from nam_files import write
from nam_nets import STORED, made
from scipy import signal as dsp

from ampsim import players
from ampsim.players.loudness import gain, loudness_db, reference_input
from ampsim.signals.audio import decibels, rms

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


# In dB, of the same file, as our reader plays nets of random weights.
STATED_OF_NETS = {
    "a head with a memory": 3.23,
    "two arrays": -20.80,
    "LeakyHardtanh as it is": -32.41,
    "ConvNet": -20.52,
}


@pytest.mark.parametrize("name", STATED_OF_NETS)
def test_loudness_of_nets_is_that_of_the_formats_own_file(name: str, tmp_path: Path):
    player = players.read(write(tmp_path / "x.nam", made(name, STORED[name][0]))).player
    assert loudness_db(player) == pytest.approx(STATED_OF_NETS[name], abs=0.1)


@pytest.fixture(scope="module")
def formats_own(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The second of noise that neural-amp-modeler holds, (48000,)."""
    python = os.environ.get("AMPSIM_NAM_PYTHON")
    if not python:
        pytest.skip("AMPSIM_NAM_PYTHON is not set: a Python that has neural-amp-modeler")
    path = tmp_path_factory.mktemp("nam") / "x.npy"
    code = (
        "import sys, numpy; from nam.models.base import BaseNet; "
        "numpy.save(sys.argv[1], BaseNet._metadata_loudness_x().numpy())"
    )
    subprocess.run([python, "-c", code, str(path)], check=True, capture_output=True)
    return np.load(path).ravel().astype(np.float32)


@pytest.mark.slow
def test_the_reference_is_as_loud_as_neural_amp_modelers_in_every_octave(formats_own: np.ndarray):
    powers = [np.abs(np.fft.rfft(each)) ** 2 for each in (formats_own, reference_input())]
    for first in (1, 2, 4, 13, 60, 500, 4000):
        theirs, ours = (np.sum(power[first:]) for power in powers)
        assert 10 * np.log10(ours / theirs) == pytest.approx(0, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("family", "sizes", "spread"),
    [
        ("WaveNetCab", {"channels": 12, "layers": 8, "taps": 1024, "tail": 3072}, 0.0),
        ("WaveNet", {"channels": [8, 4], "dilations": [[1, 4, 16, 64], [128, 512, 2, 8]]}, 0.1),
        ("Lstm", {"units": 16}, 0.3),
    ],
)
def test_new_nets_are_as_loud_as_by_the_formats_own_file(
    family: str, sizes: dict, spread: float, seed: int, formats_own: np.ndarray
):
    """With the weights that they begin with, and with others."""
    import keras

    from ampsim import models
    from ampsim.models.rendering import Renderer

    keras.utils.set_random_seed(seed)
    model = getattr(models, family)(**sizes, sample_rate=48000)
    model.build()
    random = np.random.default_rng(seed)
    model.set_weights([weight + spread * random.normal(size=weight.shape) for weight in model.get_weights()])
    play = Renderer(model)
    assert loudness_db(play) == pytest.approx(decibels(rms(play(formats_own))), abs=0.1)
