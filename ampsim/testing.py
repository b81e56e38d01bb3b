"""The contract of a model as checks that any package can run on a class of its own."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ampsim import counted
from ampsim.models import AmpModel
from ampsim.models.recurrent import Recurrent
from ampsim.models.rendering import Renderer

TOLERANCE = 1e-5  # float rounding of signals of about full scale


def check_model(make: Callable[[], AmpModel]) -> None:
    """Check what ampsim relies on in a model: shapes, streaming, saving, gradients and determinism.

    Args:
        make: gives a new model, built or not; small sizes keep the check short.

    Raises:
        AssertionError: a sentence that says what the model does not keep.
    """
    model, again = built(make), built(make)
    check_shape(model)
    for ours, other in zip(model.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(ours, other), f"{type(model).__name__}: the same seed gives different weights"
    check_reach(model)
    check_streaming(model)
    check_gradients(model)
    check_saving(model)


def built(make: Callable[[], AmpModel]) -> AmpModel:
    keras.utils.set_random_seed(1)
    model = make()
    if not model.built:
        model.build()
    return model


def noise(*shape: int) -> np.ndarray:
    return 0.3 * np.random.default_rng(0).normal(size=shape).astype(np.float32)


def check_shape(model: AmpModel) -> None:
    """(batch, receptive_field - 1 + n) -> (batch, n)."""
    shape = tuple(model(noise(3, model.receptive_field + 16)).shape)
    assert shape == (3, 17), (
        f"{type(model).__name__}: receptive_field - 1 + 17 samples give an output of shape {shape}, and not (3, 17)"
    )


def check_reach(model: AmpModel) -> None:
    """An output hears its newest sample and none beyond its receptive field: an impulse anywhere else changes nothing."""
    segment = noise(1, model.receptive_field + 20)
    before, place = model(segment)[0].numpy(), 10
    end = place + model.receptive_field
    for at in (place - 1, end):
        struck = segment.copy()
        struck[0, at] += 1.0
        change = abs(float(model(struck)[0, place]) - before[place])
        assert change < TOLERANCE or (at < place and isinstance(model, Recurrent)), (
            f"{type(model).__name__}: an impulse {'before' if at < place else 'after'} what receptive_field="
            f"{model.receptive_field} says that an output hears changes it by {change:.1e}"
        )


def check_streaming(model: AmpModel) -> None:
    """Blocks of several lengths add up to one pass over the whole signal."""
    signal = noise(211)
    heard = np.concatenate([np.zeros(model.history), signal, np.zeros(model.lookahead)]).astype(np.float32)
    whole = model(heard[None])[0].numpy()
    for length in (1, 97):
        difference = np.abs(Renderer(model, block_length=length)(signal) - whole).max()
        assert difference < TOLERANCE, (
            f"{type(model).__name__}: blocks of {counted(length, 'sample')} differ from one pass by {difference:.1e}; look at "
            "stream() and stream_state(), or at receptive_field and future"
        )


def check_gradients(model: AmpModel) -> None:
    """Training reaches every weight, with finite numbers."""
    with tf.GradientTape() as tape:
        segment = noise(2, model.receptive_field + 9)
        loss = sum(tf.reduce_mean(tf.square(each(segment, training=True))) for each in model.members().values())
    gradients = tape.gradient(loss, model.trainable_variables)
    for weight, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, f"{type(model).__name__}: the loss does not depend on {weight.path}"
        assert np.all(np.isfinite(gradient)), f"{type(model).__name__}: the gradient of {weight.path} is not finite"


def check_saving(model: AmpModel) -> None:
    """A saved model comes back with the same config and the same output."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path, safe_mode=True)
    segment = noise(2, model.receptive_field + 9)
    assert loaded.get_config() == model.get_config(), f"{type(model).__name__}: a saved model has another config"
    assert np.array_equal(loaded(segment), model(segment)), f"{type(model).__name__}: a saved model plays otherwise"
