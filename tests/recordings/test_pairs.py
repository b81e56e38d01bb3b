"""Loading, alignment and splits of recordings whose delays were put there by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from synthetic import MARGIN, RATE, amp, filtered_noise, guitar, noise, pair, shifted, write_pcm

from ampsim import AmpsimError, counted
from ampsim.doctor import diagnosed, loaded
from ampsim.recordings.pairs import AudioPair, Span, aligned, estimate_delay
from ampsim.recordings.preparing import checked, prepare
from ampsim.recordings.sources import Pair, Source, Stereo, VirtualAmp
from ampsim.recordings.splits import split
from ampsim.signals import audio

# ---- loading ----


def test_stereo_takes_left_as_direct_and_right_as_amp(tmp_path: Path):
    direct = guitar(RATE)
    path = write_pcm(tmp_path / "mein Verstärker 🎸.wav", [direct, amp(direct)], 44100)
    (take,) = Stereo(path=str(path)).load()
    assert (take.name, take.sample_rate, take.duration_s) == ("mein Verstärker 🎸.wav", 44100, RATE / 44100)
    np.testing.assert_allclose(take.input, direct, atol=2**-15)
    np.testing.assert_allclose(take.target, amp(direct), atol=2**-15)
    assert [(file.path, file.duration_s, file.sha256) for file in take.files] == [
        (str(path), RATE / 44100, audio.sha256(path))
    ]


class Made(Source):
    """A source of someone's own, which returns what it is given."""

    def __init__(self, takes: Any) -> None:
        super().__init__()
        object.__setattr__(self, "takes", takes)

    def load(self) -> Any:
        return self.takes


@pytest.mark.parametrize(
    ("takes", "what"),
    [
        (None, "returned NoneType"),
        ([], "returned list of nothing"),
        ([(noise(9, seed=1), noise(9, seed=2))], "returned list of tuple"),
        (pair(0.1), "returned AudioPair"),
    ],
    ids=["none", "empty", "arrays", "no_list"],
)
def test_a_source_that_returns_no_takes_is_told(takes: Any, what: str):
    with pytest.raises(AmpsimError, match=rf"\.Made: load\(\) {what}.*has to return a list of AudioPair"):
        prepare(Made(takes))


def test_a_take_of_lists_or_in_another_precision_is_taken():
    signal = noise(50, seed=1)
    take = AudioPair(signal.astype(np.float64), signal.tolist(), 44100, "mine")  # type: ignore[arg-type]
    for side in (take.input, take.target):
        assert side.dtype == np.float32
        assert_array_equal(side, signal)


@pytest.mark.parametrize(
    ("signal", "rate", "sentence"),
    [
        (np.zeros((9, 1)), 44100, r"mine: the target of a take has shape \(9, 1\), not \(num_samples,\)"),
        ("amp.wav", 44100, "mine: the target of a take is a signal"),
        (np.zeros(9), 44100.0, r"mine: sample_rate=44100\.0 is no whole number of hertz"),
        (np.zeros(9), 0, "sample_rate=0 is no whole"),
    ],
)
def test_a_take_that_is_none_is_told(signal: Any, rate: Any, sentence: str):
    with pytest.raises(AmpsimError, match=sentence):
        AudioPair(np.zeros(9, np.float32), signal, rate, "mine")


def test_stereo_channels_can_be_exchanged(tmp_path: Path):
    path = write_pcm(tmp_path / "x.wav", [noise(100, seed=1), noise(100, seed=2), noise(100, seed=3)])
    (take,) = Stereo(path=str(path), input_channel=2, target_channel=0).load()
    np.testing.assert_allclose(take.input, noise(100, seed=3), atol=2**-15)
    np.testing.assert_allclose(take.target, noise(100, seed=1), atol=2**-15)


def test_stereo_of_several_takes_keeps_their_order(tmp_path: Path):
    paths = [write_pcm(tmp_path / f"{name}.wav", [noise(100), noise(100)]) for name in ("b", "a")]
    assert [take.name for take in Stereo(path=[str(path) for path in paths]).load()] == ["b.wav", "a.wav"]


