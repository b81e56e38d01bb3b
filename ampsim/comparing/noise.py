"""What chance leaves to be told about configs of a few seeds each: intervals, their power, and the seeds that are needed.

Arrays in, numbers out. All is on the scale on which differences add up: the logarithm of a ratio.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

LEVEL = 0.95
POWER = 0.8
UNLIKE = 0.01  # Bartlett's p below which the configs' seeds are taken to spread differently
MOST_SEEDS = 1000
# Degrees of freedom for which a quantile is computed, which takes a tenth of a second; others take the next below.
FREEDOMS = np.array([*range(1, 11), 12, 14, 16, 20, 24, 30, 40, 60, 120, 1_000_000])

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

    `alike` is whether this spread may stand for each (Bartlett's test does not object); else each has its own. A config
    of one seed always takes that of all. NaN where no config has two seeds.
    """

    samples: Sequence[Sample]
    variance: float
    freedom: int
    alike: bool

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Noise":
        several = [sample for sample in samples if len(sample.values) > 1]
        freedoms = [len(sample.values) - 1 for sample in several]
        if not several:
            return cls(samples, math.nan, 0, True)
        variances = [sample.variance for sample in several]
        pooled = float(np.average(variances, weights=freedoms))
        alike = len(several) == 1 or pooled == 0
        if not alike and min(variances) > 0:
            alike = bool(stats.bartlett(*(sample.values for sample in several)).pvalue >= UNLIKE)
        return cls(samples, pooled, sum(freedoms), alike)

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
        found, lent = [], 0.0
        for sample in pair:
            count = len(sample.values)
            if self.alike or count == 1:
                lent += 1 / count
            else:
                found.append((sample.variance / count, float(count - 1)))
        return [*found, (self.variance * lent, float(self.freedom))] if lent else found

    def seeds_needed(self, effect: float, segments: float) -> int | None:
        """The number of seeds a config for which a difference of this size is told in POWER of all cases, if the
        segments make this part of the variance; None where MOST_SEEDS are too few."""
        count, configs = len(self.samples), len(self.samples) if self.alike else 2

        def enough(seeds: int) -> bool:
            chance = math.sqrt(2 * self.variance / seeds + segments)
            return detectable(critical(count, configs * (seeds - 1)), configs * (seeds - 1)) * chance <= effect

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

    The studentized range over the square root of 2 (Tukey; Games and Howell, 1976, where each has a spread of its own).
    The best was chosen by the same scores that it is then compared by, so that Dunnett's test against a control that was
    named before, and Holm's correction for so many pairs, would tell equal configs apart too often. For two it is
    Student's t.
    """
    return _critical(num_configs, int(FREEDOMS[max(freedom, 1.0) >= FREEDOMS][-1]), level)


@lru_cache
def _critical(num_configs: int, freedom: int, level: float) -> float:
    if num_configs == 2:
        return float(stats.t.ppf(0.5 + level / 2, freedom))
    return float(stats.studentized_range.ppf(level, num_configs, freedom)) / math.sqrt(2)


@lru_cache
def detectable(limit: float, freedom: float, power: float = POWER) -> float:
    """How many standard errors a true difference must have to exceed `limit` of them, as estimated, in `power` of all
    cases (noncentral t)."""
    freedom = min(max(freedom, 1.0), 1e6)

    def missed(size: float) -> float:
        return float(stats.nct.sf(limit, freedom, size)) - power

    return float(optimize.brentq(missed, 0.0, 4 * limit + 10))
