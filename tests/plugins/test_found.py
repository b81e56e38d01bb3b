"""Which plugins are found, and that a faulty one is told in a sentence and spoils nothing else."""

import gc
import sys
import traceback
from pathlib import Path

import pytest

from ampsim import AmpsimError
from ampsim.cli import main as cli
from ampsim.cli import train
from ampsim.config import plugins, settings
from ampsim.config.targets import build, locate

SOURCE = (
    "from ampsim.training.schedules import Constant\n\n\nclass Flat(Constant):\n    pass\n\n\nclass Other:\n    pass\n"
)


def package(folder: Path, name: str, source: str = SOURCE, choice: str = "schedule/flat") -> Path:
    (folder / name / "conf" / choice).parent.mkdir(parents=True)
    (folder / name / "__init__.py").touch()
    (folder / name / "parts.py").write_text(source)
    (folder / name / "conf" / f"{choice}.yaml").write_text(f"_target_: {name}.parts.Flat\n")
    return folder


def distribution(
    folder: Path, package_name: str, *, name: str = "", requires: str = "", value: str = "", **options: str
) -> None:
    """A package as pip leaves it on `sys.path`."""
    package(folder, package_name, **options)
    info = folder / f"{package_name}-1.0.dist-info"
    info.mkdir()
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package_name}\nVersion: 1.0\n{needs}")
    (info / "entry_points.txt").write_text(f"[ampsim.plugins]\n{name or package_name} = {value or package_name}\n")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def only_fault() -> str:
    (sentence,) = plugins.found().sentences
    assert settings.composed(["training.epochs=1"])["seed"] == 0  # the rest works
    return sentence


def test_an_installed_plugin_is_found_without_running_its_code(tmp_path: Path):
    distribution(tmp_path, "tube_one", source="raise RuntimeError", requires="ampsim>=0.1")
    (plugin,) = plugins.found().plugins
    assert (plugin.name, plugin.package, plugin.origin) == ("tube_one", "tube_one", "tube_one 1.0")
    assert "tube_one" not in sys.modules
    assert "flat" in settings.choices("schedule")


def test_its_yaml_is_a_choice_and_its_class_is_built(tmp_path: Path):
    distribution(tmp_path, "tube_one")
    section = settings.composed(["schedule=flat"])["schedule"]
    assert type(build(section, "schedule")).__name__ == "Flat"
    with pytest.raises(AmpsimError, match="did you mean `flat`"):
        settings.composed(["schedule=flatt"])


def test_a_folder_counts_once_it_is_named_and_not_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package(tmp_path, "tube_own")
    monkeypatch.setenv(plugins.VARIABLE, "")
    monkeypatch.syspath_prepend(str(tmp_path))  # importable, which is not enough
    with pytest.raises(AmpsimError, match="if you trust the package `tube_own`, install it"):
        locate("tube_own.parts.Flat")
    assert "tube_own" not in sys.modules
    assert plugins.name_folders(["seed=1", f"plugins={tmp_path}"]) == ["seed=1"]
    assert locate("tube_own.parts.Flat", "schedule").__name__ == "Flat"


def test_a_folder_that_lacks_its_init_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(plugins.VARIABLE, "")
    (tmp_path / "lab" / "conf").mkdir(parents=True)
    sentences = [text for _, text in plugins.in_folders([tmp_path])]
    assert sentences[0].endswith(f"; is {tmp_path / 'lab' / '__init__.py'} missing?")
    (tmp_path / "lab" / "__init__.py").touch()
    assert [found.package for found in plugins.in_folders([tmp_path])] == ["lab"]


def test_ampsim_toml_names_folders_unless_it_came_with_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package(tmp_path, "tube_own")
    (tmp_path / "ampsim.toml").write_text('[plugins]\nfolders = ["."]\n')
    monkeypatch.chdir(tmp_path)
    assert [plugin.package for plugin in plugins.found().plugins] == ["tube_own"]
    plugins.disregard_settings_beside(Path("config.yaml"))
    assert plugins.found().plugins == ()