def test_stereo_refuses_a_mono_file_and_a_missing_channel(tmp_path: Path):
    mono = write_pcm(tmp_path / "mono.wav", [noise(100)])
    stereo = write_pcm(tmp_path / "stereo.wav", [noise(100), noise(100)])
    with pytest.raises(AmpsimError, match=r"mono\.wav has 1 channel; .*data=pair"):
        Stereo(path=str(mono)).load()
    with pytest.raises(AmpsimError, match=r"stereo\.wav has 2 channels, counted from 0: there is no channel 5"):
        Stereo(path=str(stereo), target_channel=5).load()


def test_pair_takes_two_mono_files(tmp_path: Path):
    direct, loud = (
        write_pcm(tmp_path / f"{name}.wav", [noise(100, seed=seed)]) for seed, name in enumerate(["di", "amp"])
    )
    (take,) = Pair(input=str(direct), target=str(loud)).load()
    assert take.name == "di.wav"
    np.testing.assert_allclose(take.input, noise(100, seed=0), atol=2**-15)
    np.testing.assert_allclose(take.target, noise(100, seed=1), atol=2**-15)
    assert [Path(file.path).name for file in take.files] == ["di.wav", "amp.wav"]


def test_pair_refuses_other_rates_lengths_and_channels(tmp_path: Path):
    mono = write_pcm(tmp_path / "mono.wav", [noise(RATE)])
    fast = write_pcm(tmp_path / "fast.wav", [noise(RATE)], 44100)
    stereo = write_pcm(tmp_path / "stereo.wav", [noise(RATE), noise(RATE, seed=1)])
    with pytest.raises(
        AmpsimError,
        match=r"mono\.wav has 8,000 Hz and .*fast\.wav has 44,100 Hz, but they hold as many samples.* 5\.5125 times",
    ):
        Pair(input=str(mono), target=str(fast)).load()
    same = write_pcm(tmp_path / "the same.wav", [noise(RATE * 44100 // 8000)], 44100)
    with pytest.raises(
        AmpsimError, match=r"has 44,100 Hz: export both .* with `sox '.*the same\.wav' -r 8000 '.*-8000\.wav'`"
    ):
        Pair(input=str(mono), target=str(same)).load()
    with pytest.raises(AmpsimError, match=r"stereo\.wav has 2 channels, which differ.*export it as mono.*data=stereo"):
        Pair(input=str(mono), target=str(stereo)).load()
    with pytest.raises(AmpsimError, match=r"data\.input names 1 file and data\.target 2"):
        Pair(input=str(mono), target=[str(mono), str(mono)]).load()
    with pytest.raises(AmpsimError, match=r"data\.input names no file"):
        Pair(input=[], target=[]).load()


@pytest.mark.parametrize("more", [2, -3, RATE])
def test_files_that_end_a_little_apart_are_taken_as_far_as_both_go(tmp_path: Path, more: int):
    direct = write_pcm(tmp_path / "di.wav", [noise(2 * RATE)])
    amp = write_pcm(tmp_path / "amp.wav", [noise(2 * RATE + more, seed=1)])
    (take,) = Pair(input=str(direct), target=str(amp)).load()
    assert len(take.input) == len(take.target) == 2 * RATE + min(more, 0)
    np.testing.assert_allclose(take.input, noise(2 * RATE)[: len(take.input)], atol=2**-15)
    names = ("amp.wav", "di.wav") if more > 0 else ("di.wav", "amp.wav")
    (note,) = take.notes
    assert f"{names[0]} is longer than " in note
    assert f"{names[1]} by {abs(more):,} samples" in note
    told: list[str] = []
    checked(
        [replace(take, input=guitar(2 * RATE), target=np.tanh(6 * guitar(2 * RATE)))],
        Pair(input=str(direct), target=str(amp)),
        notice=told.append,
    )
    assert note in told


def test_files_that_end_far_apart_are_refused_unless_checks_only_warn(tmp_path: Path):
    direct = write_pcm(tmp_path / "di.wav", [noise(3 * RATE)])
    amp = write_pcm(tmp_path / "amp.wav", [noise(4 * RATE + 1)])
    with pytest.raises(AmpsimError, match=r"by 8,001 samples.*end at 0:04\.0 and 0:03\.0.*data\.checks=warn"):
        Pair(input=str(direct), target=str(amp)).load()
    (take,) = Pair(input=str(direct), target=str(amp), checks="warn").load()
    assert len(take.input) == len(take.target) == 3 * RATE


def dithered(samples: np.ndarray, seed: int) -> np.ndarray:
    return samples + np.random.default_rng(seed).triangular(-1, 0, 1, len(samples)) * 2**-15


@pytest.mark.parametrize(
    ("other", "note"),
    [
        (lambda samples: samples, "hold the same"),
        (lambda samples: dithered(samples, 1), "hold the same"),
        (np.zeros_like, "of which only 0 has sound"),
    ],
)
def test_a_file_of_one_signal_in_two_channels_is_mono(tmp_path: Path, other, note: str):
    samples, mono = guitar(RATE), write_pcm(tmp_path / "mono.wav", [noise(RATE)])
    double = write_pcm(tmp_path / "double.wav", [samples, other(samples)])
    for words in ({"input": double, "target": mono}, {"input": mono, "target": double}):
        (take,) = Pair(**{side: str(path) for side, path in words.items()}).load()
        found = take.input if words["input"] == double else take.target
        np.testing.assert_allclose(found, samples, atol=2**-15)
        assert [note in each for each in take.notes] == [True]
    (take,) = Pair(input=str(double), target=str(double)).load()
    assert len(take.notes) == 2


def test_the_channel_that_has_sound_is_taken_though_it_is_the_second(tmp_path: Path):
    samples = guitar(RATE)
    path = write_pcm(tmp_path / "right.wav", [np.zeros_like(samples), samples])
    (take,) = Pair(input=str(path), target=str(write_pcm(tmp_path / "amp.wav", [noise(RATE)]))).load()
    np.testing.assert_allclose(take.input, samples, atol=2**-15)


def test_channels_that_differ_by_more_than_dither_are_not_one_signal(tmp_path: Path):
    samples = guitar(RATE)
    mono = write_pcm(tmp_path / "mono.wav", [noise(RATE)])
    for number, other in enumerate((0.9 * samples, np.roll(samples, 1), samples + noise(RATE, level=0.003))):
        path = write_pcm(tmp_path / f"{number}.wav", [samples, other])
        with pytest.raises(AmpsimError, match="which differ"):
            Pair(input=str(path), target=str(mono)).load()


def test_a_stereo_recording_of_one_signal_is_told_whether_dithered_or_not(tmp_path: Path):
    samples = guitar(3 * RATE)
    for number, other in enumerate((samples, dithered(samples, 1))):
        source = Stereo(path=str(write_pcm(tmp_path / f"{number}.wav", [samples, other])))
        with pytest.raises(AmpsimError, match=r"direct and amp are the same signal.*data=pair"):
            checked(source.load(), source, notice=print)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"delay": 3.5}, r"data\.delay is \"auto\" or a whole number of samples, not 3\.5"),
        ({"delay": "automatic"}, r"data\.delay"),
        ({"delay": True}, r"data\.delay"),
        ({"drift": "mend"}, r"data\.drift is \"ignore\" or \"correct\", not 'mend'"),
        ({"checks": "loose"}, r"data\.checks is \"strict\" or \"warn\", not 'loose'"),
        ({"splits": {"train": 0.8, "test": 0.2}}, r"data\.splits names train, validation, test"),
        ({"splits": {"train": 0.8, "validation": 0.1, "test": 0.1, "dev": 0.1}}, r"data\.splits"),
    ],
)
def test_a_source_refuses_settings_that_it_does_not_know(arguments: dict, complaint: str):
    with pytest.raises(ValueError, match=complaint):
        Stereo(path="x.wav", **arguments)


