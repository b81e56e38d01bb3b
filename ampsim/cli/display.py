"""The tables that commands show."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from ampsim import counted
from ampsim.cli.terminal import duration, worded
from ampsim.config.targets import assignments
from ampsim.metrics.scores import BUILT_IN, SCORES, Score, headlines, verdict

# Of a run's scores, those that a listener or a player asks for first.
FOREMOST = ("esr", "a_weighted_esr", "predicted_mushra", "hiss_db", "real_time_factor")
MARKS = {"error": ("✗", "bold red"), "warning": ("!", "bold yellow"), "note": ("·", "cyan"), "ok": ("✓", "green")}


def new_table(title: str = "", *headers: str, **options: Any) -> Table:
    """A table without lines; the first column is to the left, the others, which hold numbers, to the right."""
    table = Table(title=worded(title) if title else None, box=None, **{"padding": (0, 2, 0, 0), **options})
    table.title_justify = table.caption_justify = "left"
    for number, header in enumerate(headers):
        table.add_column(header, justify="right" if number else "left")
    return table


def findings_table(findings: Sequence[Any]) -> Table:
    """What the doctor found, a row each, with the remedy below it."""
    table = new_table(show_header=False, padding=(0, 1, 0, 0))
    for each in findings:
        mark, style = MARKS[each.severity]
        text = worded(each.text)
        if each.fix and each.severity != "ok":
            text.append("\n").append(worded(f"→ {each.fix}", style="dim"))
        table.add_row(Text(mark, style=style), text)
    return table


def loudness_table(found: Sequence[Any]) -> Table:
    """How loud captures are, `levelling.Loudness`, a row each."""
    table = new_table("", "capture", "loudness", "stated", "off by", "smaller nets")
    for each in found:
        off = "" if each.stated_db is None else f"{each.stated_db - each.measured_db:+.2f} dB"
        stated = "nothing" if each.stated_db is None else f"{each.stated_db:.2f} dB"
        parts = ", ".join(f"{part:.2f} dB" for part in each.parts_db[:-1])
        table.add_row(worded(each.path.name), f"{each.measured_db:.2f} dB", stated, off, parts)
    return table


def score_table(scores: Mapping[str, float], title: str, *, verbose: bool = False) -> Table:
    """A verdict and the scores that matter most, with those of plugins, or all; a column for each net of several."""
    nets = [key.removesuffix("_parameters") for key in scores if key.endswith("_parameters")]
    told = f"{title}: {verdict(scores)}" if verdict(scores) else title
    table = new_table(told, show_header=bool(nets))
    table.add_column("", style="bold", no_wrap=True)
    for net in [*nets, "model"]:
        table.add_column(net, justify="right", no_wrap=True)
    table.add_column("", style="dim")
    for score in SCORES.values():
        if score.name in scores and (verbose or score.name in FOREMOST or score not in BUILT_IN):
            keys = [*(f"{net}_{score.name}" for net in nets), score.name]
            cells = [score.text(scores[key]) if key in scores else "" for key in keys]
            table.add_row(score.title, *cells, score.meaning)
    return table


def ranking_table(ranking: Any, title: str, *, told: Any, spread: Any, width: int) -> Table:
    """A `ranking.Ranking`, best first; `told` puts a difference to the best into words, `spread` what the seeds do."""
    metric = ranking.metric
    others = [name for name in headlines() if name not in ("esr", metric)]
    kept = {name for group in ranking.groups for trial in group.trials for name in trial.scores}
    others = [name for name in others if name in kept] if width >= 130 else []
    table = new_table(title, header_style="bold")
    columns = [("", "right"), ("config", "left"), ("seeds", "right"), (named(metric), "right"), ("± SD", "left")]
    for header, side in [*columns, ("to the best (95 %)", "right"), *((named(name), "right") for name in others)]:
        table.add_column(header, justify=side)  # type: ignore[arg-type]
    for number, (group, change) in enumerate(zip(ranking.groups, [None, *ranking.differences], strict=True), 1):
        cells: list[Any] = [str(number), worded(group.label), str(len(group.trials)), shown(metric, group.mean(metric))]
        cells += [spread(group, metric), told(change, metric) if number > 1 else ""]
        table.add_row(*cells, *(shown(name, group.mean(name)) for name in others))
    return table


def scorecard_table(card: Any) -> Table:
    """A `scorecard.Scorecard`, best first: the score that it is ordered by, ties, and how each candidate lay."""
    title = f"{card.part}, {card.sample_rate:,} Hz"
    caption = "delay: in samples, taken out; gain: at which the ESR would be least, not applied"
    table = new_table(title, caption=caption, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("")
    table.add_column("candidate", overflow="fold", min_width=12)
    for header in (named(card.metric), "to the best (95 %)", "delay", "gain"):
        table.add_column(header, justify="right", no_wrap=True)
    for number, (each, change) in enumerate(zip(card.candidates, [None, *card.differences], strict=True), 1):
        delay = "–" if each.delay is None else f"{each.delay:+.2f}" if each.delay else "0"
        gain = "–" if math.isnan(each.gain_db) else f"{round(each.gain_db, 1) + 0.0:+.1f} dB"
        cells = [shown(card.metric, each.scores.get(card.metric, math.nan)), str(change or "")]
        table.add_row(str(number), worded(each.name), *cells, delay, gain)
    return table


def scores_tables(card: Any, *, width: int) -> list[Table]:
    """Every score of a `scorecard.Scorecard`: candidates beside each other by their numbers, as many as fit a table."""
    names = [name for name in SCORES if any(name in each.scores for each in card.candidates)]
    columns = [
        [
            f"{shown(name, each.scores.get(name, math.nan))}{mark or ' '}"
            for name, mark in zip(names, marks, strict=True)
        ]
        for each, marks in zip(card.candidates, zip(*map(card.marks, names), strict=True), strict=True)
    ]
    widest = max(len(cell) for column in columns for cell in column) + 1
    fit = max(1, (width - max(len(named(name)) for name in names) - 1) // widest)
    tables = []
    for first in range(0, len(columns), fit):
        here = columns[first : first + fit]
        table = new_table(padding=(0, 1, 0, 0), header_style="bold")
        table.add_column("")
        for number in range(first, first + len(here)):
            table.add_column(f"{number + 1} ", justify="right", no_wrap=True)
        for place, name in enumerate(names):
            table.add_row(worded(named(name)), *(column[place] for column in here))
        tables.append(table)
    if len(columns) > 1:
        tables[0].caption, tables[0].caption_justify = "* best, = not told from the best (95 %)", "left"
    return tables


def named(score: str) -> str:
    return SCORES[score].title if score in SCORES else score


def shown(score: str, value: float) -> str:
    return SCORES[score].text(value) if score in SCORES else f"{value:.4g}"


def sweep_columns() -> list[tuple[str, Score, str]]:
    """Of a sweep's table: metric in the store, the score that it holds, header."""
    chosen = [(f"test_{score.name}", score, score.column) for score in SCORES.values() if score.column]
    return [("best_validation_esr", SCORES["esr"], "validation\nESR"), *chosen]


