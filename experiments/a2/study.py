"""A2 Lite and Full after the same seconds, ours and, where its command is given, the reference trainer's; nets at their cost.

    python experiments/a2/study.py --data ds1 marshall_2204 thc_v30 --ours a2_minute
    python experiments/a2/study.py --data ds1 --ours a2_minute --peer "path/to/python path/to/run_nam_a2.py" --peer-budget 60s
    python experiments/a2/study.py --ours minute --steps 2500 --nets --data ds1 marshall_2204
    python experiments/a2/study.py --speed

AMPSIM_DATA names the folder of the recordings. Every fit is a process of its own, one after another. A peer is a command
that takes `TRAIN_INPUT TRAIN_TARGET TEST_INPUT TEST_TARGET BUDGET --delay SAMPLES` and prints one line of JSON; what it
prints is kept as it is. Results are added to results.jsonl beside this file.

`--nets` trains nets with a filter that cost a player no more than Full, Lite or a quarter of Lite: NETS, or those that are named.

`--speed` trains nothing that is kept: how many samples a second the step takes, by the wall clock and by the processor time
that it costs, what compiling costs, and how much of the speed of one large matrix product that is.
"""

import argparse
import itertools
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
# Channels, layers, kernel size, taps that are trained and solved for: a WaveNet and a filter, which a plugin plays in its slot.
# By what they may cost: 11,776, 1,731 and 433 multiplications a sample, and 1,410, 462 and 115 ns; one set by Lite's time alone.
NETS = {
    "full": [(16, 8, 3, 1024, 2304), (12, 8, 6, 1024, 2304), (12, 10, 3, 1024, 3072), (16, 9, 2, 1024, 3072)],
    "lite": [(8, 5, 2, 512, 192), (6, 7, 2, 512, 384), (4, 8, 3, 512, 640), (6, 6, 3, 512, 256), (8, 4, 3, 512, 128)],
    "lite's time": [(8, 8, 3, 1024, 1024), (8, 10, 3, 1024, 512), (12, 6, 3, 1024, 1024)],
    "quarter": [(4, 4, 2, 208, 0), (4, 5, 2, 160, 0), (4, 3, 3, 192, 0)],
}
RIGS = ("bad_cat_g12", "thc_v30", "brunetti_direct")


def words_for(data: str) -> list[str]:
    """A recording as words of the command line; a rig trains on its first file and is tested on its second."""
    if data not in RIGS:
        return [f"data={data}"]
    files = [f"{os.environ['AMPSIM_DATA']}/rigs/{data}_{part}.flac" for part in ("train", "test")]
    splits = f"{{train: 0.9, validation: 0.1, test: [{data}_test.flac]}}"
    return ["data=stereo", f"data.path=[{','.join(files)}]", f"data.splits={splits}"]


def fit_ours(words: list[str], steps: int | None) -> dict[str, Any]:
    """One run of ours, in this process; `steps` in place of the seconds, where a machine is busy."""
    from ampsim.config.run_config import RunConfig
    from ampsim.config.targets import build
    from ampsim.models import AmpModel
    from ampsim.recordings.preparing import prepare
    from ampsim.runs import experiment
    from ampsim.training.fit import Fit

    with tempfile.TemporaryDirectory() as folder:
        words = [*words, f"tracking.folder={folder}"]
        config, recording = RunConfig.compose(words), None
        if steps:
            recording = prepare(build(config["data"], "data"), notice=lambda _: None)
            epoch = Fit.of(config, recording).segments.num_steps(
                config["training"]["batch_size"] or AmpModel.batch_size
            )
            config = RunConfig.compose([*words, "training.seconds=null", f"training.epochs={steps / epoch}"])
        result = experiment.run(config, name="a2", recording=recording)
    training = config["training"]
    samples = result.state.step * (training["batch_size"] or AmpModel.batch_size) * training["segment_length"]
    nets = {"full": "", **({"lite": "lite"} if "lite_esr" in result.scores else {})}
    return {
        "steps": result.state.step,
        "samples_per_s": round(samples / result.state.elapsed_s),
        "validation_esr": {
            name: result.validated[f"best_validation_esr_{net}".rstrip("_")] for name, net in nets.items()
        },
        "test_esr": {name: result.scores[f"{net}_esr".lstrip("_")] for name, net in nets.items()},
    }


def shaped(net: tuple[int, ...]) -> tuple[list[str], dict[str, float]]:
    """A net of NETS as words of the command line, and what it costs: multiplications and nanoseconds a sample."""
    from ampsim.models import WaveNetCab, cost

    sizes = dict(zip(("channels", "layers", "kernel_size", "taps", "tail"), net, strict=True))
    model = WaveNetCab(**sizes, sample_rate=48_000)
    model.build()
    rig = model.as_rig()
    entries = rig.net.config["layers"]
    products = [a * b * taps for entry in entries for taps, a, b in cost.convolutions(entry, gated=False)]
    filtered = len(rig.response) * cost.SLOT_TAP_NS
    return [f"model.{name}={size}" for name, size in sizes.items()], {
        "multiplications": sum(products) + len(rig.response),
        "nanoseconds": round(cost.nanoseconds(rig.net) + filtered),
    }


