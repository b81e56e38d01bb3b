"""The notebooks of `examples/`, run from their first cell to their last in a kernel of their own."""

import os
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_first_amp_trains_and_shows_what_it_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EXAMPLES.parent), *sys.path]))
    book = nbformat.read(EXAMPLES / "first_amp.ipynb", as_version=4)
    for cell in book.cells:  # the same with two seconds of training
        cell.source = cell.source.replace('"seconds": 30', '"seconds": 2').replace("duration_s=30", "duration_s=12")
    nbclient.NotebookClient(book, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    pages = [
        output.data["text/html"]
        for output in shown
        if output.output_type == "execute_result" and "text/html" in output.data
    ]
    recording, run, listening, table = pages
    assert recording.count("<audio") == 2
    assert "data:image/png" in recording
    assert run.count("<audio") == 3
    assert "ESR" in run
    assert "<iframe" in listening
    assert "esr" in table
    assert (tmp_path / "first_amp.nam").exists()
