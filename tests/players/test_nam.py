"""`.nam` files: played as the format says, and refused in a sentence where they cannot be."""

import json
import os
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
    assert np.abs(play(tmp_path / "new.nam", new) - play(tmp_path / "old.nam", old)).max() > 0.01


def test_a_container_plays_its_largest_net(tmp_path: Path):
    small, large = wavenet(), wavenet()
    models = [{"max_value": 0.5, "model": small}, {"max_value": 1.0, "model": large}]
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
    assert (capture.name, capture.sample_rate, capture.loudness_db) == ("y", 48000, None)


# ---- What a file leaves open, or says in other words ----


@pytest.mark.parametrize(
    ("stated", "rate", "assumed"),
    [
        ({}, 48000, True),
        ({"sample_rate": None}, 48000, True),
        ({"sample_rate": -1.0}, 48000, True),  # as the format's own code writes a rate that it does not know
        ({"sample_rate": 0}, 48000, True),
        ({"sample_rate": "96000"}, 96000, False),
        ({"sample_rate": 44100.0, "metadata": None}, 44100, False),
    ],
)
def test_a_rate_that_is_left_open_is_the_formats(tmp_path: Path, stated: dict, rate: int, assumed: bool):
    capture = players.read(write(tmp_path / "x.nam", wavenet() | stated))
    assert (capture.sample_rate, capture.player.sample_rate) == (rate, rate)
    assert capture.notes == (
        (f"{tmp_path / 'x.nam'} states no sample rate: 48,000 Hz is assumed, as its players do",) * assumed
    )


def container(*nets: dict, **more: object) -> dict:
    models = [{"max_value": (number + 1.0) / len(nets), "model": net} for number, net in enumerate(nets)]
    return {
        "version": "0.7.0",
        "architecture": "SlimmableContainer",
        "config": {"submodels": models},
        "weights": [],
        **more,
    }


def test_a_container_without_a_rate_has_that_of_its_nets(tmp_path: Path):
    plain, fast, slow = wavenet(), wavenet() | {"sample_rate": 96000}, wavenet() | {"sample_rate": 44100}
    for contents, rate in (
        (container(fast, fast), 96000),
        (container(plain, slow), 44100),
        (container(slow, sample_rate=44100), 44100),
        (container(fast, sample_rate=None), 96000),
        (container(plain), 48000),
    ):
        assert players.read(write(tmp_path / "x.nam", contents)).sample_rate == rate
    about = {"metadata": {"name": "Plexi"}}
    assert players.read(write(tmp_path / "x.nam", container(fast | about))).name == "Plexi"
    assert players.read(write(tmp_path / "x.nam", container(fast, metadata={"name": "Amp"}))).name == "Amp"


@pytest.mark.parametrize("version", ["0.5", 0.5, "0.5.4-dev", "0.6.0+local", "0.7.1.2"])
def test_versions_in_other_words(tmp_path: Path, version: object):
    found = wavenet()
    expected = play(tmp_path / "x.nam", found)
    np.testing.assert_array_equal(play(tmp_path / "X.NAM", found | {"version": version}), expected)


def test_a_byte_order_mark_and_the_line_ends_of_others(tmp_path: Path):
    found = wavenet()
    expected = play(tmp_path / "x.nam", found)
    text = json.dumps(found, indent=1).replace("\n", "\r\n")
    (tmp_path / "y.nam").write_bytes(b"\xef\xbb\xbf" + text.encode())
    np.testing.assert_array_equal(players.read(tmp_path / "y.nam").player(SIGNAL), expected)
    (tmp_path / "z.nam").write_bytes(text.encode("utf-16"))
    with pytest.raises(AmpsimError, match=r"z\.nam is no .* in UTF-16; save it as UTF-8"):
        players.read(tmp_path / "z.nam")