def test_the_virtual_amp_is_a_take_like_any_other():
    (take,) = VirtualAmp(duration_s=2.0, sample_rate=22050, seed=5).load()
    assert (take.sample_rate, take.duration_s, len(take.target)) == (22050, 2.0, 44100)
    with pytest.raises(TypeError, match="drive"):
        VirtualAmp(drive=3.0)


# ---- alignment ----


@pytest.mark.parametrize("delay", range(-40, 41))
def test_delay_is_found_to_the_sample(delay: int):
    num_samples = 2 * RATE
    played = filtered_noise(num_samples + 200, seed=abs(delay) + 1)
    take = AudioPair(
        shifted(played, 0, num_samples), shifted(amp(played, gain=20), delay, num_samples), RATE, "take.wav"
    )
    assert take.timing.delay == pytest.approx(delay, abs=0.05)
    found = estimate_delay([take])
    assert (found.samples, found.inverted, found.estimated) == (delay - MARGIN, False, True)


@pytest.mark.parametrize("delay", [-40, -9, 0, 1, 37])
@pytest.mark.parametrize("sign", [1, -1])
def test_delay_of_a_guitar_through_an_amp_that_may_invert(delay: int, sign: int):
    num_samples = 3 * RATE
    played = guitar(num_samples + 200, seed=7)
    room = noise(num_samples, seed=8, level=1e-3)
    late = shifted(sign * amp(played, gain=12), delay, num_samples) + room
    found = estimate_delay([AudioPair(shifted(played, 0, num_samples), late, RATE, "take.wav")])
    assert (found.samples, found.inverted) == (delay - MARGIN, sign < 0)


