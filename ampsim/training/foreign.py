"""Parts of other packages, tried before a run begins: what breaks their contract is told at once and not after an hour."""

import inspect
import re
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import keras
import tensorflow as tf

from ampsim import AmpsimError
from ampsim.losses.loss import Loss
from ampsim.models import AmpModel

OUTPUTS = 16  # of a model, when it is tried


def check_term(name: str, term: Loss, segment_length: int) -> None:
    """Trace a loss term on a batch of two, which computes nothing and draws no random number.

    Raises:
        AmpsimError: it fails, or what it returns is no scalar of floats.
    """
    told = f"the loss term `{name}` ({named(term)})"
    shape, dtype = traced(told, term, term.__call__, *2 * [(2, segment_length)])
    if shape is None:
        raise AmpsimError(f"{told} returns {dtype}, not a scalar tensor: end it with tf.reduce_mean")
    if shape.rank not in (0, None):
        raise AmpsimError(f"{told} returns the shape {tuple(shape)}, not a scalar: end it with tf.reduce_mean")
    if not dtype.is_floating:
        raise AmpsimError(f"{told} returns {dtype.name}, which has no gradient: return a float")


def check_model(model: AmpModel) -> None:
    """Trace a model that is built on a batch of two, and make it again from its config, as loading its file does.

    Raises:
        AmpsimError: it fails, has no receptive field, does not return as many samples as it has to, or cannot be made again.
    """
    told = f"the model {named(model)}"
    try:
        field = model.receptive_field
    except Exception as error:
        raise AmpsimError(f"{told} has no receptive_field{place(error, model)}: {reason(error)}") from error
    if not isinstance(field, int) or field < 1:
        raise AmpsimError(f"{told}: receptive_field is {field!r}, and has to be a whole number of samples, 1 or more")
    shape, dtype = traced(told, model, model.call, (2, field - 1 + OUTPUTS))
    if shape is None or shape.rank is None or tuple(shape) != (2, OUTPUTS):
        returned = dtype if shape is None else f"the shape {tuple(shape)}"
        raise AmpsimError(
            f"{told} returns {returned} for a segment of shape (2, {field - 1 + OUTPUTS}), and has to return (2, {OUTPUTS}): "
            f"with receptive_field={field}, transform() makes n samples of {field} - 1 + n"
        )
    try:
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    except Exception as error:
        raise AmpsimError(
            f"{told} could be saved but not loaded{place(error, model)}: {reason(error)}; its constructor takes what "
            "get_config() gives as keyword arguments, numbers and text"
        ) from error


def traced(told: str, part: object, call: Callable[..., Any], *shapes: tuple[int, ...]) -> tuple[Any, Any]:
    """Shape and type of what a part returns for signals of these shapes; (None, the name of its class) if it is no tensor."""
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    try:
        outputs = tf.function(call).get_concrete_function(*specs).structured_outputs
    except Exception as error:  # whatever a stranger's code raises
        raise AmpsimError(f"{told} fails{place(error, part)}: {reason(error)}") from error
    return getattr(outputs, "shape", None), getattr(outputs, "dtype", type(outputs).__name__)


def named(part: object) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"


def place(error: Exception, part: object) -> str:
    """The line in the part's own module where it failed, if TensorFlow or Python tells."""
    file = ""
    with suppress(TypeError, OSError):  # of a class that was typed in a notebook there is none
        file = inspect.getsourcefile(type(part)) or ""
    lines = re.findall(rf'File "{re.escape(file)}", line (\d+)', str(error))
    lines += [str(frame.lineno) for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" ({file}, line {lines[-1]})" if file and lines else ""


def reason(error: Exception) -> str:
    """The line that says what is wrong, without TensorFlow's and Keras' accounts of the way there."""
    found = re.search(r"\x1b\[1m(.*?)\x1b\[0m", str(error), re.DOTALL)  # Keras', in bold, before the arguments
    lines = [line.strip() for line in (found[1] if found else str(error)).splitlines() if line.strip()]
    return re.sub(r"\S*<locals>\.tf__", "", lines[-1]) if lines else type(error).__name__  # autograph's names
