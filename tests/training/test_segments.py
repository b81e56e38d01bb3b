"""Segments of ramps, whose samples tell where they were taken from."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from synthetic import RATE

from ampsim import AmpsimError
from ampsim.recordings.pairs import AudioPair, Span
from ampsim.training.segments import Segments

HISTORY, LOOKAHEAD, LENGTH = 13, 5, 100


def ramp(num_samples: int, *, first: int = 1) -> AudioPair:
    """Input k is `first + k`, the target is minus that; 0 is never a sample, only padding."""
    samples = np.arange(first, first + num_samples, dtype=np.float32)
    return AudioPair(samples, -samples, RATE, f"from {first}")


def segments(*spans: Span, length: int = LENGTH) -> Segments:
    return Segments(spans, history=HISTORY, lookahead=LOOKAHEAD, segment_length=length)


def drawn(found: Segments, number: int, *, batch_size: int = 1, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Input and target of each segment of an epoch, as the trainer slices them."""
    starts = found.epoch(number, batch_size=batch_size, seed=seed)
    span = found.segment_length + HISTORY + LOOKAHEAD
    return [(found.input[at : at + span], found.target[at : at + found.segment_length]) for at in starts.ravel()]


def test_input_and_target_of_a_segment_lie_where_the_model_expects_them():
    take = ramp(5000)
    for heard, target in drawn(segments(Span(take, 1000, 3000), Span(take, 3500, 5000)), 0):
        # Output k sees the input from k on: the current sample is `history` after that.
        assert_array_equal(heard[HISTORY : HISTORY + LENGTH], -target)


def test_a_segment_hears_what_was_played_around_its_span_and_zeros_beyond_the_take():
    take = ramp(1000)
    found = segments(Span(take, 0, 100), Span(take, 500, 600), Span(take, 900, 1000))
    heard = {int(-target[0]): heard for heard, target in drawn(found, 0)}
    assert sorted(heard) == [1, 501, 901]
    assert_array_equal(heard[501], np.arange(501 - HISTORY, 601 + LOOKAHEAD))
    assert_array_equal(heard[1], [0] * HISTORY + [*range(1, 101 + LOOKAHEAD)])
    assert_array_equal(heard[901], [*range(901 - HISTORY, 1001)] + [0] * LOOKAHEAD)


def test_segments_never_cross_from_one_span_into_another():
    spans = [Span(ramp(950), 0, 950), Span(ramp(730, first=10_000), 10, 720), Span(ramp(100, first=50_000), 0, 100)]
    found = segments(*spans)
    for number in range(20):
        for heard, target in drawn(found, number):
            assert_array_equal(np.diff(target), -1)  # contiguous in one take
            assert_array_equal(heard[HISTORY : HISTORY + LENGTH], -target)
            inside = [span for span in spans if -target[0] in span.direct and -target[-1] in span.direct]
            assert len(inside) == 1


def test_an_epoch_depends_on_seed_and_number_alone():
    first, second = segments(Span(ramp(5000), 0, 5000)), segments(Span(ramp(5000), 0, 5000))
    first.epoch(0, batch_size=4, seed=1)  # what was drawn before does not matter
    assert_array_equal(first.epoch(3, batch_size=4, seed=1), second.epoch(3, batch_size=4, seed=1))


def test_epochs_and_seeds_differ_in_order_and_borders():
    found = segments(Span(ramp(5000), 0, 5000))
    orders = [found.epoch(number, batch_size=4, seed=seed) for number, seed in [(0, 0), (1, 0), (2, 0), (0, 1)]]
    for index, order in enumerate(orders):
        for other in orders[index + 1 :]:
            assert not np.array_equal(order, other)
            assert not np.array_equal(np.sort(order, axis=None), np.sort(other, axis=None))


def test_an_epoch_covers_each_sample_of_a_long_span_about_once():
    num_samples, epochs = 1050, 2000
    found = segments(Span(ramp(num_samples), 0, num_samples))
    total = np.zeros(num_samples, int)
    for number in range(epochs):
        counts = np.zeros(num_samples, int)
        for _, target in drawn(found, number):
            counts[int(-target[0]) - 1 : int(-target[-1])] += 1
        assert counts.max() == 1  # never twice in an epoch
        assert counts.sum() > num_samples - 2 * LENGTH
        total += counts
    assert total[2 * LENGTH : -2 * LENGTH].min() == epochs  # the middle in every epoch
    assert total.min() > 0  # the very ends now and then


