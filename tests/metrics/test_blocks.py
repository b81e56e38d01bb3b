"""Sums of blocks against the scores that they must come to."""

import numpy as np
import pytest
from synthetic import RATE, pair

from ampsim.metrics import a_weighted_esr, block_sums, waveform_scores

PAIRS = [(pair(1.3).target, 0.9 * pair(1.3).target), (pair(0.6, seed=1).target, 0.7 * pair(0.6, seed=2).target)]


def test_their_quotients_are_the_scores():
    blocks = block_sums(PAIRS, RATE)
    expected = waveform_scores(PAIRS) | {"a_weighted_esr": a_weighted_esr(PAIRS, RATE)}
    for metric in ("esr", "mse", "a_weighted_esr"):
        above, below = blocks.parts(metric)
        assert above.sum() / below.sum() == pytest.approx(expected[metric], rel=1e-9)
    assert blocks.parts("fluctuation_db") is None


def test_a_block_is_half_a_second_and_the_last_of_a_signal_what_is_left():
    blocks = block_sums(PAIRS, RATE)
    assert blocks.samples == [RATE // 2, RATE // 2, round(0.3 * RATE), RATE // 2, round(0.1 * RATE)]
    target, prediction = PAIRS[0]
    by_hand = np.sum((target[4000:8000].astype(float) - prediction[4000:8000]) ** 2)
    assert blocks.error[1] == pytest.approx(by_hand)


def test_the_hash_is_that_of_what_was_held_out_and_not_of_the_prediction():
    first = block_sums(PAIRS, RATE).target
    assert block_sums([(target, 0 * target) for target, _ in PAIRS], RATE).target == first
    assert block_sums(PAIRS, RATE + 1).target != first
    assert block_sums(PAIRS[:1], RATE).target != first
    changed = PAIRS[0][0].copy()
    changed[5] += 1e-3
    assert block_sums([(changed, PAIRS[0][1]), PAIRS[1]], RATE).target != first
