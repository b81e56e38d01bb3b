"""The contract of a loss, and the weighted sum of named terms."""

import inspect
import math
import re
import traceback
from contextlib import suppress
from typing import Any

import keras
import tensorflow as tf

from ampsim import AmpsimError

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
        """This sum, once every term knows the run's sample rate, segment length and level; see `Loss.prepare`.

        Raises:
            AmpsimError: as `Loss.prepare`; or a term of someone's own fails, or returns no scalar.
        """
        for name, term in self.terms.items():
            term.prepare(sample_rate=sample_rate, segment_length=segment_length, target=target)
            if not type(term).__module__.startswith("ampsim."):
                check(name, term, segment_length)
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


def check(name: str, term: Loss, segment_length: int) -> None:
    """Trace the term on a batch of two, which computes nothing and draws no random number.

    Raises:
        AmpsimError: it fails, or what it returns is no scalar of floats.
    """
    signal = tf.TensorSpec((2, segment_length), tf.float32)
    told = f"the loss term `{name}` ({type(term).__module__}.{type(term).__qualname__})"
    try:
        outputs = tf.function(term.__call__).get_concrete_function(signal, signal).structured_outputs
    except Exception as error:  # whatever a stranger's code raises
        raise AmpsimError(f"{told} fails{place(error, term)}: {reason(error)}") from error
    shape = getattr(outputs, "shape", None)
    if shape is None:
        raise AmpsimError(f"{told} returns {type(outputs).__name__}, not a scalar tensor: end it with tf.reduce_mean")
    if shape.rank not in (0, None):
        raise AmpsimError(f"{told} returns the shape {tuple(shape)}, not a scalar: end it with tf.reduce_mean")
    if not outputs.dtype.is_floating:
        raise AmpsimError(f"{told} returns {outputs.dtype.name}, which has no gradient: return a float")


def place(error: Exception, term: Loss) -> str:
    """The line in the term's own module where it failed, if TensorFlow or Python tells."""
    file = ""
    with suppress(TypeError, OSError):  # of a class that was typed in a notebook there is none
        file = inspect.getsourcefile(type(term)) or ""
    lines = re.findall(rf'File "{re.escape(file)}", line (\d+)', str(error))
    lines += [str(frame.lineno) for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" ({file}, line {lines[-1]})" if file and lines else ""


def reason(error: Exception) -> str:
    """The last line of what it says, without TensorFlow's account of the way there."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
