"""The Pareto front against a case that can be drawn on paper."""

from ampsim.report.pareto import front


def test_only_what_another_betters_or_equals_in_everything_is_left_out():
    points = [(1, 9), (5, 5), (9, 1), (5, 6), (6, 6), (1, 9)]
    assert front(points) == [0, 1, 2, 5]
    assert front([]) == []
