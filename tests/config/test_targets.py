"""What a config can build, and that it can build nothing else."""

import importlib

import pytest

from ampsim import AmpsimError
from ampsim.config import targets
from ampsim.config.run_config import RunConfig, assignment
from ampsim.config.targets import assignments, build, flattened, nearest
from ampsim.recordings.sources import Stereo
from ampsim.training.schedules import Cosine


def test_a_section_is_the_constructors_keyword_arguments():
    assert build({"_target_": "ampsim.training.schedules.Cosine", "final": 0.1, "warmup": 0.2}) == Cosine(
        final=0.1, warmup=0.2
    )


def test_what_is_no_section_comes_back_as_it_is():
    assert build({"a": [1, "two", None], "b": {"c": 3.0}}) == {"a": [1, "two", None], "b": {"c": 3.0}}
    assert build(None) is None


def test_sections_are_built_inside_dicts_and_lists():
    cosine = {"_target_": "ampsim.training.schedules.Cosine"}
    found = build({"_target_": "ampsim.recordings.Stereo", "path": [cosine, {"x": cosine}], "splits": SPLITS})
    assert isinstance(found, Stereo)
    assert found.path == [Cosine(), {"x": Cosine()}]
    loss = build({"_target_": "ampsim.losses.Sum", "terms": {"e": {"_target_": "ampsim.losses.ESR", "floor_db": -20}}})
    assert loss.terms["e"].floor == pytest.approx(0.01)


SPLITS = {"train": 0.5, "validation": 0.2, "test": 0.2}


def test_a_keras_schedule_inside_an_optimizer():
    optimizer = build(
        {
            "_target_": "keras.optimizers.SGD",
            "learning_rate": {
                "_target_": "keras.optimizers.schedules.ExponentialDecay",
                "initial_learning_rate": 0.5,
                "decay_steps": 10,
                "decay_rate": 0.1,
            },
        }
    )
    assert float(optimizer.learning_rate) == pytest.approx(0.5)


def test_extra_arguments_go_to_the_outermost_target_only():
    assert build({"_target_": "ampsim.training.schedules.Cosine", "final": 0.5}, warmup=0.25) == Cosine(
        final=0.5, warmup=0.25
    )


def test_a_section_is_left_as_it_was():
    section = {"_target_": "ampsim.losses.Sum", "terms": {"mse": {"_target_": "ampsim.losses.MSE", "weight": 2.0}}}
    build(section)
    assert section["terms"] == {"mse": {"_target_": "ampsim.losses.MSE", "weight": 2.0}}


def test_an_unknown_argument_is_refused_with_the_nearest():
    with pytest.raises(
        AmpsimError, match=r"ampsim\.training\.schedules\.Cosine takes no `warmpu`; did you mean `warmup`\?"
    ):
        build({"_target_": "ampsim.training.schedules.Cosine", "warmpu": 0.1})
    with pytest.raises(AmpsimError, match=r"Dense takes no `unit`; did you mean `units`\?"):
        build({"_target_": "ampsim.models.Dense", "unit": 3})
    with pytest.raises(AmpsimError, match=r"RMSprop.*learning_rte"):
        build({"_target_": "keras.optimizers.RMSprop", "learning_rte": 0.1})


def test_an_argument_with_a_wrong_value_is_told_with_its_target():
    with pytest.raises(AmpsimError, match=r"ampsim\.training\.schedules\.Cosine: schedule\.warmup is a share"):
        build({"_target_": "ampsim.training.schedules.Cosine", "warmup": 3})
    with pytest.raises(AmpsimError, match=r"ampsim\.recordings\.Stereo: .*path"):
        build({"_target_": "ampsim.recordings.Stereo"})


@pytest.mark.parametrize("path", ["ampsim.models.Dens", "ampsim.models.nothing.Dense", "keras.optimizers.Adamm"])
def test_a_part_that_does_not_exist_is_named(path: str):
    with pytest.raises(AmpsimError, match=f"_target_: {path}`, which does not exist"):
        build({"_target_": path})


