"""Votes files in, numbers out that SciPy and hands find too, and sentences for files that are damaged."""

import copy
import itertools
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from ampsim import AmpsimError
from ampsim.cli import main as cli
from ampsim.report import votes
from ampsim.report.votes import summaries

PAGE = {"id": "abc", "title": "minute against tcn", "excerpt": [0, 20]}


def abx(right: int, wrong: int, *, id: str, planned: int | None = None) -> dict:
    answers = [("A", "A")] * right + [("B", "A")] * wrong
    trials = [
        {"x": x, "answer": answer, "correct": x == answer, "seconds": 2, "heard": {"A": 1, "B": 1, "X": 1}}
        for x, answer in answers
    ]
    return {"id": id, "a": "amp", "b": "minute", "region": [0, 20], "planned": planned or len(trials), "trials": trials}


def mushra(rows: list[tuple[float, float, float]], *, id: str) -> dict:
    """Ratings of the hidden reference, the anchor and one model, a row for each excerpt."""
    stimuli = [("model", "minute"), ("reference", "amp"), ("anchor", "anchor")]
    trials = [
        {"ratings": [{"kind": k, "name": n, "score": s} for (k, n), s in zip(stimuli, (model, ref, low), strict=True)]}
        for ref, low, model in rows
    ]
    return {"id": id, "planned": len(trials), "trials": trials}


def ballot(listener: str = "", *, abx: list[dict] = (), mushra: list[dict] = (), page: dict = PAGE) -> dict:
    return {
        "format": "ampsim-votes",
        "version": 1,
        "page": page,
        "runs": {},
        "listener": listener,
        "saved": "2026-01-01T00:00:00Z",
        "abx": list(abx),
        "mushra": list(mushra),
    }


@pytest.fixture
def save(tmp_path: Path) -> Callable[[str, Any], Path]:
    def written(name: str, votes: Any) -> Path:
        path = tmp_path / name
        path.write_text(votes if isinstance(votes, str) else json.dumps(votes), encoding="utf-8")
        return path

    return written


def test_abx_tests_of_several_listeners_are_pooled(save: Callable):
    paths = [
        save("1.json", ballot("Anna", abx=[abx(8, 2, id="a"), abx(5, 5, id="b")])),
        save("ben.json", ballot(abx=[abx(9, 1, id="c")])),
    ]
    (found,), rated = summaries(paths, notice=pytest.fail)
    assert rated == []
    assert found.pair == ("amp", "minute")
    assert found.listeners == {"Anna": (13, 20), "ben": (9, 10)}
    assert (found.correct, found.trials) == (22, 30)
    assert found.p == pytest.approx(sum(math.comb(30, k) for k in range(22, 31)) / 2**30)
    # Clopper and Pearson's limits are the proportions that leave 2.5 % on the other side.
    low = optimize.brentq(lambda share: stats.binom.sf(21, 30, share) - 0.025, 0.01, 0.99)
    high = optimize.brentq(lambda share: stats.binom.cdf(22, 30, share) - 0.025, 0.01, 0.99)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_pages_and_pairs_stay_apart(save: Callable):
    other = {**PAGE, "id": "def", "title": "another"}
    turned = abx(3, 5, id="d") | {"a": "minute", "b": "amp"}
    paths = [
        save("1.json", ballot("Anna", abx=[abx(8, 2, id="a"), turned, abx(1, 7, id="c") | {"b": "tcn"}])),
        save("2.json", ballot("Anna", abx=[abx(4, 4, id="b")], page=other)),
    ]
    found, _ = summaries(paths, notice=pytest.fail)
    assert [(each.title, each.pair, each.correct, each.trials) for each in found] == [
        ("minute against tcn", ("amp", "minute"), 11, 18),
        ("minute against tcn", ("amp", "tcn"), 1, 8),
        ("another", ("amp", "minute"), 4, 8),
    ]


def test_whether_an_answer_is_right_is_found_anew(save: Callable):
    test = abx(2, 8, id="a")
    for trial in test["trials"]:
        trial["correct"] = True
    (found,), _ = summaries([save("x.json", ballot(abx=[test]))], notice=pytest.fail)
    assert found.correct == 2


