"""What a command shows: a live line in a terminal, plain lines elsewhere, and tables."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

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


MARKS = {"error": ("✗", "bold red"), "warning": ("!", "bold yellow"), "note": ("·", "cyan"), "ok": ("✓", "green")}


def findings_table(findings: Sequence[Any]) -> Table:
    """What the doctor found, a row each, with the remedy below it."""
    table = Table(show_header=False, box=None, padding=(0, 1, 0, 0))
    for each in findings:
        mark, style = MARKS[each.severity]
        text = Text(each.text)
        if each.fix and each.severity != "ok":
            text.append(f"\n→ {each.fix}", style="dim")
        table.add_row(Text(mark, style=style), text)
    return table


SCORES = {
    "esr": ("ESR", "{:.4f}", "error-to-signal ratio; 0 is perfect, 1 is no better than silence"),
    "a_weighted_esr": ("A-weighted ESR", "{:.4f}", "the same, as the ear weighs frequencies"),
    "multi_resolution_stft": ("MR-STFT", "{:.3f}", "distance of short-time spectra at three resolutions"),
    "log_spectral_distance_db": ("spectrum", "{:.2f} dB", "distance of A-weighted third-octave levels"),
    "flutter_db": ("flutter", "{:.2f} dB", "volume that fluctuates 2 to 20 times a second, and the amp's does not"),
    "loudness_difference_lu": ("loudness", "{:+.2f} LU", "prediction over the amp (BS.1770)"),
    "worst_second_esr": ("worst second", "{:.4f}", "ESR of the worst second"),
    "mse": ("MSE", "{:.3g}", "mean squared error"),
    "mae": ("MAE", "{:.3g}", "mean absolute error"),
    "peak_difference_db": ("peak", "{:+.2f} dB", "prediction's peak over the amp's"),
    "rms_difference_db": ("RMS", "{:+.2f} dB", "prediction's level over the amp's"),
    "aliasing_db": ("aliasing", "{:.1f} dB", "energy off the harmonics of test tones over energy on them"),
    "linear_floor_esr": ("linear floor", "{:.4f}", "ESR of the best linear filter: what a net must beat"),
    "noise_floor_esr": ("noise floor", "{:.2g}", "ESR of the amp's own noise: what no model can beat"),
    "real_time_factor": ("real time", "{:.1f}×", "seconds of audio rendered per second"),
    "parameters": ("parameters", "{:,.0f}", "numbers that were learnt"),
}


def score_table(scores: Mapping[str, float], title: str) -> Table:
    table = Table(title=Text(title), title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for key, (name, form, meaning) in SCORES.items():
        if key in scores:
            table.add_row(name, form.format(scores[key]), meaning)
    return table