def test_one_delay_is_found_for_takes_of_several_blocks():
    played = filtered_noise(200_200, seed=1)
    takes = [
        AudioPair(
            shifted(played, 0, length, margin=100 + first),
            shifted(amp(played), 23, length, margin=100 + first),
            RATE,
            "",
        )
        for first, length in [(0, 100_000), (100_000, 50_000), (150_000, 300)]
    ]
    assert estimate_delay(takes).samples == 23 - MARGIN


@pytest.mark.parametrize("delay", [0, 3, -3])
def test_aligned_puts_sample_beside_sample_and_cuts_the_ends(delay: int):
    ramp = np.arange(100, dtype=np.float32)
    take = AudioPair(ramp, ramp - delay, RATE, "ramp")  # target[k] is input[k - delay]
    found = aligned(take, delay)
    assert_array_equal(found.input, found.target)
    assert len(found.input) == 100 - abs(delay)


def test_a_delay_longer_than_the_take_is_refused():
    with pytest.raises(AmpsimError, match=r"data\.delay=16000 is longer than take\.wav \(16,000 samples\)"):
        aligned(pair(), 16000)


# ---- spans ----


def test_the_input_of_a_span_reaches_into_the_take_and_is_zero_beyond_it():
    ramp = np.arange(1, 101, dtype=np.float32)
    take = AudioPair(ramp, -ramp, RATE, "ramp")
    assert_array_equal(Span(take, 10, 20).input(history=3, lookahead=2), np.arange(8, 23))
    assert_array_equal(Span(take, 0, 5).input(history=3, lookahead=0), [0, 0, 0, 1, 2, 3, 4, 5])
    assert_array_equal(Span(take, 97, 100).input(history=1, lookahead=4), [97, 98, 99, 100, 0, 0, 0, 0])
    assert_array_equal(Span(take, 0, 100).input(history=200, lookahead=150)[200:300], ramp)
    assert_array_equal(Span(take, 10, 12).target, [-11, -12])
    assert_array_equal(Span(take, 10, 12).direct, [11, 12])


# ---- splits ----

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def ramp_take(num_samples: int, name: str = "take.wav") -> AudioPair:
    ramp = np.arange(num_samples, dtype=np.float32)
    return AudioPair(ramp, ramp, 1000, name)


def edges(spans: dict[str, list[Span]]) -> dict[str, list[tuple[str, int, int]]]:
    return {name: [(span.take.name, span.start, span.stop) for span in chosen] for name, chosen in spans.items()}


