"""What listeners answered on listening pages, summed up: ABX tests by the binomial test, MUSHRA ratings with intervals."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from ampsim import AmpsimError, printable

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


def read(path: Path, unnamed: str) -> list[Test]:
    """The tests in a votes file; the listener is who it names, or `unnamed`.

    Raises:
        AmpsimError: the file cannot be read or is not what a listening page saves.
    """
    try:
        file = path.expanduser()
        special = file.exists() and not file.is_file() and not file.is_dir()  # a pipe would never end
        if special or (file.is_file() and file.stat().st_size > LARGEST):
            raise AmpsimError(f"{path} is no votes file: name JSON files that a listening page saved")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AmpsimError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AmpsimError(
            f"{path} is not text, let alone votes: name JSON files that a listening page saved"
        ) from error
    try:
        votes = json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise AmpsimError(f"{path} is not whole JSON ({error}): copy all of the votes from the page again") from error
    if not isinstance(votes, dict) or votes.get("format") != "ampsim-votes":
        raise AmpsimError(f"{path} holds no votes: name JSON files that a listening page saved")
    if votes.get("version") != 1:
        raise AmpsimError(
            f"{path} is of version {votes.get('version')}, and this ampsim reads 1: is there a newer ampsim?"
        )
    try:
        page = field(votes, "page", dict, "the file")
        about = {
            "page": field(page, "id", str, "the page"),
            "title": field(page, "title", str, "the page"),
            "listener": field(votes, "listener", str, "the file").strip() or printable(unnamed),
            "file": path,
        }
        abx = [abx_test(each, f"ABX test {k}", about) for k, each in numbered(votes, "abx", "the file")]
        mushra = [mushra_test(each, f"MUSHRA test {k}", about) for k, each in numbered(votes, "mushra", "the file")]
    except ValueError as error:
        raise AmpsimError(f"{path} is damaged: {error}; save the votes from the page again") from error
    return [*abx, *mushra]


def abx_test(test: Any, where: str, about: dict[str, Any]) -> AbxTest:
    # Whether an answer is right is for the answer to tell, and not for the file.
    correct = 0
    trials = numbered(test, "trials", where)
    for k, trial in trials:
        x, answer = (choice(trial, key, ("A", "B"), f"trial {k} of {where}") for key in ("x", "answer"))
        correct += x == answer
    pair = (field(test, "a", str, where), field(test, "b", str, where))
    return AbxTest(
        id=field(test, "id", str, where),
        pair=pair,
        correct=correct,
        trials=len(trials),
        planned=whole(test, "planned", where),
        **about,
    )


def mushra_test(test: Any, where: str, about: dict[str, Any]) -> MushraTest:
    ratings = []
    for k, trial in numbered(test, "trials", where):
        here, found = f"excerpt {k} of {where}", {}
        for _, each in numbered(trial, "ratings", here):
            kind = choice(each, "kind", ("reference", "anchor", "model"), here)
            score = each.get("score")
            if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 100:
                raise ValueError(f"{here} has a score that is no number from 0 to 100")
            found[kind, field(each, "name", str, here)] = float(score)
        if [kind for kind, _ in found].count("reference") != 1:
            raise ValueError(f"{here} has no rating of the hidden reference, or several")
        ratings.append(found)
    return MushraTest(id=field(test, "id", str, where), ratings=ratings, planned=whole(test, "planned", where), **about)


def field(place: Any, key: str, kind: type, where: str) -> Any:
    if not isinstance(place, dict) or not isinstance(place.get(key), kind):
        raise ValueError(f"{where} has no {key}, or one of the wrong kind")
    return printable(place[key].replace("\n", " ")) if kind is str else place[key]


def whole(place: Any, key: str, where: str) -> int:
    value = field(place, key, int, where)
    if isinstance(value, bool) or value < 1:
        raise ValueError(f"{key} of {where} is not a number of 1 or more")
    return value


def choice(place: Any, key: str, allowed: tuple[str, ...], where: str) -> str:
    value = field(place, key, str, where)
    if value not in allowed:
        raise ValueError(f"{key} of {where} is none of {', '.join(allowed)}")
    return value


def numbered(place: Any, key: str, where: str) -> list[tuple[int, Any]]:
    return list(enumerate(field(place, key, list, where), start=1))


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")
