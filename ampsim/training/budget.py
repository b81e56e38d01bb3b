"""How long a fit may take, and which learning rate belongs to how much of that is spent."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ampsim import AmpsimError
from ampsim.training.state import State


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Ends a fit after its epochs, its seconds or its patience, whichever is reached first.

    Its seconds begin once the training step is compiled, so that a slow compiler takes nothing from the training.

    Args:
        epoch_steps: optimizer steps in an epoch.
        epochs, seconds: one of them may be None.
        patience: validations without a better one after which the fit ends; None never ends it early.
        pace: the `State.pace` of an earlier fit, which replaces the clock where the budget is in seconds.
        learning_rate: what `schedule(progress)` multiplies; None where the optimizer brings a schedule of its own.

    Raises:
        AmpsimError: neither epochs nor seconds are given.
    """

    epoch_steps: int
    epochs: float | None = None
    seconds: float | None = None
    patience: int | None = None
    pace: Sequence[float] | None = None
    learning_rate: float | None
    schedule: Callable[[float], float]

    def __post_init__(self) -> None:
        if self.epochs is None and self.seconds is None:
            raise AmpsimError("a fit needs a budget: set training.epochs or training.seconds")

    @property
    def total_steps(self) -> float:
        """Optimizer steps in all, at least 1; infinite for a budget in seconds alone."""
        return math.inf if self.epochs is None else max(1, round(self.epochs * self.epoch_steps))

    def done(self, state: State, *, step: int | None = None) -> float:
        """The share of the budget that is spent, from 0 to 1, now or at another step."""
        by_time = 0.0 if self.seconds is None else state.elapsed_s / self.seconds
        by_steps = (state.step if step is None else step) / self.total_steps
        return min(1.0, max(by_steps, by_time))

    def spend(self, state: State, clock_s: float) -> None:
        """Count what a call took: by the clock, or by the pace that is replayed."""
        if self.seconds is not None:
            number = len(state.pace)
            # In tenths of a millisecond, which is fine enough and keeps the pace of a long fit small.
            state.pace.append(round(clock_s, 4) if self.pace is None else self.pace[number])
            clock_s = state.pace[-1]
        state.elapsed_s = clock_s

    def remaining_s(self, state: State) -> float:
        """The seconds that are left, as far as the pace until now tells."""
        done = self.done(state)
        return state.elapsed_s * (1 - done) / max(done, 1e-9)

    def rate(self, state: State, *, step: int) -> float:
        """The learning rate of a step; 0 where the optimizer has a schedule of its own and ignores it."""
        return 0.0 if self.learning_rate is None else self.learning_rate * self.schedule(self.done(state, step=step))

    def finished(self, state: State) -> bool:
        replayed = self.seconds is not None and self.pace is not None and len(state.pace) >= len(self.pace)
        out_of_patience = self.patience is not None and state.stale >= self.patience
        return replayed or out_of_patience or self.done(state) >= 1
