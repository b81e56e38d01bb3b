"""Hiss: what a model plays between 10 and 20 kHz while a note dies away and the amp has nothing left there but its noise."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ampsim.metrics.scores import Pairs
from ampsim.metrics.spectra import both

LOW_HZ, HIGH_HZ = 10_000.0, 20_000.0
FRAME_S = 0.0464  # 2048 samples at 44.1 kHz
RESTING_DB = -60.0  # re the loudest frame: what is softer is no note
LOWEST = 5.0  # per cent of the frames that sound, by their level in the band: where the amp's noise lies
NEAR_DB = 6.0  # above that: the amp's own treble is gone
FALL_DB = 10.0  # that the level or the treble of a take with decays falls below its loudest
INAUDIBLE_DB = -80.0  # re the target's mean power: hearing's threshold at 10 kHz for a guitar at 100 dB SPL
SHORTEST_S = 0.25  # of such frames
LOWEST_RATE = 24_000  # hertz; a lower sample rate holds too little of the band


@dataclass(frozen=True)
class Hiss:
    """The level in the band while notes decay.

    Args:
        db: prediction over amp, in dB; NaN where `note` says why there is none.
        frequencies_hz, amp_db, prediction_db: (bins,), mean spectra of the frames that were compared, 0 dB a full-scale sine.
        duration_s: of these frames.
    """

    db: float
    frequencies_hz: NDArray[np.float64]
    amp_db: NDArray[np.float64]
    prediction_db: NDArray[np.float64]
    duration_s: float
    note: str = ""

    @property
    def notes(self) -> list[str]:
        return [self.note] if self.note else []


def hiss(pairs: Pairs, sample_rate: int) -> Hiss:
    """Compare (target, prediction) signals, (num_samples,) each, taken as one, from 10 to 20 kHz (or 0.45 of the rate).

    Frames count in which the target sounds and has in the band no more than 6 dB above the lowest twentieth of such frames.
    80 dB below the target's mean power is added to both sides, so that a recording without noise asks for nothing that
    nobody hears.
    """
    size = 2 * round(FRAME_S * sample_rate / 2)
    frequencies = fft.rfftfreq(size, 1 / sample_rate)
    if sample_rate < LOWEST_RATE:
        return unknown(frequencies, f"no hiss: a sample rate of {sample_rate} Hz leaves too little above 10 kHz")
    frames = [part for pair in pairs for part in both(*pair, size, size // 2)]
    nothing = np.zeros((0, len(frequencies)), np.float32)
    target, prediction = (np.concatenate([nothing, *(part[k] for part in frames)]).astype(np.float64) for k in range(2))
    band = (frequencies >= LOW_HZ) & (frequencies <= min(HIGH_HZ, 0.45 * sample_rate))
    quiet = decays(target, band)
    duration_s = float(quiet.sum()) * size / 2 / sample_rate
    if duration_s < SHORTEST_S:
        return unknown(
            frequencies,
            f"no hiss: neither the amp nor its treble falls {FALL_DB:g} dB below its loudest for {SHORTEST_S:g} s: score "
            "notes that ring out too",
        )
    floor = float(np.mean(target.sum(axis=1))) * 10 ** (INAUDIBLE_DB / 10)
    levels = [float(np.mean(side[quiet][:, band].sum(axis=1))) + floor for side in (target, prediction)]
    amp_db, prediction_db = (
        10 * np.log10(np.maximum(side[quiet].mean(axis=0), 1e-20)) for side in (target, prediction)
    )
    return Hiss(10 * math.log10(levels[1] / levels[0]), frequencies, amp_db, prediction_db, duration_s)


def decays(target: NDArray[np.float64], band: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which power spectra, (frames, bins), are of a note that has only noise left in the band. An amp with much gain holds
    its level while the treble dies away, and one with much noise holds its treble while the note does: either will do."""
    power, treble = target.sum(axis=1), target[:, band].sum(axis=1)
    sounding = power > power.max(initial=0.0) * 10 ** (RESTING_DB / 10)
    if not sounding.any():
        return sounding
    lowest = [np.percentile(level[sounding], LOWEST) for level in (power, treble)]
    falls = [
        level[sounding].max() > low * 10 ** (FALL_DB / 10) for level, low in zip((power, treble), lowest, strict=True)
    ]
    found: NDArray[np.bool_] = sounding & (treble <= lowest[1] * 10 ** (NEAR_DB / 10)) & any(falls)
    return found


def unknown(frequencies: NDArray[np.float64], note: str) -> Hiss:
    nothing = np.full(len(frequencies), math.nan)
    return Hiss(math.nan, frequencies, nothing, nothing, 0.0, note)
