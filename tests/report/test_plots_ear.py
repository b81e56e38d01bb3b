"""Figures of the ear's metrics: they show the numbers that they were given, in the colours of their signals."""

import numpy as np
import pytest

from ampsim.metrics import aliasing_to_signal_ratio, esr_over_time, fingerprint, gain_curve, hiss
from ampsim.report import plots

RATE = 44100
random = np.random.default_rng(0)
DIRECT = (0.1 * random.normal(size=3 * RATE)).astype(np.float32)
SIGNALS = {"direct": DIRECT, "amp": np.tanh(5 * DIRECT), "prediction": 2 * np.tanh(5 * DIRECT)}


def lines(figure, panel):
    return {line.get_label(): line for line in figure.axes[panel].lines}


def test_octave_bands_are_the_levels_of_tones():
    """A tone of 1 kHz at -20 dBFS RMS reads so in its band, where the A-weight is 0; twice as loud is 6 dB more."""
    tone = 0.1 * np.sqrt(2) * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    figure = plots.spectra({"amp": tone, "prediction": 2 * tone}, RATE)
    octaves, level = lines(figure, 1)["amp, octave bands"].get_data()
    assert level[list(octaves).index(1000)] == pytest.approx(-20, abs=0.1)
    difference = lines(figure, 2)["in octave bands, A-weighted"].get_ydata()
    assert difference[list(octaves).index(1000)] == pytest.approx(6.02, abs=0.01)


def test_a_signal_has_its_colour_in_every_figure():
    curves = {name: gain_curve(DIRECT, SIGNALS[name], RATE) for name in ("amp", "prediction")}
    found = fingerprint(np.tanh, RATE, levels_db=(-20, 0))
    for figure in (
        plots.spectra(SIGNALS, RATE),
        plots.gain_curves(curves),
        plots.harmonics({"amp": found, "prediction": found}),
    ):
        for axes in figure.axes:
            for line in axes.lines:
                for name in ("amp", "prediction"):
                    if str(line.get_label()).startswith(name) and "−" not in str(line.get_label()):
                        assert line.get_color() == plots.COLOURS[name]


def test_figures_label_axes_with_units_and_draw():
    curve = esr_over_time(SIGNALS["amp"], SIGNALS["prediction"], RATE)
    still = esr_over_time(SIGNALS["amp"], SIGNALS["amp"], RATE)  # no error: nothing that a log axis could show
    for figure in (
        plots.error_over_time(curve),
        plots.error_over_time(still),
        plots.aliasing(aliasing_to_signal_ratio(np.tanh, RATE)),
    ):
        assert "(" in figure.axes[0].get_xlabel()
        figure.canvas.draw()
    worst, at_s = curve.worst
    marked = lines(plots.error_over_time(curve), 0)[f"worst second: {worst:.3g} at {at_s:.1f} s"]
    assert (marked.get_xdata()[0], marked.get_ydata()[0]) == (at_s, worst)
    amp, error = SIGNALS["amp"].astype(float), SIGNALS["prediction"] - SIGNALS["amp"].astype(float)
    second = slice(round((at_s - 0.5) * RATE), round((at_s + 0.5) * RATE))
    assert worst == pytest.approx(np.mean(error[second] ** 2) / np.mean(amp**2))


def test_the_hiss_figure_shows_both_spectra_or_why_there_are_none():
    time_s = np.arange(2 * RATE) / RATE
    note = 0.5 * np.sin(2 * np.pi * 220 * time_s) * np.exp(-time_s / 0.3)
    amp, prediction = (note + level * random.normal(size=len(note)) for level in (1e-3, 1e-2))
    found = hiss([(amp, prediction)], RATE)
    shown = lines(plots.hiss(found), 0)
    for name, level_db in (("amp", found.amp_db), ("prediction", found.prediction_db)):
        np.testing.assert_array_equal(shown[name].get_ydata(), level_db)
        assert shown[name].get_color() == plots.COLOURS[name]
    none = plots.hiss(hiss([(amp[:100], amp[:100])], RATE))
    assert "no hiss" in none.get_suptitle()
    none.canvas.draw()
