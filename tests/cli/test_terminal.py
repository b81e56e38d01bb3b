"""What a terminal shows of a training while it lasts."""

import io
import math
import random

import pytest
from rich.console import Console

from ampsim.cli.terminal import BLOCKS, TerminalObserver, sparkline
from ampsim.training.state import Progress

PROGRESS = Progress(done=0.5, epoch=1, loss=0.1, samples_per_s=1e6, remaining_s=3)


def test_a_sparkline_falls_where_the_values_do():
    drawn = sparkline([math.exp(-k / 3) for k in range(8)])
    assert drawn == BLOCKS[::-1]  # even steps of a logarithm, a block each
    assert sparkline([2.0, 2.0]) == BLOCKS[0] * 2
    assert sparkline([-1.0, 0.0, 6.0]) == BLOCKS[0] + BLOCKS[1] + BLOCKS[7]


@pytest.mark.parametrize("count", [1, 15, 16, 17, 100, 1001])
def test_a_sparkline_ends_with_the_newest_and_fits(count: int):
    drawn = random.Random(count)
    values = [drawn.uniform(1, 2) for _ in range(count)] + [9.0] * math.ceil((count + 9) / 16)
    assert sparkline(values)[-1] == BLOCKS[-1]
    assert len(sparkline(values)) <= 16


def test_a_log_tells_what_takes_minutes_when_it_begins_and_progress_now_and_then():
    console = Console(file=io.StringIO(), force_terminal=False)
    with TerminalObserver(console) as observer:
        for _ in range(3):
            observer.progress(PROGRESS)
            observer.doing("validating")
            observer.progress(PROGRESS)
        observer.doing("rendering")
        observer.doing("drawing")
    assert console.file.getvalue().split("\n") == [
        " 50.0%  epoch 1.00  loss 0.1  1,000,000 samples/s  0:03 left",
        "validating ...",
        "rendering ...",
        "drawing ...",
        "",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_curves_are_shown_in_a_terminal_and_nowhere_else(terminal: bool):
    out = io.StringIO()
    with TerminalObserver(Console(file=out, force_terminal=terminal, width=100, highlight=False)) as observer:
        for step in range(4):
            observer.interval({"loss": 1 / (1 + step), **({"validation_esr": 0.5 / (1 + step)} if step % 2 else {})})
        observer.progress(PROGRESS)
    told = out.getvalue()
    assert "50.0%" in told
    assert ("validation ESR" in told) is terminal
    assert (sparkline([1, 1 / 2, 1 / 3, 1 / 4]) in told) is terminal
