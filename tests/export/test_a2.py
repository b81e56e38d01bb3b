"""A2 nets as files: every key and rule that the fast code in players asks for, and a reader of their own arithmetic."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from synthetic import guitar

from ampsim import export, models, players
from ampsim.config import settings
from ampsim.config.targets import build
from ampsim.export import formats
from ampsim.export.nam import document
from ampsim.models.cost import A2_NS

RATE = 48_000
SIZES = [6] * 14 + [15, 15] + [6] * 7
DILATIONS = [1, 3, 7, 17, 41, 101, 239] * 2 + [1, 13] + [1, 3, 7, 17, 41, 101, 239]
FILMS = (
    *("conv_pre_film", "conv_post_film", "input_mixin_pre_film", "input_mixin_post_film"),
    *("activation_pre_film", "activation_post_film", "layer1x1_post_film", "head1x1_post_film"),
)


def made(name: str) -> models.AmpModel:
    keras.utils.set_random_seed(1)
    model = build(settings.composed([f"model={name}"])["model"], sample_rate=RATE)
    model.build()
    model.fit_levels(0.1, 0.05)
    random = np.random.default_rng(2)
    model.set_weights([weight + 0.1 * random.normal(size=weight.shape) for weight in model.get_weights()])
    return model


def written(model: models.AmpModel, folder: Path) -> dict[str, Any]:
    (made,) = export.export(model, export.formats_named("nam"), folder / "a.nam", export.Details())
    found: dict[str, Any] = json.loads(made.path.read_text())
    return found


def core_faults(net: dict[str, Any]) -> list[str]:
    """Which of the rules of NeuralAmpModelerCore's fast code a net breaks."""
    config = net["config"]
    (layer,) = config["layers"]
    channels, count = layer["channels"], len(SIZES)
    number = isinstance(config["head_scale"], float | int)
    slopes = [
        isinstance(each, dict) and each["type"] == "LeakyReLU" and abs(each["negative_slope"] - 0.01) <= 1e-7
        for each in layer["activation"]
    ]
    rules = {
        "head": config.get("head") is None,
        "condition_dsp": config.get("condition_dsp") is None,
        "head_scale": number and not isinstance(config["head_scale"], bool),
        "in_channels": config.get("in_channels", 1) == 1,
        "input_size": layer["input_size"] == 1,
        "condition_size": layer["condition_size"] == 1,
        "channels": channels in (3, 8) and layer["bottleneck"] == channels,
        "kernel_sizes": layer["kernel_sizes"] == SIZES and "kernel_size" not in layer,
        "dilations": layer["dilations"] == DILATIONS,
        "activation": isinstance(layer["activation"], list) and slopes == [True] * count,
        "gating_mode": layer.get("gating_mode") in (None, ["none"] * count),
        "gated": layer.get("gated", False) is False,
        "secondary_activation": layer.get("secondary_activation") in (None, [None] * count),
        "head1x1": not layer["head1x1"]["active"],
        "layer1x1": layer["layer1x1"]["active"] is True and layer["layer1x1"]["groups"] == 1,
        "its head": (layer["head"]["out_channels"], layer["head"]["kernel_size"]) == (1, 16),
        "its head's bias": layer["head"]["bias"] is True and layer["head"].get("head_dilation", 1) == 1,
        "films": all(not (layer.get(film) or {}).get("active", False) for film in FILMS),
        "groups": layer.get("groups_input", 1) == layer.get("groups_input_mixin", 1) == 1,
        "slimmable": layer.get("slimmable") is None,
        "weights": len(net["weights"]) == {8: 12_146, 3: 1_871}.get(channels),
    }
    return [name for name, kept in rules.items() if not kept]


def neural_audio_faults(net: dict[str, Any]) -> list[str]:
    """Those that NeuralAudio adds: nothing may be left out, and a condition may not even be named."""
    (layer,) = net["config"]["layers"]
    rules = {
        "condition_dsp": "condition_dsp" not in net["config"],
        "version": tuple(map(int, net["version"].split("."))) > (0, 5, 4),
        **{key: layer.get(key, {}).get("active", True) is False for key in ("head1x1", *FILMS)},
    }
    return [name for name, kept in rules.items() if not kept]


def played(net: dict[str, Any], signal: np.ndarray) -> np.ndarray:
    """The net's arithmetic in double precision, from its description: (n,) -> (n,), as after silence."""
    numbers = np.array(net["weights"], np.float64)
    at, channels = 0, net["config"]["layers"][0]["channels"]

    def take(*shape: int) -> np.ndarray:
        nonlocal at
        at += (count := int(np.prod(shape)))
        return numbers[at - count : at].reshape(shape)

    x = np.concatenate([np.zeros(6_346), signal.astype(np.float64)])
    h, total = take(channels, 1) * x, np.zeros((channels, len(x)))
    for size, dilation in zip(SIZES, DILATIONS, strict=True):
        taps, bias, mixin = take(channels, channels, size), take(channels, 1), take(channels, 1)
        mix, shift = take(channels, channels), take(channels, 1)
        z = bias + mixin * x
        for tap in range(size):
            late = (size - 1 - tap) * dilation
            z[:, late:] += taps[:, :, tap] @ h[:, : len(x) - late]
        z[z < 0] *= 0.01
        total += z
        h = h + mix @ z + shift
    head, bias, scale = take(channels, 16), take(1), take(1)
    assert at == len(numbers)
    y = sum(head[:, tap] @ total[:, 6_331 + tap : 6_331 + tap + len(signal)] for tap in range(16))
    return scale * (y + bias)


