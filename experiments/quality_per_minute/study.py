"""How good an amp a minute buys: families, and other trainers, on the same recording for the same wall time.

    python experiments/quality_per_minute/study.py --data marshall_2204 --seconds 60 --ours minute lstm wavenet dense
    python experiments/quality_per_minute/study.py --data ds1 --seconds 60 300 --ours minute \\
        --peer "standard=path/to/python path/to/runner.py --arch standard"
    python experiments/quality_per_minute/study.py --table

Every fit is a process of its own, one after another, and all of them take turns, so that a machine whose speed drifts
favours nobody. The time counts compiling and validating, not the start of Python. A peer is any command that takes
`--input --output` (mono WAV files of one rate, aligned), `--train --val --test` (A:B in samples), `--seconds` and
`--seed`, and prints a JSON with `test_esr`. Choices between our own were made on the validation split; the table is of the
test split. Results are added to results.csv beside this file; `--table` prints them and draws figure.png.
"""

import argparse
import csv
import json
import shlex
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
OURS = {
    "minute": [],
    "five_minutes": ["experiment=five_minutes"],
    "wavenet": ["model=wavenet_standard"],
    "lstm": [
        "model=lstm",
        "model.units=40",
        "optimizer=adam",
        "optimizer.learning_rate=0.005",
    ],
    "tcn": ["model=tcn"],
    "ssm": ["model=ssm", "optimizer=adam", "optimizer.learning_rate=0.004"],
    "wiener_hammerstein": ["model=wiener_hammerstein", "optimizer=adam", "optimizer.learning_rate=0.004"],
    "dense": ["experiment=founding", "training.epochs=null"],
}
FIELDS = ["data", "trainer", "seconds", "seed", "parameters", "samples_per_s", "test_esr", "rounds"]


def fit_ours(name: str, data: str, seconds: float, seed: int) -> dict:
    """One run of ours, in this process."""
    import contextlib
    import io

    from ampsim.config.run_config import RunConfig
    from ampsim.config.targets import build
    from ampsim.runs import experiment

    chosen = OURS[name] if any("experiment=" in word for word in OURS[name]) else ["experiment=minute", *OURS[name]]
    with tempfile.TemporaryDirectory() as folder:
        words = [*chosen, f"data={data}", f"training.seconds={seconds}", f"seed={seed}", f"tracking.folder={folder}"]
        with contextlib.redirect_stdout(io.StringIO()):
            config = RunConfig.compose(words)
            result = experiment.run(config, name=name)
    rounds = [[row["elapsed_s"], row["validation_esr"]] for row in result.state.intervals if "validation_esr" in row]
    batch_size = config["training"]["batch_size"] or build(config["model"]).batch_size
    samples = result.state.step * batch_size * config["training"]["segment_length"]
    return {
        "parameters": int(result.scores["parameters"]),
        "samples_per_s": samples / result.state.elapsed_s,
        "test_esr": result.scores["esr"],
        "rounds": rounds,
    }


def fit_peer(command: str, data: str, seconds: float, seed: int, folder: Path) -> dict:
    """One fit of another trainer on the same samples."""
    words = [*shlex.split(command), *prepared(data, folder), "--seconds", str(seconds), "--seed", str(seed)]
    answer = json.loads(answered(words))
    return {
        "parameters": answer.get("parameters", ""),
        "samples_per_s": answer.get("train_samples_per_s", ""),
        "test_esr": answer["test_esr"],
        "rounds": [],
    }


def prepared(data: str, folder: Path) -> list[str]:
    """The recording as two mono files, takes one after another, and the splits as spans of them."""
    from ampsim.config.run_config import RunConfig
    from ampsim.config.targets import build
    from ampsim.recordings.preparing import prepare
    from ampsim.signals import audio

    recording = prepare(build(RunConfig.compose(["experiment=minute", f"data={data}"])["data"]), notice=lambda _: None)
    takes, splits = recording.takes, recording.split(gap=8192)
    first = dict(zip(map(id, takes), np.cumsum([0, *(len(take.input) for take in takes[:-1])]), strict=True))
    words = []
    for side in ("input", "output"):
        path = folder / f"{data}_{side}.wav"
        if not path.exists():
            parts = [take.input if side == "input" else take.target for take in takes]
            audio.write(path, np.concatenate(parts), takes[0].sample_rate, subtype="FLOAT")
        words += [f"--{side}", str(path)]
    for option, name in (("--train", "train"), ("--val", "validation"), ("--test", "test")):
        longest = max(splits[name], key=len)  # a peer takes one span of each
        start = first[id(longest.take)] + longest.start
        words += [option, f"{start}:{start + len(longest)}"]
    return words


