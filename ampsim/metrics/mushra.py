"""The rating that listeners would give a prediction in a MUSHRA test, as a published formula expects it.

The formula was fitted by others: github.com/Alec-Wright/amp-emulation-metrics (`utils/sim_pred.py`, `utils/misc.py`), on the
ratings of published listening tests. Its examples are neural and grey-box emulations of valve amps (Marshall JVM410H, Blackstar
HT-1 and HT-5, Mesa 5:50, Peavey 6505) and of a Boss DS-1, in excerpts of 3 s at 44.1 kHz mono. It predicts the mean of such a
test and does not replace one. It knows nothing of other instruments and effects, of latency, or of how one listener differs
from another; it hears no phase, and nothing that frames of 46 ms blur. What listeners no longer tell apart is 100 throughout.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import fft
from scipy import signal as dsp

from ampsim.metrics.scores import Pairs
from ampsim.metrics.spectra import loudness
from ampsim.signals import filters
from ampsim.signals.audio import at_rate, clock

# The recipe: what it sets, and what it leaves to librosa's defaults.
RATE = 44100
EXCERPT = 3 * RATE
LOUDNESS_LUFS = -16.0
SILENCE_DB = -40.0  # below the loudest frame
FRAME, HOP = 2048, 512
NUM_BANDS, NUM_COEFFICIENTS = 128, 20
RANGE_DB = 80.0
KNEE, SLOPE = 0.464, -69.4  # of the fitted line over log10 of the distance
EXCELLENT = 90.0  # from here up, BS.1534-3 has a listener miss the hidden reference too often to count

Wave = NDArray[np.float64]


@dataclass(frozen=True)
class PredictedMushra:
    """Distances of the MFCCs of excerpts of 3 s, one after another through all signals; `left_out` are the starts, in
    seconds, of excerpts that cannot be rated because the target is silent there."""

    distances: list[float]
    left_out: list[float]

    @property
    def ratings(self) -> list[float]:
        """The predicted rating of each excerpt, 0 to 100."""
        return [rating(distance) for distance in self.distances]

    @property
    def scores(self) -> dict[str, float]:
        """The mean, the worst excerpt, and the share of excerpts rated above 90; NaN where there is no rating."""
        ratings = np.array(self.ratings or [math.nan])
        above = np.where(np.isnan(ratings), math.nan, ratings > EXCELLENT)
        return {
            "predicted_mushra": float(ratings.mean()),
            "predicted_mushra_worst": float(ratings.min()),
            "predicted_mushra_share_above_90": float(above.mean()),
        }

    @property
    def notes(self) -> list[str]:
        """What a reader of the scores must know, a sentence each."""
        if not self.distances:
            return ["no predicted MUSHRA: it needs 0.4 s of the amp that are not silent"]
        if not self.left_out:
            return []
        listed = ", ".join(map(clock, self.left_out[:5])) + (", ..." if len(self.left_out) > 5 else "")
        counts = f"{len(self.left_out)} of {len(self.distances) + len(self.left_out)}"
        return [f"predicted MUSHRA leaves out {counts} excerpts, where the amp is silent: {listed}"]


def predicted_mushra(pairs: Pairs, sample_rate: int) -> PredictedMushra:
    """Rate (target, prediction) signals, each of shape (num_samples,), in excerpts of 3 s.

    The excerpts of a signal lie back to back from the end of the target's leading silence. A gain that sets the target's
    excerpt to -16 LUFS (BS.1770) is applied to both. What is left at the end is an excerpt if it lasts 1.5 s; a signal
    that is shorter than 3 s is one by itself from 0.4 s up, without the silence that the recipe would append.
    """
    distances, left_out, before_s = [], [], 0.0
    for target, prediction in pairs:
        resampled = [
            np.asarray(at_rate(np.asarray(signal, np.float64), sample_rate, RATE), np.float64)
            for signal in (target, prediction)
        ]
        for start, one, other in excerpts(*resampled):
            level = math.nan if one is None else loudness(one, RATE)
            if one is None or math.isnan(level):
                left_out.append(before_s + start / RATE)
                continue
            gain = 10 ** ((LOUDNESS_LUFS - level) / 20)
            distances.append(mfcc_distance(gain * one, gain * other))
        before_s += len(target) / sample_rate
    return PredictedMushra(distances, left_out)


def rating(distance: float) -> float:
    """The predicted rating, 0 to 100, of two excerpts whose MFCCs lie that far apart."""
    if math.isnan(distance):
        return math.nan
    return min(100.0, max(0.0, 100 + SLOPE * (math.log10(max(distance, 1e-12)) - KNEE)))


def mfcc_distance(target: Wave, prediction: Wave) -> float:
    """Mean absolute difference of the MFCCs of two signals at 44.1 kHz, (num_samples,), over coefficients and frames."""
    return float(np.mean(np.abs(mfcc(target) - mfcc(prediction))))


def mfcc(signal: Wave) -> Wave:
    """Mel-frequency cepstral coefficients as librosa defines them: (num_samples,) -> (num_frames, 20).

    Frames are centred, with silence beyond the ends. Levels are in dB re 1, and those 80 dB below the highest are raised.
    """
    frames = sliding_window_view(np.pad(signal, FRAME // 2), FRAME)[::HOP]
    power = np.square(np.abs(fft.rfft(frames * dsp.get_window("hann", FRAME))))
    level = 10 * np.log10(np.maximum(power @ mel_bands(), 1e-10))
    return fft.dct(np.maximum(level, level.max() - RANGE_DB), norm="ortho")[:, :NUM_COEFFICIENTS]


@cache
def mel_bands() -> Wave:
    """Weights of bins in bands, (1025, 128)."""
    return filters.slaney_bands(NUM_BANDS, FRAME, RATE, high_hz=RATE / 2)


def excerpts(target: Wave, prediction: Wave) -> Iterator[tuple[int, Wave | None, Wave]]:
    """Start, target and prediction of each excerpt; None for a target that is silent throughout."""
    audible = np.flatnonzero(frame_levels(target) > SILENCE_DB)
    first = HOP * int(audible[0]) if len(audible) else 0
    for start in range(first, len(target), EXCERPT):
        stop = min(start + EXCERPT, len(target))
        if stop - start < EXCERPT / 2 and start > first:
            return
        silent = not np.any((audible >= start / HOP) & (audible < stop / HOP))
        yield start, None if silent else target[start:stop], prediction[start:stop]


def frame_levels(signal: Wave) -> Wave:
    """RMS of centred frames in dB below that of the loudest, (num_frames,), as librosa's `effects.trim` measures it."""
    whole = (len(signal) // HOP + FRAME // HOP) * HOP
    hops = np.square(np.pad(signal, FRAME // 2)[:whole]).reshape(-1, HOP).sum(axis=1)
    power = np.maximum(sliding_window_view(hops, FRAME // HOP).sum(axis=1) / FRAME, 1e-10)
    return 10 * np.log10(power / power.max())
