"""What a run does before and after its training, on its own."""

import os
from pathlib import Path
from types import SimpleNamespace

from ampsim import experiment


def test_resuming_wakes_the_newest_unfinished_run_that_is_still_there_and_no_other(tmp_path: Path):
    config = {"seed": 0, "tracking": {"folder": str(tmp_path)}}
    mark = experiment.fingerprint(config, [])
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
    tracked, checkpoint = experiment.begin(store, config, [], name="", overrides=[], resume=True, notice=woken.append)
    assert tracked.id == "newest"
    assert checkpoint.parent.name == f"{mark}-newest"
    assert woken == ["deleted", "newest", "going on with the unfinished run newest"]
