"""What became of each job of a sweep, whether it finished or not: its table and its figures."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas
from matplotlib.figure import Figure

from ampsim.comparing import charts
from ampsim.comparing.ranking import differing, shortened
from ampsim.config.targets import assignments
from ampsim.metrics.scores import renamed
from ampsim.report import plots
from ampsim.runs.tracking import NOTE, Run, TrackedRun, ended_as

# Ear-weighted error on the validation split, speed, size.
TRADE_OFF = ("best_validation_a_weighted_esr", "test_real_time_factor", "test_parameters")


@dataclass(frozen=True)
class Row:
    """One job of a sweep as the store tells of it; `metrics` as MLflow names them."""

    name: str
    overrides: Sequence[str]
    status: str = "not begun"
    note: str = ""
    run_id: str = ""
    duration_s: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.status == "finished"


def of_run(run: Run, overrides: Sequence[str] = (), *, name: str = "") -> Row:
    """The row of a run in the store; the name is the run's own if none is given."""
    until, ended = run.info.end_time or run.info.start_time, ended_as(run)
    return Row(
        name or run.info.run_name,
        overrides,
        ended,
        # MLflow's note describes the scores of one that finished.
        run.data.tags.get("doubts" if ended == "finished" else NOTE, ""),
        run.info.run_id,
        (until - run.info.start_time) / 1000,
        renamed(run.data.metrics),
    )


def differing_keys(rows: Sequence[Row]) -> list[str]:
    """The keys of the overrides whose values are not the same in all rows; what has a name of its own is told by that."""
    keys = list(differing([assignments(row.overrides) for row in rows]))
    files = ("data", "data.path", "data.input", "data.target")
    return [key for key in keys if key not in files] if "name" in keys else keys


def label(row: Row, keys: Sequence[str]) -> str:
    values, short = assignments(row.overrides), shortened(list(keys))
    return " ".join(f"{short[key]}={values[key]}" for key in keys if key in values) or row.name


def table(rows: Sequence[Row], keys: Sequence[str]) -> str:
    """The rows as CSV: what differs, what became of each job, every metric."""
    metrics = sorted({name for row in rows for name in row.metrics})
    lines = []
    for row in rows:
        values = assignments(row.overrides)
        varied = [values.get(key, "") for key in keys]
        measured = [row.metrics.get(name) for name in metrics]
        lines.append([row.name, *varied, row.status, f"{row.duration_s:.1f}", *measured, row.run_id, row.note])
    return as_csv(["run", *keys, "status", "duration_s", *metrics, "run_id", "note"], lines)


def as_csv(columns: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """Lines as CSV under a header; None and NaN are empty, floats have all their digits."""
    return pandas.DataFrame(lines, columns=list(columns)).to_csv(index=False, lineterminator="\n")


def figures(rows: Sequence[Row], keys: Sequence[str]) -> dict[str, Figure]:
    """By name: the ESR of every job, and error against speed and size of those that finished."""
    labels = [label(row, keys) for row in rows]
    scores = {
        name: [row.metrics.get(metric) if row.finished else None for row in rows]
        for name, metric in (("test", "test_esr"), ("validation", "best_validation_esr"))
    }
    drawn = {"sweep": charts.sweep(labels, scores, [row.status for row in rows])}
    complete = [number for number, row in enumerate(rows) if row.finished and set(TRADE_OFF) <= set(row.metrics)]
    if complete:
        columns = [[rows[number].metrics[name] for number in complete] for name in TRADE_OFF]
        drawn["pareto"] = charts.trade_off([labels[number] for number in complete], *columns)
    return drawn


def keep(parent: TrackedRun, rows: Sequence[Row]) -> None:
    """Make `sweep.csv` and `figures/` artifacts of a sweep's parent run."""
    keys = differing_keys(rows)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sweep.csv").write_text(table(rows, keys), encoding="utf-8")
        (folder / "figures").mkdir()
        for title, figure in figures(rows, keys).items():
            plots.save(figure, folder / "figures" / f"{title}.png")
        parent.log_folder(folder)
