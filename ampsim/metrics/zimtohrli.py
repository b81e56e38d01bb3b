"""A second opinion on what listeners would say: Zimtohrli, a model of hearing, if its package is installed.

Zimtohrli (github.com/google/zimtohrli, Apache 2.0; `pip install 'ampsim[zimtohrli]'`) shares nothing with predicted MUSHRA:
gammatone filters, masking and loudness, a time warp, and the similarity of the two neurograms, calibrated for differences near
the threshold of hearing, on codecs and not on amps. It takes mono at 48 kHz, hears no difference of level and forgives a few
milliseconds of delay. Its warp takes the square of a signal's length, and below some milliseconds it writes beyond its memory:
hence excerpts, of LEAST_S at least.
"""

import math
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from ampsim.metrics.mushra import LOUDNESS_LUFS
from ampsim.metrics.scores import Pairs
from ampsim.metrics.spectra import loudness
from ampsim.signals.audio import at_rate

NAME = "zimtohrli_mos"
RATE = 48000
EXCERPT_S, LEAST_S = 3.0, 0.4
PACKAGE = "zimtohrli"

Wave = NDArray[np.float32]


def installed() -> bool:
    return find_spec(PACKAGE) is not None


def zimtohrli_mos(pairs: Pairs, sample_rate: int) -> float:
    """The mean opinion score, 1 to 5, that Zimtohrli expects of (target, prediction) signals, (num_samples,) each: the mean
    over excerpts of 3 s, played so that the target has -16 LUFS; NaN where nothing sounds for 0.4 s.

    Raises:
        ImportError: the package is not installed.
    """
    from zimtohrli import Pyohrli, mos_from_zimtohrli

    model = Pyohrli()
    found = [mos_from_zimtohrli(model.distance(*both)) for both in excerpts(pairs, sample_rate)]
    return float(np.mean(found)) if found else math.nan


def excerpts(pairs: Pairs, sample_rate: int) -> Iterator[tuple[Wave, Wave]]:
    """Target and prediction of each excerpt that is long enough and sounds, at 48 kHz and as loud as they are judged."""
    length = round(EXCERPT_S * RATE)
    for pair in pairs:
        target, prediction = (np.asarray(at_rate(signal, sample_rate, RATE), np.float32) for signal in pair)
        for start in range(0, len(target), length):
            one, other = target[start : start + length], prediction[start : start + length]
            level = loudness(one, RATE) if len(one) >= LEAST_S * RATE else math.nan
            if not math.isnan(level):
                gain = np.float32(10 ** ((LOUDNESS_LUFS - level) / 20))
                yield np.ascontiguousarray(gain * one), np.ascontiguousarray(gain * other)
