"""The page in a real browser: it plays, switches without a click, takes votes, in a file and in MLflow's sandbox."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from listening import browser, complaints, ready, signals, until, write_page
from numpy.testing import assert_allclose
from scipy import signal as dsp
from scipy import stats
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from synthetic import RATE

from ampsim.cli import main as cli
from ampsim.report import votes
from ampsim.report.page import listening_page
from ampsim.signals import filters

FADE = RATE // 100
HOSTILE = "</script><script>hacked=1</script><img src=x onerror='hacked=2'>"
DURATION_S = 4.0
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chrome]:
    with browser() as driver:
        yield driver


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(
        tmp_path_factory.mktemp("page") / "listen.html", duration_s=DURATION_S, start_s=1, runs={"near": "run of near"}
    )


@pytest.fixture
def driver(chromium: Chrome, page: Path) -> Iterator[Chrome]:
    chromium.switch_to.default_content()
    chromium.get("about:blank")
    complaints(chromium)
    chromium.get(page.as_uri())
    ready(chromium)
    yield chromium
    assert complaints(chromium) == []
    chromium.execute_script("saved = true")  # votes that nobody will miss


def press(driver: Chrome, *keys: str) -> None:
    for key in keys:
        ActionChains(driver).send_keys(key).perform()


def rendered(driver: Chrome, length: int, acts: str) -> np.ndarray:
    """What the page's own player sends out in `length` samples when `acts` are scheduled."""
    script = f"""
      const done = arguments[0];
      const context = new OfflineAudioContext(1, {length}, rate);
      const player = new Player(context, buffers, gains(false));
      player.soon = () => 0;
      {acts};
      context.startRendering().then((made) => done(Array.from(made.getChannelData(0))));
    """
    return np.array(driver.execute_async_script(script))


def as_recorded(names: list[str]) -> np.ndarray:
    """The excerpt's signals with the one gain that the page gives them all."""
    given, models = signals()
    excerpt = {name: x[RATE : RATE + round(DURATION_S * RATE)] for name, x in (given | models).items()}
    common = 0.98 / max(np.abs(x).max() for x in excerpt.values())
    return np.array([common * excerpt[name] for name in names])


def fades(levels: list[tuple[int, float]], length: int) -> np.ndarray:
    """A gain that goes to a level from a sample on, in a straight line of 10 ms."""
    gain, at, value = np.zeros(length), 0, 0.0
    for start, level in levels:
        gain[at:start] = value
        ramp = np.linspace(value, level, FADE, endpoint=False)
        gain[start : start + FADE] = ramp[: max(0, length - start)]
        at, value = start + FADE, level
    gain[at:] = value
    return gain


def test_it_loads_from_a_file_in_silence(driver: Chrome):
    assert driver.title == "Two models"
    names = [element.text.split("\n")[0] for element in driver.find_elements(By.CSS_SELECTOR, ".signal")]
    assert names == ["direct", "amp", "near", "far"]
    assert "0:01.0 to 0:05.0 of the test split (0:06.0 in all)" in driver.find_element(By.ID, "about").text
    # Every picture has something on it.
    until(lambda: driver.execute_script("return curves.length"))
    blank = """
      return [...document.querySelectorAll("canvas")].filter((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.every((value, k) => value === data[k % 4]);
      }).length"""
    assert driver.execute_script(blank) == 0


def test_the_console_is_heard(chromium: Chrome, tmp_path: Path):
    """The tests' own ears: an error inside a sandboxed frame is among the complaints."""
    (tmp_path / "x.html").write_text("<iframe sandbox='allow-scripts' srcdoc='<script>nowhere()</script>'></iframe>")
    complaints(chromium)
    chromium.get((tmp_path / "x.html").as_uri())
    assert any("nowhere" in message for message in until(lambda: complaints(chromium)))


