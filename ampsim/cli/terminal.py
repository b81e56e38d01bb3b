"""How a command speaks: a live line in a terminal, plain lines elsewhere; nothing heavy is loaded for it."""

import math
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ampsim import printable
from ampsim.runs.machine import quiet_stderr
from ampsim.training.observer import Observer
from ampsim.training.state import Progress

Line = TypeVar("Line", bound="ProgressLine")
BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_EVERY_S = 10.0  # between two lines where no terminal can redraw one


def worded(text: str, **options: Any) -> Text:
    """A line of text as it is: no markup in it, and nothing that steers the terminal (see `printable`)."""
    return Text(printable(text), **options)


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class ProgressLine:
    """Shows one changing line while entered; where output is no terminal, a plain line now and then."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        self.shown, self.line = -PLAIN_EVERY_S, ""

    def __enter__(self: Line) -> Line:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def show(self, line: str) -> None:
        if self.live:
            lines = [worded(each, no_wrap=True, overflow="ellipsis") for each in line.split("\n")]
            self.live.update(Group(*lines))
        elif time.monotonic() - self.shown >= PLAIN_EVERY_S and line != self.line:
            self.shown, self.line = time.monotonic(), line
            self.console.print(worded(line), soft_wrap=True)

    def training(self, progress: Progress) -> None:
        """A line about a `training.Progress`."""
        self.show(
            f"{progress.done:6.1%}  epoch {progress.epoch:.2f}  loss {progress.loss:.3g}  "
            f"{progress.samples_per_s:,.0f} samples/s  {duration(progress.remaining_s)} left"
        )


class TerminalObserver(ProgressLine, Observer):
    """Prints the notices of a run above its progress line, while entered, and in a terminal its curves below it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.values: dict[str, list[float]] = {"loss": [], "validation_esr": []}
        self.told: set[str] = set()

    def notice(self, text: str) -> None:
        say(self.console, text)

    def doing(self, what: str) -> None:
        if what not in self.told:  # at once, also where lines are rare: what follows may take minutes
            self.told.add(what)
            self.shown = -math.inf
        self.show(f"{what} ...")

    def interval(self, row: dict[str, float]) -> None:
        for key in self.values.keys() & row.keys():
            self.values[key].append(row[key])

    def progress(self, progress: Progress) -> None:
        self.training(progress)

    def show(self, line: str) -> None:
        long = {key: each for key, each in self.values.items() if len(each) > 1}
        if self.live and long and not self.console.options.ascii_only:
            told = (f"{key.replace('_esr', ' ESR')} {sparkline(each)} {each[-1]:.3g}" for key, each in long.items())
            line += f"\n        {'   '.join(told)}"
        super().show(line)


def sparkline(values: Sequence[float], *, width: int = 16) -> str:
    """A curve as one line of blocks, the last values at its right, on a logarithmic scale where all are above zero."""
    size = max(1, math.ceil(len(values) / width))
    ends = range(len(values), 0, -size)
    means = [fmean(values[max(0, end - size) : end]) for end in ends][::-1]
    if min(means) > 0:
        means = [math.log(value) for value in means]
    low, high = min(means), max(means)
    return "".join(BLOCKS[round((len(BLOCKS) - 1) * (value - low) / (high - low or 1.0))] for value in means)


def new_console() -> Console:
    return Console(highlight=False)


def load(console: Console, module: str, what: str = "TensorFlow") -> None:
    """Import a module that takes seconds, saying so and without what TensorFlow greets with."""
    with console.status(f"loading {what} ..."), quiet_stderr():
        import_module(module)


def say(console: Console, text: str) -> None:
    """A line as it is: no markup read from file names, no line broken where it cannot be copied."""
    console.print(printable(text), markup=False, soft_wrap=True)


def short(path: Path) -> Path:
    """The path as seen from here, where that is shorter."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
