"""Comparisons of runs that were put into a store by hand, and the files that come of them."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from stores import AMP, GAINS, RATE, put

from ampsim import AmpsimError
from ampsim.cli import main as cli
from ampsim.comparing import comparison
from ampsim.comparing.ranking import Trial, ranked
from ampsim.metrics import block_sums
from ampsim.runs.tracking import PARENT, Store, TrackedRun


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A sweep of three numbers of layers and two seeds, with a job that diverged and one that never ended."""
    folder = tmp_path_factory.mktemp("compared")
    found = Store(folder / "runs")
    parent = found.start("my sweep", params={}, tags={})
    for (layers, seed), gain in GAINS.items():
        put(found, folder / "made", layers, seed, gain, parent=parent.id)
    for name, end in {"diverged": ("FAILED", True), "going": None, "broken": ("FAILED", False)}.items():
        run = found.start(f"job-{name}", params={"model.layers": 9, "seed": 0}, tags={PARENT: parent.id})
        if end:
            run.finish(end[0], mark="diverged" if end[1] else "")
    parent.finish()
    return found


@pytest.fixture
def words(store: Store) -> list[str]:
    return [f"folder={store.folder}"]


def test_a_sweep_is_ranked_over_its_seeds(store: Store):
    ranking = comparison.of_sweep(store, store.find_sweep("my sweep"))
    assert [group.label for group in ranking.groups] == ["layers=3", "layers=2", "layers=1"]
    means = [group.mean("esr") for group in ranking.groups]
    assert means == pytest.approx([0.095 * 0.0942, 0.1 * 0.09, 0.2 * 0.21], rel=1e-4)  # geometric means of two squares
    assert [change.tie for change in ranking.differences] == [True, False]
    assert sorted(ranking.left_out) == [
        ("job-broken", "failed"),
        ("job-diverged", "diverged"),
        ("job-going", "is not finished"),
    ]


def test_its_table_figure_and_summary_are_kept_with_the_parent(store: Store):
    parent = store.find_sweep("last")
    comparison.of_sweep(store, parent)
    client = MlflowClient(store.uri)
    assert {file.path for file in client.list_artifacts(parent.id, "comparison")} == {
        f"comparison/{name}" for name in comparison.FILES
    }
    rows = list(csv.DictReader(parent.file("comparison/comparison.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["rank"], row["model.layers"], row["num_seeds"], row["tie"]) for row in rows] == [
        ("1", "3", "2", ""),
        ("2", "2", "2", "True"),
        ("3", "1", "2", "False"),
    ]
    values = [(1 - GAINS[1, seed]) ** 2 for seed in (0, 1)]
    assert float(rows[2]["esr"]) == pytest.approx(np.sqrt(np.prod(values)), rel=1e-4)
    assert rows[2]["esr_sd"] == ""  # of two seeds
    assert [float(rows[2][f"esr_{end}"]) for end in ("min", "max")] == pytest.approx(sorted(values), rel=1e-4)
    assert float(rows[2]["to_best"]) == pytest.approx(0.042 / (0.095 * 0.0942) - 1, rel=1e-4)
    assert float(rows[2]["to_best_low"]) > 0 > float(rows[1]["to_best_low"])
    text = parent.file("comparison/comparison.md").read_text(encoding="utf-8")
    assert "| 2 | layers=2 | 2 | 0.009 (0.0081 and 0.01) | tie +0.6% (" in text
    assert "- not told from the best: layers=2 (equal within " in text
    assert "to the best would have been told in 80 % of cases; 10% needs " in text
    assert "- model.layers explains 9" in text
    assert "yet the higher fluctuation_db (3 against 1)" in text
    assert "- left out: job-diverged (diverged)" in text


def test_the_command_shows_it_and_writes_it_where_it_is_told(
    store: Store, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
):
    names = "layers=1-seed=0,layers=1-seed=1, layers=2-seed=0 ,layers=2-seed=1"
    before = len(store.runs())
    assert cli.main(["compare", f"runs={names}", f"output={tmp_path / 'out'}", *words]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[:4] for line in shown.splitlines()[2:4]] == [
        ["1", "layers=2", "2", "0.0090"],
        ["2", "layers=1", "2", "0.0420"],
    ]
    assert "fluctuation_db" in shown
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(comparison.FILES)
    assert len(store.runs()) == before
    assert cli.main(["compare", f"runs={names}", f"output={tmp_path / 'out'}", *words]) == 2
    assert "say overwrite=true to replace it" in capsys.readouterr().err
    assert cli.main(["compare", f"runs={names}", f"output={tmp_path / 'out'}", "overwrite=true", *words]) == 0


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ([], "say what to compare: sweep='my sweep' or runs="),
        (["runs=a,b", "sweep=c"], "either sweep=<its parent run> or runs=a,b,c"),
        (["sweep=my swep"], "did you mean `my sweep`?"),
        (["sweep=layers=1-seed=0"], "is no sweep: no run belongs to it"),
        (["runs=layers=1-seed=0,layers=1-seed=7"], "there is no run `layers=1-seed=7`"),
        (["runs=layers=1-seed=0"], "needs two finished runs, and there is one"),
        (["runs=layers=1-seed=0,job-diverged"], "and there is one; job-diverged diverged"),
        (["sweep=my sweep", "metric=fluctuation"], "no run has a score `fluctuation`; did you mean `fluctuation_db`?"),
        (["sweep=my sweep", "metrc=esr"], "did you mean `metric`?"),
    ],
)
def test_what_cannot_be_compared_is_said(
    words: list[str], more: list[str], sentence: str, capsys: pytest.CaptureFixture
):
    assert cli.main(["compare", *more, *words]) == 2
    answer = capsys.readouterr().err
    assert sentence in answer
    assert len(answer.splitlines()) == 1


