"""Critical values and power by simulation, and the noise of seeds by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from ampsim.comparing.noise import Noise, Sample, critical, detectable

DRAWS = 20_000


def contests(num_configs: int, num_seeds: int, *, worse: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """How many standard errors the worst config of each draw, and the last, lie from the best and from the first."""
    random = np.random.default_rng(100 * num_configs + num_seeds)
    values = random.standard_normal((DRAWS, num_configs, num_seeds))
    values[:, -1] += worse
    means, error = values.mean(axis=2), np.sqrt(2 / num_seeds * values.var(axis=2, ddof=1).mean(axis=1))
    return np.ptp(means, axis=1) / error, (means[:, -1] - means[:, 0]) / error


@pytest.mark.parametrize(("num_configs", "num_seeds"), [(2, 2), (2, 10), (3, 2), (5, 3), (9, 2), (20, 2), (20, 10)])
def test_one_family_of_equal_configs_in_twenty_has_one_told_from_the_best(num_configs: int, num_seeds: int):
    ranges, _ = contests(num_configs, num_seeds)
    wrong = np.mean(ranges > critical(num_configs, num_configs * (num_seeds - 1)))
    assert wrong == pytest.approx(0.05, abs=0.007)  # four standard errors, and rounding down of the degrees of freedom
    assert wrong < 0.055


def test_students_t_for_many_pairs_or_dunnetts_would_be_wrong_more_often():
    """The best is chosen by the scores that it is compared by: what is right for a control named before is not for it."""
    ranges, _ = contests(5, 3)
    holm = stats.t.ppf(1 - 0.025 / 4, 10)
    assert np.mean(ranges > stats.t.ppf(0.975, 10)) > 0.2
    assert np.mean(ranges > holm) > 0.06


@pytest.mark.parametrize(("num_configs", "num_seeds"), [(2, 3), (5, 3), (5, 2), (12, 5)])
def test_what_is_called_detectable_is_told_in_four_of_five_cases(num_configs: int, num_seeds: int):
    freedom = num_configs * (num_seeds - 1)
    limit = critical(num_configs, freedom)
    _, last = contests(num_configs, num_seeds, worse=detectable(limit, freedom) * math.sqrt(2 / num_seeds))
    assert np.mean(last > limit) == pytest.approx(0.8, abs=0.015)


SPREADS = {
    "equal": [1, 1, 1, 1, 1],
    "one unlike": [1, 1, 1, 1, 5],
    "one alike": [1, 5, 5, 5, 5],
    "all": [1, 2, 3, 4, 5],
}


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
@pytest.mark.parametrize("spreads", SPREADS)
def test_equal_configs_are_told_apart_in_two_to_eight_of_a_hundred_families_however_unlike_they_spread(
    num_seeds: int, spreads: str
):
    assert 0.02 <= told_apart(num_seeds, spreads) <= 0.08


@pytest.mark.parametrize(("num_seeds", "power"), [(2, 0.14), (3, 0.64), (5, 0.97)])
def test_power_to_tell_a_config_that_is_worse_by_four_deviations(num_seeds: int, power: float):
    """Two seeds hardly ever tell it; that is what `ranking.notes` warns of."""
    assert told_apart(num_seeds, "equal", worse=4.0) == pytest.approx(power, abs=0.04)


def told_apart(num_seeds: int, spreads: str, *, worse: float = 0.0) -> float:
    """In which share of 1,500 families of five configs any, or the one that is worse, is told from the best."""
    random = np.random.default_rng(num_seeds)
    values = random.standard_normal((1500, 5, num_seeds)) * np.array(SPREADS[spreads])[:, None]
    values[:, -1] += worse
    found = 0
    for family in values:
        noise, means = Noise.of([Sample(config) for config in family]), family.mean(axis=1)
        best = int(np.argmin(means))
        others = [4] if worse else {*range(5)} - {best}
        chances = [(means[other] - means[best], noise.between(best, other)) for other in others]
        found += any(more > critical(5, chance.freedom) * chance.error for more, chance in chances)
    return found / len(values)


@pytest.mark.parametrize("num_configs", [2, 5])
def test_critical_values_between_two_degrees_of_freedom(num_configs: int):
    for freedom in (1.1, 1.7, 3.4, 8.0, 33.0):
        exact = stats.studentized_range.ppf(0.95, num_configs, freedom) / math.sqrt(2)
        assert critical(num_configs, freedom) == pytest.approx(exact, rel=0.005)


@pytest.mark.parametrize("num_configs", [2, 6])
def test_so_many_seeds_are_needed_and_not_one_less(num_configs: int):
    random = np.random.default_rng(1)
    noise = Noise.of([Sample(0.05 * random.standard_normal(4)) for _ in range(num_configs)])
    needed = noise.seeds_needed(0.1, 0.0)
    for seeds, enough in ((needed, True), (needed - 1, False)):
        freedom = 2 * (seeds - 1)
        power = stats.nct.sf(critical(num_configs, freedom), freedom, 0.1 / math.sqrt(2 * noise.variance / seeds))
        assert (power >= 0.8) == enough
    assert noise.seeds_needed(0.1, 0.1) is None  # the music, of which there is no more, makes a tenth


def test_each_config_has_its_own_spread_and_one_seed_that_of_all():
    one, other = Sample(np.array([1.0, 1.2, 1.4])), Sample(np.array([3.0, 3.1, 3.2]))
    noise = Noise.of([one, other, Sample(np.array([1.0]))])
    assert noise.freedom == 4
    assert noise.variance == pytest.approx((0.04 + 0.01) / 2)
    assert noise.between(0, 1).error == pytest.approx(math.sqrt((0.04 + 0.01) / 3))
    assert noise.between(0, 1).freedom == pytest.approx(0.05**2 / (0.04**2 / 2 + 0.01**2 / 2))
    assert noise.between(0, 2).error == pytest.approx(math.sqrt(4 / 3 * noise.variance))


def test_seeds_that_change_nothing_leave_no_doubt_and_no_error():
    constant = [Sample(np.full(3, value)) for value in (1.0, 2.0)]
    assert Noise.of(constant).between(0, 1).error == 0
    some = Noise.of([*constant, Sample(np.array([1.0, 2.0]))])
    assert some.between(0, 1).error == 0


def test_signals_that_are_not_one_are_not_compared_and_nothing_known_is_nothing_told():
    here, there = (Sample(np.array([1.0, 2.0]), None, frozenset({name})) for name in ("here", "there"))
    assert Noise.of([here, there]).between(0, 1) is None
    assert Noise.of([here, here]).between(0, 1) is not None
    both = Sample(np.array([1.0, 2.0]), None, frozenset({"here", "there"}))
    assert Noise.of([both, both]).between(0, 1) is None
    assert Noise.of([Sample(np.array([1.0]))] * 2).between(0, 1) is None
