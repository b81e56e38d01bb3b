"""Any loss behind a filter that says what the ear attends to."""

import numpy as np
import tensorflow as tf
from scipy.fft import next_fast_len

from ampsim import AmpsimError
from ampsim.losses.loss import Loss, Tensor
from ampsim.signals import filters

DIRECT_TO = 8  # taps up to which a filter is a sum of shifted signals rather than an FFT convolution


class Filtered(Loss):
    """A loss on target and prediction behind one filter; of a segment, the samples whose whole past lies in it count.

    A kind of filter defines `design`.

    Args:
        loss: what to compute behind the filter. Its own weight stays at 1: the wrapper's counts.
    """

    def __init__(self, loss: Loss, *, weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        if loss.weight != 1:
            raise ValueError(
                f"the loss inside a filter has weight {loss.weight:g}: set the weight of the filter's term"
            )
        self.loss = loss
        self.taps = np.empty(0)

    def design(self, sample_rate: int) -> filters.Taps:
        raise NotImplementedError

    def prepare(self, *, sample_rate: int, segment_length: int, target: Tensor | None = None) -> None:
        self.taps = self.design(sample_rate)
        left = segment_length - len(self.taps) + 1
        if left < len(self.taps) / 2:
            raise AmpsimError(
                f"training.segment_length={segment_length} leaves {type(self).__name__} too little to judge: its filter "
                f"takes {len(self.taps):,} samples at {sample_rate} Hz. Set training.segment_length to "
                f"{-(-3 * len(self.taps) // 2):,} or more"
            )
        heard = None if target is None else convolved(target, self.taps)
        self.loss.prepare(sample_rate=sample_rate, segment_length=left, target=heard)

    def __call__(self, target: Tensor, prediction: Tensor) -> Tensor:
        if not len(self.taps):
            raise RuntimeError(f"{type(self).__name__} does not know the sample rate: call prepare() first")
        return self.loss(convolved(target, self.taps), convolved(prediction, self.taps))


class PreEmphasized(Filtered):
    """A loss behind a first-order high-pass, 1 - coefficient z^-1; it is meant for the rate it was chosen at."""

    def __init__(self, loss: Loss, *, coefficient: float = 0.85, weight: float = 1.0) -> None:
        super().__init__(loss, weight=weight)
        if not 0 < coefficient <= 1:
            raise ValueError(f"coefficient={coefficient}: a pre-emphasis takes one above 0 and up to 1")
        self.coefficient = coefficient

    def design(self, sample_rate: int) -> filters.Taps:
        return filters.pre_emphasis(self.coefficient)


class AWeighted(Filtered):
    """A loss behind the A-weighting.

    Args:
        low_pass: coefficient of a first-order low-pass in series (Wright and Välimäki, 2020: 0.85); 0 leaves it out.
    """

    def __init__(self, loss: Loss, *, low_pass: float = 0.0, weight: float = 1.0) -> None:
        super().__init__(loss, weight=weight)
        if not 0 <= low_pass <= 1:
            raise ValueError(f"low_pass={low_pass}: it goes from 0 (none) to 1")
        self.low_pass = low_pass

    def design(self, sample_rate: int) -> filters.Taps:
        return filters.a_weighting(sample_rate, low_pass=self.low_pass)


def convolved(signal: Tensor, taps: filters.Taps) -> Tensor:
    """The valid part of signal * taps along time: (batch, n) -> (batch, n - len(taps) + 1)."""
    memory, length = len(taps) - 1, signal.shape[1]
    if len(taps) <= DIRECT_TO:
        shifted = [tap * signal[:, memory - k : length - k] for k, tap in enumerate(taps)]
        return tf.add_n(shifted)
    # A circular convolution wraps round into the first `memory` outputs only, and these are not valid anyway.
    size = 2 * next_fast_len(-(-length // 2), real=True)  # even, as irfft takes it to be
    response = np.fft.rfft(taps, size).astype(np.complex64)
    spectrum = tf.signal.rfft(signal, [size]) * response
    return tf.signal.irfft(spectrum, [size])[:, memory:length]
