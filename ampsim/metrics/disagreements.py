"""Where metrics disagree about the same runs."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ampsim.metrics.scores import compared

Runs = Mapping[str, Mapping[str, float]]
Told = Callable[[str, str, str], bool]  # whether chance leaves the first to be better than the second by a metric


@dataclass(frozen=True)
class Verdict:
    """`sentences` on the disagreements, gravest first, and Spearman's rank correlation of each two of `metrics`."""

    sentences: list[str]
    metrics: list[str]
    correlation: NDArray[np.float64]


def disagreements(
    runs: Runs,
    *,
    by: str = "mse",
    metrics: Sequence[str] | None = None,
    margin: float = 0.05,
    told: Told | None = None,
    most: int = 10,
) -> Verdict:
    """Compare runs, each a dict of scores by name: who wins by one metric and loses by another?

    Two metrics disagree about two runs where each of the two tells these apart, in opposite order.

    Args:
        by: the metric that the others are held against; the first of the verdict's.
        metrics: None takes all scores that are marked `compared`. A difference of level counts by its size.
        margin: what a score must be lower by, as a share, to be better.
        told: what it must pass as well: `told(better, worse, metric)` is whether the noise of the scores leaves that
            difference. Without it, of single runs, a disagreement is no more than a hint: another seed may end it.
        most: sentences at most.
    """
    names = compared() if metrics is None else metrics
    names = [by, *(name for name in names if name != by)] if by in names else names
    present = [name for name in names if all(math.isfinite(scores.get(name, math.nan)) for scores in runs.values())]
    gravest = sorted(reversals(runs, by, present, margin, told), reverse=True) if by in present else []
    return Verdict([sentence for _, sentence in gravest[:most]], present, rank_correlation(runs, present))


def reversals(runs: Runs, by: str, metrics: Sequence[str], margin: float, told: Told | None) -> list[tuple[float, str]]:
    """(how grave, sentence) of each two runs and each metric that turn `by` round."""

    def beats(better: str, worse: str, metric: str) -> bool:
        apart = abs(runs[better][metric]) < (1 - margin) * abs(runs[worse][metric])
        return apart and (told is None or told(better, worse, metric))

    found = []
    for better in runs:
        for worse in runs:
            if not beats(better, worse, by):
                continue
            for metric in metrics:
                won, lost = abs(runs[worse][metric]), abs(runs[better][metric])
                if beats(worse, better, metric):
                    text = (
                        f"{better} has the lower {by} than {worse} ({runs[better][by]:.3g} against {runs[worse][by]:.3g}), "
                        f"yet the higher {metric} ({lost:.3g} against {won:.3g})"
                    )
                    found.append((lost / max(won, 1e-12), text))
    return found


def rank_correlation(runs: Runs, metrics: Sequence[str]) -> NDArray[np.float64]:
    """Spearman's coefficient of each two metrics over the runs, (num_metrics, num_metrics); NaN below three runs, or
    where a metric is the same for all."""
    table = np.array([[abs(scores[name]) for name in metrics] for scores in runs.values()])
    ranks = np.array([stats.rankdata(column) for column in table.T])
    if len(runs) < 3 or not len(metrics):
        return np.full((len(metrics), len(metrics)), math.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.atleast_2d(np.corrcoef(ranks))
