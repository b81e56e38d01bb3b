"""How loud a capture is, as `.nam` files state it, so that players can bring captures to one level."""

from collections.abc import Callable

import numpy as np

from ampsim.signals.audio import Signal, decibels, rms

# Neural Amp Modeler states the level for one second at 48 kHz, whatever the rate of the net, that its package holds as a
# WAV: steady noise with equal power in each octave, at -14.97 dB RMS. Noise like it, drawn here, gave nine nets (captures
# of each architecture, and curves from clean to square) a loudness within 0.2 dB of that file.
NUM_SAMPLES = 48 * 1000
LEVEL_DB = -14.97
SEED = 2


def reference_input() -> Signal:
    """What the loudness of a capture is measured with, (48000,)."""
    random = np.random.default_rng(SEED)
    bins = np.arange(NUM_SAMPLES // 2 + 1)
    spectrum = random.standard_normal(len(bins)) + 1j * random.standard_normal(len(bins))
    noise = np.fft.irfft(np.where(bins > 0, spectrum / np.sqrt(np.maximum(bins, 1)), 0))
    return (noise * 10 ** (LEVEL_DB / 20) / rms(noise)).astype(np.float32)


def loudness_db(play: Callable[[Signal], Signal]) -> float:
    """RMS of the output in dB full scale, for the reference input."""
    return decibels(rms(play(reference_input())))


def gain(play: Callable[[Signal], Signal]) -> float:
    """The format's heuristic of how much an amp compresses: 0 for a straight line, 1 where any input comes out alike.

    It compares the RMS of the output, summed over eleven input levels from nothing to the reference's, with what a
    rectangle (1) and a triangle (0) of the last one's height would give.
    """
    reference = reference_input()
    levels = np.array([rms(play(np.float32(factor) * reference)) for factor in np.linspace(0, 1, 11)])
    if levels[-1] == 0:
        return 0.0
    return float(np.clip(2 * levels.sum() / (len(levels) * levels[-1]) - 1, 0, 1))