@pytest.mark.parametrize(("name", "channels", "parameters"), [("a2_full", 8, 12_145), ("a2_lite", 3, 1_870)])
def test_a_file_meets_every_rule_and_plays_as_the_model(name: str, channels: int, parameters: int, tmp_path: Path):
    model = made(name)
    assert (model.receptive_field, model.count_params()) == (6_347, parameters)  # and the scale
    net = written(model, tmp_path)
    assert core_faults(net) == neural_audio_faults(net) == []
    assert (net["version"], net["architecture"], net["sample_rate"]) == ("0.7.0", "WaveNet", RATE)
    assert net["config"]["layers"][0]["channels"] == channels
    assert list(net["config"]) == ["layers", "head", "head_scale"]
    signal = guitar(12_000)
    expected = formats.played(model, signal)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(played(net, signal), expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_a_container_holds_both_nets(tmp_path: Path):
    model = made("a2")
    found = written(model, tmp_path)
    assert list(found) == ["version", "architecture", "config", "weights", "sample_rate", "metadata"]
    assert (found["version"], found["architecture"], found["weights"]) == ("0.7.0", "SlimmableContainer", [])
    entries = found["config"]["submodels"]
    assert [entry["max_value"] for entry in entries] == [0.5, 1.0]
    signal = guitar(8_000)
    for entry, member in zip(entries, model.members().values(), strict=True):
        net = entry["model"]
        assert core_faults(net) == neural_audio_faults(net) == []
        assert list(net) == ["version", "architecture", "config", "weights", "sample_rate", "metadata"]
        assert (net["sample_rate"], list(net["metadata"])) == (RATE, ["date", "loudness", "gain"])
        expected = formats.played(member, signal)
        np.testing.assert_allclose(played(net, signal), expected, atol=1e-5 * max(1, np.abs(expected).max()))
    lite, full = (entry["model"]["metadata"] for entry in entries)
    assert lite["loudness"] != full["loudness"]
    assert {key: found["metadata"][key] for key in full} == full
    read = players.read(tmp_path / "a.nam")
    np.testing.assert_allclose(read.player(signal), expected, atol=1e-5 * max(1, np.abs(expected).max()))
    (form,) = export.formats_named("nam")
    assert form.speed(model) == pytest.approx(1e9 / (RATE * A2_NS[8]))
    assert "plays lite until its Slim knob" in form.advice(model)


KEYS = """input_size condition_size head channels kernel_sizes dilations activation bottleneck head1x1 layer1x1 groups_input
groups_input_mixin conv_pre_film conv_post_film input_mixin_pre_film input_mixin_post_film activation_pre_film
activation_post_film layer1x1_post_film head1x1_post_film gating_mode secondary_activation slimmable"""


def test_a_layer_array_has_the_reference_trainers_keys():
    (layer,) = document(made("a2_lite").as_nam())["config"]["layers"]
    assert list(layer) == KEYS.split()
    assert layer["head1x1"] == {"active": False, "out_channels": 1, "groups": 1}
    assert {json.dumps(layer[film]) for film in FILMS} == {'{"active": false, "shift": true, "groups": 1}'}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"kernel_size": 6}, "kernel_sizes"),
        ({"dilations": [[1, *DILATIONS[:-1]]]}, "dilations"),
        ({"negative_slope": 0.02}, "activation"),
        ({"head_kernel_size": 15}, "its head"),
        ({"channels": [4]}, "channels"),
        ({"gated": True}, "gating_mode"),
    ],
)
def test_a_net_of_other_sizes_is_told_to_cost_more(changes: dict[str, Any], rule: str):
    """What the rules above refuse, ampsim does not count on the fast code for."""
    (form,) = export.formats_named("nam")
    full = made("a2_full")
    arguments = full.get_config() | changes
    other = models.WaveNet(**{key: value for key, value in arguments.items() if key != "name"})
    other.build()
    assert rule in core_faults(document(other.as_nam()))
    fast = 1e9 / (RATE * A2_NS[8])
    assert form.speed(full) == pytest.approx(fast)
    assert form.speed(other) != pytest.approx(fast)


def test_the_net_of_a_rig_meets_every_rule_too(tmp_path: Path):
    model = made("a2_cab")
    (rig,) = export.export(model, export.formats_named("rig"), tmp_path / "rig", export.Details(name="a"))
    net = json.loads((rig.path / "a.nam").read_text())
    assert core_faults(net) == neural_audio_faults(net) == []
