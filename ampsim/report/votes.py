"""What listeners answered on listening pages, summed up: ABX tests by the binomial test, MUSHRA ratings with intervals."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from scipy import stats

from ampsim import AmpsimError, printable
from ampsim.files import expanded, read_json

CONFIDENCE = 0.95
LARGEST = 10_000_000  # bytes of a votes file; a listener's are a few thousand
# ITU-R BS.1534-3, 4.1.2: a listener is left out who rates the hidden reference below this in more of the excerpts.
REFERENCE_AT_LEAST, MISSED_AT_MOST = 90, 0.15

Stimulus = tuple[str, str]  # "reference", "anchor" or "model", and its name


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
    """One listener's ratings, from 0 to 100: a dict for each excerpt, of so many planned."""

    id: str
    page: str
    title: str
    listener: str
    file: Path
    ratings: list[dict[Stimulus, float]]
    planned: int

    @property
    def trials(self) -> int:
        return len(self.ratings)

    @property
    def missed(self) -> int:
        """Excerpts in which the hidden reference was not rated as such."""
        return sum(
            score < REFERENCE_AT_LEAST
            for each in self.ratings
            for (kind, _), score in each.items()
            if kind == "reference"
        )


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
class Mushra:
    """Ratings of one page, best first; `excluded` tells whose are not in them: missed references and excerpts."""

    title: str
    listeners: list[str]
    excluded: dict[str, tuple[int, int]]
    ratings: list[Rating]


def summaries(paths: Sequence[Path], *, notice: Callable[[str], None]) -> tuple[list[Abx], list[Mushra]]:
    """Sum up votes files: ABX tests by page and pair, MUSHRA ratings by page.

    A test that is in several files counts once; one that was not finished does not count, since who may stop at will
    can stop while ahead. `notice` hears of both.

    Raises:
        AmpsimError: a file is not there or is not a votes file, or there is nothing to sum up.
    """
    stems = Counter(path.stem for path in paths)
    names = [path.stem if stems[path.stem] == 1 else str(path.with_suffix("")) for path in paths]
    tests = finished([test for path, name in zip(paths, names, strict=True) for test in read(path, name)], notice)
    if not tests:
        raise AmpsimError(
            "these files hold no finished test: finish one on a listening page, then save its votes again"
        )
    abx = grouped((test for test in tests if isinstance(test, AbxTest)), lambda test: (test.page, *sorted(test.pair)))
    mushra = grouped((test for test in tests if isinstance(test, MushraTest)), lambda test: test.page)
    return [of_pair(group) for group in abx], [of_page(group) for group in mushra]


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
    for group in grouped(tests, lambda test: test.listener):
        missed, excerpts = sum(test.missed for test in group), sum(test.trials for test in group)
        if missed > MISSED_AT_MOST * excerpts:
            excluded[group[0].listener] = (missed, excerpts)
        else:
            kept[group[0].listener] = [each for test in group for each in test.ratings]
    stimuli = dict.fromkeys(stimulus for each in kept.values() for excerpt in each for stimulus in excerpt)
    scores = {
        stimulus: [[excerpt[stimulus] for excerpt in each if stimulus in excerpt] for each in kept.values()]
        for stimulus in stimuli
    }
    ratings = [rating(stimulus, [np.mean(each) for each in of if each]) for stimulus, of in scores.items()]
    return Mushra(tests[0].title, list(kept), excluded, sorted(ratings, key=lambda each: -each.mean))


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
    trials: list[Trial]


class Score(Votes):
    kind: Literal["reference", "anchor", "model"]
    name: Text
    score: Annotated[float, Field(ge=0, le=100)]


class Excerpt(Votes):
    ratings: list[Score]

    @field_validator("ratings")
    @classmethod
    def one_reference(cls, ratings: list[Score]) -> list[Score]:
        if [each.kind for each in ratings].count("reference") != 1:
            raise ValueError("the hidden reference is not rated, or more than once")
        return ratings


class MushraVotes(Votes):
    id: Text
    planned: Count
    trials: list[Excerpt]


class File(Votes):
    page: Page
    listener: Text
    abx: list[AbxVotes]
    mushra: list[MushraVotes]


NAMES = {"abx": "ABX test", "mushra": "MUSHRA test", "ratings": "rating"}


def read(path: Path, unnamed: str) -> list[Test]:
    """The tests in a votes file; the listener is who it names, or `unnamed`.

    Raises:
        AmpsimError: the file cannot be read or is not what a listening page saves.
    """
    votes = read_json(expanded(path), "votes file", LARGEST)
    if not isinstance(votes, dict) or votes.get("format") != "ampsim-votes":
        raise AmpsimError(f"{path} holds no votes: name JSON files that a listening page saved")
    if votes.get("version") != 1:
        raise AmpsimError(
            f"{path} is of version {votes.get('version')}, and this ampsim reads 1: is there a newer ampsim?"
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
        *(mushra_test(test, about) for test in found.mushra),
    ]


def abx_test(test: AbxVotes, about: dict[str, Any]) -> AbxTest:
    # Whether an answer is right is for the answer to tell, and not for the file.
    correct = sum(trial.x == trial.answer for trial in test.trials)
    pair = (test.a, test.b)
    return AbxTest(id=test.id, pair=pair, correct=correct, trials=len(test.trials), planned=test.planned, **about)


def mushra_test(test: MushraVotes, about: dict[str, Any]) -> MushraTest:
    ratings: list[dict[Stimulus, float]] = [
        {(each.kind, each.name): each.score for each in trial.ratings} for trial in test.trials
    ]
    return MushraTest(id=test.id, ratings=ratings, planned=test.planned, **about)


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