def sweep_table(result: Any) -> Table:
    """The jobs of a `sweeps.Result`: what differs between them and what they came to."""
    table = new_table(result.name, header_style="bold")
    for key in result.keys:
        table.add_column(f"\n{key.rpartition('.')[2]}")
    table.add_column("")
    columns = sweep_columns()
    for _, _, header in columns:
        table.add_column(header, justify="right")
    table.add_column("\ntime", justify="right")
    for number, row in enumerate(result.rows):
        values = assignments(row.overrides)
        finished = row.status == "finished"
        shown = [score.text(row.metrics[key]) if finished and key in row.metrics else "" for key, score, _ in columns]
        status = "best" if number in result.best else "" if finished else row.status
        took = duration(row.duration_s) if row.run_id else ""
        table.add_row(*(worded(values.get(key, "")) for key in result.keys), status, *shown, took)
    return table


def standing_line(standing: Any) -> str:
    """A line about a `sweeps.Standing`."""
    left = "" if standing.remaining_s is None else f", {duration(standing.remaining_s)} left"
    failed = f", {standing.failed} failed" if standing.failed else ""
    line = f"{standing.done} of {counted(standing.total, 'job')}{failed}{left}"
    if standing.current:
        name, now = standing.current
        if now.doing:
            return f"{line} | {name} {now.doing} ..."
        line += f" | {name} {now.done:.0%}  loss {now.loss:.3g}  {duration(now.remaining_s)}"
    return line


