"""The one way to follow a run: subclass `Observer` and override what you want to know."""

from typing import TYPE_CHECKING

from ampsim.training.state import Progress

if TYPE_CHECKING:
    from ampsim.metrics.scores import Pairs


class Observer:
    """Is told what happens in a run, and may end it. Every method does nothing unless it is overridden.

    An exception raised in a method ends the run: PrunedError marks it as pruned, any other as failed.
    """

    def notice(self, text: str) -> None:
        """A sentence for the user: what was found in the recording, what the run goes on with."""

    def doing(self, what: str) -> None:
        """What the run is at while no progress is told: compiling, validating, scoring and the like."""

    def progress(self, progress: Progress) -> None:
        """Called after every call of the compiled training function, which may be many times a second."""

    def interval(self, row: dict[str, float]) -> None:
        """A point of the training curves: the losses of the interval that has ended, and its validation where one was due.

        A model that solves for weights after its training adds a last row, which has no `loss`.
        """

    def validated(self, step: int, pairs: "Pairs") -> None:
        """The (target, prediction) signals of a validation at an optimizer step, each (num_samples,); not to be changed."""

    def stop(self) -> bool:
        """Whether the fit should end with the current interval; it can be resumed as if it had not been stopped."""
        return False
