"""Where metrics disagree about the same runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ampsim.metrics.scores import compared

Runs = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Verdict:
    """`sentences` on the disagreements, gravest first, and Spearman's rank correlation of each two of `metrics`."""

    sentences: list[str]
    metrics: list[str]
    correlation: NDArray[np.float64]


def disagreements(
    runs: Runs, *, by: str = "mse", metrics: Sequence[str] | None = None, margin: float = 0.05, most: int = 10
) -> Verdict:
    """Compare runs, each a dict of scores by name: who wins by one metric and loses by another?

    Args:
        by: the metric that the others are held against; the first of the verdict's.
        metrics: None takes all scores that are marked `compared`. A difference of level counts by its size.
        margin: what a score must be lower by, as a share, to be better.
        most: sentences at most.
    """
    names = compared() if metrics is None else metrics
    names = [by, *(name for name in names if name != by)] if by in names else names
    present = [name for name in names if all(math.isfinite(scores.get(name, math.nan)) for scores in runs.values())]
    gravest = sorted(reversals(runs, by, present, margin), reverse=True) if by in present else []
    return Verdict([sentence for _, sentence in gravest[:most]], present, rank_correlation(runs, present))


def reversals(runs: Runs, by: str, metrics: Sequence[str], margin: float) -> list[tuple[float, str]]:
    """(how grave, sentence) of each two runs and each metric that turn `by` round."""
    found = []
    for better in runs:
        for worse in runs:
            if not below(runs[better][by], runs[worse][by], margin):
                continue
            for metric in metrics:
                won, lost = abs(runs[worse][metric]), abs(runs[better][metric])
                if below(won, lost, margin):
                    text = (
                        f"{better} has the lower {by} than {worse} ({runs[better][by]:.3g} against {runs[worse][by]:.3g}), "
                        f"yet the higher {metric} ({lost:.3g} against {won:.3g})"
                    )
                    found.append((lost / max(won, 1e-12), text))
    return found


def below(low: float, high: float, margin: float) -> bool:
    return abs(low) < (1 - margin) * abs(high)


def rank_correlation(runs: Runs, metrics: Sequence[str]) -> NDArray[np.float64]:
    """Spearman's coefficient of each two metrics over the runs, (num_metrics, num_metrics); NaN below three runs, or
    where a metric is the same for all."""
    table = np.array([[abs(scores[name]) for name in metrics] for scores in runs.values()])
    ranks = np.array([stats.rankdata(column) for column in table.T])
    if len(runs) < 3 or not len(metrics):
        return np.full((len(metrics), len(metrics)), math.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.atleast_2d(np.corrcoef(ranks))
