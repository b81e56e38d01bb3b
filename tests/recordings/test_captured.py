"""A capture as the amp of a recording, and its loudness."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nam_files import wavenet, write
from nam_nets import container
from synthetic import RATE, REMOVED, guitar, noise, write_pcm

from ampsim import AmpsimError, players
from ampsim.cli import main as cli
from ampsim.players.loudness import loudness_db
from ampsim.recordings import VirtualKnobs, captured
from ampsim.recordings.pairs import aligned
from ampsim.recordings.preparing import prepare
from ampsim.recordings.sources import Stereo, VirtualAmp
from ampsim.recordings.splits import split


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A capture at RATE that states how loud it is."""
    found = wavenet() | {"sample_rate": RATE}
    player = players.read(write(tmp_path / "amp.nam", found)).player
    return write(tmp_path / "amp.nam", found | {"metadata": {"loudness": loudness_db(player)}})


def test_direct_recordings_in_and_targets_out(capture: Path, tmp_path: Path):
    direct = guitar(RATE)
    write_pcm(tmp_path / "di.wav", [direct], bits=24)
    (take,) = captured.NamCapture(path=str(capture), input=str(tmp_path / "di.wav"), delay=0).load()
    np.testing.assert_allclose(take.input, direct, atol=1e-6)
    np.testing.assert_allclose(take.target, players.read(capture).player(direct), atol=1e-5)
    assert (take.sample_rate, take.name) == (RATE, "di.wav")
    assert [Path(file.path).name for file in take.files] == ["di.wav", "amp.nam"]


def test_a_direct_recording_of_another_rate_is_brought_to_the_captures(capture: Path, tmp_path: Path):
    write_pcm(tmp_path / "di.wav", [guitar(2 * RATE, sample_rate=2 * RATE)], 2 * RATE)
    (take,) = captured.NamCapture(path=str(capture), input=[str(tmp_path / "di.wav")]).load()
    assert (take.sample_rate, len(take.input), len(take.target)) == (RATE, RATE, RATE)