def test_a_test_counts_once_and_only_when_it_was_finished(save: Callable):
    begun = abx(3, 0, id="a", planned=10)
    done = abx(6, 4, id="a")
    paths = [
        save("early.json", ballot("Anna", abx=[begun, abx(5, 0, id="b", planned=8)])),
        save("late.json", ballot("Anna", abx=[done])),
    ]
    heard: list[str] = []
    (found,), _ = summaries(paths, notice=heard.append)
    assert found.listeners == {"Anna": (6, 10)}
    assert len(heard) == 2
    assert "early.json" in heard[0]
    assert "late.json hold the same test of Anna; it counts once" in heard[0]
    assert heard[1].endswith("early.json: a test of Anna ended after 5 of 8; left out")


def test_mushra_means_and_intervals_are_over_listeners(save: Callable):
    ratings = {"Anna": [(100, 20, 80), (95, 30, 70)], "Ben": [(92, 10, 90), (100, 10, 88)], "Cleo": [(90, 40, 60)] * 2}
    paths = [save(f"{name}.json", ballot(name, mushra=[mushra(rows, id=name)])) for name, rows in ratings.items()]
    _, (found,) = summaries(paths, notice=pytest.fail)
    assert (found.listeners, found.excluded) == (["Anna", "Ben", "Cleo"], {})
    assert [each.stimulus[0] for each in found.ratings] == ["reference", "model", "anchor"]
    model = found.ratings[1]
    means = [75, 89, 60]
    assert model.mean == pytest.approx(np.mean(means))
    interval = stats.t.interval(0.95, 2, np.mean(means), stats.sem(means))
    assert (model.low, model.high) == pytest.approx((max(0, interval[0]), min(100, interval[1])))


def test_who_misses_the_hidden_reference_is_left_out_and_named(save: Callable):
    seven = [(100, 10, 50)] * 6 + [(89, 10, 50)]  # one of seven is 14 %
    six = [(100, 10, 90)] * 5 + [(89, 10, 90)]  # one of six is 17 %
    paths = [
        save("a.json", ballot("Anna", mushra=[mushra(seven, id="a")])),
        save("b.json", ballot("Ben", mushra=[mushra(six, id="b")])),
    ]
    _, (found,) = summaries(paths, notice=pytest.fail)
    assert found.listeners == ["Anna"]
    assert found.excluded == {"Ben": "the hidden reference got less than 90 in 1 of 6 excerpts"}
    (model,) = [each for each in found.ratings if each.stimulus == ("model", "minute")]
    assert model.mean == 50
    assert math.isnan(model.low)  # of one listener there is no interval


def rated(rows: list[dict[str, float]], *, id: str) -> dict:
    """A test with both anchors; a row for each excerpt of a page, ratings by name. Excerpts come in any order."""
    kinds = {"amp": "reference", "low": "anchor", "mid": "mid_anchor"}
    trials = [
        {
            "region": [5.0 * place, 5.0 * place + 5],
            "ratings": [
                {"kind": kinds.get(name, "model"), "name": name, "score": score} for name, score in row.items()
            ],
        }
        for place, row in enumerate(rows)
    ]
    return {"id": id, "planned": len(trials), "trials": trials[::-1] if len(id) % 2 else trials}


def page_of(save: Callable, listeners: dict[str, list[dict[str, float]]]) -> votes.Mushra:
    paths = [save(f"{name}.json", ballot(name, mushra=[rated(rows, id=name)])) for name, rows in listeners.items()]
    return summaries(paths, notice=pytest.fail)[1][0]


def row(**scores: float) -> dict[str, float]:
    return {"amp": 100, "low": 20, "mid": 60, "minute": 80} | scores


def test_who_takes_the_mid_range_anchor_for_the_amp_is_left_out(save: Callable):
    """91 is above 90, 90 is not; one of six excerpts is 17 %, one of seven is 14 %."""
    steady = {name: [row()] * 7 for name in ("Ann", "Bob", "Cy", "Dee")}
    found = page_of(save, steady | {"Eve": [row(mid=91)] + [row()] * 5, "Flo": [row(mid=91)] + [row(mid=90)] * 6})
    assert list(found.excluded.items()) == []  # the first excerpt: two of six, more than a quarter
    assert found.indistinct == 1
    found = page_of(save, steady | {"Eve": [row(mid=91)] + [row()] * 5, "Flo": [row(mid=90)] * 6 + [row(mid=91)]})
    assert found.excluded == {"Eve": "the mid-range anchor got more than 90 in 1 of 6 excerpts"}
    assert found.indistinct == 0