def abx_table(found: Any) -> Table:
    """A `votes.Abx`: a line a listener, and all of them together."""
    from ampsim.report.votes import chance

    title = f"ABX: {found.pair[0]} against {found.pair[1]} ({found.title})"
    table = new_table(title, "", "right", "trials", "p, one-sided", "share right, 95 %")
    for name, (correct, trials) in found.listeners.items():
        table.add_row(
            worded(name), f"{correct}", f"{trials}", f"{chance(correct, trials):.2g}", f"{correct / trials:.0%}"
        )
    share = f"{found.correct / found.trials:.0%}, {shares(found.low, found.high)}"
    table.add_row("all", f"{found.correct}", f"{found.trials}", f"{found.p:.2g}", share, style="bold")
    return table


def shares(low: float, high: float) -> str:
    """An interval of shares; one of all shares says nothing."""
    return "not known" if low < 0.005 and high >= 0.995 else f"{low:.0%} to {high:.0%}"


def ratings(low: float, high: float, sign: str = "") -> str:
    """An interval of ratings, or with a sign of the difference of two, within what there can be."""
    lowest = -100 if sign else 0
    return (
        "not known" if low <= lowest and high >= 100 else f"{max(low, lowest):{sign}.0f} to {min(high, 100):{sign}.0f}"
    )


def mushra_table(found: Any) -> Table:
    """A `votes.Mushra`: a line a stimulus, best first."""
    count = len(found.listeners)
    title = f"MUSHRA: mean ratings of {counted(count, 'listener')} ({found.title})"
    table = new_table(title, "", "mean", "95 %")
    words = {"reference": "{} (hidden reference)", "model": "{}"} | dict.fromkeys(
        ("anchor", "mid_anchor"), "{} (low-pass)"
    )
    for each in found.ratings:
        kind, name = each.stimulus
        interval = "one listener" if math.isnan(each.low) else ratings(each.low, each.high)
        table.add_row(worded(words[kind].format(name)), f"{each.mean:.1f}", interval)
    return table


def ear_table(ear: Any) -> Table:
    """A `judging.ear.Ear`: a line a term."""
    title = f"shares of the gradient, from {ear.comparisons:,} comparisons of {ear.listeners} listeners"
    table = new_table(title, "", "share", "95 %")
    for term in ear.terms:
        table.add_row(term.name, f"{term.share:.0%}", shares(term.low, term.high))
    return table


def mushra_pairs_table(found: Any) -> Table:
    """The models of a `votes.Mushra`, each two of them."""
    number = len(found.pairs)
    note = f", corrected for {number} pairs" if number > 1 else ""
    title = f"rated by the same listener, one model above another (paired t{note})"
    table = new_table(title, "", "difference", "95 %", "p", "listeners")
    for each in found.pairs:
        alone = math.isnan(each.low)
        interval = "one listener" if alone else ratings(each.low, each.high, "+")
        p = "" if alone else "< 0.001" if each.p < 0.001 else f"{each.p:.2g}"
        names = worded(f"{each.better} over {each.worse}")
        table.add_row(names, f"{each.difference:+.1f}", interval, p, f"{each.listeners}")
    return table
