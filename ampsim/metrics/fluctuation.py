"""A volume that fluctuates where the amp's does not: heard at once, and next to nothing in a squared error."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import signal as dsp

from ampsim.metrics.scores import Pairs

BAND_HZ = (2.0, 20.0)  # slower is a change of level, faster is heard as roughness rather than as volume
RATE_HZ = 100  # of the envelope
WINDOW_S = 0.04  # Hann: passes the band, and is 0 from 50 Hz up, where the ripple of a low note would fold back
GATE_DB = -40.0  # below the target's mean power: what is quieter does not count


def fluctuation(pairs: Pairs, sample_rate: int) -> float:
    """RMS, in dB, of the volume that the prediction adds or takes away between 2 and 20 Hz.

    The envelopes of target and prediction are powers in Hann windows of 40 ms, in dB; their difference is band-passed.
    A prediction that is too loud or too quiet throughout does not fluctuate: overall levels are made equal first. A sine of
    depth m at 8 Hz comes to about 5.8 m dB, whereas its ESR is m²/2: 0.58 dB and 0.005 for a tenth. Of a fluctuation of
    1, 2, 4, 12, 20, 25 and 30 Hz 5, 51, 100, 86, 34, 10 and 3 % are heard. A steady tone has some where its own period is
    a ripple of the power: below 0.08 dB from 41 Hz up, and 0.1 to 0.25 dB at 31 Hz if the amp bends it asymmetrically.

    Args:
        pairs: (target, prediction) signals, each of shape (num_samples,), taken as one.

    Returns:
        NaN where nothing is as long as half a second, or where a side is silent.
    """
    energies = [sum(float(np.sum(np.square(x, dtype=np.float64))) for x in side) for side in zip(*pairs, strict=True)]
    count = sum(len(target) for target, _ in pairs)
    if not count or not all(energies):
        return math.nan
    floor = energies[0] / count * 10 ** (GATE_DB / 10)
    square = frames = 0.0
    for target, prediction in pairs:
        level = envelope(target, sample_rate)
        predicted_level = envelope(prediction, sample_rate) * energies[0] / energies[1]
        if len(level) < RATE_HZ // 2:
            continue
        difference = 10 * np.log10((predicted_level + floor) / (level + floor))
        sections = dsp.butter(2, BAND_HZ, "bandpass", fs=RATE_HZ, output="sos")
        heard = dsp.sosfiltfilt(sections, difference)[level > floor]
        square += float(np.sum(np.square(heard)))
        frames += len(heard)
    return math.sqrt(square / frames) if frames else math.nan


def envelope(signal: NDArray[np.floating], sample_rate: int) -> NDArray[np.float64]:
    """Mean power in Hann windows, RATE_HZ times a second: (num_samples,) -> (num_frames,)."""
    window = np.hanning(round(WINDOW_S * sample_rate))
    power = np.square(np.asarray(signal, np.float64))
    if len(power) < len(window):
        return np.empty(0)
    smooth = dsp.oaconvolve(power, window / window.sum(), mode="valid")
    frames = np.arange(0, len(smooth), sample_rate / RATE_HZ).astype(int)
    return np.maximum(smooth[frames], 0)