def test_the_embedded_guitar_stands_in_for_a_recording(capture: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ampsim.recordings.captured.GUITAR_S", 1.0)
    (take,) = captured.NamCapture(path=str(capture)).load()
    assert (take.sample_rate, len(take.input)) == (RATE, RATE)


def test_a_capture_that_is_not_as_loud_as_it_states_is_refused(capture: Path, tmp_path: Path):
    stated = players.read(capture).loudness_db
    louder = wavenet() | {"sample_rate": RATE, "metadata": {"loudness": stated + 20}}
    path = write(tmp_path / "other.nam", louder)
    write_pcm(tmp_path / "di.wav", [guitar(RATE)])
    with pytest.raises(AmpsimError, match=r"states a loudness of .* and plays at"):
        captured.NamCapture(path=str(path), input=str(tmp_path / "di.wav")).load()
    assert captured.NamCapture(path=str(path), input=str(tmp_path / "di.wav"), checks="warn").load()


def test_render_plays_a_capture(capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    import soundfile

    direct = guitar(RATE)
    write_pcm(tmp_path / "di.wav", [direct], bits=24)
    words = [f"capture={capture}", f"input={tmp_path / 'di.wav'}", f"output={tmp_path / 'out.wav'}"]
    assert cli.main(["render", *words]) == 0
    found, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(found, players.read(capture).player(direct), atol=1e-5)
    said = capsys.readouterr()
    assert "a WaveNet, loudness" in said.out
    assert not re.search(r"-[\d.]+× real time", said.out + said.err)  # before the first sample is done


def test_a_net_of_a_container_plays_and_teaches(tmp_path: Path, capsys: pytest.CaptureFixture):
    """Of two nets, the second twice as loud: each as a player's knob chooses it."""
    import soundfile

    direct = guitar(RATE)
    write_pcm(tmp_path / "di.wav", [direct], bits=24)
    path = write(tmp_path / "amp.nam", container(0.5, 1.0))
    words = [f"capture={path}", f"input={tmp_path / 'di.wav'}"]
    played = {}
    for slim in ("", "0", "1"):
        output = tmp_path / f"{slim or 'usual'}.wav"
        assert cli.main(["render", *words, f"output={output}", *([f"slim={slim}"] if slim else [])]) == 0
        played[slim] = soundfile.read(output, dtype="float32")[0]
    np.testing.assert_allclose(played[""], played["1"], atol=1e-6)
    np.testing.assert_allclose(played["1"], 2 * played["0"], atol=1e-5)
    assert cli.main(["render", *words, f"output={tmp_path / 'x.wav'}", "slim=2"]) == 2
    assert "slim=2: it is a number from 0" in capsys.readouterr().err
    source = captured.NamCapture(path=str(path), input=str(tmp_path / "di.wav"), slim=0.2, delay=0)
    (small,), (large,) = source.load(), replace(source, slim=None).load()
    np.testing.assert_allclose(large.target, 2 * small.target, atol=1e-5)


def test_a_bad_capture_renders_nothing(tmp_path: Path, capsys: pytest.CaptureFixture):
    write_pcm(tmp_path / "di.wav", [guitar(RATE)])
    write(tmp_path / "amp.nam", "{")
    words = [f"capture={tmp_path / 'amp.nam'}", f"input={tmp_path / 'di.wav'}", f"output={tmp_path / 'out.wav'}"]
    assert cli.main(["render", *words]) == 2
    assert "it breaks off" in capsys.readouterr().err
    assert not (tmp_path / "out.wav").exists()


def test_a_teacher_plays_beside_its_recording(capture: Path, recording: Path, tmp_path: Path):
    recorded = Stereo(path=str(recording))
    write_pcm(tmp_path / recording.name, [guitar(RATE)], bits=24)
    source = captured.Distilled(recording=recorded, teacher=str(capture), input=str(tmp_path / recording.name))
    taught, learnt = source.load()
    assert (taught.name, learnt.name) == (f"taught {recording.name}", recording.name)
    np.testing.assert_allclose(taught.target, players.read(capture).player(taught.input), atol=1e-6)
    (alone,) = captured.Distilled(recording=recorded, teacher=None).load()
    (expected,) = (aligned(take, REMOVED) for take in recorded.load())
    for take in (learnt, alone):
        np.testing.assert_array_equal(take.input, expected.input)
        np.testing.assert_array_equal(take.target, expected.target)
    splits = split([taught, learnt], source.splits, gap=10)
    assert {span.take.name for name in ("validation", "test") for span in splits[name]} == {recording.name}


# ---- Captures that state no rate, and such as overflow ----


def resonator(path: Path, **more: object) -> Path:
    """A filter that rings at 6,000 Hz where it is played at 48 kHz; the sum of its weights is about 1."""
    time = np.arange(2000)
    ringing = (0.998**time * np.cos(2 * np.pi * 6000 / 48000 * time)).round(6).tolist()
    config = {"receptive_field": len(ringing), "bias": False}
    return write(path, {"version": "0.5.0", "architecture": "Linear", "config": config, "weights": ringing} | more)


def loudest_hz(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_a_capture_without_a_rate_rings_where_it_did(tmp_path: Path, rate: int, capsys: pytest.CaptureFixture):
    import soundfile

    path = resonator(tmp_path / "amp.nam")
    soundfile.write(tmp_path / "di.wav", noise(rate, level=0.01), rate, subtype="FLOAT")
    words = [f"capture={path}", f"input={tmp_path / 'di.wav'}", f"output={tmp_path / 'out.wav'}"]
    assert cli.main(["render", *words]) == 0
    found, out_rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert (out_rate, len(found)) == (rate, rate)
    assert loudest_hz(found, rate) == pytest.approx(6000, abs=20)
    told = " ".join(capsys.readouterr().out.split())
    assert "states no sample rate: 48,000 Hz is assumed, as its players do" in told


def test_a_recording_of_a_capture_without_a_rate_says_so(tmp_path: Path):
    direct = noise(2 * 44100, level=0.01)
    write_pcm(tmp_path / "di.wav", [direct], 44100, bits=24)
    source = captured.NamCapture(
        path=str(resonator(tmp_path / "amp.nam")), input=str(tmp_path / "di.wav"), checks="warn", delay=0
    )
    (take,) = source.load()
    assert take.sample_rate == 48000
    assert loudest_hz(take.target, 48000) == pytest.approx(6000, abs=20)
    told: list[str] = []
    prepare(source, notice=told.append)
    assert sum("states no sample rate: 48,000 Hz is assumed" in text for text in told) == 1
    stated = captured.NamCapture(
        path=str(resonator(tmp_path / "amp.nam", sample_rate=44100)), input=str(tmp_path / "di.wav")
    )
    assert stated.load()[0].notes == ()


def test_a_capture_that_overflows_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture):
    write_pcm(tmp_path / "di.wav", [guitar(RATE)])
    path = resonator(tmp_path / "amp.nam", weights=[3e38] * 2000)
    words = [f"capture={path}", f"input={tmp_path / 'di.wav'}", f"output={tmp_path / 'out.wav'}"]
    assert cli.main(["render", *words]) == 2
    assert "amp.nam plays NaN or infinity from 0:0" in capsys.readouterr().err
    assert not (tmp_path / "out.wav").exists()
    with pytest.raises(AmpsimError, match="plays NaN or infinity"):
        captured.NamCapture(path=str(path), input=str(tmp_path / "di.wav")).load()


def test_a_virtual_amp_beyond_the_limit_is_not_made():
    with pytest.raises(AmpsimError, match=r"data\.duration_s=3600 at 192,000 Hz would take 31\.8 GB of memory"):
        VirtualAmp(duration_s=3600, sample_rate=192_000).load()


def test_an_amp_at_several_settings_has_no_one_teacher():
    with pytest.raises(AmpsimError, match="several settings of an amp, and a teacher plays one"):
        captured.Distilled(recording=VirtualKnobs(count=2, duration_s=1.0, sample_rate=8000), teacher="x.nam").load()