def test_shares_are_laid_out_in_time_with_the_gap_taken_from_what_comes_before():
    found = edges(split([ramp_take(10_000)], SHARES, gap=100))
    assert found == {
        "test": [("take.wav", 9000, 10_000)],
        "validation": [("take.wav", 7900, 8900)],
        "train": [("take.wav", 0, 7800)],
    }


def test_times_in_seconds():
    found = edges(split([ramp_take(10_000)], {"train": "5 s", "validation": "1.5s", "test": " 2 s "}, gap=50))
    assert found == {
        "test": [("take.wav", 8000, 10_000)],
        "validation": [("take.wav", 6450, 7950)],
        "train": [("take.wav", 0, 5000)],
    }


def test_splits_by_take():
    takes = [ramp_take(5000, name) for name in ("verse.wav", "chorus.wav", "solo.wav")]
    found = edges(split(takes, {"train": ["solo.wav", "verse.wav"], "validation": 0.5, "test": 0.4}, gap=100))
    assert found["train"] == [("solo.wav", 0, 5000), ("verse.wav", 0, 5000)]
    assert found["test"] == [("chorus.wav", 3000, 5000)]
    assert found["validation"] == [("chorus.wav", 400, 2900)]


def test_shares_run_through_several_takes_as_one_timeline():
    takes = [ramp_take(1000, "a"), ramp_take(1000, "b"), ramp_take(2000, "c")]
    found = edges(split(takes, {"train": 0.4, "validation": 0.25, "test": 0.25}, gap=100))
    assert found == {
        "train": [("a", 0, 1000), ("b", 0, 600)],
        "validation": [("b", 900, 1000), ("c", 0, 900)],
        "test": [("c", 1000, 2000)],
    }


@pytest.mark.parametrize(("history", "lookahead"), [(31, 0), (20, 11), (0, 31), (0, 0)])
def test_no_sample_of_one_split_reaches_the_next(history: int, lookahead: int):
    receptive_field = history + 1 + lookahead
    spans = split([ramp_take(2000)], SHARES, gap=receptive_field)
    touched = {
        name: {
            int(sample)
            for span in chosen
            for sample in span.input(history=history, lookahead=lookahead)[
                max(history - span.start, 0) : history + 2000 - span.start
            ]
        }
        for name, chosen in spans.items()
    }
    heard = {name: {int(sample) for span in chosen for sample in span.target} for name, chosen in spans.items()}
    for first, second in [("train", "validation"), ("validation", "test"), ("train", "test")]:
        assert touched[first].isdisjoint(touched[second])
        assert heard[first].isdisjoint(touched[second])
        assert touched[first].isdisjoint(heard[second])
    # To the sample: the gap is one receptive field and no more.
    assert spans["validation"][0].start - spans["train"][0].stop == receptive_field
    assert spans["test"][0].start - spans["validation"][0].stop == receptive_field


def test_training_alone_by_share_uses_the_rest_whole():
    takes = [ramp_take(1000, "a"), ramp_take(500, "b"), ramp_take(500, "c")]
    found = edges(split(takes, {"train": 1.0, "validation": ["b"], "test": ["c"]}, gap=100))
    assert found["train"] == [("a", 0, 1000)]


def test_a_recording_shorter_than_the_models_memory_is_refused():
    with pytest.raises(AmpsimError, match=r"too short: test would hold 1\.0 s .*memory of 1,500 samples") as caught:
        split([ramp_take(10_000)], {"train": 0.5, "validation": 0.2, "test": 0.1}, gap=1500)
    assert "data.splits.test" in str(caught.value)
    with pytest.raises(AmpsimError, match=r"too short: train would hold 0\.0 s"):
        split([ramp_take(10_000)], {"train": 0.2, "validation": 0.4, "test": 0.4}, gap=1000)


