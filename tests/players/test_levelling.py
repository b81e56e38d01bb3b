"""How loud captures are, and copies of them that are equally loud, as another player hears them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nam_files import document, lstm, wavenet, write
from nam_nets import CASES, STORED, container, made

import ampsim
from ampsim import AmpsimError, players
from ampsim.cli import main as cli
from ampsim.players import levelling
from ampsim.players.loudness import loudness_db, reference_input


def short_lstm() -> dict[str, Any]:
    return lstm(sample_rate=1000)  # half a second of zeros before it are few


NETS = {
    "wavenet": lambda: wavenet(),
    "lstm": short_lstm,
    "linear": lambda: document("Linear", {"receptive_field": 5, "bias": True}, 6),
    "convnet": lambda: made("ConvNet", STORED["ConvNet"][0]),
    "head behind all": lambda: made("a head behind all", STORED["a head behind all"][0]),
    "container": lambda: container(0.5, 1.0),
}


@pytest.mark.parametrize("name", NETS)
def test_a_copy_is_as_loud_as_is_asked_for(name: str, tmp_path: Path):
    """In any net the same signal comes out, only louder."""
    about = {"name": "Amp", "loudness": -3.0, "output_level_dbu": 10.0}
    path = write(tmp_path / "amp.nam", NETS[name]() | {"metadata": about})
    before = path.read_bytes()
    (found,) = ampsim.loudness(path, output=tmp_path / "even", level=-24)
    assert path.read_bytes() == before
    assert found.copy == tmp_path / "even" / "amp.nam"
    assert found.stated_db == -3
    for slim in (0, None) if name == "container" else (None,):
        copied = players.read(found.copy, slim=slim)
        assert loudness_db(copied.player) == pytest.approx(-24, abs=0.001)
        assert copied.loudness_db == pytest.approx(-24)
    original, louder = (players.read(each).player(reference_input()[:500]) for each in (path, found.copy))
    np.testing.assert_allclose(louder, 10 ** (found.gain_db / 20) * original, atol=1e-5)
    stated = json.loads(found.copy.read_text())["metadata"]
    assert stated["name"] == "Amp"
    assert stated["output_level_dbu"] == pytest.approx(10 - found.gain_db)
    (again,) = levelling.measured([found.copy])
    assert again.measured_db == pytest.approx(again.stated_db, abs=0.001)


def test_a_set_is_evened_out_to_its_median(tmp_path: Path, capsys: pytest.CaptureFixture):
    names = ["bottleneck", "groups", "SiLU"]
    paths = [write(tmp_path / f"{name}.nam", made(name, STORED[name][0])) for name in names]
    levels = [each.measured_db for each in ampsim.loudness(*paths)]
    assert np.ptp(levels) > 3
    assert cli.main(["loudness", *map(str, paths), f"output={tmp_path / 'even'}"]) == 0
    told = capsys.readouterr().out
    assert f"from the softest to the loudest: {np.ptp(levels):.1f} dB" in told
    assert "bottleneck.nam" in told
    evened = ampsim.loudness(*(tmp_path / "even").glob("*.nam"))
    assert np.ptp([each.measured_db for each in evened]) < 0.01
    assert evened[0].measured_db == pytest.approx(np.median(levels), abs=0.01)

    assert cli.main(["loudness", *map(str, paths), f"output={tmp_path / 'even'}"]) == 2
    assert "exists; say overwrite=true" in capsys.readouterr().err
    assert cli.main(["loudness", *map(str, paths), f"output={tmp_path / 'even'}", "overwrite=true"]) == 0


def test_captures_are_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture):
    path = write(tmp_path / "a.nam", wavenet())
    before = path.read_bytes()
    assert cli.main(["loudness", str(path), f"output={tmp_path}", "overwrite=true"]) == 2
    assert "is the input itself" in " ".join(capsys.readouterr().err.split())
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "name the captures"),
        (["level=-300", "a.nam", "output=even"], "captures are brought to -60 to 0 dB"),
        (["level=loud", "a.nam", "output=even"], "level=loud: it is a number"),
        (["a.nam", "sub/A.nam", "output=even"], "two of the captures have one name"),
        (["silent.nam", "output=even"], "plays silence"),
        (["chain.json", "output=even"], "is no .nam file"),
        (["none.nam"], "does not exist"),
    ],
)
def test_what_cannot_be_evened_out(words: list[str], sentence: str, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(Path("a.nam"), wavenet())
    Path("sub").mkdir()
    write(Path("sub/A.nam"), wavenet())
    write(Path("silent.nam"), document("Linear", {"receptive_field": 2}, 0) | {"weights": [0.0, 0.0]})
    layer = {"type": "dense", "activation": "", "shape": [None, None, 1], "weights": [[[1.0]], [0.0]]}
    write(Path("chain.json"), {"in_shape": [None, None, 1], "layers": [layer]})
    assert cli.main(["loudness", *words]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not Path("even").exists()


def test_every_kind_of_wavenet_keeps_its_sound(tmp_path: Path):
    for name in ("two arrays", "a head with a memory", "gated, in old words"):
        assert name in CASES
        path = write(tmp_path / "x.nam", made(name, STORED[name][0]))
        found = levelling.louder(path, json.loads(path.read_text()), 6.0, -18.0)
        original = players.read(path).player(reference_input()[:300])
        louder = players.read(write(tmp_path / "y.nam", found)).player(reference_input()[:300])
        np.testing.assert_allclose(louder, 10 ** (6 / 20) * original, rtol=1e-5, atol=1e-7)


def test_a_file_that_cannot_be_played_is_refused(tmp_path: Path):
    with pytest.raises(AmpsimError, match="is no NAM capture"):
        ampsim.loudness(write(tmp_path / "x.nam", {}))
