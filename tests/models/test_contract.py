"""What every family keeps: the receptive field, streaming, saving, gradients, refusal of impossible sizes."""

import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from ampsim import models
from ampsim.models.recurrent import Recurrent
from ampsim.testing import check_model

TINY: dict[str, tuple[type, dict[str, Any]]] = {
    "dense": (models.Dense, {"window": 70, "future": 3, "layers": 2, "units": 4, "activation": "tanh"}),
    "spectral_dense": (
        models.SpectralDense,
        {"window": 70, "future": 3, "layers": 1, "units": 3, "sizes_ms": [4], "num_bands": 2, "high_hz": 3900.0}
        | {"sample_rate": 8000},
    ),
    "fir": (models.Fir, {"taps": 50, "future": 4, "bias": True}),
    "wiener_hammerstein": (models.WienerHammerstein, {"taps_before": 20, "taps_after": 31, "units": 3, "future": 2}),
    "tcn": (models.Tcn, {"channels": 3, "dilations": [1, 2, 4], "future": 2}),
    "wavenet": (models.WaveNet, {"channels": 4, "dilations": [[1, 2, 4], [1, 8]]}),
    "wavenet_gated": (models.WaveNet, {"channels": [3], "dilations": [[1, 2]], "gated": True, "future": 5}),
    "wavenet_a2": (
        models.WaveNet,
        {"channels": [4], "dilations": [[1, 5]], "kernel_size": [[4, 2]], "head_kernel_size": 5}
        | {"activation": "leaky_relu", "negative_slope": 0.01},
    ),
    "slimmable": (
        models.Slimmable,
        {"channels": [2, 3], "dilations": [1, 4], "kernel_size": [4, 2], "head_kernel_size": 3}
        | {"activation": "leaky_relu", "negative_slope": 0.01},
    ),
    "wavenet_cab": (models.WaveNetCab, {"channels": 3, "layers": 2, "taps": 40, "future": 6}),
    "a2_cab": (
        models.WaveNetCab,
        {"channels": 3, "dilations": [1, 5], "kernel_size": [4, 2], "head_kernel_size": 3, "taps": 30, "future": 4}
        | {"activation": "leaky_relu", "negative_slope": 0.01},
    ),
    "lstm": (models.Lstm, {"units": 3, "layers": 2, "burn_in": 60, "skip": True, "future": 4}),
    "gru": (models.Gru, {"units": 3, "burn_in": 60}),
    "ssm": (models.Ssm, {"channels": 3, "states": 2, "layers": 2, "burn_in": 130, "skip": True, "future": 3}),
}
CONTROLS = {"gain": [0.0, 10.0], "bright": ["off", "on"]}
for conditioning, (family, arguments) in zip(
    ("weights", "film", "bias"), (TINY["wavenet_cab"], TINY["wavenet_a2"], TINY["tcn"]), strict=True
):
    net = {"_target_": f"ampsim.models.{family.__name__}", **arguments}
    given = {"net": net, "controls": CONTROLS, "conditioning": conditioning, "parts": 2, "units": 3}
    TINY[f"controlled_{conditioning}"] = (models.Controlled, given)
RECURRENT = ("lstm", "gru", "ssm")  # what lies further back than the burn-in they have heard, though without a gradient


def families(kind: type = models.AmpModel) -> set[type]:
    """Every model of ampsim's own; a class from which others are derived is none, nor one whose module was a test's."""
    found = {each for parent in kind.__subclasses__() for each in families(parent)} | {kind}
    return {
        each for each in found if each.__module__.startswith("ampsim.") and each.__module__ in sys.modules
    } - ABSTRACT


ABSTRACT = {models.AmpModel, Recurrent}


def test_no_family_is_left_out() -> None:
    assert families() == {family for family, _ in TINY.values()}


@pytest.fixture(params=TINY)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(name: str) -> models.AmpModel:
    return made(name)


def made(name: str) -> models.AmpModel:
    keras.utils.set_random_seed(1)
    family, arguments = TINY[name]
    built = family(**arguments)
    built.build()
    built.fit_levels(0.8, 0.7)
    # Filters start as an impulse: something in every tap, so that every tap is seen to work.
    built.set_weights([w + 0.1 * np.random.default_rng(2).normal(size=w.shape) for w in built.get_weights()])
    return built


def noise(*shape: int) -> np.ndarray:
    return 0.3 * np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_what_other_packages_check_on_theirs_holds_for_ours(name: str) -> None:
    check_model(lambda: made(name))


def test_an_output_depends_on_the_receptive_field_and_on_nothing_else(name: str, model: models.AmpModel) -> None:
    segment = tf.constant(noise(1, model.receptive_field + 20))
    with tf.GradientTape() as tape:
        tape.watch(segment)
        output = model(segment)[0, 10]
    influence = np.abs(tape.gradient(output, segment)[0])
    seen = np.flatnonzero(influence > 1e-5 * influence.max())  # an FFT leaves rounding everywhere
    assert seen.max() == 10 + model.receptive_field - 1
    if name not in RECURRENT:
        assert seen.min() == 10


