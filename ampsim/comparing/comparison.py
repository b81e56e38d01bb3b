"""Compares runs of the store: a table, a figure and what they say, in files and beside the sweep in MLflow."""

import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ampsim import AmpsimError
from ampsim.comparing.outcomes import as_csv
from ampsim.comparing.ranking import (
    Difference,
    Effect,
    Group,
    Ranking,
    Trial,
    balanced,
    ranked,
)
from ampsim.files import atomic
from ampsim.files import refuse_existing as refuse_file
from ampsim.metrics import Blocks
from ampsim.metrics.scores import headlines, is_ratio, larger_is_better, of_test
from ampsim.report import plots
from ampsim.report.page import listening_page
from ampsim.runs.tracking import ENDS, Store, TrackedRun
from ampsim.signals import audio

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILES = ("comparison.csv", "comparison.md", "comparison.png", "listen.html")
ENDED = {"FAILED": "failed", "KILLED": "was interrupted", "RUNNING": "is not finished", "SCHEDULED": "has not begun"}


def of_sweep(store: Store, parent: TrackedRun, metric: str = "esr") -> Ranking:
    """The ranking of a sweep's runs; its table, figure and summary become artifacts of the parent run.

    Raises:
        AmpsimError: fewer than two runs finished, or none has this score.
    """
    ranking = ranked([trial(TrackedRun(store.client, run)) for run in reversed(store.children(parent.id))], metric)
    with tempfile.TemporaryDirectory() as folder:
        write(store, ranking, Path(folder) / "comparison", title=parent.name)
        parent.log_folder(Path(folder))
    return ranking


def of_runs(store: Store, wanted: Sequence[str], metric: str = "esr") -> Ranking:
    """The ranking of single runs, each by id, name or as `last`. Nothing is written: no run of the store is theirs.

    Raises:
        AmpsimError: a run is not there, fewer than two finished, or none has this score.
    """
    found = {run.id: run for run in map(store.find, wanted)}
    return ranked([trial(run) for run in found.values()], metric)


def trial(run: TrackedRun, *, with_blocks: bool = True) -> Trial:
    """A run of the store as plain data; its blocks are a file to be read, or fetched from a server."""
    ended = "" if run.status == "FINISHED" else ENDED.get(run.status, run.status.lower())
    ended = next((mark for mark in ENDS if mark in run.tags), ended)
    blocks = read_blocks(run) if with_blocks and not ended else None
    return Trial(run.id, run.name, run.params, of_test(run.metrics), run.tags.get("overrides", ""), blocks, ended)


def read_blocks(run: TrackedRun) -> Blocks | None:
    """The sums of segments that a run keeps; None for one that is from before these were kept."""
    try:
        return Blocks(**json.loads(run.file("scores.json").read_text(encoding="utf-8"))["blocks"])
    except (AmpsimError, OSError, ValueError, TypeError, KeyError):
        return None


# ---- What a ranking comes to, in words and files --------------------------------------------------------------------


def sentences(ranking: Ranking) -> list[str]:
    """Which factor matters, what the seeds do, and where the metrics disagree."""
    found = [effect_sentence(effect, ranking.metric) for effect in ranking.effects]
    if len(ranking.groups) > 1 and math.isfinite(ranking.seed_share):
        found.append(f"the seed alone makes {ranking.seed_share:.0%} of the variance")
        left = 1 - ranking.seed_share - sum(effect.share for effect in ranking.effects)
        if len(ranking.effects) > 1 and balanced(ranking.groups):
            found[-1] += f", the interplay of the factors {max(left, 0.0):.0%}"
    if len(ranking.effects) > 1 and not balanced(ranking.groups):
        found.append(
            "not every combination of these was run as often, so that the shares overlap: part of one may be another's"
        )
    found += [f"the metrics disagree: {sentence}" for sentence in ranking.verdict.sentences[:5]]
    correlated = correlations(ranking)
    if correlated:
        listed = ", ".join(f"{name} {value:.2f}" for name, value in correlated.items())
        found.append(f"rank correlation with {ranking.metric} over {len(ranking.groups)} configs (Spearman): {listed}")
    return found