def test_an_id_with_a_slip_is_answered_with_the_nearest_id(store: Store):
    right = store.find("layers=2-seed=0").id
    wrong = ("0" if right[0] != "0" else "1") + right[1:]
    with pytest.raises(AmpsimError, match=f"did you mean `{right}`"):
        store.find(wrong)


def test_a_store_without_a_sweep_has_no_last_one(store: Store):
    with pytest.raises(AmpsimError, match="holds no sweep yet"):
        Store(store.folder, experiment="other").find_sweep("last")


def test_runs_on_another_recording_are_told_apart_by_no_one(store: Store, tmp_path: Path):
    other = put(store, tmp_path, 4, 0, 0.7, parent="", amp=0.5 * AMP)
    ranking = comparison.of_runs(store, ["layers=1-seed=0", other])
    assert ranking.differences == [None]
    assert ranking.notes[0].startswith("not comparable: the runs were tested on 2 different signals")


def test_a_run_from_before_blocks_were_kept_is_ranked_all_the_same(store: Store):
    old = store.start("old", params={"model.layers": 5, "seed": 0}, tags={})
    old.log_metrics({"test_esr": 0.5})
    old.finish()
    ranking = comparison.of_runs(store, ["old", "layers=1-seed=0"])
    assert ranking.differences == [None]
    assert "1 of 2 runs keep no scores.json" in ranking.notes[0]


def test_what_is_heard_is_as_loud_as_it_was(store: Store):
    """Each run wrote its audio with another gain; the best run of each of the best two configs is played."""
    ranking = comparison.of_sweep(store, store.find_sweep("my sweep"))
    heard = comparison.heard(store, ranking, most=2)
    assert heard.sample_rate == RATE
    assert list(heard.models) == ["layers=3", "layers=2"]
    assert heard.runs == {name: store.find(f"{name}-seed=1").id for name in heard.models}
    assert heard.scores["layers=2"]["esr"] == pytest.approx(0.09**2, rel=1e-4)
    for name, gain in {"direct": 0.5, "amp": 1, "layers=3": 0.9058, "layers=2": 0.91}.items():
        np.testing.assert_allclose((heard.signals | heard.models)[name], gain * AMP, atol=2e-6)


def test_a_page_plays_one_held_out_signal_and_the_best_by_what_was_ranked(store: Store, tmp_path: Path):
    other = put(store, tmp_path, 4, 0, 0.7, parent="", amp=0.5 * AMP)
    ranking = comparison.of_runs(store, ["layers=1-seed=0", "layers=2-seed=0", other], metric="fluctuation_db")
    for group in ranking.groups:
        for trial in group.trials:
            trial.scores.pop("esr")
    assert len(comparison.heard(store, ranking).models) == 2


def test_a_run_as_plain_data_has_what_it_scored_on_the_test_split(store: Store):
    found = comparison.trial(store.find("layers=2-seed=1"))
    assert found.scores == pytest.approx({"esr": 0.09**2, "mse": 0.1 * 0.09**2, "fluctuation_db": 2.0}, rel=1e-4)
    assert (found.seed, found.ended, dict(found.described)) == ("1", "", {"model.layers": "2"})
    assert found.blocks is not None
    going = comparison.trial(TrackedRun(store.client, store.client.get_run(store.find("job-going").id)))
    assert going.blocks is None


NAMES = [
    "<script>alert(1)</script>",
    "[here](javascript:alert(1))",
    "a\n# ampsim: done",
    "x | y",
    "**loud** `code`",
    "&lt;b&gt;",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_the_summary_is_a_name(name: str):
    """Read by a Markdown reader of another project where there is one, else by what CommonMark says of a backslash."""
    blocks = [block_sums([(AMP, gain * AMP)], RATE) for gain in (0.8, 0.9)]
    trials = [
        Trial(
            str(number),
            name,
            {"model.layers": str(number)},
            {"esr": 0.1 * (1 + number)},
            f"model.layers={name}{number}",
            each,
        )
        for number, each in enumerate(blocks)
    ]
    ended = Trial("2", name, {}, {}, "", None, "failed")
    text = comparison.summary(ranked([*trials, ended]), name)
    assert not re.search(r"(?<!\\)[<>`*\[\]]", text.partition("`±`")[0])
    assert [line for line in text.splitlines() if line.startswith("#")] == [text.splitlines()[0]]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark")
    tokens = [inner for token in markdown.parse(text) for inner in token.children or [token]]
    assert not {"html_block", "html_inline", "link_open"} & {token.type for token in tokens}
