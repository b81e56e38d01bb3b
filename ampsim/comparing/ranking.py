"""Puts runs in order: grouped over their seeds, told apart only where the evidence can, and what made the difference.

Plain data in, plain data out; where runs come from and where a table goes to is not known here.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ampsim import AmpsimError
from ampsim.comparing.noise import LEVEL, Noise, Sample, critical, detectable
from ampsim.config.targets import assignments, nearest
from ampsim.metrics import Blocks, Verdict, disagreements
from ampsim.metrics.scores import SCORES, VAGUE, compared, current, is_ratio, is_signed, larger_is_better

# What MLflow's parameters hold beside the config, and what of the config does not change what a run comes to.
NOT_COMPARED = re.compile(r"recording\..*|listening_gain_db|name|seed|training\.(resume|checkpoint_every_s|preview)")
ABSENT = "—"
MOST_QUARRELS = 200  # configs, the best, of which each two are looked at for metrics that disagree
LONG = 10.0  # a share that is shown as a factor
Inverse = Callable[[np.ndarray], np.ndarray]
EFFECT = 0.1  # of a ratio: for which the seeds that are needed are told


@dataclass(frozen=True)
class Trial:
    """One run: its config flattened, as MLflow keeps it, what was typed for it, and what it scored on the test split.

    `ended` is empty for a run that finished, else it says how the run stands: diverged, failed, ... `gain_db` is what its
    audio was written with.
    """

    id: str
    name: str
    config: Mapping[str, str]
    scores: Mapping[str, float]
    overrides: str = ""
    blocks: Blocks | None = None
    ended: str = ""
    gain_db: float = 0.0

    @property
    def seed(self) -> str:
        return self.config.get("seed", ABSENT)

    @property
    def described(self) -> tuple[tuple[str, str], ...]:
        """The config but for its seed, as something that is equal where two runs differ by their seed only."""
        return tuple(sorted((key, value) for key, value in self.config.items() if not NOT_COMPARED.fullmatch(key)))


@dataclass(frozen=True)
class Group:
    """Runs that differ by their seed only; `levels` says what sets them apart from the others."""

    label: str
    levels: Mapping[str, str]
    trials: list[Trial]

    def values(self, metric: str) -> NDArray[np.float64]:
        found = np.array([trial.scores.get(metric, math.nan) for trial in self.trials], np.float64)
        return np.abs(found) if is_signed(metric) else found  # a difference of level counts by its size

    def mean(self, metric: str) -> float:
        """Over the seeds; of a ratio the geometric mean, as everything that compares ratios is about logarithms."""
        values = self.values(metric)
        return float(stats.gmean(values) if is_ratio(metric) and values.min() > 0 else np.mean(values))

    def spread(self, metric: str) -> float:
        """Standard deviation over the seeds; NaN below three, which say next to nothing about it."""
        return float(np.std(self.values(metric), ddof=1)) if len(self.trials) > 2 else math.nan

    def interval(self, metric: str) -> tuple[float, float]:
        """In which the mean over all seeds lies, 95 %: Student's t of the config's own seeds, on the logarithm of a ratio;
        NaN of one seed, and where the seeds spread so far that it would say nothing."""
        (values,), inverse = scaled([self], metric)
        if len(values) < 2:
            return math.nan, math.nan
        variance, freedom = float(np.var(values, ddof=1)), len(values) - 1
        return telling(metric, *around(float(values.mean()), variance, len(values), freedom, inverse))


@dataclass(frozen=True)
class Difference:
    """How much larger a metric is in one group than in another: a share for a ratio, else in its unit.

    From `low` to `high` lie 95 % of what chance would make of it, for all groups of a ranking at once; where that holds 0,
    it is a tie. `basis` says what chance was asked about: "segments and seeds", or one of them. `detectable` is the
    difference that would have been told from a tie in 80 % of cases.
    """

    change: float
    low: float
    high: float
    basis: str
    detectable: float
    relative: bool
    vague: bool = False  # the interval is so wide that it says nothing; see `Score.vague`

    @property
    def tie(self) -> bool:
        return self.low <= 0 <= self.high

    @property
    def equal_within(self) -> float:
        """The margin within which the two are equal: both one-sided tests that they differ by more are rejected
        (Schuirmann, 1987), which is so where the interval lies inside the margin. Of ratios either way round."""
        return max(self.high, 1 / (1 + self.low) - 1 if self.relative and self.low > -1 else -self.low)

    def __str__(self) -> str:
        """The difference with its interval, for a table; where percents grow too long to read, as a factor."""
        numbers = (self.change, self.low, self.high)
        if self.relative and (self.change if self.vague else self.high) >= LONG:
            size, low, high = (f"{1 + x:.3g}" for x in numbers)
            size = f"× {size}"
        else:
            size, low, high = (f"{x:+.1%}" if self.relative else f"{x:+.3g}" for x in numbers)
        if self.vague:
            return f"{'tie ' if self.tie else ''}{size} (interval not known)"
        return f"{'tie ' if self.tie else ''}{size} ({low} to {high})"

    def sized(self, size: float) -> str:
        """The size of such a difference, without a sign; empty where it is so large that it says nothing."""
        if self.relative and size > VAGUE:
            return ""
        if self.relative:
            return f"{size:.1%}" if size < 1 else f"a factor of {1 + size:.3g}"
        return f"{size:.3g}"


@dataclass(frozen=True)
class Effect:
    """What one factor does: the mean of each level over all else, and the share of the variance that it explains (eta
    squared: sum of squares between its levels over the total, on the logarithm for a ratio).

    `by_chance` is the share that as many levels would explain if they did nothing; `p` is how likely the spread of the
    seeds alone would give this share or a larger one, NaN where that is not known. `trend` is Spearman's coefficient of
    level and metric over the runs, NaN for levels that are no numbers. `intervals` hold the means with 95 %: Student's t of
    the spread of all seeds about their configs' means or, of one seed each, of the level's runs.
    """

    factor: str
    levels: Mapping[str, float]
    share: float
    by_chance: float
    p: float
    trend: float
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Ranking:
    """Groups, best first; `differences[k]` is that of group k + 1 to the best, None where nothing can be said."""

    metric: str
    groups: list[Group]
    differences: list[Difference | None]
    seeds_needed: int | None  # a config, for a difference of EFFECT to be told in 80 % of cases; None where not known
    effects: list[Effect]
    seed_share: float  # of the variance; NaN where no group has two seeds
    verdict: Verdict
    left_out: list[tuple[str, str]]  # name, why
    notes: list[str]

    @property
    def seeded(self) -> bool:
        """Whether the noise of seeds is known."""
        return any(len(group.trials) > 1 for group in self.groups)


def ranked(trials: Sequence[Trial], metric: str = "esr") -> Ranking:
    """Group, order and tell apart runs by one of their scores, named as it is or was.

    Raises:
        AmpsimError: no run has this score, or fewer than two finished.
    """
    metric = current(metric)
    finished = [trial for trial in trials if not trial.ended]
    left_out = [(trial.name, trial.ended) for trial in trials if trial.ended]
    known = {name for trial in finished for name in trial.scores}
    if finished and metric not in known:
        raise AmpsimError(f"no run has a score `{metric}`{nearest(metric, sorted(known))}")
    usable = []
    for trial in finished:
        if math.isfinite(trial.scores.get(metric, math.nan)):
            usable.append(trial)
        else:
            left_out.append((trial.name, f"has no {metric}"))
    if len(usable) < 2:
        outs = "".join(f"; {name} {why}" for name, why in left_out[:5])
        raise AmpsimError(f"a comparison needs two finished runs, and there {are(len(usable))}{outs}")
    groups, repeated = grouped(usable)
    left_out += [(trial.name, "repeats a seed of its config, which another run counts for") for trial in repeated]
    groups.sort(key=lambda group: group.mean(metric), reverse=larger_is_better(metric))
    contest = Contest(groups, metric)
    differences = [contest.difference(0, number) for number in range(1, len(groups))]
    effects = sorted(factor_effects(groups, metric), key=lambda effect: -effect.share)
    return Ranking(
        metric,
        groups,
        differences,
        contest.seeds_needed(),
        effects,
        seed_share(groups, metric),
        quarrels(groups, metric, known),
        left_out,
        notes(groups, metric),
    )


def quarrels(groups: Sequence[Group], metric: str, known: set[str]) -> Verdict:
    """Where other metrics turn round what the chosen one says, each of the two beyond the noise of the seeds.

    The chosen metric is allowed one false difference in 20 comparisons, and all others together as many. One seed each
    says nothing about noise: then a difference of 5 % counts, and is a hint.
    """
    groups = groups[:MOST_QUARRELS]
    by = metric if metric in compared() else "mse"
    means = {group.label: {name: group.mean(name) for name in known} for group in groups}
    names = [name for name in compared() if all(math.isfinite(of.get(name, math.nan)) for of in means.values())]
    if len({trial.blocks.target for group in groups for trial in group.trials if trial.blocks}) > 1:
        return Verdict([], names, disagreements(means, by=by).correlation)  # they learnt from different signals
    if all(len(group.trials) == 1 for group in groups):
        return disagreements(means, by=by)
    contests = {name: Contest(groups, name) for name in names}
    number = {group.label: place for place, group in enumerate(groups)}
    others = max(len(names) - 1, 1)

    def told(better: str, worse: str, name: str) -> bool:
        level = LEVEL if name == by else 1 - (1 - LEVEL) / others
        return contests[name].larger(number[better], number[worse], level)

    return disagreements(means, by=by, told=told)


def are(number: int) -> str:
    return "is one" if number == 1 else "is none"


def notes(groups: list[Group], metric: str) -> list[str]:
    """What a reader must know before believing the order."""
    trials, found = [trial for group in groups for trial in group.trials], []
    held_out = {trial.blocks.target for trial in trials if trial.blocks}
    if len(held_out) > 1:
        found.append(
            f"not comparable: the runs were tested on {len(held_out)} different signals (another recording, split or "
            "delay), so that their order says as much about these as about the models, and no tie can be tested"
        )
    if without := sum(trial.blocks is None for trial in trials):
        found.append(
            f"{without} of {len(trials)} runs keep no scores.json: these are told apart by their seeds at most"
        )
    if all(len(group.trials) == 1 for group in groups) and len(groups) > 1:
        found.append("one seed each: what another seed would change is not known; add seed=0,1,2 to the sweep")
    elif any(len(group.trials) == 1 for group in groups):
        found.append("a config of one seed is judged as if its seeds spread like those of the others")
    if any(len(group.trials) == 2 for group in groups) and len(groups) > 1:
        found.append(
            "two seeds hardly tell how far a config spreads: next to nothing is told apart, and a tie says little; add a "
            "third, better five"
        )
    return found


# ---- Groups and what sets them apart --------------------------------------------------------------------------------


def grouped(trials: Sequence[Trial]) -> tuple[list[Group], list[Trial]]:
    """Trials as groups over seeds; and those that repeat a seed of an earlier one, which would count twice."""
    levels = factors(trials)
    short = shortened(list(levels))
    members: dict[tuple[Hashable, ...], list[int]] = {}
    repeated = []
    for number, trial in enumerate(trials):
        group = members.setdefault(trial.described, [])
        if trial.seed in {trials[other].seed for other in group}:
            repeated.append(trial)
        else:
            group.append(number)
    groups = []
    for numbers in members.values():
        mine = {factor: column[numbers[0]] for factor, column in levels.items()}
        label = " ".join(f"{short[factor]}={level}" for factor, level in mine.items())
        groups.append(Group(label or trials[numbers[0]].name, mine, [trials[number] for number in numbers]))
    return groups, repeated


def factors(trials: Sequence[Trial]) -> dict[str, list[str]]:
    """What differs between the trials beside the seed: its name, and the level that each trial has.

    Where the words that were typed (`model.layers=2 optimizer=sgd`) tell the configs apart, these are the factors. Else
    they are the keys of the configs, without those that follow from another: an optimizer brings settings of its own.
    """
    described = [trial.described for trial in trials]
    typed = differing([typed_levels(trial.overrides) for trial in trials])
    if typed and partition(list(zip(*typed.values(), strict=True))) == partition(described):
        return {key: ["default" if level == ABSENT else level for level in column] for key, column in typed.items()}
    columns = differing([dict(each) for each in described])
    found: dict[str, list[str]] = {}
    for section in dict.fromkeys(key.partition(".")[0] for key in columns):
        inside = {key: column for key, column in columns.items() if key.partition(".")[0] == section}
        # Of what kind a section is: which classes it names, and which keys there are.
        kinds = [
            tuple((key, at[row] if key.endswith("_target_") else "") for key, at in inside.items() if at[row] != ABSENT)
            for row in range(len(trials))
        ]
        if len(set(kinds)) > 1:
            follow = [key for key, at in inside.items() if len(set(zip(at, kinds, strict=True))) == len(set(kinds))]
            own = {key: at for key, at in inside.items() if key not in follow}
            inside = {section: kind_names(kinds)} | own
        found |= inside
    # Of those that change together in every run, the first speaks for all.
    distinct = {partition(column): name for name, column in reversed(found.items())}
    return {name: column for name, column in found.items() if name in distinct.values()}


def typed_levels(overrides: str) -> dict[str, str]:
    words = assignments(re.split(r"\s+(?=[~+]*[\w./@]+=)", overrides.strip()))
    return {key: value for key, value in words.items() if not NOT_COMPARED.fullmatch(key) and key != ""}


def differing(rows: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """The columns of a table that are not the same in each of its rows."""
    columns = {key: [row.get(key, ABSENT) for row in rows] for key in dict.fromkeys(key for row in rows for key in row)}
    return {key: column for key, column in columns.items() if len(set(column)) > 1}


def kind_names(kinds: Sequence[tuple[tuple[str, str], ...]]) -> list[str]:
    """A level for each kind of a section: its class (`sgd`), or the names of the parts that it has (`esr+dc`)."""
    names = {}
    for kind in kinds:
        parents = {key.removesuffix("._target_"): value for key, value in kind if key.endswith("_target_")}
        outer = {key: value for key, value in parents.items() if not any(key.startswith(f"{p}.") for p in parents)}
        parts = [
            key.rpartition(".")[2] if "." in key else name.rpartition(".")[2].lower() for key, name in outer.items()
        ]
        names[kind] = "+".join(parts) or "other"
    if len(set(names.values())) < len(names):
        names = {kind: f"{name} ({number})" for number, (kind, name) in enumerate(names.items(), 1)}
    return [names[kind] for kind in kinds]


def partition(column: Sequence[Hashable]) -> tuple[int, ...]:
    """Which entries are equal, as numbers: (a, b, a) and (x, y, x) have the same."""
    numbers: dict[Hashable, int] = {}
    return tuple(numbers.setdefault(value, len(numbers)) for value in column)


def shortened(keys: list[str]) -> dict[str, str]:
    """Each key by its last word, where that is the only one."""
    last = Counter(key.rpartition(".")[2] for key in keys)
    return {key: key.rpartition(".")[2] if last[key.rpartition(".")[2]] == 1 else key for key in keys}


# ---- Telling two groups apart ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contest:
    """Groups and a metric by which any two of them are told apart, with 95 % intervals for all pairs at once."""

    groups: Sequence[Group]
    metric: str

    @cached_property
    def relative(self) -> bool:
        return is_ratio(self.metric) and min(float(group.values(self.metric).min()) for group in self.groups) > 0

    @cached_property
    def noise(self) -> Noise:
        return Noise.of([sample(group, self.metric, relative=self.relative) for group in self.groups])

    def difference(self, first: int, second: int, level: float = LEVEL) -> Difference | None:
        """How much larger the metric is in the second group than in the first, by their numbers, and how sure that is;
        None where neither segments nor seeds can say anything."""
        chance = self.noise.between(first, second)
        if chance is None:
            return None
        centre, limit = self.centre(first, second), critical(len(self.groups), chance.freedom, level)
        reach, told = limit * chance.error, detectable(limit, chance.freedom) * chance.error
        change, low, high, told = (
            math.expm1(min(x, 700.0)) if self.relative else x for x in (centre, centre - reach, centre + reach, told)
        )
        return Difference(change, low, high, chance.basis, told, self.relative, self.vague(low, high))

    def vague(self, low: float, high: float) -> bool:
        if self.metric not in SCORES:
            return False
        if self.relative:
            return low <= -1 or SCORES[self.metric].vague(1 + low, 1 + high)
        return SCORES[self.metric].vague(low, high, apart=True)

    def centre(self, first: int, second: int) -> float:
        return float(self.noise.samples[second].values.mean() - self.noise.samples[first].values.mean())

    def larger(self, first: int, second: int, level: float) -> bool:
        """Whether the metric is larger in the second group beyond chance: `difference`, without what takes it long."""
        chance = self.noise.between(first, second)
        return chance is not None and self.centre(first, second) > (
            critical(len(self.groups), chance.freedom, level) * chance.error
        )

    def seeds_needed(self) -> int | None:
        """For a difference of EFFECT to the best to be told in 80 % of cases; None where that is not known, or where no
        number of seeds is enough for want of test signal."""
        if not (self.noise.freedom and self.relative):
            return None
        chances = [self.noise.between(0, number) for number in range(1, len(self.groups))]
        segments = [chance.segments for chance in chances if chance is not None]
        return self.noise.seeds_needed(math.log1p(EFFECT), float(np.median(segments))) if segments else None


def sample(group: Group, metric: str, *, relative: bool) -> Sample:
    """A group's scores and what each block of the held-out signal does to their mean, on the scale of differences."""
    values = group.values(metric)
    parts = [trial.blocks.parts(metric) if trial.blocks else None for trial in group.trials]
    targets = frozenset(trial.blocks.target for trial in group.trials if trial.blocks)
    pulls = None
    if all(part is not None and part[1].any() and (part[0].any() or not relative) for part in parts):
        above, below = (np.array(side) for side in zip(*(part for part in parts if part is not None), strict=True))
        # The derivative of a quotient of sums, or of its logarithm, by the weight of each block.
        quotients = above.sum(axis=1, keepdims=True) / below.sum(axis=1, keepdims=True)
        pulls = (above - quotients * below) / below.sum(axis=1, keepdims=True)
        pulls = (pulls / quotients if relative else pulls).mean(axis=0)
    return Sample(np.log(values) if relative else values, pulls, targets)


