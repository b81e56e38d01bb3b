"""Learning-rate schedules over the budget of a run, be it in epochs or in seconds.

A schedule maps progress, from 0 to 1, to a factor on the optimizer's learning rate. (Keras' own schedules count steps;
`optimizer.learning_rate` takes one of those as well.)
"""

import math
from dataclasses import dataclass


class Schedule:
    """Called with progress, from 0 to 1, it returns the factor on the optimizer's learning rate."""

    def __call__(self, progress: float) -> float:
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Schedule):
    def __call__(self, progress: float) -> float:
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """A linear rise over the share `warmup`, then half a cosine down to `final` (Loshchilov & Hutter, 2017)."""

    final: float = 0.0
    warmup: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < 1:
            raise ValueError(f"schedule.warmup is a share of the budget from 0 up to 1, not {self.warmup}")

    def __call__(self, progress: float) -> float:
        if progress < self.warmup:
            return progress / self.warmup
        rest = (min(progress, 1.0) - self.warmup) / (1 - self.warmup)
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * rest))


@dataclass(frozen=True, kw_only=True)
class Exponential(Schedule):
    """An even fall, in ratio, to `final` at the end of the budget."""

    final: float = 0.01

    def __post_init__(self) -> None:
        if self.final <= 0:
            raise ValueError(f"schedule.final={self.final}: an exponential fall ends above 0")

    def __call__(self, progress: float) -> float:
        return float(self.final ** min(progress, 1.0))
