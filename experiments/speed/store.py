"""What a command costs in a store that holds thousands of runs.

    python experiments/speed/store.py                     # about 3 minutes on two cores
    python experiments/speed/store.py --runs 200 --parts last name

One small run is trained; its rows in the database are then copied, each copy with scores of its own, and so are the
artifacts of a sweep's jobs. Every part is timed in a process of its own, after its imports and on an open store: CPU
seconds of that process, and seconds on the clock.

Parts:
    last, name, id, sweep   find one run
    unknown                 refuse a name that there is not, with the nearest
    start                   begin a run under a name that is taken
    two, all                compare two runs; all jobs of a sweep of 200, with table, figure and listening page
    begin                   from a sweep's command of 200 jobs, as it is typed, to its first job; 10 s on the clock at most
    seeds                   the other seeds of a config, by which `ampsim reproduce` judges

With 2,000 runs (224 MB), seconds of CPU on two cores of an AMD EPYC that did other work too: before the store was asked for what
is needed, and since.

    last       5.15    0.01
    name       5.28    0.01
    id         5.19    0.01
    sweep     11.10    0.02
    unknown    5.39    0.26
    start      5.41    0.12
    two       10.92    0.02
    all       27.43    1.12
    begin     14.41   10.47    of the sweep's own process; 10.11 in a store of 20 runs
    seeds         -    0.10

On the clock, with nothing else to do, `begin` was 26.8 s where importing TensorFlow and Keras takes 8: half of it is what the
server of the jobs imports, which now goes on while Hydra composes them: 20.9 s. The aim of 10 is not met.
"""

import argparse
import json
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

JOBS = 200
SMALL = ["model=dense", "model.window=64", "model.future=9", "model.layers=1", "model.units=4", "data.duration_s=12"]
SMALL += ["training.segment_length=1000", "training.epochs=2", "training.validate_every=0.05", "loss=esr"]
NAME = "mlflow.runName"  # the tag that MLflow finds names by
ROWS = {  # the tables of a run, and which of its columns names it
    "params": "run_uuid",
    "tags": "run_uuid",
    "latest_metrics": "run_uuid",
    "metrics": "run_uuid",
}