@pytest.mark.parametrize(
    ("splits", "complaint"),
    [
        ({"train": 0.9, "validation": 0.5, "test": 0.5}, r"asks for .*; the recording has 10\.0 s"),
        ({"train": "8 s", "validation": "2 s", "test": "1 s"}, r"asks for train 8\.0 s"),
        (
            {"train": 0.8, "validation": 0.1, "test": ["solo.wav"]},
            r"splits\.test names solo\.wav; the takes are take\.wav",
        ),
        ({"train": 0.8, "validation": 0.1, "test": ["take.wav"]}, r"leaves no take for train, validation"),
        ({"train": 0.8, "validation": 0.1, "test": 1.5}, r"splits\.test is a share"),
        ({"train": 0.8, "validation": 0.1, "test": 0}, r"splits\.test is a share"),
        ({"train": 0.8, "validation": 0.1, "test": -0.1}, r"splits\.test is a share"),
        ({"train": 0.8, "validation": 0.1, "test": True}, r"splits\.test is a share"),
        ({"train": 0.8, "validation": "ten s", "test": 0.1}, r"splits\.validation is a share"),
        ({"train": 0.8, "validation": "10", "test": 0.1}, r"splits\.validation is a share"),
        ({"train": 0.8, "validation": "10 seconds", "test": 0.1}, r"splits\.validation is a share"),
        ({"train": 0.8, "validation": None, "test": 0.1}, r"splits\.validation is a share"),
    ],
)
def test_splits_that_cannot_be_are_refused(splits: dict, complaint: str):
    with pytest.raises(AmpsimError, match=complaint):
        split([ramp_take(10_000)], splits, gap=10)


@pytest.mark.parametrize("name", ["a,b.wav", " a.wav", "a, b.wav", " a , b.wav ", "a,b,c.wav"])
def test_a_split_names_a_take_as_a_commands_grammar_gives_it(name: str):
    """It divides at commas and takes spaces off."""
    takes = [ramp_take(5000, each) for each in ("z.wav", name, "y.wav")]
    read = [piece.strip() for piece in f"{name},y.wav".split(",")]
    for test in (read, [name, "y.wav"]):
        found = edges(split(takes, {"train": 0.5, "validation": 0.3, "test": test}, gap=10))
        assert found["test"] == [(name, 0, 5000), ("y.wav", 0, 5000)]


def test_names_that_differ_in_a_space_alone_stay_apart():
    takes = [ramp_take(5000, each) for each in ("a.wav", " a.wav", "z.wav")]
    for name in ("a.wav", " a.wav"):
        found = edges(split(takes, {"train": 0.5, "validation": 0.3, "test": [name]}, gap=10))
        assert found["test"] == [(name, 0, 5000)]


def test_a_take_belongs_to_one_split():
    takes = [ramp_take(5000, "a.wav"), ramp_take(5000, "b.wav")]
    with pytest.raises(AmpsimError, match=r"gives a take to two splits: a\.wav"):
        split(takes, {"train": ["a.wav", "b.wav"], "validation": ["a.wav"], "test": ["b.wav"]}, gap=10)


def test_a_split_by_a_name_that_two_takes_share_is_refused():
    """monday/take.wav and tuesday/take.wav: neither may silently be left out."""
    takes = [ramp_take(5000, "take.wav"), ramp_take(6000, "take.wav"), ramp_take(5000, "other.wav")]
    with pytest.raises(AmpsimError, match=r"take\.wav"):
        split(takes, {"train": ["take.wav"], "validation": 0.4, "test": 0.4}, gap=10)


@pytest.mark.slow
def test_the_delay_of_a_real_pedal(real_recordings: Path):
    folder = real_recordings / "ds1"
    if not folder.is_dir():
        pytest.skip(f"{real_recordings} holds no ds1")
    for take in ("val", "test"):
        source = Pair(input=str(folder / f"{take}_input.wav"), target=str(folder / f"{take}_target.wav"))
        takes = source.load()
        assert -10 <= takes[0].timing.delay <= -8  # others measured 9 to 10, see the data's README
        assert estimate_delay(takes).samples in (-12, -11)


@pytest.mark.slow
def test_a_real_stereo_take_is_read_whole(real_recordings: Path):
    path = real_recordings / "marshall_2204" / "test.flac"
    if not path.exists():
        pytest.skip(f"{real_recordings} holds no marshall_2204")
    (take,) = Stereo(path=str(path)).load()
    assert (take.sample_rate, round(take.duration_s)) == (48000, 114)
    assert 0 <= take.timing.delay <= 12  # cabinet and microphone: about 12 samples to the peak of their response


