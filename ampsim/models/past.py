"""Streams of nets of convolutions, each of which keeps what it heard before a block.

A model that kept the past of its input alone would play its whole memory anew with each block, which at 64 samples is
dozens of times the work.
"""

from collections.abc import Callable

import tensorflow as tf

from ampsim.models.base import AmpModel, PlainStream


class Past:
    """What the filters of a net heard before a block, in the order in which they are played; None is zeros."""

    def __init__(self, state: list[tf.Tensor] | None) -> None:
        self.before = iter(state) if state is not None else None
        self.after: list[tf.Tensor] = []

    def heard(self, features: tf.Tensor, memory: int) -> tf.Tensor:
        """Features, (channels, n), with the `memory` samples before them."""
        before = tf.zeros((features.shape[0], memory)) if self.before is None else next(self.before)
        heard = tf.concat([before, features], axis=1)
        self.after.append(heard[:, features.shape[1] :])
        return heard


def with_pasts(model: AmpModel, net: Callable[[tf.Tensor, Past], tf.Tensor]) -> tuple[PlainStream, list[tf.Tensor]]:
    """A stream of `net`, which maps (1, n) between the model's gains to (1, n), and its state after silence."""

    def stream(block: tf.Tensor, state: list[tf.Tensor] | None) -> tuple[tf.Tensor, list[tf.Tensor]]:
        past = Past(state)
        return model.output_gain * net(model.input_gain * block, past), past.after

    silence = tf.zeros((1, model.receptive_field))
    return stream, stream(silence, stream(silence, None)[1])[1]
