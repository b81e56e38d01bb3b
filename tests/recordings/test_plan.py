"""Which settings a plan picks: spread out, settable by hand, and the next ones where models disagree."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from ampsim import AmpsimError
from ampsim.recordings.controls import Control, controls_of
from ampsim.recordings.plan import Setting, disagreement, following, planned, possible, values

AMP = controls_of({"gain": [0, 10], "treble": [0, 10], "bright": ["off", "on"]})


def place(setting: Setting) -> np.ndarray:
    """Knobs from 0 to 1, a switch 0 or 1: what lies in a cube, by another way than the plan's."""
    return np.array([setting[0] / 10, setting[1] / 10, setting[2]])


def nearest(settings: list[Setting]) -> float:
    return min(float(np.linalg.norm(place(a) - place(b))) for a, b in combinations(settings, 2))


def hole(settings: list[Setting]) -> float:
    """The largest distance of any place in the cube to its nearest setting."""
    places = np.array([place(each) for each in settings])
    cube = np.random.default_rng(1).random((4000, 3))
    cube[:, 2] = cube[:, 2].round()
    return float(np.linalg.norm(cube[:, None] - places[None], axis=2).min(axis=1).max())


@pytest.mark.parametrize("count", [2, 5, 12, 40])
def test_a_plan_has_as_many_settings_as_asked_all_different_and_settable(count: int):
    plan = planned(AMP, count)
    assert len(set(plan)) == len(plan) == count
    assert all((2 * value).is_integer() and 0 <= value <= 10 for setting in plan for value in setting[:2])
    assert {setting[2] for setting in plan} == {0, 1}
    assert plan == planned(AMP, count)
    assert count < 5 or plan != planned(AMP, count, seed=1)


def test_a_plan_has_corners_and_is_balanced():
    plan = planned(AMP, 12)
    assert sum(set(setting[:2]) <= {0, 10} for setting in plan) >= 4
    assert plan[:2] == [(0, 0, 0), (10, 10, 1)]
    assert 4 <= Counter(setting[2] for setting in plan)[1] <= 8
    assert all(sum(low <= setting[0] <= low + 3.5 for setting in plan) >= 2 for low in (0, 3, 6.5))


def test_a_plan_lies_wider_than_random_settings_and_so_does_its_beginning():
    random = np.random.default_rng(0)
    chance = [[(*(10 * random.random(2)), float(random.integers(2))) for _ in range(12)] for _ in range(40)]
    for seed in range(3):
        plan = planned(AMP, 12, seed=seed)
        assert nearest(plan) > 2 * np.median([nearest(each) for each in chance])
        assert hole(plan) < np.quantile([hole(each) for each in chance], 0.1)
        assert nearest(plan[:6]) > 2 * np.median([nearest(each[:6]) for each in chance])


@pytest.mark.parametrize(
    ("low", "high", "first", "last", "number"),
    [
        (0, 10, [0, 0.5, 1], 10, 21),
        (1, 10, [1, 1.5, 2], 10, 19),
        (0, 1, [0, 0.05, 0.1], 1, 21),
        (0, 12, [0, 0.5, 1], 12, 25),
        (200, 5000, [200, 400, 600], 5000, 25),
        (-12, 12.3, [-12, -11, -10], 12.3, 26),
    ],
)
def test_a_knob_has_values_that_a_hand_can_set(low: float, high: float, first: list[float], last: float, number: int):
    found = values(Control("x", low, high))
    assert (found[:3], found[-1], len(found)) == (first, last, number)
    assert all(str(each) == f"{each:.10g}" or each.is_integer() for each in found)


def test_all_settings_can_be_asked_for_and_no_more():
    small = controls_of({"stage": [1, 2, 3], "bright": ["off", "on"]})
    assert possible(small) == 6
    assert sorted(planned(small, 6)) == [(a, b) for a in (0, 1, 2) for b in (0, 1)]
    for controls, count, sentence in [
        (small, 7, "count=7: it is from 2 to 6, since there are 6 settings"),
        (small, 1, "count=1: it is from 2 to 6"),
        (AMP, 1000, "count=1000: it is from 2 to 256, since a plan has up to 256 settings"),
        ((), 3, "a plan needs a control"),
    ]:
        with pytest.raises(AmpsimError, match=sentence):
            planned(controls, count)


def test_many_controls_are_planned_too():
    plan = planned(controls_of({name: [0, 10] for name in "abcdefgh"} | {"mode": ["x", "y", "z"]}), 64)
    assert len(set(plan)) == 64
    assert all(15 <= count <= 27 for count in Counter(setting[-1] for setting in plan).values())


def test_the_next_lie_where_models_disagree_and_not_on_one_heap():
    recorded = planned(AMP, 6)

    def doubtful(settings: list[Setting]) -> np.ndarray:
        return np.array([1.0 if setting[0] >= 7 and setting[2] == 1 else 0.01 for setting in settings])

    found = following(AMP, recorded, 4, doubtful)
    assert all(setting[0] >= 7 and setting[2] == 1 for setting in found)
    assert nearest([*recorded, *found]) > 0.15
    assert not set(found) & set(recorded)


def test_the_next_without_models_fill_the_largest_hole():
    recorded: list[Setting] = [
        (gain, treble, side) for gain in (0, 5, 10) for treble in (0, 5, 10) for side in (0.0, 1.0)
    ]
    recorded.remove((10, 5, 1))
    (found,) = following(AMP, recorded, 1)
    assert np.linalg.norm(place(found) - place((10, 5, 1))) < 0.15
    with pytest.raises(AmpsimError, match=r"count=0: it is from 1 to \d+, the settings that are left"):
        following(AMP, recorded, 0)


def test_disagreement_is_the_error_to_expect_where_chance_decides():
    random = np.random.default_rng(77)
    sound = random.standard_normal(20_000)

    def player(number: int):
        own = np.random.default_rng(number).standard_normal(20_000)
        return lambda setting: setting[0] * (sound + 0.1 * setting[1] * own)

    ensemble = [player(number) for number in range(3)]
    found = disagreement(ensemble, [(1.0, 0.0), (1.0, 1.0), (5.0, 1.0), (1.0, 2.0), (1e-6, 1.0)])
    assert found == pytest.approx([0, 0.01, 0.01, 0.04, 0], rel=0.05, abs=1e-6)
