"""`.nam` files: played as the format says, and refused in a sentence where they cannot be."""

import json
from pathlib import Path

import numpy as np
import pytest
from nam_files import document, lstm, lstm_by_hand, wavenet, wavenet_by_hand, write
from synthetic import noise

from ampsim import AmpsimError, players

SIGNAL = noise(300, level=0.5)


def play(path: Path, contents: dict) -> np.ndarray:
    return players.read(write(path, contents)).player(SIGNAL)


def test_a_wavenet_sample_by_sample(tmp_path: Path):
    found = wavenet()
    np.testing.assert_allclose(play(tmp_path / "x.nam", found), wavenet_by_hand(found, SIGNAL), atol=1e-6)


def test_the_last_weight_scales_the_output_and_not_the_config(tmp_path: Path):
    found = wavenet()
    expected = play(tmp_path / "x.nam", found)
    found["config"]["head_scale"] = 7.0
    np.testing.assert_array_equal(play(tmp_path / "y.nam", found), expected)


def test_an_lstm_begins_after_half_a_second_of_zeros(tmp_path: Path):
    found = lstm(sample_rate=2000)
    np.testing.assert_allclose(play(tmp_path / "x.nam", found), lstm_by_hand(found, SIGNAL), atol=1e-6)


def test_linear_is_an_impulse_response_with_the_newest_sample_first(tmp_path: Path):
    found = document("Linear", {"receptive_field": 5, "bias": True}, 6)
    *response, bias = found["weights"]
    expected = np.convolve(SIGNAL, response)[: len(SIGNAL)] + bias
    np.testing.assert_allclose(play(tmp_path / "x.nam", found), expected, atol=1e-6)


def test_new_keys_say_the_same_as_old_ones(tmp_path: Path):
    old = wavenet()
    new = json.loads(json.dumps(old))
    (array,) = new["config"]["layers"]
    for key in ("head_size", "head_bias", "kernel_size", "gated"):
        del array[key]
    array |= {
        "head": {"out_channels": 1, "kernel_size": 1, "bias": True},
        "kernel_sizes": [2, 2],
        "activation": [{"type": "Tanh"}, {"type": "Tanh"}],
        "gating_mode": ["none", "none"],
        "bottleneck": 2,
        "layer1x1": {"active": True, "groups": 1},
        "conv_pre_film": {"active": False, "shift": True, "groups": 1},
        "secondary_activation": [None, None],
    }
    new["version"] = "0.7.0"
    np.testing.assert_array_equal(play(tmp_path / "new.nam", new), play(tmp_path / "old.nam", old))


def test_a_gate_in_new_words(tmp_path: Path):
    old = document("WaveNet", wavenet(gated=True)["config"], 2 + 2 * (16 + 4 + 4 + 4 + 2) + 2 + 1 + 1)
    new = json.loads(json.dumps(old))
    (array,) = new["config"]["layers"]
    del array["gated"]
    array |= {"gating_mode": ["gated", "gated"], "secondary_activation": [{"type": "Sigmoid"}, None]}
    np.testing.assert_array_equal(play(tmp_path / "new.nam", new), play(tmp_path / "old.nam", old))
    array["secondary_activation"] = {"type": "Tanh"}
    with pytest.raises(AmpsimError, match="its `secondary_activation` asks for more"):
        play(tmp_path / "new.nam", new)


def test_a_container_plays_its_largest_net(tmp_path: Path):
    small, large = wavenet(), wavenet()
    models = [{"max_value": 1.0, "model": large}, {"max_value": 0.5, "model": small}]
    container = {
        "version": "0.7.0",
        "architecture": "SlimmableContainer",
        "config": {"submodels": models},
        "weights": [],
    }
    np.testing.assert_array_equal(play(tmp_path / "c.nam", container), play(tmp_path / "l.nam", large))


@pytest.mark.parametrize(
    "made", [wavenet, lambda: lstm(sample_rate=2000), lambda: document("Linear", {"receptive_field": 9}, 9)]
)
def test_blocks_add_up(tmp_path: Path, made):
    player = players.read(write(tmp_path / "x.nam", made())).player
    pieces = [SIGNAL[:1], SIGNAL[1:120], SIGNAL[120:120], SIGNAL[120:]]
    np.testing.assert_allclose(np.concatenate([*player.blocks(pieces)]), player(SIGNAL), atol=1e-6)