def test_what_aida_x_plays_is_a_capture_too(tmp_path: Path):
    """A dense layer of 2, with a tanh, and one that sums: by hand."""
    layers = [
        {"type": "dense", "shape": [None, None, 2], "activation": "tanh", "weights": [[[1.0, -2.0]], [0.1, 0.0]]},
        {"type": "dense", "shape": [None, None, 1], "activation": "", "weights": [[[0.5], [0.25]], [0.0]]},
    ]
    found = {"in_shape": [None, None, 1], "layers": layers, "in_skip": 1, "in_gain": 6.0, "metadata": {"name": "Pedal"}}
    heard = SIGNAL * 10 ** (6 / 20)
    expected = 0.5 * np.tanh(heard + 0.1) + 0.25 * np.tanh(-2 * heard) + heard
    capture = players.read(write(tmp_path / "x.json", found))
    np.testing.assert_allclose(capture.player(SIGNAL), expected, atol=1e-6)
    assert (capture.name, capture.architecture, capture.sample_rate) == ("Pedal", "chain of dense and dense", 48000)
    assert capture.rate_assumed
    found["metadata"]["samplerate"] = "44100"
    assert players.read(write(tmp_path / "x.json", found)).sample_rate == 44100
    del found["metadata"]  # RTNeural's own
    np.testing.assert_allclose(players.read(write(tmp_path / "x.json", found)).player(SIGNAL), expected, atol=1e-6)


# ---- Sound that grows without end ----


def dense(*kernels: float) -> dict:
    layers = [
        {"type": "dense", "shape": [None, None, 1], "activation": "", "weights": [[[kernel]], [0.0]]}
        for kernel in kernels
    ]
    return {"in_shape": [None, None, 1], "layers": layers}


OVERFLOWING = {
    "a WaveNet": lambda: (found := wavenet(activation="ReLU")) | {"weights": [1e30 * w for w in found["weights"]]},
    "a filter": lambda: document("Linear", {"receptive_field": 2}, 2) | {"weights": [3e38, 3e38]},
    "a chain": lambda: dense(1e30, 1e30),
    "infinity less infinity": lambda: dense(1e38, 1e38, 1e38, 1e38, 1e38, 1e38, 1e38, 1e38, 1e38, -1e38),
}


@pytest.mark.parametrize("name", OVERFLOWING)
def test_a_net_that_overflows_plays_nothing(name: str, tmp_path: Path):
    player = players.read(write(tmp_path / "x.nam", OVERFLOWING[name]())).player
    signal = np.concatenate([np.zeros(2000, np.float32), np.full(3000, 0.9, np.float32)])
    with pytest.raises(AmpsimError, match=r"x\.nam plays NaN or infinity from 0:00\.\d on"):
        player(signal)


# ---- What a small file makes large ----


@pytest.fixture
def one_megabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPSIM_MEMORY_GB", "0.001")


@pytest.mark.usefixtures("one_megabyte")
def test_a_memory_beyond_the_limit_is_refused_before_it_is_set_aside(tmp_path: Path):
    convolution = {"type": "conv1d", "shape": [None, None, 1], "kernel_size": [2], "dilation": [1 << 18]}
    chain = {"in_shape": [1], "layers": [convolution | {"weights": [[[[0.5]], [[0.5]]], [0.0]]}]}
    for contents in (wavenet(dilations=[1, 1 << 18]), chain):
        sentence = r"the memory of the net in .*x\.nam would take \d\.\d MB of memory, and .* may take 1\.0 MB"
        with pytest.raises(AmpsimError, match=sentence):
            players.read(write(tmp_path / "x.nam", contents))
    assert players.read(write(tmp_path / "x.nam", wavenet())).player(SIGNAL).shape == SIGNAL.shape


@pytest.mark.usefixtures("one_megabyte")
def test_a_file_beyond_the_limit_is_refused_before_it_is_parsed(tmp_path: Path):
    with pytest.raises(AmpsimError, match="is no NAM capture: it has more than 40,000 bytes"):
        players.read(write(tmp_path / "x.nam", "[" + "{}," * 20_000 + "{}]"))


