"""Figures. Each function returns a matplotlib Figure; the same signal has the same colour in all of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from scipy import signal as dsp

from ampsim.metrics import Aliasing, ErrorCurve, Fingerprint, GainCurve, Hiss
from ampsim.metrics.hiss import HIGH_HZ, LOW_HZ
from ampsim.signals.audio import Signal
from ampsim.signals.filters import a_magnitude

# Okabe & Ito's palette, which colour-blind readers can tell apart.
COLOURS = {"direct": "#999999", "amp": "#0072B2", "prediction": "#D55E00", "error": "#CC79A7", "train": "#009E73"}
# Of several models, in their order.
MODEL_COLOURS = (COLOURS["prediction"], "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#B8A000")
# The amp's curve is wide and light, and the prediction's thin on top of it: where both agree, both are seen.
LINES: dict[str, dict[str, Any]] = {
    "direct": {"lw": 1.0, "alpha": 0.6, "zorder": 1.8},
    "amp": {"lw": 4.0, "alpha": 0.4, "zorder": 1.9},
    "prediction": {"lw": 1.1, "zorder": 2.1},
}
FLOOR_DB = -90.0
WIDTH = 7.2  # inches, so that the letters are large enough for a thumbnail
DPI = 150
SPAN = 8.0  # from the least to the largest value, from which an axis is logarithmic
LOWER = "(lower is better)"


def drawn(axes: Axes, name: str, x: Any, y: Any, *, label: str | None = None, **style: Any) -> None:
    """The line of a signal, in its colour and weight."""
    axes.plot(x, y, color=COLOURS[name], label=label or name, **(LINES[name] | style))


def training_curves(rounds: Sequence[Mapping[str, float]], best_step: int) -> Figure:
    """Training and validation loss and validation ESR against epochs, with the kept weights marked, and with what the
    model solved for after its last step."""
    figure, (losses, esr) = panels(2, "Training")
    trained = [row for row in rounds if "loss" in row]  # and not solved for, at the end
    epochs = [row["epoch"] for row in trained]
    losses.plot(epochs, [row["loss"] for row in trained], color=COLOURS["train"], marker=".", label="training loss")
    validated = [row for row in rounds if "validation_loss" in row]
    for axes, key, label in ((losses, "validation_loss", "validation loss"), (esr, "validation_esr", "validation ESR")):
        values = [row[key] for row in validated]
        axes.plot([row["epoch"] for row in validated], values, color=COLOURS["prediction"], marker=".", label=label)
        solved = [row for row in validated if "loss" not in row]
        ends = [row["epoch"] for row in solved]
        if solved:
            told = "filter solved by least squares, after the last step"
            axes.plot(ends, [row[key] for row in solved], "*", color="black", ms=9, label=told)
        for row in validated:
            if row["step"] == best_step:
                axes.plot(row["epoch"], row[key], "o", mfc="none", mec="black", ms=12, label="weights kept")
        every = values + [row["loss"] for row in trained if axes is losses]
        scale(axes, "y", every)
        legend(axes)
    losses.set_ylabel(f"loss\n{LOWER}")
    esr.set_ylabel(f"ESR\n{LOWER}")
    esr.set_xlabel("epoch")
    if len(epochs) == 1:
        esr.set_xlim(0, 2 * epochs[0])
    return figure


def waveforms(signals: Mapping[str, Signal], sample_rate: int, *, at_s: float, duration_s: float = 0.02) -> Figure:
    """A close-up of the signals on one time axis, and of the prediction's error."""
    figure, (close, error) = panels(2, f"Waveforms at {at_s:.2f} s", heights=(2, 1))
    start = int(at_s * sample_rate)
    part = slice(start, start + int(duration_s * sample_rate))
    shown = {name: samples[part] for name, samples in signals.items()}
    time_ms = 1000 * np.arange(len(shown["amp"])) / sample_rate
    for name, samples in shown.items():
        drawn(close, name, time_ms, samples)
    error.plot(time_ms, shown["prediction"] - shown["amp"], color=COLOURS["error"], label="prediction − amp", lw=1.2)
    for axes in (close, error):
        axes.set_ylabel("amplitude")
        legend(axes)
    error.set_xlabel(f"time from {at_s:.2f} s on (ms); full scale is 1")
    return figure


