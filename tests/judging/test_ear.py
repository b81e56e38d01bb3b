"""Weights learnt from votes: those that the answers were made with, and sentences for votes that cannot be used."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import optimize
from scipy import signal as dsp
from synthetic import RATE, amp, guitar

from ampsim.cli import main as cli
from ampsim.config.targets import build
from ampsim.judging import ear
from ampsim.losses import Balanced
from ampsim.runs.tracking import Store
from ampsim.signals import audio

REGIONS = [[0.0, 0.5], [0.5, 1.0]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A store of four runs that were tested on one recording and one that was tested on another, and their ids."""
    folder, random = tmp_path_factory.mktemp("store"), np.random.default_rng(0)
    direct = guitar(RATE)
    target = 0.5 * amp(direct)
    low = dsp.butter(1, 1200, fs=RATE, output="sos")
    predictions = {
        "noisy": target + 0.02 * random.normal(size=RATE),
        "dull": dsp.sosfiltfilt(low, target),
        "late": np.roll(target, 3),
        "quiet": 0.9 * target,
        "other": 0.3 * target,
    }
    runs = Store(folder)
    ids = {}
    for name, prediction in predictions.items():
        run = runs.start(name, params={}, tags={})
        made = folder / f"of_{name}"
        played = {"direct": direct, "amp": target if name != "other" else -target, "prediction": prediction}
        for each, samples in played.items():
            audio.write(made / "audio" / f"{each}.wav", 0.5 * samples.astype(np.float32), RATE, subtype="PCM_16")
        run.log_tags({"listening_gain_db": f"{audio.decibels(0.5):.2f}"})
        run.log_folder(made)
        run.finish()
        ids[name] = run.id
    return folder, ids


def ballot(listener: str, runs: dict[str, str], rate, *, regions=REGIONS, page: str = "page") -> dict:
    """Votes on a page; `rate(name, region)` is what the listener gives a run."""
    trials = []
    for region in regions:
        ratings = [{"kind": "reference", "name": "amp", "score": 100.0}]
        ratings += [{"kind": "model", "name": name, "score": float(rate(name, region))} for name in runs]
        trials.append({"region": region, "ratings": ratings})
    test = {"id": f"{listener}-{page}", "planned": len(trials), "trials": trials}
    votes = {"format": "ampsim-votes", "version": 2, "page": {"id": page, "title": page}, "runs": runs}
    return votes | {"listener": listener, "abx": [], "mushra": [test]}


def saved(folder: Path, *ballots: dict) -> list[Path]:
    paths = [folder / f"votes-{number}.json" for number in range(len(ballots))]
    for path, votes in zip(paths, ballots, strict=True):
        path.write_text(json.dumps(votes), encoding="utf-8")
    return paths


def by_term(sounds: ear.Sounds, runs: dict[str, str], name: str):
    """A listener who goes by one term alone."""
    place = list(ear.TERMS).index(name)
    return lambda run, region: np.clip(50 - 5 * np.log(sounds.distances(runs[run], *region)[place]), 0, 100)


def of_one_recording(store: tuple[Path, dict[str, str]]) -> tuple[ear.Sounds, dict[str, str]]:
    folder, ids = store
    return ear.Sounds(Store(folder)), {name: run for name, run in ids.items() if name != "other"}


@pytest.mark.parametrize("name", ["esr", "mfcc"])
def test_what_listeners_go_by_is_found(store, tmp_path: Path, name: str):
    sounds, runs = of_one_recording(store)
    random = np.random.default_rng(1)
    exact = by_term(sounds, runs, name)

    def rate(run, region):
        return np.clip(exact(run, region) + random.normal(), 0, 100)

    paths = saved(tmp_path, *(ballot(f"listener {n}", runs, rate) for n in range(4)))
    found = ear.fitted(paths, sounds, notice=pytest.fail)
    assert (found.comparisons, found.listeners, found.pages) == (4 * 2 * 6, 4, 1)
    assert found.predicted > 0.9 >= 0.5
    assert found.predicted >= found.equally
    assert sum(term.share for term in found.terms) == pytest.approx(1)
    assert all(0 <= term.low <= term.high <= 1 for term in found.terms)
    # ESR and the A-weighted ESR go together, and so do the spectral terms.
    waveform = sum(term.share for term in found.terms if term.name in ear.WAVEFORM)
    assert (waveform > 0.5) is (name == "esr")
    loss = build(yaml.safe_load(found.yaml), "loss")
    assert isinstance(loss, Balanced)
    loss.prepare(sample_rate=48000, segment_length=2048)  # what a run has by default