def test_what_silence_comes_to_is_known_at_once_however_long_the_memory(tmp_path: Path):
    """By hand: in silence each layer hears one value for ever, so that dilations make no difference."""
    found = wavenet(dilations=[1, 3])
    expected = wavenet_by_hand(found, np.zeros(5))[-1]
    found["config"]["layers"][0]["dilations"] = [1, (1 << 20) - 5]
    np.testing.assert_allclose(
        players.read(write(tmp_path / "x.nam", found)).player(np.zeros(2, np.float32)), expected, atol=1e-6
    )


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
    "unknown net": (wavenet() | {"architecture": "Transformer"}, "holds a Transformer; WaveNet, ConvNet, LSTM, Linear"),
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
    "bottleneck": (wavenet(bottleneck=0), "bottleneck is 0"),
    "activations for one layer": (wavenet(activation=["Tanh"]), "a list has 1 entries for 2 layers"),
    "two outputs": (wavenet(head_size=2), "it has 2 outputs"),
    "no layers": (wavenet() | {"config": {"layers": [], "head_scale": 1.0}}, "is not understood"),
    "no config": (wavenet() | {"config": {}}, "its WaveNet has no 'layers'"),
    "rate in words": (wavenet() | {"sample_rate": "48k"}, "its sample_rate is not understood"),
    "infinite rate": (wavenet() | {"sample_rate": float("inf")}, "its sample_rate is not understood"),
    "rate beyond any": (wavenet() | {"sample_rate": 1e30}, "sample_rate is 1e+30, and not a whole number from 1000"),
    "half a rate": (wavenet() | {"sample_rate": 44100.5}, "sample_rate is 44100.5"),
    "true for a rate": (wavenet() | {"sample_rate": True}, "sample_rate is True"),
    "true for a version": (wavenet() | {"version": True}, "is of NAM's version True"),
    "version in words": (wavenet() | {"version": "0.5x"}, "is of NAM's version 0.5x"),
    "version of digits without end": (wavenet() | {"version": "0." + "5" * 5000}, "is of NAM's version 0.555"),
    "a container of nothing": (container(), "it holds no net"),
    "a container in a container": (container(container(wavenet())), "it holds something else than nets"),
    "a container of several rates": (
        container(wavenet() | {"sample_rate": 96000}, wavenet() | {"sample_rate": 44100}),
        "of several sample rates (44,100 Hz, 96,000 Hz)",
    ),
    "a container with an old net": (container(wavenet() | {"version": "0.4.1"}), "is of NAM's version 0.4.1"),
    "weights twice": ('{"version": "0.5.4", "weights": [], "weights": []}', "it has the key 'weights' twice"),
    "digits without end": ('{"version": "0.5.4", "weights": [' + "1" * 5000 + "]}", "a number that is too long"),
    "layers without end": (wavenet(dilations=[1] * 100_000), "the number of its layers is 100000"),
    "arrays without end": (
        lambda: (found := wavenet()) | {"config": {**found["config"], "layers": found["config"]["layers"] * 100_000}},
        "the number of its layers is 200000",
    ),
    "a chain without end": (lambda: dense(*[1.0] * 5000), "the number of its layers is 5000"),
    "a chain with a gain beyond any": (dense(1.0) | {"in_gain": 1e9}, "in_gain and out_gain are from -200 to 200 dB"),
    "a chain with an unknown layer": (
        {"in_shape": [1], "layers": [{"type": "snake", "shape": [1], "weights": []}]},
        "'snake'",
    ),
    "GuitarML": ({"model_data": {}, "state_dict": {}}, "is a model of GuitarML's players"),
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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
def test_what_never_ends_or_never_begins_is_not_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "x.nam")
    (tmp_path / "y.nam").symlink_to("/dev/zero")
    for name in ("x.nam", "y.nam"):
        with pytest.raises(AmpsimError, match=r"is no file, but a (device|pipe|socket)"):
            players.read(tmp_path / name)
