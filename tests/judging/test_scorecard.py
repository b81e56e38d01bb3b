"""Renders scored: what is taken out and what is left, told by signals whose delay, gain and error are known."""

import json
import re
from pathlib import Path

import numpy as np
import pandas
import pytest
import soundfile
from scipy import fft
from synthetic import RATE, amp, guitar

from ampsim import AmpsimError
from ampsim.judging import scorecard
from ampsim.judging.scorecard import audio_files, common, named, scored
from ampsim.metrics import zimtohrli

random = np.random.default_rng(0)


def late(samples: np.ndarray, delay: float) -> np.ndarray:
    """The samples `delay` later, by turning their spectrum."""
    padded = np.pad(samples.astype(np.float64), 4000)
    turns = np.exp(-2j * np.pi * np.arange(len(padded) // 2 + 1) * delay / len(padded))
    return fft.irfft(fft.rfft(padded) * turns, len(padded))[4000 : 4000 + len(samples)]


def dull(samples: np.ndarray) -> np.ndarray:
    """Without the upper fifth of its spectrum, which no interpolation renders."""
    spectrum = fft.rfft(samples.astype(np.float64))
    spectrum[round(0.8 * len(spectrum)) :] = 0
    return fft.irfft(spectrum, len(samples))


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """6 s of an amp."""
    return dull(amp(guitar(6 * RATE, seed=5)))


@pytest.fixture
def folder(tmp_path: Path, sound: np.ndarray) -> Path:
    write(tmp_path / "amp.wav", sound)
    return tmp_path


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def hissing(sound: np.ndarray, level: float) -> np.ndarray:
    return sound + level * random.standard_normal(len(sound))


@pytest.mark.parametrize("delay", [0, 12, -31, 3.37, -250.62])
@pytest.mark.parametrize("sign", [1, -1])
def test_delay_and_polarity_are_taken_out(folder: Path, sound: np.ndarray, delay: float, sign: int):
    error = 0.01 * random.standard_normal(len(sound))
    card = scored(folder / "amp.wav", [write(folder / "other.wav", sign * late(sound + error, delay))])
    (found,) = card.candidates
    assert found.delay == pytest.approx(delay, abs=0.01)
    assert found.inverted is (sign < 0)
    assert any("inverted" in sentence for sentence in card.sentences) is (sign < 0)
    assert found.scores is not None
    assert found.scores["esr"] == pytest.approx(np.sum(error**2) / np.sum(sound**2), rel=0.03)


def test_what_equals_the_target_has_no_error_at_all(folder: Path):
    (found,) = scored(folder / "amp.wav", [folder / "amp.wav"]).candidates
    assert found.scores is not None
    assert (found.delay, found.inverted, found.scores["esr"], found.gain_db) == (0, False, 0, pytest.approx(0))


def test_a_difference_of_level_is_told_and_left(folder: Path, sound: np.ndarray):
    error = 0.02 * random.standard_normal(len(sound))
    card = scored(folder / "amp.wav", [write(folder / "loud.wav", 2 * (sound + error))])
    (found,) = card.candidates
    gain = sound @ (sound + error) / np.sum((sound + error) ** 2) / 2
    assert found.scores is not None
    assert found.gain_db == pytest.approx(20 * np.log10(gain), abs=1e-3)
    assert found.scores["esr"] == pytest.approx(np.sum((sound + 2 * error) ** 2) / np.sum(sound**2), rel=1e-3)
    left = np.sum((sound - 2 * gain * (sound + error)) ** 2) / np.sum(sound**2)
    assert found.esr_at_gain == pytest.approx(left, rel=1e-3)
    (told,) = [sentence for sentence in card.sentences if "louder" in sentence]
    assert told.startswith("loud is 6.0 dB louder than the target")
    near = scored(folder / "amp.wav", [write(folder / "near.wav", 1.04 * sound)])
    assert not [sentence for sentence in near.sentences if "louder" in sentence]


def test_the_order_and_who_is_tied(folder: Path, sound: np.ndarray):
    files = [write(folder / f"{name}.wav", hissing(sound, level)) for name, level in
             (("rough", 0.03), ("hiss one", 0.01), ("hiss two", 0.01))]  # fmt: skip
    card = scored(folder / "amp.wav", files)
    assert [each.name for each in card.candidates][2] == "rough"
    tie, told = card.differences
    assert tie is not None
    assert told is not None
    assert tie.tie
    assert told.low < 9 - 1 < told.high  # three times the noise is nine times the error
    assert [*card.marks("esr")] == ["*", "=", ""]
    assert any(re.fullmatch(r"not told from hiss \w+: hiss \w+ \(equal within .*\)", each) for each in card.sentences)


@pytest.mark.parametrize("metric", ["predicted_mushra", "fluctuation_db", "loudness_difference_lu", "flutter_db"])
def test_any_score_makes_an_order(folder: Path, sound: np.ndarray, metric: str):
    files = [write(folder / f"{k}.wav", hissing(sound, level)) for k, level in enumerate((0.3, 0.02, 0.1))]
    card = scored(folder / "amp.wav", files, metric=metric)
    values = [abs((each.scores or {})[card.metric]) for each in card.candidates]
    assert values == sorted(values, reverse=metric == "predicted_mushra")
    known = metric == "predicted_mushra"
    assert any("is not known" in sentence for sentence in card.sentences) is not known
    assert card.marks(card.metric)[0] == "*"


def test_a_metric_with_a_typo_costs_nothing(folder: Path):
    with pytest.raises(AmpsimError, match="no score `ers`; did you mean `esr`"):
        scored(folder / "amp.wav", [folder / "amp.wav"], metric="ers", report=pytest.fail)
    with pytest.raises(AmpsimError, match="no score `parameters`"):
        scored(folder / "amp.wav", [folder / "amp.wav"], metric="parameters")


def test_the_other_model_of_hearing_is_a_row_where_it_is_installed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(zimtohrli, "installed", lambda: False)
    card = scored(folder / "amp.wav", [folder / "amp.wav"])
    assert "zimtohrli_mos" not in (card.candidates[0].scores or {})
    assert not any("imtohrli" in sentence for sentence in card.sentences)
    with pytest.raises(AmpsimError, match=r"pip install 'ampsim\[zimtohrli\]'"):
        scored(folder / "amp.wav", [folder / "amp.wav"], metric="zimtohrli_mos")
    monkeypatch.undo()
    pytest.importorskip("zimtohrli")
    card = scored(folder / "amp.wav", [folder / "amp.wav"], metric="zimtohrli_mos")
    assert (card.candidates[0].scores or {})["zimtohrli_mos"] == pytest.approx(5)


def test_a_score_of_a_model_is_not_one_of_a_render(folder: Path):
    with pytest.raises(AmpsimError, match="it needs the model itself"):
        scored(folder / "amp.wav", [folder / "amp.wav"], metric="aliasing_db", report=pytest.fail)


def test_hiss_is_a_score_of_renders(tmp_path: Path):
    rate = 44100
    seconds = np.arange(3 * rate) / rate
    sound = np.exp(-2 * seconds) * np.sin(2 * np.pi * 220 * seconds)
    noise = 1e-3 * np.random.default_rng(4).standard_normal((2, len(sound)))
    amp = write(tmp_path / "amp.wav", sound + noise[0], rate)
    files = [
        write(tmp_path / f"{name}.wav", sound + gain * noise[1], rate) for name, gain in (("more", 4), ("less", 1))
    ]
    card = scored(amp, files, metric="hiss_db")
    assert [each.name for each in card.candidates] == ["less", "more"]
    found = [(each.scores or {})["hiss_db"] for each in card.candidates]
    assert found == pytest.approx([0, 20 * np.log10(4)], abs=0.5)


def test_another_rate_is_resampled_to_the_targets(folder: Path, sound: np.ndarray):
    spectrum = fft.rfft(sound)
    faster = 1.5 * fft.irfft(np.pad(spectrum, (0, 3 * RATE * 3 // 2 - 3 * RATE)), 9 * RATE)
    card = scored(folder / "amp.wav", [write(folder / "fast.wav", faster, 12_000)])
    assert card.sample_rate == RATE
    assert (card.candidates[0].scores or {})["esr"] < 1e-4
    assert "fast is resampled from 12,000 to 8,000 Hz" in card.sentences
    card = scored(folder / "fast.wav", [folder / "amp.wav"])
    assert "amp is resampled from 8,000 to 12,000 Hz, and has nothing above 4 kHz" in card.sentences


def test_all_are_scored_on_what_they_have_in_common(folder: Path, sound: np.ndarray):
    longer = np.concatenate([np.zeros(RATE), sound, sound])
    files = [write(folder / "longer.wav", longer), write(folder / "ends.wav", sound[: 5 * RATE])]
    card = scored(folder / "amp.wav", files)
    assert (card.start, len(card.samples)) == (0, 5 * RATE)
    np.testing.assert_array_equal(card.samples, sound[: 5 * RATE].astype(np.float32))
    assert [each.delay for each in card.candidates if each.name == "longer"] == [RATE]
    assert max((each.scores or {})["esr"] for each in card.candidates) < 1e-9
    assert "left out of amp.wav, where not all candidates play: 0:05.0 to 0:06.0" in card.sentences


def test_a_short_one_does_not_shorten_all(folder: Path, sound: np.ndarray):
    files = [write(folder / "a.wav", sound), write(folder / "b.wav", sound[:RATE]), write(folder / "c.wav", sound)]
    card = scored(folder / "amp.wav", files)
    assert len(card.samples) == len(sound)
    assert card.left_out == [("b", "b covers 1.0 s of the 6.0 s that others cover: score it apart")]
    assert len(scored(folder / "amp.wav", [folder / "b.wav"]).samples) == RATE


def test_parts_that_do_not_meet_are_not_scored_together():
    def piece(name: str, start: int, length: int) -> scorecard.Candidate:
        return scorecard.Candidate(name, Path(name), np.zeros(length, np.float32), start)

    start, stop, kept, left_out = common(
        [piece("late", 900, 500), piece("first", 0, 1000), piece("mid", 200, 700)], 100
    )
    assert (start, stop, [each.name for each in kept]) == (200, 900, ["first", "mid"])
    assert left_out == [("late", "late covers 0.0 s of the 7.0 s that others cover: score it apart")]


def test_what_can_be_scored_is_scored(folder: Path, sound: np.ndarray):
    (folder / "broken.wav").write_bytes(b"RIFF....")
    silence = np.zeros(len(sound))
    bad = np.where(np.arange(len(sound)) == RATE, np.inf, sound)
    files = [write(folder / f"{name}.wav", samples) for name, samples in
             {"fine": sound, "silent": silence, "inf": bad, "tiny": sound[:80],
              "unlike": np.stack([sound, silence + 0.1 * sound[::-1]], 1)}.items()]  # fmt: skip
    card = scored(folder / "amp.wav", [folder / "broken.wav", folder / "nowhere.wav", *files])
    assert [each.name for each in card.candidates] == ["fine", "silent"]
    assert (card.candidates[1].scores or {})["esr"] == pytest.approx(1)
    assert "silent is silent" in card.sentences
    told = dict(card.left_out)
    assert set(told) == {"broken", "nowhere", "inf", "tiny", "unlike"}
    for name, sentence in {
        "broken": "is not audio that can be read",
        "nowhere": "does not exist",
        "inf": "holds NaN or infinity from 0:01.0 on",
        "tiny": "shares 10 ms with",
        "unlike": "has 2 channels, which differ",
    }.items():
        assert sentence in told[name]


def test_another_playing_is_scored_as_it_lies(folder: Path, sound: np.ndarray):
    card = scored(folder / "amp.wav", [write(folder / "noise.wav", hissing(0 * sound, 0.2))])
    assert card.candidates[0].delay is None
    assert any("no clear delay" in sentence for sentence in card.sentences)


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (np.zeros(2 * RATE), "is silent"),
        (np.full(2 * RATE, np.nan), "holds NaN or infinity from 0:00.0 on"),
        (0.1 * np.ones(40), "holds 5 ms"),
        (np.stack([np.linspace(-1, 1, RATE), np.sin(np.arange(RATE))], 1), "channel=1 takes the second"),
    ],
)
def test_a_target_that_judges_nothing_is_refused(folder: Path, samples: np.ndarray, sentence: str):
    with pytest.raises(AmpsimError, match=sentence):
        scored(write(folder / "bad.wav", samples), [folder / "amp.wav"])


def test_a_channel_of_a_stereo_target_is_the_amp(folder: Path, sound: np.ndarray):
    write(folder / "both.wav", np.stack([sound[::-1], sound], 1))
    card = scored(folder / "both.wav", [folder / "amp.wav"], channel=1)
    assert (card.candidates[0].scores or {})["esr"] < 1e-9
    with pytest.raises(AmpsimError, match="there is no channel 2"):
        scored(folder / "both.wav", [folder / "amp.wav"], channel=2)


def test_nothing_to_score_is_a_sentence_for_each(folder: Path):
    with pytest.raises(AmpsimError) as told:
        scored(folder / "amp.wav", [folder / "x.wav", folder / "y.wav"])
    assert len(told.value.args) == 3
    for name, sentence in zip(("amp.wav", "x.wav", "y.wav"), told.value.args, strict=True):
        assert str(folder / name) in sentence
    with pytest.raises(AmpsimError, match="no candidate is named"):
        scored(folder / "amp.wav", [])


def test_a_clock_that_drifts_is_told(folder: Path, sound: np.ndarray):
    at = np.arange(len(sound)) * (1 + 400e-6)
    drifting = np.interp(at, np.arange(len(sound)), sound)
    card = scored(folder / "amp.wav", [write(folder / "drifts.wav", drifting)])
    assert any("drifts drifts against the target" in sentence for sentence in card.sentences)


def test_names_are_as_short_as_they_can_be():
    assert named([Path("a/one.wav"), Path("b/two.wav")]) == ["one", "two"]
    assert named([Path("/r/a/out.wav"), Path("/r/b/out.wav"), Path("/r/c/else.wav")]) == ["a/out", "b/out", "else"]
    assert named([Path("/x/a/c/out.wav"), Path("/x/b/c/out.wav")]) == ["a/c/out", "b/c/out"]
    assert named([Path("/r/out.wav"), Path("/r/out.flac")]) == ["out.wav", "out.flac"]


def test_a_folder_stands_for_the_audio_in_it(folder: Path, sound: np.ndarray):
    write(folder / "b.wav", sound)
    (folder / "notes.txt").write_text("x")
    (folder / "empty").mkdir()
    assert audio_files([folder]) == [folder / "amp.wav", folder / "b.wav"]
    with pytest.raises(AmpsimError, match="holds no WAV, FLAC or AIFF file"):
        audio_files([folder / "empty"])


def test_files_hold_what_the_card_does(folder: Path, sound: np.ndarray):
    files = [write(folder / f"{name}.wav", hissing(sound, level)) for name, level in (("more", 0.03), ("less", 0.01))]
    card = scored(folder / "amp.wav", [*files, folder / "gone.wav"])
    written = card.write(folder / "out")
    assert [path.name for path in written] == list(scorecard.FILES)
    table, kept = pandas.read_csv(written[0]), json.loads(written[1].read_text())
    assert [each["candidate"] for each in kept["candidates"]] == list(table["candidate"]) == ["less", "more"]
    assert kept["candidates"][1]["esr"] == pytest.approx(table["esr"][1])
    assert kept["candidates"][1]["to_best_low"] == pytest.approx(table["to_best_low"][1])
    assert [each["candidate"] for each in kept["left_out"]] == ["gone"]
    assert "<script" in written[2].read_text()
    with pytest.raises(AmpsimError, match="exists; say overwrite=true"):
        card.write(folder / "out")
    with pytest.raises(AmpsimError, match="is the input itself"):
        card.listen(files[0], overwrite=True)
    card.write(folder / "out", overwrite=True)
    assert "gone" not in card._repr_html_()
