"""What chance leaves to be told about configs of a few seeds each: intervals, their power, and the seeds that are needed.

Arrays in, numbers out. All is on the scale on which differences add up: the logarithm of a ratio.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

LEVEL = 0.95
POWER = 0.8
MOST_SEEDS = 1000
# Degrees of freedom for which a quantile is computed, which takes a tenth of a second; those between are interpolated.
FREEDOMS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 6, 10, 20, 1_000_000)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """One config: its `values`, (num_seeds,), and the pull of each block of the held-out signal on their mean,
    (num_blocks,), whose sum is 0; None where the blocks are not known. `targets` name what was held out."""

    values: Array
    pulls: Array | None = None
    targets: frozenset[str] = frozenset()

    @property
    def variance(self) -> float:
        return float(np.var(self.values, ddof=1))


@dataclass(frozen=True)
class Chance:
    """What chance alone does to a difference of two means: its standard error, degrees of freedom, the part of the
    variance that the segments make, and what it was asked about ("segments and seeds", or one of them)."""

    error: float
    freedom: float
    segments: float
    basis: str


@dataclass(frozen=True)
class Noise:
    """The spread of the seeds of several configs: `variance` of one run with its degrees of freedom, over all of them.

    It stands for a config of one seed, and what that is compared with; every other one has its own, since no test finds out
    from two or three seeds that one config spreads five times as far as the next. NaN where no config has two seeds.
    """

    samples: Sequence[Sample]
    variance: float
    freedom: int

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Noise":
        several = [sample for sample in samples if len(sample.values) > 1]
        freedoms = [len(sample.values) - 1 for sample in several]
        if not several:
            return cls(samples, math.nan, 0)
        return cls(samples, float(np.average([each.variance for each in several], weights=freedoms)), sum(freedoms))

    def between(self, one: int, other: int) -> Chance | None:
        """Of the difference of two configs' means, by their numbers; None where nothing is known.

        Variances of seeds and of segments add up, their degrees of freedom after Satterthwaite (1946). Seeds are no
        pairs: in another net the same seed draws other weights. Blocks are: both nets played the same music, so that
        what counts is how much more a block pulls at one than at the other (the infinitesimal jackknife; Efron, 1982).
        """
        pair = [self.samples[one], self.samples[other]]
        if len(pair[0].targets | pair[1].targets) > 1:
            return None
        parts, segments, asked = self.seeds(pair) if self.freedom else [], 0.0, ["seeds"] * bool(self.freedom)
        one_pulls, other_pulls = (sample.pulls for sample in pair)
        if one_pulls is not None and other_pulls is not None and len(one_pulls) > 1:
            more = len(one_pulls) - 1
            segments = float(np.sum(np.square(other_pulls - one_pulls))) * (more + 1) / more
            parts, asked = [*parts, (segments, float(more))], ["segments", *asked]
        if not parts:
            return None
        total = sum(variance for variance, _ in parts)
        squares = sum(variance**2 / freedom for variance, freedom in parts)
        return Chance(math.sqrt(total), total**2 / squares if squares else math.inf, segments, " and ".join(asked))

    def seeds(self, pair: Sequence[Sample]) -> list[tuple[float, float]]:
        """(variance, degrees of freedom) that the seeds make in the difference of two means."""
        counts = [len(sample.values) for sample in pair]
        if min(counts) == 1:  # nothing is known of its spread but that of all, which then has to hold for both
            return [(self.variance * sum(1 / count for count in counts), float(self.freedom))]
        return [(each.variance / count, float(count - 1)) for each, count in zip(pair, counts, strict=True)]

    def seeds_needed(self, effect: float, segments: float) -> int | None:
        """The number of seeds a config for which a difference of this size is told in POWER of all cases, if the
        segments make this part of the variance; None where MOST_SEEDS are too few."""

        def enough(seeds: int) -> bool:
            chance, freedom = math.sqrt(2 * self.variance / seeds + segments), 2 * (seeds - 1)
            return detectable(critical(len(self.samples), freedom), freedom) * chance <= effect

        few, many = 1, 2
        while not enough(many):
            few, many = many, 2 * many
            if many > MOST_SEEDS:
                return None
        while many - few > 1:
            middle = (few + many) // 2
            few, many = (few, middle) if enough(middle) else (middle, many)
        return many


def critical(num_configs: int, freedom: float, level: float = LEVEL) -> float:
    """How many standard errors two of several equal configs differ by at most, in `level` of all cases.

    The studentized range over the square root of 2, with the degrees of freedom of each pair's own spread (Games and
    Howell, 1976; Welch, 1938), which need not be whole: what lies between two of FREEDOMS is interpolated over 1 / freedom,
    to within 0.5 %. The best was chosen by the same scores that it is then compared by, so that Dunnett's test against a
    control that was named before, and Holm's correction for so many pairs, would tell equal configs apart too often. For
    two it is Student's t.
    """
    freedom = min(max(freedom, FREEDOMS[0]), FREEDOMS[-1])
    if num_configs == 2:
        return float(stats.t.ppf(0.5 + level / 2, freedom))
    above = bisect_left(FREEDOMS, freedom)
    here = _critical(num_configs, FREEDOMS[above], level)
    if FREEDOMS[above] == freedom:
        return here
    below = FREEDOMS[above - 1]
    share = (1 / freedom - 1 / FREEDOMS[above]) / (1 / below - 1 / FREEDOMS[above])
    return here ** (1 - share) * _critical(num_configs, below, level) ** share


@lru_cache
def _critical(num_configs: int, freedom: float, level: float) -> float:
    return float(stats.studentized_range.ppf(level, num_configs, freedom)) / math.sqrt(2)


@lru_cache
def detectable(limit: float, freedom: float, power: float = POWER) -> float:
    """How many standard errors a true difference must have to exceed `limit` of them, as estimated, in `power` of all
    cases (noncentral t)."""
    freedom = min(max(freedom, 1.0), 1e6)

    def missed(size: float) -> float:
        return float(stats.nct.sf(limit, freedom, size)) - power

    return float(optimize.brentq(missed, 0.0, 4 * limit + 10))
