"""What listeners answered on listening pages, summed up: ABX tests by the binomial test, MUSHRA ratings with intervals,
models against each other in pairs."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from scipy import stats

from ampsim import AmpsimError, printable
from ampsim.files import expanded, read_json

CONFIDENCE = 0.95
LARGEST = 10_000_000  # bytes of a votes file; a listener's are a few thousand
# ITU-R BS.1534-3, 5.3, asks for no more than 12 stimuli; no one answers as many trials or tests in one go.
MOST_STIMULI, MOST_TRIALS, MOST_TESTS = 50, 5000, 1000
# ITU-R BS.1534-3 (10/2015), 4.1.2 "Post-screening": a listener is excluded who rates "the hidden reference condition for
# > 15 % of the test items lower than a score of 90", or the mid-range anchor for more than 15 % of them higher. "If more than
# 25 % of the assessors rate the mid-range anchor higher than a score of 90, this might indicate that the test item was not
# degraded significantly by the anchor processing. In this case assessors should not be excluded on the basis of scores for
# that item": neither of the anchor nor of the reference.
LIKE_THE_REFERENCE, MISSED_AT_MOST, INDISTINCT_FROM = 90, 0.15, 0.25
ROUNDING = 1 / 6  # variance of the difference of two ratings, which are whole numbers: no spread is less

Stimulus = tuple[str, str]  # a kind, as `Score` names it, and its name
Excerpt = tuple[object, ...]  # what tells one excerpt of a page from the others


@dataclass(frozen=True)
class AbxTest:
    """One listener's ABX test: right answers of so many trials, of so many planned."""

    id: str
    page: str
    title: str
    listener: str
    file: Path
    pair: tuple[str, str]
    correct: int
    trials: int
    planned: int


@dataclass(frozen=True)
class MushraTest:
    """One listener's ratings, from 0 to 100: a dict for each excerpt, of so many planned; `runs` are the ids of models' runs."""

    id: str
    page: str
    title: str
    listener: str
    file: Path
    ratings: list[dict[Stimulus, float]]
    excerpts: list[Excerpt]
    planned: int
    runs: dict[str, str]

    @property
    def trials(self) -> int:
        return len(self.ratings)

    def of_kind(self, kind: str) -> list[tuple[Excerpt, float]]:
        """Every rating of a stimulus of this kind, with the excerpt that it was given for."""
        rated = zip(self.excerpts, self.ratings, strict=True)
        return [(excerpt, score) for excerpt, each in rated for (of, _), score in each.items() if of == kind]


Test = AbxTest | MushraTest


@dataclass(frozen=True)
class Abx:
    """All listeners' answers about one pair: `p` is one-sided, the interval of the proportion Clopper and Pearson's."""

    title: str
    pair: tuple[str, str]
    listeners: dict[str, tuple[int, int]]  # right answers, trials
    correct: int
    trials: int
    p: float
    low: float
    high: float


@dataclass(frozen=True)
class Rating:
    """A stimulus' mean over listeners, each of whom counts once, and Student's interval of it (NaN for one listener)."""

    stimulus: Stimulus
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Pair:
    """By how much one model is rated above another: the mean over `listeners`, each of whom rated both, of each one's mean
    difference. Interval and p are Student's for paired values, corrected for the number of pairs of the page
    (Bonferroni); NaN for one listener."""

    better: str
    worse: str
    listeners: int
    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Mushra:
    """Ratings of one page, best first, and its models in pairs; `excluded` tells whose are not in them, and why.

    `indistinct` counts the excerpts in which the mid-range anchor passed for the reference with more than a quarter of the
    listeners, so that nobody is left out for it.
    """

    title: str
    listeners: list[str]
    excluded: dict[str, str]
    indistinct: int
    ratings: list[Rating]
    pairs: list[Pair]


