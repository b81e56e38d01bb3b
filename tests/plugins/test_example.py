"""The plugin in examples/plugin: found in its folder, composed and built."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import ampsim
from ampsim.config import plugins, settings
from ampsim.config.targets import build

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"
CHOICES = {"model": "tube", "data": "clipper", "loss": "log_cosh", "optimizer": "steady"}


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(plugins.VARIABLE, str(EXAMPLE))


@pytest.mark.parametrize("part", CHOICES)
def test_each_choice_composes_and_builds(part: str):
    section = settings.composed([f"{part}={CHOICES[part]}"])[part]
    made = build(section, part, **({"sample_rate": 44100} if part == "model" else {}))
    if part == "loss":
        (made,) = made.terms.values()
    assert type(made).__module__.startswith("tube_lab.")


def test_what_is_passed_on_to_a_base_class_is_known_and_a_typo_is_not():
    steady = {"_target_": "tube_lab.optimizers.Steady", "learning_rate": 0.5, "beta_2": 0.9}
    assert float(build(steady, "optimizer").learning_rate) == 0.5
    with pytest.raises(plugins.AmpsimError, match=r"takes no `learning_rte`; did you mean `learning_rate`\?"):
        build({"_target_": "tube_lab.optimizers.Steady", "learning_rte": 0.5}, "optimizer")


def test_its_export_format_is_known_once_it_is_loaded():
    from ampsim.export import formats_named

    assert plugins.load() == []
    assert [each.name for each in formats_named("curve,keras")] == ["curve", "keras"]


def test_its_metric_is_known_once_it_is_loaded():
    from ampsim.metrics.scores import SCORES

    assert plugins.load() == []
    assert SCORES["crest_difference_db"].title == "crest"


TINY = ["training.epochs=1", "training.validate_every=1", "training.segment_length=2000"]
CHOSEN = [f"{part}={name}" for part, name in CHOICES.items()]


@pytest.mark.slow
def test_installed_into_a_fresh_environment_it_does_all_that_a_part_of_ampsim_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Trained, swept, tracked, evaluated, exported and reproduced by the command line of an environment of its own."""
    monkeypatch.delenv(plugins.VARIABLE)
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    (place,) = environment.glob("lib/python*/site-packages")
    shared = [str(Path(ampsim.__file__).parents[1]), *(path for path in sys.path if path.endswith("site-packages"))]
    (place / "shared.pth").write_text("\n".join(shared), encoding="utf-8")  # ampsim and its libraries, and no plugin
    python = environment / "bin" / "python"

    def run(*words: str, code: int = 0) -> str:
        command = [str(python), "-m", *words]
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert answer.returncode == code, answer.stdout + answer.stderr
        return answer.stdout + answer.stderr

    assert "there is no model `tube`" in run("ampsim", "train", "model=tube", code=2)
    run(
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        str(shutil.copytree(EXAMPLE, tmp_path / "source")),
    )
    assert "crest" in run("ampsim", "train", "name=one", *CHOSEN, *TINY)
    run("ampsim", "train", "-m", "seed=0,1", *CHOSEN, *TINY)
    run("ampsim", "compare", "sweep=last", "metric=crest_difference_db")
    run("ampsim", "evaluate", "run=one")
    run("ampsim", "export", "run=one", "format=curve", "output=one.curve")
    run("ampsim", "export", "run=one", "format=keras", "output=one.keras")
    assert "verdict: bit-exact" in run("ampsim", "reproduce", "run=one")
    assert "1 passed" in run("pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "source" / "tests"))
    run("pip", "uninstall", "--quiet", "--yes", "tube-lab")
    assert "tube_lab" in run("ampsim", "evaluate", "run=one", code=2)  # says which package to install