def test_every_segment_is_in_the_epoch_once_and_the_last_batch_is_filled_up():
    found = segments(Span(ramp(1050), 0, 1050), Span(ramp(330), 0, 330))
    order = found.epoch(0, batch_size=5, seed=0)
    assert order.shape == (-(-found.num_segments // 5), 5)
    flat = order.ravel()
    assert len(set(flat[: found.num_segments].tolist())) == found.num_segments
    assert_array_equal(flat[found.num_segments :], flat[: flat.size - found.num_segments])


def test_num_segments_is_what_an_epoch_holds():
    for sizes in [(100,), (199, 200, 201), (1050, 330, 99)]:
        found = segments(*(Span(ramp(size), 0, size) for size in sizes))
        assert found.epoch(0, batch_size=1, seed=0).shape == (found.num_segments, 1)


def test_a_span_as_long_as_one_segment_is_one_segment():
    ((heard, target),) = drawn(segments(Span(ramp(500), 200, 300)), 0)
    assert_array_equal(-target, np.arange(201, 301))
    assert len(heard) == HISTORY + LENGTH + LOOKAHEAD


def test_a_segment_longer_than_every_span_is_refused():
    with pytest.raises(AmpsimError, match=r"segment_length=100 is longer than .*\(99 samples\): lower it to 99"):
        segments(Span(ramp(99), 0, 99), Span(ramp(50), 0, 50))


def test_a_setting_shorter_than_a_segment_is_refused_by_its_take():
    takes = [replace(ramp(size, first=size), setting=(float(size),)) for size in (1000, 99, 50)]
    with pytest.raises(AmpsimError, match=r"what from 50 has to train on \(50 samples\), .*: lower it to 50 or record"):
        segments(*(Span(take, 0, len(take.input)) for take in takes))


def test_a_short_span_beside_a_long_one_is_left_out():
    found = segments(Span(ramp(50, first=10_000), 0, 50), Span(ramp(1000), 0, 1000))
    assert all(-target[0] < 10_000 for number in range(5) for _, target in drawn(found, number))


def test_memory_does_not_depend_on_the_window():
    take = ramp(5000)
    spans = [Span(take, 1000, 4000)]
    small = Segments(spans, history=1, lookahead=0, segment_length=LENGTH)
    large = Segments(spans, history=900, lookahead=100, segment_length=LENGTH)
    assert (small.input.nbytes, large.input.nbytes) == (4 * 3001, 4 * 4000)
    assert replace(take).input.dtype == small.input.dtype == small.target.dtype == np.float32


def test_targets_are_spread_over_all_spans():
    take = ramp(5000)
    found = segments(Span(take, 0, 1000), Span(take, 3000, 3500)).targets()
    assert found.shape == (15, LENGTH)
    assert_array_equal(found[[0, 9, 10, 14], 0], [-1, -901, -3001, -3401])
    assert_array_equal(segments(Span(take, 0, 1000), Span(take, 3000, 3500)).targets(2)[:, 0], [-1, -3401])


def test_stretches_are_spread_over_all_spans_and_bring_their_context():
    take = ramp(5000)
    found = segments(Span(take, 1000, 2000), Span(take, 2500, 4500)).stretches(500, 4)
    assert [(-target[[0, -1]]).astype(int).tolist() for _, target, _ in found] == [
        [1001, 1500],
        [1501, 2000],
        [3001, 3500],
        [4001, 4500],
    ]
    for heard, target, _ in found:
        assert_array_equal(heard[HISTORY : HISTORY + len(target)], -target)
        assert len(heard) == len(target) + HISTORY + LOOKAHEAD


def test_every_batch_is_of_one_setting_and_an_epoch_sees_every_segment_of_each():
    settings = {(0.0,): 950, (1.0,): 730, (2.0,): 120}
    takes = [
        replace(ramp(size, first=10_000 * number + 1), setting=setting)
        for number, (setting, size) in enumerate(settings.items())
    ]
    found = segments(*(Span(take, 0, len(take.input)) for take in takes))
    for batch_size in (1, 4, 50):
        starts = found.epoch(3, batch_size=batch_size, seed=1)
        assert len(starts) == found.num_steps(batch_size)
        origins = -found.target[starts] // 10_000
        assert_array_equal(origins, np.broadcast_to(origins[:, :1], origins.shape))
        seen = {int(start) for start in starts.ravel()}
        assert len(seen) == found.num_segments == 8 + 6 + 1
    order = [-found.target[batch[0]] // 10_000 for batch in found.epoch(0, batch_size=1, seed=0)]
    assert order != sorted(order)  # settings follow each other at random


def test_every_setting_has_a_stretch_however_few_there_are():
    takes = [replace(ramp(size), setting=(float(number),)) for number, size in enumerate((5000, 200, 3000, 150))]
    found = segments(*(Span(take, 0, len(take.input)) for take in takes)).stretches(500, 2)
    assert {each.setting for each in found} == {(0.0,), (1.0,), (2.0,), (3.0,)}
    assert all(np.array_equal(each.input[HISTORY : HISTORY + len(each.target)], -each.target) for each in found)
