"""How many recordings does an amp with knobs need, which, and what does it cost against a net for each setting?

    python experiments/knobs/study.py --counts 4 8 16 32 64                   # error at unseen settings by recordings
    python experiments/knobs/study.py --counts 8 16 --draws plan random next  # ampsim plan against chance and an ensemble
    python experiments/knobs/study.py --counts 16 --conditioning weights film bias --models wavenet_cab a2_full lstm
    python experiments/knobs/study.py --alone 10                              # nets that learn one unseen setting each
    python experiments/knobs/study.py --stages path/to/gain_stages            # learn 1, 2, 4, 6 of six; 3 and 5 are unseen
    python experiments/knobs/study.py --table                                 # prints results.csv, draws figure.png

On the embedded amp (gain, treble and master), where the truth is known everywhere; the unseen settings, drawn at random,
and what is played at them are the same for all. `plan` records what `ampsim plan` says first, `random` settings by chance,
rounded like the plan's, and `next` half of a plan and then what two nets that learnt that half disagree about (`ampsim plan
run=last`), which takes three times as long. Every fit is a process of its own; a row that is in results.csv already is not
made again.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.csv"
CONTROLS = {"gain": [1, 10], "treble": [0, 10], "master": [1, 10]}
# The delay that is estimated for this amp, the same for all fits, so that they differ in what they learn alone.
AMP = {"duration_s": 10.0, "delay": 3}
VALIDATIONS = 8  # of a fit that is told its steps
LEARNT, HELD_OUT = (1, 2, 4, 6), (3, 5)
KEY = ["data", "draw", "count", "model", "conditioning", "seed", "seconds", "steps"]
FIELDS = [*KEY, "median_esr", "worst_esr", "esrs"]


# ---- one fit, in a process of its own -------------------------------------------------------------------------------


def fit(key: dict[str, Any], unseen: int, folder: str) -> list[float]:
    """The ESR at each unseen setting, in the order of `unseen_settings`."""
    import ampsim

    training = {"seconds": key["seconds"] or None}
    if key["conditioning"]:
        training["conditioning"] = key["conditioning"]
    words = {"experiment": "minute", "seed": key["seed"], "training": training, "tracking": {"folder": folder}}
    words |= {"model": key["model"]} if key["model"] != "wavenet_cab" else {}
    if key["data"] == "gain_stages":
        recording = stages(key, Path(folder))
    elif key["draw"] == "alone":
        settings = unseen_settings(unseen)[key["count"]]
        recording = ampsim.load(data="virtual_knobs", settings=[{}], fixed=settings, unseen=1, **AMP)
    else:
        recording = at(drawn(key, words, folder), unseen)
    if key["steps"]:
        training["epochs"] = key["steps"] / epoch_steps(recording, key["model"])
        training["validate_every"] = max(training["epochs"] / VALIDATIONS, 1)
    run = ampsim.train(recording, **words)
    if not recording.controls:
        return [run.scores["esr"]]
    with run.tracked.file("settings.csv").open(encoding="utf-8") as file:
        return in_order(list(csv.DictReader(file)), [] if key["data"] == "gain_stages" else unseen_settings(unseen))


def in_order(rows: list[dict[str, str]], settings: list[dict[str, float]]) -> list[float]:
    """The ESR at each setting from the rows of a run, which sorts them; without settings as they come."""
    if not settings:
        return [float(row["esr"]) for row in rows]
    found = {tuple(float(row[name]) for name in CONTROLS): float(row["esr"]) for row in rows}
    return [found[tuple(setting.values())] for setting in settings]


def epoch_steps(recording: Any, model: str) -> int:
    """Optimizer steps of an epoch of `experiment=minute`."""
    from ampsim.config.run_config import RunConfig
    from ampsim.training.fit import Fit

    fit = Fit.of(RunConfig.compose(["experiment=minute", f"model={model}"]), recording)
    return fit.segments.num_steps(fit.model.batch_size)


def at(settings: list[dict[str, float]], unseen: int) -> Any:
    import ampsim

    return ampsim.load(data="virtual_knobs", controls=CONTROLS, settings=settings, unseen=unseen, **AMP)


def unseen_settings(count: int) -> list[dict[str, float]]:
    from ampsim.recordings import VirtualKnobs

    chosen = VirtualKnobs(controls=CONTROLS, count=2, unseen=count).chosen[2:]
    return [dict(zip(CONTROLS, values, strict=True)) for values in chosen]


def drawn(key: dict[str, Any], words: dict[str, Any], folder: str) -> list[dict[str, float]]:
    """The settings to record."""
    import ampsim

    count, seed = key["count"], key["seed"]
    if key["draw"] == "random":
        return by_chance(count, seed)
    if key["draw"] == "plan":
        return named(ampsim.plan(CONTROLS, count, seed=seed))
    first = named(ampsim.plan(CONTROLS, count // 2, seed=seed))
    for other in (100 + seed, 200 + seed):
        run = ampsim.train(at(first, 0), **{**words, "seed": other})
    return [*first, *named(ampsim.plan(run=run, count=count - len(first), seed=seed, folder=folder))]


def by_chance(count: int, seed: int) -> list[dict[str, float]]:
    import numpy as np

    from ampsim.recordings.controls import controls_of
    from ampsim.recordings.plan import values

    random, offered = np.random.default_rng([seed, 7]), [values(each) for each in controls_of(CONTROLS)]
    return [
        {name: float(random.choice(own)) for name, own in zip(CONTROLS, offered, strict=True)} for _ in range(count)
    ]


def named(plan: Any) -> list[dict[str, float]]:
    return [dict(zip(CONTROLS, values, strict=True)) for values in plan.settings]


def stages(key: dict[str, Any], folder: Path) -> Any:
    """One amp at six gain stages, of which two are unseen; or one of these alone, by a net of its own."""
    import ampsim

    source, shares = Path(key["folder"]), {"train": 0.65, "validation": 0.1, "test": 0.25}
    if key["draw"] == "alone":
        return ampsim.load(direct=source / "direct.flac", amp=source / f"stage_{key['count']}.flac", splits=shares)
    # All learn from the first 30 s; the unseen are scored on the last 10 s, which no net heard at any stage.
    pieces = [(stage, "0,30") for stage in LEARNT] + [(stage, "30,") for stage in HELD_OUT]
    rows = [f"{source}/direct.flac,{source}/stage_{stage}.flac,{times},{stage}" for stage, times in pieces]
    path = folder / "stages.csv"
    path.write_text("\n".join(["input,target,start,stop,stage [1..6]", *rows]))
    held = [f"{source}/stage_{stage}.flac 0:30.0" for stage in HELD_OUT]
    return ampsim.load(settings=path, splits={"train": 0.87, "validation": 0.13, "test": held})


# ---- the study ------------------------------------------------------------------------------------------------------


def jobs(options: argparse.Namespace) -> list[dict[str, Any]]:
    shared = [
        {
            "model": model,
            "seed": seed,
            "seconds": "" if options.steps else options.seconds,
            "steps": options.steps or "",
        }
        for model in options.models
        for seed in options.seeds
    ]
    found = [
        {"data": "virtual_knobs", "draw": draw, "count": count, "conditioning": conditioning, **each}
        for count in options.counts
        for draw in options.draws
        for conditioning in options.conditioning
        for each in shared
    ]
    plain = {"draw": "alone", "conditioning": ""}
    found += [
        {"data": "virtual_knobs", "count": index, **plain, **each} for index in range(options.alone) for each in shared
    ]
    if options.stages:
        data = {"data": "gain_stages", "folder": str(Path(options.stages).absolute())}
        together = [{"draw": "stages", "count": len(LEARNT), "conditioning": each} for each in options.conditioning]
        alone = [{"count": stage, **plain} for stage in HELD_OUT]
        found += [{**data, **each, **other} for each in (*together, *alone) for other in shared]
    return found


def rows() -> list[dict[str, str]]:
    if not RESULTS.exists():
        return []
    with RESULTS.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def done(job: dict[str, Any]) -> bool:
    return any(all(row[name] == str(job[name]) for name in KEY) for row in rows())


def append(row: dict[str, Any]) -> None:
    begun = RESULTS.exists()
    with RESULTS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, extrasaction="ignore")
        if not begun:
            writer.writeheader()
        writer.writerow(row)


def measure(job: dict[str, Any], unseen: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        given = json.dumps({"key": job, "unseen": unseen, "folder": folder})
        answer = subprocess.run([sys.executable, __file__, "--fit", given], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SystemExit(f"{job} failed:\n{answer.stderr[-3000:]}")
    esrs = json.loads(answer.stdout.rpartition("ESRS ")[2])
    row = {**job, "median_esr": round(statistics.median(esrs), 6), "worst_esr": round(max(esrs), 6)}
    print(row, flush=True)
    append({**row, "esrs": json.dumps([round(esr, 6) for esr in esrs])})


def table() -> None:
    """Print medians over seeds, and draw the error by the number of recordings."""
    found = defaultdict(list)
    for row in rows():
        alone = row["draw"] == "alone" and row["data"] == "virtual_knobs"
        found[tuple(row[name] if name != "count" or not alone else "each" for name in KEY if name != "seed")].append(
            row
        )
    for key, seeds in found.items():
        esrs = [float(row["median_esr"]) for row in seeds]
        spread = f"{min(esrs):.4f} to {max(esrs):.4f}, {len(esrs)} fits"
        print(f"{'  '.join(key):<70} median ESR {statistics.median(esrs):.4f}  ({spread})")
    draw()


def draw() -> None:
    import matplotlib.pyplot as plt

    lines: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    alone = [float(row["median_esr"]) for row in rows() if row["data"] == "virtual_knobs" and row["draw"] == "alone"]
    for row in rows():
        if row["data"] == "virtual_knobs" and row["draw"] != "alone":
            budget = f"{float(row['seconds']):g} s" if row["seconds"] else f"{row['steps']} steps"
            name = ", ".join((row["draw"], row["model"], row["conditioning"], budget))
            lines[name][int(row["count"])].append(float(row["median_esr"]))
    figure, panel = plt.subplots(figsize=(7, 4.6))
    for name, counts in sorted(lines.items()):
        points = sorted((count, statistics.median(esrs)) for count, esrs in counts.items())
        panel.plot(*zip(*points, strict=True), "o-", label=name)
        for count, esrs in counts.items():
            panel.plot([count] * len(esrs), esrs, ".", color="grey", ms=3)
    if alone:
        panel.axhline(statistics.median(alone), color="black", ls="--", label="a net for each setting")
    panel.set(xscale="log", yscale="log", xlabel="recordings of 10 s", ylabel="median ESR at unseen settings")
    panel.grid(alpha=0.3, which="both")
    if lines or alone:
        panel.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(HERE / "figure.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", nargs="*", type=int, default=[], help="of recordings")
    parser.add_argument("--draws", nargs="+", choices=["plan", "random", "next"], default=["plan"])
    parser.add_argument("--models", nargs="+", default=["wavenet_cab"], help="choices of the group `model`")
    parser.add_argument("--conditioning", nargs="+", default=["weights"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument(
        "--steps", type=int, default=0, help="a budget in place of the seconds, the same on any machine"
    )
    parser.add_argument("--unseen", type=int, default=50, help="settings that the nets are tested at")
    parser.add_argument("--alone", type=int, default=0, help="how many of them are learnt by a net each")
    parser.add_argument("--stages", default="", help="a folder with direct.flac and stage_1.flac to stage_6.flac")
    parser.add_argument("--table", action="store_true", help="of what is in results.csv; nothing is trained")
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        print("ESRS " + json.dumps(fit(**json.loads(options.fit))))
        return
    for job in [] if options.table else jobs(options):
        if not done(job):
            measure(job, options.unseen)
    table()


if __name__ == "__main__":
    main()