def test_the_weights_are_those_of_the_likelihood():
    """Two terms, by a grid of the Bradley-Terry likelihood."""
    random = np.random.default_rng(2)
    differences = random.normal(size=(60, 2))
    higher = (random.random(60) < 1 / (1 + np.exp(-differences @ [1.5, 0.5]))).astype(float)

    def unlikely(weights):
        odds = differences @ weights
        chance = 1 / (1 + np.exp(-odds))
        return -np.sum(np.log(np.where(higher == 1, chance, 1 - chance))) + ear.RIDGE / 2 * np.sum(np.square(weights))

    expected = optimize.brute(unlikely, [(0, 4), (0, 4)], Ns=40)
    np.testing.assert_allclose(ear.learnt(differences, higher), expected, atol=2e-2)
    assert ear.learnt(differences, 1 - higher).min() == 0  # no term counts in its favour


def test_answers_at_random_do_not_tell_weights(store, tmp_path: Path):
    sounds, runs = of_one_recording(store)
    random = np.random.default_rng(3)
    few = saved(tmp_path, ballot("Anna", runs, lambda *_: random.integers(100)))
    found = ear.fitted(few, sounds, notice=pytest.fail)
    assert not found.tells
    assert "12 comparisons are too few" in found.verdict
    assert f"# {found.verdict}." in found.yaml
    many = saved(tmp_path, *(ballot(f"{n}", runs, lambda *_: random.integers(100)) for n in range(6)))
    found = ear.fitted(many, sounds, notice=pytest.fail)
    assert "the votes do not tell these weights from equal ones" in found.verdict


def test_what_cannot_be_used_is_told_and_the_rest_is_used(store, tmp_path: Path):
    sounds, runs = of_one_recording(store)
    rate = by_term(sounds, runs, "esr")
    folder, ids = store
    foreign = {"theirs": "0" * 32, "also theirs": "last"}
    beyond = ballot("Ben", runs, lambda *_: 50, regions=[[0.0, 0.5], [3.0, 4.0]])
    paths = saved(
        tmp_path,
        ballot("Anna", runs, rate),
        beyond,
        ballot("Cleo", foreign, lambda *_: 50, page="another"),
        ballot("Dee", {name: ids[name] for name in ("noisy", "other")}, lambda *_: 50, page="mixed"),
        ballot("Eve", runs, lambda *_: 50) | {"runs": {}},
    )
    heard: list[str] = []
    found = ear.fitted(paths, sounds, notice=heard.append)
    assert found.comparisons == 12 + 6
    assert found.listeners == 2
    text = "\n".join(heard)
    assert "page: an excerpt is left out: 3 to 4 s are not in the 1.0 s that run" in text
    assert f"theirs is left out: {folder} has no run {'0' * 32}" in text
    assert "also theirs is left out" in text  # a word such as `last` is no id
    assert "other is left out: it was tested on another recording than noisy" in text
    assert "dull is left out: the votes on page do not say which run it is" in text
    assert len(heard) == len(set(heard))


def test_the_command_writes_a_loss_and_never_over_a_file(store, tmp_path: Path, capsys: pytest.CaptureFixture):
    sounds, runs = of_one_recording(store)
    paths = saved(tmp_path, *(ballot(name, runs, by_term(sounds, runs, "esr")) for name in ("Anna", "Ben")))
    output = tmp_path / "loss.yaml"
    words = ["fit-ear", *map(str, paths), f"folder={store[0]}", f"output={output}"]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "esr" in out
    assert f"wrote {output}" in out.replace("\n", "")
    written = output.read_text(encoding="utf-8")
    assert build(yaml.safe_load(written), "loss").terms
    assert cli.main(words) == 2
    assert output.read_text(encoding="utf-8") == written
    assert cli.main(["fit-ear", f"output={tmp_path / 'x.yaml'}"]) == 2
    assert "name the files with votes" in capsys.readouterr().err
    unusable = saved(tmp_path, ballot("Anna", {"a": "0" * 32, "b": "1" * 32}, lambda *_: 50))
    assert cli.main(["fit-ear", str(unusable[0]), f"folder={store[0]}", f"output={tmp_path / 'x.yaml'}"]) == 2
    assert "these votes compare no two models whose sound is here" in capsys.readouterr().err
    assert not (tmp_path / "x.yaml").exists()
