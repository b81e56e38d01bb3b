"""The weights of a loss, learnt from what listeners answered: those with which it predicts best whom they rate higher."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import yaml
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import expit

from ampsim import AmpsimError
from ampsim.config.targets import build
from ampsim.report.votes import (
    CONFIDENCE,
    Excerpt,
    MushraTest,
    all_finished,
    grouped,
    indistinct_excerpts,
    why_excluded,
)
from ampsim.runs.artifacts import listened
from ampsim.runs.tracking import Store
from ampsim.signals.audio import Signal

SPECTRAL = {
    "sizes_ms": [42.66],
    "overlap": 0.75,
    "relative": True,
}  # a segment of 2048 samples at 48 kHz holds a window
# The terms to weigh, as the YAML names them.
TERMS: dict[str, dict[str, Any]] = {
    "esr": {"_target_": "ampsim.losses.ESR", "floor_db": -20.0},
    "a_weighted_esr": {
        "_target_": "ampsim.losses.AWeighted",
        "low_pass": 0.0,
        "loss": {"_target_": "ampsim.losses.ESR", "floor_db": -20.0},
    },
    "mrstft": {"_target_": "ampsim.losses.MultiResolutionSTFT", "floor_db": -60.0}
    | SPECTRAL
    | {"sizes_ms": [10.66, 21.33, 42.66]},
    "log_mel": {"_target_": "ampsim.losses.LogMel", "floor_db": -60.0} | SPECTRAL,
    "mfcc": {"_target_": "ampsim.losses.MFCC", "floor_db": -80.0} | SPECTRAL,
}
WAVEFORM, LEAST_WAVEFORM = ("esr", "a_weighted_esr"), 0.1  # the others hear neither phase nor polarity
FEWEST = 20  # comparisons, from which weights are told from each other
LEAST_SHARE = 0.01  # a term below it is left out
RIDGE, DRAWS = 0.01, 400
NO_DISTANCE = 1e-9

Distances = NDArray[np.float64]


@dataclass(frozen=True)
class Term:
    """A term's share of the gradient and the interval of it."""

    name: str
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Ear:
    """A blend of terms that was fitted to so many comparisons of two models in one excerpt by one listener; `predicted` is
    the share of them that it predicts, `equally` that of equal weights (ties left out, in sample)."""

    terms: list[Term]
    comparisons: int
    listeners: int
    pages: int
    predicted: float
    equally: float

    @property
    def tells(self) -> bool:
        """Whether the votes tell these weights from equal ones."""
        equal = 1 / len(self.terms)
        return self.comparisons >= FEWEST and any(not term.low <= equal <= term.high for term in self.terms)

    @property
    def verdict(self) -> str:
        if self.comparisons < FEWEST:
            return f"{self.comparisons} comparisons are too few to tell these weights from equal ones; {FEWEST} are the least"
        found = f"the loss predicts {self.predicted:.0%} of the comparisons, with equal weights {self.equally:.0%}"
        return f"{found}; the votes do{'' if self.tells else ' not'} tell these weights from equal ones"

    @property
    def yaml(self) -> str:
        """The loss as a file of conf/loss holds it."""
        shares = {term.name: term.share for term in self.terms if term.share >= LEAST_SHARE}
        missing = LEAST_WAVEFORM - sum(shares.get(name, 0.0) for name in WAVEFORM)
        lines = [
            f"Fitted by `ampsim fit-ear` to {self.comparisons} comparisons of {self.listeners} listeners on {self.pages} pages:",
            f"{self.verdict}.",
            *(f"{term.name}: {term.share:.3f}, 95 % from {term.low:.3f} to {term.high:.3f}" for term in self.terms),
        ]
        if missing > 0:
            shares["esr"] = shares.get("esr", 0.0) + missing
            lines.append("The share of esr was raised, since the other terms hear neither phase nor polarity.")
        total = sum(shares.values())
        terms = {name: TERMS[name] | {"weight": round(share / total, 3)} for name, share in shares.items()}
        body = yaml.safe_dump({"_target_": "ampsim.losses.Balanced", "decay": 0.99, "terms": terms}, sort_keys=False)
        return "".join(f"# {line}\n" for line in lines) + body


