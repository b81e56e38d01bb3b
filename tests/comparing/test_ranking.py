"""Runs made up with numbers whose order, ties and causes are known."""

import itertools
import math
import re

import numpy as np
import pytest
from scipy import stats

from ampsim import AmpsimError
from ampsim.comparing import comparison
from ampsim.comparing.comparison import effect_sentence
from ampsim.comparing.ranking import ABSENT, Contest, Difference, Group, Trial, factors, grouped, ranked
from ampsim.metrics import Blocks

OPTIMIZERS = {
    "sgd": {"optimizer._target_": "keras.optimizers.SGD", "optimizer.momentum": "0.0"},
    "adam": {"optimizer._target_": "keras.optimizers.Adam", "optimizer.beta_1": "0.9"},
}


def blocks(error: np.ndarray, energy: np.ndarray, *, target: str = "same") -> Blocks:
    return Blocks(target, [4000] * len(error), list(error), list(energy), list(error), list(energy))


def trial(layers: int, optimizer: str, seed: int, esr: float, **more) -> Trial:
    config = {"model.layers": str(layers), "seed": str(seed), "name": f"n{seed}", "recording.delay": "3"}
    identity = f"{layers}-{optimizer}-{seed}"
    scores = {"esr": esr, "mse": esr / 10, **more.pop("scores", {})}
    return Trial(identity, identity, config | OPTIMIZERS[optimizer], scores, **more)


# esr = base * layer's factor * optimizer's factor * seed's factor, so that on a logarithm effects add up.
LAYERS, SEEDS = {1: 1.0, 2: 0.8}, {0: 0.95, 1: 1.0, 2: 1 / 0.95}
FULL = [
    trial(layers, optimizer, seed, 0.2 * at * (2.0 if optimizer == "sgd" else 1.0) * luck)
    for (layers, at), optimizer, (seed, luck) in itertools.product(LAYERS.items(), OPTIMIZERS, SEEDS.items())
]


def test_runs_that_differ_by_their_seed_are_one_group_and_the_best_comes_first():
    found = ranked(FULL)
    assert [group.label for group in found.groups] == [
        "layers=2 optimizer=adam",
        "layers=1 optimizer=adam",
        "layers=2 optimizer=sgd",
        "layers=1 optimizer=sgd",
    ]
    best = found.groups[0]
    values = [0.16 * luck for luck in SEEDS.values()]
    assert len(best.trials) == 3
    assert best.mean("esr") == pytest.approx(0.16)  # the geometric mean: the factors of the seeds multiply to 1
    assert best.spread("esr") == pytest.approx(math.sqrt(sum((v - sum(values) / 3) ** 2 for v in values) / 2))
    assert math.isnan(ranked(FULL[:5]).groups[0].spread("esr"))  # of two seeds


def test_the_shares_of_a_balanced_set_are_those_of_the_analysis_of_variance():
    """By hand on logarithms: the variance of a two-level factor at distance d is d²/4; effects add up to the whole."""
    found = ranked(FULL)
    parts = {
        "optimizer": math.log(2) ** 2 / 4,
        "model.layers": math.log(0.8) ** 2 / 4,
        "seed": 2 * math.log(0.95) ** 2 / 3,
    }
    shares = {effect.factor: effect.share for effect in found.effects}
    assert list(shares) == ["optimizer", "model.layers"]
    for name, part in parts.items():
        share = found.seed_share if name == "seed" else shares[name]
        assert share == pytest.approx(part / sum(parts.values()))
    optimizer = found.effects[0]
    assert optimizer.levels == pytest.approx({"adam": 0.2 * 0.8**0.5, "sgd": 0.4 * 0.8**0.5})
    assert optimizer.by_chance == pytest.approx(1 / 11)
    seeds = parts["seed"] * 12 / 8  # mean square within the four groups
    for effect in found.effects:
        assert effect.p == pytest.approx(stats.f.sf(parts[effect.factor] * 12 / seeds, 1, 8))
    assert math.isnan(ranked(FULL[:-1]).effects[0].p)  # no longer balanced


