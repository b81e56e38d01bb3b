"""Figures of many runs: a comparison, a sweep, and what speed and size cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ampsim.metrics.scores import is_ratio, larger_is_better
from ampsim.report.pareto import front
from ampsim.report.plots import COLOURS, LOWER, WIDTH, legend, panels, scale


@dataclass(frozen=True)
class Row:
    """One config in a comparison: its scores by seed, whether it is not told from the best, and its mean."""

    label: str
    values: Sequence[float]
    tied: bool
    mean: float


def comparison(rows: Sequence[Row], metric: str, *, most: int = 40) -> Figure:
    """Configs, best on top: a dot for each seed, the mean, and the standard deviation of three or more seeds, which for a
    ratio is one of logarithms, so that no bar reaches zero. A bar at the side marks those that the evidence cannot tell
    from the best."""
    shown = rows[:most]
    figure = Figure(figsize=(WIDTH, 1.6 + 0.3 * len(shown)), layout="constrained")
    figure.suptitle(f"Comparison by {metric}" + (f": the best {most} of {len(rows)}" if len(rows) > most else ""))
    axes = figure.subplots()
    places, means = np.arange(len(shown)), np.array([row.mean for row in shown])
    bars = np.array([reach(row, ratio=is_ratio(metric)) for row in shown]).T
    label = "mean and standard deviation over three or more seeds"
    style: dict[str, Any] = {
        "fmt": "D",
        "ms": 5,
        "capsize": 3,
        "lw": 1.2,
        "color": COLOURS["prediction"],
        "label": label,
    }
    axes.errorbar(means, places, xerr=bars, **style)
    for place, row in zip(places, shown, strict=True):
        label = "one seed" if place == 0 else "_"
        height = np.full(len(row.values), place + 0.22)  # beside the bar, where each can be seen
        axes.plot(row.values, height, "o", ms=4, color=COLOURS["direct"], label=label)
    for number, tied in enumerate(place for place, row in enumerate(shown) if row.tied):
        ends, label = [tied - 0.35, tied + 0.35], "_" if number else "not told from the best (right edge)"
        side = axes.get_yaxis_transform()
        axes.plot([1.012, 1.012], ends, color="black", lw=2.5, transform=side, clip_on=False, label=label)
    labels = [row.label if len(row.label) <= 50 else f"{row.label[:47]}..." for row in shown]
    axes.set_yticks(places, labels, parse_math=False)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel(f"{metric} {'(higher is better)' if larger_is_better(metric) else LOWER}")
    axes.grid(alpha=0.3, axis="x", which="both")
    scale(axes, "x", means)
    figure.legend(loc="outside lower center", ncols=1 if len(shown) > 3 else 2, fontsize="small", frameon=False)
    return figure


def reach(row: Row, *, ratio: bool) -> tuple[float, float]:
    """How far the bar of a config reaches below and above its mean."""
    values = np.asarray(row.values, np.float64)
    if len(values) < 3:
        return 0.0, 0.0
    if ratio and values.min() > 0:
        factor = float(np.exp(np.std(np.log(values), ddof=1)))
        return row.mean * (1 - 1 / factor), row.mean * (factor - 1)
    spread = float(np.std(values, ddof=1))
    return min(spread, row.mean) if values.min() >= 0 else spread, spread


def sweep(labels: Sequence[str], scores: Mapping[str, Sequence[float | None]], ends: Sequence[str]) -> Figure:
    """ESR of every job of a sweep, a row each; a job without one says what became of it."""
    figure = Figure(figsize=(WIDTH, min(80.0, 1.3 + 0.24 * len(labels))), layout="constrained")
    axes = figure.subplots()
    figure.suptitle("Error-to-signal ratio of each job")
    rows = range(len(labels))
    for (name, values), marker in zip(scores.items(), "od^", strict=False):
        found = [(value, row) for value, row in zip(values, rows, strict=True) if value is not None]
        colour = COLOURS["prediction"] if name == "test" else COLOURS["train"]
        axes.plot(*zip(*found, strict=True) if found else ([], []), marker, color=colour, label=name, alpha=0.8)
    for row, end in zip(rows, ends, strict=True):
        if all(values[row] is None for values in scores.values()):
            axes.text(0.01, row, end, transform=axes.get_yaxis_transform(), va="center", color="dimgrey")
    axes.set_yticks(rows, labels, fontsize=8, parse_math=False)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    scale(axes, "x", [value for values in scores.values() for value in values if value is not None])
    axes.set_xlabel(f"error-to-signal ratio {LOWER}")
    axes.grid(alpha=0.3, which="both")
    legend(axes)
    return figure


def trade_off(
    labels: Sequence[str], errors: Sequence[float], speeds: Sequence[float], sizes: Sequence[float]
) -> Figure:
    """Ear-weighted error against real-time factor, coloured by the number of parameters, and the line of those that none
    is better than in both."""
    figure, (axes,) = panels(1, "Ear-weighted error against speed and size", height=4.6)
    shown = axes.scatter(speeds, errors, c=sizes, norm="log", cmap="viridis", s=45, zorder=3)
    unbeaten = front([(-speed, error) for speed, error in zip(speeds, errors, strict=True)])
    best = sorted((speeds[place], errors[place], labels[place]) for place in unbeaten)
    axes.plot(
        [speed for speed, *_ in best], [error for _, error, _ in best], color="black", lw=0.8, label="Pareto front"
    )
    scale(axes, "x", speeds)
    scale(axes, "y", errors)
    axes.margins(0.12)
    last_x, last_y = -1.0, -1.0
    for speed, error, label in best:
        x, y = axes.transAxes.inverted().transform(axes.transData.transform((speed, error)))
        if abs(y - last_y) > 0.05 or x - last_x > 0.3:  # else it would be written over the one before
            last_x, last_y = x, y
            above: dict[str, Any] = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center"}
            axes.annotate(label, (speed, error), fontsize=8, parse_math=False, **above)
    axes.set_xlabel("times faster than real time, on the machine that trained (higher is better)")
    axes.set_ylabel(f"A-weighted ESR, validation {LOWER}")
    legend(axes)
    bar = figure.colorbar(shown, ax=axes, label="parameters", format="{x:,.0f}")
    bar.ax.yaxis.set_minor_formatter("{x:,.0f}")
    return figure