def test_an_anchor_that_hardly_differs_excludes_nobody_in_that_excerpt_and_still_in_others(save: Callable):
    """A cabinet that ends at 5 kHz: most take the first excerpt's anchor for the amp. One takes all for it."""
    found = page_of(
        save,
        {name: [row(mid=99), row(), row(), row()] for name in ("Ann", "Bob", "Cy", "Dee")}
        | {"Eve": [row(mid=100)] * 4},
    )
    assert found.excluded == {"Eve": "the mid-range anchor got more than 90 in 3 of 4 excerpts"}
    assert found.indistinct == 1


def test_an_anchor_that_hardly_differs_excludes_nobody_for_the_reference_of_that_excerpt_either(save: Callable):
    """BS.1534-3, 4.1.2: "not ... on the basis of scores for that item". A quarter of the listeners is not more than a quarter."""
    for passing, excluded in ((2, []), (1, ["Ann", "Eve"])):
        listeners = {name: [row(mid=99 if k < passing else 60), row()] for k, name in enumerate(("Ann", "Bob", "Cy"))}
        found = page_of(save, listeners | {"Eve": [row(amp=70, mid=60), row()]})
        assert (list(found.excluded), found.indistinct) == (excluded, passing - 1)


def test_files_without_a_mid_range_anchor_are_read_and_exclude_nobody_for_it(save: Callable):
    old = ballot("Anna", mushra=[mushra([(100, 99, 50)] * 3, id="a")])
    _, (found,) = summaries([save("old.json", old | {"version": 1})], notice=pytest.fail)
    assert (found.excluded, found.indistinct) == ({}, 0)


def test_models_are_compared_in_pairs_by_the_same_listener(save: Callable):
    """Listeners who differ by 50 points agree to a few about which is better: SciPy's paired t, times three pairs."""
    ratings = {  # each listener's excerpts: minute, tcn, gru
        "Anna": [(90, 80, 81), (94, 86, 84)],
        "Ben": [(40, 33, 30), (44, 31, 36)],
        "Cleo": [(70, 60, 63), (72, 58, 57)],
        "Dan": [(55, 46, 45)],
    }
    rows = {name: [row(minute=a, tcn=b, gru=c) for a, b, c in of] for name, of in ratings.items()}
    found = page_of(save, rows)
    assert [(each.better, each.worse) for each in found.pairs] == [
        (one, other) for one, other in itertools.combinations([n for (k, n) in order(found) if k == "model"], 2)
    ]
    means = {name: np.mean(of, axis=0) for name, of in ratings.items()}
    pair = next(each for each in found.pairs if {each.better, each.worse} == {"minute", "tcn"})
    differences = [mean[0] - mean[1] for mean in means.values()]
    expected = stats.ttest_1samp(differences, 0)
    assert (pair.listeners, pair.difference) == (4, pytest.approx(np.mean(differences)))
    assert pair.p == pytest.approx(3 * expected.pvalue)
    interval = expected.confidence_interval(1 - 0.05 / 3)
    assert (pair.low, pair.high) == pytest.approx((interval.low, interval.high))
    assert pair.p < 0.05 < stats.ttest_ind(*np.array(list(means.values())).T[:2]).pvalue  # not as strangers
    assert next(each for each in found.pairs if {each.better, each.worse} == {"gru", "tcn"}).p > 0.05


def order(found: votes.Mushra) -> list[votes.Stimulus]:
    return [each.stimulus for each in found.ratings]


def test_one_listener_says_nothing_about_others_and_equal_differences_are_no_certainty(save: Callable):
    (pair,) = page_of(save, {"Anna": [row(tcn=70)] * 4}).pairs
    assert (pair.difference, pair.listeners) == (10, 1)
    assert math.isnan(pair.p)
    (pair,) = page_of(save, {name: [row(tcn=79)] for name in ("Anna", "Ben")}).pairs
    assert pair.low < 0 < pair.high  # whole numbers: 1 and 1 may be 0.6 and 1.4