def spectra(signals: Mapping[str, Signal], sample_rate: int) -> Figure:
    """The FFT comparison of amp and prediction: long-term power spectra, the same as the ear weighs them with the levels
    of octave bands, and the difference."""
    figure, (power, weighted, difference) = panels(3, "FFT comparison", heights=(2, 2, 1.3))
    size = min(8192, len(next(iter(signals.values()))))
    octaves = 1000 * 2.0 ** np.arange(-4, np.floor(np.log2(0.45 * sample_rate / 1000)) + 1)
    levels, bands = {}, {}
    for name, samples in signals.items():
        frequency, density = dsp.welch(samples, sample_rate, nperseg=size, scaling="spectrum")
        levels[name] = power_db(density)
        drawn(power, name, frequency, levels[name])
        heard = density * np.square(a_magnitude(frequency))
        # Hann spreads a tone over 1.5 bins: without that, a band would read the sum of a tone's side bins.
        inside = np.abs(np.log2(np.maximum(frequency, 1e-3)[:, None] / octaves)) < 0.5
        bands[name] = power_db(heard @ inside / 1.5)
        weighted.plot(frequency, power_db(heard), color=COLOURS[name], lw=0.6, alpha=0.35)
        drawn(weighted, name, octaves, bands[name], marker="o", label=f"{name}, octave bands")
    difference.axhline(0, color="black", lw=0.6)
    fine = levels["prediction"] - levels["amp"]
    difference.plot(frequency, fine, color=COLOURS["error"], lw=0.7, alpha=0.6, label="prediction − amp")
    coarse = bands["prediction"] - bands["amp"]
    difference.plot(octaves, coarse, color=COLOURS["error"], lw=1.5, marker="o", label="in octave bands, A-weighted")
    for axes in (power, weighted, difference):
        frequency_axis(axes, sample_rate)
        legend(axes)
    power.set_ylabel("level (dBFS)")
    weighted.set_ylabel("A-weighted (dBFS)")
    weighted.set_ylim(bottom=max(FLOOR_DB - 40, weighted.get_ylim()[0]))
    difference.set_ylabel("difference (dB)")
    difference.set_ylim(-24, 24)
    difference.set_xlabel("frequency (Hz)")
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG or, by the ending of its name, an SVG. A PNG is drawn once; `Figure.savefig` would draw it twice."""
    if path.suffix == ".svg":
        return figure.savefig(path, format="svg", metadata={"Date": None})
    figure.set_dpi(DPI)
    FigureCanvasAgg(figure).print_png(path)  # type: ignore[no-untyped-call]


def named(figure: Figure, about: str) -> Figure:
    """With a line below its title that says what it is of: the run, the recording, the score."""
    drawn = get_font(findfont("DejaVu Sans")).get_charmap()  # a name may hold what the font does not
    about = "".join(letter if ord(letter) in drawn else "□" for letter in about)
    figure.suptitle(f"{figure.get_suptitle()}\n{about}", parse_math=False, fontsize="medium")
    return figure


def spectrograms(signals: Mapping[str, Signal], sample_rate: int) -> Figure:
    """One spectrogram under another, on one colour scale."""
    figure, rows = panels(len(signals), "Spectrograms", height=1.7, share_y=True)
    size = min(2048, len(next(iter(signals.values()))))
    for axes, (name, samples) in zip(rows, signals.items(), strict=True):
        frequency, time, density = dsp.spectrogram(
            samples, sample_rate, nperseg=size, noverlap=size // 2, scaling="spectrum"
        )
        # No more columns than a screen shows, so that a long take does not make a slow picture, and of the frequencies,
        # which crowd at the top of such an axis, no more rows: the loudest of each stands for it.
        step, bins = max(1, len(time) // 1500), np.unique(np.geomspace(1, len(frequency) - 1, 400).astype(int))
        level = 10 * np.log10(np.maximum(np.maximum.reduceat(density[:, ::step], bins), 1e-14))
        image = axes.pcolormesh(
            time[::step], frequency[bins], level, vmin=FLOOR_DB - 20, vmax=-20, cmap="magma", rasterized=True
        )
        axes.set_title(name, loc="left", fontsize="medium")
        axes.set_ylabel("frequency (Hz)")
        axes.set_yscale("symlog", linthresh=200)
        axes.yaxis.set_major_formatter(FuncFormatter(kilohertz))
        axes.set_yticks([100, 1000, 5000, 10000])
        axes.set_ylim(40, sample_rate / 2)
        axes.grid(False)
    rows[-1].set_xlabel("time (s)")
    figure.colorbar(image, ax=list(rows), label="level (dBFS)")
    return figure


def error_over_time(curve: ErrorCurve) -> Figure:
    """The error of a sliding second over the mean energy of one, with the worst marked."""
    figure, (axes,) = panels(1, "Error over time")
    worst, at_s = curve.worst
    axes.plot(curve.time_s, curve.esr, color=COLOURS["error"], lw=1.2, label="prediction − amp, one second at a time")
    axes.plot(at_s, worst, "o", mfc="none", mec="black", ms=10, label=f"worst second: {worst:.3g} at {at_s:.1f} s")
    scale(axes, "y", curve.esr[curve.esr > 0])
    axes.set_ylabel(f"error over mean energy\n{LOWER}")
    axes.set_xlabel("time (s)")
    legend(axes)
    return figure


def gain_curves(curves: Mapping[str, GainCurve]) -> Figure:
    """Gain and crest factor against input level as the recording shows them; the band holds half of the frames."""
    figure, (gain, crest) = panels(2, "Gain curve", heights=(2, 1))
    for name, curve in curves.items():
        gain.fill_between(curve.levels_db, curve.low_db, curve.high_db, color=COLOURS[name], alpha=0.2, lw=0)
        told = f"{name}, median of 50 ms frames"
        drawn(gain, name, curve.levels_db, curve.gain_db, marker=".", label=told)
        drawn(crest, name, curve.levels_db, curve.crest_db, marker=".")
    gain.set_ylabel("gain (dB)")
    crest.set_ylabel("crest factor (dB)")
    crest.set_xlabel("input level (dBFS, RMS)")
    for axes in (gain, crest):
        legend(axes)
    return figure


def harmonics(fingerprints: Mapping[str, Fingerprint], *, shown: int = 6) -> Figure:
    """What a sine of each level comes out as: its harmonics, their total, and the products of two tones."""
    pitch_hz = next(iter(fingerprints.values())).pitch_hz
    figure, (spectrum, total) = panels(2, f"Harmonic fingerprint at {pitch_hz:.0f} Hz", heights=(2, 1))
    for name, found in fingerprints.items():
        curves = found.harmonics_db[:, :shown].T
        for number, curve in enumerate(curves):
            shade = {"alpha": 1 - 0.11 * number, "lw": 1.8 - 0.2 * number}
            drawn(spectrum, name, found.levels_db, curve, label=name if not number else "_", marker=".", **shade)
        total.plot(found.levels_db, 100 * found.distortion, color=COLOURS[name], label=f"{name}: harmonics")
        intermodulation = 100 * found.intermodulation
        total.plot(
            found.levels_db, intermodulation, color=COLOURS[name], ls="--", label=f"{name}: products of two tones"
        )
    lowest = min(float(found.harmonics_db[:, 0].min()) for found in fingerprints.values())
    spectrum.set_ylim(bottom=max(lowest - 60, FLOOR_DB - 30))
    numbered(spectrum, found.levels_db[-1], curves[:, -1])
    spectrum.set_ylabel("harmonic's level (dBFS)")
    total.set_ylabel("of the tone (%)")
    total.set_xlabel("input level (dBFS, peak of a sine)")
    for axes in (spectrum, total):
        legend(axes)
    return figure


def numbered(axes: Axes, x: float, ends_db: np.ndarray) -> None:
    """The number of each line at its end, moved apart so far that no two overlap."""
    low, high = axes.get_ylim()
    room, at = 0.075 * (high - low), -np.inf
    for place in [each for each in np.argsort(ends_db) if ends_db[each] > low]:
        at = max(at + room, float(ends_db[place]))
        axes.annotate(f"{place + 1}.", (x, at), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9)


def aliasing(found: Aliasing) -> Figure:
    """Aliasing-to-signal ratio of each test tone: pitch against level."""
    figure, (axes,) = panels(
        1, f"Aliasing: mean {found.mean_db:.1f} dB, worst {found.worst_db:.1f} dB {LOWER}", height=3.2
    )
    axes.grid(False)
    image = axes.imshow(found.ratio_db.T, origin="lower", aspect="auto", cmap="magma", vmin=-100, vmax=0)
    for (pitch, level), ratio in np.ndenumerate(found.ratio_db):
        axes.text(pitch, level, f"{ratio:.0f}", ha="center", va="center", color="white" if ratio < -40 else "black")
    axes.set_xticks(range(len(found.pitches_hz)), [kilohertz(round(pitch, -1)) for pitch in found.pitches_hz])
    axes.set_yticks(range(len(found.levels_db)), [f"{level:.0f}" for level in found.levels_db])
    axes.set_xlabel("pitch of a sine (Hz)")
    axes.set_ylabel("its peak (dBFS)")
    figure.colorbar(image, ax=axes, label="aliases over harmonics (dB)")
    return figure


def hiss(found: Hiss) -> Figure:
    """Spectra of amp and prediction in the frames in which a note decays and the amp has only noise left above 10 kHz."""
    title = (
        f"Decays, {found.duration_s:.1f} s: hiss {found.db:+.1f} dB" if found.duration_s else f"Decays: {found.note}"
    )
    figure, (axes,) = panels(1, title)
    if found.duration_s:
        for name, level_db in (("amp", found.amp_db), ("prediction", found.prediction_db)):
            drawn(axes, name, found.frequencies_hz, level_db)
        axes.axvspan(LOW_HZ, HIGH_HZ, color="black", alpha=0.06, label="where hiss is measured")
        legend(axes)
    axes.set_xlim(0, found.frequencies_hz[-1])
    axes.xaxis.set_major_formatter(FuncFormatter(kilohertz))
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel("level (dBFS)")
    return figure


def plain_number(value: float, _: object) -> str:
    return f"{value:.3g}"


def scale(axes: Axes, which: str, values: Any) -> None:
    """A logarithmic axis, with plain numbers, where the values span so much; else one that is linear."""
    known = np.asarray([value for value in values if np.isfinite(value)], np.float64)
    if not len(known) or known.min() <= 0 or known.max() < SPAN * known.min():
        return
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    subs = (1, 2, 5) if known.max() < 100 * known.min() else (1, 3) if known.max() < 1e4 * known.min() else (1,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(plain_number))
    axis.set_minor_formatter(NullFormatter())


def legend(axes: Axes) -> None:
    """A legend above the axes, where it hides nothing."""
    count = len([label for label in axes.get_legend_handles_labels()[1] if label])
    style: dict[str, Any] = {"borderaxespad": 0.1, "handlelength": 1.4, "columnspacing": 1.2, "frameon": False}
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=min(count, 3), fontsize="small", **style)


def power_db(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 1e-14))


def panels(
    number: int, title: str, *, heights: Sequence[float] | None = None, height: float = 2.3, share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH, height * number), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(number, 1, sharex=True, sharey=share_y, squeeze=False, height_ratios=heights)
    axes = list(grid[:, 0])
    for each in axes:
        each.grid(alpha=0.3, which="both")
    return figure, axes


def frequency_axis(axes: Axes, sample_rate: int) -> None:
    axes.set_xscale("log")
    axes.set_xlim(40, sample_rate / 2)
    axes.xaxis.set_major_formatter(FuncFormatter(kilohertz))


def kilohertz(value: float, _: object = None) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def busiest(samples: Signal, sample_rate: int, *, duration_s: float = 0.02) -> float:
    """Where, in seconds, the loudest moment begins: the place to look closely at."""
    length = max(1, int(duration_s * sample_rate))
    usable = samples[: len(samples) // length * length]
    if not len(usable):
        return 0.0
    energy = np.square(usable.astype(np.float64)).reshape(-1, length).sum(axis=1)
    return int(np.argmax(energy)) * length / sample_rate
