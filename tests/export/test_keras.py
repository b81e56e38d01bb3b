"""Which classes a `.keras` file may name."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from ampsim import AmpsimError, models
from ampsim.export.keras import load
from ampsim.models import base


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


def test_a_model_of_another_package_loads_once_that_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model_of("my_plugin.models", monkeypatch).save(tmp_path / "model.keras")
    with pytest.raises(AmpsimError, match=r"it asks for my_plugin\.models\.Tube"):
        load(tmp_path / "model.keras")
    base.TRUSTED.add("my_plugin")
    try:
        assert type(load(tmp_path / "model.keras")).__module__ == "my_plugin.models"
    finally:
        base.TRUSTED.discard("my_plugin")


def test_a_family_keeps_the_name_under_which_old_files_know_it():
    import keras

    assert keras.saving.get_registered_name(models.Lstm) == "ampsim>Lstm"
