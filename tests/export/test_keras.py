"""Which classes a `.keras` file may name."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ampsim import AmpsimError, models
from ampsim.models.saving import load


def model_of(module: str, monkeypatch: pytest.MonkeyPatch) -> models.AmpModel:
    """A built model whose class, `Tube`, is defined in a module of this name."""
    monkeypatch.setitem(sys.modules, module, ModuleType(module))
    kind = type("Tube", (models.Fir,), {"__module__": module})
    monkeypatch.setattr(sys.modules[module], "Tube", kind, raising=False)
    model = kind(taps=8)
    model.build()
    return model


def test_a_module_of_ours_may_have_a_digit_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model_of("ampsim.models.s4", monkeypatch).save(tmp_path / "model.keras")
    assert type(load(tmp_path / "model.keras")).__module__ == "ampsim.models.s4"


def test_a_model_of_another_package_loads_only_where_the_user_installed_or_named_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    package = tmp_path / "glow_lab"
    (package / "conf" / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "models.py").write_text(
        "from ampsim.models import Fir\n\n\nclass Glow(Fir):\n    pass\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    glow = importlib.import_module("glow_lab.models").Glow(taps=8)
    glow.build()
    glow.save(tmp_path / "model.keras")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AmpsimError, match="glow_lab"):  # importable is not enough
        load(tmp_path / "model.keras")
    monkeypatch.setenv("AMPSIM_PLUGINS", str(package))
    assert type(load(tmp_path / "model.keras")).__module__ == "glow_lab.models"


def test_a_family_keeps_the_name_under_which_old_files_know_it():
    import keras

    assert keras.saving.get_registered_name(models.Lstm) == "ampsim>Lstm"