def test_a_factor_with_a_level_for_every_run_has_a_trend():
    rates = [0.1, 0.01, 1.0, 0.03]
    trials = [Trial(str(r), str(r), {"optimizer.rate": str(r), "seed": "0"}, {"esr": r**2}) for r in rates]
    (effect,) = ranked(trials).effects
    assert effect.by_chance == 1
    assert effect.trend == pytest.approx(1)
    assert list(effect.levels) == ["0.01", "0.03", "0.1", "1.0"]
    doubt = "(too few to rule chance out)"
    assert effect_sentence(effect, "esr").startswith(
        f"optimizer.rate, rank correlation with esr +1.00 {doubt}: 0.01 0.0001, "
    )
    assert math.isnan(ranked(FULL).effects[0].trend)


def test_factors_are_named_as_they_were_typed_where_that_tells_all():
    typed = [
        trial(n, o, s, 0.1, overrides=f"model={n}layers optimizer={o} data.path='a b.wav' seed={s}")
        for n, o, s in itertools.product((1, 2), OPTIMIZERS, (0, 1))
    ]
    assert factors(typed) == {
        "model": ["1layers"] * 4 + ["2layers"] * 4,
        "optimizer": ["sgd", "sgd", "adam", "adam"] * 2,
    }
    assert factors([Trial("a", "a", {"m": "1"}, {}, "x=2"), Trial("b", "b", {"m": "2"}, {})]) == {"x": ["2", "default"]}
    untold = [*typed[:-1], trial(2, "adam", 1, 0.1, overrides="model=2layers optimizer=sgd seed=1")]
    assert list(factors(untold)) == ["model.layers", "optimizer"]


def test_what_an_optimizer_brings_along_is_no_factor_but_what_varies_within_it_is():
    one, two, three = (
        Trial(str(k), str(k), OPTIMIZERS[name] | {"optimizer.learning_rate": rate}, {})
        for k, (name, rate) in enumerate([("sgd", "0.1"), ("sgd", "0.2"), ("adam", "0.1")])
    )
    assert factors([one, three]) == {"optimizer": ["sgd", "adam"]}
    assert factors([one, two, three]) == {
        "optimizer": ["sgd", "sgd", "adam"],
        "optimizer.learning_rate": ["0.1", "0.2", "0.1"],
    }


def test_losses_are_named_by_their_terms_and_keys_that_change_together_are_one():
    terms = "loss.terms"
    mse = {f"{terms}.mse._target_": "ampsim.losses.MSE", f"{terms}.mse.weight": "1"}
    ear = {f"{terms}.esr._target_": "ampsim.losses.AWeighted", f"{terms}.esr.loss._target_": "ampsim.losses.ESR"}
    ear |= {f"{terms}.dc._target_": "ampsim.losses.DC"}
    trials = [
        Trial(str(k), str(k), config, {})
        for k, config in enumerate([mse | {"model.b": "1", "model.c": "x"}, ear | {"model.b": "2", "model.c": "y"}])
    ]
    assert factors(trials) == {"loss": ["mse", "dc+esr"]}
    assert factors([Trial("0", "0", {"k.a": "1"}, {}), Trial("1", "1", {}, {})]) == {"k": ["other (1)", "other (2)"]}
    assert ABSENT not in str(factors(trials))


def test_a_seed_that_is_repeated_counts_once():
    groups, repeated = grouped([trial(1, "sgd", 0, 0.1), trial(1, "sgd", 1, 0.1), trial(1, "sgd", 0, 0.3)])
    assert [len(group.trials) for group in groups] == [2]
    assert [each.scores["esr"] for each in repeated] == [0.3]


# ---- ties -----------------------------------------------------------------------------------------------------------


def difference(first: Group, second: Group, metric: str) -> Difference | None:
    return Contest((first, second), metric).difference(0, 1)


def drawn(
    random: np.random.Generator, level: float, num_seeds: int, layers: int, difficulty: np.ndarray
) -> list[Trial]:
    """Runs on the same music: some blocks are hard for all, each block has its luck, each seed too (10 %)."""
    found = []
    for seed in range(num_seeds):
        luck = np.exp(0.1 * random.standard_normal() + 0.3 * random.standard_normal(len(difficulty)))
        error = level * difficulty * luck
        found.append(
            trial(layers, "sgd", seed, error.sum() / len(error), blocks=blocks(error, np.ones(len(difficulty))))
        )
    return found


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
def test_equal_configs_are_a_tie_and_at_most_one_pair_in_twenty_is_not(num_seeds: int):
    random = np.random.default_rng(num_seeds)
    apart = 0
    for _ in range(200):
        difficulty = np.exp(random.standard_normal(30))
        pair = [grouped(drawn(random, 0.2, num_seeds, layers, difficulty))[0][0] for layers in (1, 2)]
        found = difference(*pair, "esr")
        assert found.basis == "segments and seeds"
        apart += not found.tie
    assert apart <= 10