def effect_sentence(effect: Effect, metric: str) -> str:
    ordered = sorted(effect.levels.items(), key=lambda item: item[1])
    low, high = ordered[0][1], ordered[-1][1]
    relative = is_ratio(metric) and low > 0
    listed = ", ".join(f"{level} {mean:.4g}" for level, mean in ordered[:8]) + (", ..." if len(ordered) > 8 else "")
    listed += "; from least to most " + (f"a factor of {high / low:.2f}" if relative else f"{high - low:.3g}")
    if effect.by_chance > 0.5:  # so many levels for so few runs that a share says nothing
        trend = f", rank correlation with {metric} {effect.trend:+.2f}" if math.isfinite(effect.trend) else ""
        return f"{effect.factor}{trend}: {listed}"
    doubt = f"one that does nothing: {effect.by_chance:.0%}"
    if math.isfinite(effect.p):
        doubt = f"{'p < 0.001' if effect.p < 0.001 else f'p = {effect.p:.2g}'} against the spread of the seeds"
    scale = f"log {metric}" if relative else metric
    return f"{effect.factor} explains {effect.share:.0%} of the variance of {scale} ({doubt}): {listed}"


def correlations(ranking: Ranking) -> dict[str, float]:
    """Spearman's coefficient of the chosen metric with each other one that is an error."""
    verdict = ranking.verdict
    if ranking.metric not in verdict.metrics or len(ranking.groups) < 3:
        return {}
    row = verdict.correlation[verdict.metrics.index(ranking.metric)]
    pairs = zip(verdict.metrics, row, strict=True)
    return {name: float(value) for name, value in pairs if name != ranking.metric and math.isfinite(value)}


def describe(change: Difference | None, metric: str) -> str:
    """A difference to the row above, for a table."""
    if change is None:
        return "not known"
    size = f"{change.change:+.1%}" if is_ratio(metric) else f"{change.change:+.3g}"
    if change.tie:
        return f"tie ({size})"
    return size if "seeds" in change.basis else f"{size}, one seed"


def scores_of(ranking: Ranking) -> list[str]:
    """Names of all scores, the chosen one first."""
    names = {name: None for group in ranking.groups for trial in group.trials for name in sorted(trial.scores)}
    return [ranking.metric, *(name for name in names if name != ranking.metric)]


def table(ranking: Ranking) -> str:
    """The whole table as CSV: a row for each config, best first."""
    names, levels = scores_of(ranking), list(ranking.groups[0].levels)
    measured = [f"{name}{suffix}" for name in names for suffix in ("", "_sd")]
    versus = ["to_row_above", "to_row_above_low", "to_row_above_high", "tie", "judged_on"]
    lines = []
    for number, (group, change) in enumerate(rows(ranking), 1):
        line = [number, *(group.levels[name] for name in levels), len(group.trials)]
        line += [finite_or_none(value) for name in names for value in (group.mean(name), group.spread(name))]
        line += [change.change, change.low, change.high, change.tie, change.basis] if change else [None] * len(versus)
        lines.append([*line, " ".join(trial.id for trial in group.trials)])
    return as_csv(["rank", *levels, "num_seeds", *measured, *versus, "runs"], lines)


def rows(ranking: Ranking) -> Iterable[tuple[Group, Difference | None]]:
    return zip(ranking.groups, [None, *ranking.differences], strict=True)


def finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def summary(ranking: Ranking, title: str) -> str:
    """The comparison as Markdown."""
    metric, lines = ranking.metric, [f"# {title}: {len(ranking.groups)} configs by test {ranking.metric}", ""]
    others = [name for name in ranking.verdict.metrics if name != metric][:5]
    kept = {name for group in ranking.groups for trial in group.trials for name in trial.scores}
    others += [name for name in headlines() if name in kept and name not in (metric, *others)]
    lines += [f"| | config | seeds | {metric} | to the row above | {' | '.join(others)} |"]
    lines += ["|" + " --- |" * (5 + len(others))]
    for number, (group, change) in enumerate(rows(ranking), 1):
        cells = [str(number), group.label.replace("|", "\\|"), str(len(group.trials)), with_spread(group, metric)]
        cells += [describe(change, metric) if number > 1 else "", *(plain(group.mean(name)) for name in others)]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"- {sentence}" for sentence in [*sentences(ranking), *ranking.notes])]
    lines += [f"- left out: {name} ({why})" for name, why in ranking.left_out]
    lines += ["", EXPLANATION, ""]
    return "\n".join(lines)


