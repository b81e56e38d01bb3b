"""Configs of other trainers: what they become is composed and built, and what they lack is said."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ampsim import AmpsimError
from ampsim.cli import main as cli
from ampsim.config import plugins, settings
from ampsim.config.targets import build
from ampsim.desk.imported import imported

CONF = Path(__file__).parents[2] / "conf"
DILATIONS = [1, 2, 4, 8]
WAVENET = {
    "net": {
        "name": "WaveNet",
        "config": {
            "layers_configs": [
                {
                    "condition_size": 1,
                    "input_size": 1,
                    "channels": 6,
                    "head_size": 4,
                    "kernel_size": 3,
                    "dilations": DILATIONS,
                    "activation": "Tanh",
                    "gated": False,
                    "head_bias": False,
                },
                {
                    "condition_size": 1,
                    "input_size": 6,
                    "channels": 4,
                    "head_size": 1,
                    "kernel_size": 3,
                    "dilations": DILATIONS,
                    "activation": "Tanh",
                    "gated": False,
                    "head_bias": True,
                },
            ],
            "head_scale": 0.02,
        },
    },
    "loss": {"val_loss": "mse", "mrstft_weight": 0.0002, "dc_weight": 1.0},
    "optimizer": {"lr": 0.004, "weight_decay": 1e-6},
    "lr_scheduler": {"class": "ExponentialLR", "kwargs": {"gamma": 0.98}},
}
DATA = {
    "_notes": ["not to be told of"],
    "train": {"start_seconds": None, "stop_seconds": -9.0, "ny": 4096},
    "validation": {"start_seconds": -9.0, "stop_seconds": None, "ny": None},
    "common": {"x_path": "C:\\di\\${oc.env:HOME}.wav", "y_path": "amp.wav", "delay": 7},
    "target_rms_dbfs": -18.0,
}
LEARNING = {
    "train_dataloader": {"batch_size": 8, "shuffle": True, "num_workers": 0},
    "val_dataloader": {},
    "trainer": {"accelerator": "gpu", "devices": 1, "max_epochs": 50, "gradient_clip_val": 1.0},
}
AIDA = {
    "model": "SimpleRNN",
    "hidden_size": 12,
    "num_layers": 1,
    "unit_type": "LSTM",
    "loss_fcns": {"ESRPre": 0.75, "DC": 0.25},
    "pre_filt": "A-weighting-lp",
    "skip_con": 0,
    "samplerate": 48000,
    "epochs": 200,
    "seed": 39,
    "validation_p": 20,
    "device": "amp",
    "file_name": "amp",
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    for name, content in {"data": DATA, "model": WAVENET, "learning": LEARNING, "LSTM-12": AIDA}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return {path.stem: path for path in tmp_path.glob("*.json")}


def composed(experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str = "mine") -> dict[str, Any]:
    """What Hydra makes of the file, as a choice of a plugin's."""
    package = tmp_path / f"their_{name}"
    (package / "conf" / "experiment").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "conf" / "experiment" / f"{name}.yaml").write_text(experiment)
    monkeypatch.setenv(plugins.VARIABLE, str(package))
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    return settings.composed([f"experiment={name}"])