def test_switching_is_a_crossfade_at_one_instant_of_the_music(driver: Chrome):
    """Outside of the fades the output is a signal itself, to the sample; inside, a mixture of two at that place."""
    start, offset = RATE // 10, RATE // 2
    times = [RATE // 2, RATE, 3 * RATE // 2]  # to near, to direct, to amp
    acts = f"""
      player.choose(1, 0); player.start({offset / RATE}, null, {start / RATE});
      player.choose(2, {times[0] / RATE}); player.choose(0, {times[1] / RATE}); player.choose(1, {times[2] / RATE})"""
    length = 2 * RATE
    found = rendered(driver, length, acts)
    amp, near, direct = as_recorded(["amp", "near", "direct"])[:, offset : offset + length - start]
    gains = [
        fades(levels, length)[start:]
        for levels in (
            [(0, 1), (times[0], 0), (times[2], 1)],
            [(times[0], 1), (times[1], 0)],
            [(times[1], 1), (times[2], 0)],
        )
    ]
    expected = fades([(start, 1)], length)
    expected[start:] *= gains[0] * amp + gains[1] * near + gains[2] * direct
    assert_allclose(found, expected, atol=2e-4)


def test_hammering_the_keys_makes_no_click(driver: Chrome):
    """On constants, whose every step is the player's own: no step is larger than a 10 ms ramp's."""
    script = f"""
      const done = arguments[0];
      const context = new OfflineAudioContext(1, {RATE}, rate);
      const levels = [0.9, -0.9, 0.3];
      const constants = levels.map((level) => {{
        const buffer = context.createBuffer(1, rate, rate);
        buffer.getChannelData(0).fill(level);
        return buffer;
      }});
      const player = new Player(context, constants, [1, 1, 1]);
      player.soon = () => 0;
      player.start(0, null, 0);
      for (let k = 0; k < 12; k++) player.choose((7 * k + 1) % 3, 0.2 + 0.003 * k);
      player.start(0.1, null, 0.25);
      player.start(0.2, [0.1, 0.4], 0.252);
      player.setGains([0.5, 0.7, 0.6], 0.5);
      player.stop(0.8);
      player.start(0, null, 0.803);
      context.startRendering().then((made) => done(Array.from(made.getChannelData(0))));
    """
    found = np.array(driver.execute_async_script(script))
    assert np.abs(np.diff(found)).max() <= 1.8 / FADE * 1.01
    assert np.abs(found).max() <= 0.9001
    assert found[round(0.45 * RATE)] == pytest.approx(0.9)  # the last one chosen
    assert found[round(0.7 * RATE)] == pytest.approx(0.45)


def test_a_loop_comes_round_without_a_click(driver: Chrome):
    region = [RATE, RATE + 3000]
    acts = f"player.choose(1, 0); player.start(0, [{region[0] / RATE}, {region[1] / RATE}], 0)"
    found = rendered(driver, 10_000, acts)
    (amp,) = as_recorded(["amp"])
    once = amp[region[0] : region[1]].copy()
    weight = (np.arange(FADE) + 1) / FADE
    once[-FADE:] = (1 - weight) * once[-FADE:] + weight * amp[region[0] - FADE : region[0]]
    expected = np.tile(once, 4)[:10_000]
    assert_allclose(found[FADE:], expected[FADE:], atol=2e-4)
    # Where it comes round, the last sample is the one before the region's first.
    assert once[-1] == amp[region[0] - 1]


def test_it_plays_and_switches_by_keys(driver: Chrome):
    press(driver, " ")
    assert driver.find_element(By.ID, "play").get_attribute("aria-label") == "Pause"
    until(lambda: driver.execute_script("return player.position() > 0.2"))
    loud = """
      const analyser = new AnalyserNode(context);
      player.master.connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      return new Promise((done) => {
        const look = () => {
          analyser.getFloatTimeDomainData(samples);
          samples.some((sample) => Math.abs(sample) > 0.01) ? done(true) : setTimeout(look, 20);
        };
        look();
      });"""
    assert driver.execute_script(loud)
    for key, index in (("3", 2), ("1", 0), ("4", 3), ("x", 0), ("x", 3)):
        press(driver, key)
        pressed = [e.get_attribute("aria-pressed") for e in driver.find_elements(By.CSS_SELECTOR, ".signal")]
        assert pressed == [str(k == index).lower() for k in range(4)]
    until(lambda: driver.execute_script("return context.currentTime > player.fadesUntil"))
    levels = driver.execute_script("return player.buses.map((bus) => bus.gain.value)")
    assert_allclose(levels, [0, 0, 0, driver.execute_script("return signals[3].matched")], rtol=1e-5)
    press(driver, "m")
    until(lambda: driver.execute_script("return context.currentTime > player.fadesUntil"))
    assert driver.execute_script("return player.buses[3].gain.value === Math.fround(signals[3].asRecorded)")
    press(driver, " ")
    assert not driver.execute_script("return player.playing")
    place = driver.execute_script("return player.position()")
    press(driver, Keys.ARROW_LEFT if place > 2 else Keys.ARROW_RIGHT)
    moved = driver.execute_script("return player.position()")
    assert abs(moved - place) == pytest.approx(1, abs=1e-3)


def test_without_a_loop_it_ends(driver: Chrome):
    press(driver, "l")
    driver.execute_script("seek(duration - 0.2)")
    press(driver, " ")
    until(lambda: driver.find_element(By.ID, "play").get_attribute("aria-label") == "Play")
    assert driver.execute_script("return player.position()") == 0


def test_a_region_is_dragged_looped_zoomed_and_forgotten(driver: Chrome):
    plot = driver.find_element(By.CSS_SELECTOR, ".errors .plot")
    width = plot.size["width"]
    ActionChains(driver).move_to_element_with_offset(plot, -width // 4, 0).click_and_hold().move_by_offset(
        20, 0
    ).move_by_offset(width // 4 - 20, 0).release().perform()
    region = driver.execute_script("return state.region")
    assert_allclose(region, [1, 2], atol=0.03)
    press(driver, " ")
    until(lambda: driver.execute_script("return player.deck.region"))
    assert_allclose(driver.execute_script("return player.deck.region"), region, atol=1 / RATE)
    press(driver, "z")
    assert_allclose(driver.execute_script("return view()"), [region[0] - 0.04, region[1] + 0.04], atol=0.01)
    handle = driver.find_element(By.CSS_SELECTOR, ".handle.ends")
    handle.send_keys(Keys.ARROW_RIGHT)
    assert driver.execute_script("return state.region[1]") == pytest.approx(region[1] + 0.1)
    press(driver, Keys.ESCAPE)
    assert driver.execute_script("return [state.region, state.zoomed]") == [None, False]
    press(driver, "w")
    worst = driver.execute_script("return state.region")
    assert worst[1] - worst[0] == pytest.approx(1)


def test_sums_are_those_of_numpy_and_scipy(driver: Chrome):
    size, samples = 256, signals()[0]["amp"][:1000].tolist()
    found = driver.execute_script(f"return Array.from(analyser({size})(arguments[0], 100))", samples)
    window = np.hanning(size + 1)[:-1]
    spectrum = np.fft.rfft(2 * window / window.sum() * samples[100 : 100 + size])
    assert_allclose(found, np.abs(spectrum) ** 2, rtol=1e-3, atol=1e-9)

    frequencies = [50.0, 200.0, 1000.0, 4000.0, 15000.0]
    found = driver.execute_script("return arguments[0].map(aWeight)", frequencies)
    assert_allclose(found, 20 * np.log10(filters.a_magnitude(np.array(frequencies))), atol=0.05)

    cases = [(0, 5), (5, 5), (9, 10), (7, 12), (25, 25), (13, 25)]
    found = driver.execute_script("return arguments[0].map(([right, all]) => chance(right, all))", cases)
    assert_allclose(found, [stats.binom.sf(right - 1, trials, 0.5) for right, trials in cases])


@pytest.mark.parametrize("hertz", [3500, 7000])
def test_the_anchors_are_the_low_passes_that_bs_1534_asks_for(driver: Chrome, hertz: int):
    rate = 6 * RATE
    script = f"""
      const done = arguments[0];
      const buffer = new AudioBuffer({{ length: 4001, sampleRate: {rate} }});
      buffer.getChannelData(0)[2000] = 1;
      anchor(buffer, anchorsHz({rate})[{int(hertz == 7000)}]).then((made) => done(Array.from(made.getChannelData(0))));
    """
    taps = np.array(driver.execute_async_script(script))
    assert_allclose(taps, taps[::-1], atol=1e-6)  # as late as the amp
    frequency, response = dsp.freqz(taps, worN=8192, fs=rate)
    level = 20 * np.log10(np.maximum(np.abs(response), 1e-9))
    assert_allclose(level[frequency <= hertz], 0, atol=0.1)
    assert level[frequency >= hertz * 8 / 7].max() < -25
    assert level[frequency >= hertz * 9 / 7].max() < -50


# ---- blind tests ----


def abx(driver: Chrome, trials: int) -> None:
    """Answer A every time."""
    driver.execute_script("document.querySelector('#abx-trials').value = arguments[0]", str(trials))
    driver.find_element(By.CSS_SELECTOR, "#start-abx").click()
    for _ in range(trials):
        press(driver, "1")  # not yet: X was not heard
        press(driver, "b", "x", "1")


def rate_all(driver: Chrome) -> None:
    """Rate every sound of a MUSHRA test 50 + 5 for the first, + 10 for the second, and so on."""
    driver.find_element(By.CSS_SELECTOR, "#start-mushra").click()
    until(lambda: driver.find_elements(By.CSS_SELECTOR, ".rating input"))
    while sliders := driver.find_elements(By.CSS_SELECTOR, ".rating input"):
        onwards = driver.find_element(By.CSS_SELECTOR, "dialog footer .answer")
        assert onwards.get_attribute("disabled")
        for place in range(len(sliders)):
            press(driver, str(place + 1), Keys.ARROW_RIGHT * (5 * (place + 1)))
        onwards.click()


def saved(driver: Chrome) -> dict:
    return json.loads(driver.find_element(By.ID, "text").get_attribute("value"))


def test_an_abx_test_is_done_and_its_votes_are_summed_up(driver: Chrome, tmp_path: Path, capsys: pytest.CaptureFixture):
    abx(driver, 8)
    verdict = driver.find_element(By.CSS_SELECTOR, ".verdict").text
    press(driver, Keys.ESCAPE)
    driver.find_element(By.ID, "listener").send_keys("Anna <b>")
    found = saved(driver)
    (test,) = found["abx"]
    assert (test["a"], test["b"], test["planned"], len(test["trials"])) == ("amp", "near", 8, 8)
    right = [trial["correct"] for trial in test["trials"]]
    assert right == [trial["x"] == "A" for trial in test["trials"]]
    assert all(trial["answer"] == "A" and trial["heard"]["X"] == 1 for trial in test["trials"])
    assert f"{sum(right)} of 8 right" in verdict
    p = stats.binomtest(sum(right), 8, alternative="greater").pvalue
    assert f"p = {float(f'{p:.2g}'):g}" in verdict.replace("1.0", "1")
    assert found["page"]["excerpt"] == [1, 5]
    assert found["runs"] == {"near": "run of near"}
    (tmp_path / "anna.json").write_text(json.dumps(found), encoding="utf-8")
    assert cli.main(["votes", str(tmp_path / "anna.json")]) == 0
    output = capsys.readouterr().out
    (line,) = [line for line in output.splitlines() if line.startswith("Anna <b>")]
    assert line.split()[2:4] == [str(sum(right)), "8"]


def test_x_is_drawn_at_random(driver: Chrome):
    abx(driver, 25)
    press(driver, Keys.ESCAPE)
    drawn = {trial["x"] for trial in saved(driver)["abx"][0]["trials"]}
    assert drawn == {"A", "B"}  # but for once in 17 million


def test_a_mushra_test_is_done_and_its_votes_are_summed_up(driver: Chrome, tmp_path: Path):
    rate_all(driver)
    press(driver, Keys.ESCAPE)
    (test,) = saved(driver)["mushra"]
    assert test["planned"] == len(test["trials"]) == 1  # one excerpt: there are but 4 s
    kinds = sorted((each["kind"], each["name"]) for each in test["trials"][0]["ratings"])
    assert kinds == [
        ("anchor", "anchor of 1.2 kHz"),  # at the page's low rate
        ("mid_anchor", "anchor of 2.4 kHz"),
        ("model", "far"),
        ("model", "near"),
        ("reference", "amp"),
    ]
    assert [each["score"] for each in test["trials"][0]["ratings"]] == [55, 60, 65, 70, 75]
    (tmp_path / "ben.json").write_text(driver.find_element(By.ID, "text").get_attribute("value"), encoding="utf-8")
    _, (found,) = votes.summaries([tmp_path / "ben.json"], notice=print)
    assert found.excluded == {"ben": "the hidden reference got less than 90 in 1 of 1 excerpts"}


def test_a_test_that_was_stopped_says_so(driver: Chrome):
    driver.find_element(By.CSS_SELECTOR, "#start-abx").click()
    press(driver, "x", "2", Keys.ESCAPE)
    assert driver.execute_script("return $('test').open")  # one key throws no answers away
    driver.find_element(By.CSS_SELECTOR, "dialog header button").click()
    (test,) = saved(driver)["abx"]
    assert (test["finished"], len(test["trials"]), test["planned"]) == (None, 1, 10)


def test_votes_can_be_downloaded(driver: Chrome, tmp_path: Path):
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    abx(driver, 8)
    press(driver, Keys.ESCAPE)
    driver.find_element(By.ID, "listener").send_keys("Zoë/../x")
    driver.find_element(By.ID, "download").click()
    (path,) = until(lambda: list(tmp_path.glob("*.json")))
    assert path.name == f"votes-{saved(driver)['page']['id']}-Zoë-x.json"
    assert json.loads(path.read_text(encoding="utf-8")) == saved(driver)


# ---- elsewhere ----


@pytest.fixture
def sandboxed(chromium: Chrome, tmp_path: Path) -> Iterator[Chrome]:
    """A page of names with markup, shown as MLflow shows an HTML artifact: a blob in a frame that may run scripts."""
    given, models = signals(2.0)
    text = listening_page(
        tmp_path / "listen.html",
        given,
        {HOSTILE: models["near"]},
        RATE,
        title=HOSTILE,
        runs={HOSTILE: HOSTILE},
        configs={HOSTILE: HOSTILE},
        facts={HOSTILE: HOSTILE},
        scores={HOSTILE: {"esr": 0.1}},
    ).read_text(encoding="utf-8")
    quoted = json.dumps(text).replace("<", "\\u003c")
    host = f"""<!DOCTYPE html><iframe sandbox="allow-scripts" width="1200" height="800"></iframe><script>
      const text = {quoted};
      document.querySelector("iframe").src = URL.createObjectURL(new Blob([text], {{ type: "text/html" }}));
    </script>"""
    (tmp_path / "host.html").write_text(host, encoding="utf-8")
    chromium.switch_to.default_content()
    chromium.get("about:blank")
    complaints(chromium)
    chromium.get((tmp_path / "host.html").as_uri())
    chromium.switch_to.frame(0)
    ready(chromium)
    yield chromium
    assert complaints(chromium) == []
    chromium.execute_script("saved = true")
    chromium.switch_to.default_content()


def test_in_mlflows_sandbox_it_plays_and_takes_votes_that_can_be_copied(sandboxed: Chrome):
    sandboxed.find_element(By.ID, "play").click()
    until(lambda: sandboxed.execute_script("return player.position() > 0.1"))
    abx(sandboxed, 8)
    press(sandboxed, Keys.ESCAPE)
    assert len(saved(sandboxed)["abx"][0]["trials"]) == 8
    sandboxed.find_element(By.ID, "copy").click()
    selected = "const { selectionStart, selectionEnd } = $('text'); return selectionEnd - selectionStart"
    assert sandboxed.execute_script(selected) == len(sandboxed.find_element(By.ID, "text").get_attribute("value"))


def test_names_with_markup_are_shown_and_do_nothing(sandboxed: Chrome):
    rate_all(sandboxed)
    press(sandboxed, Keys.ESCAPE)
    abx(sandboxed, 8)
    assert f"B is {HOSTILE}" in sandboxed.find_element(By.CSS_SELECTOR, ".test-body").text
    press(sandboxed, Keys.ESCAPE)
    assert sandboxed.execute_script("return [typeof hacked, document.images.length]") == ["undefined", 0]
    for selector in ("h1", ".signal .name", "thead th", "#configs pre"):
        texts = [e.get_attribute("textContent") for e in sandboxed.find_elements(By.CSS_SELECTOR, selector)]
        assert HOSTILE in texts


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (1280, "dark")])
def test_it_fits_a_phone_and_the_dark(driver: Chrome, width: int, scheme: str):
    size = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500}
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    try:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        page, ink = driver.execute_script(
            "const style = getComputedStyle(document.body); return [style.backgroundColor, style.color]"
        )
        assert (brightness(page) < brightness(ink)) == (scheme == "dark")
        driver.find_element(By.CSS_SELECTOR, "#play").click()  # it is not covered by anything
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def brightness(colour: str) -> float:
    return sum(int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(","))
