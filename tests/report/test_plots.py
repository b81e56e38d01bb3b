"""What the figures draw, read back from their lines, against what was put in."""

from io import BytesIO
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import noise, pair

from ampsim.comparing import charts
from ampsim.metrics import fingerprint
from ampsim.report import plots

RATE = 16000
TAKE = pair(1.0, sample_rate=RATE)
SIGNALS = {"direct": TAKE.input, "amp": TAKE.target, "prediction": (0.5 * TAKE.target).astype(np.float32)}
ROUNDS = [
    {"step": 10, "epoch": 1.0, "loss": 0.9},
    {"step": 20, "epoch": 2.0, "loss": 0.5, "validation_loss": 0.4, "validation_esr": 0.04},
    {"step": 30, "epoch": 3.0, "loss": 0.4},
    {"step": 40, "epoch": 4.0, "loss": 0.3, "validation_loss": 0.6, "validation_esr": 0.06},
]


def line(axes: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    (found,) = [each for each in axes.get_lines() if each.get_label() == label]
    return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())


def drawn(figure: Figure) -> np.ndarray:
    """The pixels of the figure as a PNG, read back."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    buffer.seek(0)
    return matplotlib.image.imread(buffer)


def test_training_curves_and_the_weights_kept():
    losses, esr = plots.training_curves(ROUNDS, best_step=20).axes
    assert_array_equal(line(losses, "training loss"), [[1, 2, 3, 4], [0.9, 0.5, 0.4, 0.3]])
    assert_array_equal(line(losses, "validation loss"), [[2, 4], [0.4, 0.6]])
    assert_array_equal(line(esr, "validation ESR"), [[2, 4], [0.04, 0.06]])
    assert_array_equal(np.ravel(line(losses, "weights kept")), [2, 0.4])
    assert_array_equal(np.ravel(line(esr, "weights kept")), [2, 0.04])


def test_training_curves_of_one_round():
    losses, _ = plots.training_curves(ROUNDS[1:2], best_step=20).axes
    left, right = losses.get_xlim()
    assert left < 2 < right


def test_waveforms_show_the_place_asked_for_and_the_error():
    close, error = plots.waveforms(SIGNALS, RATE, at_s=0.25, duration_s=0.02).axes
    part = slice(4000, 4320)
    time_ms, amp = line(close, "amp")
    assert_array_equal(amp, TAKE.target[part])
    assert np.diff(time_ms) == pytest.approx(1000 / RATE)
    assert len(time_ms) == 320
    assert_array_equal(line(error, "prediction − amp")[1], SIGNALS["prediction"][part] - TAKE.target[part])


def test_waveforms_at_the_very_end_show_what_is_left():
    close, _ = plots.waveforms(SIGNALS, RATE, at_s=0.99, duration_s=0.02).axes
    assert_array_equal(line(close, "amp")[1], TAKE.target[15840:])


def test_the_fft_comparison_shows_levels_and_their_difference():
    power, _, difference = plots.spectra(SIGNALS, RATE).axes
    frequency, decibels = line(difference, "prediction − amp")
    audible = line(power, "prediction")[1] > -100
    assert audible.mean() > 0.9
    assert_allclose(decibels[audible], -6.0206, atol=1e-3)  # half the amplitude
    assert (frequency[0], frequency[-1]) == (0, RATE / 2)


def test_the_level_of_a_sine_is_its_power():
    """Full scale is 0 dBFS at amplitude 1, so a sine of amplitude 1 has a power of 1/2: -3 dB."""
    sine = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    power, *_ = plots.spectra({"direct": sine, "amp": sine, "prediction": sine}, RATE).axes
    frequency, level = line(power, "amp")
    assert frequency[level.argmax()] == pytest.approx(1000, abs=RATE / 8192)
    assert level.max() == pytest.approx(-3.01, abs=0.5)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_spectrograms_show_each_signal_on_one_scale(rate: int):
    time_s = np.arange(rate) / rate
    tones = {
        name: (0.5 * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)
        for name, hz in [("direct", 500), ("amp", 1000), ("prediction", 2000)]
    }
    *rows, _ = plots.spectrograms(tones, rate).axes
    assert [axes.get_title(loc="left") for axes in rows] == list(tones)
    limits = set()
    for axes, hz in zip(rows, (500, 1000, 2000), strict=True):
        (mesh,) = axes.collections
        levels = np.asarray(mesh.get_array())
        heights = mesh.get_coordinates()[:, 0, 1]
        loudest = levels.mean(axis=1).argmax()
        assert heights[loudest] - rate / 1000 < hz < heights[loudest + 1] + rate / 1000
        assert axes.get_ylim()[1] == rate / 2  # nothing is drawn above what the rate can hold
        limits.add(mesh.get_clim())
    assert len(limits) == 1


def test_a_signal_has_one_colour_in_all_figures():
    for figure in (plots.waveforms(SIGNALS, RATE, at_s=0), plots.spectra(SIGNALS, RATE)):
        for each in figure.axes[0].get_lines():
            assert each.get_color() == plots.COLOURS[each.get_label()]
    assert len(set(plots.COLOURS.values())) == len(plots.COLOURS)


def test_every_figure_can_be_drawn_without_a_warning(recwarn: pytest.WarningsRecorder):
    figures = [
        plots.training_curves(ROUNDS, 20),
        plots.training_curves(ROUNDS[1:2], 20),
        plots.waveforms(SIGNALS, RATE, at_s=0.5),
        plots.spectra(SIGNALS, RATE),
        plots.spectrograms(SIGNALS, RATE),
    ]
    for figure in figures:
        pixels = drawn(figure)
        assert pixels.ndim == 3
        assert pixels.std() > 0.05  # something is drawn
    assert [str(warning.message) for warning in recwarn if "matplotlib" in str(warning.filename)] == []


@pytest.mark.parametrize("name", ["amp", "prediction"])
def test_silence_can_be_drawn(name: str):
    signals = {**SIGNALS, name: np.zeros_like(TAKE.target)}
    for figure in (
        plots.waveforms(signals, RATE, at_s=0.5),
        plots.spectra(signals, RATE),
        plots.spectrograms(signals, RATE),
    ):
        assert drawn(figure).std() > 0.05
    for axes in plots.spectra(signals, RATE).axes:
        for each in axes.get_lines():
            assert np.isfinite(np.asarray(each.get_ydata())).all()


def test_a_short_test_signal_can_be_drawn():
    short = {name: samples[:300] for name, samples in SIGNALS.items()}
    for figure in (plots.spectra(short, RATE), plots.spectrograms(short, RATE)):
        assert drawn(figure).std() > 0.02


def test_the_busiest_moment_is_where_the_loudest_one_begins():
    samples = noise(RATE, level=0.01)
    samples[6400:6720] *= 50
    assert plots.busiest(samples, RATE, duration_s=0.02) == pytest.approx(0.4)
    assert plots.busiest(samples[:10], RATE) == 0


def test_what_is_solved_for_after_training_is_marked_as_such():
    solved = {"step": 41, "epoch": 4.0, "validation_loss": 0.01, "validation_esr": 0.001}
    losses, esr = plots.training_curves([*ROUNDS, solved], best_step=41).axes
    told = "filter solved by least squares, after the last step"
    assert_array_equal(np.ravel(line(losses, told)), [4, 0.01])
    assert_array_equal(np.ravel(line(esr, told)), [4, 0.001])
    assert told not in [each.get_label() for each in plots.training_curves(ROUNDS, 20).axes[0].get_lines()]


def test_the_amp_is_seen_where_the_prediction_agrees_with_it():
    """Pixels of both colours are in a picture of two signals that are the same."""
    same = dict.fromkeys(("amp", "prediction"), TAKE.target)
    axes = plots.waveforms(same, RATE, at_s=0.5).axes[0]
    amp, prediction = (next(each for each in axes.get_lines() if each.get_label() == name) for name in same)
    assert amp.get_linewidth() > 2 * prediction.get_linewidth()
    assert amp.get_zorder() < prediction.get_zorder()


def figures() -> list[Figure]:
    tones = plots.harmonics({"prediction": fingerprint(np.tanh, RATE, levels_db=(-20, -10, 0))})
    rows = [(f"k={k}", 0.1 + 0.001 * k, 10.0 - k, 1000.0) for k in range(9)]
    return [
        plots.training_curves([*ROUNDS, {**ROUNDS[1], "epoch": 5.0} | {"step": 50}], 20),
        plots.waveforms(SIGNALS, RATE, at_s=0.5),
        plots.spectra(SIGNALS, RATE),
        tones,
        charts.trade_off(*map(list, zip(*rows, strict=True))),
    ]


def test_no_legend_lies_over_data_and_no_words_over_others():
    for figure in figures():
        figure.draw_without_rendering()
        for axes in figure.axes:
            legend = axes.get_legend()
            if legend:
                assert legend.get_window_extent().y0 >= axes.get_window_extent().y1 - 1
            boxes = [text.get_window_extent() for text in axes.texts]
            assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_a_figure_is_named_and_a_name_is_no_formula(tmp_path: Path):
    figure = plots.named(plots.waveforms(SIGNALS, RATE, at_s=0.5), "my_$amp_{2}$ · a.wav")
    assert figure.get_suptitle() == "Waveforms at 0.50 s\nmy_$amp_{2}$ · a.wav"
    plots.save(figure, tmp_path / "a.svg")
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    plots.save(figure, tmp_path / "a.png")
    assert matplotlib.image.imread(tmp_path / "a.png").shape[1] == round(plots.WIDTH * plots.DPI)


def test_an_axis_is_logarithmic_where_its_values_span_a_factor_of_eight():
    for last, kind in ((0.5, "linear"), (0.9, "log")):
        axes = Figure().subplots()
        axes.plot([0.1, last], [0, 1])
        plots.scale(axes, "x", [0.1, last])
        assert axes.get_xscale() == kind
