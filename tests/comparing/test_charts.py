"""What the figures of many runs draw, read back from their lines, against what was put in."""

from io import BytesIO

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ampsim.comparing import charts


def test_a_comparison_shows_each_seed_the_mean_and_the_ties():
    rows = [
        charts.Row("a=1", [0.1, 0.2], False, 0.15),
        charts.Row("a=2", [0.3, 0.4, 0.5], True, 0.4),
        charts.Row("a=3", [0.9], False, 0.9),
    ]
    figure = charts.comparison(rows, "esr")
    (axes,) = figure.axes
    dots = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in dots] == [row.values for row in rows]
    (container,) = axes.containers
    means, _, (bars,) = container.lines
    assert_allclose(means.get_xdata(), [0.15, 0.4, 0.9])
    spans = [segment[1][0] - segment[0][0] for segment in bars.get_segments()]
    factor = np.exp(np.std(np.log([0.3, 0.4, 0.5]), ddof=1))
    assert_allclose(spans, [0, 0.4 * factor - 0.4 / factor, 0], atol=1e-12)
    (tie,) = [line for line in axes.get_lines() if str(line.get_label()).startswith("not told from the best")]
    assert 0.5 < min(tie.get_ydata()) < 1 < max(tie.get_ydata()) < 1.5
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a=1", "a=2", "a=3"]
    assert axes.get_ylim() == (2.5, -0.5)
    assert axes.get_xscale() == "linear"
    figure.savefig(BytesIO())


def test_a_comparison_of_many_shows_the_best_on_a_logarithmic_axis():
    figure = charts.comparison([charts.Row("x" * 100, [0.01 * 1.2**k], False, 0.01 * 1.2**k) for k in range(50)], "esr")
    (axes,) = figure.axes
    assert "best 40 of 50" in figure.get_suptitle()
    assert len(axes.get_yticks()) == 40
    assert axes.get_xscale() == "log"


def test_a_sweep_shows_every_job_and_says_what_became_of_one_without_a_score():
    figure = charts.sweep(
        ["a", "b", "c"], {"test": [0.1, None, 0.3], "validation": [0.2, None, 0.2]}, ["", "diverged", ""]
    )
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]
    assert [text.get_text() for text in axes.texts] == ["diverged"]
    (test, validation) = axes.get_lines()
    assert list(zip(*test.get_data(), strict=True)) == [(0.1, 0), (0.3, 2)]
    assert list(zip(*validation.get_data(), strict=True)) == [(0.2, 0), (0.2, 2)]
    charts.sweep(["a"], {"test": [None]}, ["failed"]).savefig(BytesIO())


def test_the_trade_off_draws_the_line_of_the_unbeaten():
    figure = charts.trade_off(["slow", "bad", "fast"], [0.1, 0.5, 0.3], [10, 20, 30], [1e3, 1e4, 1e5])
    (line,) = figure.axes[0].get_lines()
    assert list(zip(*line.get_data(), strict=True)) == [(10, 0.1), (30, 0.3)]
    assert [text.get_text() for text in figure.axes[0].texts] == ["slow", "fast"]


@pytest.mark.parametrize(("metric", "values"), [("esr", [0.001, 0.5, 0.9]), ("fluctuation_db", [0.0, 0.1, 3.0])])
def test_no_bar_of_a_comparison_reaches_below_zero(metric: str, values: list[float]):
    row = charts.Row("a", values, False, float(np.mean(values)))
    below, _ = charts.reach(row, ratio=metric == "esr")
    assert np.std(values, ddof=1) > row.mean / 2  # the test's own eyes: a bar that could
    assert 0 <= row.mean - below < row.mean