FORBIDDEN_BY_NAME = [
    "os.system",
    "builtins.eval",
    "builtins.exec",
    "subprocess.run",
    "eval",
    "",
    "shutil.rmtree",
    "keras.utils.get_file",
    "keras.saving.load_model",
    "keras.models.load_model",
    "keras.layers.Lambda",
    "keras.optimizers.schedules.extra.Thing",
    "keras.src.optimizers.adam.Adam",
    "hydra.utils.instantiate",
    "hydra.utils.call",
    "ampsim_evil.Thing",
    "ampsimx.models.Dense",
    "xampsim.models.Dense",
    "ampsim.models.Dense.__init__",
    "ampsim.models.__dict__",
    "ampsim.models.Dense.__class__",
    "ampsim.__builtins__.eval",
    "ampsim.models.Dense.__init__.__globals__",
    "ampsim.signals.audio.os.path._joinrealpath",
    "ampsim.models.Dense\n",
    "ampsim.models.Dense;os",
    "ampsim..models.Dense",
    " ampsim.models.Dense",
    ".ampsim.models.Dense",
    "ampsim/models.Dense",
    None,
    3,
    ["ampsim.models.Dense"],
    {"_target_": "os.system"},
]


@pytest.mark.parametrize("path", FORBIDDEN_BY_NAME, ids=repr)
def test_a_forbidden_target_is_refused_before_anything_is_imported(path, monkeypatch: pytest.MonkeyPatch):
    def imported(name: str):
        raise AssertionError(f"{name} was imported")

    monkeypatch.setattr(targets.importlib, "import_module", imported)
    with pytest.raises(AmpsimError, match="_target_"):
        build({"_target_": path, "command": "true"})


FORBIDDEN_INSIDE = [
    "ampsim.signals.audio.os.system",
    "ampsim.signals.audio.os.popen",
    "ampsim.signals.audio.Path",
    "ampsim.signals.audio.tempfile.mkdtemp",
    "ampsim.cli.main.subprocess.call",
    "ampsim.cli.main.os.system",
    "ampsim.runs.experiment.shutil.rmtree",
    "ampsim.runs.experiment.subprocess.run",
    "ampsim.runs.experiment.keras.saving.load_model",
    "ampsim.models.base.keras.utils.get_file",
    "ampsim.models.dense.keras.layers.Lambda",
    "ampsim.config.targets.importlib.import_module",
    "ampsim.config.settings.compose",
    "ampsim.recordings.pairs.np.fromfile",
    "ampsim.recordings.pairs.np",
    "ampsim.runs.tracking.MlflowClient",
    "ampsim.losses.waveform.tf.io.write_file",
    "keras.optimizers.schedules",
    "ampsim.signals.audio",
    "ampsim.signals.audio.SUBTYPES",
]


@pytest.mark.parametrize("path", FORBIDDEN_INSIDE)
def test_what_a_module_of_ours_merely_imports_is_not_handed_out(path: str):
    with pytest.raises(AmpsimError, match="_target_"):
        build({"_target_": path})


@pytest.mark.parametrize(
    "path",
    [
        "ampsim.signals.audio.write",
        "ampsim.signals.audio.written",
        "ampsim.cli.main",
        "ampsim.cli.main.ui",
        "ampsim.runs.experiment.load_model",
        "ampsim.runs.experiment.run",
        "ampsim.runs.experiment.write_text",
        "ampsim.config.targets.build",
        "ampsim.config.targets.locate",
        "ampsim.runs.tracking.Store",
        "ampsim.config.settings.composed",
        "keras.optimizers.get",
        "keras.optimizers.deserialize",
        "keras.optimizers.schedules.deserialize",
    ],
)
def test_functions_with_effects_are_no_part_that_a_config_can_name(path: str):
    """A saved config is data from elsewhere: building it must write no file, start no server and run no other config."""
    with pytest.raises(AmpsimError, match="_target_"):
        targets.locate(path)


def test_every_target_that_a_config_of_ours_names_is_allowed():
    for path in ("ampsim.models.Dense", "ampsim.recordings.Pair", "ampsim.losses.ESR", "keras.optimizers.AdamW"):
        module, _, name = path.rpartition(".")
        assert targets.locate(path) is getattr(importlib.import_module(module), name)


