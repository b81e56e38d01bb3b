"""How loud a capture is, as `.nam` files state it, so that players can bring captures to one level."""

from collections.abc import Callable

import numpy as np

from ampsim.signals.audio import Signal, decibels, rms

# Neural Amp Modeler states the level for one second at 48 kHz, whatever the rate of the net, that its package holds as a
# WAV: steady noise with about equal power in each octave, and an offset. Below 60 Hz, where a second holds few periods, a
# noise of that kind is one thing or another, so the levels of that file's bands count, as measured: first bin of each band
# (one a hertz) and its level in dB. Of 150 noises drawn so, this one is nearest for filters and curves at low frequencies.
NUM_SAMPLES = 48 * 1000
OFFSET = -0.0397
BANDS = (
    *((1, -43.7), (2, -28.8), (3, -48.9), (4, -26.5), (6, -32.0), (9, -27.9), (13, -28.5), (20, -29.7), (30, -29.0)),
    *((40, -27.7), (60, -28.7), (90, -30.7), (125, -28.6), (180, -30.6), (250, -29.6), (355, -29.4), (500, -29.6)),
    *((710, -28.9), (1000, -29.1), (1400, -29.7), (2000, -29.6), (2800, -29.2), (4000, -29.8), (5600, -29.7)),
    *((8000, -30.0), (11300, -30.2), (16000, -31.9), (20000, -32.2)),
)
SEED = 127


def reference_input() -> Signal:
    """What the loudness of a capture is measured with, (48000,)."""
    random = np.random.default_rng(SEED)
    bins = np.arange(NUM_SAMPLES // 2 + 1)
    spectrum = random.standard_normal(len(bins)) + 1j * random.standard_normal(len(bins))
    spectrum /= np.sqrt(np.maximum(bins, 1))
    for (first, level), (end, _) in zip(BANDS, [*BANDS[1:], (len(bins), 0)], strict=True):
        band = spectrum[first:end]
        band *= 10 ** (level / 20) / np.sqrt(2 * np.sum(np.abs(band) ** 2))
    spectrum[0] = OFFSET
    return np.fft.irfft(NUM_SAMPLES * spectrum).astype(np.float32)


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
