"""The notebooks of `examples/`, run from their first cell to their last in a kernel of their own, with small budgets."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
CHECKED = {"first_amp", "compare_losses", "own_model", "knobs", "read_a_capture"}


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def executed(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, smaller: dict[str, str]) -> "Shown":
    """A notebook after a run in a folder, with some of its words replaced by others that make it short."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EXAMPLES.parent), *sys.path]))
    book = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    whole = "\n".join(cell.source for cell in book.cells)
    assert not [words for words in smaller if words not in whole]
    for cell in book.cells:
        for words, others in smaller.items():
            cell.source = cell.source.replace(words, others)
    nbclient.NotebookClient(book, timeout=550, resources={"metadata": {"path": str(folder)}}).execute()
    return Shown(book)


class Shown:
    """What a notebook shows: what its cells print, what they come to (as a page or as text), players and pictures."""

    def __init__(self, book: Any) -> None:
        outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
        self.printed = "".join(output.text for output in outputs if output.output_type == "stream")
        values = [output.data for output in outputs if output.output_type == "execute_result"]
        self.texts = [data["text/plain"] for data in values]
        self.pages = [data["text/html"] for data in values if "text/html" in data]
        displayed = [output.data for output in outputs if output.output_type == "display_data"]  # with progress lines
        self.players = sum(data.get("text/html", "").count("<audio") for data in displayed)
        self.pictures = sum("image/png" in data for data in [*values, *displayed])


@pytest.mark.slow
def test_first_amp_trains_and_shows_what_it_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    smaller = {'"seconds": 30': '"seconds": 2', "duration_s=30": "duration_s=12"}
    recording, run, listening, table = executed("first_amp", tmp_path, monkeypatch, smaller).pages
    assert recording.count("<audio") == 2
    assert "data:image/png" in recording
    assert run.count("<audio") == 3
    assert "ESR" in run
    assert "<iframe" in listening
    assert "esr" in table
    assert (tmp_path / "first_amp.nam").exists()


@pytest.mark.slow
def test_two_losses_are_compared_by_numbers_and_by_ear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    smaller = {'"epochs": 6': '"epochs": 1', "duration_s=30": "duration_s=12"}
    smaller["loss=loss, "] = 'loss=loss, model="wavenet_nano", '
    shown = executed("compare_losses", tmp_path, monkeypatch, smaller)
    table, card, listening = shown.pages
    assert all(word in table for word in ("esr", "mrstft", "predicted MUSHRA", "A-weighted ESR"))
    assert shown.players == 3  # amp and two nets
    assert shown.pictures == 2
    assert card.count("<tr") == 3
    assert "<iframe" in listening
    assert (tmp_path / "listen.html").exists()


@pytest.mark.slow
def test_a_model_of_ones_own_is_checked_trained_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    smaller = {'"epochs": 8': '"epochs": 1', "duration_s=30": "duration_s=12"}
    shown = executed("own_model", tmp_path, monkeypatch, smaller)
    assert "Short: receptive_field - 1 + 17 samples give an output of shape (3, 15)" in shown.printed
    table, run = shown.pages
    assert all(f"<td>{name}</td>" in table for name in ("valve", "filter"))
    assert run.count("<audio") == 3
    assert shown.pictures == 1


@pytest.mark.slow
def test_an_amp_with_knobs_plays_and_exports_at_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    smaller = {
        '"seconds": 45': '"seconds": 2',
        "count=6, unseen=3": "count=3, unseen=1",
        "duration_s=6": "duration_s=4",
    }
    shown = executed("knobs", tmp_path, monkeypatch, smaller)
    assert "[ ]" in shown.printed
    run, turned, listening = shown.pages
    assert "ESR" in run
    assert shown.players == 3  # three gains
    assert "<audio" in turned
    assert shown.pictures == 2
    assert "<iframe" in listening
    document = json.loads((tmp_path / "gain_7.nam").read_text(encoding="utf-8"))
    assert document["metadata"]["name"] == "Gain 7"


@pytest.mark.slow
def test_a_capture_is_made_read_played_and_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    smaller = {'"seconds": 20': '"seconds": 2', "duration_s=30": "duration_s=12"}
    shown = executed("read_a_capture", tmp_path, monkeypatch, smaller)
    document = json.loads((tmp_path / "my_amp.nam").read_text(encoding="utf-8"))
    assert f"{len(document['weights']):,} weights" in shown.printed
    assert "a WaveNet" in shown.printed or "WaveNet\n" in shown.printed
    assert shown.players == 3
    assert "capture.wav" in shown.pages[-1]
    assert "direct.wav" in shown.pages[-1]
    assert float(shown.texts[-1]) < 1e-5  # the net and its file, of full scale


def test_every_notebook_is_run_and_listed():
    assert {path.stem for path in NOTEBOOKS} == CHECKED
    for page in ("README.md", "docs/how-to/python.md"):
        text = (EXAMPLES.parent / page).read_text(encoding="utf-8")
        assert all(path.name in text for path in NOTEBOOKS), page


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_what_it_showed_and_leads_somewhere(path: Path):
    book = json.loads(path.read_text(encoding="utf-8"))
    for cell in book["cells"]:
        assert not cell.get("outputs")
        assert not cell.get("execution_count")
        for target in re.findall(r"\]\(([^)#:]+)\)", source(cell)):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    ("there", "wheels", "installs"),
    [
        (True, ["ampsim-9.9-py3-none-any.whl"], []),
        (False, [], ["install --quiet ampsim"]),
        (False, ["ampsim-9.9-py3-none-any.whl"], ["install --quiet ampsim-9.9-py3-none-any.whl"]),
    ],
)
def test_the_first_cell_installs_where_ampsim_is_not(
    path: Path, there: bool, wheels: list[str], installs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    transformer = pytest.importorskip("IPython.core.inputtransformer2").TransformerManager()
    first = next(cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code")
    asked: list[str] = []
    monkeypatch.chdir(tmp_path)
    for wheel in wheels:
        Path(wheel).touch()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if there else None)

    class Shell:
        def run_line_magic(self, name: str, line: str) -> None:
            assert name == "pip"
            asked.append(line)

    scope: dict[str, Any] = {"get_ipython": Shell}
    exec(transformer.transform_cell(source(first)), scope)
    assert [line.replace("{source}", str(scope["source"])) for line in asked] == installs
