"""What lowers hiss and aliasing at no cost in a player, and what it costs in ESR; scored on the validation split.

python experiments/aliasing/study.py > aliasing.csv            # AMPSIM_DATA names the folder with marshall_2204/
python experiments/aliasing/study.py 0.05 > trial.csv          # a twentieth of the epochs, to see that it runs
"""

import csv
import sys
import time
from functools import cache

from ampsim.config.run_config import RunConfig
from ampsim.config.targets import build
from ampsim.recordings.preparing import Recording, prepare
from ampsim.runs.evaluation import evaluate
from ampsim.training.fit import Fit

VIRTUAL, MARSHALL = ("data=virtual_amp", 8.0), ("data=marshall_2204", 1.0)
TODAY = ("loss=esr_both", "model.treble=0")
TREBLE = ("loss=esr_treble", "model.treble=1")
RUNS = (
    *(
        (VIRTUAL, words, seed)
        for seed in (0, 1)
        for words in (TODAY, TREBLE, (*TREBLE, "training.anti_aliasing=0.001"))
    ),
    *((VIRTUAL, words, 2) for words in (TODAY, TREBLE)),
    (VIRTUAL, (*TREBLE, "loss.terms.esr_whitened.weight=0.1"), 0),
    *((VIRTUAL, (*TODAY, f"training.anti_aliasing={weight}"), 0) for weight in (0.001, 0.01, 0.1)),
    *((MARSHALL, words, 0) for words in (TODAY, TREBLE, (*TREBLE, "training.anti_aliasing=0.001"))),
)
SCORES = ("esr", "a_weighted_esr", "predicted_mushra", "aliasing_db", "aliasing_worst_db", "hiss_db")


@cache
def recording(data: str) -> Recording:
    return prepare(build(RunConfig.compose([data])["data"], "data"), notice=lambda text: None)


def main(share: float) -> None:
    table = csv.writer(sys.stdout)
    table.writerow(["data", "setting", "seed", *SCORES, "steps", "seconds"])
    for (data, epochs), words, seed in RUNS:
        budget = ["experiment=minute", "training.seconds=null", f"training.epochs={share * epochs}"]
        fit = Fit.of(RunConfig.compose([*budget, data, *words, f"seed={seed}"]), recording(data))
        started = time.perf_counter()
        state = fit.trainer().fit()
        seconds = time.perf_counter() - started
        scores = evaluate(fit.model, fit.splits["validation"]).scores
        row = [data.removeprefix("data="), " ".join(words), seed, *(f"{scores[name]:.4g}" for name in SCORES)]
        table.writerow([*row, state.step, round(seconds)])
        sys.stdout.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