def summaries(paths: Sequence[Path], *, notice: Callable[[str], None]) -> tuple[list[Abx], list[Mushra]]:
    """Sum up votes files: ABX tests by page and pair, MUSHRA ratings by page.

    A test that is in several files counts once; one that was not finished does not count, since who may stop at will
    can stop while ahead. `notice` hears of both.

    Raises:
        AmpsimError: a file is not there or is not a votes file, or there is nothing to sum up.
    """
    tests = all_finished(paths, notice)
    abx = grouped((test for test in tests if isinstance(test, AbxTest)), lambda test: (test.page, *sorted(test.pair)))
    mushra = grouped((test for test in tests if isinstance(test, MushraTest)), lambda test: test.page)
    return [of_pair(group) for group in abx], [of_page(group) for group in mushra]


def all_finished(paths: Sequence[Path], notice: Callable[[str], None]) -> list[Test]:
    """The tests in votes files that were finished, each once; faults and notices as for `summaries`."""
    stems = Counter(path.stem for path in paths)
    names = [path.stem if stems[path.stem] == 1 else str(path.with_suffix("")) for path in paths]
    tests = finished([test for path, name in zip(paths, names, strict=True) for test in read(path, name)], notice)
    if not tests:
        raise AmpsimError(
            "these files hold no finished test: finish one on a listening page, then save its votes again"
        )
    return tests


def of_pair(tests: Sequence[AbxTest]) -> Abx:
    listeners: dict[str, tuple[int, int]] = {}
    for test in tests:
        right, count = listeners.get(test.listener, (0, 0))
        listeners[test.listener] = (right + test.correct, count + test.trials)
    correct, trials = (sum(side) for side in zip(*listeners.values(), strict=True))
    interval = stats.binomtest(correct, trials).proportion_ci(CONFIDENCE, method="exact")
    return Abx(
        tests[0].title, tests[0].pair, listeners, correct, trials, chance(correct, trials), interval.low, interval.high
    )


def chance(correct: int, trials: int) -> float:
    """The probability of at least so many right answers by guessing."""
    return float(stats.binomtest(correct, trials, alternative="greater").pvalue)


def of_page(tests: Sequence[MushraTest]) -> Mushra:
    excluded, kept = {}, {}
    indistinct = indistinct_excerpts(tests)
    for group in grouped(tests, lambda test: test.listener):
        if reason := why_excluded(group, indistinct):
            excluded[group[0].listener] = reason
        else:
            kept[group[0].listener] = [each for test in group for each in test.ratings]
    scores: dict[Stimulus, dict[str, list[float]]] = {}  # by listener
    for listener, excerpts in kept.items():
        for excerpt in excerpts:
            for stimulus, score in excerpt.items():
                scores.setdefault(stimulus, {}).setdefault(listener, []).append(score)
    ratings = [rating(stimulus, [np.mean(each) for each in of.values()]) for stimulus, of in scores.items()]
    ratings.sort(key=lambda each: -each.mean)
    models = [each.stimulus for each in ratings if each.stimulus[0] == "model"]
    pairs = compared(models, list(kept.values()))
    return Mushra(tests[0].title, list(kept), excluded, len(indistinct), ratings, pairs)


def indistinct_excerpts(tests: Sequence[MushraTest]) -> set[Excerpt]:
    """Excerpts that the mid-range anchor hardly changes, as a guitar amp's may be that has little above 7 kHz."""
    passed: dict[Excerpt, dict[str, bool]] = {}
    for test in tests:
        for excerpt, score in test.of_kind("mid_anchor"):
            listeners = passed.setdefault(excerpt, {})
            listeners[test.listener] = listeners.get(test.listener, False) or score > LIKE_THE_REFERENCE
    return {excerpt for excerpt, by in passed.items() if sum(by.values()) > INDISTINCT_FROM * len(by)}