class Sounds:
    """What the runs of a store played, and how far an excerpt of it lies from the amp by each term."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.played: dict[str, tuple[dict[str, Signal], int]] = {}
        self.known: dict[tuple[str, float, float], Distances] = {}

    def run(self, run_id: str) -> tuple[dict[str, Signal], int]:
        """Its signals and sample rate.

        Raises:
            AmpsimError: the store has no such run, or not its audio.
        """
        if run_id not in self.played:
            found = self.store.with_id(run_id)
            if found is None:
                raise AmpsimError(f"{self.store.folder} has no run {run_id}")
            try:
                self.played[run_id] = listened(self.store.tracked(found))
            except (KeyError, ValueError) as error:
                raise AmpsimError(f"run {run_id} does not say how loud its audio was written") from error
        return self.played[run_id]

    def usable(self, runs: dict[str, str], notice: Callable[[str], None]) -> dict[str, str]:
        """Of runs by their names on a page, those that played here what the first of them did; why others are left out."""
        found: dict[str, str] = {}
        for name, run_id in runs.items():
            try:
                signals, rate = self.run(run_id)
                first, first_rate = self.run(next(iter(found.values()), run_id))
            except AmpsimError as error:
                notice(f"{name} is left out: {error}")
                continue
            alike = rate == first_rate and len(signals["amp"]) == len(first["amp"])
            if not alike or np.abs(signals["amp"] - first["amp"]).max() > 1e-3 * np.abs(first["amp"]).max():
                notice(f"{name} is left out: it was tested on another recording than {next(iter(found))}")
                continue
            found[name] = run_id
        return found

    def distances(self, run_id: str, start_s: float, end_s: float) -> Distances:
        """The terms' values, (num_terms,), of an excerpt of a run.

        Raises:
            AmpsimError: as `run`; or the excerpt lies beyond what the run played, or is too short for a term.
        """
        if (run_id, start_s, end_s) not in self.known:
            signals, rate = self.run(run_id)
            start, end = round(start_s * rate), round(end_s * rate)
            if not 0 <= start < end <= len(signals["amp"]):
                length_s = len(signals["amp"]) / rate
                raise AmpsimError(
                    f"{start_s:g} to {end_s:g} s are not in the {length_s:.1f} s that run {run_id} played"
                )
            whole, target, prediction = (
                tf.constant(samples[None], tf.float32)
                for samples in (signals["amp"], signals["amp"][start:end], signals["prediction"][start:end])
            )
            values = []
            for section in TERMS.values():
                loss = build(section, "loss")
                loss.prepare(sample_rate=rate, segment_length=end - start, target=whole)
                values.append(float(loss(target, prediction)))
            self.known[run_id, start_s, end_s] = np.array(values)
        return self.known[run_id, start_s, end_s]


@dataclass
class Answers:
    """Comparisons of two models: by how much the logs of the second's terms are larger, (num_terms,) each, whether the first
    was rated higher (0.5 for a tie), and by whom in which excerpt."""

    differences: list[Distances] = field(default_factory=list)
    higher: list[float] = field(default_factory=list)
    listeners: list[str] = field(default_factory=list)
    excerpts: list[tuple[str, float, float]] = field(default_factory=list)


def fitted(paths: Sequence[Path], sounds: Sounds, *, notice: Callable[[str], None], seed: int = 0) -> Ear:
    """Weigh the terms by votes files; what cannot be used is told and left out.

    Raises:
        AmpsimError: a file is no votes file, or nothing in them can be used.
    """
    tests = [test for test in all_finished(paths, notice) if isinstance(test, MushraTest)]
    answers, told = Answers(), set[str]()

    def once(text: str) -> None:
        if text not in told:
            told.add(text)
            notice(text)

    for page in grouped(tests, lambda test: test.page):
        add_page(answers, page, sounds, once)
    if not answers.higher:
        raise AmpsimError(
            "these votes compare no two models whose sound is here: it takes a finished MUSHRA test of a page with two models "
            "or more, and their runs in the folder that `folder=` names"
        )
    differences, higher = np.array(answers.differences), np.array(answers.higher)
    weights = learnt(differences, higher)
    draws = np.array([shares(learnt(differences[rows], higher[rows])) for rows in drawn(answers, seed)])
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    terms = [Term(*each) for each in zip(TERMS, shares(weights).tolist(), low.tolist(), high.tolist(), strict=True)]
    pages = len({page for page, *_ in answers.excerpts})
    right = [predicted(differences, higher, each) for each in (weights, np.ones(len(TERMS)))]
    return Ear(terms, len(higher), len(set(answers.listeners)), pages, *right)


def add_page(answers: Answers, tests: Sequence[MushraTest], sounds: Sounds, notice: Callable[[str], None]) -> None:
    """Add what the listeners of one page answered, less those whom BS.1534 excludes."""
    indistinct = indistinct_excerpts(tests)
    for group in grouped(tests, lambda test: test.listener):
        if reason := why_excluded(group, indistinct):
            notice(f"{group[0].listener} is left out of {group[0].title}, after ITU-R BS.1534: {reason}")
            continue
        for test in group:
            rated = sorted({name for each in test.ratings for kind, name in each if kind == "model"})
            for name in rated:
                if name not in test.runs:
                    notice(f"{name} is left out: the votes on {test.title} do not say which run it is")
            runs = sounds.usable({name: test.runs[name] for name in rated if name in test.runs}, notice)
            for excerpt, ratings in zip(test.excerpts, test.ratings, strict=True):
                scores = {
                    runs[name]: score for (kind, name), score in ratings.items() if kind == "model" and name in runs
                }
                try:
                    add_excerpt(answers, test, excerpt, scores, sounds)
                except AmpsimError as error:
                    notice(f"{test.title}: an excerpt is left out: {error}")


def add_excerpt(answers: Answers, test: MushraTest, excerpt: Excerpt, scores: dict[str, float], sounds: Sounds) -> None:
    """Add the comparisons of each two of the runs that were rated in an excerpt.

    Raises:
        AmpsimError: it is not known which part of the recording it is, or that part is not there.
    """
    match excerpt:
        case (float(start_s), float(end_s)):
            logs = {each: np.log(np.maximum(sounds.distances(each, start_s, end_s), NO_DISTANCE)) for each in scores}
        case _:
            raise AmpsimError("its votes do not say which part of the recording was heard")
    for one, other in combinations(scores, 2):
        answers.differences.append(logs[other] - logs[one])
        answers.higher.append((1 + float(np.sign(scores[one] - scores[other]))) / 2)
        answers.listeners.append(test.listener)
        answers.excerpts.append((test.page, start_s, end_s))


def learnt(differences: Distances, higher: Distances) -> Distances:
    """Weights of 0 or more, (num_terms,), of the most likely Bradley-Terry model (1952): a model's strength is minus the
    weighted sum of the logs of its terms. A slight ridge keeps them finite where nobody errs."""

    def loss(weights: Distances) -> tuple[float, Distances]:
        odds = differences @ weights
        value = float(np.sum(np.logaddexp(0, odds) - higher * odds)) + RIDGE / 2 * float(weights @ weights)
        return value, differences.T @ (expit(odds) - higher) + RIDGE * weights

    start = np.full(differences.shape[1], 0.1)
    return optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start)).x


def shares(weights: Distances) -> Distances:
    total = weights.sum()
    return weights / total if total > 1e-6 else np.full(len(weights), 1 / len(weights))


def predicted(differences: Distances, higher: Distances, weights: Distances) -> float:
    """The share of comparisons that come out as predicted, ties left out."""
    told = higher != 0.5
    return float(np.mean((differences[told] @ weights > 0) == (higher[told] == 1))) if told.any() else math.nan


def drawn(answers: Answers, seed: int) -> list[NDArray[np.int64]]:
    """Rows of each draw of a bootstrap in two stages: of listeners, then of the excerpts that each rated."""
    random = np.random.default_rng(seed)
    blocks: dict[str, dict[tuple[str, float, float], list[int]]] = {}
    for row, (listener, excerpt) in enumerate(zip(answers.listeners, answers.excerpts, strict=True)):
        blocks.setdefault(listener, {}).setdefault(excerpt, []).append(row)
    by_listener = [list(each.values()) for each in blocks.values()]
    found = []
    for _ in range(DRAWS):
        rows: list[int] = []
        for listener in random.integers(len(by_listener), size=len(by_listener)):
            own = by_listener[listener]
            for excerpt in random.integers(len(own), size=len(own)):
                rows += own[excerpt]
        found.append(np.array(rows))
    return found