def answered(words: list[str]) -> str:
    """What a command prints, from its first brace on."""
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SystemExit(f"{shlex.join(words)} failed:\n{answer.stderr[-3000:]}")
    return answer.stdout[answer.stdout.index("{") :]


def table() -> None:
    """Print the medians over seeds and draw test ESR against seconds."""
    import matplotlib.pyplot as plt

    with (HERE / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found: dict = defaultdict(list)
    for row in rows:
        found[row["data"], row["trainer"], float(row["seconds"])].append(float(row["test_esr"]))
    for (data, trainer, seconds), values in sorted(found.items(), key=lambda item: (item[0][0], item[0][2], item[1])):
        print(f"{data:<16}{trainer:<22}{seconds:>5.0f} s  test ESR {np.median(values):.4f}  ({len(values)} fits)")
    recordings = sorted({row["data"] for row in rows})
    figure, panels = plt.subplots(1, len(recordings), figsize=(5.5 * len(recordings), 4.6), sharey=True, squeeze=False)
    trainers = sorted({row["trainer"] for row in rows})
    colours = dict(zip(trainers, plt.cm.tab10.colors * 2, strict=False))
    for panel, data in zip(panels[0], recordings, strict=True):
        for trainer in trainers:
            points = sorted((s, np.median(v)) for (d, t, s), v in found.items() if (d, t) == (data, trainer))
            if points:
                panel.plot(*zip(*points, strict=True), "o", color=colours[trainer], label=trainer)
            curves = [r for r in rows if (r["data"], r["trainer"]) == (data, trainer)]
            longest = max(curves, key=lambda r: float(r["seconds"]), default=None)
            curve = json.loads(longest["rounds"]) if longest else []
            if curve:
                panel.plot(*zip(*curve, strict=True), color=colours[trainer], lw=1, alpha=0.6)
        panel.set(xscale="log", yscale="log", xlabel="wall time of training (s)", title=data)
        panel.grid(alpha=0.3, which="both")
        panel.legend(fontsize=8)
    panels[0, 0].set_ylabel("ESR (points: test; lines: validation)")
    figure.tight_layout()
    figure.savefig(HERE / "figure.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["virtual_amp"], help="data choices of ampsim")
    parser.add_argument("--seconds", nargs="+", type=float, default=[60.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--ours", nargs="*", default=["minute"], choices=[*OURS], metavar="NAME", help=", ".join(OURS))
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--table", action="store_true", help="of what is in results.csv; nothing is trained")
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        print(json.dumps(fit_ours(**json.loads(options.fit))))
        return
    peers = dict(peer.split("=", 1) for peer in options.peer)
    with tempfile.TemporaryDirectory() as folder:
        for seed in [] if options.table else options.seeds:
            for data in options.data:
                for seconds in options.seconds:
                    for name in [*options.ours, *peers]:
                        if name in peers:
                            found = fit_peer(peers[name], data, seconds, seed, Path(folder))
                        else:
                            given = {"name": name, "data": data, "seconds": seconds, "seed": seed}
                            found = json.loads(answered([sys.executable, __file__, "--fit", json.dumps(given)]))
                        row = {"data": data, "trainer": name, "seconds": seconds, "seed": seed, **found}
                        print({key: value for key, value in row.items() if key != "rounds"}, flush=True)
                        append(row)
    table()


def append(row: dict) -> None:
    path = HERE / "results.csv"
    begun = path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        if not begun:
            writer.writeheader()
        writer.writerow(row | {"rounds": json.dumps([[round(s, 1), round(e, 5)] for s, e in row["rounds"]])})


if __name__ == "__main__":
    main()