def fit_peer(command: str, data: str, budget: str) -> dict[str, Any]:
    """The reference trainer on the same takes, by the delay that ours finds."""
    from ampsim.config.run_config import RunConfig
    from ampsim.config.targets import build
    from ampsim.recordings.preparing import prepare
    from ampsim.signals import audio

    recording = prepare(build(RunConfig.compose(words_for(data))["data"]), notice=lambda _: None)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for take in recording.takes:  # aligned already
            for side, samples in (("input", take.input), ("target", take.target)):
                paths.append(Path(folder) / f"{len(paths)}_{side}.wav")
                audio.write(paths[-1], samples, take.sample_rate, subtype="FLOAT")
        words = [*shlex.split(command), *map(str, paths), budget, "--delay", "0"]
        return answered(words)


def speed() -> dict[str, Any]:
    """The step of `a2_minute` in long segments, on the virtual amp."""
    import tensorflow as tf

    from ampsim.config.run_config import RunConfig
    from ampsim.config.targets import build
    from ampsim.recordings.preparing import prepare
    from ampsim.training.fit import Fit
    from ampsim.training.observer import Observer

    words = ["experiment=a2_minute", "data=virtual_amp", "training.segment_length=16384", "training.steps_per_call=2"]
    config = RunConfig.compose(words)
    fit = Fit.of(config, prepare(build(config["data"], "data"), notice=lambda _: None))
    trainer = fit.trainer()
    started = time.perf_counter(), time.process_time()
    trainer.warm_up(Observer())
    compiling = time.perf_counter() - started[0], time.process_time() - started[1]
    wall, processor = [], []
    for _ in range(12):
        started = time.perf_counter(), time.process_time()
        samples = trainer.call()
        wall.append((time.perf_counter() - started[0]) / samples)
        processor.append((time.process_time() - started[1]) / samples)
    matrix = tf.random.normal((1024, 1024))
    products = []
    for _ in range(12):
        began = time.process_time()
        tf.matmul(matrix, matrix).numpy()
        products.append(2 * 1024**3 / (time.process_time() - began))
    # A multiplication and an addition for every weight, forwards, for the input's gradient and for the weight's.
    work = 3 * 2 * (11_776 + 1_731)
    return {
        "compile_s": round(compiling[0], 1),
        "compile_processor_s": round(compiling[1], 1),
        "samples_per_s": round(1 / np.median(wall)),
        "samples_per_processor_s": round(1 / np.median(processor)),
        "gflop_per_processor_s": round(work / np.median(processor) / 1e9, 1),
        "of_a_large_product": round(work / np.median(processor) / np.median(products), 3),
    }


def answered(words: list[str]) -> dict[str, Any]:
    """What a command prints as its last line of JSON."""
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    lines = [line for line in answer.stdout.splitlines() if line.startswith("{")]
    if answer.returncode or not lines:
        raise SystemExit(f"{shlex.join(words)} failed:\n{answer.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def keep(row: dict[str, Any]) -> None:
    print(json.dumps(row), flush=True)
    with (HERE / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["ds1"], help=f"data choices of ampsim, or {', '.join(RIGS)}")
    parser.add_argument("--ours", nargs="*", default=["a2_minute"], help="experiments of ampsim")
    parser.add_argument("--set", nargs="*", default=[], help="more words for ours, such as training.epochs=8")
    parser.add_argument(
        "--steps", type=int, help="of ours, in place of its seconds: a busy machine takes fewer in a minute"
    )
    parser.add_argument("--nets", nargs="*", choices=NETS, help="train these of NETS; all where none is named")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--peer", help="command of another trainer")
    parser.add_argument("--peer-budget", default="60s")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        print(json.dumps(fit_ours(json.loads(options.fit), options.steps)))
        return
    if options.speed:
        keep({"speed": "a2_minute in segments of 16,384", **speed()})
        return
    of_steps = ["--steps", str(options.steps)] if options.steps else []
    costs = options.nets if options.nets or options.nets is None else list(NETS)
    shapes = [(cost, *shaped(net)) for cost in costs or () for net in NETS[cost]] or [("", [], {})]
    for seed, data in itertools.product(options.seeds, options.data):
        for name, (cost, sizes, costing) in itertools.product(options.ours, shapes):
            changed = [*sizes, *options.set]
            words = [f"experiment={name}", *words_for(data), f"seed={seed}", *changed]
            found = answered([sys.executable, __file__, "--fit", json.dumps(words), *of_steps])
            of_net = {"cost_of": cost, **costing} if cost else {}
            keep({"data": data, "trainer": name, "set": changed, "seed": seed, **of_net, **found})
        if options.peer:
            found = fit_peer(options.peer, data, options.peer_budget)
            keep({"data": data, "trainer": options.peer, "budget": options.peer_budget, "seed": seed, **found})


if __name__ == "__main__":
    main()
