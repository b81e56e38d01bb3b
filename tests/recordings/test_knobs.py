"""Recordings at several settings: files of a sheet, contradictions between them, and the embedded amp's."""

import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from synthetic import RATE, amp, guitar, noise

from ampsim import AmpsimError, load
from ampsim.config.targets import build
from ampsim.recordings import Knobs, VirtualKnobs, circuits, pairs
from ampsim.recordings.knobs import difference
from ampsim.recordings.pairs import AudioPair, estimate_delay
from ampsim.recordings.splits import split
from ampsim.signals.audio import sha256

DIRECT = guitar(4 * RATE, seed=1)


def write(path: Path, *channels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.stack(channels, axis=1), RATE, "PCM_24")


def session(folder: Path, gains: dict[str, float], text: str) -> Path:
    """A sheet, the direct signal, and the amp at these gains by the names of their files."""
    write(folder / "direct.wav", DIRECT)
    for name, gain in gains.items():
        write(folder / name, amp(DIRECT, gain=gain))
    path = folder / "settings.csv"
    path.write_text(text)
    return path


THREE = "input,target,gain\ndirect.wav,takes/a.wav,1\ndirect.wav,takes/b.wav,4\ndirect.wav,takes/c.wav,9\n"
GAINS = {"takes/a.wav": 2.0, "takes/b.wav": 5.0, "takes/c.wav": 12.0}


def test_each_row_is_a_take_with_its_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = session(tmp_path / "there", GAINS, THREE)
    monkeypatch.chdir(tmp_path)  # files are named from where the sheet lies
    source = Knobs(path="there/settings.csv")
    takes = source.load()
    assert [(take.name, take.setting) for take in takes] == [
        ("takes/a.wav", (1,)),
        ("takes/b.wav", (4,)),
        ("takes/c.wav", (9,)),
    ]
    assert [control.name for control in source.known_controls] == ["gain"]
    for take, gain in zip(takes, GAINS.values(), strict=True):
        np.testing.assert_allclose(take.input, DIRECT, atol=1e-6)
        np.testing.assert_allclose(take.target, amp(DIRECT, gain=gain), atol=1e-6)
    files = [path.parent / name for name in ("direct.wav", "takes/a.wav", "settings.csv")]
    assert [record.sha256 for record in takes[0].files] == [sha256(file) for file in files]


def test_a_changed_setting_changes_what_a_run_remembers(tmp_path: Path):
    path = session(tmp_path, GAINS, THREE)
    before = [record.sha256 for take in Knobs(path=str(path)).load() for record in take.files]
    path.write_text(THREE.replace("b.wav,4", "b.wav,5"))
    after = [record.sha256 for take in Knobs(path=str(path)).load() for record in take.files]
    assert before != after


def test_every_recording_has_all_splits_or_is_held_out_whole(tmp_path: Path):
    source = Knobs(path=str(session(tmp_path, GAINS, THREE)))
    takes = source.load()
    splits = split(takes, source.splits, gap=10)
    for name, start, stop in (("train", 0, 0.8), ("validation", 0.8, 0.9), ("test", 0.9, 1)):
        assert [span.take.name for span in splits[name]] == list(GAINS)
        assert all(abs(span.start - start * 4 * RATE) <= 25 for span in splits[name])
        assert all(abs(span.stop - stop * 4 * RATE) <= 25 for span in splits[name])
    held = split(takes, {"train": 0.8, "validation": 0.2, "test": ["takes/b.wav"]}, gap=10)
    assert [(span.take.name, len(span)) for span in held["test"]] == [("takes/b.wav", 4 * RATE)]
    assert [span.take.name for span in held["train"]] == ["takes/a.wav", "takes/c.wav"]


def test_stereo_files_and_pieces_of_one_long_file(tmp_path: Path):
    loud = np.concatenate([amp(DIRECT, gain=2.0), amp(DIRECT, gain=9.0)])
    write(tmp_path / "long.wav", np.concatenate([DIRECT, DIRECT]), loud)
    path = tmp_path / "settings.csv"
    path.write_text("path,start,stop,gain\nlong.wav,,4,1\nlong.wav,0:04,,9\n")
    first, second = Knobs(path=str(path)).load()
    assert (first.name, second.name) == ("long.wav", "long.wav 0:04.0")
    np.testing.assert_allclose(first.target, loud[: 4 * RATE], atol=1e-6)
    np.testing.assert_allclose(second.target, loud[4 * RATE :], atol=1e-6)
    np.testing.assert_allclose(second.input, DIRECT, atol=1e-6)