def why_excluded(tests: Sequence[MushraTest], indistinct: set[Excerpt]) -> str:
    """The rule that a listener broke, empty for none."""
    count = sum(test.trials for test in tests)
    missed = sum(
        score < LIKE_THE_REFERENCE and excerpt not in indistinct
        for test in tests
        for excerpt, score in test.of_kind("reference")
    )
    if missed > MISSED_AT_MOST * count:
        return f"the hidden reference got less than 90 in {missed} of {count} excerpts"
    passed = sum(
        score > LIKE_THE_REFERENCE and excerpt not in indistinct
        for test in tests
        for excerpt, score in test.of_kind("mid_anchor")
    )
    if passed > MISSED_AT_MOST * count:
        return f"the mid-range anchor got more than 90 in {passed} of {count} excerpts"
    return ""


def compared(models: Sequence[Stimulus], listeners: Sequence[Sequence[dict[Stimulus, float]]]) -> list[Pair]:
    """Each two models, in order of their means. A listener's excerpts are no further listeners: each listener's mean
    difference counts once, which leaves out who rates all things high or low."""
    found = []
    number = math.comb(len(models), 2)
    for better, worse in combinations(models, 2):
        both = [[each[better] - each[worse] for each in of if better in each and worse in each] for of in listeners]
        means = np.array([np.mean(each) for each in both if each])
        if not len(means):
            continue
        mean, freedom, low, high, p = float(means.mean()), len(means) - 1, math.nan, math.nan, math.nan
        if freedom:
            error = math.sqrt(max(float(np.var(means, ddof=1)), ROUNDING) / len(means))
            margin = error * float(stats.t.ppf(1 - (1 - CONFIDENCE) / 2 / number, freedom))
            low, high = mean - margin, mean + margin
            p = min(1.0, number * 2 * float(stats.t.sf(abs(mean) / error, freedom)))
        found.append(Pair(better[1], worse[1], len(means), mean, low, high, p))
    return found


def rating(stimulus: Stimulus, means: Sequence[Any]) -> Rating:
    """From the mean that each listener gave."""
    mean = float(np.mean(means))
    if len(means) < 2:
        return Rating(stimulus, mean, math.nan, math.nan)
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(means) - 1) * np.std(means, ddof=1) / math.sqrt(len(means)))
    return Rating(stimulus, mean, max(0.0, mean - margin), min(100.0, mean + margin))


def finished(tests: Sequence[Test], notice: Callable[[str], None]) -> list[Test]:
    kept = []
    for copies in grouped(tests, lambda test: (type(test), test.id)):
        longest = max(copies, key=lambda test: test.trials)
        files = sorted({str(test.file) for test in copies})
        if len(copies) > 1:
            notice(f"{' and '.join(files)} hold the same test of {longest.listener}; it counts once")
        if longest.trials < longest.planned:
            notice(
                f"{longest.file}: a test of {longest.listener} ended after {longest.trials} of {longest.planned}; left out"
            )
        else:
            kept.append(longest)
    return kept


def grouped(items: Iterable[Any], key: Callable[[Any], Any]) -> list[list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


# ---- Votes files: they come by mail from anyone, so nothing in them is taken for granted ----------------------------


def cleaned(value: object) -> object:
    return printable(value.replace("\n", " ")) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(cleaned)]
Count = Annotated[int, Field(ge=1)]


class Votes(BaseModel):
    """What a listening page saves, as far as it is read; whatever else it says is left alone."""

    model_config = ConfigDict(strict=True)


class Page(Votes):
    id: Text
    title: Text


class Trial(Votes):
    x: Literal["A", "B"]
    answer: Literal["A", "B"]


class AbxVotes(Votes):
    id: Text
    a: Text
    b: Text
    planned: Count
    trials: Annotated[list[Trial], Field(max_length=MOST_TRIALS)]


class Score(Votes):
    kind: Literal["reference", "anchor", "mid_anchor", "model"]
    name: Text
    score: Annotated[float, Field(ge=0, le=100)]


class ExcerptVotes(Votes):
    region: Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(max_length=2)] = []
    ratings: Annotated[list[Score], Field(max_length=MOST_STIMULI)]

    @field_validator("ratings")
    @classmethod
    def one_reference(cls, ratings: list[Score]) -> list[Score]:
        if [each.kind for each in ratings].count("reference") != 1:
            raise ValueError("the hidden reference is not rated, or more than once")
        return ratings