def make(folder: Path, count: int) -> None:
    """A store of `count` runs, of which the newest are the jobs of a sweep."""
    command = [sys.executable, "-m", "ampsim", "train", *SMALL, "name=job", "tracking.folder=runs"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    database = sqlite3.connect(folder / "runs" / "mlflow.db")
    database.row_factory = sqlite3.Row
    run = dict(database.execute("select * from runs").fetchone())
    rows = {
        table: [dict(row) for row in database.execute(f"select * from {table} where {key} = ?", [run["run_uuid"]])]
        for table, key in ROWS.items()
    }
    artifacts = folder / "runs" / "artifacts"
    parent = f"{count:032x}"
    insert(database, "runs", [{**copied(run, parent, count), "name": "sweep"}])
    marks = {"sweep_hash": "0", NAME: "sweep"}
    insert(database, "tags", [{"run_uuid": parent, "key": key, "value": value} for key, value in marks.items()])
    for number in range(count - 1):
        own = f"{number:032x}"
        insert(database, "runs", [copied(run, own, number)])
        for table, key in ROWS.items():
            insert(database, table, [changed({**row, key: own}, table, number) for row in rows[table]])
        if number >= count - 1 - JOBS:
            insert(database, "tags", [{"run_uuid": own, "key": "mlflow.parentRunId", "value": parent}])
            shutil.copytree(artifacts / run["run_uuid"], artifacts / own, ignore=shutil.ignore_patterns("figures"))
    database.commit()
    database.close()


def copied(run: dict[str, Any], own: str, number: int) -> dict[str, Any]:
    uri = run["artifact_uri"].replace(run["run_uuid"], own)
    started = run["start_time"] + 1000 * (number + 1)
    ended = started + run["end_time"] - run["start_time"]
    return {
        **run,
        "run_uuid": own,
        "name": named(number),
        "artifact_uri": uri,
        "start_time": started,
        "end_time": ended,
    }


def named(number: int) -> str:
    """As ampsim itself numbers runs; the one that was trained is `job`."""
    return f"job-{number + 2}"


def changed(row: dict[str, Any], table: str, number: int) -> dict[str, Any]:
    """The same row of another run: its name, seed and layers, its scores."""
    if table == "params" and row["key"] in ("seed", "model.layers"):
        row["value"] = str(number % 4 if row["key"] == "seed" else number // 4)
    if table == "tags" and row["key"] == NAME:
        row["value"] = named(number)
    if table == "tags" and row["key"] == "overrides":
        row["value"] = f"model.layers={number // 4} seed={number % 4}"
    if table.endswith("metrics"):
        row["value"] = row["value"] * (1 + (number * 7919 % 1000) / 10_000)
    return row


def insert(database: sqlite3.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        names = ", ".join(rows[0])
        database.executemany(f"insert into {table} ({names}) values ({marks})", [tuple(row.values()) for row in rows])


# ---- In a process of its own ----------------------------------------------------------------------------------------


def timed(part: str) -> None:
    """One part in the store of this folder; prints seconds of CPU and of the clock as JSON."""
    from ampsim import AmpsimError, api
    from ampsim.comparing import comparison
    from ampsim.judging import reproduction
    from ampsim.runs.tracking import Store

    newest = f"{0:032x}"
    if part == "begin":  # opens the store itself
        return print(json.dumps(begun()))
    store = Store("runs")
    run = store.find("job")
    config = yaml.safe_load(run.file("config.yaml").read_text(encoding="utf-8"))
    original = reproduction.of_run(run, config)

    def unknown() -> None:
        try:
            store.find("jobb")
        except AmpsimError:
            return

    acts: dict[str, Callable[[], Any]] = {
        "last": lambda: store.find("last"),
        "name": lambda: store.find("job-7"),
        "id": lambda: store.find(newest),
        "sweep": lambda: store.find_sweep("last"),
        "unknown": unknown,
        "start": lambda: store.start("job", params={}, tags={}).finish("KILLED"),
        "two": lambda: comparison.of_runs(store, ["last", "job-7"]),
        "all": lambda: api.compare(sweep="sweep"),
        "seeds": lambda: reproduction.siblings(original, store),
    }
    before, clock = spent(), time.perf_counter()
    acts[part]()
    print(json.dumps([spent() - before, time.perf_counter() - clock]))


def begun() -> tuple[float, float]:
    """CPU seconds and seconds on the clock from the start of a sweep's command until a first run of it trains."""
    command = [sys.executable, "-m", "ampsim", "train", "-m", *SMALL, f"seed=range({JOBS})"]
    started, before = time.time(), spent()
    with sqlite3.connect("runs/mlflow.db") as database:
        (known,) = database.execute("select count(*) from runs").fetchone()
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            while database.execute("select count(*) from runs").fetchone()[0] < known + 2:  # its parent, and a job
                if process.poll() is not None:
                    raise SystemExit("the sweep ended before its first job began")
                time.sleep(0.05)
            took = time.time() - started
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    return spent() - before, took


def spent() -> float:
    return sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in (0, -1))


PARTS = ("last", "name", "id", "sweep", "unknown", "start", "two", "all", "begin", "seeds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument(
        "--folder", type=Path, help="of a store that an earlier call left here; made if it is not there"
    )
    parser.add_argument("--timed", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.timed:
        return timed(options.timed)
    with tempfile.TemporaryDirectory() as name:
        folder = (options.folder or Path(name)).absolute()
        if not (folder / "runs").exists():
            folder.mkdir(exist_ok=True)
            make(folder, options.runs)
        size = (folder / "runs" / "mlflow.db").stat().st_size / 1e6
        print(f"{options.runs} runs, {size:.0f} MB", flush=True)
        for part in options.parts:
            command = [sys.executable, str(Path(__file__).absolute()), "--timed", part]
            said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
            cpu, clock = json.loads(said.splitlines()[-1])
            print(f"{part:8} {cpu:6.2f} s of CPU, {clock:6.2f} s", flush=True)


if __name__ == "__main__":
    main()
