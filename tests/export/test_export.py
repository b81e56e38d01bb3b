"""Every family in every format: proven by another implementation, or refused with the formats that can."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import soundfile
from synthetic import RATE, guitar, write_pcm

from ampsim import AmpsimError, export, models, players
from ampsim.export import formats
from ampsim.models import recurrent
from ampsim.players import rtneural
from ampsim.recordings import virtual_amp

FAMILIES: dict[str, tuple[type, dict[str, Any]]] = {
    "dense": (
        models.Dense,
        {"window": 70, "future": 3, "layers": 2, "units": 4, "activation": "tanh", "emphasis": 0.9},
    ),
    "spectral_dense": (
        models.SpectralDense,
        {"window": 70, "future": 3, "layers": 1, "units": 3, "sizes_ms": [4], "num_bands": 2, "high_hz": 3900.0},
    ),
    "fir": (models.Fir, {"taps": 50, "future": 4, "bias": True}),
    "wiener_hammerstein": (models.WienerHammerstein, {"taps_before": 20, "taps_after": 31, "units": 3, "future": 2}),
    "tcn": (models.Tcn, {"channels": 3, "dilations": [1, 2, 4], "future": 2}),
    "wavenet": (models.WaveNet, {"channels": 4, "dilations": [[1, 2, 4], [1, 8]]}),
    "wavenet_gated": (models.WaveNet, {"channels": [3], "dilations": [[1, 2]], "gated": True, "future": 5}),
    "wavenet_a2": (
        models.WaveNet,
        {"channels": [3, 2], "dilations": [[1, 5], [3]], "kernel_size": [[4, 2], [3]], "head_kernel_size": 5}
        | {"activation": "leaky_relu", "negative_slope": 0.01},
    ),
    "slimmable": (models.Slimmable, {"channels": [2, 3], "dilations": [1, 4], "kernel_size": [4, 2]}),
    "wavenet_cab": (models.WaveNetCab, {"channels": 3, "layers": 2, "taps": 40, "tail": 10, "future": 6}),
    "a2_cab": (
        models.WaveNetCab,
        {"channels": 3, "dilations": [1, 5], "kernel_size": [4, 2], "head_kernel_size": 3, "taps": 40, "tail": 10}
        | {"activation": "leaky_relu", "negative_slope": 0.01, "future": 6},
    ),
    "lstm": (models.Lstm, {"units": 8, "burn_in": 60}),
    "lstm_two_layers": (models.Lstm, {"units": 3, "layers": 2, "burn_in": 60, "future": 4}),
    "lstm_skip": (models.Lstm, {"units": 8, "burn_in": 60, "skip": True}),
    "gru": (models.Gru, {"units": 12, "burn_in": 60, "skip": True}),
    "gru_plain": (models.Gru, {"units": 3, "layers": 2, "burn_in": 60}),
    "ssm": (models.Ssm, {"channels": 3, "states": 2, "layers": 2, "burn_in": 130, "skip": True, "future": 3}),
}
ANYTHING = {"onnx", "litert", "keras"}
HELD = {
    "fir": {"nam", "rtneural", "page"},
    "dense": {"rtneural", "page"},
    "wavenet": {"nam", "page"},
    "wavenet_gated": {"nam", "page"},
    "wavenet_a2": {"nam", "page"},
    "slimmable": {"nam", "page"},
    "wavenet_cab": {"nam", "rig", "page"},
    "a2_cab": {"nam", "rig", "page"},
    "lstm": {"nam", "rtneural", "aidax", "page"},
    "lstm_two_layers": {"nam", "rtneural", "page"},
    "lstm_skip": {"aidax", "page"},
    "gru": {"aidax", "page"},
    "gru_plain": {"rtneural", "page"},
}
PAIRS = [(family, name) for family in FAMILIES for name in sorted(ANYTHING | HELD.get(family, set()))]


@pytest.fixture(autouse=True)
def _short_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "PROOF_S", 1.0)
    monkeypatch.setattr(recurrent, "SETTLED_S", 0.25)


def made(family: str, **more: Any) -> models.AmpModel:
    keras.utils.set_random_seed(1)
    kind, arguments = FAMILIES[family]
    model = kind(**arguments, sample_rate=RATE, **more)
    model.build()
    random = np.random.default_rng(2)
    model.set_weights([weight + 0.1 * random.normal(size=weight.shape) for weight in model.get_weights()])
    return model


def export_one(model: models.AmpModel, form: str, path: Path, **details: Any) -> export.Export:
    (found,) = export.export(model, export.formats_named(form), path, export.Details(**details))
    return found


@pytest.mark.parametrize(("family", "name"), PAIRS)
def test_a_file_plays_as_the_model_does(family: str, name: str, tmp_path: Path):
    found = export_one(made(family), name, tmp_path / "out")
    assert found.proof.difference < (1e-5 if family == "ssm" else 2e-6)  # which adds up long sums of decaying sines
    assert found.proof.peak > 1e-4
    around = tmp_path if found.format.folder else tmp_path / "out"
    assert [path.name for path in around.iterdir()] == [found.path.name]


@pytest.mark.parametrize(
    ("family", "name"), [pair for pair in itertools.product(FAMILIES, export.FORMATS) if pair not in PAIRS]
)
def test_what_a_format_cannot_hold_is_refused_with_those_that_can(family: str, name: str, tmp_path: Path):
    with pytest.raises(AmpsimError) as error:
        export_one(made(family), name, tmp_path / "out")
    able = [other for other in export.FORMATS if (family, other) in PAIRS]
    assert str(error.value).startswith(f"format={name} cannot hold this model: ")
    assert str(error.value).endswith(f"These can: {', '.join(able)}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("family", "more", "sentence"),
    [("wavenet", {"activation": "gelu"}, "and not gelu"), ("dense", {"activation": "gelu"}, "and not gelu")],
)
def test_an_activation_that_a_format_does_not_know(family: str, more: dict, sentence: str, tmp_path: Path):
    name = "nam" if family == "wavenet" else "rtneural"
    kind, arguments = FAMILIES[family]
    model = kind(**{**arguments, **more}, sample_rate=RATE)
    model.build()
    with pytest.raises(AmpsimError, match=sentence):
        export_one(model, name, tmp_path)


def test_a_page_keeps_the_controls_of_a_model_and_is_proven_at_several_settings(tmp_path: Path):
    kind, arguments = FAMILIES["wavenet_cab"]
    net = {"_target_": f"ampsim.models.{kind.__name__}", **arguments}
    model = models.Controlled(net=net, controls={"gain": [0, 10], "bright": ["off", "on"]}, parts=2, sample_rate=RATE)
    model.build()
    random = np.random.default_rng(3)
    for direction in model.directions:
        direction.assign(random.normal(scale=0.2, size=direction.shape))
    model.level.assign(random.normal(scale=0.4, size=model.level.shape))  # a master volume
    model.trim.kernel.assign(random.normal(scale=0.2, size=model.trim.kernel.shape))
    found = export_one(model, "page", tmp_path / "amp.html")
    assert found.proof.difference < 2e-6
    plain = formats.played(model.at([5, 0]), guitar(RATE))
    np.testing.assert_allclose(found.format.load(found.path)(guitar(RATE))[5:], plain[:-5], atol=1e-5)
    other = formats.played(model.at([8, 1]), guitar(RATE))
    assert np.abs(other - plain).max() > 1e-3
    np.testing.assert_allclose(found.format.load(found.path, [8, 1])(guitar(RATE))[5:], other[:-5], atol=1e-5)


def test_a_model_that_hears_the_future_is_late_and_says_so(tmp_path: Path):
    model = made("wavenet_cab")
    assert export_one(model, "nam", tmp_path).latency == "5 samples (0.6 ms)"
    signal = guitar(RATE)
    late = players.read(tmp_path / "ampsim.nam").player(signal)
    np.testing.assert_allclose(late[5:], formats.played(model, signal)[:-5], atol=1e-6)
    assert export_one(made("lstm"), "nam", tmp_path / "b").latency == ""


@pytest.mark.parametrize("name", ["nam", "rtneural", "onnx", "litert"])
def test_a_file_that_plays_otherwise_is_not_kept(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model, other = made("lstm"), made("lstm")
    other.head.bias.assign_add([1e-3])
    each = export.FORMATS[name]
    write = type(each).write
    monkeypatch.setattr(type(each), "write", lambda self, _, path, details: write(self, other, path, details))
    with pytest.raises(AmpsimError, match=r"was not kept: .* differs from the model by 1.0e-03"):
        export.export(model, export.formats_named(f"keras,{name}"), tmp_path / "out", export.Details())
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_stays_unless_told(tmp_path: Path):
    model = made("fir")
    (tmp_path / "amp.nam").write_text("mine")
    with pytest.raises(AmpsimError, match="exists; say overwrite=true"):
        export_one(model, "nam", tmp_path / "amp.nam")
    assert (tmp_path / "amp.nam").read_text() == "mine"
    export.export(model, export.formats_named("nam"), tmp_path / "amp.nam", export.Details(), overwrite=True)
    assert players.read(tmp_path / "amp.nam").architecture == "Linear"
    assert [path.name for path in tmp_path.iterdir()] == ["amp.nam"]


def test_several_formats_go_into_a_folder(tmp_path: Path):
    export.export(
        made("lstm"), export.formats_named("nam, rtneural,aidax"), tmp_path / "a", export.Details(name="my/amp: loud")
    )
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["my_amp_ loud-aidax.json", "my_amp_ loud-rtneural.json", "my_amp_ loud.nam"]


@pytest.mark.parametrize(
    ("names", "output", "details", "sentence"),
    [
        ("namm", "x", {}, "there is no such format; did you mean `nam`?"),
        ("", "x", {}, "name one or several of nam"),
        ("nam,nam", "x", {}, "each once"),
        ("nam", "x.wav", {}, "a file of format=nam ends in .nam"),
        ("nam,onnx", "there", {}, "is a file; several formats go into a folder"),
        ("nam", "x", {"gear_type": "banjo"}, "gear_type=banjo: it is one of amp, pedal"),
        ("onnx", "x", {"block_length": 0}, "a block has from 1 to"),
    ],
)
def test_requests_that_make_no_sense(names: str, output: str, details: dict, sentence: str, tmp_path: Path):
    (tmp_path / "there").write_text("")
    with pytest.raises(AmpsimError) as error:
        export.export(made("fir"), export.formats_named(names), tmp_path / output, export.Details(**details))
    assert sentence in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


# ---- What the files say ----


def test_a_nam_file_tells_about_the_amp(tmp_path: Path):
    details = {
        "name": "Plexi",
        "gear_type": "amp",
        "gear_make": "M",
        "tone_type": "crunch",
        "scores": {"test_esr": 0.02},
    }
    found = json.loads(export_one(made("wavenet"), "nam", tmp_path, **details).path.read_text())
    metadata = found["metadata"]
    assert (found["version"], found["sample_rate"]) == ("0.5.4", RATE)
    assert (metadata["name"], metadata["gear_type"], metadata["gear_make"]) == ("Plexi", "amp", "M")
    assert metadata["training"]["ampsim"] == {"test_esr": 0.02}
    assert metadata["gear_model"] is None
    assert metadata["loudness"] < 0
    assert 0 <= metadata["gain"] <= 1
    assert set(metadata["date"]) == {"year", "month", "day", "hour", "minute", "second"}


def test_a_nam_file_with_a_cabinet_needs_a_newer_player(tmp_path: Path):
    found = json.loads(export_one(made("wavenet_cab"), "nam", tmp_path).path.read_text())
    assert found["version"] == "0.7.0"
    assert found["config"]["layers"][-1]["head"] == {"out_channels": 1, "kernel_size": 50, "bias": False}


def test_the_presets_have_as_many_weights_as_nams_own(tmp_path: Path):
    from ampsim.config import settings
    from ampsim.config.targets import build

    for preset, count in (("standard", 13_802), ("lite", 6_554), ("feather", 3_026), ("nano", 842)):
        model = build(settings.composed([f"model=wavenet_{preset}"])["model"], sample_rate=RATE)
        model.build()
        assert sum(np.size(part) for part in model.as_nam().weights) == count


def test_an_aidax_file_checks_itself(tmp_path: Path):
    path = export_one(made("lstm_skip"), "aidax", tmp_path).path
    found = json.loads(path.read_text())
    assert (found["in_skip"], len(found["input_batch"]), len(found["output_batch"])) == (1, 2048, 2048)
    assert found["samplerate"] == RATE
    found["output_batch"][7] += 0.01
    path.write_text(json.dumps(found))
    with pytest.raises(AmpsimError, match="its output_batch is not what it makes of its input_batch"):
        rtneural.read_aidax(path)


def test_an_aidax_file_states_no_gain_of_0_db(tmp_path: Path):
    """There is a player that adds 12 dB of input where the key is there and 0."""
    for number, (family, more, stated) in enumerate(
        [
            ("lstm", {"input_gain": 3.0}, set()),  # worked into the weights
            ("lstm_skip", {}, set()),
            ("lstm_skip", {"input_gain": 2.0, "output_gain": 0.5}, {"in_gain", "out_gain"}),
            ("gru", {"output_gain": 0.5}, {"out_gain"}),
        ]
    ):
        path = export_one(made(family, **more), "aidax", tmp_path / str(number)).path
        found = json.loads(path.read_text())
        assert {"in_gain", "out_gain"} & set(found) == stated
        if "out_gain" in stated:
            assert found["out_gain"] == pytest.approx(20 * np.log10(0.5))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda found: found["layers"][1].update(activation="gelu"), "which RTNeural does not know"),
        (lambda found: found["layers"][1].update(type="leaky-relu"), "is a 'leaky-relu'"),
        (lambda found: found["layers"][0]["weights"][0][0].pop(), "the weights of layer 0"),
        (lambda found: found["layers"].pop(), "it ends with 8 outputs"),
        (lambda found: found["layers"][0].pop("weights"), "has no 'weights'"),
        (lambda found: found["layers"][0]["weights"][2].__setitem__(0, float("nan")), "NaN or infinite"),
    ],
)
def test_what_rtneural_would_stumble_over_is_refused(change: Any, sentence: str, tmp_path: Path):
    path = export_one(made("lstm"), "rtneural", tmp_path).path
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    with pytest.raises(AmpsimError) as error:
        rtneural.read(path)
    assert sentence in str(error.value)


def test_aidax_reads_no_second_recurrent_layer(tmp_path: Path):
    model = models.Lstm(units=8, layers=2, burn_in=60, sample_rate=RATE)
    model.build()
    with pytest.raises(AmpsimError, match="it holds one layer of 8, 12"):
        export_one(model, "aidax", tmp_path)


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_a_runtime_starts_from_zeros_in_any_block_length(name: str, tmp_path: Path):
    model = made("lstm_two_layers")
    signal, played = guitar(RATE), []
    for block in (64, 300):
        path = export_one(model, name, tmp_path / str(block), block_length=block).path
        played.append(export.FORMATS[name].load(path)(signal))
    np.testing.assert_allclose(played[0], played[1], atol=1e-6)


# ---- The real players, where they are at hand ----

NAM_PYTHON = """
import json, sys
import numpy, torch
from nam.models import init_from_nam
for file in sys.argv[2:]:
    with open(file) as f:
        found = json.load(f)
    for array in found["config"].get("layers", []):  # it reads the new names alone
        del array["gated"]
        if "head" not in array:
            array["head"] = {"out_channels": array.pop("head_size"), "kernel_size": 1, "bias": array.pop("head_bias")}
    net = init_from_nam(found)
    with torch.no_grad():
        numpy.save(file + ".npy", net(torch.tensor(numpy.load(sys.argv[1])), pad_start=True).numpy())