@pytest.mark.parametrize(("num_configs", "num_seeds"), [(5, 2), (5, 3), (12, 3)])
def test_of_equal_configs_none_is_told_from_the_best_but_once_in_twenty(num_configs: int, num_seeds: int):
    """Neighbours that all tie do not make the ends tie: the best and the worst of five must be held against each other."""
    random = np.random.default_rng(num_configs + num_seeds)
    apart = quarrels = 0
    for _ in range(100):
        trials = [
            trial(layers, "sgd", seed, *np.exp(0.1 * random.standard_normal(1)), scores=scores)
            for layers in range(num_configs)
            for seed in range(num_seeds)
            for scores in [{"fluctuation_db": random.lognormal(0, 0.1), "a_weighted_esr": random.lognormal(0, 0.1)}]
        ]
        found = ranked(trials)
        apart += not all(change.tie for change in found.differences)
        quarrels += bool(found.verdict.sentences)
    assert apart <= 11  # of 100, 5 expected: more in one of 200 such tests
    assert quarrels <= 1


def test_every_config_is_held_against_the_best_and_seeds_that_spread_differently_each_speak_for_themselves():
    noisy = [trial(3, "sgd", seed, value) for seed, value in enumerate([0.1, 0.4, 0.2, 0.8])]
    quiet = [
        trial(layers, "sgd", seed, value * level)
        for layers, level in ((1, 0.1), (2, 0.12))
        for seed, value in enumerate([0.99, 1.0, 1.005, 1.01])
    ]
    found = ranked([*quiet, *noisy])
    assert [group.levels["model.layers"] for group in found.groups] == ["1", "2", "3"]
    assert [change.tie for change in found.differences] == [False, True]
    # By hand, after Games and Howell: each pair by its own spread, and the range of three.
    logs = [np.log(group.values("esr")) for group in found.groups]
    for change, other in zip(found.differences, logs[1:], strict=True):
        parts = [np.var(side, ddof=1) / 4 for side in (logs[0], other)]
        freedom = sum(parts) ** 2 / sum(part**2 / 3 for part in parts)
        reach = stats.studentized_range.ppf(0.95, 3, freedom) / math.sqrt(2) * math.sqrt(sum(parts))
        assert math.log1p(change.high) == pytest.approx(other.mean() - logs[0].mean() + reach, rel=0.006)


def test_a_tie_says_within_what_it_is_one_and_what_would_have_been_told():
    values = {1: [0.100, 0.101, 0.099], 2: [0.1005, 0.1015, 0.0995]}
    found = ranked([trial(n, "sgd", seed, v) for n, column in values.items() for seed, v in enumerate(column)])
    (change,) = found.differences
    assert change.tie
    assert 0 < change.change < 0.01
    # Two one-sided tests at 2.5 %, by SciPy: neither a share more nor a share less can be true.
    logs = [np.log(column) for column in values.values()]
    margin = math.log1p(change.equal_within)
    worst = min(stats.ttest_ind(logs[1] - margin, logs[0], alternative="less", equal_var=False).pvalue, 1)
    assert worst == pytest.approx(0.025, rel=1e-6)
    assert stats.ttest_ind(logs[1] + margin, logs[0], alternative="greater", equal_var=False).pvalue < 0.025
    assert found.seeds_needed == 2
    told = comparison.told_from_the_best(found)
    assert told[0] == f"not told from the best: layers=2 (equal within {change.equal_within:.1%})"
    assert f"a difference of {change.detectable:.1%} to the best would have been told in 80 % of cases" in told[1]
    assert "10% needs 2 seeds a config" in told[1]


def test_a_difference_that_is_there_is_found_and_measured():
    random = np.random.default_rng(5)
    difficulty = np.exp(random.standard_normal(60))
    first, second = (grouped(drawn(random, level, 5, 1, difficulty))[0][0] for level in (0.1, 0.2))
    found = difference(first, second, "esr")
    assert not found.tie
    assert 0.5 < found.low < found.change < found.high < 2
    assert found.change == pytest.approx(second.mean("esr") / first.mean("esr") - 1)


