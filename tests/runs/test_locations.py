"""What leads from a store's folder to the artifacts of its newest run."""

import shutil
from pathlib import Path

from ampsim.runs.locations import artifacts_of, point_to


def artifact(folder: Path, run: str) -> Path:
    place = artifacts_of(folder) / run / "artifacts"
    place.mkdir(parents=True)
    (place / "listen.html").write_text(run)
    return place


def test_last_leads_to_the_newest_run_also_once_the_store_has_moved(tmp_path: Path):
    for run in ("one", "two"):
        point_to(artifact(tmp_path / "runs", run))
        assert (tmp_path / "runs" / "last" / "listen.html").read_text() == run
    shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "last" / "listen.html").read_text() == "two"
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["artifacts", "last"]


def test_a_folder_of_that_name_stays(tmp_path: Path):
    (tmp_path / "last").mkdir()
    point_to(artifact(tmp_path, "one"))
    assert not (tmp_path / "last").is_symlink()
