"""What recurrent families share: a state in place of a window."""

from functools import cached_property
from typing import Any

import tensorflow as tf

from ampsim.models.base import AmpModel
from ampsim.models.layers import check_sizes

SETTLED_S = 0.5  # after which no model still hears how it was started


class Recurrent(AmpModel):
    """A model that carries a state from sample to sample.

    A segment begins with `burn_in` samples that only bring the state from nothing to what it would be; no gradient
    flows through them (truncated backpropagation through time). A stream starts as after `burn_in` samples of silence.

    A family defines `build`, `initial_state` and `advance`.

    Args:
        burn_in: samples run before the first output of a segment. Streaming does not need them.
        skip: add the input's current sample to the output, so that the net learns the difference.
    """

    # XLA copies all that the loop has kept for the gradient at every sample: training ran 7 times slower with it.
    xla_training = False
    batch_size = 40  # a loop over samples takes little longer for many segments than for one

    def __init__(
        self, *, burn_in: int, skip: bool, future: int, sample_rate: int | None, **keras_arguments: Any
    ) -> None:
        super().__init__(future=future, sample_rate=sample_rate, **keras_arguments)
        check_sizes(burn_in=burn_in)
        self.burn_in, self.skip = burn_in, skip

    @property
    def receptive_field(self) -> int:
        return self.burn_in + self.future

    def initial_state(self, batch: int) -> Any:
        """Tensors in any nest of lists."""
        raise NotImplementedError

    def advance(self, signal: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
        """The net's outputs to (batch, n), also (batch, n), and the state after them."""
        raise NotImplementedError

    def transform(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
        before = self.receptive_field - 1
        _, state = self.advance(segment[:, :before], self.initial_state(segment.shape[0]))
        state = tf.nest.map_structure(tf.stop_gradient, state)
        outputs, _ = self.advance(segment[:, before:], state)
        return outputs + segment[:, self.burn_in : segment.shape[1] - self.lookahead] if self.skip else outputs

    def stream_state(self) -> Any:
        """The state after `burn_in` samples of silence, and the inputs that the skip connection still waits for."""
        silence = tf.zeros((1, self.history))
        return self.compiled_advance(silence, self.initial_state(1))[1], tf.zeros((1, self.lookahead))

    def settled_state(self) -> Any:
        if not self.sample_rate:
            return self.stream_state()
        silence = tf.zeros((1, round(SETTLED_S * self.sample_rate)))
        return self.compiled_advance(silence, self.initial_state(1))[1], tf.zeros((1, self.lookahead))

    def zero_state(self) -> Any:
        return self.initial_state(1), tf.zeros((1, self.lookahead))

    @cached_property
    def compiled_advance(self) -> Any:
        return tf.function(self.advance)

    def stream(self, block: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
        cells, waiting = state
        levelled = self.input_gain * block
        outputs, cells = self.advance(levelled, cells)
        heard = tf.concat([waiting, levelled], axis=1)
        length = tf.shape(block)[1]
        outputs = outputs + heard[:, :length] if self.skip else outputs
        return self.output_gain * outputs, (cells, heard[:, length:])
