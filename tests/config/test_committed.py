"""Every committed config, found by glob, composes and builds what it names."""

import inspect
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import yaml

from ampsim.config import schema, settings
from ampsim.config.targets import build, locate

CONF = Path(__file__).parents[2] / "conf"
FILES = sorted(path.relative_to(CONF) for path in CONF.rglob("*.yaml"))
CHOICES = [path for path in FILES if len(path.parts) == 2]
EXTRA = {"model": {"sample_rate": 44100}}  # what only a run knows
MISSING = {
    "distilled": ["data.teacher=x.nam", "data.recording={_target_: ampsim.recordings.Stereo, path: x.wav}"],
    "nam_capture": ["data.path=x.nam"],
    "stereo": ["data.path=x.wav"],
    "folder": ["data.path=captures"],
    "knobs": ["data.path=settings.csv"],
    "pair": ["data.input=x.wav", "data.target=y.wav"],
}
NEEDED = {"distil": ["data.teacher=x.nam"]}  # by an experiment
SECTIONS = ("data", "model", "loss", "optimizer", "schedule")


@pytest.fixture(autouse=True)
def _data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPSIM_DATA", str(tmp_path))


def overrides(path: Path) -> list[str]:
    group, choice = path.parts[0], path.stem
    return [f"{group}={choice}", *(MISSING.get(choice, []) if group == "data" else NEEDED.get(choice, []))]


def test_there_are_configs_to_test():
    assert Path("config.yaml") in FILES
    assert {path.parts[0] for path in CHOICES} >= {"data", "model", "loss", "optimizer", "schedule", "training"}


@pytest.mark.parametrize("path", CHOICES, ids=str)
def test_it_composes_and_builds(path: Path):
    config = settings.composed(overrides(path))
    for section in SECTIONS:
        made = build(config[section], **EXTRA.get(section, {}))
        assert type(made) is locate(config[section]["_target_"])


@pytest.mark.parametrize("sample_rate", [44100, 48000])
@pytest.mark.parametrize("path", [path for path in CHOICES if path.parts[0] == "loss"], ids=str)
def test_a_loss_needs_no_longer_segments_than_the_default(path: Path, sample_rate: int):
    config = settings.composed(overrides(path))
    build(config["loss"]).prepare(sample_rate=sample_rate, segment_length=config["training"]["segment_length"])


@pytest.mark.parametrize("path", CHOICES, ids=str)
def test_it_says_why_it_is_there_or_speaks_for_itself(path: Path):
    """No YAML repeats a default block of another: each key is one of what its target takes."""
    section = yaml.safe_load((CONF / path).read_text(encoding="utf-8"))
    if "_target_" not in section:
        pytest.skip("no target: a closed section or an experiment")
    parameters = inspect.signature(locate(section["_target_"])).parameters
    if path.stem == "virtual_amp":
        from ampsim.recordings import virtual_amp

        parameters = {**parameters, **inspect.signature(virtual_amp.VirtualAmpSettings).parameters}
    assert set(section) - {"_target_"} <= set(parameters)


def test_the_fields_of_training_are_the_keys_of_its_config():
    section = yaml.safe_load((CONF / "training" / "default.yaml").read_text(encoding="utf-8"))
    assert section.pop("defaults") == ["schema"]
    assert list(section) == [each.name for each in fields(schema.Training)]
    composed = settings.composed([])["training"]
    assert list(asdict(schema.Training(**composed))) == list(section)


def test_the_fields_of_training_are_what_the_trainer_and_the_run_take():
    from ampsim.training.fit import NOT_OF_TRAINER
    from ampsim.training.trainer import Trainer

    taken = set(inspect.signature(Trainer).parameters)
    assert {each.name for each in fields(schema.Training)} - set(NOT_OF_TRAINER) <= taken
    assert not taken & set(NOT_OF_TRAINER)


def test_the_keys_of_tracking_are_what_the_store_takes():
    from ampsim.runs.tracking import Store

    assert set(settings.composed([])["tracking"]) == set(inspect.signature(Store).parameters)


def test_the_default_is_the_minute():
    assert settings.composed([]) == settings.composed(["experiment=minute"])


def test_the_founding_experiment_stands_as_it_was():
    """Window 4000 with 300 of them in the future, three layers of 256 ReLU, tanh, MSE: what this project began with."""
    config = settings.composed(["experiment=founding"])
    model = build(config["model"], sample_rate=44100)
    model.build()
    assert (model.receptive_field, model.future, model.count_params()) == (4000, 300, 1_156_097)
    assert list(config["loss"]["terms"]) == ["mse"]


def test_the_splits_of_every_data_config_are_shares_of_at_most_the_whole():
    for path in CHOICES:
        if path.parts[0] == "data":
            splits = settings.composed(overrides(path))["data"]["splits"]
            assert sum(share for share in splits.values() if isinstance(share, float)) <= 1 + 1e-9
            assert set(splits) == {"train", "validation", "test"}