def test_a_file_tells_about_itself(tmp_path: Path):
    found = wavenet() | {"sample_rate": 48000.0, "metadata": {"name": "Plexi", "loudness": -18.5}}
    capture = players.read(write(tmp_path / "x.nam", found))
    assert (capture.name, capture.sample_rate, capture.loudness_db) == ("Plexi", 48000, -18.5)
    capture = players.read(write(tmp_path / "y.nam", wavenet() | {"metadata": {"name": None, "loudness": None}}))
    assert (capture.name, capture.sample_rate, capture.loudness_db) == ("y", None, None)


# ---- Files that are not what their name says ----


def without(key: str) -> dict:
    return {name: value for name, value in wavenet().items() if name != key}


def with_weights(change) -> dict:
    found = wavenet()
    return found | {"weights": change(found["weights"])}


BAD = {
    "empty": ("", "it breaks off"),
    "cut off": (json.dumps(wavenet())[:150], "it breaks off"),
    "cut off in a word": ('{"version": "0.5.4", "weights": [1.0, tru', "it breaks off"),
    "not JSON": ("RIFF....WAVE", "it is not JSON from character 0 on"),
    "a list": ("[1, 2]", "it is JSON, but not an object"),
    "nested": ("[" * 100_000, "is no NAM capture"),
    "no version": (without("version"), "its `version` is missing"),
    "no weights": (without("weights"), "its `weights` is missing"),
    "old version": (wavenet() | {"version": "0.4.0"}, "is of NAM's version 0.4.0"),
    "new version": (wavenet() | {"version": "0.8.0"}, "is of NAM's version 0.8.0"),
    "strange version": (wavenet() | {"version": "latest"}, "is of NAM's version latest"),
    "unknown net": (wavenet() | {"architecture": "Transformer"}, "holds a Transformer; WaveNet, LSTM, Linear"),
    "a weight too few": (with_weights(lambda weights: weights[:-1]), "it has 41 weights, and its config calls for 42"),
    "a weight too many": (
        with_weights(lambda weights: [*weights, 0.0]),
        "it has 43 weights, and its config calls for 42",
    ),
    "LSTM a weight short": (lambda: (found := lstm()) | {"weights": found["weights"][:-1]}, "it has 38 weights"),
    "NaN": (with_weights(lambda weights: [float("nan"), *weights[1:]]), "holds 1 numbers that are NaN"),
    "infinite": (with_weights(lambda weights: [float("inf"), *weights[1:]]), "NaN or infinite"),
    "words": (with_weights(lambda weights: ["loud", *weights[1:]]), "no list of numbers"),
    "beyond a float": (with_weights(lambda weights: [1e300, *weights[1:]]), "beyond what a float holds"),
    "unknown activation": (wavenet(activation="Snake"), "its activation is 'Snake'"),
    "no channels": (wavenet(channels=0), "channels is 0"),
    "half a channel": (wavenet(channels=1.5), "channels is 1.5"),
    "huge": (wavenet(channels=1 << 20), "its config calls for more than"),
    "endless memory": (wavenet(dilations=[1, 1 << 20]), "the receptive field is"),
    "conditioned": (wavenet(condition_size=3), "condition_size is 3"),
    "bottleneck": (wavenet(bottleneck=1), "its `bottleneck` asks for more than a plain WaveNet"),
    "film": (wavenet(conv_pre_film={"active": True}), "its `conv_pre_film` asks for more than a plain WaveNet"),
    "kernel sizes for one layer": (wavenet(kernel_sizes=[2]), "a list has 1 entries for 2 layers"),
    "two outputs": (wavenet(head_size=2), "it has 2 outputs"),
    "no layers": (wavenet() | {"config": {"layers": [], "head_scale": 1.0}}, "is not understood"),
    "no config": (wavenet() | {"config": {}}, "its WaveNet has no 'layers'"),
    "rate in words": (wavenet() | {"sample_rate": "48k"}, "its sample_rate is not understood"),
    "no rate": (wavenet() | {"sample_rate": None}, "its sample_rate is not understood"),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_in_one_sentence(name: str, tmp_path: Path):
    contents, sentence = BAD[name]
    path = write(tmp_path / "x.nam", contents() if callable(contents) else contents)
    with pytest.raises(AmpsimError) as error:
        players.read(path)
    assert sentence in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_text_or_not_there(tmp_path: Path):
    (tmp_path / "x.nam").write_bytes(bytes(range(256)))
    with pytest.raises(AmpsimError, match="it is not text"):
        players.read(tmp_path / "x.nam")
    with pytest.raises(AmpsimError, match="does not exist"):
        players.read(tmp_path / "y.nam")
    with pytest.raises(AmpsimError, match="is a folder"):
        players.read(tmp_path)