def test_a_share_of_training_gives_way_to_a_longer_test():
    """What `data.splits.test="3 s"` on the command line does to the shares of the config."""
    found = split([ramp_take(10_000)], {"train": 0.8, "validation": 0.1, "test": "3 s"}, gap=100)
    spans = {name: (found[name][0].start, found[name][0].stop) for name in found}
    assert spans == {"train": (0, 5800), "validation": (5900, 6900), "test": (7000, 10_000)}


def test_two_signals_that_have_nothing_in_common_have_no_clear_delay():
    random = np.random.default_rng(0)
    noise, other = random.standard_normal((2, 200_000)).astype(np.float32)
    strangers = AudioPair(noise, other, 8000, "a")
    assert not strangers.timing.clear
    assert strangers.timing.confidence < 10
    with pytest.raises(AmpsimError, match=r"a: no clear delay between direct and amp .*data\.delay=0"):
        estimate_delay([strangers])
    assert estimate_delay([AudioPair(noise, np.roll(noise, 9), 8000, "a")]).confidence > 25


# ---- splits without sound ----


def muted(take: AudioPair, start: int, stop: int, *, direct: bool = True, amp: bool = True) -> AudioPair:
    input, target = take.input.copy(), take.target.copy()
    input[start:stop] *= not direct
    target[start:stop] *= not amp
    return replace(take, input=input, target=target)


@pytest.mark.parametrize("level", [0, 5e-6, 1e-4])
@pytest.mark.parametrize(
    ("start_s", "stop_s", "name", "times"),
    [
        (8.95, 10, "test", "0:09.0 to 0:10.0"),
        (7, 9, "validation", "0:08.0 to 0:09.0"),
        (0, 8, "train", "0:00.0 to 0:08.0"),
    ],
)
def test_a_split_in_which_nothing_sounds_is_refused(level: float, start_s: float, stop_s: float, name: str, times: str):
    """A silent tail, a pause in the middle that is all of validation, a silent head; to the bit, or with hiss."""
    take = muted(pair(10.0), round(start_s * RATE), round(stop_s * RATE))
    take = replace(take, **{side: getattr(take, side) + noise(10 * RATE, level=level) for side in ("input", "target")})
    with pytest.raises(AmpsimError, match=rf"nothing sounds in the direct signal in {name} \(") as caught:
        split([take], SHARES, gap=1)
    assert times in str(caught.value)
    assert "data.splits" in str(caught.value)


def test_every_split_without_sound_is_named():
    with pytest.raises(
        AmpsimError, match=r"in validation \(0:08\.0 to 0:09\.0 .*\) and test \(0:09\.0 to 0:10\.0 of take\.wav"
    ):
        split([muted(pair(10.0), 7 * RATE, 10 * RATE)], SHARES, gap=1)


def test_one_silent_side_or_a_constant_is_no_sound_either():
    for words, side in (({"direct": False}, "the amp's signal"), ({"amp": False}, "the direct signal")):
        with pytest.raises(AmpsimError, match=rf"nothing sounds in {side} in test \("):
            split([muted(pair(10.0), 8 * RATE, 10 * RATE, **words)], SHARES, gap=10)
    offset = muted(pair(10.0), 8 * RATE, 10 * RATE)
    offset = replace(offset, input=offset.input + np.float32(0.1), target=offset.target + np.float32(0.1))
    with pytest.raises(AmpsimError, match=r"in test \("):
        split([offset], SHARES, gap=10)


def test_a_take_that_is_silent_is_refused_by_its_name():
    takes = [pair(4.0, name="a.wav"), muted(pair(4.0, name="b.wav"), 0, 4 * RATE)]
    with pytest.raises(AmpsimError, match=r"in test \(0:00\.0 to 0:04\.0 of b\.wav"):
        split(takes, {"train": 0.8, "validation": 0.2, "test": ["b.wav"]}, gap=10)
    with pytest.raises(AmpsimError, match="nothing sounds"):
        split(takes[1:], SHARES, gap=10)  # as a whole too, where checks only warn