def test_one_direct_signal_may_be_named_once(tmp_path: Path):
    text = "target,gain\ntakes/a.wav,1\ntakes/b.wav,4\n"
    path = session(tmp_path, GAINS, text)
    takes = Knobs(path=str(path), input=str(tmp_path / "direct.wav")).load()
    assert all(np.array_equal(take.input, takes[0].input) for take in takes)
    with pytest.raises(AmpsimError, match=r"row 2 names no direct signal: .*data\.input"):
        Knobs(path=str(path)).load()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("input,target,gain\ndirect.wav,takes/a.wav,1\ndirect.wav,takes/x.wav,4\n", r"row 3: .*x\.wav does not exist"),
        ("input,target,gain\ndirect.wav,takes/a.wav,1\ndirect.wav,settings.csv,4\n", "row 3: .*is not audio"),
        ("input,target,gain\ndirect.wav,takes/a.wav,1\ndirect.wav,takes/a.wav,4\n", "rows 2 and 3 name the same part"),
        ("path,gain\ndirect.wav,1\ntakes/a.wav,4\n", "row 2: .*has 1 channel"),
        (
            "input,target,stop,gain\ndirect.wav,takes/a.wav,3,1\ndirect.wav,takes/b.wav,0:05,4\n",
            "row 3: .* ends at 0:04.0, before start or stop",
        ),
        (
            "input,target,start,stop,gain\ndirect.wav,takes/a.wav,3,2,1\ndirect.wav,takes/b.wav,,,4\n",
            "row 2: it stops at 0:02.0, before it starts",
        ),
    ],
)
def test_files_that_do_not_fit_are_named_with_their_row(text: str, sentence: str, tmp_path: Path):
    path = session(tmp_path, GAINS, text)
    with pytest.raises(AmpsimError, match=sentence):
        Knobs(path=str(path)).load()


def test_all_files_together_may_be_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = session(tmp_path, GAINS, THREE)
    monkeypatch.setenv("AMPSIM_MEMORY_GB", "0.0003")  # one file of 32,000 samples takes 128 kB, four 512 kB
    with pytest.raises(AmpsimError, match=r"settings\.csv \(4 files\) would take"):
        Knobs(path=str(path)).load()


# ---- the same setting twice ----

TWICE = "input,target,gain\ndirect.wav,takes/a.wav,1\ndirect.wav,takes/b.wav,4\ndirect.wav,takes/c.wav,4\n"


def test_the_same_setting_with_another_sound_is_a_contradiction(tmp_path: Path):
    path = session(tmp_path, GAINS, TWICE)
    with pytest.raises(
        AmpsimError, match=r"rows 3 and 4 have one setting \(gain 4\) and sound different \(ESR .* take one out"
    ):
        Knobs(path=str(path)).load()
    notes = [take.notes for take in Knobs(path=str(path), checks="warn").load()]
    assert notes[:2] == [(), ()]
    assert "sound different" in notes[2][0]


def test_the_same_setting_with_the_same_sound_is_worth_a_note(tmp_path: Path):
    path = session(tmp_path, {**GAINS, "takes/c.wav": 5.0}, TWICE)
    assert "rows 3 and 4 have one setting (gain 4) and sound the same" in Knobs(path=str(path)).load()[2].notes[0]


def test_what_played_something_else_cannot_be_compared(tmp_path: Path):
    path = session(tmp_path, GAINS, TWICE.replace("direct.wav,takes/c", "other.wav,takes/c"))
    write(tmp_path / "other.wav", guitar(4 * RATE, seed=2))
    assert "cannot be compared" in Knobs(path=str(path)).load()[2].notes[0]


def take_of(target: np.ndarray) -> AudioPair:
    return AudioPair(DIRECT, target, RATE, "x")


def test_what_holds_nan_is_left_to_the_checks_to_say():
    broken = amp(DIRECT)
    broken[100] = np.nan
    assert difference(take_of(broken), take_of(amp(DIRECT))) is None


