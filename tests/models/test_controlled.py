"""Nets whose weights are a function of an amp's controls, against plain nets whose weights are set by hand."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

from ampsim import AmpsimError
from ampsim.models import Controlled
from ampsim.models.base import Example
from ampsim.models.rendering import Automated, Renderer
from ampsim.models.saving import load
from ampsim.recordings.controls import Automation

GAIN = {"gain": [0.0, 10.0]}
BOTH = GAIN | {"bright": ["off", "on"]}
NETS: dict[str, dict[str, Any]] = {
    "lstm": {"_target_": "ampsim.models.Lstm", "units": 3, "burn_in": 20},
    "gru": {"_target_": "ampsim.models.Gru", "units": 3, "burn_in": 20},
    "ssm": {"_target_": "ampsim.models.Ssm", "channels": 3, "states": 2, "layers": 1, "burn_in": 40},
    "tcn": {"_target_": "ampsim.models.Tcn", "channels": 3, "dilations": [1, 2]},
    "dense": {"_target_": "ampsim.models.Dense", "window": 30, "future": 2, "layers": 1, "units": 4},
    "wavenet": {"_target_": "ampsim.models.WaveNet", "channels": 4, "dilations": [[1, 2], [1]]},
    "wavenet_cab": {"_target_": "ampsim.models.WaveNetCab", "channels": 3, "layers": 2, "taps": 20, "tail": 10},
}
random = np.random.default_rng(0)


def made(net: str | dict[str, Any] = "wavenet_cab", **arguments: Any) -> Controlled:
    """A model whose every weight depends on the setting."""
    keras.utils.set_random_seed(2)
    options: dict[str, Any] = {
        "net": NETS[net] if isinstance(net, str) else net,
        "controls": BOTH,
        "parts": 2,
        "units": 3,
        "sample_rate": 8000,
    }
    model = Controlled(**options | arguments)
    model.build()
    for direction in model.directions:
        direction.assign(random.normal(scale=0.2, size=direction.shape))
    return model


def by_hand(model: Controlled, *numbers: float) -> list[np.ndarray]:
    """The net's weights for what it sees of a setting, from the formula."""
    on_log_scale = [2 * np.log((each + 1) / 0.3 + 1) / np.log(1 / 0.15 + 1) - 1 for each in numbers]
    hidden = np.tanh(np.array([*numbers, *on_log_scale]) @ model.hidden.kernel.numpy() + model.hidden.bias.numpy())
    mix = (hidden @ model.mixing.kernel.numpy() + model.mixing.bias.numpy()) / np.sqrt(model.parts)
    directions, found = iter(model.directions), []
    for base in (each.numpy() for each in model.base):
        if model.conditioning == "weights" or base.ndim == 1:
            found.append(base + (mix @ next(directions).numpy()).reshape(base.shape))
        else:
            found.append(base * (1 + mix @ next(directions).numpy()) if model.conditioning == "film" else base)
    return found


@pytest.mark.parametrize("conditioning", ["weights", "film", "bias"])
@pytest.mark.parametrize("net", NETS)
def test_at_a_setting_it_is_a_plain_model_with_the_weights_of_the_formula(net: str, conditioning: str):
    model = made(net, conditioning=conditioning)
    plain = model.at((7.5, 1.0))
    for weight, expected in zip(plain.trainable_variables, by_hand(model, 0.5, 0.0, 1.0), strict=True):
        assert_allclose(weight.numpy(), expected, atol=1e-6)
    model.turn((7.5, 1.0))
    signal = random.normal(scale=0.1, size=500).astype(np.float32)
    assert_allclose(Renderer(model)(signal), Renderer(plain)(signal), atol=1e-6)
    assert type(plain).__name__ == NETS[net]["_target_"].rpartition(".")[2]
    assert plain.sample_rate == 8000


def test_a_setting_changes_what_is_played_and_no_setting_goes_on_with_it():
    model = made()
    signal = random.normal(scale=0.1, size=300).astype(np.float32)
    model.turn((0.0, 0.0))
    low = Renderer(model)(signal)
    model.turn((10.0, 0.0))
    high = Renderer(model)(signal)
    assert np.abs(high - low).max() > 1e-3
    model.turn(())
    assert_array_equal(Renderer(model)(signal), high)


def test_volumes_of_a_recording_are_where_it_begins():
    """Levels that fall by 20 dB over a knob's range, and by 6 dB with a switch, are met within a decibel."""
    model = made()
    settings = [(gain, bright) for gain in (0.0, 2.5, 5.0, 7.5, 10.0) for bright in (0.0, 1.0)]
    wanted = [0.2 * 10 ** (-gain / 10) * 0.5**bright for gain, bright in settings]
    model.fit_levels(0.1, 0.05)
    model.fit_volumes(settings, wanted)
    for setting, level in zip(settings, wanted, strict=True):
        model.turn(setting)
        assert abs(20 * np.log10(model.net.output_gain * float(model.volume()) / level)) < 1.0
        assert_allclose(model.at(setting).output_gain, model.net.output_gain * float(model.volume()), rtol=1e-6)


