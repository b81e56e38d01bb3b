"""Compares runs of the store: a table, a figure and what they say, in files and beside the sweep in MLflow."""

import math
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ampsim import AmpsimError, counted, printable
from ampsim.comparing import charts
from ampsim.comparing.noise import MOST_SEEDS
from ampsim.comparing.outcomes import as_csv
from ampsim.comparing.ranking import (
    EFFECT,
    Difference,
    Effect,
    Group,
    Ranking,
    Trial,
    balanced,
    ranked,
)
from ampsim.files import atomic, read_json, read_text
from ampsim.files import refuse_existing as refuse_file
from ampsim.metrics import Blocks
from ampsim.metrics.scores import headlines, is_ratio, larger_is_better, of_test
from ampsim.plain_yaml import LARGEST
from ampsim.report import plots
from ampsim.report.page import listening_page
from ampsim.runs.artifacts import gain_db, listened
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
    ranking = ranked([trial(store.tracked(run)) for run in reversed(store.children(parent.id))], metric)
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
    scores, typed = of_test(run.metrics), run.tags.get("overrides", "")
    return Trial(run.id, run.name, run.params, scores, typed, blocks, ended, gain_db(run))


def read_blocks(run: TrackedRun) -> Blocks | None:
    """The sums of segments that a run keeps; None for one that is from before these were kept."""
    try:
        kept: Any = read_json(run.file("scores.json"), "artifact of a run")
        return Blocks(**kept["blocks"])
    except (AmpsimError, OSError, ValueError, TypeError, KeyError):
        return None


# ---- What a ranking comes to, in words and files --------------------------------------------------------------------


def sentences(ranking: Ranking) -> list[str]:
    """Who is as good as the best, which factor matters, what the seeds do, and where the metrics disagree."""
    found = [*told_from_the_best(ranking), *(effect_sentence(effect, ranking.metric) for effect in ranking.effects)]
    if len(ranking.groups) > 1 and math.isfinite(ranking.seed_share):
        found.append(f"the seed alone makes {ranking.seed_share:.0%} of the variance")
        left = 1 - ranking.seed_share - sum(effect.share for effect in ranking.effects)
        if len(ranking.effects) > 1 and balanced(ranking.groups):
            found[-1] += f", the interplay of the factors {max(left, 0.0):.0%}"
    if len(ranking.effects) > 1 and not balanced(ranking.groups):
        found.append(
            "not every combination of these was run as often, so that the shares overlap: part of one may be another's"
        )
    how = "the metrics disagree" if ranking.seeded else "a hint, for one seed each says nothing about noise"
    found += [f"{how}: {sentence}" for sentence in ranking.verdict.sentences[:5]]
    correlated, count = correlations(ranking), len(ranking.groups)
    if correlated:
        listed = ", ".join(f"{name} {value:.2f}" for name, value in correlated.items())
        found.append(
            f"rank correlation with {ranking.metric} over {counted(count, 'config')} "
            f"(Spearman; {doubt_of_ranks(count)}): {listed}"
        )
    return found


