"""What a run keeps, written to a folder that stands for its artifacts."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from synthetic import RATE, amp, guitar

from ampsim.runs.artifacts import Previews, gain_db


def test_previews_are_the_same_seconds_of_amp_and_net_with_one_gain(tmp_path: Path):
    """Two takes one after another: the second is louder, so that its seconds are kept."""
    takes = [0.1 * amp(guitar(3 * RATE, seed=1)), amp(guitar(3 * RATE, seed=2))]
    tracked = SimpleNamespace(log_folder=lambda folder: shutil.copytree(folder, tmp_path, dirs_exist_ok=True))
    for step, gain in ((10, 0.5), (200, 0.9)):
        Previews(RATE, duration_s=2.0).keep(tracked, step, [(take, gain * take) for take in takes])
    heard = {path.stem: soundfile.read(path) for path in (tmp_path / "previews").iterdir()}
    assert sorted(heard) == ["amp", "step_000010", "step_000200"]
    kept, rate = heard["amp"]
    assert (rate, len(kept)) == (RATE, 2 * RATE)
    whole = 0.5 * np.concatenate(takes) / np.abs(takes[1]).max()
    start = next(k for k in range(len(whole) - len(kept) + 1) if np.abs(whole[k : k + len(kept)] - kept).max() < 1e-4)
    assert start >= 3 * RATE - RATE // 20
    for step, gain in (("step_000010", 0.5), ("step_000200", 0.9)):
        np.testing.assert_allclose(heard[step][0], gain * kept, atol=1e-4)


@pytest.mark.parametrize(("stated", "gain"), [("-6.02", -6.02), ("loud", 0.0), ("nan", 0.0), ("1e9", 0.0), (None, 0.0)])
def test_a_gain_of_someone_elses_store_may_say_anything(stated: str | None, gain: float):
    tags = {} if stated is None else {"listening_gain_db": stated}
    assert gain_db(SimpleNamespace(params={}, tags=tags)) == gain