def test_volumes_of_two_pots_with_a_taper_before_and_after_clipping_are_told_between_settings():
    """An amp whose gain pot drives a stage that clips and whose master pot follows: from 16 settings the others are met
    within a decibel in the median, and two at most."""
    both = {"gain": [1, 10], "master": [1, 10]}
    model = made("wavenet_cab", controls=both)
    seeded = np.random.default_rng(5)
    seen, unseen = ([(a, b) for a in (1, 3, 6, 10) for b in (1, 3, 6, 10)], seeded.uniform(1, 10, (40, 2)).tolist())

    def amp(gain: float, master: float) -> float:
        taper = [(32.0 ** (each / 10) - 1) / 31 for each in (gain, master)]  # 15 % in the middle
        return float(np.tanh(10 * taper[0]) * taper[1])

    model.fit_volumes(seen, [amp(*each) for each in seen])
    errors = []
    for setting in unseen:
        model.turn(setting)
        errors.append(abs(20 * np.log10(model.net.output_gain * float(model.volume()) / amp(*setting))))
    assert np.median(errors) < 1.0
    assert max(errors) < 2.0


@pytest.mark.parametrize("block_length", [64, 256])
def test_a_knob_that_is_turned_while_it_plays_goes_smoothly(block_length: int):
    """In blocks of any length it is near what one sample at a time would be: no step is heard at their borders."""
    model = made("wavenet")
    gain, bright = model.controls
    automation = Automation((gain, bright), [0.0, 0.5, 1.0], [(0.0, 0.0), (10.0, 0.0), (2.0, 0.0)])
    signal = np.sin(2 * np.pi * 220 * np.arange(8000) / 8000).astype(np.float32)
    fine = Automated(model, automation, block_length=8)(signal)
    coarse = Automated(model, automation, block_length=block_length)(signal)
    still = [Renderer(model.at(setting))(signal) for setting in ((0.0, 0.0), (10.0, 0.0))]
    change = np.abs(still[0] - still[1]).max()
    assert change > 0.5 * np.abs(still[0]).max()  # what is turned is heard
    assert np.abs(coarse - fine).max() < 0.02 * change * block_length / 64
    assert_allclose(fine[:8], still[0][:8], atol=1e-3)


@pytest.mark.parametrize("net", ["lstm", "ssm", "wavenet"])
def test_an_automation_begins_as_after_silence_at_its_own_first_setting(net: str):
    model = made(net)
    automation = Automation(model.controls, [0.0], [(9.0, 1.0)])
    renderer, signal = Automated(model, automation), np.zeros(300, np.float32)
    expected = Renderer(model.at((9.0, 1.0)))(signal)
    model.turn((0.0, 0.0))  # where something else left it
    for _ in range(2):
        assert_allclose(renderer(signal), expected, atol=1e-6)
        model.turn((3.0, 0.0))


def test_what_is_learnt_later_is_heard_though_nothing_was_turned():
    model = made()
    renderer, signal = Renderer(model), random.normal(scale=0.1, size=300).astype(np.float32)
    before = renderer(signal)
    model.base[0].assign(2 * model.base[0])
    assert np.abs(renderer(signal) - before).max() > 1e-3


