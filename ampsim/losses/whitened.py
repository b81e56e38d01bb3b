"""A loss behind the filter that makes the recording's own target equally strong at all frequencies."""

import numpy as np

from ampsim.losses.filtered import Filtered
from ampsim.losses.loss import Loss, Tensor
from ampsim.signals import filters
from ampsim.signals.linear import whitening


class Whitened(Filtered):
    """A loss that sees the treble of an amp as it sees its bass, though a cabinet leaves little of it.

    Args:
        order: taps of the filter's past; it is designed on the targets that `prepare` is given. Without any, or on silent
            ones, it lets everything through as it is.
        floor_db: white noise, below the targets' power, under which nothing is raised.
    """

    def __init__(self, loss: Loss, *, order: int = 32, floor_db: float = -50.0, weight: float = 1.0) -> None:
        super().__init__(loss, weight=weight)
        if order < 1:
            raise ValueError(f"order={order}: it is 1 or more")
        self.order, self.floor = order, 10 ** (floor_db / 10)
        self.target: Tensor | None = None

    def prepare(self, *, sample_rate: int, segment_length: int, target: Tensor | None = None) -> None:
        self.target = target
        super().prepare(sample_rate=sample_rate, segment_length=segment_length, target=target)

    def design(self, sample_rate: int) -> filters.Taps:
        targets = np.zeros((0, 1)) if self.target is None else np.asarray(self.target)
        return whitening([*targets], order=self.order, floor=self.floor)
