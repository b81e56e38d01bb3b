"""Tables and the figure of the study of losses, from the file that `study.py` wrote.

    python experiments/ear/analysis.py experiments/ear/ear.csv > tables.md    # and ear.png beside the file

Differences to the default are paired: the same recording, family and seed. Intervals and p-values are of sign flips of these
pairs (10,000, the same for all losses at once), the largest t of all losses being what each is held against (max-t, Westfall
and Young, 1993), so that they hold for all losses together. They say what other seeds would change, on these recordings.

How two metrics agree is Spearman's rank correlation over all runs of a recording, the mean of the recordings; its interval is
a bootstrap that draws recordings and, of each drawn, runs.
"""

import sys
from itertools import combinations
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

DEFAULT = "esr_treble"
PAIRED = ["recording", "family", "seed"]
# Column of a split or of the model, title, format; an ESR is compared by its logarithm, in per cent.
METRICS = {
    "predicted_mushra": ("predicted MUSHRA", "{:+.1f}"),
    "zimtohrli_mos": ("Zimtohrli", "{:+.3f}"),
    "esr": ("ESR", "{:+.0%}"),
    "hiss_db": ("hiss, dB from the amp's", "{:+.1f}"),
    "aliasing_db": ("aliasing, dB", "{:+.1f}"),
}
AGREEING = [
    "esr",
    "a_weighted_esr",
    "log_spectral_distance_db",
    "fluctuation_db",
    "hiss_db",
    "predicted_mushra",
    "zimtohrli_mos",
]
DRAWS = 10_000
random = np.random.default_rng(0)


def column(rows: pd.DataFrame, metric: str, split: str) -> pd.Series:
    """A metric as it is compared: the logarithm of an ESR, the size of hiss that is above or below the amp's."""
    values = rows[metric if metric in rows else f"{split}_{metric}"]
    return np.log(values) if metric == "esr" else values.abs() if metric == "hiss_db" else values


def differences(rows: pd.DataFrame, metric: str, split: str) -> pd.DataFrame:
    """Each loss less the default, (pairs, losses), of the pairs that all losses have."""
    table = rows.assign(value=column(rows, metric, split)).pivot_table(index=PAIRED, columns="loss", values="value")
    table = table.dropna()
    return table.drop(columns=DEFAULT).sub(table[DEFAULT], axis=0)


