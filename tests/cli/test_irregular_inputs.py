"""What never ends or never begins, in place of every kind of input: a sentence at once."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest

from ampsim.cli import main as cli
from ampsim.signals.audio import write

if not hasattr(os, "mkfifo"):
    pytest.skip("this system has no pipes with a name", allow_module_level=True)

COMMANDS = {
    "recording of the doctor": "doctor input={}.wav",
    "amp of the doctor": "doctor input=real.wav target={}.wav",
    "recording": "train data=stereo data.path={}.wav tracking.folder=runs",
    "pair": "train data=pair data.input=real.wav data.target={}.wav tracking.folder=runs",
    "capture": "render capture={}.nam input=real.wav output=out.wav",
    "capture of a chain": "render capture={}.json input=real.wav output=out.wav",
    "capture to learn from": "train data=nam_capture data.path={}.nam data.input=real.wav tracking.folder=runs",
    "config": "reproduce config={}.yaml folder=runs",
    "votes": "votes {}.json",
    "sheet": "train data=knobs data.path={}.csv tracking.folder=runs",
    "sheet of the doctor": "doctor input={}.yaml",
    "sheet to add to": "plan settings={}.csv",
}


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.timeout(120)
def test_it_is_told_at_once(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    ending = COMMANDS[name].partition("{}")[2].split()[0]
    path = Path(f"odd{ending}")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path.symlink_to("/dev/zero")
    write("real.wav", np.zeros(8000, np.float32), 8000)
    words = COMMANDS[name].format("odd").split()
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert f"odd{ending} is no file, but a {kind}" in " ".join(said.split())
