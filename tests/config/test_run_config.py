"""One config object: its identity, whatever version wrote it, and what is no part of it."""

import copy

import pytest

from ampsim.config.run_config import RunConfig, current_names


def test_the_identity_of_the_default_run_is_that_of_version_0_1():
    config = RunConfig.compose(["data.duration_s=12"])
    old = copy.deepcopy(dict(config.sections))
    old["data"]["_target_"] = "ampsim.pairs.VirtualAmp"
    old["schedule"]["_target_"] = "ampsim.schedules.Cosine"
    old["optimizer"]["exclude_layers"] = ["rechannel", "mixin", "head", "oscillators"]
    assert RunConfig(old).identity() == config.identity()
    # As version 0.1 computed it: SHA-256 of the flattened config, keys sorted.
    import hashlib
    import json

    from ampsim.config.targets import without

    later = (
        "anti_aliasing",
        "preview",
        "conditioning",
        "conditioning_parts",
    )  # what that version did not have, off by default
    left = without(
        old,
        ("training.resume", "training.checkpoint_every_s", "tracking", "name", *(f"training.{key}" for key in later)),
    )
    assert config.identity() == hashlib.sha256(json.dumps(left, sort_keys=True).encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("word", "same"),
    [
        ("training.resume=true", True),
        ("training.checkpoint_every_s=1", True),
        ("tracking.experiment=x", True),
        ("name=x", True),
        ("seed=1", False),
        ("model.channels=4", False),
    ],
)
def test_what_decides_a_run_and_what_does_not(word: str, same: bool):
    assert (RunConfig.compose([word]).identity() == RunConfig.compose([]).identity()) is same


def test_a_loss_whose_floor_is_absolute_is_the_loss_of_a_config_from_before_it_could_be_relative():
    now = RunConfig.compose(["loss=mrstft", "loss.terms.mrstft.relative=false", "loss.terms.mrstft.floor_db=-80"])
    old = copy.deepcopy(dict(now.sections))
    del old["loss"]["terms"]["mrstft"]["relative"]
    assert RunConfig(old).identity() == now.identity() != RunConfig.compose(["loss=mrstft"]).identity()


def test_the_recording_is_part_of_it():
    config = RunConfig.compose([])
    assert len({config.identity(), config.identity([]), config.identity(["a"]), config.identity(["b"])}) == 4


def test_a_changed_copy_leaves_the_original_alone():
    config = RunConfig.compose(["seed=1"])
    assert config.with_resume()["training"]["resume"] is True
    assert config["training"]["resume"] is False
    assert config.with_data({"_target_": "x"})["data"] == {"_target_": "x"}
    assert config.with_resume().overrides == ("seed=1",)


def test_parameters_of_old_runs_are_read_by_todays_names():
    old = {
        "data._target_": "ampsim.pairs.Stereo",
        "optimizer.exclude_layers": "['rechannel', 'mixin', 'head', 'oscillators']",
        "training.epochs": "3",
    }
    assert current_names(old) == {
        "data._target_": "ampsim.recordings.Stereo",
        "optimizer.exclude_layers": "[]",
        "training.epochs": "3",
        "training.anti_aliasing": "0.0",  # which there was not, as if it had been 0
        "training.conditioning": "weights",  # nor were these
        "training.conditioning_parts": "8",
    }
