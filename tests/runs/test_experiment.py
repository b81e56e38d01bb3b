"""What a run does before and after its training, on its own."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from synthetic import RATE, amp, guitar

from ampsim import AmpsimError
from ampsim.config.run_config import RunConfig
from ampsim.recordings.pairs import AudioPair
from ampsim.recordings.preparing import align
from ampsim.runs.lifecycle import begin
from ampsim.runs.locks import alone


def test_resuming_wakes_the_newest_unfinished_run_that_is_still_there_and_no_other(tmp_path: Path):
    config = RunConfig({"seed": 0, "training": {"resume": True}, "tracking": {"folder": str(tmp_path)}})
    mark = config.identity([])
    for age, name in enumerate(["deleted", "newest", "oldest"]):
        folder = tmp_path / "unfinished" / f"{mark}-{name}"
        folder.mkdir(parents=True)
        os.utime(folder, (1000 - age, 1000 - age))
    woken: list[str] = []

    def resume(run_id: str) -> SimpleNamespace | None:
        woken.append(run_id)
        nothing = lambda params: None  # noqa: E731
        return None if run_id == "deleted" else SimpleNamespace(id=run_id, name=run_id, params={}, log_params=nothing)

    store = SimpleNamespace(folder=tmp_path, resume=resume, begun=lambda tags: [])
    tracked, checkpoint = begin(store, config, [], name="", notice=woken.append)
    assert tracked.id == "newest"
    assert checkpoint.parent.name == f"{mark}-newest"
    assert woken == ["deleted", "newest", "going on with the unfinished run newest"]
    woken.clear()
    with alone(checkpoint.parent):  # as a process that trains it is
        tracked, _ = begin(store, config, [], name="", notice=woken.append)
    assert tracked.id == "oldest"
    assert woken[:2] == ["another process trains newest, which is left to it", "deleted"]


def test_what_cannot_be_resumed_because_its_recording_changed_is_named(tmp_path: Path):
    """As of a sheet in which one value was corrected; a run of another config has nothing to do with it."""
    config = RunConfig.compose(["training.resume=true"])
    kept = {"before": config, "other": RunConfig.compose(["seed=7"])}
    for name, each in kept.items():
        (tmp_path / "unfinished" / f"{each.identity(['the sheet'])}-{name}").mkdir(parents=True)
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(dict(each.sections)))
    store = SimpleNamespace(
        folder=tmp_path,
        begun=lambda tags: [],
        find=lambda name: SimpleNamespace(name=name, file=lambda path: tmp_path / f"{name}.yaml"),
        start=lambda *args, **more: SimpleNamespace(id="new"),
    )
    told: list[str] = []
    begin(store, config, ["the corrected sheet"], name="", notice=told.append)
    assert told == [
        "warning: the recording has changed since before, which stays unfinished",
        "no unfinished run of this config and recording to resume; starting a new one",
    ]


def test_takes_that_lag_by_other_samples_are_refused_unless_a_delay_is_set():
    played = guitar(4 * RATE, seed=5)
    one, two = (AudioPair(played, np.roll(amp(played), lag), RATE, f"{lag}.wav") for lag in (20, 400))
    with pytest.raises(AmpsimError, match=r"20\.wav 18, 400\.wav 398.*data\.delay="):
        align([one, two], "auto", print)
    assert align([one, one], "auto", print)[1].samples == 18
    assert align([one, two], 20, print)[1].samples == 20


def test_a_delay_that_is_set_is_taken_and_a_guess_is_not():
    """Signals of nothing in common: no number can be told, and any may be set."""
    played = guitar(4 * RATE, seed=5)
    strangers = AudioPair(played, guitar(4 * RATE, seed=99)[::-1].copy(), RATE, "strangers.wav")
    with pytest.raises(AmpsimError, match=r"strangers\.wav: no clear delay .*Set data\.delay"):
        align([strangers], "auto", print)
    for samples in (0, 12000, -9000):
        (laid,), delay = align([strangers], samples, print)
        assert (delay.samples, delay.estimated, len(laid.input)) == (samples, False, 4 * RATE - abs(samples))


def test_one_clear_take_tells_the_delay_of_one_that_is_not():
    played = guitar(4 * RATE, seed=5)
    clear = AudioPair(played, np.roll(amp(played), 20), RATE, "clear.wav")
    short = AudioPair(played[:300], np.roll(amp(played), 20)[:300], RATE, "short.wav")
    assert align([short, clear], "auto", print)[1].samples == 18


def test_timing_is_measured_once_a_take(monkeypatch: pytest.MonkeyPatch):
    from ampsim.recordings import pairs
    from ampsim.recordings.preparing import quick
    from ampsim.signals import alignment

    calls: list[int] = []

    def counted(*words: object, **options: object) -> object:
        calls.append(1)
        return alignment.timing(*words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pairs, "timing", counted)
    played = guitar(4 * RATE, seed=5)
    takes = [AudioPair(played, np.roll(amp(played), 20), RATE, name) for name in ("a.wav", "b.wav")]
    for take in takes:
        quick(take)
    align(takes, "auto", print)
    assert len(calls) == 2
