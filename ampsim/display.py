"""What a command shows: a live line in a terminal, plain lines elsewhere, and tables."""

import math
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ampsim.metrics.legend import SCORES

PLAIN_EVERY_S = 10.0  # between two lines where no terminal can redraw one


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class ProgressLine:
    """Shows one changing line while entered; where output is no terminal, a plain line now and then."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        self.shown = -PLAIN_EVERY_S

    def __enter__(self) -> "ProgressLine":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def show(self, line: str) -> None:
        if self.live:
            self.live.update(Text(line, no_wrap=True, overflow="ellipsis"))
        elif time.monotonic() - self.shown >= PLAIN_EVERY_S:
            self.shown = time.monotonic()
            self.console.print(Text(line), soft_wrap=True)

    def training(self, progress: Any) -> None:
        """A line about a `training.Progress`."""
        self.show(
            f"{progress.done:6.1%}  epoch {progress.epoch:.2f}  loss {progress.loss:.3g}  "
            f"{progress.samples_per_s:,.0f} samples/s  {duration(progress.remaining_s)} left"
        )


def score_table(scores: Mapping[str, float], title: str) -> Table:
    table = Table(title=Text(title), title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for key, (name, form, meaning) in SCORES.items():
        if key in scores:
            table.add_row(name, form.format(scores[key]), meaning)
    return table


def abx_table(found: Any) -> Table:
    """A `votes.Abx`: a line a listener, and all of them together."""
    from ampsim.votes import chance

    title = f"ABX: {found.pair[0]} against {found.pair[1]} ({found.title})"
    table = Table(title=Text(title), title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading in ("", "right", "trials", "p, one-sided", "share right, 95 %"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, (correct, trials) in found.listeners.items():
        table.add_row(
            Text(name), f"{correct}", f"{trials}", f"{chance(correct, trials):.2g}", f"{correct / trials:.0%}"
        )
    share = f"{found.correct / found.trials:.0%}, {found.low:.0%} to {found.high:.0%}"
    table.add_row("all", f"{found.correct}", f"{found.trials}", f"{found.p:.2g}", share, style="bold")
    return table


def mushra_table(found: Any) -> Table:
    """A `votes.Mushra`: a line a stimulus, best first."""
    count = len(found.listeners)
    title = f"MUSHRA: mean ratings of {count} listener{'' if count == 1 else 's'} ({found.title})"
    table = Table(title=Text(title), title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading in ("", "mean", "95 %"):
        table.add_column(heading, justify="right" if heading else "left")
    words = {"reference": "{} (hidden reference)", "anchor": "{} (low-pass)", "model": "{}"}
    for each in found.ratings:
        kind, name = each.stimulus
        interval = "one listener" if math.isnan(each.low) else f"{each.low:.0f} to {each.high:.0f}"
        table.add_row(Text(words[kind].format(name)), f"{each.mean:.1f}", interval)
    return table