def test_one_seed_each_is_judged_on_the_segments():
    """Every block is a tenth worse: the quotient of the sums is 1.1 in each draw, however the blocks fall."""
    energy = np.linspace(1, 2, 20)
    error = energy * np.linspace(0.1, 0.9, 20)
    groups = [
        grouped([trial(1, "sgd", 0, factor * error.sum() / energy.sum(), blocks=blocks(factor * error, energy))])[0][0]
        for factor in (1.0, 1.1)
    ]
    found = difference(*groups, "esr")
    assert (found.low, found.change, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert found.basis == "segments"
    assert not found.tie


def test_seeds_alone_are_welchs_test():
    values = [[1.0, 1.2, 0.9, 1.1], [1.5, 1.9, 1.6, 1.7]]
    groups = [
        grouped([trial(1, "sgd", seed, 0.1, scores={"fluctuation_db": value}) for seed, value in enumerate(column)])[0][
            0
        ]
        for column in values
    ]
    found = difference(*groups, "fluctuation_db")
    expected = stats.ttest_ind(values[1], values[0], equal_var=False).confidence_interval(0.95)
    assert found.basis == "seeds"
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_segments_alone_are_the_jackknife():
    """Leave out each block in turn: Tukey's jackknife of the logarithm of the quotient of two ESRs."""
    random = np.random.default_rng(3)
    energy, errors = random.lognormal(0, 0.5, 400), random.lognormal(-2, 0.5, (2, 400))
    groups = [
        grouped([trial(n, "sgd", 0, error.sum() / energy.sum(), blocks=blocks(error, energy))])[0][0]
        for n, error in enumerate(errors)
    ]
    left = [np.log(error.sum() - error) for error in errors]
    replicates = left[1] - left[0]
    spread = math.sqrt(399 / 400 * np.sum((replicates - replicates.mean()) ** 2))
    found = difference(*groups, "esr")
    half = (math.log1p(found.high) - math.log1p(found.low)) / 2
    assert half == pytest.approx(stats.t.ppf(0.975, 120) * spread, rel=0.01)


def test_one_without_any_error_is_told_from_others_by_their_blocks():
    energy, error = np.ones(20), np.linspace(0.1, 0.3, 20)
    groups = [
        grouped([trial(1, "sgd", 0, each.sum() / 20, blocks=blocks(each, energy))])[0][0] for each in (0 * error, error)
    ]
    found = difference(*groups, "esr")
    expected = stats.ttest_1samp(error, 0).confidence_interval(0.95)  # a mean of blocks that are as long
    assert (found.change, found.relative) == (pytest.approx(0.2), False)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=0.02)


def test_a_difference_of_many_times_is_shown_as_a_factor():
    assert str(Difference(0.5, 0.4, 0.6, "seeds", 0.1, relative=True)) == "+50.0% (+40.0% to +60.0%)"
    assert str(Difference(19.0, -0.1, 99.0, "seeds", 0.1, relative=True)) == "tie × 20 (0.9 to 100)"
    assert str(Difference(19.0, 1.0, 99.0, "seeds", 0.1, relative=False)) == "+19 (+1 to +99)"


def test_where_nothing_can_be_said_nothing_is():
    alone = [grouped([trial(1, "sgd", 0, value)])[0][0] for value in (0.1, 0.2)]
    assert difference(*alone, "esr") is None
    ones = np.ones(4)
    elsewhere = [
        grouped([trial(1, "sgd", seed, 0.1, blocks=blocks(ones, ones, target=target)) for seed in (0, 1)])[0][0]
        for target in ("here", "there")
    ]
    assert difference(*elsewhere, "esr") is None


# ---- what is left out, and what is said -----------------------------------------------------------------------------


def test_runs_that_did_not_finish_are_listed_and_count_nowhere():
    diverged = trial(2, "sgd", 7, math.inf, ended="diverged")
    found = ranked([*FULL, diverged, trial(1, "sgd", 9, math.nan)])
    assert found.left_out == [("2-sgd-7", "diverged"), ("1-sgd-9", "has no esr")]
    assert [len(group.trials) for group in found.groups] == [3, 3, 3, 3]


