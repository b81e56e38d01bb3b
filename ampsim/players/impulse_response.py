"""Impulse responses as Neural Amp Modeler's plugin plays them, in the slot behind its net."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ampsim import AmpsimError
from ampsim.signals import audio

RATES = (44_100, 48_000, 88_200, 96_000)  # of sessions, in hertz
LONGEST = 8192  # taps: the plugin cuts what follows
# The plugin takes so much off every response at this rate, since published ones are that loud, and more or less at
# others (AudioDSPTools, `ImpulseResponse::_SetWeights`).
LEVEL_DB = -18.0
LEVEL_RATE = 48_000


def slot_gain(sample_rate: int) -> float:
    """The factor by which the slot plays a response in a session of this rate."""
    return float(10 ** (LEVEL_DB / 20) * LEVEL_RATE / sample_rate)


def read(path: Path, sample_rate: int) -> NDArray[np.float64]:
    """The filter, (taps,), that a file is in a session of this rate.

    Raises:
        AmpsimError: the file cannot be read, is not mono, or is of another rate, for which the plugin would interpolate it.
    """
    file = audio.read(path)
    if file.samples.shape[1] != 1:
        raise AmpsimError(f"{path} has {file.samples.shape[1]} channels: the slot for impulse responses takes one")
    if file.sample_rate != sample_rate:
        raise AmpsimError(f"{path} is of {file.sample_rate:,} Hz, and the session is of {sample_rate:,} Hz")
    return slot_gain(sample_rate) * file.channel(0)[:LONGEST].astype(np.float64)
