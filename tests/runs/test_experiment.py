"""What a run does before and after its training, on its own."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
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


def test_takes_that_lag_by_other_samples_are_refused_unless_a_delay_is_set():
    played = guitar(4 * RATE, seed=5)
    one, two = (AudioPair(played, np.roll(amp(played), lag), RATE, f"{lag}.wav") for lag in (20, 400))
    with pytest.raises(AmpsimError, match=r"20\.wav 18, 400\.wav 398.*data\.delay="):
        align([one, two], "auto", print)
    assert align([one, one], "auto", print)[1].samples == 18
    assert align([one, two], 20, print)[1].samples == 20
