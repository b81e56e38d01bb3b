"""Sums over short blocks of a held-out signal: what a score is made of, kept so that two models can be told apart."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ampsim.metrics.scores import SCORES, Pairs
from ampsim.signals import filters

BLOCK_S = 0.5


@dataclass(frozen=True)
class Blocks:
    """Sums over blocks of half a second, one after another through all signals; a signal's last block may be shorter.

    `target` is a hash of what was held out: blocks of two models belong together only where it is the same.
    `predicted_mushra` is the rating of each excerpt of 3 s, which are the blocks of that score; runs of before have none.
    """

    target: str
    samples: list[int]
    error: list[float]
    energy: list[float]
    a_weighted_error: list[float]
    a_weighted_energy: list[float]
    predicted_mushra: list[float] = field(default_factory=list)

    @property
    def excerpts(self) -> list[int]:
        return [1] * len(self.predicted_mushra)

    def parts(self, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """What each block adds to a metric's numerator and denominator; None for a metric that is no such quotient, or
        where fewer than two blocks are kept, between which nothing can vary."""
        quotient = SCORES[metric].quotient if metric in SCORES else None
        if quotient is None:
            return None
        numerator, denominator = (np.asarray(getattr(self, name), np.float64) for name in quotient)
        return (numerator, denominator) if len(numerator) > 1 else None


def block_sums(pairs: Pairs, sample_rate: int, *, predicted_mushra: Sequence[float] = ()) -> Blocks:
    """Sums of (target, prediction) signals of shape (num_samples,): their quotients are the scores of the same names.

    `predicted_mushra` are the ratings of their excerpts.
    """
    length, taps = round(BLOCK_S * sample_rate), filters.a_weighting(sample_rate)
    sums: dict[str, list[float]] = {name: [] for name in ("error", "energy", "a_weighted_error", "a_weighted_energy")}
    samples: list[int] = []
    for target, prediction in pairs:
        starts = np.arange(0, len(target), length)
        samples += np.diff([*starts, len(target)]).tolist()
        error = np.asarray(target, np.float64) - prediction
        signals = (error, np.asarray(target, np.float64), filters.filtered(error, taps), filters.filtered(target, taps))
        for name, signal in zip(sums, signals, strict=True):
            sums[name] += np.add.reduceat(np.square(signal), starts).tolist()
    held_out = held_out_hash((target for target, _ in pairs), sample_rate)
    return Blocks(held_out, samples, **sums, predicted_mushra=[*predicted_mushra])


def held_out_hash(targets: Iterable[NDArray[np.floating]], sample_rate: int) -> str:
    digest = hashlib.sha256(str(sample_rate).encode())
    for target in targets:
        digest.update(len(target).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(target, "<f4").tobytes())
    return digest.hexdigest()
