"""What a finished signal is judged by: arrays in, numbers and small records out."""

import math
from dataclasses import dataclass

from ampsim.metrics.blocks import Blocks, block_sums
from ampsim.metrics.disagreements import Verdict, disagreements
from ampsim.metrics.floors import GainCurve, LinearFloor, gain_curve, linear_floor
from ampsim.metrics.fluctuation import fluctuation
from ampsim.metrics.hiss import Hiss, hiss
from ampsim.metrics.mushra import PredictedMushra, predicted_mushra
from ampsim.metrics.noise import NoiseFloor, noise_floor
from ampsim.metrics.probes import Aliasing, Fingerprint, aliasing_to_signal_ratio, fingerprint
from ampsim.metrics.scores import Pairs, Score, register, registered_scores
from ampsim.metrics.spectra import (
    a_weighted_esr,
    auraloss_stft,
    log_spectral_distance,
    loudness,
    loudness_difference,
    mean_power,
    multi_resolution_stft,
)
from ampsim.metrics.waveform import ErrorCurve, esr, esr_over_time, waveform_scores


@dataclass(frozen=True)
class Measured:
    """What (target, prediction) signals score, by name; the sums of blocks that the scores come from; what is played while
    notes decay; and `notes`, sentences on scores that leave something out."""

    scores: dict[str, float]
    blocks: Blocks
    hiss: Hiss
    notes: list[str]


def measured(pairs: Pairs, sample_rate: int) -> Measured:
    """All scores that need nothing but the signals, each of shape (num_samples,); those that do not exist are NaN."""
    mushra, hissed = predicted_mushra(pairs, sample_rate), hiss(pairs, sample_rate)
    scores = waveform_scores(pairs) | ear_scores(pairs, sample_rate) | mushra.scores | {"hiss_db": hissed.db}
    scores |= registered_scores(pairs, sample_rate)
    blocks = block_sums(pairs, sample_rate, predicted_mushra=mushra.ratings)
    return Measured(scores, blocks, hissed, mushra.notes + hissed.notes)


def ear_scores(pairs: Pairs, sample_rate: int) -> dict[str, float]:
    """What the ear says of (target, prediction) signals taken as one; `waveform_scores` says what the waveform does.

    The worst second is that of any of the signals, over their common mean energy. A score that does not exist (a silent
    target, a signal too short) is NaN.
    """
    power = mean_power(pairs)
    curves = [esr_over_time(*pair, sample_rate, power=power) for pair in pairs if len(pair[0])]
    worst = max((curve.worst[0] for curve in curves), default=math.nan) if power else math.nan
    return {
        "a_weighted_esr": a_weighted_esr(pairs, sample_rate),
        "relative_mrstft": multi_resolution_stft(pairs, sample_rate),
        "auraloss_mrstft": auraloss_stft(pairs),
        "log_spectral_distance_db": log_spectral_distance(pairs, sample_rate),
        "loudness_difference_lu": loudness_difference(pairs, sample_rate),
        "fluctuation_db": fluctuation(pairs, sample_rate),
        "worst_second_esr": worst,
    }


__all__ = [
    "Aliasing",
    "Blocks",
    "ErrorCurve",
    "Fingerprint",
    "GainCurve",
    "Hiss",
    "LinearFloor",
    "Measured",
    "NoiseFloor",
    "PredictedMushra",
    "Score",
    "Verdict",
    "a_weighted_esr",
    "aliasing_to_signal_ratio",
    "auraloss_stft",
    "block_sums",
    "disagreements",
    "ear_scores",
    "esr",
    "esr_over_time",
    "fingerprint",
    "fluctuation",
    "gain_curve",
    "hiss",
    "linear_floor",
    "log_spectral_distance",
    "loudness",
    "loudness_difference",
    "measured",
    "multi_resolution_stft",
    "noise_floor",
    "predicted_mushra",
    "register",
    "registered_scores",
    "waveform_scores",
]
