"""The doctor finds each fault that was put into a recording, with its size, and none in a recording that has none."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from damage import clipped, drifting, gated, held, humming, late, turned_down, twice, without
from numpy.testing import assert_allclose
from scipy import signal as dsp
from synthetic import MARGIN, RATE, guitar, noise, pair, write_pcm

from ampsim import AmpsimError, doctor
from ampsim.cli import main as cli
from ampsim.doctor import Finding, diagnosed, page
from ampsim.doctor.coverage import pitched
from ampsim.doctor.response import guessed, memory
from ampsim.recordings import preparing, virtual_amp
from ampsim.recordings.channels import repeated
from ampsim.recordings.pairs import AudioPair
from ampsim.recordings.preparing import quick
from ampsim.recordings.sources import Pair, Source, Stereo

REAL = ("ds1/val", "ds1/test", "marshall_2204/test", "marshall_2204/train")


def checked(source: Source, *, notice) -> list[AudioPair]:
    """The takes of a source that passed."""
    return preparing.checked(source.load(), source, notice=notice)[0]


def faults(found: list[Finding] | tuple[Finding, ...]) -> list[Finding]:
    return [each for each in found if each.severity in ("error", "warning")]


def sentences(take: AudioPair) -> list[str]:
    return [each.sentence for each in faults(quick(take)[0])]


@dataclass(frozen=True, kw_only=True)
class Given(Source):
    """Takes that are already there."""

    takes: tuple[AudioPair, ...] = ()

    def load(self) -> list[AudioPair]:
        return list(self.takes)


@pytest.fixture(scope="module")
def virtual(tmp_path_factory: pytest.TempPathFactory) -> AudioPair:
    direct, amp = virtual_amp.record(duration_s=24.0, seed=3, cache=tmp_path_factory.mktemp("virtual"))
    return AudioPair(direct, amp, 44100, "virtual.wav")


@pytest.fixture(scope="module", params=REAL)
def real(request: pytest.FixtureRequest, real_recordings: Path) -> AudioPair:
    path = real_recordings / f"{request.param}.flac"
    if path.exists():
        return Stereo(path=str(path)).load()[0]
    sides = [str(real_recordings / f"{request.param}_{side}.wav") for side in ("input", "target")]
    if not Path(sides[0]).exists():
        pytest.skip(f"{real_recordings} holds no {request.param}")
    return Pair(input=sides[0], target=sides[1]).load()[0]


# ---- Every fault, by its topic, where and how large ----


@dataclass(frozen=True)
class Fault:
    """What a damage must be told as: a topic, and a value of it within a tolerance; a place, as a share of the take."""

    topic: str
    damage: Callable[[AudioPair], AudioPair]
    value: str = ""
    expected: float = 0.0
    within: float = 0.0
    at: float | None = None


def on_target(change: Callable[..., np.ndarray], *words: float, **options: float) -> Callable[[AudioPair], AudioPair]:
    return lambda take: replace(take, target=change(take.target, *words, **options))


def middle(take: AudioPair) -> int:
    """A loud place near the middle, so that something is missed there."""
    around = np.abs(take.target[len(take.target) // 2 :][: 2 * take.sample_rate])
    return len(take.target) // 2 + int(np.argmax(around)) + 200


def lost(take: AudioPair) -> int:
    return round(0.01 * take.sample_rate)


FAULTS = {
    "drift": Fault("drift", on_target(drifting, 20.0), "ppm", 20, 1.0),
    "drift, slower": Fault("drift", on_target(drifting, -20.0), "ppm", -20, 1.0),
    "swapped": Fault("swap", lambda take: replace(take, input=take.target, target=take.input)),
    "clipped below full scale": Fault("clipping", on_target(clipped, 0.6)),
    "clipped direct": Fault("clipping", lambda take: replace(take, input=clipped(take.input, 0.5))),
    "10 ms of the amp missing": Fault(
        "missing",
        lambda take: replace(take, target=without(take.target, middle(take), lost(take))),
        "ms",
        -10,
        0.1,
        0.5,
    ),
    "10 ms of the direct missing": Fault(
        "missing", lambda take: replace(take, input=without(take.input, middle(take), lost(take))), "ms", 10, 0.1, 0.5
    ),
    "10 ms of silence in the amp": Fault(
        "dropout_target",
        lambda take: replace(take, target=held(take.target, middle(take), lost(take))),
        "longest_ms",
        10,
        0.3,
        0.5,
    ),
    "a block twice": Fault(
        "repeat_target",
        lambda take: replace(take, target=twice(take.target, middle(take), 512)),
        "samples",
        512,
        0,
        0.5,
    ),
    "hum": Fault(
        "hum_target",
        lambda take: replace(take, target=humming(take.target, take.sample_rate, level_db=-38, mains_hz=50)),
        "level_db",
        -38,
        2.5,
    ),
    "hum at 60 Hz in the direct": Fault(
        "hum_input",
        lambda take: replace(take, input=humming(take.input, take.sample_rate, level_db=-45, mains_hz=60)),
        "mains_hz",
        60,
    ),
    "turned down halfway": Fault(
        "change",
        lambda take: replace(take, target=turned_down(take.target, len(take.target) // 2, -6.0)),
        "typical_db",
        -6,
        2.0,
        0.5,
    ),
}


def assert_found(take: AudioPair, fault: Fault) -> None:
    damaged = fault.damage(take)
    found = [each for each in faults(diagnosed(damaged).findings) if each.topic == fault.topic]
    assert found, [each.sentence for each in faults(diagnosed(damaged).findings)]
    if fault.value:
        assert found[0].values[fault.value] == pytest.approx(fault.expected, abs=fault.within)
    if fault.at is not None:
        assert found[0].at_s[0] == pytest.approx(fault.at * take.duration_s, abs=2.5)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_virtual_amp_is_found(virtual: AudioPair, name: str):
    assert_found(virtual, FAULTS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_a_real_recording_is_found(real: AudioPair, name: str):
    start = len(real.input) // 5 if real.duration_s > 60 else 0
    part = slice(start, start + 40 * real.sample_rate)
    assert_found(replace(real, input=real.input[part], target=real.target[part]), FAULTS[name])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_sound_virtual_recording_has_no_fault(seed: int, tmp_path: Path):
    direct, amp = virtual_amp.record(duration_s=20.0, seed=seed, cache=tmp_path)
    take = AudioPair(direct, amp, 44100, "virtual.wav")
    assert faults(diagnosed(take).findings) == []
    for start_s, length_s in ((0, 6), (7, 11)):
        part = slice(start_s * 44100, (start_s + length_s) * 44100)
        assert faults(diagnosed(replace(take, input=direct[part], target=amp[part])).findings) == []


@pytest.mark.slow
def test_a_sound_real_recording_has_no_fault(real: AudioPair):
    assert [each.sentence for each in faults(diagnosed(real).findings)] == []


@pytest.mark.slow
def test_parts_of_a_real_recording_have_no_fault(real: AudioPair):
    random = np.random.default_rng(0)
    for length_s in (5, 9, 20):
        start = int(random.integers(0, len(real.input) - length_s * real.sample_rate))
        part = slice(start, start + length_s * real.sample_rate)
        found = diagnosed(replace(real, input=real.input[part], target=real.target[part])).findings
        assert [each.sentence for each in faults(found)] == []


@pytest.mark.slow
def test_a_real_recording_late_by_a_part_of_a_sample(real: AudioPair):
    (before,), (after,) = (
        [each for each in quick(take)[0] if each.topic == "delay"]
        for take in (real, replace(real, target=late(real.target, 0.37)))
    )
    assert after.values["onset"] - before.values["onset"] == pytest.approx(0.37, abs=0.05)
    if "ds1" in real.files[0].path:
        assert -10 <= before.values["peak"] <= -8  # others measured 9 to 10, see the data's README
        assert before.values["samples"] in (-12, -11)


@pytest.mark.slow
def test_an_inverted_real_recording(real: AudioPair):
    polarity = [
        each.values["inverted"]
        for take in (real, replace(real, target=-real.target))
        for each in quick(take)[0]
        if each.topic == "polarity"
    ]
    assert sorted(polarity) == [0, 1]


@pytest.mark.slow
def test_a_gate_is_found_with_its_time(virtual: AudioPair):
    closed = gated(virtual.target, virtual.input, virtual.sample_rate, threshold_db=-40)
    (found,) = [each for each in faults(diagnosed(replace(virtual, target=closed)).findings) if each.topic == "gate"]
    playing = np.sqrt(dsp.lfilter([0.001], [1, -0.999], virtual.input.astype(np.float64) ** 2)) > 1e-3
    silent = playing & (np.abs(closed) < 1e-4)
    assert 0.3 < found.values["seconds"] / (silent.sum() / 44100) < 1.5
    assert found.values["threshold_db"] == pytest.approx(-40, abs=6)


def test_a_moment_lost_in_both_channels_is_a_jump_in_both(virtual: AudioPair):
    start = middle(virtual)
    both = replace(virtual, input=without(virtual.input, start, 441), target=without(virtual.target, start, 441))
    (found,) = [each for each in faults(diagnosed(both).findings) if each.topic == "splice"]
    assert found.at_s[0] == pytest.approx(start / 44100, abs=0.002)


def test_inverted_virtual_amp(virtual: AudioPair):
    for take, inverted in ((virtual, 0), (replace(virtual, target=-virtual.target), 1)):
        (found,) = [each for each in quick(take)[0] if each.topic == "polarity"]
        assert found.values["inverted"] == inverted


def test_blocks_that_come_twice_are_found_where_they_are():
    samples = noise(50_000)
    samples[20_000:20_300] = samples[19_700:20_000]
    samples[40_000:40_064] = samples[39_936:40_000]
    assert repeated(samples, 5000) == [(20_000, 300), (40_000, 64)]
    assert repeated(np.tile(noise(100), 100), 5000) == []  # a tone, not a fault
    assert repeated(np.zeros(1000, np.float32), 500) == []


def test_pitches_are_those_that_were_played():
    time_s = np.arange(2 * RATE) / RATE
    sawtooth = sum(np.sin(2 * np.pi * 110 * k * time_s) / k for k in range(1, 20)).astype(np.float32)
    assert_allclose(pitched(AudioPair(sawtooth, sawtooth, RATE, "a")), 45, atol=0.1)


def test_the_guess_knows_a_distortion_that_a_filter_does_not():
    direct = guitar(10 * RATE, seed=1)
    take = AudioPair(direct, np.tanh(8 * direct), RATE, "a")
    findings, _ = memory(take)
    assert guessed(take).esr < 0.2 * findings[0].values["linear_floor_esr"]


def test_the_window_is_as_long_as_the_filter_in_the_amp():
    played = noise(20 * RATE, seed=1)
    taps = noise(200, seed=2)  # needs 256, the next power of two
    taps[0] = 1
    take = AudioPair(played, np.convolve(played, taps)[: len(played)].astype(np.float32), RATE, "a")
    (found,), arrays = memory(take)
    assert (found.values["window"], found.values["future"]) == (256, 1)
    assert found.values["linear_floor_esr"] < 0.02
    early = replace(take, target=np.roll(take.target, -20))
    (found,), _ = memory(early)
    assert found.values["future"] == 32  # 21 of them
    assert list(arrays["windows"][:3]) == [32, 64, 128]


# ---- What stops training ----


def test_a_sound_take_has_no_fault_and_raises_no_warning():
    notices: list[str] = []
    takes = (pair(seed=1), pair(seed=2, name="other.wav"))
    assert checked(Given(takes=takes), notice=notices.append) == list(takes)
    assert notices == []


def test_nan_is_found_with_its_time():
    take = pair()
    take.target[RATE + RATE // 2 : RATE + RATE // 2 + 3] = [np.nan, np.inf, np.nan]
    (fault,) = sentences(replace(take, target_name="amp.wav"))
    assert fault.startswith("amp.wav holds NaN or infinity at 0:01.5 (3 samples)")


def test_nan_is_refused_even_when_checks_only_warn():
    take = pair()
    take.input[10] = np.nan
    with pytest.raises(AmpsimError, match=r"the direct signal holds NaN or infinity at 0:00\.0 \(1 sample\)"):
        checked(Given(takes=(take,), checks="warn"), notice=print)


def test_clipping_is_found_with_its_time_and_count():
    take = pair()
    take.target[2 * RATE // 5 : 2 * RATE // 5 + 10] = 1.0
    take.target[RATE : RATE + 6] = -1.0
    (fault,) = sentences(replace(take, target_name="amp.wav"))
    assert fault.startswith("amp.wav clips at 0:00.4 (16 samples at full scale)")
    with pytest.raises(AmpsimError, match=r"(?s)clips at 0:00\.4.*data\.checks=warn"):
        checked(Given(takes=(take,)), notice=print)
    notices: list[str] = []
    checked(Given(takes=(take,), checks="warn"), notice=notices.append)
    assert [notice.startswith("warning: the amp's signal clips at 0:00.4") for notice in notices] == [True]


def test_a_16_bit_file_that_clips_is_found_though_its_positive_full_scale_is_below_1(tmp_path: Path):
    direct = guitar(2 * RATE)
    path = write_pcm(tmp_path / "hot.wav", [direct, 8 * direct])
    fault = sentences(Stereo(path=str(path)).load()[0])[0]
    over = np.abs(np.round(8 * direct.astype(np.float64) * 32768)) >= 32767
    assert "hot.wav (channel 1, amp) clips at" in fault
    assert int(fault.partition("(")[2].partition("(")[2].split()[0].replace(",", "")) <= over.sum()


def test_a_file_that_is_only_normalised_to_its_peak_does_not_clip():
    take = pair()
    loudest = np.abs(take.target).argmax()
    normalised = take.target / np.abs(take.target[loudest])
    assert normalised.max() == 1.0 or normalised.min() == -1.0
    spiked = replace(take, target=0.9 * normalised)
    spiked.target[100], spiked.target[200:202], spiked.target[300] = 1.0, -1.0, 1.0
    assert sentences(spiked) == []


def test_silence_is_found():
    take = pair()
    (fault,) = sentences(replace(take, input=1e-5 * noise(2 * RATE), input_name="di.wav"))
    assert fault.startswith("di.wav is silent from 0:00.0 to 0:02.0")
    (fault,) = sentences(replace(take, target=np.zeros_like(take.target)))
    assert fault.startswith("the amp's signal is silent from 0:00.0 to 0:02.0 (peak -200 dBFS)")


def test_a_pair_of_unequal_lengths_is_a_fault():
    take = pair()
    (fault,) = sentences(replace(take, target=take.target[:-5]))
    assert "16,000 samples of input and 15,995 of target" in fault


def test_every_fault_of_a_take_is_told_at_once():
    take = pair()
    take.input[5] = np.nan
    take.target[:10] = 1.0
    with pytest.raises(AmpsimError, match=r"(?s)direct signal holds NaN.*amp's signal clips"):
        checked(Given(takes=(take,)), notice=print)


def test_takes_of_different_rates_are_refused():
    with pytest.raises(AmpsimError, match=r"differ in sample rate \(a\.wav 8,000 Hz, b\.wav 16,000 Hz\)"):
        checked(
            Given(
                takes=(
                    pair(name="a.wav"),
                    pair(sample_rate=16000, name="b.wav"),
                ),
                checks="warn",
            ),
            notice=print,
        )


def test_swapped_sides_are_warned_of_and_go_on():
    take = pair()
    swapped = replace(take, input=take.target, target=take.input)
    notices: list[str] = []
    assert sentences(take) == []
    assert checked(Given(takes=(swapped,)), notice=notices.append) == [swapped]
    (notice,) = notices
    assert "take.wav: direct and amp look swapped" in notice


def test_one_channel_named_twice_is_told():
    take = AudioPair(*(2 * [np.sin(np.arange(8000, dtype=np.float32))]), 8000, "mono.wav")
    assert any("the same signal" in fault for fault in sentences(take))


def test_a_silent_channel_can_be_gone_on_with():
    silent = AudioPair(np.zeros(8000, np.float32), np.sin(np.arange(8000, dtype=np.float32)), 8000, "NaNa.wav")
    told: list[str] = []
    assert checked(Given(takes=(silent,), checks="warn"), notice=told.append) == [silent]
    assert "is silent" in told[0]


def test_training_refuses_drift_or_takes_it_out():
    take = pair(20.0, seed=5)
    drifted = replace(take, target=drifting(take.target, 60.0))
    with pytest.raises(AmpsimError, match=r"clock runs (59|60)\.\d ppm faster.*data\.drift=correct"):
        checked(Given(takes=(drifted,)), notice=print)
    told: list[str] = []
    (mended,) = checked(Given(takes=(drifted,), drift="correct"), notice=told.append)
    assert re.fullmatch(r"take\.wav: a drift of (59|60)\.\d\d ppm is taken out", told[0])
    inside = slice(RATE, -RATE)
    assert np.mean((mended.target - take.target)[inside] ** 2) < 1e-3 * np.mean(take.target[inside] ** 2)


def test_training_refuses_two_signals_of_nothing_in_common():
    strangers = replace(pair(20.0, seed=1), target=0.3 * noise(20 * RATE, seed=2))
    with pytest.raises(AmpsimError, match="no clear delay between direct and amp"):
        checked(Given(takes=(strangers,)), notice=print)


# ---- The command ----


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    try:
        code = cli.main(["doctor", *words])
    except SystemExit as stop:
        code = int(stop.code or 0)
    output = capsys.readouterr()
    return code, output.out + output.err


def test_doctor_writes_text_json_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    take = pair(8.0, seed=2)
    path = write_pcm(tmp_path / "<b>Verstärker & 🎸.wav", [take.input, take.target], bits=24)
    words = [f"input={path}", f"json={tmp_path / 'found.json'}", f"html={tmp_path / 'found.html'}"]
    code, output = run(words, capsys)
    assert code == 0, output
    assert re.search(r"(lags|leads) the direct signal by 0\.0\d samples", " ".join(output.split()))
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    topics = {each["topic"]: each for each in found["findings"]}
    assert {"format", "delay", "polarity", "drift", "clipping", "gaps", "hum_target", "memory", "change"} <= set(topics)
    assert topics["delay"]["values"]["samples"] == -MARGIN
    html = (tmp_path / "found.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;Verstärker &amp; 🎸.wav" in html
    assert "<b>Verst" not in html
    assert re.findall(r'(?:src|href)="(?!data:)', html) == []  # needs nothing beside it
    assert html.count("<figure>") == 5
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"content=\"default-src 'none'; style-src 'sha256-{digest}'; img-src data:\"" in html
    assert not re.search(r"<script|\sstyle=|\son\w+=", html)  # which that policy would hold back
    code, output = run(words, capsys)
    assert code == 2
    assert "exists; say overwrite=true" in output


@pytest.mark.parametrize(
    ("channels", "complaint"),
    [
        (["nothing"], "nothing.wav does not exist"),
        (["text"], "is not audio that can be read"),
        ([noise(RATE)], "has 1 channel: name the amp's file too"),
        ([np.zeros(RATE), np.zeros(RATE)], "is silent from 0:00.0 to 0:01.0"),
        ([guitar(RATE), 0.5 * guitar(RATE)], "too little to say more"),
        ([guitar(4 * RATE), guitar(4 * RATE)], "the same signal"),
    ],
)
def test_doctor_answers_bad_files_with_a_sentence(channels: list, complaint: str, tmp_path: Path, capsys):
    if isinstance(channels[0], str):
        path = tmp_path / f"{channels[0]}.wav"
        if channels[0] == "text":
            path.write_text("no audio", encoding="utf-8")
    else:
        path = write_pcm(tmp_path / "a.wav", channels)
    code, output = run([f"input={path}"], capsys)
    assert complaint in " ".join(output.split())
    assert code == (0 if "too little" in complaint else 2)


def test_doctor_looks_at_the_common_part_of_files_that_end_apart(tmp_path: Path, capsys):
    take = pair(6.0, seed=2)
    direct = write_pcm(tmp_path / "direct.wav", [take.input])
    amp = write_pcm(tmp_path / "amp.wav", [take.target[:-1234]])
    code, output = run([f"input={direct}", f"target={amp}"], capsys)
    assert code == 0
    assert "longer than" in output
    assert "1,234 samples" in output
    short = write_pcm(tmp_path / "short.wav", [take.target[: -RATE - 1]])
    code, output = run([f"input={direct}", f"target={short}"], capsys)
    assert code == 2
    assert "8,001 samples apart" in output
    fast = write_pcm(tmp_path / "fast.wav", [take.target], 44100)
    code, output = run([f"input={direct}", f"target={fast}"], capsys)
    assert (code, "one of the rates is probably a wrong label" in " ".join(output.split())) == (2, True)


def test_numbers_that_are_not_finite_are_null_in_json():
    found = doctor.Diagnosis("a", RATE, 1.0, (Finding("ok", "noise", "quiet", values={"level_db": -np.inf}),))
    assert json.loads(page.as_json(found))["findings"][0]["values"] == {"level_db": None}


def test_floats_above_full_scale_have_not_clipped():
    take = pair()
    loud = replace(take, target=3 * take.target / np.abs(take.target).max())
    found = {each.topic: each for each in quick(loud)[0]}
    assert found["clipping"].severity == "warning"
    assert "peaks at +9.5 dBFS" in found["clipping"].text
