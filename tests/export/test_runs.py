"""`ampsim export` and `ampsim register` on a run: the files, what the run remembers, and MLflow's registry."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from synthetic import RATE, guitar

from ampsim import export, players
from ampsim.cli import main as cli
from ampsim.export import formats

SMALL = [
    "model=lstm",
    "model.units=8",
    "model.burn_in=100",
    "training.segment_length=500",
    "training.epochs=1",
    "loss=esr",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, recording: Path) -> SimpleNamespace:
    """A run in a folder of its own, and what names it on the command line."""
    folder = tmp_path_factory.mktemp("work")
    store = f"folder={folder / 'runs'}"
    words = ["data=stereo", f"data.path='{recording}'", f"tracking.folder={folder / 'runs'}", "name=small", *SMALL]
    assert cli.main(["train", *words]) == 0
    client = MlflowClient(f"sqlite:///{folder / 'runs' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("ampsim").experiment_id])
    return SimpleNamespace(folder=folder, store=store, client=client, id=run.info.run_id)


@pytest.mark.slow
def test_an_export_is_kept_with_its_run(trained: SimpleNamespace, capsys: pytest.CaptureFixture):
    output = trained.folder / "exports"
    words = [f"output={output}", "format=nam,aidax,onnx", "gear_make=Marshall", trained.store]
    assert cli.main(["export", *words]) == 0
    told = capsys.readouterr().out
    run = trained.client.get_run(trained.id)
    kept = trained.folder / "runs" / "artifacts" / trained.id / "artifacts" / "exports"
    for name, file in (("nam", "small.nam"), ("aidax", "small.json"), ("onnx", "small.onnx")):
        assert (kept / name / file).read_bytes() == (output / file).read_bytes()
        assert run.data.metrics[f"export_{name}_difference"] < formats.LIMIT
        assert run.data.metrics[f"export_{name}_settled"] < formats.LIMIT
        assert export.FORMATS[name].start in run.data.tags[f"export.{name}"]
        assert str(output / file) in told
    metadata = players.read(output / "small.nam").metadata
    assert metadata["gear_make"] == "Marshall"
    assert metadata["training"]["ampsim"]["test_esr"] == run.data.metrics["test_esr"]
    aligned = metadata["ampsim"]["alignment"]  # after one epoch a net may say nothing of when it answers
    assert {"latency_samples", "untold"} <= set(aligned) or abs(aligned["lag_samples"]) < 20
    assert run.data.tags["alignment.nam"] in " ".join(told.split())
    assert metadata["training"]["validation_esr"] == run.data.metrics["best_validation_esr"]

    assert cli.main(["export", *words]) == 2
    assert "exists; say overwrite=true" in capsys.readouterr().err
    assert cli.main(["export", *words, "overwrite=true"]) == 0


@pytest.mark.slow
def test_a_rig_is_kept_with_its_run_as_a_folder(tmp_path: Path, recording: Path, capsys: pytest.CaptureFixture):
    store = f"folder={tmp_path / 'runs'}"
    small = ["model=wavenet_cab", "model.channels=2", "model.layers=2", "model.taps=40", "model.tail=8", *SMALL[3:]]
    words = ["data=stereo", f"data.path='{recording}'", f"tracking.{store}", "name=cab", *small]
    assert cli.main(["train", *words]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"in a plugin: ampsim export run=cab {store} format=rig output=rig" in told
    assert "every version of Neural Amp Modeler reads the .nam file it plays at about" in told

    output = tmp_path / "my rig"
    assert cli.main(["export", "format=rig", f"output={output}", store]) == 0
    told = capsys.readouterr().out
    for part in (str(output), "times real time on one core (an estimate", "see its README.txt"):
        assert part in told
    (kept,) = (tmp_path / "runs" / "artifacts").glob("*/artifacts/exports/rig/my rig")
    names = sorted(path.name for path in output.iterdir())
    assert sorted(path.name for path in kept.iterdir()) == names
    assert (kept / "cab.nam").read_bytes() == (output / "cab.nam").read_bytes()
    assert cli.main(["export", "format=rig", f"output={output}", store]) == 2
    assert "exists; say overwrite=true" in capsys.readouterr().err
    assert cli.main(["export", "format=rig", f"output={output}", store, "overwrite=true"]) == 0
    assert sorted(path.name for path in output.iterdir()) == names


@pytest.mark.slow
@pytest.mark.parametrize("name", ["itself", "a hard link", "the recording"])
def test_an_export_never_replaces_what_the_run_is_made_of(name: str, trained: SimpleNamespace, recording: Path, capsys):
    kept = trained.folder / "runs" / "artifacts" / trained.id / "artifacts" / "model.keras"
    output, source = (kept, kept) if name == "itself" else (trained.folder / f"{name}.keras", kept)
    if name != "itself":
        source = recording if name == "the recording" else kept
        output.hardlink_to(source)
    before = source.read_bytes()
    assert cli.main(["export", f"output={output}", "format=keras", "overwrite=true", trained.store]) == 2
    assert "is the input itself" in " ".join(capsys.readouterr().err.split())
    assert source.read_bytes() == before == output.read_bytes()


@pytest.mark.slow
def test_a_format_that_cannot_hold_a_run_writes_nothing(trained: SimpleNamespace, capsys: pytest.CaptureFixture):
    words = [f"output={trained.folder / 'none'}", "format=keras,namm", trained.store]
    assert cli.main(["export", *words]) == 2
    assert "did you mean `nam`?" in capsys.readouterr().err
    assert not (trained.folder / "none").exists()


@pytest.mark.slow
def test_a_registered_model_plays_through_mlflow(trained: SimpleNamespace):
    for version in (1, 2):
        assert cli.main(["register", "name=my amp", trained.store]) == 0
        found = trained.client.get_model_version("my amp", str(version))
        assert found.run_id == trained.id
    stored = trained.folder / "runs" / "artifacts" / trained.id / "artifacts" / "registered"
    assert not list(stored.rglob("*.pkl"))
    signal = guitar(RATE)[None]
    np.save(trained.folder / "in.npy", signal)
    # Where nothing of ampsim has been imported, as wherever a registered model is served.
    program = (
        "import sys, mlflow, numpy\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "model = mlflow.pyfunc.load_model('models:/my amp/2')\n"
        "assert model.metadata.signature is not None and model.input_example is not None\n"
        "numpy.save(sys.argv[3], model.predict(numpy.load(sys.argv[2])))\n"
    )
    places = [
        f"sqlite:///{trained.folder / 'runs' / 'mlflow.db'}",
        trained.folder / "in.npy",
        trained.folder / "out.npy",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program, *map(str, places)], check=True, capture_output=True, env=environment)
    model = export.FORMATS["keras"].load(
        trained.folder / "runs" / "artifacts" / trained.id / "artifacts" / "model.keras"
    )
    np.testing.assert_allclose(np.load(trained.folder / "out.npy"), [model(signal[0])], atol=1e-4)
    assert mlflow.active_run() is None