def test_the_gains_stand_before_and_after_the_net(model: models.AmpModel) -> None:
    segment = noise(2, model.receptive_field + 9)
    scaled = type(model).from_config(model.get_config() | {"input_gain": 1.0, "output_gain": 1.0})
    scaled.build()
    scaled.set_weights(model.get_weights())
    before, after = (1 / 0.8, 0.7) if model.levelled else (1.0, 1.0)
    np.testing.assert_allclose(model(segment), after * scaled(np.float32(before) * segment), atol=1e-6)


def test_the_examples_of_a_batch_do_not_meet(model: models.AmpModel) -> None:
    segments = noise(3, model.receptive_field + 30)
    alone = np.concatenate([model(segment[None]) for segment in segments])
    np.testing.assert_allclose(model(segments), alone, atol=1e-6)


def test_every_weight_has_a_finite_gradient_under_xla_too(model: models.AmpModel) -> None:
    segment = tf.constant(noise(2, model.receptive_field + 9))

    @tf.function(jit_compile=True)
    def gradients() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = [each(segment, training=True) for each in model.members().values()]
            loss = sum(tf.reduce_mean(tf.square(output)) for output in outputs)
        return tape.gradient(loss, model.trainable_variables)

    for variable, gradient in zip(model.trainable_variables, gradients(), strict=True):
        assert gradient is not None, variable.path
        assert np.all(np.isfinite(gradient)), variable.path


@pytest.mark.parametrize(
    ("family", "arguments", "complaint"),
    [
        (models.Fir, {"taps": 0}, "taps=0"),
        (models.Fir, {"taps": 10, "future": 11}, "future=11"),
        (models.Fir, {"future": 0}, "future=0"),
        (models.Fir, {"input_gain": 0.0}, "input_gain=0"),
        (models.WienerHammerstein, {"taps_after": 0}, "taps_after=0"),
        (models.WienerHammerstein, {"taps_before": 30, "taps_after": 20, "future": 21}, "future=21"),
        (models.WienerHammerstein, {"activation": "tanhh"}, "activation=tanhh"),
        (models.Tcn, {"dilations": []}, "dilations"),
        (models.Tcn, {"dilations": [1, 0]}, "dilations"),
        (models.Tcn, {"dilations": [1, 1.5]}, "whole numbers"),
        (models.Tcn, {"dilations": 5}, "a list is needed"),
        (models.WaveNet, {"dilations": 5}, "list of lists"),
        (models.WaveNet, {"dilations": [1, 2]}, "a list is needed"),
        (models.Tcn, {"kernel_size": 0}, "kernel_size=0"),
        (models.Tcn, {"kernel_size": 2, "dilations": [1], "future": 3}, "future=3"),
        (models.WaveNet, {"channels": 1}, "channels=1"),
        (models.WaveNet, {"channels": [4]}, "channels"),
        (models.WaveNet, {"dilations": []}, "channels"),
        (models.WaveNet, {"dilations": [[1], []]}, "dilations"),
        (models.WaveNet, {"kernel_size": 0}, "kernel_size=0"),
        (models.WaveNet, {"dilations": [[1, 2]], "channels": [3], "kernel_size": [[3]]}, "as long as"),
        (models.WaveNet, {"dilations": [[1, 2]], "channels": [3], "kernel_size": [3, 3]}, "as long as"),
        (models.WaveNet, {"dilations": [[1, 2]], "channels": [3], "kernel_size": [[3, 0]]}, "kernel_size"),
        (models.WaveNet, {"head_kernel_size": 0}, "head_kernel_size=0"),
        (models.Slimmable, {"channels": [3]}, "an entry in every list"),
        (models.Slimmable, {"names": [], "channels": [], "max_values": []}, "one or more nets"),
        (models.Slimmable, {"names": ["a", "a"]}, "a name of its own"),
        (models.Slimmable, {"names": ["a", "b c"]}, "a name of its own"),
        (models.Slimmable, {"max_values": [0.5, 0.5]}, "they ascend"),
        (models.Slimmable, {"max_values": [1.0, 0.5]}, "they ascend"),
        (models.Slimmable, {"max_values": [0.2, 0.9]}, "1 or more"),
        (models.WaveNetCab, {"taps": 0}, "taps=0"),
        (models.WaveNetCab, {"layers": 0}, "layers=0"),
        (models.WaveNetCab, {"taps": 8, "future": 9}, "future=9"),
        (models.Lstm, {"units": 0}, "units=0"),
        (models.Gru, {"layers": 0}, "layers=0"),
        (models.Lstm, {"burn_in": 0}, "burn_in=0"),
        (models.Ssm, {"states": 0}, "states=0"),
        (models.Ssm, {"future": 0}, "future=0"),
    ],
)
def test_impossible_sizes_are_refused(family: type, arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        family(**arguments)
