"""What a sweep costs beside its training, what a second process saves, and whether a store loses what many write at once.

    python experiments/speed/sweeps.py                    # about 10 minutes on two cores
    python experiments/speed/sweeps.py --parts overhead --epochs 0.2

Each sweep is the command itself, in a folder of its own; training is what the runs say of it (`elapsed_s`), so that
loading, scoring, figures and the store all count as overhead.

Parts:
    overhead  seconds a job beyond its training: of a whole command of 8 jobs, start and end included; and of each further
              job, from the difference to a command of 4
    two       8 equal jobs of one thread: two processes (hydra/launcher=joblib) beside one
    writers   4 processes that write 25 runs each to a fresh store at once: how many are there, whole
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

JOB = ["experiment=founding", "model.units=64", "model.window=1000", "training.segment_length=4096"]
RUNS, WRITERS, POINTS = 25, 4, 40

WRITER = """
import sys
from ampsim.runs.tracking import Store
for number in range(int(sys.argv[2])):
    run = Store(sys.argv[1]).start(f"writer {sys.argv[3]}", params={f"p{n}": n for n in range(60)}, tags={"whole": "no"})
    for step in range(1, int(sys.argv[4]) + 1):
        run.log_round({"step": step, "loss": 1 / step, "validation_loss": 2 / step})
    run.log_tags({"whole": "yes"})
    run.finish()
"""


def children(folder: Path) -> list:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'runs' / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("ampsim").experiment_id])
    return [run for run in runs if "sweep_hash" not in run.data.tags]


def sweep(words: list[str], jobs: int) -> tuple[float, float]:
    """Seconds of a command that trains `jobs` equal nets (but for the seed), and of the training in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "ampsim", "train", "-m", *JOB, *words, f"seed=range({jobs})"]
        started = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        made = children(folder)
        assert [run.info.status for run in made] == ["FINISHED"] * jobs
        return seconds, sum(run.data.metrics["elapsed_s"] for run in made)


def overhead(epochs: float) -> None:
    budget = [f"training.epochs={epochs}"]
    sweep(budget, 1)  # the recording is made and cached, the disk is warm
    (four, trained_four), (eight, trained_eight) = sweep(budget, 4), sweep(budget, 8)
    print(f"8 jobs one after another: {(eight - trained_eight) / 8:.2f} s a job beyond its training")
    further = ((eight - trained_eight) - (four - trained_four)) / 4
    print(f"each further job, in a process that is warm: {further:.2f} s")


def two(epochs: float) -> None:
    words = [f"training.epochs={epochs}", "sweep.threads=1"]
    one, trained = sweep(words, 8)
    both, _ = sweep([*words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], 8)
    print(f"8 jobs of one thread ({trained / 8:.1f} s of training each): {one:.1f} s one after another, ", end="")
    print(f"{both:.1f} s by two processes: {both / one:.2f} of the time")


def writers(_: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        store, started = Path(name) / "runs", time.perf_counter()
        numbers = [str(RUNS), "{}", str(POINTS)]
        commands = [[sys.executable, "-c", WRITER, str(store), *numbers] for _ in range(WRITERS)]
        begun = [
            subprocess.Popen([word.replace("{}", str(n)) for word in command]) for n, command in enumerate(commands)
        ]
        codes = [process.wait() for process in begun]
        whole = [
            run
            for run in children(Path(name))
            if run.info.status == "FINISHED" and run.data.tags["whole"] == "yes" and len(run.data.params) == 60
        ]
        print(f"{WRITERS} writers on a fresh store: {len(whole)} of {WRITERS * RUNS} runs are whole, ", end="")
        print(f"{time.perf_counter() - started:.0f} s, exit codes {codes}")


PARTS = {"overhead": overhead, "two": two, "writers": writers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--epochs", type=float, default=3.0, help="of each job")
    options = parser.parse_args()
    for part in options.parts:
        PARTS[part](options.epochs)


if __name__ == "__main__":
    main()