class MushraVotes(Votes):
    id: Text
    planned: Count
    trials: Annotated[list[ExcerptVotes], Field(max_length=MOST_TRIALS)]

    @field_validator("trials")
    @classmethod
    def few_stimuli(cls, trials: list[ExcerptVotes]) -> list[ExcerptVotes]:
        count = len({(each.kind, each.name) for trial in trials for each in trial.ratings})
        if count > MOST_STIMULI:
            raise ValueError(f"{count:,} stimuli are rated, and a listener compares up to {MOST_STIMULI}")
        return trials


class File(Votes):
    page: Page
    listener: Text
    abx: Annotated[list[AbxVotes], Field(max_length=MOST_TESTS)]
    mushra: Annotated[list[MushraVotes], Field(max_length=MOST_TESTS)]
    runs: dict[Text, Text] = {}


NAMES = {"abx": "ABX test", "mushra": "MUSHRA test", "ratings": "rating", "region": "region"}


def read(path: Path, unnamed: str) -> list[Test]:
    """The tests in a votes file; the listener is who it names, or `unnamed`.

    Raises:
        AmpsimError: the file cannot be read or is not what a listening page saves.
    """
    votes = read_json(expanded(path), "votes file", LARGEST)
    if not isinstance(votes, dict) or votes.get("format") != "ampsim-votes":
        raise AmpsimError(f"{path} holds no votes: name JSON files that a listening page saved")
    if votes.get("version") not in (1, 2):  # 1 has no mid-range anchor
        raise AmpsimError(
            f"{path} is of version {votes.get('version')}, and this ampsim reads 1 and 2: is there a newer ampsim?"
        )
    try:
        # Not from the text itself: pydantic's parser refuses a name that was cut in the middle of a character.
        found = File.model_validate(votes)
    except ValidationError as error:
        raise AmpsimError(f"{path} is damaged: {fault(error)}; save the votes from the page again") from error
    listener = found.listener.strip() or printable(unnamed)
    about = {"page": found.page.id, "title": found.page.title, "listener": listener, "file": path}
    return [
        *(abx_test(test, about) for test in found.abx),
        *(mushra_test(test, found.runs, about) for test in found.mushra),
    ]


def abx_test(test: AbxVotes, about: dict[str, Any]) -> AbxTest:
    # Whether an answer is right is for the answer to tell, and not for the file.
    correct = sum(trial.x == trial.answer for trial in test.trials)
    pair = (test.a, test.b)
    return AbxTest(id=test.id, pair=pair, correct=correct, trials=len(test.trials), planned=test.planned, **about)


def mushra_test(test: MushraVotes, runs: dict[str, str], about: dict[str, Any]) -> MushraTest:
    ratings: list[dict[Stimulus, float]] = [
        {(each.kind, each.name): each.score for each in trial.ratings} for trial in test.trials
    ]
    excerpts: list[Excerpt] = [
        tuple(trial.region) or (test.id, number)
        for number, trial in enumerate(test.trials)  # a page names its regions
    ]
    return MushraTest(id=test.id, ratings=ratings, excerpts=excerpts, planned=test.planned, runs=runs, **about)


def fault(error: ValidationError) -> str:
    """The first fault of a file in words: what is wrong, in which trial of which test."""
    first = error.errors(include_url=False)[0]
    *places, last = first["loc"]
    names = NAMES | {"trials": "excerpt" if places[:1] == ["mushra"] else "trial"}
    if isinstance(last, int):  # a whole entry of a list is wrong
        places, last = [*places, last], ""
    entries = [f"{names[str(key)]} {place + 1}" for key, place in pairwise(places) if isinstance(place, int)]
    if "page" in places:
        entries = ["the page"]
    where = " of ".join(reversed(entries)) or "the file"
    if first["type"] == "missing":
        return f"{where} has no {last}"
    reason = first["msg"].removeprefix("Value error, ")
    return f"{f'{last} of ' if last else ''}{where}: {reason[0].lower()}{reason[1:]}"