"""
PLAYED = ("wavenet", "wavenet_cab", "lstm", "lstm_two_layers")


@pytest.fixture
def nam_files(tmp_path: Path) -> SimpleNamespace:
    paths = {
        family: export_one(made(family), "nam", tmp_path / family).path for family in (*PLAYED, "wavenet_gated", "fir")
    }
    return SimpleNamespace(paths=paths, signal=virtual_amp.guitar(2.0, RATE, seed=1), folder=tmp_path)


@pytest.mark.slow
def test_neural_amp_modeler_in_python_plays_the_same(nam_files: SimpleNamespace):
    python = os.environ.get("AMPSIM_NAM_PYTHON")
    if not python:
        pytest.skip("AMPSIM_NAM_PYTHON is not set: a Python that has neural-amp-modeler")
    np.save(nam_files.folder / "in.npy", nam_files.signal)
    files = [str(nam_files.paths[family]) for family in PLAYED]
    subprocess.run(
        [python, "-c", NAM_PYTHON, str(nam_files.folder / "in.npy"), *files], check=True, capture_output=True
    )
    for family, file in zip(PLAYED, files, strict=True):
        expected = players.read(file).player(nam_files.signal)
        start = RATE if family.startswith("lstm") else 0  # Python plays no zeros through an LSTM before it begins
        np.testing.assert_allclose(np.load(f"{file}.npy").ravel()[start:], expected[start:], atol=1e-5)


@pytest.mark.slow
def test_the_player_in_plugins_plays_the_same(nam_files: SimpleNamespace):
    player = os.environ.get("AMPSIM_NAM_RENDER")
    if not player:
        pytest.skip("AMPSIM_NAM_RENDER is not set: the program `render` of NeuralAmpModelerCore")
    soundfile.write(nam_files.folder / "in.wav", nam_files.signal, RATE, subtype="FLOAT")
    for path in nam_files.paths.values():
        command = [player, str(path), str(nam_files.folder / "in.wav"), str(nam_files.folder / "out.wav")]
        subprocess.run(command, check=True, capture_output=True)
        found, _ = soundfile.read(nam_files.folder / "out.wav", dtype="float32")
        np.testing.assert_allclose(found, players.read(path).player(nam_files.signal), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_the_example_plays_a_wav(name: str, tmp_path: Path):
    """`experiments/play`, which needs nothing of ampsim, in a process of its own."""
    model = made("wavenet")
    path = export_one(model, name, tmp_path).path
    write_pcm(tmp_path / "in.wav", [guitar(RATE)], bits=24)
    script = Path(__file__).parents[2] / "experiments" / "play" / f"{name}_wav.py"
    command = [sys.executable, str(script), str(path), str(tmp_path / "in.wav"), str(tmp_path / "out.wav")]
    subprocess.run(command, check=True, capture_output=True)
    found, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(found, formats.played(model, guitar(RATE)), atol=1e-5)


@pytest.mark.parametrize("kind", ["nam", "aidax"])
def test_a_model_that_plays_no_numbers_is_not_exported(tmp_path: Path, kind: str):
    model = (
        models.Fir(taps=4, sample_rate=RATE) if kind == "nam" else models.Lstm(units=8, burn_in=60, sample_rate=RATE)
    )
    model.build()
    model.set_weights([np.full_like(weight, 3e38) for weight in model.get_weights()])
    with pytest.raises(AmpsimError, match=r"plays? NaN or infinity|beyond what a float holds|not understood"):
        export.export(model, export.formats_named(kind), tmp_path / "out", formats.Details())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("my/amp: loud", "my_amp_ loud"),
        ("../..", "_"),
        ("...", "model"),
        ("", "model"),
        ("nul", "_nul"),
        ("Com1.a", "_Com1.a"),
    ],
)
def test_a_name_becomes_that_of_a_file_on_every_system(name: str, stem: str):
    assert formats.file_stem(name) == stem


def test_a_long_name_leaves_room_for_an_ending():
    assert formats.file_stem("アンプ" * 80) == "アンプ" * 22
    assert formats.file_stem("a" * 500) == "a" * 200
