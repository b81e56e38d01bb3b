"""Every committed loss, as a run builds it: compiled, with XLA and without, on playing and on silence."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from loss_signals import PREDICTION, TARGET

from ampsim.config.targets import build
from ampsim.losses import Sum

PRESETS = sorted((Path(__file__).parents[2] / "conf" / "loss").glob("*.yaml"))


def preset(path: Path) -> Sum:
    return build(yaml.safe_load(path.read_text(encoding="utf-8"))).prepare(sample_rate=44100, segment_length=4096)


LOSSES = {path.stem: lambda path=path: preset(path) for path in PRESETS}


@pytest.mark.parametrize("xla", [False, True], ids=["plain", "xla"])
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient_are_finite_on_playing_on_silence_and_on_a_perfect_prediction(name, xla):
    loss = LOSSES[name]()

    @tf.function(jit_compile=xla)
    def step(target, prediction):
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            value, terms = loss(target, prediction)
        return value, tape.gradient(value, prediction), terms

    playing, played = tf.constant(TARGET, tf.float32), tf.constant(PREDICTION, tf.float32)
    silence = tf.zeros_like(playing)
    for target, prediction in ((playing, played), (silence, silence), (playing, silence), (playing, playing)):
        value, gradient, terms = step(target, prediction)
        assert np.all(np.isfinite(gradient))
        eager = loss(target, prediction)
        assert float(value) == pytest.approx(float(eager[0]), rel=1e-4, abs=1e-6)
        assert terms.keys() == eager[1].keys()


@pytest.mark.parametrize("gain", [0.1, 0.01])
@pytest.mark.parametrize("name", LOSSES)
def test_a_gain_on_the_recording_and_the_prediction_changes_no_loss_but_the_absolute_ones(name, gain):
    power = {"mse": 2, "mae": 1}.get(name, 0)

    def at(gain):
        target, prediction = (tf.constant(gain * x, tf.float32) for x in (TARGET, PREDICTION))
        loss = LOSSES[name]().prepare(sample_rate=44100, segment_length=4096, target=target)
        # A quiet passage too, where floors count.
        return [float(loss(scale * target, scale * prediction)[0]) for scale in (1.0, 1e-3)]

    np.testing.assert_allclose(at(gain), np.multiply(at(1.0), gain**power), rtol=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_the_slope(name):
    loss = LOSSES[name]()
    target, prediction = (tf.constant(x, tf.float32) for x in (TARGET, PREDICTION))
    direction = target - prediction  # along it no absolute value of the waveform turns round a corner
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        value = loss(target, prediction)[0]
    slope = float(tf.reduce_sum(tape.gradient(value, prediction) * direction))
    step = 1e-2
    ahead, behind = (float(loss(target, prediction + sign * step * direction)[0]) for sign in (1, -1))
    assert slope < 0
    assert slope == pytest.approx((ahead - behind) / (2 * step), rel=0.05)