def test_a_metric_that_no_run_has_is_refused_with_the_nearest():
    with pytest.raises(AmpsimError, match=r"no run has a score `err`; did you mean `esr`\?"):
        ranked(FULL, "err")


def test_a_single_run_is_refused_and_the_others_are_named():
    with pytest.raises(AmpsimError, match=r"two finished runs, and there is one; 1-sgd-1 diverged"):
        ranked([trial(1, "sgd", 0, 0.1), trial(1, "sgd", 1, 0.1, ended="diverged")])
    with pytest.raises(AmpsimError, match="there is none"):
        ranked([trial(1, "sgd", 1, 0.1, ended="diverged")])


def test_a_metric_of_which_more_is_better_is_ranked_from_above():
    trials = [trial(n, "sgd", 0, 0.1, scores={"real_time_factor": n}) for n in (1, 2)]
    assert [group.label for group in ranked(trials, "real_time_factor").groups] == ["layers=2", "layers=1"]


def test_different_recordings_one_seed_and_old_runs_are_told():
    ones = np.ones(4)
    told = ranked(
        [
            trial(1, "sgd", 0, 0.1, blocks=blocks(ones, ones)),
            trial(2, "sgd", 0, 0.2, blocks=blocks(ones, ones, target="other")),
            trial(3, "sgd", 0, 0.3),
        ]
    )
    assert told.differences == [None, None]
    assert [note.split(":")[0] for note in told.notes] == [
        "not comparable",
        "1 of 3 runs keep no scores.json",
        "one seed each",
    ]


def test_a_group_of_one_seed_borrows_the_spread_of_the_others():
    values = [0.1, 0.11, 0.12]
    many = grouped([trial(1, "sgd", seed, value) for seed, value in enumerate(values)])[0][0]
    one = grouped([trial(2, "sgd", 0, 0.13)])[0][0]
    found = difference(many, one, "esr")
    logs = np.log(values)
    reach = stats.t.ppf(0.975, 2) * np.std(logs, ddof=1) * math.sqrt(1 / 3 + 1)
    assert found.high == pytest.approx(math.exp(math.log(0.13) - logs.mean() + reach) - 1)
    third = grouped([trial(3, "sgd", 0, 0.2)])[0][0]
    assert Contest((many, one, third), "esr").difference(1, 2).basis == "seeds"  # both lent
    assert "one seed is judged as if" in ranked([*many.trials, *one.trials]).notes[-1]


def noisy(layers: int, esr: float, fluctuation: float, *, spread: float = 0.02, num_seeds: int = 3) -> list[Trial]:
    luck = np.exp(spread * np.linspace(-1, 1, num_seeds)) if num_seeds > 1 else [1.0]
    return [
        trial(layers, "sgd", seed, esr * by, scores={"fluctuation_db": fluctuation * by})
        for seed, by in enumerate(luck)
    ]


def test_the_metrics_disagree_about_groups():
    found = ranked(noisy(1, 0.1, 0.2) + noisy(2, 0.05, 2.0))
    assert found.verdict.sentences[0] == (
        "layers=2 has the lower esr than layers=1 (0.05 against 0.1), yet the higher fluctuation_db (2 against 0.2)"
    )
    assert any(line.startswith("the metrics disagree: ") for line in comparison.sentences(found))


@pytest.mark.parametrize("noise", [{"spread": 0.5}, {"num_seeds": 2, "spread": 0.3}])
def test_what_another_seed_would_turn_round_is_no_disagreement(noise: dict):
    assert ranked(noisy(1, 0.1, 0.2, **noise) + noisy(2, 0.08, 0.25, **noise)).verdict.sentences == []


def test_where_only_one_of_two_metrics_tells_two_configs_apart_they_do_not_disagree():
    fluctuating = {1: [0.1, 0.3, 0.8], 2: [0.2, 0.5, 0.9]}  # worse on the whole, but not beyond its noise
    trials = [
        trial(n, "sgd", seed, level * (1 + seed / 100), scores={"fluctuation_db": fluctuating[n][seed]})
        for n, level in ((1, 0.2), (2, 0.1))
        for seed in range(3)
    ]
    found = ranked(trials)
    assert not found.differences[0].tie
    assert found.verdict.sentences == []


