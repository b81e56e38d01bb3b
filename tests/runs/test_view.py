"""How MLflow's page opens: what a server is told, and asked, and what is said where it knows nothing."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from ampsim.runs import view

RUNS = [
    {
        "data": {
            "tags": [{"key": "job_overrides", "value": json.dumps(words)}],
            "params": [{"key": key, "value": "x"} for key in ("model._target_", "model.layers", "data.target", "seed")],
        }
    }
    for words in (
        ["model=dense", "model.layers=1", "seed=0", "data.target=a.wav", "tracking.folder=a"],
        ["model=lstm", "model.layers=2", "seed=0", "data.target=b.wav", "tracking.folder=b"],
    )
]


class Server(BaseHTTPRequestHandler):
    """MLflow's API as far as it is used here; `known` says whether there is the experiment."""

    known = True
    told: ClassVar[list[dict]] = []

    def answer(self, body: dict, status: int = 200) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        assert self.path == "/api/2.0/mlflow/experiments/get-by-name?experiment_name=my%20amps"
        self.answer({"experiment": {"experiment_id": "7"}} if self.known else {}, 200 if self.known else 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.told.append(body)
        self.answer({"runs": RUNS} if self.path.endswith("runs/search") else {})

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(Server, "told", [])
    server = HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_page_opens_on_the_runs_with_their_scores_and_what_was_swept(port: int):
    address = view.opened_at(port, "my amps")
    expected = "#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=ampsim"
    assert address == f"http://127.0.0.1:{port}/{expected}"
    search, tag = Server.told
    assert search["experiment_ids"] == ["7"]
    assert (tag["experiment_id"], tag["key"]) == ("7", "mlflow.sharedViewState.ampsim")
    state = json.loads(tag["value"])
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`test_esr`", True)
    assert {"metrics.`test_esr`", "metrics.`test_predicted_mushra`"} <= set(state["selectedColumns"])
    order = state["columnOrder"]
    assert order[:4] == ["attributes.`Run Name`", "runDateAndNestInfo", "metrics.`test_esr`", "params.`model._target_`"]
    assert set(order) == set(state["columnWidths"])
    assert [each for each in state["selectedColumns"] if "params" in each] == [
        "params.`model._target_`",
        "params.`model.layers`",
    ]


def test_charts_stand_in_sections_that_there_are_and_no_two_are_one(port: int):
    view.opened_at(port, "my amps")
    state = json.loads(Server.told[-1]["value"])
    charts, sections = state["compareRunCharts"], state["compareRunSections"]
    assert {chart["metricSectionId"] for chart in charts} <= {section["uuid"] for section in sections}
    assert len({chart["uuid"] for chart in charts}) == len(charts)
    assert [chart["metricKey"] for chart in charts if chart["type"] == "LINE"] == ["validation_esr", "loss"]
    (lines,) = [chart for chart in charts if chart["type"] == "PARALLEL"]
    assert lines["selectedParams"] == ["model._target_", "model.layers"]


def test_a_long_name_leaves_the_scores_their_room():
    named = [{"tags": [{"key": "mlflow.runName", "value": name}]} for name in ("a", "x" * 120)]
    widths = [view.view(runs)["columnWidths"]["attributes.`Run Name`"] for runs in (named[:1], named)]
    assert widths == [67, view.WIDEST]


def test_without_such_an_experiment_it_is_the_servers_own(port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Server, "known", False)
    assert view.opened_at(port, "my amps") == f"http://127.0.0.1:{port}"
    assert Server.told == []


def test_tags_that_are_no_lists_of_words_are_passed_over():
    broken = [{"tags": [{"key": "job_overrides", "value": value}], "params": []} for value in ("{", "3", "null")]
    assert view.swept([*broken, {"params": []}]) == []


def test_a_run_is_described_by_its_verdict_its_scores_and_what_to_type():
    scores = {"esr": 0.00123, "predicted_mushra": 97.0, "parameters": 5.0}
    told = view.description("abc", "7", "my `amp` #1", scores)
    assert told.startswith("**excellent, a rating of 97 of 100 is predicted**")
    assert "| ESR | 0.0012 |" in told
    assert "parameters" not in told
    assert "`ampsim render run='my '\"'\"'amp" not in told  # a quote in the name's place, and no end of the code
    assert told.count("`") == 2
    assert "(#/experiments/7/runs/abc/artifacts/listen.html)" in told