@pytest.mark.parametrize("training", [True, False])
def test_the_gradient_is_that_of_the_formula(training: bool):
    """Of each part that is learnt, along a direction, against a difference of two losses."""
    model = made("wavenet")
    model.turn((2.0, 1.0))
    segment = tf.constant(random.normal(scale=0.3, size=(2, model.receptive_field + 30)), tf.float32)

    def loss() -> tf.Tensor:
        return tf.reduce_mean(tf.square(model(segment, training=training)))

    with tf.GradientTape() as tape:
        value = loss()
    gradients = tape.gradient(value, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        kept, along = variable.numpy(), np.asarray(gradient) / (np.linalg.norm(gradient) + 1e-12)
        step = 3e-3
        variable.assign(kept + step * along)
        above = float(loss())
        variable.assign(kept - step * along)
        below = float(loss())
        variable.assign(kept)
        assert_allclose((above - below) / (2 * step), np.linalg.norm(gradient), rtol=0.05, atol=1e-6)


def test_it_starts_as_the_plain_net_does_whatever_the_setting():
    model = Controlled(net=NETS["tcn"], controls=GAIN)
    model.build()
    segment = random.normal(size=(1, 60)).astype(np.float32)
    played = []
    for value in (0.0, 3.0, 10.0):
        model.turn((value,))
        played.append(model(segment).numpy())
    assert_array_equal(played[0], played[1])
    assert_array_equal(played[0], played[2])


def test_the_filter_is_solved_for_from_all_settings_together():
    """An amp that is the model with another filter at every setting alike: found again from pieces at four settings."""
    model, amp = (
        made(net=NETS["wavenet_cab"] | {"taps": 30, "tail": 10}),
        made(net=NETS["wavenet_cab"] | {"taps": 30, "tail": 10}),
    )
    amp.set_weights(model.get_weights())
    number = next(n for n, each in enumerate(amp.net.trainable_variables) if each is amp.net.cabinet.kernel)
    amp.base[number].assign_add(0.2 * random.normal(size=40) * np.exp(np.arange(-39, 1) / 20))
    examples = []
    for setting in ((0.0, 0.0), (4.0, 1.0), (7.0, 0.0), (10.0, 1.0)):
        amp.turn(setting)
        heard = random.normal(size=(1, amp.receptive_field - 1 + 8000)).astype(np.float32)
        examples.append(Example(heard[0], amp(heard).numpy()[0], setting))
    for _ in range(2):
        assert model.solve(examples)
    assert_allclose(model.base[number].numpy(), amp.base[number].numpy(), atol=1e-3)
    assert not made("tcn").solve(examples)


@pytest.mark.parametrize("net", ["wavenet_cab", "lstm", "ssm"])
def test_what_a_plain_net_learns_by_a_rule_of_matrices_its_w0_and_its_directions_do_too(net: str):
    """Of a plain net's weights those of two axes that it does not leave to Adam; of g, the volume and the vectors none."""
    model = made(net)
    plain = {id(weight) for weight in model.net.adam_weights()}
    places = [each for each in model.net.trainable_variables if len(each.shape) == 2 and id(each) not in plain]
    left = {id(weight) for weight in model.adam_weights()}
    matrices = [weight for weight in model.trainable_weights if id(weight) not in left]
    assert [tuple(each.shape) for each in matrices] == [tuple(each.shape) for each in places]
    stacked = [(shape, tuple(weight.shape)) for weight, shape in model.stacks()]
    assert stacked == [(tuple(each.shape), (model.parts, each.shape[0] * each.shape[1])) for each in places]
    assert not made(net, conditioning="film").stacks()


@pytest.mark.parametrize("bend", [0.15, 0.0])
def test_a_saved_model_comes_back_with_its_controls(bend: float, tmp_path):
    model = made("lstm", bend=bend)
    model.fit_levels(0.1, 0.2)
    model.save(tmp_path / "model.keras")
    loaded = load(tmp_path / "model.keras")
    assert [control.name for control in loaded.controls] == ["gain", "bright"]
    assert loaded.controls[1].positions == ("off", "on")
    signal = random.normal(scale=0.1, size=400).astype(np.float32)
    for setting in ((1.0, 1.0), (9.0, 0.0)):
        for each in (model, loaded):
            each.turn(setting)
        assert_array_equal(Renderer(loaded)(signal), Renderer(model)(signal))
        assert_allclose(Renderer(loaded.at(setting))(signal), Renderer(model)(signal), atol=1e-6)


def test_models_that_were_saved_before_knobs_bent_hear_them_as_they_did():
    """With l a sum of the setting and its squares, and g of the setting alone."""
    config = made("tcn", bend=0.0).get_config()
    model = Controlled.from_config({key: value for key, value in config.items() if key != "bend"})
    model.build()
    size = sum(control.size for control in model.controls)
    assert model.hidden.kernel.shape[0] == size
    model.level.assign(np.arange(1.0, 2 * size + 1) / 10)
    setting = [0.5, *np.zeros(size - 1)]
    model.setting.assign(setting)
    assert_allclose(model.volume(), np.exp(0.5 * 0.1 + 0.25 * (size + 1) / 10), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bend": -1.0}, "bend=-1.0: it is a share of a knob's range"),
        ({"conditioning": "all"}, "conditioning=all: it is one of weights, film, bias"),
        ({"parts": 0}, "parts=0: it is 1 or more"),
        ({"net": {"_target_": "ampsim.models.Slimmable"}}, "holds several nets"),
        ({"net": {"_target_": "ampsim.models.Controlled", "net": NETS["tcn"], "controls": GAIN}}, "net is the config"),
        ({"net": {"_target_": "os.system"}}, "os.system"),
        ({"controls": {"gain": [3.0, 3.0]}}, "the range of gain is 3.0 to 3.0"),
        ({"controls": {"gain": ["on", "on"]}}, "two or more, all different"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], message: str):
    with pytest.raises((AmpsimError, ValueError), match=message):
        made(**arguments)
