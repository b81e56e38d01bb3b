"""Figures of a diagnosis; each returns a matplotlib Figure, in the colours and the shape of all others."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ampsim.report.plots import COLOURS, FLOOR_DB, WIDTH, legend, panels, plain_number


def played(levels_db: np.ndarray, pitches: np.ndarray) -> Figure:
    """How often which level (of frames, dBFS) and which pitch (MIDI numbers) was played."""
    figure = Figure(figsize=(WIDTH, 2.3), layout="constrained")
    level, pitch = figure.subplots(1, 2)
    level.hist(np.maximum(levels_db, FLOOR_DB), bins=np.arange(FLOOR_DB, 1, 3), color=COLOURS["direct"])
    level.set_xlabel("level of 50 ms (dBFS)")
    level.set_ylabel("frames")
    pitch.hist(np.round(pitches), bins=np.arange(34.5, 90), color=COLOURS["train"])
    pitch.set_xticks(range(36, 90, 12), [f"C{octave}" for octave in range(2, 7)])
    pitch.set_xlabel("single notes")
    for axes in (level, pitch):
        axes.grid(alpha=0.3)
    return figure


def lags(time_s: np.ndarray, measured: np.ndarray, line: np.ndarray) -> Figure:
    """The delay of the amp as it was measured through a take, in samples, and the line through it."""
    figure, (axes,) = panels(1, "")
    axes.plot(time_s, measured, ".", color=COLOURS["amp"], label="measured")
    axes.plot(time_s, line, color=COLOURS["prediction"], lw=1.2, label="clock drift and steps")
    middle = float(np.median(line))
    reach = max(3.0, 1.2 * float(np.max(np.abs(line - middle), initial=0.0)))
    axes.set_ylim(middle - reach, middle + reach)
    axes.set_xlabel("time (s)")
    axes.set_ylabel("delay (samples)")
    legend(axes)
    return figure


def gain_over_time(gains_db: np.ndarray, block_s: float, bands: Sequence[str]) -> Figure:
    """The amp's gain over what it is expected to do, (num_blocks, num_bands): level where it stays the same."""
    figure, (axes,) = panels(1, "")
    time_s = (np.arange(len(gains_db)) + 0.5) * block_s
    for gain, band, colour in zip(gains_db.T, bands, COLOURS.values(), strict=False):
        axes.plot(time_s, gain, color=colour, lw=1.2, label=band)
    axes.set_ylim(-12, 12)
    axes.set_xlabel("time (s)")
    axes.set_ylabel("gain (dB)")
    legend(axes)
    return figure


def filter_lengths(windows: np.ndarray, by_window: np.ndarray, sample_rate: int) -> Figure:
    """The ESR of the best filter against its length."""
    figure, (axes,) = panels(1, "")
    axes.plot(1000 * windows / sample_rate, by_window, color=COLOURS["amp"], marker=".")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(plain_number))
    axes.set_xlabel("length of the filter (ms)")
    axes.set_ylabel("error-to-signal ratio")
    return figure
