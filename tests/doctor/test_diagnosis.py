"""No false alarm on sound takes of many rigs, each planted fault found on several of them, and an answer for any take."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import soxr
from damage import clipped, drifting, echoing, gated, held, humming, reverberant, turned_down, twice, without
from synthetic import RIGS, noise, rig

from ampsim.doctor import diagnosed
from ampsim.recordings.pairs import AudioPair
from ampsim.recordings.preparing import quick

SOUND = [
    ("clean", "chords", 48000),
    ("clean", "notes", 44100),
    ("clean", "bass", 96000),
    ("tube", "chords", 44100),
    ("tube", "notes", 48000),
    ("tube", "mutes", 48000),
    ("tube and cabinet", "chords", 48000),
    ("tube and cabinet", "mutes", 44100),
    ("tube and cabinet", "bass", 44100),
    ("high gain", "chords", 48000),
    ("high gain", "notes", 44100),
    ("high gain", "mutes", 96000),
    ("high gain", "bass", 48000),
    ("fuzz", "notes", 48000),
    ("fuzz", "mutes", 44100),
    ("compressor", "chords", 44100),
    ("compressor", "bass", 48000),
    ("tremolo", "chords", 48000),
    ("tremolo", "notes", 44100),
    ("octave fuzz", "bass", 44100),
    ("octave fuzz", "notes", 48000),
    ("chorus", "notes", 44100),
]


def faults(take: AudioPair) -> dict[str, str]:
    """Errors and warnings of a take: their sentences by topic."""
    return {each.topic: each.sentence for each in diagnosed(take).findings if each.severity in ("error", "warning")}


@pytest.mark.parametrize(("amp", "kind", "rate"), SOUND)
def test_a_sound_take_has_no_fault(amp: str, kind: str, rate: int):
    assert faults(rig(amp, kind, rate)) == {}


@pytest.mark.parametrize("kind", ["chords", "notes", "mutes", "bass"])
@pytest.mark.parametrize("amp", RIGS)
def test_no_amp_makes_samples_missing_or_clocks_differ(amp: str, kind: str):
    topics = {each.topic for each in quick(rig(amp, kind, 44100))[0] if each.severity in ("error", "warning")}
    assert not topics & {"missing", "drift", "rate", "dropout_target", "clipping"}


def damage(
    side: str, change: Callable[..., np.ndarray], *words: float, **options: float
) -> Callable[[AudioPair], AudioPair]:
    return lambda take: replace(take, **{side: change(getattr(take, side), *words, **options)})


def loud(take: AudioPair, start_s: float = 3.0) -> int:
    start = round(start_s * take.sample_rate)
    return start + int(np.argmax(np.abs(take.target[start : start + take.sample_rate]))) + 50


def at_other_rate(take: AudioPair, recorded: float, stated: float) -> AudioPair:
    target = soxr.resample(take.target, stated, recorded)[: len(take.input)]
    return replace(take, input=take.input[: len(target)], target=target)


FAULTS: dict[str, tuple[str, Callable[[AudioPair], AudioPair]]] = {
    "clipped": ("clipping", lambda take: replace(take, target=np.clip(3 * take.target, -1, 1))),
    "clipped and turned down": ("clipping", damage("target", clipped, 0.5)),
    "direct clipped": ("clipping", damage("input", clipped, 0.4)),
    "dropout": ("dropout_target", lambda take: replace(take, target=held(take.target, loud(take), 400))),
    "direct drops out": ("dropout_input", lambda take: replace(take, input=held(take.input, loud(take), 400))),
    "a block twice": ("repeat_target", lambda take: replace(take, target=twice(take.target, loud(take), 512))),
    "direct has a block twice": ("repeat_input", lambda take: replace(take, input=twice(take.input, loud(take), 256))),
    "amp lost 5 ms": ("missing", lambda take: replace(take, target=without(take.target, loud(take), 240))),
    "direct lost 20 ms": ("missing", lambda take: replace(take, input=without(take.input, loud(take), 960))),
    "drift": ("drift", damage("target", drifting, 60.0)),
    "drift of the direct signal": ("drift", damage("input", drifting, 80.0)),
    "offset": ("dc", lambda take: replace(take, target=take.target + np.float32(0.02))),
    "offset of the direct signal": ("dc", lambda take: replace(take, input=take.input - np.float32(0.03))),
    "hum": ("hum_target", damage("target", humming, 48000, level_db=-45, mains_hz=50)),
    "direct hums": ("hum_input", damage("input", humming, 48000, level_db=-50, mains_hz=60)),
    "noise": ("noise", lambda take: replace(take, target=take.target + noise(len(take.target), level=0.05, seed=5))),
    "gate": (
        "gate",
        lambda take: replace(take, target=gated(take.target, take.input, take.sample_rate, threshold_db=-35)),
    ),
    "turned down": ("change", lambda take: replace(take, target=turned_down(take.target, len(take.target) // 2, -9.0))),
    "slapback": ("echo", damage("target", echoing, round(0.12 * 48000), -9.0)),
    "delay of 380 ms": ("echo", damage("target", echoing, round(0.38 * 48000), -14.0)),
    "delay of 700 ms": ("echo", damage("target", echoing, round(0.7 * 48000), -14.0)),
    "reverb": ("reverb", damage("target", reverberant, 48000, rt60_s=1.5, level_db=-8.0)),
    "amp recorded at 44.1 kHz": ("rate", lambda take: at_other_rate(take, 44100, 48000)),
    "direct recorded at 44.1 kHz": ("rate", lambda take: at_other_rate(take, 48000, 44100)),
    "film's speed": ("rate", lambda take: at_other_rate(take, 25, 24)),
    "silent": ("silence", lambda take: replace(take, target=np.zeros_like(take.target))),
    "NaN": ("finite", damage("input", held, 1000, 3, value=np.nan)),
    "one signal twice": ("same", lambda take: replace(take, target=take.input)),
    "strangers": (
        "delay",
        lambda take: replace(
            take, target=rig("tube", "bass", 48000, seed=9, duration_s=len(take.target) / 48000).target
        ),
    ),
}
TAKES = [("tube and cabinet", "notes"), ("high gain", "mutes"), ("fuzz", "chords")]


# A take for each fault, and the others where there is time.
PLANTED = [
    pytest.param(name, *take, marks=[pytest.mark.slow] if (number + other) % 3 else [])
    for number, name in enumerate(FAULTS)
    for other, take in enumerate(TAKES)
]


@pytest.mark.parametrize(("name", "amp", "kind"), PLANTED)
def test_a_planted_fault_is_found(name: str, amp: str, kind: str):
    topic, plant = FAULTS[name]
    assert topic in faults(plant(rig(amp, kind, 48000, duration_s=14.0)))


@pytest.mark.parametrize("name", ["swapped, high gain", "swapped, fuzz"])
def test_swapped_channels_are_found(name: str):
    take = rig(name.partition(", ")[2], "chords", 44100)
    assert "swap" in faults(replace(take, input=take.target, target=take.input))


@pytest.mark.parametrize("size", [0, 1, 10, 500, 2000, 40_000])
@pytest.mark.parametrize("kind", ["silence", "offset", "impulse", "noise", "sine"])
def test_any_take_gets_an_answer(kind: str, size: int):
    direct = {
        "silence": np.zeros(size, np.float32),
        "offset": np.full(size, 0.25, np.float32),
        "impulse": (np.arange(size) == size // 2).astype(np.float32),
        "noise": noise(size),
        "sine": np.sin(np.arange(size, dtype=np.float32) / 20),
    }[kind]
    for target in (0.5 * np.tanh(3 * direct), np.zeros_like(direct), noise(size, seed=1)):
        found = diagnosed(AudioPair(direct, target, 8000, "tiny.wav"))
        assert found.findings
        assert found.count("error") or kind in ("noise", "offset", "sine", "impulse")


def test_without_rests_the_doctor_says_what_it_cannot_tell():
    take = rig("tube", "notes", 44100, rest_s=0.0)
    steady = replace(take, input=take.input[44100 // 5 :], target=take.target[44100 // 5 :])
    found = {each.topic: each for each in diagnosed(steady).findings}
    assert "cannot be told" in found["hum_target"].text
    assert "cannot be told" in found["hum_input"].text
    assert found["hum_target"].severity == found["noise"].severity == "note"
    assert {found[topic].severity for topic in ("rests", "drift", "delay")} <= {"note", "ok"}


def test_a_delay_that_wanders_leaves_open_whether_samples_are_missing():
    found = {each.topic: each for each in diagnosed(rig("rectifier", "notes", 44100)).findings}
    assert found["drift"].severity == "note"
    assert "cannot be told" in found["gaps"].text


@pytest.mark.parametrize(
    ("recorded", "stated", "sentence"),
    [
        (48000, 44100, "the direct signal was recorded at 44,100 Hz, and its file says 48,000 Hz"),
        (44100, 48000, "the amp's signal was recorded at 44,100 Hz, and its file says 48,000 Hz"),
        (96000, 48000, "the amp's signal was recorded at 96,000 Hz, and its file says 48,000 Hz"),
        (1000, 1001, "as 1,000 is to 1,001"),
    ],
)
def test_a_rate_that_is_mislabelled_is_named(recorded: int, stated: int, sentence: str):
    (found,) = [
        each
        for each in quick(at_other_rate(rig("tube and cabinet", "notes", 48000), recorded, stated))[0]
        if each.severity == "error"
    ]
    assert sentence in found.text
    assert found.values["ratio"] == pytest.approx(recorded / stated)