def test_nearest_offers_the_closest_name_or_all_of_them():
    assert nearest("lr", ["learning_rate", "momentum"]) == "; choose from learning_rate, momentum"
    assert nearest("learning_rat", ["learning_rate", "momentum"]) == "; did you mean `learning_rate`?"
    assert nearest("x", []) == ""


def test_flattened_joins_keys_by_dots():
    nested = {"a": 1, "b": {"c": [1, 2], "d": {"e": None}}, "f": {}}
    assert flattened(nested) == {"a": 1, "b.c": [1, 2], "b.d.e": None, "f": {}}


@pytest.mark.parametrize(
    "text", ["take #1.wav", "it's.wav", "a\\", "a\\'b\\\\", "${x}", 'say "x"', "'", "null", "a,b", "größer\n.wav"]
)
def test_what_the_api_quotes_is_told_as_it_was_given(text: str):
    assert assignments(assignment("data.path", text)) == {"data.path": text}
    assert assignments(['+name="a b"']) == {"name": "a b"}


@pytest.mark.parametrize("count", range(5))
def test_backslashes_before_a_dollar_are_as_they_were_and_begin_no_reference(count: int):
    text = "/a" + count * "\\" + "${oc.env:HOME}/b.wav"
    assert RunConfig.compose(["data=stereo", *assignment("data.path", text)])["data"]["path"] == text


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        (
            {"_target_": "ampsim.training.schedules.Cosine", "final": "x"},
            "ampsim.training.schedules.Cosine: final='x', but it is a number",
        ),
        ({"_target_": "ampsim.models.Dense", "layers": 1.5}, "layers=1.5, but it is a whole number"),
        ({"_target_": "ampsim.models.Dense", "units": True}, "units=True, but it is a whole number"),
        ({"_target_": "ampsim.models.Fir", "bias": "no"}, "bias='no', but it is true or false"),
        ({"_target_": "ampsim.losses.MSE", "weight": "heavy"}, "weight='heavy', but it is a number"),
    ],
)
def test_an_argument_of_a_wrong_type_is_refused(section: dict, sentence: str):
    with pytest.raises(AmpsimError) as caught:
        build(section)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ("data", "ampsim.players.documents.Weights"),
        ("data", "ampsim.captures.documents.Weights"),
        ("data", "ampsim.recordings.findings.Finding"),
        ("model", "ampsim.models.layers.Levels"),
        ("data", "ampsim.recordings.sources.Source"),
        ("model", "ampsim.models.AmpModel"),
        ("loss", "ampsim.losses.Loss"),
        ("schedule", "ampsim.training.schedules.Schedule"),
        ("optimizer", "keras.optimizers.Optimizer"),
    ],
)
def test_what_is_no_part_or_only_the_base_of_parts_is_not_built(part: str, path: str):
    with pytest.raises(AmpsimError, match=f"_target_: {path}`"):
        build({"_target_": path}, part)


SCHEDULE = {"_target_": "keras.optimizers.schedules.CosineDecay", "initial_learning_rate": 1, "decay_steps": 3}


@pytest.mark.parametrize(
    "inner", ["x", 1, {}, [], {"class_name": "Adam", "module": "os", "config": {}}, SCHEDULE], ids=str
)
def test_the_optimizer_inside_another_is_one(inner: object):
    with pytest.raises(AmpsimError, match="inner_optimizer has no _target_ that names an optimizer"):
        build({"_target_": "keras.optimizers.LossScaleOptimizer", "inner_optimizer": inner}, "optimizer")
    adam = {"_target_": "keras.optimizers.Adam"}
    assert build(
        {"_target_": "keras.optimizers.LossScaleOptimizer", "inner_optimizer": adam}, "optimizer"
    ).inner_optimizer


def test_a_whole_number_is_a_number():
    assert build({"_target_": "ampsim.training.schedules.Cosine", "final": 1}) == Cosine(final=1)


def test_what_was_assigned_is_told_without_hydras_backslashes():
    words = [r"data.splits.train=190\ s", "+model.x=[1,2]", "~loss.terms.dc", r"name=a\=b"]
    assert assignments(words) == {"data.splits.train": "190 s", "model.x": "[1,2]", "name": "a=b"}
