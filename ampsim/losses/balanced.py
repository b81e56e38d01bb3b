"""Terms whose weights are shares of the gradient, so that a weight means the same in whatever unit a term counts."""

import math

import keras
import tensorflow as tf

from ampsim.losses.loss import Loss, Sum, Tensor
from ampsim.losses.waveform import TINY


class Balanced(Sum):
    """Named terms, each of which has its weight's share of the gradient with respect to the prediction.

    The loss balancer of EnCodec (Défossez et al., 2022, arXiv 2210.13438, section 3.4): each term's gradient is divided by a
    moving average of its norm. Of all steps' gradients together the norm is about 1 / ||target||, as that of an ESR of 0.25, so
    that the level of a recording changes nothing. With a single term that has a weight it is that term's own gradient.

    Its value is the mean of the terms by their shares, a geometric one, so that halving any term counts as much in whatever
    unit it is. It is what chooses the best weights in validation.

    Args:
        decay: of the average, a step; 0.99 remembers about 100 steps.
    """

    def __init__(self, *, terms: dict[str, Loss], decay: float = 0.99) -> None:
        super().__init__(terms=terms)
        if not 0 <= decay < 1:
            raise ValueError(f"decay={decay}: it goes from 0 up to 1")
        self.decay = decay
        weights = {name: term.weight for name, term in terms.items() if term.weight > 0}
        self.shares = {name: weight / sum(weights.values()) for name, weight in weights.items()}
        self.rms = 1.0
        # Decayed sums over steps of each term's norm and, last, of 1, by which they are divided.
        self.norms: keras.Variable | None = None

    def prepare(self, *, sample_rate: int, segment_length: int, target: Tensor | None = None) -> "Sum":
        super().prepare(sample_rate=sample_rate, segment_length=segment_length, target=target)
        if target is not None:
            self.rms = math.sqrt(max(float(tf.reduce_mean(tf.square(target))), TINY))
        self.norms = keras.Variable(  # each device sees the whole batch, and so has the same
            tf.zeros(len(self.shares) + 1), trainable=False, aggregation="only_first_replica", name="norms"
        )
        return self

    @property
    def variables(self) -> list[keras.Variable]:
        return [] if self.norms is None or len(self.shares) == 1 else [self.norms]

    def __call__(self, target: Tensor, prediction: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The terms' geometric mean, and each term's own value."""
        values = {name: term(target, prediction) for name, term in self.terms.items()}
        return self.mean(values), values

    def mean(self, values: dict[str, Tensor]) -> Tensor:
        logs = [share * tf.math.log(tf.maximum(values[name], TINY)) for name, share in self.shares.items()]
        return tf.exp(tf.add_n(logs))

    def gradient(self, target: Tensor, prediction: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """What calling it gives, and the terms' gradients by their shares."""
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(prediction)
            values = {name: term(target, prediction) for name, term in self.terms.items()}
        slopes = [tape.gradient(values[name], prediction) for name in self.shares]
        del tape
        if len(slopes) == 1:
            return self.mean(values), values, slopes[0]
        if self.norms is None:
            raise RuntimeError("Balanced has nothing to average in: call prepare() first")
        norms = tf.stack([*(tf.norm(slope) for slope in slopes), 1.0])
        sums = self.decay * tf.convert_to_tensor(self.norms) + (1 - self.decay) * norms
        self.norms.assign(sums)
        size = tf.cast(tf.size(target), tf.float32)
        scale = sums[-1] / (tf.maximum(sums[:-1], TINY) * self.rms * tf.sqrt(size))
        parts = [
            share * scale[n] * slope for n, (share, slope) in enumerate(zip(self.shares.values(), slopes, strict=True))
        ]
        return self.mean(values), values, tf.add_n(parts)
