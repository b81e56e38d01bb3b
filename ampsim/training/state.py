"""Where a fit stands and how far it has come: plain records, readable without TensorFlow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OLD_NAMES = {"rounds": "intervals"}  # of fields, in checkpoints that earlier versions wrote


@dataclass
class State:
    """Where a run stands, apart from its weights; what a checkpoint holds as JSON."""

    step: int = 0  # optimizer steps taken
    elapsed_s: float = 0.0  # wall time spent fitting, with validation and without compilation
    best_loss: float = math.inf
    best_step: int = 0
    stale: int = 0  # validations since the best
    sums: list[float] = field(default_factory=list)  # of each loss term over the current interval
    intervals: list[dict[str, float]] = field(default_factory=list)  # what was logged, one dict an interval
    pace: list[float] = field(default_factory=list)  # elapsed_s after each call, where the budget is in seconds

    @classmethod
    def restored(cls, values: Mapping[str, Any]) -> "State":
        """The state that a checkpoint holds, under today's names or those of earlier versions.

        Raises:
            TypeError: a name is that of no field.
        """
        return cls(**{OLD_NAMES.get(name, name): value for name, value in values.items()})


@dataclass(frozen=True)
class Progress:
    """How far a fit has come, for whoever shows it."""

    done: float  # 0 to 1
    epoch: float
    loss: float  # the mean over the current interval
    samples_per_s: float
    remaining_s: float