def told_from_the_best(ranking: Ranking) -> list[str]:
    """Which configs are no worse than the best as far as can be told, what could have been told, and by how many seeds."""
    known = [(group, change) for group, change in rows(ranking) if change]
    if not known:
        return []
    tied = [f"{group.label} ({equal(change)})" for group, change in known if change.tie]
    listed = ", ".join(tied[:8]) + (", ..." if len(tied) > 8 else "")
    found = [f"not told from the best: {listed}" if tied else "every other config is told from the best"]
    if not ranking.seeded:
        return found
    effects = sorted((change.detectable, number) for number, (_, change) in enumerate(known))
    effect, number = effects[len(effects) // 2]
    size = known[number][1].sized(effect)
    told = f"a difference of {size} to the best would" if size else "no difference to the best, however large, would"
    power = f"{told} have been told in 80 % of cases"
    if known[number][1].relative:
        seeds = ranking.seeds_needed
        needed = (
            f"{EFFECT:.0%} needs {counted(seeds, 'seed')} a config"
            if seeds
            else f"{MOST_SEEDS} seeds would not show {EFFECT:.0%}"
        )
        power += f"; {needed}, if their spread is what it was here"
    return [*found, power]


def equal(change: Difference) -> str:
    return "how far apart is not known" if change.vague else f"equal within {change.sized(change.equal_within)}"


def effect_sentence(effect: Effect, metric: str) -> str:
    ordered = sorted(effect.levels.items(), key=lambda item: item[1])
    low, high = ordered[0][1], ordered[-1][1]
    relative = is_ratio(metric) and low > 0
    listed = ", ".join(f"{level} {mean:.4g}" for level, mean in ordered[:8]) + (", ..." if len(ordered) > 8 else "")
    listed += "; from least to most " + (f"a factor of {high / low:.2f}" if relative else f"{high - low:.3g}")
    if effect.by_chance > 0.5:  # so many levels for so few runs that a share says nothing
        doubt = doubt_of_ranks(len(effect.levels))
        trend = f", rank correlation with {metric} {effect.trend:+.2f} ({doubt})" if math.isfinite(effect.trend) else ""
        return f"{effect.factor}{trend}: {listed}"
    doubt = f"one that does nothing: {effect.by_chance:.0%}"
    if math.isfinite(effect.p):
        doubt = f"{'p < 0.001' if effect.p < 0.001 else f'p = {effect.p:.2g}'} against the spread of the seeds"
    scale = f"log {metric}" if relative else metric
    return f"{effect.factor} explains {effect.share:.0%} of the variance of {scale} ({doubt}): {listed}"


def correlations(ranking: Ranking) -> dict[str, float]:
    """Spearman's coefficient of the chosen metric with each other one that is an error."""
    verdict = ranking.verdict
    if ranking.metric not in verdict.metrics or len(ranking.groups) < 5:  # fewer cannot rule chance out
        return {}
    row = verdict.correlation[verdict.metrics.index(ranking.metric)]
    pairs = zip(verdict.metrics, row, strict=True)
    return {name: float(value) for name, value in pairs if name != ranking.metric and math.isfinite(value)}


def doubt_of_ranks(count: int) -> str:
    limit = rank_correlation_by_chance(count)
    return f"chance makes ±{limit:.2f} or more in 5 % of cases" if limit <= 1 else "too few to rule chance out"


def rank_correlation_by_chance(count: int) -> float:
    """The size of Spearman's coefficient that unrelated ranks of so many configs reach in at most 5 % of cases; infinite
    below five, where even a perfect one is more frequent."""
    ranks = np.arange(count) - (count - 1) / 2
    drawn = np.random.default_rng(0).permuted(np.tile(ranks, (20_000, 1)), axis=1) @ ranks / np.sum(np.square(ranks))
    sizes, counts = np.unique(np.round(np.abs(drawn), 9), return_counts=True)
    rare = sizes[np.cumsum(counts[::-1])[::-1] <= 0.05 * len(drawn)]
    return float(rare[0]) if len(rare) else math.inf


def describe(change: Difference | None, metric: str) -> str:
    """A difference to the best with its interval, for a table."""
    if change is None:
        return "not known"
    return str(change) if "seeds" in change.basis else f"{change}, one seed"


def scores_of(ranking: Ranking) -> list[str]:
    """Names of all scores, the chosen one first."""
    names = {name: None for group in ranking.groups for trial in group.trials for name in sorted(trial.scores)}
    return [ranking.metric, *(name for name in names if name != ranking.metric)]


def table(ranking: Ranking) -> str:
    """The whole table as CSV: a row for each config, best first."""
    names, levels = scores_of(ranking), list(ranking.groups[0].levels)
    measured = [f"{name}{suffix}" for name in names for suffix in ("", "_sd", "_min", "_max")]
    versus = ["to_best", "to_best_low", "to_best_high", "tie", "equal_within", "detectable", "judged_on"]
    lines = []
    for number, (group, change) in enumerate(rows(ranking), 1):
        line = [number, *(group.levels[name] for name in levels), len(group.trials)]
        line += [finite_or_none(value) for name in names for value in (group.mean(name), *over_seeds(group, name))]
        line += measures(change) if change else [None] * len(versus)
        lines.append([*line, " ".join(trial.id for trial in group.trials)])
    return as_csv(["rank", *levels, "num_seeds", *measured, *versus, "runs"], lines)


def measures(change: Difference) -> list[object]:
    told = [change.equal_within, change.detectable]
    return [change.change, change.low, change.high, change.tie, *map(finite_or_none, told), change.basis]


def over_seeds(group: Group, name: str) -> tuple[float, float, float]:
    """Standard deviation (NaN below three seeds), lowest and highest value."""
    values = group.values(name)
    return group.spread(name), float(values.min()), float(values.max())


def rows(ranking: Ranking) -> Iterable[tuple[Group, Difference | None]]:
    return zip(ranking.groups, [None, *ranking.differences], strict=True)


def finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def summary(ranking: Ranking, title: str) -> str:
    """The comparison as Markdown."""
    metric = ranking.metric
    lines = [f"# {as_markdown(title)}: {counted(len(ranking.groups), 'config')} by test {as_markdown(metric)}", ""]
    others = [name for name in ranking.verdict.metrics if name != metric][:5]
    kept = {name for group in ranking.groups for trial in group.trials for name in trial.scores}
    others += [name for name in headlines() if name in kept and name not in (metric, *others)]
    header = ["", "config", "seeds", as_markdown(metric), "to the best", *map(as_markdown, others)]
    lines += [f"| {' | '.join(header)} |", "|" + " --- |" * len(header)]
    for number, (group, change) in enumerate(rows(ranking), 1):
        cells = [str(number), as_markdown(group.label), str(len(group.trials)), with_spread(group, metric)]
        cells += [describe(change, metric) if number > 1 else "", *(plain(group.mean(name)) for name in others)]
        lines.append(f"| {' | '.join(cells)} |")
    told = [*sentences(ranking), *ranking.notes, *(f"left out: {name} ({why})" for name, why in ranking.left_out)]
    lines += ["", *(f"- {as_markdown(sentence)}" for sentence in told)]
    lines += ["", EXPLANATION, ""]
    return "\n".join(lines)


def as_markdown(text: str) -> str:
    """A text as Markdown shows it: no HTML, link or emphasis of a run's name is one, and none begins a line."""
    return re.sub(r"([\\`*\[\]<>|&!#~])", r"\\\1", " ".join(printable(text).split()))


EXPLANATION = """\
The mean is the geometric one for ratios such as ESR. `±` is the standard deviation over three or more seeds; of two, both
values are shown. Intervals to the best hold for all configs at once (95 %): the studentized range, on the logarithm of a
ratio, of the spread of the seeds, each config's own (Games and Howell, with Welch's degrees of freedom), and of half-second
segments of the held-out signal (of predicted
MUSHRA, its excerpts of 3 s). A tie is an interval that holds 0; "equal within"
is the margin that it lies in. One that says nothing (to a thousand times its low end, or all that there can be) is
"not known". The share of the variance is eta squared: sum of squares between a factor's levels over the
total, each run counting once; p is that of an analysis of variance. Where the set is not balanced or has no seeds, the
share is held against what a factor of as many levels that does nothing gets. Metrics disagree where each of the two tells
two configs apart, in opposite order, corrected for the number of pairs and of metrics."""


def plain(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "–"


def with_spread(group: Group, metric: str) -> str:
    return f"{group.mean(metric):.4g} {spread_text(group, metric)}".rstrip()


def spread_text(group: Group, metric: str) -> str:
    """What the seeds do, for a table: nothing of one, both values of two, the standard deviation of more."""
    spread, low, high = over_seeds(group, metric)
    if len(group.trials) == 2:
        return f"({low:.4g} and {high:.4g})"
    return f"± {spread:.2g}" if math.isfinite(spread) else ""


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
                facts={
                    "shown": f"the best {len(best.models)} of {counted(len(ranking.groups), 'config')} by {ranking.metric}"
                },
                overwrite=True,
            )
    except OSError as error:
        raise AmpsimError(f"{folder} cannot be written to: {error.strerror}") from error


def figure(ranking: Ranking) -> "Figure":
    """Each config's score with its runs, best first, ties marked."""
    drawn = [
        charts.Row(
            group.label, group.values(ranking.metric).tolist(), bool(change and change.tie), group.mean(ranking.metric)
        )
        for group, change in rows(ranking)
    ]
    return charts.comparison(drawn, ranking.metric)


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
        best = best_of(group, ranking.metric)
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
            found.configs[group.label] = read_text(run.file("config.yaml"), "config", LARGEST)
        if len(found.models) == most:
            break
    return found


def best_of(group: Group, metric: str) -> Trial:
    """The run of a config that scored best."""
    values = group.values(metric)
    return group.trials[int(values.argmax() if larger_is_better(metric) else values.argmin())]