def test_noise_and_delay_are_no_difference_and_a_turned_knob_is():
    rests = DIRECT * (np.arange(len(DIRECT)) % RATE > RATE // 4)
    one = AudioPair(rests, amp(rests), RATE, "x")
    noisy = one.target + noise(len(rests), seed=5, level=0.1)
    late = np.concatenate([np.zeros(4, np.float32), one.target])[: len(rests)]
    apart = [difference(one, AudioPair(rests, target, RATE, "y")) for target in (one.target, noisy, late)]
    assert apart == pytest.approx([0, 0, 0], abs=0.01)
    assert float(np.mean((noisy - one.target) ** 2) / np.mean(one.target**2)) > 0.05  # which the noise alone would be
    turned = difference(one, AudioPair(rests, amp(rests, gain=3.0), RATE, "y"))
    assert turned == pytest.approx(
        float(np.mean((amp(rests, gain=3.0) - one.target) ** 2) / np.mean(one.target**2)), rel=0.05
    )


def test_two_long_takes_are_compared_in_the_memory_of_a_few():
    one, other = (AudioPair(input, input, RATE, "x") for input in [guitar(60 * RATE, seed=1)] * 2)
    tracemalloc.start()
    assert difference(one, other) == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 8 * len(one.input)  # 21 shifts, each in float64, took twice as much


# ---- the delay of many takes ----


def test_takes_of_one_amp_are_timed_roughly_but_for_three_and_those_decide(monkeypatch: pytest.MonkeyPatch):
    takes = made(count=6).load()
    assert [take.one_of_many for take in takes] == [False, True, False, True, True, False]
    asked = []

    def timing(signals: list[tuple[np.ndarray, np.ndarray]], rate: int, *, quick: bool = False) -> SimpleNamespace:
        number = next(index for index, take in enumerate(takes) if take.target is signals[0][1])
        asked.append((number, quick))
        clear = not (quick and number == 3)  # which is timed thoroughly then
        return SimpleNamespace(clear=clear, samples=[9, 4, 7, 5, 6, 8][number], inverted=False, confidence=50.0)

    monkeypatch.setattr(pairs, "timing", timing)
    assert estimate_delay(takes).samples == 7
    assert asked == [(0, False), (1, True), (2, False), (3, True), (3, False), (4, True), (5, False)]


# ---- the embedded amp ----


def made(**arguments: Any) -> VirtualKnobs:
    return VirtualKnobs(**{"duration_s": 1.0, "sample_rate": RATE, **arguments})


def test_the_embedded_amp_plays_each_setting():
    source = made(settings=[{"gain": 3, "bright": "off"}, {"bright": "on", "gain": 7}], fixed={"bass": 2}, shared=True)
    takes = source.load()
    assert [control.name for control in source.known_controls] == ["gain", "bright"]
    assert [(take.name, take.setting) for take in takes] == [
        ("gain=3 bright=off", (3, 0)),
        ("gain=7 bright=on", (7, 1)),
    ]
    for index, (take, gain, bright) in enumerate(zip(takes, (3, 7), ("off", "on"), strict=True)):
        controls = {"gain": gain, "bright": bright, "bass": 2}
        expected = circuits.amplify(take.input, RATE, controls, seed=index)
        np.testing.assert_array_equal(take.target, expected)
    assert np.array_equal(takes[0].input, takes[1].input)


def test_each_recording_plays_its_own_by_default_and_the_same_every_time():
    first, second = made(count=2).load()
    assert len(first.input) == len(second.input) == RATE
    assert not np.array_equal(first.input, second.input)
    for again, take in zip(made(count=2).load(), (first, second), strict=True):
        np.testing.assert_array_equal(again.target, take.target)


def test_unseen_settings_are_the_test_split_and_the_same_however_many_are_seen():
    source = made(count=4, unseen=3)
    takes = source.load()
    assert source.splits["test"] == [take.name for take in takes[4:]]
    assert len({take.name for take in takes}) == 7
    more = made(count=6, unseen=3, plan_seed=1).load()
    for one, other in zip(takes[4:], more[6:], strict=True):
        assert one.setting == other.setting
        np.testing.assert_array_equal(one.target, other.target)
    assert not set(made(count=4, unseen=3, seed=1).splits["test"]) & set(source.splits["test"])


def test_one_setting_alone_is_a_recording_without_controls():
    source = made(settings=[{}], fixed={"gain": 8}, unseen=1)
    one, other = source.load()
    assert (source.known_controls, one.setting, source.splits["test"]) == ((), (), ["virtual_amp (2)"])
    assert [take.name for take in (one, other)] == ["virtual_amp", "virtual_amp (2)"]
    np.testing.assert_array_equal(other.target, circuits.amplify(other.input, RATE, {"gain": 8}, seed=1_000_000))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"controls": {"gian": [0, 10]}}, "there is no control gian"),
        ({"controls": {"gain": [0, 20]}, "count": 2}, r"gain=20\.0: it is from 0 to 10"),
        ({"settings": [{"gain": 3}, {"treble": 4}]}, "there is no control treble"),
        ({"fixed": {"bass": 12}}, "bass=12: it is from 0 to 10"),
        ({"count": 1}, "count=1: it is from 2"),
        ({"duration_s": -1.0}, "data=virtual_knobs: duration_s is -1.0"),
        ({"duration_s": 1e9}, "would take"),
    ],
)
def test_what_the_embedded_amp_cannot_play_is_said(arguments: dict[str, Any], sentence: str):
    with pytest.raises(AmpsimError, match=sentence):
        made(**arguments).load()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"seed": -1}, "seed is a whole number from 0 on, not -1"),
        ({"plan_seed": -1}, "plan_seed is a whole number from 0 on, not -1"),
        ({"unseen": -3}, "unseen is a whole number from 0 to 1,000, not -3"),
        ({"unseen": 10**9}, "unseen is a whole number from 0 to 1,000"),
        ({"settings": []}, r"settings is a list of 1 to 1,000 settings, .*, and not \[\]"),
        ({"settings": "gain"}, "settings is a list of 1 to 1,000 settings"),
        ({"settings": {"gain": 3}}, "settings is a list of 1 to 1,000 settings"),
        ({"settings": [3]}, r"settings\[0\] holds values by the names of controls, .*, and not 3"),
        ({"settings": [{"gain": 3}, {5: 3}]}, r"settings\[1\] names a control 5"),
        (
            {"controls": ["gain"]},
            r"controls holds values by the names of controls, \{gain: \.\.\.\}, and not \['gain'\]",
        ),
        ({"controls": "gain"}, "controls holds values by the names of controls"),
        ({"controls": {True: [0, 1]}}, "controls names a control True, which is no text: put it in quotes"),
        ({"fixed": ["bass"]}, "fixed holds values by the names of controls"),
    ],
)
@pytest.mark.parametrize("unseen", [0, 2])
def test_what_says_no_settings_is_refused_before_anything_is_played(
    arguments: dict[str, Any], unseen: int, sentence: str
):
    with pytest.raises(AmpsimError, match=rf"data\.{sentence}"):
        build({"_target_": "ampsim.recordings.VirtualKnobs", "unseen": unseen, **arguments}, "data")