def test_only_the_ampsim_toml_of_the_current_folder_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Not that beside a config, nor one above it, from wherever the command is typed."""
    package(tmp_path / "theirs", "tube_theirs")
    (tmp_path / "theirs" / "ampsim.toml").write_text('[plugins]\nfolders = ["."]\n')
    inner = tmp_path / "theirs" / "run"
    inner.mkdir()
    for place in (tmp_path, inner):
        monkeypatch.chdir(place)
        for config in (inner / "config.yaml", tmp_path / "theirs" / "config.yaml"):
            plugins.disregard_settings_beside(config)
            assert plugins.named_folders() == ()
    monkeypatch.chdir(tmp_path / "theirs")  # a user who works there and whose config lies elsewhere
    monkeypatch.setattr(plugins, "_elsewhere", {inner.resolve()})
    assert plugins.named_folders() == (tmp_path / "theirs",)
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    plugins.disregard_settings_beside(tmp_path / "link" / "config.yaml")
    assert plugins.named_folders() == ()


@pytest.mark.parametrize(
    "words", [["train", "modle=dense"], ["doctor", "input=no.wav"], ["compare", "sweep=last"]], ids=str
)
def test_a_plugin_that_is_set_aside_is_told_once_by_every_command(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    distribution(tmp_path / "site", "tube_late", requires="ampsim>=99")
    assert cli.main([*words]) == 2
    warning, error = capsys.readouterr().err.splitlines()
    assert warning.startswith("ampsim: warning: the plugin `tube_late` (tube_late 1.0) needs ampsim >=99")
    assert error.startswith("ampsim: ")
    assert cli.main([*words]) == 2
    assert capsys.readouterr().err.splitlines() == [error]
    monkeypatch.setattr(plugins, "_reported", set())
    with pytest.raises(SystemExit):
        cli.main(["doctor", "--help"])
    assert capsys.readouterr().err == ""


def test_a_settings_file_that_cannot_be_read_is_told_by_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ampsim.toml").write_text("[plugins\n")
    assert cli.main(["doctor", "input=no.wav"]) == 2
    warning, error = capsys.readouterr().err.splitlines()
    assert "ampsim.toml cannot be read as TOML" in warning
    assert "no.wav does not exist" in error


def test_a_class_that_is_no_part_is_refused(tmp_path: Path):
    distribution(tmp_path, "tube_one")
    with pytest.raises(AmpsimError, match=r"plugin `tube_one` .*subclass of ampsim\.training\.schedules\.Schedule"):
        build({"_target_": "tube_one.parts.Other"}, "schedule")
    with pytest.raises(AmpsimError, match="which is no model"):
        build({"_target_": "tube_one.parts.Flat"}, "model")


def test_a_record_of_ours_that_is_no_source_is_no_data():
    with pytest.raises(AmpsimError, match="which is no data"):
        build({"_target_": "ampsim.recordings.findings.Finding"}, "data")


FAILING = """
from ampsim.recordings import Source


class Flat(Source):
    def load(self):
        return {}["takes"]
