"""Figures drawn again from what a run keeps, and what tells them apart."""

import json
import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from stores import AMP, RATE, put

from ampsim import AmpsimError, api
from ampsim.cli import main as cli
from ampsim.metrics import aliasing_to_signal_ratio, fingerprint, hiss
from ampsim.runs import pictures
from ampsim.runs.artifacts import PROBES
from ampsim.runs.evaluation import Probes
from ampsim.runs.tracking import Store


def probes() -> Probes:
    """Of a tanh; its hiss is not known, which is a NaN with a note."""
    noise = np.random.default_rng(0).standard_normal(RATE) / 4
    return Probes(
        fingerprint(np.tanh, RATE, levels_db=(-20, 0)),
        aliasing_to_signal_ratio(np.tanh, RATE, levels_db=(-10, 0)),
        hiss([(noise, noise)], RATE),
    )


def test_probes_come_back_to_the_last_bit():
    found = probes()
    found = replace(found, aliasing=replace(found.aliasing, ratio_db=found.aliasing.ratio_db - math.inf))
    again = Probes.from_json(json.loads(found.to_json()))
    for part, other in zip(vars(found).values(), vars(again).values(), strict=True):
        for key, value in vars(part).items():
            read = getattr(other, key)
            if isinstance(value, str):
                assert read == value
            else:  # what is not finite is not known any more
                np.testing.assert_array_equal(np.where(np.isfinite(value), value, np.nan), read)


@pytest.mark.parametrize(
    "kept", [None, [], {}, {"fingerprint": 1}, {"fingerprint": {"x": 1}, "aliasing": {}, "hiss": {}}]
)
def test_what_is_no_probe_is_refused(kept: object):
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        Probes.from_json(kept)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(tmp_path / "runs")
    put(found, tmp_path / "made", 1, 0, 0.9, parent="", curve={10: 0.5, 20: 0.25, 30: 0.3})
    run = found.find("last")
    for step in (10, 20, 30):
        run.log_metrics({"epoch": step / 10, "validation_loss": 2.0 / step, "loss": 3.0 / step}, step=step)
    return found


def describe(store: Store, folder: Path, *, with_probes: bool) -> None:
    folder.mkdir()
    (folder / "recording.json").write_text(
        json.dumps({"files": [{"path": "/x/my amp.wav"}, {"path": "b"}, {"path": "c"}]})
    )
    if with_probes:
        (folder / PROBES).write_text(probes().to_json())
    store.find("last").log_folder(folder)


def test_figures_are_drawn_again_from_sound_and_curves(store: Store, tmp_path: Path):
    describe(store, tmp_path / "more", with_probes=True)
    drawn = pictures.drawn_again(store, store.find("last"))
    assert {"training", "fft", "waveforms", "harmonics", "aliasing", "hiss"} <= drawn.keys()
    about = "layers=1-seed=0 · my amp.wav, b and 1 more · test ESR 0.0100"
    assert all(figure.get_suptitle().endswith(f"\n{about}") for figure in drawn.values())
    losses, _ = drawn["training"].axes
    lines = {line.get_label(): line for line in losses.get_lines()}
    assert list(lines["training loss"].get_ydata()) == [0.3, 0.15, 0.1]
    assert list(lines["weights kept"].get_xdata()) == [3.0]
    close, error = drawn["waveforms"].axes
    by_name = {line.get_label(): np.asarray(line.get_ydata()) for line in close.get_lines()}
    start = round(pictures.plots.busiest(AMP, RATE) * RATE)
    np.testing.assert_allclose(by_name["amp"], AMP[start : start + RATE // 50], atol=1e-6)
    np.testing.assert_allclose(error.get_lines()[0].get_ydata(), -0.1 * by_name["amp"], atol=1e-6)


def test_a_run_from_before_probes_has_the_other_figures(store: Store, tmp_path: Path):
    describe(store, tmp_path / "more", with_probes=False)
    drawn = pictures.drawn_again(store, store.find("last")).keys()
    assert {"fft", "gain"} <= drawn
    assert not drawn & {"harmonics", "aliasing", "hiss"}


def test_the_command_draws_svg_and_replaces_nothing(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    describe(store, tmp_path / "more", with_probes=False)
    words = ["figures", f"folder={store.folder}", f"output={tmp_path}/drawn", "format=svg"]
    assert cli.main(words) == 0
    assert f"written: {tmp_path}/drawn/fft.svg" in capsys.readouterr().out
    for path in (tmp_path / "drawn").iterdir():
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    assert cli.main(words) == 2
    assert "exists" in capsys.readouterr().err
    with pytest.raises(AmpsimError, match="png or svg"):
        api.open("last", folder=store.folder).draw(tmp_path / "more", kind="pdf")
