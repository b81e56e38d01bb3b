"""Where a fit stands and how far it has come: plain records, readable without TensorFlow."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

OLD_NAMES = {"rounds": "intervals"}  # of fields, in checkpoints that earlier versions wrote


@dataclass
class State:
    """Where a run stands, apart from its weights; what a checkpoint holds as JSON."""

    step: int = 0  # optimizer steps taken
    elapsed_s: float = 0.0  # wall time spent fitting, with validation and without compilation
    best_loss: float = math.inf
    best_step: int = 0
    member_losses: dict[str, float] = field(default_factory=dict)  # the best of each of the model's `members`
    stale: int = 0  # validations since the best
    sums: list[float] = field(default_factory=list)  # of each loss term over the current interval
    intervals: list[dict[str, float]] = field(default_factory=list)  # what was logged, one dict an interval
    pace: list[float] = field(default_factory=list)  # elapsed_s after each call, where the budget is in seconds

    def __post_init__(self) -> None:
        if not self.member_losses and math.isfinite(self.best_loss):  # a checkpoint of before there were several
            self.member_losses = {"": self.best_loss}

    @classmethod
    def restored(cls, values: Mapping[str, Any]) -> "State":
        """The state that a checkpoint holds, under today's names or those of earlier versions.

        Raises:
            ValueError: a name is that of no field, a value is of another type, or the whole is the state of no fit.
        """
        if not isinstance(values, Mapping):
            raise ValueError("its state is no record")
        renamed = {OLD_NAMES.get(name, name): value for name, value in values.items()}
        if unknown := set(renamed) - {each.name for each in fields(cls)}:
            raise ValueError(f"its state has a field {min(unknown)}, which there is not")
        try:
            state = TypeAdapter(cls).validate_json(json.dumps(renamed), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))} of its state: {first['msg']}") from error
        state.check()
        return state

    def check(self) -> None:
        """Raises ValueError where the values contradict each other."""
        steps = [row.get("step", -1.0) for row in self.intervals]
        if min(self.step, self.best_step, self.stale, self.elapsed_s) < 0 or not math.isfinite(self.elapsed_s):
            raise ValueError("its state counts below 0")
        if steps != sorted(steps) or any(not 0 <= step <= self.step for step in steps):
            raise ValueError("the intervals of its state are in no order")
        if self.best_step and self.best_step not in steps:
            raise ValueError("its state has no interval of its best step")


@dataclass(frozen=True)
class Progress:
    """How far a fit has come, for whoever shows it."""

    done: float  # 0 to 1
    epoch: float
    loss: float  # the mean over the current interval
    samples_per_s: float
    remaining_s: float
