"""How MLflow's page shows an experiment, on its runs in the order of their ESR, with the columns that matter; and a run."""

import json
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from ampsim.config.targets import assignments
from ampsim.metrics.scores import SCORES, verdict
from ampsim.runs.locations import asked

NAME = "ampsim"  # of the view
TAG = f"mlflow.sharedViewState.{NAME}"  # of an experiment: where MLflow looks for a view by its name
API = "/api/2.0/mlflow"
ANSWER_S = 10.0
MOST_RUNS = 500  # that are looked through for what was swept
MOST_SWEPT = 6  # columns for it
WIDEST = 280  # pixels of the column of names
MOST_DRAWN = 100  # runs in a chart of scores
CURVES = ("validation_esr", "loss")
BARS = ("esr", "predicted_mushra")
COSTS = ("test_real_time_factor", "test_parameters")  # that the ESR is drawn against
LINE = {
    "xAxisKey": "step",
    "yAxisKey": "metric",
    "range": {},
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
}
MOST_BYTES = 50_000_000


def opened_at(port: int, experiment: str) -> str:
    """The address at which the page of a server on loopback opens on the runs of an experiment.

    The view becomes a tag of the experiment, on which the address relies; where the server has no such experiment, or does
    not say, it is that of the server.
    """
    base = f"http://127.0.0.1:{port}"
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        found = answer(port, f"experiments/get-by-name?experiment_name={quote(experiment)}")["experiment"]
        number = str(found["experiment_id"])
        runs = answer(port, "runs/search", {"experiment_ids": [number], "max_results": MOST_RUNS}).get("runs", [])
        tag = {"experiment_id": number, "key": TAG, "value": json.dumps(view([each["data"] for each in runs]))}
        answer(port, "experiments/set-experiment-tag", tag)
        return f"{base}/#/experiments/{quote(number)}/runs?workflowType=machine_learning&viewStateShareKey={NAME}"
    return base


def view(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The state of MLflow's page of runs, as it shares one by a link, for runs as its API tells of them: the table's
    columns with their order and width, and the charts."""
    first, *scores = (f"metrics.`test_{score.name}`" for score in SCORES.values() if score.column)
    varied = swept(runs)
    columns = [first, *(f"params.`{key}`" for key in varied), *scores]
    widths = {column: wide(column.partition("`")[2]) for column in columns}
    names = [as_dict(run.get("tags", [])).get("mlflow.runName", "") for run in runs]
    lead = {"attributes.`Run Name`": min(wide(max(names, key=len, default="")), WIDEST), "runDateAndNestInfo": 135}
    charts, sections = drawn(varied)
    return {
        "searchFilter": "",
        "orderByKey": "metrics.`test_esr`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": [*columns, "attributes.`Duration`"],
        "columnOrder": [*lead, *columns, "duration"],
        "columnWidths": {**lead, **widths, "duration": 90},
        "runListHidden": False,
        "viewMaximized": False,
        "compareRunCharts": charts,
        "compareRunSections": sections,
        "isAccordionReordered": True,  # else the sections are put in the order of their names
        "groupBy": None,
    }


def drawn(varied: Sequence[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Charts of learning curves and of scores, and the sections that they stand in; MLflow draws those of the ten best
    runs, and puts what it makes of all other metrics into a section that is closed."""
    sections = ["Learning curves", "Scores", "Model metrics", "System metrics"]
    esr, points = "test_esr", {"type": "METRIC", "dataAccessKey": None}
    against = [{"xaxis": {"key": key, **points}, "yaxis": {"key": esr, **points}} for key in COSTS]
    charts = [
        *(chart(sections[0], "LINE", metricKey=key, scaleType="log", **LINE) for key in CURVES),
        *(chart(sections[1], "BAR", metricKey=f"test_{score}") for score in BARS),
        *(chart(sections[1], "SCATTER", **axes) for axes in against),
        *([chart(sections[1], "PARALLEL", selectedParams=varied, selectedMetrics=[esr])] if varied else []),
    ]
    return charts, [
        {"uuid": name, "name": name, "display": place < 2, "isReordered": False, "deleted": False, "isGenerated": False}
        for place, name in enumerate(sections)
    ]


def chart(section: str, kind: str, **what: Any) -> dict[str, Any]:
    """One chart as MLflow's page keeps it."""
    name = " ".join([section, kind, *map(str, what.values())])
    named = {"uuid": name, "type": kind, "metricSectionId": section, "deleted": False, "isGenerated": False}
    return {**named, "runsCountToCompare": MOST_DRAWN, **what}


def wide(title: str) -> int:
    """Pixels of a column in which its title is whole, the sign of the order included."""
    return 60 + 7 * len(title)


def swept(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The parameters that the newest sweeps gave several values, those of the newest first."""
    values: dict[str, set[str]] = {}
    for run in runs:
        tags, params = (as_dict(run.get(part, [])) for part in ("tags", "params"))
        with suppress(ValueError, TypeError):
            for key, value in assignments(json.loads(tags.get("job_overrides", "[]"))).items():
                known = next((name for name in (key, f"{key}._target_") if name in params), None)
                if known and not known.startswith("data."):
                    values.setdefault(known, set()).add(value)
    return [key for key, each in values.items() if len(each) > 1][:MOST_SWEPT]


def as_dict(pairs: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {each["key"]: each["value"] for each in pairs}


def answer(port: int, path: str, body: Any = None) -> Any:
    """What MLflow's API on loopback answers; raises ValueError where it answers otherwise."""
    return json.loads(asked(port, f"{API}/{path}", body, timeout_s=ANSWER_S, most=MOST_BYTES) or b"")


def description(
    run_id: str, experiment_id: str, name: str, scores: Mapping[str, float], *, pictures: bool = True
) -> str:
    """What a run's page opens with, in Markdown: what it came to, its spectrum if that is drawn, and what to type."""
    rows = [
        f"| {score.title} | {score.text(scores[score.name])} | {score.meaning} |"
        for score in SCORES.values()
        if score.headline and score.name in scores
    ]
    typed = shlex.quote(name).replace("`", "'")  # which would end the code that it stands in
    at = f"#/experiments/{experiment_id}/runs/{run_id}/artifacts"
    links, picture = (
        f"[the audio]({at}/audio) · `ampsim figures run={typed}` draws the figures and the listening page",
        [],
    )
    if pictures:
        links = f"[Listen to it]({at}/listen.html) · [the audio]({at}/audio) · [the figures]({at}/figures)"
        picture = [f"![FFT comparison](get-artifact?path=figures%2Ffft.png&run_uuid={run_id})"]
    lines = [
        f"**{verdict(scores) or 'scores on the test split'}**",
        links,
        f"`ampsim render run={typed} input=riff.wav output=out.wav`",
        "\n".join(["| score | | |", "|---|---|---|", *rows]),
        *picture,
    ]
    return "\n\n".join(lines)
