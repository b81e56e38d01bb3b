"""The contract of a loss, and the weighted sum of named terms."""

import math
from typing import Any

import keras
import tensorflow as tf

Tensor = Any  # tf.Tensor, which TensorFlow does not type


class Loss:
    """A term: called with target and prediction, both (batch, num_samples), it returns a scalar.

    Args:
        weight: what the term counts for in a sum; 0 only logs it.
    """

    def __init__(self, *, weight: float = 1.0) -> None:
        if not 0 <= weight < math.inf:
            raise ValueError(f"a loss term's weight is 0 (logged only) or more, not {weight}")
        self.weight = float(weight)

    def prepare(self, *, sample_rate: int, segment_length: int, target: Tensor | None = None) -> None:
        """Learn from the run what the config does not repeat: the sample rate in hertz, the samples per example, and
        targets of some examples, (num_examples, segment_length), as a measure of their level.

        Raises:
            AmpsimError: the term cannot work at this rate or on segments so short.
        """

    def __call__(self, target: Tensor, prediction: Tensor) -> Tensor:
        raise NotImplementedError


class Sum:
    """Named terms, added up by their weights."""

    def __init__(self, *, terms: dict[str, Loss]) -> None:
        if not isinstance(terms, dict):
            raise ValueError("loss.terms holds a loss by each name, as in {esr: {_target_: ampsim.losses.ESR}}")
        for name, term in terms.items():
            if not isinstance(term, Loss):
                raise ValueError(f"loss.terms.{name} has no _target_ that names a loss")
        if not any(term.weight > 0 for term in terms.values()):
            raise ValueError("a loss needs at least one term with a weight above 0")
        self.terms = terms

    def prepare(self, *, sample_rate: int, segment_length: int, target: Tensor | None = None) -> "Sum":
        """This sum, once every term knows the run's sample rate, segment length and level; see `Loss.prepare`."""
        for term in self.terms.values():
            term.prepare(sample_rate=sample_rate, segment_length=segment_length, target=target)
        return self

    def __call__(self, target: Tensor, prediction: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and each term's own value."""
        values = {name: term(target, prediction) for name, term in self.terms.items()}
        weighted = [self.terms[name].weight * value for name, value in values.items() if self.terms[name].weight > 0]
        return sum(weighted[1:], weighted[0]), values

    def gradient(self, target: Tensor, prediction: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """What calling it gives, and the gradient to train with, with respect to the prediction."""
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            total, values = self(target, prediction)
        return total, values, tape.gradient(total, prediction)

    @property
    def variables(self) -> list[keras.Variable]:
        """What training changes in it; a checkpoint keeps them."""
        return []