def test_one_seed_each_gives_a_hint_and_other_recordings_not_even_that():
    alone = noisy(1, 0.1, 0.2, num_seeds=1) + noisy(2, 0.05, 2.0, num_seeds=1)
    (line,) = [line for line in comparison.sentences(ranked(alone)) if "fluctuation_db (2" in line]
    assert line.startswith("a hint, for one seed each says nothing about noise: layers=2 has the lower esr")
    ones = np.ones(4)
    elsewhere = [
        Trial(each.id, each.name, each.config, each.scores, "", blocks(ones, ones, target=each.id)) for each in alone
    ]
    assert ranked(elsewhere).verdict.sentences == []


def test_how_large_a_rank_correlation_chance_makes_is_that_of_all_orders():
    for count, expected in ((4, math.inf), (5, 1.0), (6, 0.886), (7, 0.786)):  # exact, Zar (1972): two-sided 5 %
        assert comparison.rank_correlation_by_chance(count) == pytest.approx(expected, abs=1e-3)
    coefficient = comparison.rank_correlation_by_chance(30)
    assert coefficient == pytest.approx(0.362, abs=0.01)


# ---- a score that is larger where it is better, and whose blocks are excerpts ----


def rated(name: str, ratings: list[float], seed: int = 0) -> Trial:
    kept = Blocks("same", [1], [1.0], [1.0], [1.0], [1.0], ratings)
    return Trial(name, name, {"m": name, "seed": str(seed)}, {"predicted_mushra": float(np.mean(ratings))}, blocks=kept)


def test_the_highest_rating_comes_first_and_excerpts_tell_ties():
    good, alike, poor = (
        rated("good", [95, 91, 97, 93]),
        rated("alike", [97, 90, 95, 93]),
        rated("poor", [75, 70, 79, 71]),
    )
    found = ranked([poor, alike, good], "predicted_mushra")
    assert [group.trials[0].name for group in found.groups] == ["good", "alike", "poor"]
    tie, apart = found.differences  # each to the best
    assert tie.tie
    assert not apart.tie
    assert apart.change == pytest.approx(-20.25)


def test_one_block_tells_nothing_apart_and_an_old_run_is_left_out():
    old = Trial("old", "old", {"m": "old", "seed": "0"}, {"esr": 0.1})
    found = ranked([rated("a", [95.0]), rated("b", [60.0]), old], "predicted_mushra")
    assert found.differences == [None]
    assert found.left_out == [("old", "has no predicted_mushra")]
    short = [trial(n, "sgd", 0, 0.1 * n, blocks=blocks(np.array([0.1 * n]), np.array([1.0]))) for n in (1, 2)]
    assert ranked(short, "esr").differences == [None]


def test_an_interval_that_says_nothing_is_not_shown():
    """Two seeds a config, one lucky: Student's t of one degree of freedom reaches over eight powers of ten."""
    wild = [trial(layers, "adam", seed, esr, scores={"predicted_mushra": 50.0 + 100 * esr, "log_spectral_distance_db": 9 * esr})
            for layers, esrs in ((1, (0.02, 0.4)), (2, (0.1, 0.2))) for seed, esr in enumerate(esrs)]  # fmt: skip
    low, high = stats.t.interval(0.95, 1, np.mean(np.log([0.02, 0.4])), stats.sem(np.log([0.02, 0.4])))
    assert high - low > np.log(1e8)
    found = ranked(wild)
    lucky = next(group for group in found.groups if group.label == "layers=1")
    assert np.isnan(lucky.interval("esr")).all()
    assert np.isnan(lucky.interval("predicted_mushra")).all()  # 71 ± 241 of 100
    assert lucky.interval("log_spectral_distance_db")[0] == 0  # no distance is below
    (change,) = found.differences
    assert str(change) == f"tie {change.change:+.1%} (interval not known)"
    told = " ".join(comparison.sentences(found))
    assert "how far apart is not known" in told
    assert "no difference to the best, however large, would have been told" in told
    assert not re.search(r"factor of \d{4,}|e\+0\d", told)
    near = ranked([trial(1, "adam", seed, 0.1 + 0.01 * seed) for seed in range(2)] + [trial(2, "adam", 0, 0.2)])
    assert all(math.isfinite(end) for group in near.groups[:1] for end in group.interval("esr"))
