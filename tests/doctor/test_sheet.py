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


def test_what_is_said_of_the_files_holds_for_those_of_a_sheet(tmp_path: Path):
    direct = guitar(3 * RATE, seed=1)
    for name, gain in (("a", 2.0), ("b", 9.0)):
        swapped = np.stack([amp(direct, gain=gain), 0 * direct, direct], axis=1)
        soundfile.write(tmp_path / f"{name}.wav", swapped, RATE, "PCM_24")
    path = tmp_path / "s.csv"
    path.write_text("path,gain\na.wav,1\nb.wav,9\n")
    assert [each.topic for each in doctor(str(path)).findings if each.severity == "error"]
    found = doctor(str(path), input_channel=2, target_channel=0, input_level_dbu=40)
    assert not [each.text for each in found.findings if each.severity == "error"]
    assert [each.text[:6] for each in found.findings if each.topic == "input level"] == ["a.wav:", "b.wav:"]


def test_a_sheet_without_a_direct_signal_is_told_what_the_doctor_can_use(tmp_path: Path):
    path = tmp_path / "s.csv"
    path.write_text("target,gain\na.wav,1\nb.wav,9\n")
    with pytest.raises(
        AmpsimError, match="row 2 names no direct signal: put it into the column `input`, or, to train,"
    ):
        doctor(str(path))
