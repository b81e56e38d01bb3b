"""Every score of ampsim, one row each: what it is called, how it is written, what it means and how it compares.

Whatever shows, ranks or judges scores asks this table, so that a new one is added in one place. A package of one's own
adds a metric with `register`.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Pairs = Sequence[tuple[NDArray[np.floating], NDArray[np.floating]]]
Compute = Callable[[Pairs, int], float]
T = TypeVar("T")
VAGUE, VAGUE_DB = (
    1000.0,
    60.0,
)  # from the low end of an interval to its high one: nothing is known, however it was computed
SMALL = 0.001  # of an error ratio: below, its first digits are told wherever they stand


@dataclass(frozen=True)
class Score:
    """One score.

    Args:
        name: in files, in MLflow (behind `test_`) and on the command line; the unit is its last word (`_db`, `_lu`).
        title: in tables.
        format: a format string for one number, as in "{:.2f} dB".
        meaning: one line for the reader of a table.
        larger_is_better: otherwise a comparison puts the lowest value first.
        ratio: two values are compared by their quotient, not by their difference.
        signed: a difference from the amp that is best at 0; it is ranked by its size.
        kind: "floor" belongs to the recording, "cost" to the model whatever it sounds like; neither makes a model sound
            better than another.
        compared: an error, 0 where a prediction is perfect, that `disagreements` holds against the other errors.
        headline: shown beside the metric that a comparison ranks by.
        column: header in the table of a sweep; empty leaves the score out.
        validated: measured on the validation split too, where a search may choose by it.
        of_model: needs the model itself, so that a render by itself has no such score.
        timed: depends on the machine's load, so that the same model never scores the same twice.
        quotient: fields of `Blocks` whose sums' quotient is the score.
        span: the lowest and the highest that it can be, if not what errors, ratios and sizes can be.
    """

    name: str
    title: str
    format: str
    meaning: str
    larger_is_better: bool = False
    ratio: bool = False
    signed: bool = False
    kind: Literal["quality", "cost", "floor"] = "quality"
    compared: bool = False
    headline: bool = False
    column: str = ""
    validated: bool = False
    of_model: bool = False
    timed: bool = False
    quotient: tuple[str, str] | None = None
    span: tuple[float, float] | None = None

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest that it, or its size, can be."""
        return self.span or (0.0 if self.ratio or self.signed or self.compared else -math.inf, math.inf)

    def vague(self, low: float, high: float, *, apart: bool = False) -> bool:
        """Whether an interval, of the score or of how far two are apart, is so wide that it says nothing: all that there can
        be, or as good as that."""
        if self.ratio and low > 0:
            return high > VAGUE * low
        lowest, highest = self.limits
        if apart:
            lowest, highest = lowest - highest, highest - lowest
        widest = VAGUE_DB if self.format.endswith((" dB", " LU")) else math.inf
        return (low <= lowest and high >= highest) or high - low > widest

    def text(self, value: float) -> str:
        if self.ratio and self.format == "{:.4f}" and 0 < value < SMALL:
            return f"{value:.2g}"
        return "–" if math.isnan(value) else self.format.format(value)


