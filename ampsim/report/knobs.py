"""Figures of a net that has learnt an amp's controls."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from scipy import signal as dsp

from ampsim.report.plots import COLOURS, FLOOR_DB, frequency_axis, power_db, scale
from ampsim.signals.audio import Signal

SPREAD = 0.02  # of a knob's range: equal settings do not hide each other


def error_over_settings(rows: Sequence[Mapping[str, float | str]], controls: Sequence[str]) -> Figure:
    """The ESR at each setting, over each control: where the net is least sure.

    Args:
        rows: a setting each, with its ESR; see `runs.evaluation.by_setting`.
        controls: their names.
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    figure.suptitle(f"ESR at each of {len(rows)} settings (lower is better)")
    esr = np.array([float(row["esr"]) for row in rows])
    for axes, name in zip(figure.subplots(1, len(controls), sharey=True, squeeze=False)[0], controls, strict=True):
        values = [row[name] for row in rows]
        places = np.array([float(value) for value in values]) if not isinstance(values[0], str) else None
        if places is None:  # a switch
            words = sorted({str(value) for value in values})
            places = np.array([float(words.index(str(value))) for value in values])
            axes.set_xticks(range(len(words)), words)
            axes.set_xlim(-0.5, len(words) - 0.5)
        wobble = SPREAD * max(np.ptp(places), 1e-9) * np.random.default_rng(0).uniform(-1, 1, len(places))
        axes.plot(places + wobble, esr, "o", color=COLOURS["prediction"], alpha=0.7)
        scale(axes, "y", esr)
        axes.axhline(float(np.median(esr)), color="black", lw=0.8, ls="--")
        axes.set_xlabel(name)
        axes.grid(alpha=0.3, which="both")
    figure.axes[0].set_ylabel("ESR (dashed: median)")
    return figure


def responses(played: Mapping[str, Mapping[str, Signal]], sample_rate: int) -> Figure:
    """The long-term spectrum of what a net plays as each control is turned and the others stand in the middle.

    Args:
        played: for each control, what is played at each of its positions, (num_samples,).
    """
    figure = Figure(figsize=(10, 3.0 * len(played)), layout="constrained")
    figure.suptitle("The response as a knob turns, the others in the middle")
    for axes, (name, signals) in zip(figure.subplots(len(played), 1, squeeze=False)[:, 0], played.items(), strict=True):
        colours = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, len(signals)))
        for colour, (position, samples) in zip(colours, signals.items(), strict=True):
            frequency, density = dsp.welch(samples, sample_rate, nperseg=min(4096, len(samples)), scaling="spectrum")
            axes.plot(frequency, power_db(density), color=colour, lw=1, label=f"{name} {position}")
        frequency_axis(axes, sample_rate)
        axes.set_ylim(bottom=FLOOR_DB - 20)
        axes.set_ylabel("level (dBFS)")
        axes.grid(alpha=0.3, which="both")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.axes[-1].set_xlabel("frequency (Hz)")
    return figure