"""


def test_an_error_in_a_plugins_code_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    package(tmp_path, "tube_fails", source=FAILING, choice="data/failing")
    assert cli.main(["train", f"plugins={tmp_path}", "data=failing"]) == 2
    told = capsys.readouterr().err
    assert "the plugin `tube_fails`" in told
    assert f"fails in {tmp_path / 'tube_fails' / 'parts.py'}, line 7: KeyError: 'takes'" in told
    assert "Traceback" not in told


def test_an_error_in_no_plugins_code_is_not_laid_at_its_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(words: list[str]) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(train, "train", broken)
    package(tmp_path, "tube_fails")
    with pytest.raises(KeyError, match="ours"):
        cli.main(["train", f"plugins={tmp_path}"])


def test_a_plugin_that_fails_to_import_is_told(tmp_path: Path):
    distribution(tmp_path, "tube_bad", source="import nothing_like_it")
    assert plugins.load() == [
        "the plugin `tube_bad` (tube_bad 1.0) cannot be imported: ModuleNotFoundError: No module named 'nothing_like_it'"
    ]
    assert plugins.load() == []  # once is enough
    with pytest.raises(AmpsimError, match=r"plugin `tube_bad` \(tube_bad 1.0\) cannot be imported"):
        locate("tube_bad.parts.Flat")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import sys\nsys.exit('not today')", "SystemExit: not today"),
        ("raise RuntimeError('one\\n  two ' + 500 * 'and more ')", "RuntimeError: one two and more"),
        ("def broken(:", "SyntaxError: "),
        ("raise KeyError", "KeyError: no reason given"),
    ],
)
def test_whatever_a_plugin_raises_is_one_sentence_and_the_others_work(source: str, reason: str, tmp_path: Path):
    distribution(tmp_path, "tube_bad", source=source)
    (tmp_path / "tube_bad" / "again.py").write_text("from tube_bad import parts")  # fails at the same place
    distribution(tmp_path, "tube_good", choice="schedule/even")
    told = plugins.load()
    assert {sentence.partition(": ")[0] for sentence in told} == {
        "the plugin `tube_bad` (tube_bad 1.0) cannot be imported"
    }
    assert len(told) == 1
    assert reason in told[0]
    assert len(told[0].splitlines()) == 1
    assert len(told[0]) < 400
    assert "tube_good.parts" in sys.modules
    with pytest.raises(AmpsimError, match="plugin `tube_bad`"):
        locate("tube_bad.parts.Flat")
    assert locate("tube_good.parts.Flat").__name__ == "Flat"


def test_the_help_of_train_lists_the_choices_of_others_and_tells_what_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    distribution(tmp_path / "site", "tube_late", requires="ampsim>=99")
    distribution(tmp_path / "site", "tube_good", choice="schedule/even")
    distribution(
        tmp_path / "site", "tube_bad", source="raise RuntimeError", choice="schedule/odd"
    )  # not imported for this
    try:
        code = cli.main(["train", "--help"])
    except SystemExit as stop:
        code = stop.code
    shown = capsys.readouterr()
    assert not code
    (warning,) = shown.err.splitlines()
    assert warning.startswith("ampsim: warning: the plugin `tube_late` (tube_late 1.0) needs ampsim >=99")
    assert "even" in shown.out


def test_a_plugin_for_another_release_is_told(tmp_path: Path):
    distribution(tmp_path, "tube_old", requires="ampsim<0.0.5")
    assert only_fault().startswith("the plugin `tube_old` (tube_old 1.0) needs ampsim <0.0.5, and this is ")
    with pytest.raises(AmpsimError, match=r"needs ampsim <0\.0\.5"):
        locate("tube_old.parts.Flat")


def test_two_plugins_with_one_name_are_told(tmp_path: Path):
    distribution(tmp_path, "tube_one", name="tube")
    distribution(tmp_path, "tube_two", name="tube", choice="schedule/even")
    assert only_fault().startswith("two plugins have the name `tube`: tube_one 1.0 and tube_two 1.0; neither is used")


def test_two_plugins_with_one_choice_are_told(tmp_path: Path):
    distribution(tmp_path, "tube_one")
    distribution(tmp_path, "tube_two")
    sentence = only_fault()
    assert "`tube_one` (tube_one 1.0) and `tube_two` (tube_two 1.0) both have conf/schedule/flat.yaml" in sentence


def test_a_choice_that_ampsim_has_is_told(tmp_path: Path):
    distribution(tmp_path, "tube_one", choice="schedule/cosine")
    assert "`tube_one` (tube_one 1.0) has conf/schedule/cosine.yaml, as ampsim itself has" in only_fault()


@pytest.mark.parametrize("value", ["os", "keras", "tube_one.parts"])
def test_a_plugin_opens_only_a_package_of_its_own(tmp_path: Path, value: str):
    distribution(tmp_path, "tube_one", value=value)
    assert f"names `{value}` as its package; it has to be one of its own" in only_fault()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rate: 1\nrate: 2\n", r"conf/schedule/flat\.yaml, line 2: found duplicate key rate"),
        ("a:\n  b: [1\n", r"conf/schedule/flat\.yaml, line \d: "),
        ("a: " + "[" * 3000, "a YAML file of a plugin is nested too deep"),
    ],
)
def test_a_plugins_yaml_with_a_fault_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
):
    package(tmp_path, "tube_yaml")
    (tmp_path / "tube_yaml" / "conf" / "schedule" / "flat.yaml").write_text(text)
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path))
    with pytest.raises(AmpsimError, match=sentence):
        settings.composed(["schedule=flat"])


def test_a_key_of_another_choice_is_told_though_a_plugins_file_is_at_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    package(tmp_path, "tube_yaml")
    (tmp_path / "tube_yaml" / "conf" / "schedule" / "flat.yaml").write_text("a: " + "[" * 3000)
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path))
    with pytest.raises(AmpsimError, match="it belongs to schedule=cosine"):
        settings.composed(["schedule=constant", "schedule.warmup=0.1"])


def test_no_garbage_is_collected_at_the_depth_of_a_plugins_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package(tmp_path, "tube_yaml")
    (tmp_path / "tube_yaml" / "conf" / "schedule" / "flat.yaml").write_text("a: " + "[" * 3000)
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path))
    deepest = 0

    def depth(phase: str, info: dict) -> None:
        nonlocal deepest
        deepest = max(deepest, sum(1 for _ in traceback.walk_stack(None)))

    before = gc.get_threshold()
    gc.callbacks.append(depth)
    gc.set_threshold(50)
    try:
        with pytest.raises(AmpsimError, match="nested too deep"):
            settings.composed(["schedule=flat"])
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(depth)
    assert 0 < deepest < sys.getrecursionlimit() / 2


def test_a_choice_of_a_package_here_that_nobody_named_is_pointed_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package(tmp_path, "tube_near")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        AmpsimError, match=r"no schedule `flat` .*; tube_near/conf/schedule/flat\.yaml is one: add plugins=\."
    ):
        settings.composed(["schedule=flat"])
    assert plugins.name_folders(["plugins=."]) == []
    assert settings.composed(["schedule=flat"])["schedule"]
    monkeypatch.chdir(tmp_path / "tube_near")  # where it is its own plugin
    with pytest.raises(AmpsimError, match="there is no schedule `flatt`; did you mean `flat`"):
        settings.composed(["schedule=flatt"])
