"""Real-time factors of exported models, each in its own runtime, block by block on one core, as a plugin would play them.

    python experiments/speed/exports.py                                   # about 20 minutes
    python experiments/speed/exports.py --models lstm --formats onnx --blocks 64 2048 --seconds 1

The factor is time over audio: below 1 keeps up, below 0.5 leaves half of a core to the rest. An untrained model costs what
a trained one does. Each measurement runs in a process of its own, bound to one core; the best of several turns counts, as
others on the machine can only add time. `nam` is played by the NumPy reader of ampsim, and by NeuralAmpModelerCore where
AMPSIM_NAM_BENCH names a program that takes a .nam file and a block length and prints the factor.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAMPLE_RATE = 48_000
MODELS = {
    "wavenet_nano": [],
    "wavenet_feather": [],
    "wavenet_lite": [],
    "wavenet_standard": [],
    "wavenet_cab": [],
    "lstm": [],
    "lstm_40": ["model=lstm", "model.units=40"],
    "lstm_64": ["model=lstm", "model.units=64"],
    "gru": [],
    "tcn": [],
    "ssm": [],
    "fir": [],
    "wiener_hammerstein": [],
    "dense": [],
    "spectral_dense": [],
}
BLOCKS = [64, 128, 256, 512, 1024, 2048]
TURNS = 3


def measured(name: str, form: str, block: int, seconds: float) -> dict:
    """In a process of its own: export, load and play; the best factor of several turns."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import numpy as np

    from ampsim import captures
    from ampsim.config import settings
    from ampsim.config.targets import build
    from ampsim.export import FORMATS, Details

    config = settings.composed(MODELS[name] or [f"model={name}"])["model"]
    model = build(config, sample_rate=SAMPLE_RATE)
    model.build()
    each = FORMATS[form]
    if each.refusal(model):
        return {"refused": each.refusal(model)}
    signal = (0.1 * np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{each.ending}"
        each.write(model, path, Details(block_length=block))
        play = by_hand(captures.read(path).player, block) if form == "nam" else each.load(path)
        play(signal)
        times = []
        for _ in range(TURNS):
            started = time.perf_counter()
            play(signal)
            times.append(time.perf_counter() - started)
        found = {"factor": min(times) / seconds, "parameters": model.count_params()}
        bench = os.environ.get("AMPSIM_NAM_BENCH")
        if form == "nam" and bench:
            answer = subprocess.run([bench, str(path), str(block)], capture_output=True, text=True, check=True)
            found["core"] = float(answer.stdout.split()[-1])
    return found


def by_hand(player, block: int):
    """A capture's player, given blocks of one length."""

    def play(signal):
        state = player.reset_state()
        for start in range(0, len(signal), block):
            _, state = player.stream(signal[start : start + block], state)

    return play


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--formats", nargs="+", default=["onnx", "litert", "nam"], choices=["onnx", "litert", "nam"])
    parser.add_argument("--blocks", nargs="+", type=int, default=BLOCKS)
    parser.add_argument("--seconds", type=float, default=2.0, help="of audio in a turn")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, form, block = options.one
        print(json.dumps(measured(name, form, int(block), options.seconds)))
        return

    largest: dict[str, tuple[int, str]] = {}
    print(f"{'model':<20}{'parameters':>11} {'runtime':<8}" + "".join(f"{block:>8}" for block in options.blocks))
    for name in options.models:
        for form in options.formats:
            rows = [one(name, form, block, options.seconds) for block in options.blocks]
            if "factor" not in rows[0]:
                continue
            line = "".join(f"{row['factor']:>8.3f}" for row in rows)
            print(f"{name:<20}{rows[0]['parameters']:>11,} {form:<8}{line}", flush=True)
            if all("core" in row for row in rows):
                print(f"{name:<20}{'':>11} {'core':<8}" + "".join(f"{row['core']:>8.3f}" for row in rows), flush=True)
            if max(row["factor"] for row in rows) < 0.5:
                largest[form] = max(largest.get(form, (0, "")), (rows[0]["parameters"], name))
    for form, (parameters, name) in largest.items():
        print(f"{form}: the largest below half of real time at every block is {name}, {parameters:,} parameters")


def one(name: str, form: str, block: int, seconds: float) -> dict:
    command = [sys.executable, __file__, "--one", name, form, str(block), "--seconds", str(seconds)]
    # One thread for whatever counts the machine's cores rather than those it may use.
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **single})
    if done.returncode:
        sys.exit(f"{name}, {form}, {block}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