# ---- Which factor matters -------------------------------------------------------------------------------------------


def factor_effects(groups: Sequence[Group], metric: str) -> list[Effect]:
    """The main effect of each factor over all runs, each run counting once.

    In a balanced set (every combination of levels as often) the shares of the factors, the seeds and their interplay
    add up to 1, and an F test holds each factor against the seeds (analysis of variance); else shares may overlap.
    """
    values, inverse = scaled(groups, metric)
    every = np.concatenate(values)
    total, within = squares(every), sum(map(squares, values))
    freedom = len(every) - len(groups)
    found = []
    for factor in groups[0].levels:
        names = sorted({group.levels[factor] for group in groups}, key=natural)
        columns = [
            np.concatenate([mine for group, mine in zip(groups, values, strict=True) if group.levels[factor] == name])
            for name in names
        ]
        between = float(sum(len(column) * (column.mean() - every.mean()) ** 2 for column in columns))
        more = len(names) - 1
        testable = within > 0 and freedom > 0 and balanced(groups)
        p = float(stats.f.sf(between / more / (within / freedom), more, freedom)) if testable else math.nan
        means = {name: float(inverse(column.mean())) for name, column in zip(names, columns, strict=True)}
        trend = math.nan
        if total and len(names) > 2 and all(natural(name)[0] == 0 for name in names):
            numbers = [float(group.levels[factor]) for group in groups for _ in group.trials]
            trend = float(stats.spearmanr(numbers, every).statistic)
        share, noise = between / total if total else 0.0, (within / freedom, freedom) if freedom else None
        pairs = zip(names, columns, strict=True)
        intervals = {name: telling(metric, *level_interval(column, noise, inverse)) for name, column in pairs}
        found.append(Effect(factor, means, share, more / (len(every) - 1), p, trend, intervals))
    return found


