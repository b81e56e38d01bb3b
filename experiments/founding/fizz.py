"""How much high treble the nets of the study put where the amp has less: the "fizz" of the founding text.

    python experiments/founding/fizz.py --folder runs

For each run of the newest sweep in a store: the level of its prediction above 5 kHz over that of the amp, in dB, and the
level of what is in the prediction there and not in the amp (the error above 5 kHz) over the amp's; then mean and standard
deviation over the seeds. Reads the audio that the runs keep.
"""

import argparse
from collections import defaultdict

import numpy as np
from scipy import signal

FROM_HZ = 5000.0


def main() -> None:
    from ampsim.comparing import comparison
    from ampsim.runs.tracking import Store, TrackedRun

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default="runs", help="where the runs are kept")
    parser.add_argument("--experiment", default="founding")
    parser.add_argument("--sweep", default="last")
    options = parser.parse_args()
    store = Store(options.folder, experiment=options.experiment)
    found = defaultdict(list)
    for child in store.children(store.find_sweep(options.sweep).id):
        run = TrackedRun(store.client, child)
        if run.status != "FINISHED":
            continue
        signals, sample_rate = comparison.listened(run)
        high = signal.butter(8, FROM_HZ, "highpass", fs=sample_rate, output="sos")
        amp, prediction = (signal.sosfiltfilt(high, signals[name]) for name in ("amp", "prediction"))
        optimizer = run.params["optimizer._target_"].rpartition(".")[2]
        levels = [decibels(prediction, amp), decibels(prediction - amp, amp)]
        found[optimizer, run.params["model.layers"]].append(levels)
    print(f"{'optimizer':<10}{'layers':>7}{'prediction':>18}{'error':>18}   dB above {FROM_HZ:g} Hz re the amp there")
    for (optimizer, layers), values in sorted(found.items()):
        mean, spread = np.mean(values, axis=0), np.std(values, axis=0, ddof=1) if len(values) > 1 else (np.nan, np.nan)
        cells = "".join(f"{m:>+11.1f} ± {s:4.1f}" for m, s in zip(mean, spread, strict=True))
        print(f"{optimizer:<10}{layers:>7}{cells}   ({len(values)} seeds)")


def decibels(part: np.ndarray, whole: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(part)) / np.mean(np.square(whole))))


if __name__ == "__main__":
    main()
