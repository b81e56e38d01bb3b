"""Losses behind filters against SciPy, and what they refuse."""

import numpy as np
import pytest
from loss_signals import PREDICTION, TARGET, value
from scipy import signal as dsp

from ampsim import AmpsimError
from ampsim.losses import ESR, MSE, AWeighted, PreEmphasized
from ampsim.signals import filters


def prepared(loss, length=4096, rate=44100):
    loss.prepare(sample_rate=rate, segment_length=length)
    return loss


@pytest.mark.parametrize(
    ("loss", "taps"),
    [
        (PreEmphasized(MSE(), coefficient=0.95), filters.pre_emphasis(0.95)),
        (AWeighted(MSE()), filters.a_weighting(44100)),
        (AWeighted(MSE(), low_pass=0.85), filters.a_weighting(44100, low_pass=0.85)),
    ],
)
def test_target_and_prediction_pass_the_same_filter_and_only_its_valid_part_counts(loss, taps):
    errors = [dsp.lfilter(taps, [1], error)[len(taps) - 1 :] for error in TARGET - PREDICTION]
    assert value(prepared(loss), TARGET, PREDICTION) == pytest.approx(np.mean(np.square(errors)), rel=1e-4)


def test_an_error_at_the_top_counts_less_than_one_in_the_middle():
    time = np.arange(8192) / 44100
    target = np.sin(2 * np.pi * 700 * time)[None]
    errors = {hertz: 0.1 * np.sin(2 * np.pi * hertz * time)[None] for hertz in (50, 2000, 18000)}
    loss = prepared(AWeighted(ESR(), low_pass=0.85), 8192)
    low, middle, high = (value(loss, target, target + error) for error in errors.values())
    assert middle > 50 * low
    assert middle > 50 * high


def test_filters_compose():
    once, twice = PreEmphasized(MSE()), PreEmphasized(PreEmphasized(MSE()))
    differences = [TARGET[:, 1:] - 0.85 * TARGET[:, :-1], PREDICTION[:, 1:] - 0.85 * PREDICTION[:, :-1]]
    assert value(prepared(twice), TARGET, PREDICTION) == pytest.approx(value(prepared(once), *differences), rel=1e-5)


def test_what_cannot_work_is_refused_with_what_to_change():
    with pytest.raises(
        AmpsimError, match=r"segment_length=1500 leaves AWeighted too little.*Set training.segment_length"
    ):
        prepared(AWeighted(MSE()), 1500)
    with pytest.raises(ValueError, match="set the weight of the filter's term"):
        AWeighted(MSE(weight=0.5))
    with pytest.raises(RuntimeError, match=r"call prepare\(\)"):
        value(AWeighted(MSE()), TARGET, PREDICTION)
