"""Where a value comes from: held against changing it there."""

from pathlib import Path

import pytest

from ampsim.commands.origins import BUDGET, COMMAND, origins, table
from ampsim.config import plugins, settings
from ampsim.config.targets import flattened

PLUGIN = Path(__file__).parents[2] / "examples" / "plugin"


def sources(*words: str) -> dict[str, str]:
    return {each.key: each.source for each in origins(words)}


@pytest.mark.parametrize(
    "words", [[], ["experiment=founding"], ["model=a2", "loss=ear", "training.epochs=2"]], ids=" ".join
)
def test_every_value_has_a_source_and_is_what_hydra_composes(words: list[str]):
    found = origins(words)
    assert {each.key: each.value for each in found} == flattened(settings.composed(words))
    assert all(each.source for each in found)


def test_files_experiments_and_the_command_line():
    found = sources("experiment=a2_ten_minutes", "optimizer=adamw", "seed=3")
    assert found["training.seconds"] == "conf/experiment/a2_ten_minutes.yaml"
    assert found["training.batch_size"] == "conf/experiment/a2_minute.yaml"
    assert found["optimizer.learning_rate"] == "conf/optimizer/adamw.yaml"
    assert found["optimizer.weight_decay"] == "conf/optimizer/adamw.yaml"
    assert found["model.channels"] == "conf/model/a2.yaml"
    assert found["training.patience"] == "conf/training/default.yaml"
    assert found["name"] == "conf/config.yaml"
    assert found["seed"] == COMMAND


def test_what_stands_for_a_whole_section_is_the_source_of_what_is_inside():
    assert sources("data.splits={train:0.5,validation:0.1,test:0.1}")["data.splits.train"] == COMMAND
    assert sources("data.splits.train=0.5")["data.splits.test"] == "conf/data/virtual_amp.yaml"
    assert sources("training.epochs=3")["training.seconds"] == BUDGET


def test_a_plugin_is_named_by_its_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(plugins.VARIABLE, str(PLUGIN))
    assert sources("loss=log_cosh")["loss.terms.log_cosh.scale"] == str(PLUGIN / "tube_lab/conf/loss/log_cosh.yaml")


def test_the_table_is_cut_to_the_terminal():
    lines = table(["model=a2", "name='a\x1b[2Jb'"], width=80).splitlines()
    assert max(map(len, lines)) <= 100
    assert not any("\x1b" in line for line in lines)
