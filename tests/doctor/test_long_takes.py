"""Long takes are worked on block by block: what is found stays the same, and the memory that it takes does not grow."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import soxr
from damage import clipped, drifting, echoing, held, humming, turned_down, twice
from synthetic import amp, guitar, noise, rig

from ampsim.doctor import diagnosed, echoes
from ampsim.metrics import noise as noises
from ampsim.metrics import noise_floor
from ampsim.recordings import channels
from ampsim.recordings.pairs import AudioPair
from ampsim.signals import scratch
from ampsim.signals.alignment import rectified, resampled
from ampsim.signals.scratch import Scratch


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scratch, "BLOCK", 50_003)
    monkeypatch.setattr(scratch, "IN_MEMORY", 0)


def on_disk(take: AudioPair) -> AudioPair:
    made = Scratch(2, len(take.input))
    made.write(np.stack([take.input, take.target]))
    return replace(take, input=made.read()[0], target=made.read()[1])


RATE, AT = 44100, 150_100  # where the faults are; blocks of 50,003 samples end on both sides of it


def in_the_samples(take: AudioPair) -> AudioPair:
    direct = humming(clipped(take.input, 0.4), RATE, level_db=-50, mains_hz=60)
    return replace(take, input=direct, target=held(twice(take.target, AT, 512), AT + RATE, 400))


FAULTS = {
    "in the samples": in_the_samples,
    "drift and change": lambda take: replace(
        take, target=drifting(turned_down(take.target, len(take.target) // 2, -9.0), 60.0)
    ),
    "echo": lambda take: replace(take, target=echoing(take.target, round(0.38 * RATE), -14.0)),
    "NaN": lambda take: replace(take, input=held(take.input, AT, 3, value=np.nan)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_take_in_blocks_and_on_disk_is_found_as_at_once(name: str, request: pytest.FixtureRequest):
    take = FAULTS[name](rig("tube and cabinet", "notes", RATE))
    expected = diagnosed(take)
    request.getfixturevalue("small_blocks")
    found = diagnosed(on_disk(take))
    assert [each.sentence for each in found.findings] == [each.sentence for each in expected.findings]
    for here, there in zip(found.findings, expected.findings, strict=True):
        assert here.values == pytest.approx(there.values, rel=1e-3, abs=1e-3, nan_ok=True)


@pytest.mark.parametrize("sample_rate", [8000, 8010])
def test_jumps_are_the_same_in_blocks_as_at_once(sample_rate: int, monkeypatch: pytest.MonkeyPatch):
    """8010: where the windows that are compared do not fill a predictor's chunk evenly."""
    direct = guitar(25 * sample_rate, sample_rate=sample_rate)
    target = amp(direct) + noise(len(direct), level=1e-4)
    both = (held(x, 100_000, 10, value=0.3) for x in (direct, target))
    take = AudioPair(*both, sample_rate, "take")
    monkeypatch.setattr(channels, "SPLICE", 2.0)
    (at_once,) = channels.jumping(take, 80)
    assert at_once[1].any()
    monkeypatch.setattr(scratch, "BLOCK", 30_000)
    starts, *blocks = zip(*channels.jumping(take, 80), strict=True)
    assert len(starts) > 2
    for found, expected in zip(blocks, at_once[1:], strict=True):
        np.testing.assert_array_equal(np.concatenate(found), expected)


@pytest.mark.usefixtures("small_blocks")
def test_the_absolute_value_and_the_rate_of_long_signals():
    signal = guitar(3 * RATE, sample_rate=RATE)
    np.testing.assert_allclose(rectified(signal), np.abs(signal) - np.abs(signal).mean(), atol=1e-7)
    at_once = soxr.resample(signal, RATE * (1 + 60e-6), RATE, quality="VHQ")
    np.testing.assert_allclose(resampled(signal, 60.0, RATE)[: len(at_once)], at_once[: len(signal)], atol=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_runs_that_cross_blocks_are_whole(seed: int, monkeypatch: pytest.MonkeyPatch):
    random = np.random.default_rng(seed)
    mask = random.random(500) < random.choice([0.1, 0.5, 0.9, 1.0])
    monkeypatch.setattr(scratch, "BLOCK", int(random.integers(1, 60)))
    for shortest in (1, 2, 7):
        expected = channels.runs(mask, shortest)
        found = channels.found_runs(mask.astype(np.float32), lambda x: x > 0, shortest)
        assert [each.tolist() for each in found] == [each.tolist() for each in expected]
    held = channels.runs(mask[1:] == mask[:-1], 3)
    found = channels.found_runs(mask.astype(np.float32), lambda x: x[1:] == x[:-1], 3, more=1)
    assert [each.tolist() for each in found] == [each.tolist() for each in held]


def test_noise_of_a_long_take_is_heard_where_it_plays_twice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(noises, "PASSAGES_S", 8.0)
    once = guitar(8000 * 2, sample_rate=8000)
    direct = np.concatenate([guitar(8000 * 15, sample_rate=8000, seed=1), once, once])
    target = amp(direct) + noise(len(direct), seed=3, level=1e-3)
    found = noise_floor([(direct, target)], 8000)
    assert found.source == "repeats"
    assert found.low < 1e-6 < found.high < 1.3e-6


def test_memory_does_not_grow_with_the_take(small_blocks: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(echoes, "PIECE_S", 5.0)
    monkeypatch.setattr(noises, "PASSAGES_S", 10.0)
    peaks = []
    for copies in (1, 3):
        direct = np.tile(guitar(20 * 8000), copies) + noise(copies * 20 * 8000, level=1e-4)
        take = on_disk(AudioPair(direct, amp(direct) + noise(len(direct), seed=1, level=1e-4), 8000, "take"))
        del direct
        tracemalloc.start()
        diagnosed(take)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    more = 2 * 20 * 8000 * 4  # bytes of one channel
    assert peaks[1] - peaks[0] < more