def test_equal_models_differ_in_one_page_of_twenty_however_many_excerpts_a_listener_rates():
    """Taste: a listener likes a model in every excerpt alike, so that eight excerpts are no eight listeners."""
    random = np.random.default_rng(8)
    models = [("model", str(k)) for k in range(4)]
    wrong = pooled = 0
    for _ in range(400):
        taste = 8 * random.standard_normal((6, 1, 4)) + 3 * random.standard_normal((6, 8, 4))
        found = votes.compared(models, [[dict(zip(models, each, strict=True)) for each in of] for of in taste])
        wrong += any(pair.p < 0.05 for pair in found)
        every = (taste[..., 0] - taste[..., 1]).ravel()
        pooled += stats.ttest_1samp(every, 0).pvalue < 0.05
    assert wrong <= 0.06 * 400
    assert pooled > 0.3 * 400


def test_the_command_shows_both(save: Callable, capsys: pytest.CaptureFixture):
    paths = [
        save("a.json", ballot("Anna [b]", abx=[abx(9, 1, id="1")], mushra=[mushra([(100, 10, 80)], id="2")])),
        save("b.json", ballot("Ben", mushra=[mushra([(95, 20, 60)], id="3")])),
        save("c.json", ballot("Cleo", mushra=[mushra([(50, 20, 60)], id="4")])),
    ]
    assert cli.main(["votes", *map(str, paths)]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "ABX: amp against minute (minute against tcn)" in output
    assert "Anna [b] 9 10 0.011 90%" in output
    assert "all 9 10 0.011 90%, 55% to 100%" in output
    assert "MUSHRA: mean ratings of 2 listeners (minute against tcn)" in output
    assert "amp (hidden reference) 97.5 66 to 100" in output
    assert "minute 70.0 not known" in output  # 80 and 60: 0 to 100, which says nothing
    assert "Cleo is left out of minute against tcn" in output
    assert "less than 90 in 1 of 1 excerpts" in output


def test_a_name_cannot_steer_the_terminal(save: Callable, capsys: pytest.CaptureFixture):
    votes = ballot("\x1b[2J\ud800[red]", abx=[abx(1, 0, id="a")])
    assert cli.main(["votes", str(save("x.json", votes))]) == 0
    assert r"\x1b[2J\ud800[red]" in capsys.readouterr().out


# ---- files that come by mail ----


def changed(change: Callable[[dict], Any]) -> dict:
    votes = ballot("Anna", abx=[abx(1, 0, id="a")], mushra=[mushra([(100, 10, 50)], id="b")])
    votes = copy.deepcopy(votes)
    change(votes)
    return votes


DAMAGED = {
    "not JSON": ('{"format": "ampsim-votes", "abx": [', "it breaks off"),
    "not a number": ('{"format": NaN}', "holds no votes"),
    "nested without end": ("[" * 100_000, "it is nested too deep"),
    "a list": ("[]", "holds no votes"),
    "of another kind": ({"format": "something else"}, "holds no votes"),
    "of a later version": (changed(lambda v: v.update(version=3)), "is of version 3, and this ampsim reads 1 and 2"),
    "without a page": (changed(lambda v: v.pop("page")), "the file has no page"),
    "with a page that is text": (
        changed(lambda v: v.update(page="x")),
        "page of the file: input should be a valid dictionary",
    ),
    "without tests": (changed(lambda v: v.pop("abx")), "the file has no abx"),
    "with a test that is text": (
        changed(lambda v: v.update(abx=["x"])),
        "ABX test 1: input should be a valid dictionary",
    ),
    "without an answer": (
        changed(lambda v: v["abx"][0]["trials"][0].pop("answer")),
        "trial 1 of ABX test 1 has no answer",
    ),
    "with an odd answer": (
        changed(lambda v: v["abx"][0]["trials"][0].update(x="C")),
        "x of trial 1 of ABX test 1: input should be 'A' or 'B'",
    ),
    "with no plan": (changed(lambda v: v["abx"][0].update(planned=True)), "planned of ABX test 1"),
    "with a plan of nothing": (
        changed(lambda v: v["abx"][0].update(planned=0)),
        "should be greater than or equal to 1",
    ),
    "with a page of no name": (changed(lambda v: v["page"].pop("title")), "the page has no title"),
    "with a score beyond the scale": (
        changed(lambda v: v["mushra"][0]["trials"][0]["ratings"][0].update(score=101)),
        "score of rating 1 of excerpt 1 of MUSHRA test 1: input should be less than or equal to 100",
    ),
    "with a score that is no number": (
        changed(lambda v: v["mushra"][0]["trials"][0]["ratings"][0].update(score=float("nan"))),
        "score of rating 1 of excerpt 1 of MUSHRA test 1",
    ),
    "with a score that is true": (
        changed(lambda v: v["mushra"][0]["trials"][0]["ratings"][0].update(score=True)),
        "score of rating 1 of excerpt 1 of MUSHRA test 1: input should be a valid number",
    ),
    "without a reference": (
        changed(lambda v: v["mushra"][0]["trials"][0]["ratings"].pop(1)),
        "ratings of excerpt 1 of MUSHRA test 1: the hidden reference is not rated, or more than once",
    ),
    "with a region that is no time": (
        changed(lambda v: v["mushra"][0]["trials"][0].update(region=["x", 2])),
        "region 1 of excerpt 1 of MUSHRA test 1",
    ),
    "with nothing finished": (ballot("Anna"), "these files hold no finished test"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_in_a_sentence(save: Callable, name: str, capsys: pytest.CaptureFixture):
    text, sentence = DAMAGED[name]
    path = save("mail.json", text)
    assert cli.main(["votes", str(path)]) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == 1


def test_what_is_no_text_is_refused(tmp_path: Path):
    (tmp_path / "x.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AmpsimError, match="it is not text"):
        summaries([tmp_path / "x.json"], notice=print)
    with pytest.raises(AmpsimError, match="is a folder; name a file in it"):
        summaries([tmp_path], notice=print)


def test_unnamed_listeners_of_files_with_one_name_are_two(tmp_path: Path):
    paths = [tmp_path / folder / "votes.json" for folder in ("anna", "ben")]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        path.write_text(json.dumps(ballot(abx=[abx(8, 2, id=f"test {number}")])), encoding="utf-8")
    ((pair,), _) = summaries(paths, notice=print)
    assert list(pair.listeners) == [str(path.with_suffix("")) for path in paths]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
def test_a_pipe_and_a_giant_file_are_no_votes(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.json")
    with (tmp_path / "giant.json").open("wb") as file:
        file.truncate(20_000_000)
    for name, sentence in (
        ("pipe.json", "is no file, but a pipe"),
        ("giant.json", "is no votes file: it has"),
    ):
        with pytest.raises(AmpsimError, match=f"{name} {sentence}"):
            summaries([tmp_path / name], notice=print)


def many(stimuli: int, excerpts: int) -> dict:
    """A MUSHRA test with so many stimuli, shared out to so many excerpts."""
    each = [{"kind": "model", "name": f"{number}", "score": 50} for number in range(stimuli)]
    reference = {"kind": "reference", "name": "amp", "score": 100}
    size = -(-stimuli // excerpts)
    trials = [{"ratings": [reference, *each[k * size : (k + 1) * size]]} for k in range(excerpts)]
    return {"id": "m", "planned": len(trials), "trials": trials}


@pytest.mark.parametrize(
    ("votes", "sentence"),
    [
        (ballot("Anna", mushra=[many(20_000, 1)]), "ratings of excerpt 1 of MUSHRA test 1"),
        (ballot("Anna", mushra=[many(20_000, 4000)]), "20,001 stimuli are rated, and a listener compares up to 50"),
        (ballot("Anna", mushra=[many(5, 5)] * 2000), "mushra of the file"),
        (ballot("Anna", abx=[abx(20_000, 0, id="a")]), "trials of ABX test 1"),
    ],
)
def test_more_than_a_listener_answers_is_refused(save: Callable, votes: dict, sentence: str):
    with pytest.raises(AmpsimError, match=sentence):
        summaries([save("x.json", votes)], notice=print)


def test_a_mean_is_over_the_excerpts_that_hold_the_stimulus(save: Callable):
    """By hand: Anna rates 40 and 60 in the first two of three excerpts, Ben 80 in one."""
    anna, ben = mushra([(100, 0, 40), (100, 0, 60), (100, 0, 0)], id="a"), mushra([(95, 10, 80)], id="b")
    anna["trials"][2]["ratings"].pop(0)
    (_, (page,)) = summaries(
        [save("a.json", ballot("Anna", mushra=[anna])), save("b.json", ballot("Ben", mushra=[ben]))], notice=print
    )
    assert {each.stimulus[0]: each.mean for each in page.ratings} == {"reference": 97.5, "model": 65.0, "anchor": 5.0}
