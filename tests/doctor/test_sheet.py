"""The doctor on a sheet of settings: each recording is looked at, by its name."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic import RATE, amp, guitar

from ampsim import AmpsimError, doctor


def test_every_recording_of_a_sheet_is_diagnosed(tmp_path: Path):
    direct = guitar(3 * RATE, seed=1)
    clipped = np.clip(amp(direct, gain=9.0, level=2.0), -1, 1)
    for name, samples in (("d", direct), ("a", amp(direct, gain=2.0)), ("b", clipped)):
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE, "PCM_24")
    path = tmp_path / "s.csv"
    path.write_text("input,target,gain\nd.wav,a.wav,1\nd.wav,b.wav,9\n")
    found = doctor(str(path))
    assert (found.name, found.duration_s) == ("s.csv", 6.0)
    (clips,) = [each for each in found.findings if each.topic == "clipping" and each.severity == "error"]
    assert "b.wav clips" in clips.text
    assert any(each.text == "2 recordings at 2 settings of gain" for each in found.findings)
    with pytest.raises(AmpsimError, match="does not exist"):
        doctor(str(tmp_path / "t.csv"))
