"""A folder of recordings, learnt by one command: what stands on its parent run, and what is left where one fails."""

import csv
import json
import re
import shutil
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic import RATE, amp, guitar, write_pcm

from ampsim import api
from ampsim.cli import main as cli
from ampsim.comparing.outcomes import Row
from ampsim.pages import captures
from ampsim.recordings.findings import Finding
from ampsim.runs.tracking import Store

NET = ["model=wavenet_nano", "model.channels=2", "model.dilations=[[1,2]]", "training.segment_length=1000"]
NET += [
    "training.epochs=1",
    "training.seconds=null",
    "loss=esr",
    "data.splits={train: 0.6, validation: 0.2, test: 0.2}",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    played = guitar(4 * RATE, seed=3)
    made = tmp_path / "captures"
    made.mkdir()
    write_pcm(made / "my_di.wav", [played])
    write_pcm(made / "<b>loud #1.wav", [amp(played)])
    write_pcm(made / "soft.wav", [amp(0.3 * played)])
    write_pcm(made / "other rate.wav", [amp(played)[::2]], RATE // 2)
    return made


@pytest.mark.slow
def test_each_recording_is_learnt_and_exported_and_one_that_cannot_be_stops_none(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["train", "data=folder", "data.path=captures", *NET]
    assert cli.main(command) == 2
    told = capsys.readouterr().err
    assert "1 of 3 jobs did not finish" in told
    assert "other rate failed" in told
    parent = Store("runs").find_sweep("last")
    assert parent.name.startswith("captures-wavenet_nano-channels=2-")
    with parent.file("doctor.csv").open() as file:
        assert {row["recording"] for row in csv.DictReader(file)} >= {"other rate"}
    page = parent.file("captures.html").read_text(encoding="utf-8")
    assert page.count("<audio") == 4
    assert "<b>loud" not in page
    assert "3 recordings, 2 learnt, 1 not" in page
    # Each player holds what the run's own audio has.
    for name in ("soft",):
        run = api.open(name)
        amp_file, _ = soundfile.read(run.tracked.file("audio") / "amp.wav")
        inside = re.search(rf"<h2>{name}</h2>.*?data:audio/flac;base64,([^\"]+)", page, re.DOTALL)
        assert inside
        heard, rate = soundfile.read(BytesIO(b64decode(inside[1])))
        assert rate == RATE
        assert (
            min(np.abs(amp_file[k : k + len(heard)] - heard).max() for k in range(len(amp_file) - len(heard) + 1))
            < 1e-4
        )
    (exports,) = Path("runs/exports").iterdir()
    assert sorted(path.name for path in exports.iterdir()) == ["_b_loud _1.nam", "soft.nam"]
    assert json.loads((exports / "soft.nam").read_text())["metadata"]["name"] == "soft"

    # Again: what has finished is not learnt again, and what is mended is.
    shutil.copy(folder / "soft.wav", folder / "other rate.wav")
    cli.main(command)
    assert "2 of 3 jobs have finished and are skipped" in "".join(capsys.readouterr())
    assert len(list(exports.iterdir())) == 3


def test_a_run_whose_sound_is_gone_has_a_line_without_players():
    page = captures.page(
        "x", [Row("one", [], "failed", "no <sound>")], {}, {"one": [Finding("warning", "hum", "it hums")]}
    )
    assert "failed: no &lt;sound&gt;" in page
    assert "it hums" in page
    assert "<audio" not in page
