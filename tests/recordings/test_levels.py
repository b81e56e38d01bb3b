"""Levels in dBu: by the formula, by tones that were made by hand, and where they are shown."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic import RATE, guitar, write_pcm

import ampsim
from ampsim import AmpsimError
from ampsim.cli import main as cli
from ampsim.config.run_config import RunConfig
from ampsim.config.targets import build
from ampsim.recordings import levels

FAST = 48000


def tone(path: Path, *, level_db: float = -12.0, hz: float = 997.0, seconds: float = 2.0, **beside: object) -> Path:
    """A sine whose peaks reach so many dBFS, with silence around it."""
    time_s = np.arange(round(seconds * FAST)) / FAST
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * time_s + 0.3)
    if "clip_db" in beside:
        wave = np.clip(wave, -(10 ** (beside["clip_db"] / 20)), 10 ** (beside["clip_db"] / 20))
    if "noise_db" in beside:
        wave = wave + 10 ** (beside["noise_db"] / 20) * np.random.default_rng(0).standard_normal(len(wave))
    if beside.get("fading"):
        wave = wave * np.linspace(0.2, 1, len(wave))
    silence = np.zeros(FAST // 3)
    soundfile.write(path, np.concatenate([silence, wave, silence]), FAST, subtype="FLOAT")
    return path


@pytest.mark.parametrize(
    ("level_db", "measured", "dbu"),
    [
        (-12.0, {"dbu": 4.0}, 16.0),
        (-20.0, {"volts": math.sqrt(0.6)}, 20.0),  # 0 dBu is the voltage that makes 1 mW in 600 ohms
        (-6.0, {"volts": 1.2276}, 10.0),  # +4 dBu
        (0.0, {"dbu": "-3.5"}, -3.5),
    ],
)
def test_full_scale_is_as_far_above_the_tone_as_its_peaks_are_below_it(tmp_path, level_db, measured, dbu):
    found = ampsim.calibrate(tone(tmp_path / "t.wav", level_db=level_db), **measured)
    assert found.dbu == pytest.approx(dbu, abs=0.005)
    assert found.frequency_hz == pytest.approx(997, abs=0.01)
    assert found.tone_db == pytest.approx(level_db, abs=0.002)
    assert found.beside_db < -80


def test_noise_hardly_moves_it_and_an_offset_not_at_all(tmp_path: Path):
    path = tone(tmp_path / "t.wav", noise_db=-60.0)
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples + 0.01, rate, subtype="FLOAT")
    found = ampsim.calibrate(path, dbu=0)
    assert found.dbu == pytest.approx(12, abs=0.01)
    assert found.beside_db == pytest.approx(-45, abs=1)  # a sine's RMS is 3 dB below its peaks


def test_what_may_be_wrong_with_a_tone_is_noted(tmp_path: Path):
    assert ["many meters" in note for note in ampsim.calibrate(tone(tmp_path / "a.wav", hz=9000.0), dbu=0).notes] == [
        True
    ]
    assert ["full scale" in note for note in ampsim.calibrate(tone(tmp_path / "b.wav", level_db=0.0), dbu=0).notes] == [
        True
    ]


@pytest.mark.parametrize(
    ("beside", "sentence"),
    [
        ({"clip_db": -18.0}, "it is clipped or distorted"),
        ({"noise_db": -25.0}, "noise, hum or other sound"),
        ({"fading": True}, "no steady tone"),
        ({"seconds": 0.4}, "no steady tone"),
        ({"level_db": -140.0}, "it is silent"),
    ],
)
def test_a_file_without_a_steady_tone_alone_is_refused(tmp_path: Path, beside: dict, sentence: str):
    with pytest.raises(AmpsimError, match=sentence):
        ampsim.calibrate(tone(tmp_path / "t.wav", **beside), volts=1)


@pytest.mark.parametrize(
    ("measured", "sentence"),
    [
        ({}, "state what was measured"),
        ({"volts": 1, "dbu": 0}, "state what was measured"),
        ({"volts": 0}, "more than 0"),
        ({"volts": "a lot"}, "it is a number"),
        ({"dbu": math.inf}, "it is a number"),
        ({"dbu": 90}, "lies between -60 and 60 dBu"),
    ],
)
def test_a_measurement_that_cannot_be_is_refused(tmp_path: Path, measured: dict, sentence: str):
    with pytest.raises(AmpsimError, match=sentence):
        ampsim.calibrate(tone(tmp_path / "t.wav"), **measured)


def test_the_command_says_what_to_put_into_the_config(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert cli.main(["calibrate", f"input={tone(tmp_path / 't.wav')}", "dbu=4"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "full scale is +16.00 dBu (4.89 V RMS)" in told
    assert "data.input_level_dbu=16.00" in told
    stereo = np.zeros((FAST, 2))
    soundfile.write(tmp_path / "s.wav", stereo, FAST)
    assert cli.main(["calibrate", f"input={tmp_path / 's.wav'}", "dbu=4"]) == 2
    assert "say which holds the tone" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["200", "-100", "loud", "nan", "true"])
def test_a_config_with_a_level_that_cannot_be_is_refused(value: str, tmp_path: Path):
    words = ["data=stereo", f"data.path={tmp_path / 'x.wav'}", f"data.input_level_dbu={value}"]
    with pytest.raises(AmpsimError, match="input_level_dbu"):
        build(RunConfig.compose(words)["data"], "data")


def test_levels_are_no_part_of_what_a_run_comes_to():
    words = ["data=stereo", "data.path=x.wav"]
    levelled = [*words, "data.input_level_dbu=12.5", "data.output_level_dbu=4"]
    assert RunConfig.compose(words).identity() == RunConfig.compose(levelled).identity()


def test_the_doctor_shows_what_the_peaks_come_to_in_volts(tmp_path: Path):
    direct = guitar(3 * RATE // 2)  # of which a look at the samples is all there is
    direct = (0.5 * direct / np.abs(direct).max()).astype(np.float32)
    write_pcm(tmp_path / "a.wav", [direct, 0.5 * direct], bits=24)
    found = ampsim.doctor(str(tmp_path / "a.wav"), input_level_dbu=0, output_level_dbu="20")
    topics = {each.topic: each for each in found.findings}
    # 0 dBu: full scale is sqrt(0.6) * sqrt(2) V, of which the peaks reach a half; 20 dB more, and a quarter.
    assert topics["input level"].values["peak_v"] == pytest.approx(math.sqrt(1.2) / 2, rel=1e-3)
    assert topics["output level"].values["peak_v"] == pytest.approx(10 * math.sqrt(1.2) / 4, rel=1e-3)
    assert topics["input level"].severity == "ok"
    loud = ampsim.doctor(str(tmp_path / "a.wav"), input_level_dbu=40)
    assert [each.severity for each in loud.findings if each.topic == "input level"] == ["warning"]
    with pytest.raises(AmpsimError, match="input_level_dbu=99"):
        ampsim.doctor(str(tmp_path / "a.wav"), input_level_dbu=99)


def test_volts_and_dbu_are_the_same():
    assert levels.in_volts(0) == pytest.approx(0.7746, abs=1e-4)
    assert levels.in_dbu(levels.in_volts(-7.3)) == pytest.approx(-7.3)