# In the order in which tables show them.
BUILT_IN = (
    Score(
        "esr",
        "ESR",
        "{:.4f}",
        "error-to-signal ratio; 0 is perfect, 1 is no better than silence",
        ratio=True,
        compared=True,
        headline=True,
        column="test\nESR",
        validated=True,
        quotient=("error", "energy"),
    ),
    Score(
        "a_weighted_esr",
        "A-weighted ESR",
        "{:.4f}",
        "the same, as the ear weighs frequencies",
        ratio=True,
        compared=True,
        headline=True,
        column="A-weighted\nESR",
        validated=True,
        quotient=("a_weighted_error", "a_weighted_energy"),
    ),
    # Not the `multi_resolution_stft` of versions before 0.2, which fell with the level of the recording.
    Score(
        "relative_mrstft",
        "MR-STFT",
        "{:.3f}",
        "distance of short-time spectra at three resolutions, down to 60 dB below the recording's level",
        ratio=True,
        compared=True,
        column="\nMR-STFT",
    ),
    Score(
        "auraloss_mrstft",
        "MR-STFT (auraloss)",
        "{:.3f}",
        "the same as papers report it (auraloss at its defaults); it falls with the recording's level",
        ratio=True,
    ),
    Score(
        "log_spectral_distance_db",
        "spectrum",
        "{:.2f} dB",
        "distance of A-weighted third-octave levels",
        compared=True,
    ),
    Score(
        "fluctuation_db",
        "fluctuation",
        "{:.2f} dB",
        "volume that fluctuates 2 to 20 times a second where the amp's does not",
        compared=True,
        headline=True,
    ),
    Score(
        "loudness_difference_lu",
        "loudness",
        "{:+.2f} LU",
        "prediction over the amp (BS.1770)",
        signed=True,
        compared=True,
    ),
    Score(
        "predicted_mushra",
        "predicted MUSHRA",
        "{:.1f}",
        "rating, of 100, that a formula expects of listeners; it replaces no listening test",
        larger_is_better=True,
        span=(0.0, 100.0),
        headline=True,
        column="predicted\nMUSHRA",
        validated=True,
        quotient=("predicted_mushra", "excerpts"),
    ),
    Score(
        "predicted_mushra_worst",
        "worst excerpt",
        "{:.1f}",
        "predicted MUSHRA of the worst 3 s",
        larger_is_better=True,
        span=(0.0, 100.0),
    ),
    Score(
        "predicted_mushra_share_above_90",
        "excerpts above 90",
        "{:.0%}",
        "share of 3 s excerpts that are predicted to be hard to tell from the amp",
        larger_is_better=True,
        span=(0.0, 1.0),
    ),
    Score(
        "zimtohrli_mos",
        "Zimtohrli",
        "{:.2f}",
        "opinion score, 1 to 5, that another model of hearing expects; calibrated on codecs",
        larger_is_better=True,
        span=(1.0, 5.0),
    ),
    Score(
        "worst_second_esr",
        "worst second",
        "{:.4f}",
        "error of the worst second over the mean energy of a second",
        ratio=True,
        compared=True,
    ),
    Score("mse", "MSE", "{:.3g}", "mean squared error", ratio=True, compared=True, quotient=("error", "samples")),
    Score("mae", "MAE", "{:.3g}", "mean absolute error", ratio=True),
    Score("peak_difference_db", "peak", "{:+.2f} dB", "prediction's peak over the amp's", signed=True),
    Score("rms_difference_db", "RMS", "{:+.2f} dB", "prediction's level over the amp's", signed=True),
    Score(
        "aliasing_db",
        "aliasing",
        "{:.1f} dB",
        "energy off the harmonics over energy on them, mean of 36 tones from 1 to 8 kHz",
        of_model=True,
    ),
    Score("aliasing_worst_db", "worst aliasing", "{:.1f} dB", "the same of the tone that aliases most", of_model=True),
    Score(
        "hiss_db",
        "hiss",
        "{:+.1f} dB",
        "10 to 20 kHz over the amp's there, while notes decay and it has only noise left",
    ),
    Score(
        "linear_floor_esr",
        "linear floor",
        "{:.4f}",
        "ESR of the best linear filter: what a net must beat",
        kind="floor",
    ),
    # Not the `noise_floor_esr` of versions before 0.2, which took all that sounds in rests for noise.
    Score(
        "noise_at_least_esr",
        "noise, at least",
        "{:.2g}",
        "ESR of the amp's own noise, lower bound (95 %): no model scores below it",
        kind="floor",
    ),
    Score(
        "noise_at_most_esr",
        "noise, at most",
        "{:.2g}",
        "its upper bound (95 %): an ESR above it is the model's error",
        kind="floor",
    ),
    Score(
        "real_time_factor",
        "real time",
        "{:.1f}×",
        "seconds of audio rendered per second",
        larger_is_better=True,
        ratio=True,
        kind="cost",
        headline=True,
        column="real\ntime",
        timed=True,
    ),
    Score("parameters", "parameters", "{:,.0f}", "numbers that were learnt", kind="cost", column="para-\nmeters"),
)
SCORES: dict[str, Score] = {score.name: score for score in BUILT_IN}
# What scores were called in versions before 0.2; saved runs, and habits, name them so.
RENAMED = {"flutter_db": "fluctuation_db"}
COMPUTES: dict[str, Compute] = {}  # of registered scores


