"""The schemas: every committed YAML validates, and none of its typos does, as another library sees it."""

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from ampsim import AmpsimError
from ampsim.cli import main as cli
from ampsim.config import plugins, settings
from ampsim.desk import schema

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "plugin"
FILES = [
    *sorted((ROOT / "conf").rglob("*.yaml")),
    *sorted(path for top in ("examples", "experiments") for path in (ROOT / top).rglob("*.yaml")),
]
# Below these, names are whoever's writes them.
FREE = (("loss", "terms"), ("terms",), ("hydra", "run"), ("hydra", "sweep"), ("init",), ("remote",))


@pytest.fixture(scope="module")
def validators() -> dict[str, Draft7Validator]:
    """With the example plugin, whose YAML is committed as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(plugins.VARIABLE, str(PLUGIN))
        plugins.discovered.cache_clear()
        found = schema.schemas()
    plugins.discovered.cache_clear()
    for content in found.values():
        Draft7Validator.check_schema(content)
    return {name: Draft7Validator(content) for name, content in found.items()}


def kind(path: Path) -> str:
    parts = path.parts[path.parts.index("conf") + 1 :]
    return "config" if len(parts) == 1 else parts[-2]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def changed(whole: Any, at: tuple[Any, ...], change: Any) -> Any:
    """A copy, with `change(container, key)` done at a place."""
    copied = copy.deepcopy(whole)
    inner = copied
    for step in at[:-1]:
        inner = inner[step]
    change(inner, at[-1])
    return copied


def places(section: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(section, dict):
        for key, value in section.items():
            yield (*at, key)
            yield from places(value, (*at, key))


def misspelt(section: dict[str, Any], key: str) -> None:
    section[f"{key[:-1]}{key[-1]}x"] = section.pop(key)


@pytest.mark.parametrize("path", FILES, ids=named)
def test_it_validates(validators: dict[str, Draft7Validator], path: Path):
    faults = list(validators[kind(path)].iter_errors(yaml.safe_load(path.read_text(encoding="utf-8"))))
    assert not faults, faults[0].message[:500]


@pytest.mark.parametrize("path", FILES, ids=named)
def test_no_misspelt_key_validates(validators: dict[str, Draft7Validator], path: Path):
    whole = yaml.safe_load(path.read_text(encoding="utf-8"))
    for at in places(whole):
        if at[:-1] not in FREE and at[:2] != ("hydra", "run") and at[:2] != ("hydra", "sweep"):
            assert not validators[kind(path)].is_valid(changed(whole, at, misspelt)), at


@pytest.mark.parametrize("path", FILES, ids=named)
def test_no_value_of_a_wrong_type_validates(validators: dict[str, Draft7Validator], path: Path):
    whole = yaml.safe_load(path.read_text(encoding="utf-8"))
    for at in places(whole):
        if at[:-1] in FREE or at[:2] in FREE:
            continue
        for wrong in ({"a": {"b": [1]}}, [[["x"]]]):
            assert not validators[kind(path)].is_valid(
                changed(whole, at, lambda it, key, to=wrong: it.update({key: to}))
            ), at
        inner = whole
        for step in at:
            inner = inner[step]
        if isinstance(inner, int | float) and at[0] != "hydra" and at[-2:-1] != ("splits",):
            assert not validators[kind(path)].is_valid(changed(whole, at, lambda it, key: it.update({key: "many"}))), at


@pytest.mark.parametrize("section", ["data", "model", "loss", "optimizer", "schedule"])
def test_a_class_of_another_section_does_not_validate(validators: dict[str, Draft7Validator], section: str):
    wrong = "ampsim.models.Dense" if section != "model" else "ampsim.losses.ESR"
    assert not validators[section].is_valid({"_target_": wrong})
    assert not validators[section].is_valid({"_target_": "os.system"})


@pytest.mark.parametrize(
    "text",
    [
        "defaults: [minuet]",
        "defaults: [{override /model: dens}]",
        "defaults: [{overide /model: dense}]",
        "training: {epochs: 0}",
        "training: {precision: float16}",
        "seed: -1",
        "hydra: {sweeper: {params: {model.layrs: '1,2'}}}",
        "hydra: {mode: MULTI}",
        "loss: {terms: {esr: {wieght: 2.0}}}",
        "data: {splits: {trian: 0.8}}",
        "data: {checks: lax}",
    ],
)
def test_typos_of_an_experiment(validators: dict[str, Draft7Validator], text: str):
    assert not validators["experiment"].is_valid(yaml.safe_load(text))


def test_what_a_run_saves_validates(validators: dict[str, Draft7Validator]):
    for words in (
        [],
        ["experiment=founding"],
        ["model=a2", "optimizer=adam"],
        ["data=pair", "data.input=a.wav", "data.target=b.wav"],
    ):
        config = json.loads(json.dumps(settings.composed(words)))
        assert not list(validators["run"].iter_errors(config))
        assert not validators["run"].is_valid(config | {"trainning": {}})
        assert not validators["run"].is_valid({key: value for key, value in config.items() if key != "model"})


def test_keys_are_described(validators: dict[str, Draft7Validator]):
    """From comments in YAML where there is one, from docstrings elsewhere; for the closed sections every key."""
    training = validators["training"].schema["properties"]
    assert [key for key, content in training.items() if "description" not in content] == ["defaults"]
    assert "output samples per training example" in training["segment_length"]["description"]
    text = json.dumps(validators["loss"].schema)
    assert "0 only logs it" in text  # of `Loss`, which every term is derived from
    assert "one Ray task" not in text


def test_the_settings_of_plugins(validators: dict[str, Draft7Validator]):
    assert validators["settings"].is_valid({"plugins": {"folders": ["."]}})
    assert not validators["settings"].is_valid({"plugins": {"folder": ["."]}})
    assert not validators["settings"].is_valid({"plugins": {"folders": "."}})


def test_parts_of_a_plugin_are_known(validators: dict[str, Draft7Validator]):
    assert validators["model"].is_valid({"_target_": "tube_lab.models.Tube"})
    assert not validators["model"].is_valid({"_target_": "tube_lab.models.Tube", "drvie": 1})


def test_the_command_writes_them_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["schema", "output=editor"]) == 0
    told = capsys.readouterr().out
    settings_found = json.loads(told[told.index("{") :])["yaml.schemas"]
    for file, pattern in settings_found.items():
        assert json.loads(Path(file).read_text(encoding="utf-8"))["$schema"] == schema.DRAFT
        assert any(path.match(pattern) for path in FILES) or file.endswith("run.json")
    assert cli.main(["schema", "output=editor"]) == 2
    assert "overwrite=true" in capsys.readouterr().err
    assert cli.main(["schema", "output=editor", "overwrite=true"]) == 0


def test_an_experiment_may_name_its_schema_in_its_second_line_and_not_in_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Hydra reads the first line; where another stands there, nothing of the file would count."""
    folder = tmp_path / "named_lab" / "conf" / "experiment"
    folder.mkdir(parents=True)
    (tmp_path / "named_lab" / "__init__.py").touch()
    package, named_schema, rest = (
        "# @package _global_\n",
        "# yaml-language-server: $schema=x.json\n",
        "training: {seconds: 7}\n",
    )
    (folder / "second.yaml").write_text(package + named_schema + rest)
    (folder / "first.yaml").write_text(named_schema + package + rest)
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path / "named_lab"))
    monkeypatch.setattr("sys.path", [*sys.path])
    assert settings.composed(["experiment=second"])["training"]["seconds"] == 7
    with pytest.raises(AmpsimError, match="has to begin with the line `# @package _global_`"):
        settings.composed(["experiment=first"])