def max_t(found: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, half widths of 95 % intervals and p-values of (pairs, losses) differences, for all losses at once."""
    count = len(found)
    mean, error = found.mean(axis=0), np.maximum(stats.sem(found, axis=0), 1e-12)
    signs = random.choice([-1.0, 1.0], (DRAWS, count))
    means = signs @ found / count
    errors = np.sqrt(np.maximum(np.mean(found**2, axis=0) - means**2, 1e-24) / (count - 1))
    largest = np.max(np.abs(means / errors), axis=1)
    p = (1 + np.sum(largest[:, None] >= (1 - 1e-6) * np.abs(mean / error), axis=0)) / (1 + DRAWS)
    return mean, np.quantile(largest, 0.95) * error, p


def told(metric: str, mean: float, half: float, p: float) -> str:
    low, high = mean - half, mean + half
    if metric == "esr":
        mean, low, high = np.expm1([mean, low, high])
    text = METRICS[metric][1]
    cell = f"{text.format(mean)} ({text.format(low)} to {text.format(high)})"
    return f"**{cell}**" if p < 0.05 else cell


def verdicts(rows: pd.DataFrame, split: str) -> tuple[list[str], dict[str, tuple[float, float]]]:
    """A table of differences to the default, and those of predicted MUSHRA for the figure."""
    cells: dict[str, list[str]] = {}
    drawn: dict[str, tuple[float, float]] = {}
    for metric in METRICS:
        found = differences(rows, metric, split)
        if len(found) < 2:
            continue
        for loss, *values in zip(found.columns, *max_t(found.to_numpy()), strict=True):
            cells.setdefault(loss, []).append(told(metric, *values))
            if metric == "predicted_mushra":
                drawn[loss] = (values[0], values[1])
    lines = ["| loss | " + " | ".join(title for title, _ in METRICS.values()) + " |", "|---" * (1 + len(METRICS)) + "|"]
    order = sorted(cells, key=lambda loss: -drawn[loss][0])
    return lines + [f"| `{loss}` | " + " | ".join(cells[loss]) + " |" for loss in order], drawn


def by_family(rows: pd.DataFrame) -> list[str]:
    """A table of two differences to the default in each family, on validation; all losses of one family at once."""
    cells: dict[str, list[str]] = {}
    titles = []
    for family, part in rows.groupby("family"):
        for metric in ("predicted_mushra", "esr"):
            titles.append(f"`{family}`: {METRICS[metric][0]}")
            found = differences(part, metric, "validation")
            for loss, *values in zip(found.columns, *max_t(found.to_numpy()), strict=True):
                cells.setdefault(loss, []).append(told(metric, *values))
    lines = ["| loss | " + " | ".join(titles) + " |", "|---" * (1 + len(titles)) + "|"]
    return lines + [f"| `{loss}` | " + " | ".join(each) + " |" for loss, each in sorted(cells.items())]


def agreement(rows: pd.DataFrame) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Spearman's correlation of each two metrics on the test split, and its 95 % interval."""
    parts = [part for _, part in rows.groupby("recording")]
    values = [np.stack([column(part, each, "test") for each in AGREEING], axis=1) for part in parts]
    found = correlations(values)
    drawn = []
    for _ in range(1000):
        chosen = [values[k] for k in random.integers(0, len(values), len(values))]
        drawn.append(correlations([part[random.integers(0, len(part), len(part))] for part in chosen]))
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    return {
        (AGREEING[a], AGREEING[b]): (found[a, b], low[a, b], high[a, b])
        for a, b in combinations(range(len(AGREEING)), 2)
    }


def correlations(parts: list[np.ndarray]) -> np.ndarray:
    """The mean over recordings of the rank correlations of their (runs, metrics), without runs that lack one of two."""
    matrices = []
    for part in parts:
        matrix = np.where(np.triu(np.ones((part.shape[1],) * 2), 1) > 0, np.nan, 0.0)
        for a, b in combinations(range(part.shape[1]), 2):
            both = part[np.isfinite(part[:, [a, b]]).all(axis=1)][:, [a, b]]
            if len(both) > 2 and np.ptp(both, axis=0).all():
                matrix[a, b] = np.corrcoef(stats.rankdata(both, axis=0).T)[0, 1]
        matrices.append(matrix)
    known = np.isfinite(matrices).sum(axis=0)
    return np.where(known > 0, np.nansum(matrices, axis=0) / np.maximum(known, 1), np.nan)


def figure(drawn: dict[str, dict[str, tuple[float, float]]], agreeing: dict, path: Path) -> None:
    left, right = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", gridspec_kw={"width_ratios": [1, 1.1]})[1]
    losses = sorted(drawn["validation"], key=lambda loss: drawn["validation"][loss][0])
    for shift, (split, found) in zip((0.12, -0.12), drawn.items(), strict=True):
        means, halves = zip(*(found[loss] for loss in losses), strict=True)
        left.errorbar(means, np.arange(len(losses)) + shift, xerr=halves, fmt="o", capsize=3, label=split)
    left.axvline(0, color="grey", lw=1)
    left.set_yticks(range(len(losses)), losses)
    left.set_xlabel(f"predicted MUSHRA less that of {DEFAULT} (95 %, all losses at once)")
    left.legend(loc="lower right")
    pairs = sorted(agreeing.items(), key=lambda item: item[1][0])
    for row, (_, (value, low, high)) in enumerate(pairs):
        right.plot([low, high], [row, row], color="tab:blue", lw=1.5)
        right.plot(value, row, "o", color="tab:blue", ms=4)
    right.axvline(0, color="grey", lw=1)
    right.set_yticks(range(len(pairs)), [f"{one} / {other}" for (one, other), _ in pairs], fontsize=6)
    right.set_xlabel("rank correlation over runs (95 %, recordings drawn)")
    plt.savefig(path, dpi=110)


def main(path: Path) -> None:
    rows = pd.read_csv(path)
    complete = rows.groupby("loss").size()
    print(f"{len(rows)} runs: {', '.join(f'{loss} {count}' for loss, count in complete.items())}")
    print(f"families: {', '.join(f'{name} {count}' for name, count in rows.groupby('family').size().items())}")
    drawn = {}
    for split in ("validation", "test"):
        lines, drawn[split] = verdicts(rows, split)
        print(f"\n{split} ({len(differences(rows, 'predicted_mushra', split))} pairs a loss)\n")
        print("\n".join(lines))
    agreeing = agreement(rows)
    print("\n| metrics | rank correlation (95 %) |\n|---|---|")
    for (one, other), (value, low, high) in agreeing.items():
        print(f"| `{one}`, `{other}` | {value:+.2f} ({low:+.2f} to {high:+.2f}) |")
    print("\n" + "\n".join(by_family(rows)))
    figure(drawn, agreeing, path.with_suffix(".png"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
