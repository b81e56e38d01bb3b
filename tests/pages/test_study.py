"""The study page: what it holds, held against statistics by another route, and in a real browser."""

import base64
import io
import json
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import numpy as np
import pytest
import soundfile
from listening import browser, complaints, ready, until
from scipy import stats
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from stores import AMP, GAINS, RATE, put

from ampsim import AmpsimError, api
from ampsim.cli import main as cli
from ampsim.comparing.ranking import Ranking, Trial, ranked
from ampsim.pages import study
from ampsim.report.pareto import front
from ampsim.runs.tracking import Store

HOSTILE = "</script><img src=x onerror='hacked=2'>{{library}}<b>"


def trials(count: int, *, seeds: int = 2, seed: int = 0) -> list[Trial]:
    """Runs whose ESR follows from units and rate, with noise from a seed to the next."""
    drawn = random.Random(seed)
    made = []
    for number in range(count // seeds):
        rate, kind = drawn.choice([0.001, 0.003, 0.01]), ["lstm", "gru", "tcn", HOSTILE][number % 4]
        level = 0.1 * (rate / 0.003) ** 0.3 * (1 + number % 13)
        for each in range(seeds):
            esr = level * 2 ** drawn.gauss(0, 0.1)
            scores = {"esr": esr, "a_weighted_esr": esr * 2 ** drawn.gauss(0, 0.5), "parameters": 10.0 + number % 97}
            scores |= {"predicted_mushra": 100 - 20 * esr, "real_time_factor": 1 + 50 * drawn.random()}
            config = {"kind": kind, "units": str(number), "rate": str(rate), "seed": str(each)}
            typed = f"units={number} rate={rate} seed={each}"
            made.append(Trial(f"{number:04x}{each:028x}", f"run {number} {each} {kind}", config, scores, typed))
    return made


class Elsewhere(Store):
    """A store whose artifacts are gone, and which knows a curve of every run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.local, self.uri, self.experiment_id = folder, True, "", "1"

    def run(self, run_id: str) -> Any:
        raise AmpsimError("it is gone")

    def history(self, run_id: str, key: str) -> list[tuple[int, float]]:
        return [(step, 1 / step) for step in range(1, 200)]


def inside(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    return ranked(trials(60, seeds=3))


def test_means_and_intervals_are_those_of_students_t_on_logarithms(ranking: Ranking, tmp_path: Path):
    data = inside(study.page(Elsewhere(tmp_path), ranking, title="x", place=tmp_path))
    esr = data["metrics"][0]
    at = 0
    for number, config in enumerate(data["configs"]):
        logs = np.log(esr["values"][at : at + config["seeds"]])
        at += config["seeds"]
        low, high = stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs))
        assert [esr["low"][number], esr["mean"][number], esr["high"][number]] == pytest.approx(
            [math.exp(low), math.exp(logs.mean()), math.exp(high)], rel=1e-3
        )
    assert [config["tie"] for config in data["configs"][1:]] == [change.tie for change in ranking.differences]


def test_a_levels_interval_is_that_of_the_residuals_of_a_fit(ranking: Ranking, tmp_path: Path):
    """By regression on the configs: the residual variance with its degrees of freedom, over the level's runs."""
    (effect,) = [each for each in ranking.effects if each.factor == "rate"]
    logs = [np.log([trial.scores["esr"] for trial in group.trials]) for group in ranking.groups]
    design = np.kron(np.eye(len(logs)), np.ones((3, 1)))
    _, residual, *_ = np.linalg.lstsq(design, np.concatenate(logs), rcond=None)
    freedom = 2 * len(logs)
    for name, (low, high) in effect.intervals.items():
        of = np.concatenate([x for x, group in zip(logs, ranking.groups, strict=True) if group.levels["rate"] == name])
        reach = stats.t.ppf(0.975, freedom) * math.sqrt(residual[0] / freedom / len(of))
        assert [low, high] == pytest.approx([math.exp(of.mean() - reach), math.exp(of.mean() + reach)])


def test_more_runs_than_a_page_shows_are_bounded_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(study, "MOST_RUNS", 20)
    data = inside(study.page(Elsewhere(tmp_path), ranked(trials(60)), title="x", place=tmp_path))
    assert len(data["runs"]["id"]) == 20
    assert any("the best 10 of 30 configs (20 of 60 runs)" in note for note in data["notes"])


def test_names_stay_data(ranking: Ranking, tmp_path: Path):
    text = study.page(Elsewhere(tmp_path), ranking, title=HOSTILE, place=tmp_path)
    assert "<img" not in text
    assert inside(text)["title"] == HOSTILE
    assert text.count("{{library}}") > 2  # as a name has it, and not what the template's own stands for


# ---- a store on disk ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("studied")
    found = Store(folder / "runs")
    parent = found.start("my sweep", params={}, tags={})
    for (layers, seed), gain in GAINS.items():
        curve = {step: (1 + seed) * 0.5 / (layers * step) for step in (10, 20, 30)}
        put(found, folder / "made", layers, seed, gain, parent=parent.id, curve=curve)
    parent.finish()
    return found


@pytest.fixture(scope="module")
def written(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page in whose store the sound of the worst config's runs lies on disk only, and that of layers=2 is gone."""
    path = tmp_path_factory.mktemp("pages") / "study.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "MOST_HEARD", 1)
        api.compare(sweep="last", folder=store.folder).page(path)
    return path


def test_a_page_takes_no_files_place(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["compare", "sweep=my sweep", f"folder={store.folder}", f"html={tmp_path}/a.html"]
    assert cli.main(words) == 0
    assert f"written: {tmp_path}/a.html" in capsys.readouterr().out
    assert cli.main(words) == 2
    assert "overwrite=true" in capsys.readouterr().err


def test_the_sound_inside_is_that_of_the_run(store: Store, written: Path):
    """The amp and the best config's best run, as loud against each other as they are."""
    text = written.read_text(encoding="utf-8")
    islands = re.findall(r'<script type="text/plain" class="sound">(.*?)</script>', text)
    heard = [soundfile.read(io.BytesIO(base64.b64decode(island))) for island in islands]
    assert [rate for _, rate in heard] == [RATE, RATE]
    scale = 0.9 / np.abs(AMP).max()
    assert np.abs(heard[0][0] - scale * AMP).max() < 1e-4
    assert np.abs(heard[1][0] - scale * GAINS[3, 1] * AMP).max() < 1e-4


def test_the_curves_are_what_the_store_has(store: Store, written: Path):
    data = inside(written.read_text(encoding="utf-8"))
    place = data["runs"]["name"].index("layers=1-seed=1")
    assert data["curves"]["validation ESR"][str(place)] == [[10, 20, 30], pytest.approx([0.1, 0.05, 1 / 30], rel=1e-4)]


def test_a_page_on_the_parent_finds_the_store_beside_it(store: Store):
    parent = store.find_sweep("my sweep")
    ranking = api.compare(sweep="my sweep", folder=store.folder).ranking
    study.keep(store, parent, ranking)
    page = parent.file("study.html")
    data = inside(page.read_text(encoding="utf-8"))
    assert (page.parent / data["base"] / data["runs"]["id"][0] / "artifacts" / "audio" / "amp.wav").is_file()


# ---- in a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chrome]:
    with browser() as driver:
        yield driver


def opened(driver: Chrome, page: Path) -> Chrome:
    driver.get("about:blank")
    complaints(driver)
    driver.get(page.as_uri())
    ready(driver)
    until(lambda: driver.execute_script("return document.body.dataset.charts"))
    return driver


@pytest.fixture
def driver(chromium: Chrome, written: Path) -> Iterator[Chrome]:
    yield opened(chromium, written)
    assert complaints(chromium) == []


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    text = study.page(Elsewhere(folder), ranked(trials(1000)), title=HOSTILE, place=folder)
    (folder / "study.html").write_text(text, encoding="utf-8")
    return folder / "study.html"


def column(driver: Chrome, number: int) -> list[str]:
    return driver.execute_script(
        "return [...document.querySelectorAll('#table tbody tr')].map((row) => row.cells[arguments[0]].textContent)",
        number,
    )


@pytest.mark.slow
def test_the_table_sorts_by_keyboard_and_shows_ties(driver: Chrome):
    labels = column(driver, 1)
    assert labels == ["layers=3", "layers=2", "layers=1"]
    assert column(driver, 5)[0] == "best"
    assert column(driver, 5)[1].startswith("tie")
    heads = driver.find_elements(By.CSS_SELECTOR, "#table thead button")
    assert "one seed" not in column(driver, 4)
    heads[1].send_keys(Keys.ENTER)
    assert column(driver, 1) == labels[::-1]
    assert driver.execute_script("return document.activeElement.parentNode.getAttribute('aria-sort')") == "ascending"
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert column(driver, 1) == labels


@pytest.mark.slow
def test_the_filter_takes_words_and_conditions(driver: Chrome):
    field = driver.find_element(By.ID, "filter")
    field.send_keys("esr<0.01")
    assert column(driver, 1) == ["layers=3", "layers=2"]
    field.send_keys(" seed=1 layers=2")
    assert column(driver, 1) == ["layers=2"]
    assert driver.find_element(By.ID, "count").text == "1 of 3 configs"


def hear(driver: Chrome) -> dict[str, Any]:
    """Of what plays: its name, where it is, and whether the browser could read it."""
    return driver.execute_script(
        "const of = player.all.get(player.current);"
        "return { name: player.current, at: of.audio.currentTime, paused: of.audio.paused, volume: of.audio.volume }"
    )


@pytest.mark.slow
def test_a_click_plays_a_run_against_the_amp_and_another(driver: Chrome):
    row = driver.find_element(By.XPATH, "//table[@id='table']//button[text()='layers=3']")
    row.send_keys(Keys.ENTER)
    assert driver.find_element(By.ID, "run-title").text == "layers=3"
    driver.find_element(By.ID, "play").click()
    until(lambda: hear(driver)["at"] > 0.1)
    assert hear(driver)["name"] == "this config"
    # The worst config's sound is a file of the store.
    driver.execute_script(
        "const s = document.getElementById('other'); s.value = '2'; s.dispatchEvent(new Event('change'))"
    )
    other = driver.find_element(By.XPATH, "//span[@id='voices']/button[3]")
    assert other.text == "3. layers=1"
    other.click()
    until(lambda: not hear(driver)["paused"] and hear(driver)["at"] > 0.1)
    # As loud against the embedded sounds as the runs are: both are stored with a gain, which the volumes take out again.
    embedded = driver.execute_script("return player.all.get('this config').audio.volume")
    wanted = 0.9 / np.abs(AMP).max() / 10 ** ((-6.02 - 1) / 20)
    assert hear(driver)["volume"] / embedded == pytest.approx(wanted, rel=1e-3)
    assert max(hear(driver)["volume"], embedded) == 1
    ActionChains(driver).send_keys(Keys.ESCAPE).perform()
    until(lambda: driver.execute_script("return !document.getElementById('run').open && !player.playing"))


@pytest.mark.slow
def test_artifacts_that_are_gone_are_said(chromium: Chrome, many: Path):
    driver = opened(chromium, many)
    driver.find_element(By.CSS_SELECTOR, "#table tbody button").click()
    assert "not in the store any more" in driver.find_element(By.ID, "player-note").text
    assert not driver.find_element(By.ID, "play").is_enabled()
    assert "no figures" in driver.find_element(By.ID, "pictures").text
    assert complaints(driver) == []


@pytest.mark.slow
def test_nothing_in_a_name_acts(chromium: Chrome, many: Path):
    driver = opened(chromium, many)
    driver.find_element(By.CSS_SELECTOR, "#table tbody button").click()
    assert driver.title == HOSTILE
    assert driver.execute_script("return typeof hacked") == "undefined"
    assert driver.find_elements(By.CSS_SELECTOR, "img[src=x]") == []
    assert complaints(driver) == []


@pytest.mark.slow
def test_the_table_of_a_thousand_runs_waits_for_no_chart(chromium: Chrome, many: Path):
    """It sorts and filters before plotly.js is unpacked, and has the first rows only until it is asked for all."""
    text = many.read_text(encoding="utf-8").replace("loadLibrary().then(", "Promise.resolve(null).then(")
    page = many.with_name("uncharted.html")
    page.write_text(re.sub(r"script-src [^;]*", "script-src 'unsafe-inline'", text), encoding="utf-8")
    chromium.get(page.as_uri())
    ready(chromium)
    assert len(column(chromium, 0)) == 200
    chromium.find_element(By.ID, "more").click()
    assert len(column(chromium, 0)) == 500
    chromium.find_element(By.ID, "filter").send_keys("run 7 1 tcn")
    until(lambda: 0 < len(column(chromium, 0)) < 200)


@pytest.mark.slow
def test_the_pareto_front_is_that_of_the_figures(chromium: Chrome, many: Path):
    driver = opened(chromium, many)
    drawn = random.Random(5)
    points = [[drawn.randrange(12), drawn.randrange(12)] for _ in range(60)]
    found = driver.execute_script(
        "const [points] = arguments; return front(points.map((p) => p[0]), points.map((p) => p[1]), 1, -1)", points
    )
    assert sorted(found) == front([(-x, y) for x, y in points])


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_it_is_accessible_and_fits(chromium: Chrome, written: Path, scheme: str, width: int):
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        driver = opened(chromium, written)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        until(lambda: driver.find_elements(By.CSS_SELECTOR, "#effects .xtick text"))
        names = driver.execute_script(
            "const box = document.querySelector('#effects').getBoundingClientRect();"
            "return [...document.querySelectorAll('#effects .xtick text')].map((each) => each.getBoundingClientRect())"
            ".map((each) => each.left >= box.left - 1 && each.right <= box.right + 1)"
        )
        levels = driver.execute_script("return data.effects.slice(0, 8).reduce((n, each) => n + each.levels.length, 0)")
        assert names == levels * [True]
        axe = Path(str(axe_playwright_python.__file__)).with_name("axe.min.js").read_text(encoding="utf-8")
        driver.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
        for act in ("", "openRun(0)"):
            driver.execute_script(act)
            found = driver.execute_async_script("axe.run().then(arguments[0])")["violations"]
            told = [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found]
            assert told == []
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