def at_settings(*seconds: float) -> list[AudioPair]:
    return [replace(pair(length_s, name=f"{index}.wav"), setting=(index,)) for index, length_s in enumerate(seconds)]


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [
        (SHARES, r"^2\.wav is too short: train would hold 0\.0 s of it, .* memory of 3,000 samples \(0\.38 s\)"),
        ({**SHARES, "test": ["1.wav", "2.wav"]}, r"^2\.wav is too short: test would hold 0\.3 s of it"),
        ({**SHARES, "train": ["0.wav", "2.wav"], "test": 0.5}, r"^2\.wav is too short: train would hold 0\.3 s of it"),
    ],
)
def test_a_setting_is_never_lost_because_its_take_is_short(splits: dict[str, Any], sentence: str):
    takes = at_settings(10, 10, 0.3)
    with pytest.raises(AmpsimError, match=sentence):
        split(takes, splits, gap=3000)
    assert [span.take.name for span in split(at_settings(10, 10, 1.5), SHARES, gap=3000)["train"]] == [
        *("0.wav", "1.wav", "2.wav")
    ]
    plain = [replace(take, setting=()) for take in takes]  # of one setting all
    assert split(plain, SHARES, gap=3000)


def test_a_take_that_trains_nothing_is_no_matter_where_others_train():
    found = split(at_settings(10, 10, 2), {"train": ["0.wav", "1.wav"], "validation": 0.5, "test": 0.4}, gap=0)
    assert [span.take.name for span in found["test"]] == ["2.wav"]


@pytest.mark.parametrize(
    ("start_s", "stop_s", "name"), [(9, 10, "test"), (8, 9, "validation"), (0, 8, "train")], ids=str
)
def test_one_setting_in_which_nothing_sounds_is_named(start_s: int, stop_s: int, name: str):
    takes = at_settings(10, 10, 10)
    takes[1] = muted(takes[1], start_s * RATE, stop_s * RATE, direct=False)
    with pytest.raises(AmpsimError, match=rf"in the amp's signal in {name} \(0:0{start_s}\.0 to [\d:.]+ of 1\.wav: "):
        split(takes, SHARES, gap=0)
    takes = [replace(take, setting=()) for take in takes]
    assert split(takes, {**SHARES, "test": ["1.wav"], "validation": ["2.wav"]}, gap=0)  # a rest among the playing


def test_a_soft_setting_is_no_silence():
    takes = at_settings(10, 10)
    takes[1] = replace(takes[1], target=takes[1].target * np.float32(0.002))  # 54 dB softer, as a volume does
    assert len(split(takes, SHARES, gap=10)["test"]) == 2


def test_soft_playing_and_rests_are_sound():
    take = pair(10.0)
    softer = take.target.copy()
    softer[9 * RATE :] *= 0.02
    found = split([replace(take, target=softer), muted(pair(10.0, name="b"), 0, 2 * RATE)], SHARES, gap=10)
    assert set(found) == {"train", "validation", "test"}


@pytest.mark.parametrize(("samples", "rate"), [(1, 44100), (2, 8000), (399, 8000), (2000, 44100), (2204, 44100)])
def test_a_take_shorter_than_a_level_takes_is_refused_with_how_short_it_is(samples: int, rate: int, tmp_path: Path):
    sound = noise(samples)
    stereo = write_pcm(tmp_path / "take.wav", [sound, 0.5 * sound], sample_rate=rate)
    direct, amp = (write_pcm(tmp_path / name, [sound], sample_rate=rate) for name in ("in.wav", "out.wav"))
    for source in (Stereo(path=str(stereo)), Pair(input=str(direct), target=str(amp), delay=0)):
        with pytest.raises(
            AmpsimError, match=rf"holds {counted(samples, 'sample')} \(.* ms\), and levels are compared over 50 ms"
        ):
            prepare(source, notice=lambda text: None)
    found = diagnosed(*loaded(str(stereo)))
    assert [each.topic for each in found.findings if each.severity == "error"] == ["length"]
