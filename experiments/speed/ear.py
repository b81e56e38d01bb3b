"""What the ear costs: a training step with each loss beside one with MSE, and scoring two minutes with every metric.

    python experiments/speed/ear.py                                  # the founding net, about 3 minutes
    python experiments/speed/ear.py --model wavenet_cab --beside esr --losses mfcc balanced

Losses take turns with MSE, or the one that `--beside` names, in one process; the ratio is of medians, with the least and the
most that a pair of turns gave.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path


def steps_per_s(trainer, calls: int) -> float:
    began, before = time.perf_counter(), trainer.state.step
    for _ in range(calls):
        trainer.call()
    return (trainer.state.step - before) / (time.perf_counter() - began)


def made(options: argparse.Namespace, loss: str):
    """A trainer of the founding experiment with another loss (and model), past its compilation."""
    import keras

    from ampsim.config import settings
    from ampsim.config.targets import build
    from ampsim.recordings.splits import split
    from ampsim.training.segments import Segments
    from ampsim.training.trainer import Trainer

    config = settings.composed(["experiment=founding", f"loss={loss}", f"model={options.model}", "data.duration_s=60"])
    source = build(config["data"])
    takes = source.load()
    keras.utils.set_random_seed(0)
    model = build(config["model"], sample_rate=takes[0].sample_rate)
    model.build()
    splits = split(takes, source.splits, gap=model.receptive_field)
    training = dict(config["training"]) | {"epochs": 1e6, "seconds": None}
    del training["devices"]
    length = training.pop("segment_length")
    segments = Segments(splits["train"], history=model.history, lookahead=model.lookahead, segment_length=length)
    prepared = build(config["loss"]).prepare(
        sample_rate=takes[0].sample_rate, segment_length=length, target=segments.targets()
    )
    parts = [build(config[name]) for name in ("optimizer", "schedule")]
    trainer = Trainer(model, prepared, *parts, segments, splits["validation"], **training)
    trainer.call()
    return trainer


def losses(options: argparse.Namespace) -> None:
    plain = made(options, options.beside)
    for name in options.losses:
        trainer = made(options, name)
        ratios = []
        for _ in range(options.turns):
            ratios.append(steps_per_s(plain, options.calls) / steps_per_s(trainer, options.calls))
        ratios.sort()
        print(
            f"a step with {name}: {statistics.median(ratios):.2f} times a step with {options.beside} "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f} over {options.turns} turns)",
            flush=True,
        )


def evaluation(options: argparse.Namespace) -> None:
    """Every metric and figure of a run on two minutes, the rendering of these minutes apart."""
    import keras

    from ampsim.config import settings
    from ampsim.config.targets import build
    from ampsim.models.rendering import Renderer
    from ampsim.recordings.pairs import Span
    from ampsim.runs.artifacts import record_result
    from ampsim.runs.evaluation import evaluate, floors
    from ampsim.runs.tracking import Store
    from ampsim.training.state import State

    data = settings.composed(["data.duration_s=240"])["data"]
    (take,) = build(data).load()
    half = len(take.input) // 2
    keras.utils.set_random_seed(0)
    model = build(settings.composed([f"model={options.model}"])["model"], sample_rate=take.sample_rate)
    model.build()
    train, test = [Span(take, 0, half)], [Span(take, half, 2 * half)]
    renderer = Renderer(model)
    renderer(take.input[: 2 * take.sample_rate])
    began = time.perf_counter()
    renderer.span(test[0])
    rendering = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        tracked = Store(folder).start("speed", params={}, tags={})
        began = time.perf_counter()
        found = evaluate(model, test)
        found.scores.update(floors(train, test, test, future=model.future))
        scored = time.perf_counter() - began
        artifacts = Path(folder) / "of_the_run"
        artifacts.mkdir()
        (artifacts / "config.yaml").write_text("model: dense\n", encoding="utf-8")  # which the page shows
        record_result(tracked, artifacts, State(), found, take.sample_rate)
        total = time.perf_counter() - began
    print(
        f"two minutes with every metric and figure: {total - rendering:.1f} s beside the rendering "
        f"({rendering:.1f} s); of these the metrics {scored - rendering:.1f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["losses", "evaluation"])
    parser.add_argument("--losses", nargs="+", default=["mrstft", "a_weighted", "ear"])
    parser.add_argument("--beside", default="mse", help="the loss whose steps are the measure")
    parser.add_argument("--model", default="dense")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--calls", type=int, default=4, help="of 8 steps each, a turn")
    options = parser.parse_args()
    for part in options.parts:
        globals()[part](options)


if __name__ == "__main__":
    main()