def test_three_files_of_nam_become_the_same_run(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = imported("nam", [files["learning"], files["data"], files["model"]])
    config = composed(found.yaml, tmp_path, monkeypatch)
    model = build(config["model"], "model", sample_rate=48000)
    model.build()
    # By hand: two arrays of four layers; conv with bias, mixin, 1x1 with bias; rechannel; head with and without bias.
    weights = [6 + 4 * (3 * 36 + 6 + 6 + 36 + 6) + 6 * 4, 6 * 4 + 4 * (3 * 16 + 4 + 4 + 16 + 4) + 4 + 1]
    assert model.count_params() == sum(weights)
    assert model.receptive_field == 1 + 2 * 2 * sum(DILATIONS)
    loss = build(config["loss"], "loss")
    assert {name: term.weight for name, term in loss.terms.items()} == {"mse": 1.0, "mrstft": 0.0002, "dc": 1.0}
    optimizer = build(config["optimizer"], "optimizer")
    assert float(optimizer.learning_rate) == pytest.approx(0.004)
    assert build(config["schedule"], "schedule")(0.5) == pytest.approx(0.98**25)
    training = config["training"]
    assert (training["epochs"], training["seconds"], training["batch_size"]) == (50, None, 8)
    assert training["segment_length"] == 4096
    data = config["data"]
    assert data["input"].endswith("C:\\di\\${oc.env:HOME}.wav")  # a file's name, and no reference to the environment
    assert (data["delay"], data["splits"]) == (7, {"train": 1.0, "validation": "9 s", "test": "9 s"})
    assert build(data, "data").delay == 7


def test_what_is_not_the_same_is_said_and_stands_in_the_file(files: dict[str, Path]):
    found = imported("nam", [files["model"], files["data"], files["learning"]])
    told = "\n".join(found.notes)
    for key in (
        "val_loss",
        "dc_weight",
        "weight_decay",
        "data.validation",
        "target_rms_dbfs",
        "trainer.gradient_clip_val",
    ):
        assert key in told
    assert "_notes" not in told
    assert "num_workers" not in told
    head = [line for line in found.yaml.splitlines() if line.startswith("#")]
    assert head[0] == "# @package _global_"
    assert [line[6:] for line in head[2:]] == found.notes


def test_two_pairs_are_a_take_to_train_on_and_one_to_test_on(files: dict[str, Path]):
    data = {
        "train": {"x_path": "a/di.wav", "y_path": "a/amp.wav", "ny": 8192},
        "validation": {"x_path": "b/test.wav", "y_path": "b/amp.wav"},
        "common": {"delay": 1.4},
    }
    files["data"].write_text(json.dumps(data))
    section = imported("nam", [files["model"], files["data"]]).sections["data"]
    assert section["input"] == ["a/di.wav", "b/test.wav"]
    assert section["target"] == ["a/amp.wav", "b/amp.wav"]
    assert (section["splits"]["test"], section["delay"]) == (["test.wav"], 1)


def test_the_packed_net_of_the_trainer_is_a2(files: dict[str, Path]):
    """The recipe of its default: two nets of 23 layers, as conf/model/a2.yaml has them."""
    a2 = yaml.safe_load((CONF / "model" / "a2.yaml").read_text(encoding="utf-8"))
    array = {
        "input_size": 1,
        "condition_size": 1,
        "kernel_sizes": a2["kernel_size"],
        "dilations": a2["dilations"],
        "activation": "LeakyReLU",
        "head": {"out_channels": 1, "kernel_size": 16, "bias": True},
    }
    nets = [
        {"name": f"channels_{width}", "config": {"layers_configs": [{**array, "channels": width}], "head_scale": 0.01}}
        for width in (3, 8)
    ]
    files["model"].write_text(json.dumps({"net": {"name": "PackedWaveNet", "config": {"submodels": nets}}}))
    found = imported("nam", [files["model"]])
    same = {key: value for key, value in a2.items() if key in found.sections["model"]}
    assert found.sections["model"] == {**same, "names": ["channels_3", "channels_8"], "head_scale": 0.01}
    assert found.choices["model"] == "a2"
    assert build(settings.composed(["model=a2"])["model"] | found.sections["model"], "model", sample_rate=48000)


@pytest.mark.parametrize(
    ("net", "choice", "section"),
    [
        (
            {"name": "LSTM", "config": {"hidden_size": 18, "num_layers": 3, "train_burn_in": 8192}},
            "lstm",
            {"units": 18, "layers": 3, "burn_in": 8192},
        ),
        ({"name": "Linear", "config": {"receptive_field": 64, "bias": True}}, "fir", {"taps": 64, "bias": True}),
    ],
)
def test_other_nets(net: dict, choice: str, section: dict, files: dict[str, Path]):
    files["model"].write_text(json.dumps({"net": net, "lr_scheduler": {"class": "ReduceLROnPlateau", "kwargs": {}}}))
    found = imported("nam", [files["model"]])
    assert (found.choices["model"], found.sections["model"]) == (choice, section)
    assert any(note.startswith("lr_scheduler") for note in found.notes)


def test_a_config_of_aidax(files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = imported("aidax", [files["LSTM-12"]])
    config = composed(found.yaml, tmp_path, monkeypatch)
    model = build(config["model"], "model", sample_rate=48000)
    model.build()
    assert model.count_params() == 4 * (12 * 12 + 12 + 12) + 12 + 1  # of Keras, which has one bias a gate
    assert (model.skip, model.burn_in) == (False, 200)
    terms = build(config["loss"], "loss").terms
    assert {name: term.weight for name, term in terms.items()} == {"esr": 0.0, "esr_filtered": 0.75, "dc": 0.25}
    assert (type(terms["esr_filtered"]).__name__, config["seed"]) == ("AWeighted", 39)
    training = config["training"]
    assert (training["segment_length"], training["epochs"], training["patience"]) == (24000, 200, 20)


def broken(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    content = copy.deepcopy(WAVENET)
    inner: Any = content
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return content


LAYERS = ("net", "config", "layers_configs")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (broken(("net", "name"), "ConvNet"), "ampsim has no `ConvNet`"),
        (broken(("net", "name"), ["x"] * 9), "ampsim has no"),
        (broken((*LAYERS, 0, "channels"), 10**9), "channels is 1000000000"),
        (broken((*LAYERS, 0, "channels"), "6"), "channels is '6'"),
        (broken((*LAYERS, 0, "head_size"), 3), "array 0 is not as in NAM's own nets"),
        (broken((*LAYERS, 0, "slimmable"), {"method": "x"}), "has slimmable"),
        (broken((*LAYERS, 1, "activation"), "Softsign"), "its activation is 'Softsign'"),
        (broken((*LAYERS, 1, "activation"), "ReLU"), "different activations"),
        (broken(LAYERS, []), "no list of layer arrays"),
        (broken(("net", "config"), 7), "the model config is not understood"),
        (broken(("lr_scheduler", "kwargs"), {"gamma": 2}), "gamma"),
        ({"net": {}}, "has no 'name'"),
        ({"x": 1}, "name model.json"),
        ([1], "not an object"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    content: Any, sentence: str, files: dict[str, Path], capsys: pytest.CaptureFixture
):
    files["model"].write_text(json.dumps(content))
    output = files["model"].parent / "x.yaml"
    assert cli.main(["import-config", "nam", str(files["model"]), f"output={output}"]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"params": {"n": 2}}, "a net with knobs"),
        ({"model": "GatedConvNet"}, "SimpleRNN with LSTM or GRU alone"),
        ({"hidden_size": None}, "hidden_size is None"),
        ({"samplerate": "fast"}, "could not convert"),
    ],
)
def test_a_config_of_aidax_that_cannot_be(change: dict, sentence: str, files: dict[str, Path]):
    files["LSTM-12"].write_text(json.dumps(AIDA | change))
    with pytest.raises(AmpsimError, match=sentence):
        imported("aidax", [files["LSTM-12"]])


def test_the_command(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    words = ["import-config", "nam", "model.json", "data.json", "output=conf/experiment/mine.yaml"]
    assert cli.main(words) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == "-> conf/experiment/mine.yaml; in conf/experiment/ of a plugin it is experiment=mine"
    assert all(line.startswith("not the same: ") for line in told[:-1])
    for wrong, sentence in (
        (words, "overwrite=true"),
        (["import-config", "gx", "model.json", "output=x.yaml"], "there is no import of `gx`"),
        (["import-config", "nam", "model.json", "model.json", "output=x.yaml"], "both a model config"),
        (["import-config", "nam", "model.json", "output=x.json"], "a YAML to write"),
        (["import-config", "nam", "output=x.yaml"], "name the trainer"),
        (["import-config", "nam", "nothing.json", "output=x.yaml"], "does not exist"),
        (["import-config", "aidax", "model.json", "output=x.yaml"], "the one JSON file"),
    ):
        assert cli.main(wrong) == 2
        assert sentence in capsys.readouterr().err