def level_interval(
    column: NDArray[np.float64], noise: tuple[float, int] | None, inverse: Inverse
) -> tuple[float, float]:
    """Of a level's mean, from its runs and, where it is known, the seeds' variance with its degrees of freedom."""
    count = len(column)
    if noise is None and count < 2:
        return math.nan, math.nan
    variance, freedom = noise or (float(np.var(column, ddof=1)), count - 1)
    return around(float(column.mean()), variance, count, freedom, inverse)


def telling(metric: str, low: float, high: float) -> tuple[float, float]:
    """An interval within what its score can be; NaN where it says nothing."""
    score = SCORES.get(metric)
    if score is None or math.isnan(low):
        return low, high
    if score.vague(low, high):
        return math.nan, math.nan
    return max(low, score.limits[0]), min(high, score.limits[1])


def around(mean: float, variance: float, count: int, freedom: int, inverse: Inverse) -> tuple[float, float]:
    """Student's interval of a mean on the scale of `scaled`, put back onto that of the scores."""
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(variance / count)
    low, high = (float(inverse(np.asarray(min(end, 700.0)))) for end in (mean - reach, mean + reach))
    return low, high


def seed_share(groups: Sequence[Group], metric: str) -> float:
    """The share of the variance that lies between runs which differ by their seed only."""
    if all(len(group.trials) == 1 for group in groups):
        return math.nan
    values, _ = scaled(groups, metric)
    total = squares(np.concatenate(values))
    return sum(map(squares, values)) / total if total else 0.0


def squares(values: NDArray[np.float64]) -> float:
    """Sum of squared deviations from the mean."""
    return float(np.sum(np.square(values - values.mean())))


def scaled(groups: Sequence[Group], metric: str) -> tuple[list[np.ndarray], Inverse]:
    """The scores of each group on the scale on which effects add up, and the way back."""
    values = [group.values(metric) for group in groups]
    if is_ratio(metric) and min(float(mine.min()) for mine in values) > 0:
        return [np.log(mine) for mine in values], np.exp
    return values, np.asarray


def balanced(groups: Sequence[Group]) -> bool:
    """Whether every combination of the factors' levels is there, with as many seeds."""
    combinations = math.prod(len({group.levels[factor] for group in groups}) for factor in groups[0].levels)
    return len(groups) == combinations and len({len(group.trials) for group in groups}) == 1


def natural(text: str) -> tuple[int, float, str]:
    try:
        return (0, float(text), "")
    except ValueError:
        return (1, 0.0, text)
