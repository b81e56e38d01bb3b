"""Losses on the waveform itself."""

import tensorflow as tf

from ampsim.losses.loss import Loss, Tensor

TINY = 1e-12  # a power below that of any recording; keeps a ratio finite


class MSE(Loss):
    """Mean squared error."""

    def __call__(self, target: Tensor, prediction: Tensor) -> Tensor:
        return tf.reduce_mean(tf.square(target - prediction))


class MAE(Loss):
    """Mean absolute error."""

    def __call__(self, target: Tensor, prediction: Tensor) -> Tensor:
        return tf.reduce_mean(tf.abs(target - prediction))


class ESR(Loss):
    """Error-to-signal ratio of the batch: its squared error over its squared target.

    Args:
        floor_db: level in dB re that of all targets to train on (re full scale until `prepare` knows them) below which
            a batch's energy is taken as this, so that a batch of near-silence does not count for more than all the
            playing: one such step would throw a net far off.
    """

    def __init__(self, *, floor_db: float = -20.0, weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        self.floor = self.relative_floor = 10 ** (floor_db / 10)

    def prepare(self, *, sample_rate: int, segment_length: int, target: Tensor | None = None) -> None:
        if target is not None:
            self.floor = self.relative_floor * max(float(tf.reduce_mean(tf.square(target))), TINY)

    def __call__(self, target: Tensor, prediction: Tensor) -> Tensor:
        return tf.reduce_mean(tf.square(target - prediction)) / self.energy(target)

    def energy(self, target: Tensor) -> Tensor:
        return tf.maximum(tf.reduce_mean(tf.square(target)), self.floor)


class DC(ESR):
    """The energy of the segments' offsets from their targets over the targets' energy (Damskägg et al., 2019).

    Where pre-emphasis takes the lowest frequencies out of an ESR, this keeps the prediction from drifting.
    """

    def __call__(self, target: Tensor, prediction: Tensor) -> Tensor:
        offsets = tf.reduce_mean(target - prediction, axis=1)
        return tf.reduce_mean(tf.square(offsets)) / self.energy(target)