@pytest.mark.parametrize("controls", [["gain"], "gain", {5: [0, 1]}, {True: [0, 1]}])
def test_ranges_of_a_sheet_go_by_names(controls: Any, tmp_path: Path):
    path = session(tmp_path, GAINS, THREE)
    with pytest.raises(AmpsimError, match=r"data\.controls (holds values by the names of|names a control)"):
        build({"_target_": "ampsim.recordings.Knobs", "path": str(path), "controls": controls}, "data").load()


def test_a_duration_that_is_no_number_is_told():
    with pytest.raises(AmpsimError, match="data=virtual_knobs"):
        made(duration_s="long").load()


def test_a_notebook_loads_both_by_the_words_of_the_command(tmp_path: Path):
    recording = load(
        data="virtual_knobs", controls={"gain": [1, 9]}, count=2, duration_s=1.5, sample_rate=RATE, delay=4
    )
    assert (recording.controls[0].high, len(recording.takes)) == (9, 2)
    settings = [{"gain": 2, "bright": "off"}, {"gain": 8, "bright": "on"}]
    recording = load(data="virtual_knobs", settings=settings, duration_s=1.5, sample_rate=RATE, delay=4)
    assert [take.setting for take in recording.takes] == [(2, 0), (8, 1)]
    path = session(tmp_path, {}, "target,gain\na.wav,1\nb.wav,4\n")
    for name, gain in (("a.wav", 2.0), ("b.wav", 6.0)):
        write(tmp_path / name, amp(DIRECT, gain=gain)[: 3 * RATE // 2])
    write(tmp_path / "direct.wav", DIRECT[: 3 * RATE // 2])
    recording = load(settings=path, input=str(tmp_path / "direct.wav"), controls={"gain": [0, 5]}, delay=0)
    assert (recording.controls[0].high, [take.setting for take in recording.takes]) == (5, [(1,), (4,)])
    with pytest.raises(AmpsimError, match="settings= names a sheet"):
        load("x.wav", settings=path)


# ---- a real amp ----


def test_one_amp_at_six_gain_stages_is_read_from_a_sheet_beside_it(real_recordings: Path, tmp_path: Path):
    folder = real_recordings / "gain_stages"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: direct.flac, stage_1.flac to stage_6.flac")
    path = tmp_path / "stages.csv"
    rows = [f"{folder}/direct.flac,{folder}/stage_{stage}.flac,{stage}" for stage in range(1, 7)]
    path.write_text("\n".join(["input,target,stage [1..6]", *rows]))
    held = [f"{folder}/stage_{stage}.flac" for stage in (3, 5)]
    source = Knobs(path=str(path), splits={"train": 0.75, "validation": 0.25, "test": held})
    takes = source.load()
    assert [take.setting for take in takes] == [(stage,) for stage in range(1, 7)]
    splits = split(takes, source.splits, gap=8192)
    assert [span.take.setting for span in splits["test"]] == [(3,), (5,)]
    assert [span.take.setting for span in splits["train"]] == [(1,), (2,), (4,), (6,)]
    apart = [difference(takes[0], other) for other in takes]
    assert apart[0] == 0
    assert all(esr > 0.05 for esr in apart[1:])
