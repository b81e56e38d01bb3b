"""The plugin in examples/plugin: found in its folder, composed and built."""

from pathlib import Path

import pytest

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