EXPLANATION = """\
`±` is the standard deviation over the seeds. A tie: a bootstrap over half-second segments of the held-out signal (for
predicted MUSHRA, its excerpts of 3 s) and over the seeds, with 95 % intervals, does not tell a row from the one above. The
share of the variance is eta squared: sum of squares between a factor's levels over the total, each run counting once; p is
that of an analysis of variance. Where the set is not balanced or has no seeds, the share is held against what a factor of as
many levels that does nothing gets."""


def plain(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "–"


def with_spread(group: Group, metric: str) -> str:
    spread = group.spread(metric)
    return f"{group.mean(metric):.4g}" + (f" ± {spread:.2g}" if math.isfinite(spread) else "")


def write(store: Store, ranking: Ranking, folder: Path, *, title: str) -> None:
    """FILES in a folder, which is made; each takes its name only once it is whole."""
    try:
        with ExitStack() as files:
            csv_file, markdown, png, page = (
                files.enter_context(atomic(folder / name, overwrite=True)) for name in FILES
            )
            csv_file.write_text(table(ranking), encoding="utf-8")
            markdown.write_text(summary(ranking, title), encoding="utf-8")
            plots.save(figure(ranking), png)
            best = heard(store, ranking)
            listening_page(
                page,
                best.signals,
                best.models,
                best.sample_rate,
                title=title,
                scores=best.scores,
                runs=best.runs,
                configs=best.configs,
                facts={"shown": f"the best {len(best.models)} of {len(ranking.groups)} configs by {ranking.metric}"},
                overwrite=True,
            )
    except OSError as error:
        raise AmpsimError(f"{folder} cannot be written to: {error.strerror}") from error


def figure(ranking: Ranking) -> "Figure":
    """Each config's score with its runs, best first, ties marked."""
    drawn = [
        plots.Row(group.label, group.values(ranking.metric).tolist(), bool(change and change.tie))
        for group, change in rows(ranking)
    ]
    return plots.comparison(drawn, ranking.metric)


def refuse_existing(folder: Path, *, overwrite: bool) -> None:
    """Raises AmpsimError where `write` would replace something."""
    for name in FILES:
        refuse_file(folder / name, overwrite=overwrite)
    if folder.exists() and not folder.is_dir():
        raise AmpsimError(f"output={folder} is a file: name a folder")


# ---- To listen to the best ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heard:
    """What a page to listen with plays: `direct` and `amp`, and a prediction of each of the best configs by its label,
    all as loud against each other as they were; the scores, the run's id and the config of each."""

    signals: dict[str, audio.Signal]
    models: dict[str, audio.Signal]
    sample_rate: int
    scores: dict[str, Mapping[str, float]]
    runs: dict[str, str]
    configs: dict[str, str]


def heard(store: Store, ranking: Ranking, *, most: int = 3) -> Heard:
    """The best run of each of the best configs; those that were tested on another signal than the best are passed over."""
    found, held_out = Heard({}, {}, 0, {}, {}, {}), ""
    for group in ranking.groups:
        values = group.values(ranking.metric)
        best = group.trials[int(values.argmax() if larger_is_better(ranking.metric) else values.argmin())]
        tested = best.blocks.target if best.blocks else ""  # a run from before blocks were kept has its length only
        if held_out and tested and tested != held_out:
            continue
        run = store.find(best.id)
        signals, sample_rate = listened(run)
        if not found.models:
            found = replace(found, signals={name: signals[name] for name in ("direct", "amp")}, sample_rate=sample_rate)
        if sample_rate != found.sample_rate or len(signals["amp"]) != len(found.signals["amp"]):
            continue
        held_out = held_out or tested
        found.models[group.label] = signals["prediction"]
        found.scores[group.label], found.runs[group.label] = best.scores, best.id
        with suppress(AmpsimError):  # of a run whose training ampsim did not describe
            found.configs[group.label] = run.file("config.yaml").read_text(encoding="utf-8")
        if len(found.models) == most:
            break
    return found


def listened(run: TrackedRun) -> tuple[dict[str, audio.Signal], int]:
    """A run's audio artifacts with the gain that they were written with taken back, and their sample rate."""
    gain = 10 ** (float((run.params | run.tags)["listening_gain_db"]) / 20)  # once a param
    files = {name: audio.read(run.file(f"audio/{name}.wav")) for name in ("direct", "amp", "prediction")}
    return {name: file.channel(0) / gain for name, file in files.items()}, files["amp"].sample_rate