def register(score: Score, compute: Compute) -> None:
    """Add a metric: from then on every evaluation computes it, and score tables, comparisons and rankings show it.

    Args:
        score: its row. Mark an error that is 0 for a perfect prediction `compared=True`, so that comparisons say where
            it disagrees with others.
        compute: called with a list of (target, prediction) signals, each float32 of shape (num_samples,), and their
            sample rate in hertz; returns one float for all of them taken as one, NaN where they have no such score (a
            silent target, a signal too short). It must not change the arrays. Where it raises, the score is NaN and a
            warning says why, so that no finished training is lost to it.

    Raises:
        ValueError: the name is taken, or is no lower-case identifier, or the format does not write a number.
    """
    source = f"the metric `{score.name}` of {compute.__module__}"
    if not (score.name.isidentifier() and score.name == score.name.lower()):
        raise ValueError(f"{source}: name a score in lower-case letters, digits and underscores, such as `buzz_db`")
    if score.name in RENAMED or (score.name in SCORES and not same_source(COMPUTES.get(score.name), compute)):
        owner = COMPUTES[score.name].__module__ if score.name in COMPUTES else "ampsim"
        raise ValueError(f"{source}: {owner} has a score of this name; choose another one")
    try:
        score.text(0.5)
    except (ValueError, IndexError, KeyError) as error:
        raise ValueError(f"{source}: format={score.format!r} does not write a number ({error})") from error
    SCORES[score.name], COMPUTES[score.name] = score, compute


def same_source(one: Compute | None, other: Compute) -> bool:
    """Whether two functions are one definition, as where a notebook's cell runs again or a module is imported anew."""
    return one is not None and (one.__module__, name_of(one)) == (other.__module__, name_of(other))


def name_of(compute: Compute) -> str:
    return getattr(compute, "__qualname__", type(compute).__qualname__)


def registered_scores(pairs: Pairs, sample_rate: int) -> dict[str, float]:
    """The registered scores of (target, prediction) signals of shape (num_samples,); NaN, and a warning, where one fails."""
    found = {}
    for name, compute in COMPUTES.items():
        try:
            found[name] = float(compute(pairs, sample_rate))
        except Exception as error:  # a stranger's code, at the end of a training that may have taken hours
            found[name] = math.nan
            warnings.warn(
                f"the metric `{name}` of {compute.__module__} failed, so that this run has no such score: "
                f"{type(error).__name__}: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
    return found


# ---- What readers ask of the table ----------------------------------------------------------------------------------


def is_ratio(name: str) -> bool:
    """Whether two values of a score are compared by their quotient; a score that is not known here is not."""
    return name in SCORES and SCORES[name].ratio


def larger_is_better(name: str) -> bool:
    return name in SCORES and SCORES[name].larger_is_better


def is_signed(name: str) -> bool:
    return name in SCORES and SCORES[name].signed


def compared() -> list[str]:
    """Names of the errors that are held against each other."""
    return [score.name for score in SCORES.values() if score.compared]


def headlines() -> list[str]:
    """Names of the scores that are told first where there is no room for all."""
    return [score.name for score in SCORES.values() if score.headline]


def current(name: str) -> str:
    """What a score is called today, by the name that it has or had, with or without a prefix such as `test_`."""
    for old, new in RENAMED.items():
        if name == old or name.endswith(f"_{old}"):
            return name.removesuffix(old) + new
    return name


def renamed(values: Mapping[str, T]) -> dict[str, T]:
    """Scores or metrics of a saved run by today's names; where both names are there, the new one counts."""
    return {current(name): value for name, value in values.items()} | {
        name: value for name, value in values.items() if name == current(name)
    }


def of_test(metrics: Mapping[str, float]) -> dict[str, float]:
    """A run's scores on the test split, by name, from its metrics in the store, where they are called `test_...`."""
    return renamed({key.removeprefix("test_"): value for key, value in metrics.items() if key.startswith("test_")})


RATED = {80: "excellent", 60: "good", 40: "fair", 20: "poor", 0: "bad"}  # the quality scale of ITU-R BS.1534


def verdict(scores: Mapping[str, float]) -> str:
    """What a model's scores come to, in words: how it is expected to be rated, and whether a filter would do as well."""
    rating = scores.get("predicted_mushra", math.nan)
    found = []
    if not math.isnan(rating):
        word = next(word for least, word in RATED.items() if round(rating) >= least)
        found.append(f"{word}, a rating of {rating:.0f} of 100 is predicted")
    if scores.get("esr", 0.0) >= scores.get("linear_floor_esr", math.inf):
        found.append("no better than a filter")
    return "; ".join(found)
