"""The model in the page, in a real browser: it plays the samples that Python plays, live and rendered."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import soundfile
from listening import browser, complaints, ready, served, until, write_page
from numpy.testing import assert_allclose
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from synthetic import RATE, guitar

from ampsim import models
from ampsim.config.settings import composed
from ampsim.config.targets import build
from ampsim.models import packing
from ampsim.models.packing import playable
from ampsim.models.rendering import Renderer
from ampsim.report.page import amp_page

pytestmark = pytest.mark.slow
GATED: dict[str, Any] = {"channels": [6, 3], "dilations": [[1, 2, 4], [1, 3]], "gated": True, "future": 5}
MODELS: dict[str, models.AmpModel] = {}
for _name in ("wavenet_cab", "a2_full", "wavenet_nano", "lstm", "gru"):  # as they are trained
    MODELS[_name] = build(composed([f"model={_name}"])["model"], "model", sample_rate=RATE)
MODELS |= {
    "gated": models.WaveNet(**GATED, head_scale=0.5, sample_rate=RATE),
    "silu": models.WaveNet(channels=5, dilations=[[1, 2, 4]], activation="silu", head_scale=1.0, sample_rate=RATE),
    "cab ahead": models.WaveNetCab(channels=3, layers=2, taps=300, future=20, sample_rate=RATE),
    "lstm with a skip": models.Lstm(units=10, layers=2, skip=True, future=4, sample_rate=RATE),
    "dense": models.Dense(window=60, units=14, layers=2, future=6, sample_rate=RATE),
    "fir": models.Fir(taps=300, bias=True, sample_rate=RATE),
}
INPUT = guitar(RATE, seed=7)


@pytest.fixture(scope="module")
def trained() -> dict[str, models.AmpModel]:
    """Models whose weights are none of those that they begin with: a bias is no zero."""
    keras.utils.set_random_seed(3)
    random = np.random.default_rng(5)
    for model in MODELS.values():
        model.build()
        model.fit_levels(0.1, 0.2)
        model.set_weights([weight + 0.05 * random.normal(size=weight.shape) for weight in model.get_weights()])
    return MODELS


@pytest.fixture(scope="module")
def folder(trained: dict[str, models.AmpModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("play")
    (made / "amp.html").write_text(amp_page("My amp", playable(trained), about="all of them"), encoding="utf-8")
    (made / "favicon.ico").write_bytes(b"")
    soundfile.write(made / "riff.wav", INPUT, RATE, subtype="FLOAT")
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder) as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chrome]:
    with browser() as driver:
        driver.set_script_timeout(120)
        yield driver


@pytest.fixture
def driver(chromium: Chrome, address: str) -> Iterator[Chrome]:
    chromium.get("about:blank")
    complaints(chromium)
    chromium.get(f"{address}/amp.html")
    yield chromium
    assert complaints(chromium) == []


def select(driver: Chrome, name: str) -> None:
    driver.execute_script("$('amp-model').value = arguments[0]", str([*MODELS].index(name)))


def drop(driver: Chrome, path: Path) -> None:
    """Hand a file to the page, and wait until it is read."""
    driver.find_element(By.ID, "amp-file").send_keys(str(path))
    until(lambda: driver.execute_script("return amp.state().source || !$('amp-trouble').hidden"))


def text(driver: Chrome, name: str) -> str:
    return driver.execute_script("return $(arguments[0]).textContent", name)


def expected(model: models.AmpModel) -> np.ndarray:
    return Renderer(model)(INPUT)


@pytest.mark.parametrize("name", MODELS)
def test_a_render_is_pythons(driver: Chrome, trained: dict[str, models.AmpModel], name: str):
    select(driver, name)
    script = """
      const done = arguments[arguments.length - 1];
      const pieces = amp.rendered(Float32Array.from(arguments[0]), amp.model(), amp.settings());
      (async () => {
        const found = [];
        for await (const piece of pieces) found.push(...piece);
        return found;
      })().then(done, (error) => done(String(error)));"""
    found = driver.execute_async_script(script, INPUT.tolist())
    wanted = expected(trained[name])
    assert np.abs(wanted).max() > 0.01
    assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_without_webassembly_it_is_the_same(driver: Chrome, trained: dict[str, models.AmpModel], name: str):
    select(driver, name)
    length = 20 * 128
    script = """
      const { Amp, BLOCK } = engine();
      const [played, made] = [Float32Array.from(arguments[0]), new Amp(amp.model(), null)];
      for (let at = 0; at < played.length; at += BLOCK) made.play(played.subarray(at, at + BLOCK));
      return [made.voice.kernel.fast, Array.from(played)];"""
    fast, found = driver.execute_script(script, INPUT[:length].tolist())
    late = trained[name].lookahead
    assert not fast
    assert_allclose(found[late:], expected(trained[name])[: length - late], atol=1e-5)


def test_every_activation_that_is_packed_is_known(driver: Chrome):
    source = driver.execute_script("return String(engine)")
    known = source[source.index("const ACTIVATIONS = {") :].split("\n  };")[0].splitlines()[1:]
    assert [line.split(":")[0].strip() for line in known] == [*packing.ACTIVATIONS]


@pytest.mark.parametrize("name", ["wavenet_cab", "a2_full", "lstm"])
def test_the_audio_thread_plays_the_same(driver: Chrome, trained: dict[str, models.AmpModel], name: str):
    """What is heard live, from a source in the page, in a context that is not in real time."""
    select(driver, name)
    script = """
      const [samples, rate, done] = arguments;
      (async () => {
        const context = new OfflineAudioContext(1, samples.length, rate);
        const made = { context };
        await amp.onAudioThread(made, amp.model());
        const buffer = context.createBuffer(1, samples.length, rate);
        buffer.copyToChannel(Float32Array.from(samples), 0);
        const from = new AudioBufferSourceNode(context, { buffer });
        from.connect(made.node).connect(context.destination);
        from.start();
        return Array.from((await context.startRendering()).getChannelData(0));
      })().then(done, (error) => done(String(error)));"""
    found = driver.execute_async_script(script, INPUT.tolist(), RATE)
    assert_allclose(found, expected(trained[name]), atol=1e-5)


def downloaded(driver: Chrome, folder: Path) -> tuple[Path, np.ndarray, int]:
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    driver.find_element(By.ID, "amp-render").click()
    until(lambda: driver.execute_script("return !$('amp-result').hidden"))
    driver.find_element(By.ID, "amp-download").click()
    (path,) = until(lambda: list(folder.glob("*.wav")))
    return path, *soundfile.read(path, dtype="float32")


def test_a_file_is_rendered_and_downloaded(
    driver: Chrome, trained: dict[str, models.AmpModel], folder: Path, tmp_path: Path
):
    select(driver, "cab ahead")
    drop(driver, folder / "riff.wav")
    assert text(driver, "amp-source") == f"riff.wav: 0:01.0 at the model's {RATE:,} Hz."
    assert "times real time" in text(driver, "amp-speed")
    path, found, rate = downloaded(driver, tmp_path)
    assert (path.name, rate) == ("riff - cab ahead.wav", RATE)
    assert_allclose(found, expected(trained["cab ahead"]), atol=1e-5)
    peak_db = 20 * np.log10(np.abs(found).max())
    assert text(driver, "amp-peak").startswith(f"Peak {peak_db:.1f} dB".replace("-", "−"))


def test_gains_and_bypass_are_in_what_is_rendered(
    driver: Chrome, trained: dict[str, models.AmpModel], folder: Path, tmp_path: Path
):
    select(driver, "wavenet_nano")
    drop(driver, folder / "riff.wav")
    set_to = "$(arguments[0]).value = arguments[1]; $(arguments[0]).dispatchEvent(new Event('input'))"
    driver.execute_script(set_to, "amp-input", "-6")
    driver.execute_script(set_to, "amp-output", "9.5")
    (tmp_path / "wet").mkdir()
    _, found, _ = downloaded(driver, tmp_path / "wet")
    wanted = 10 ** (9.5 / 20) * Renderer(trained["wavenet_nano"])((10 ** (-6 / 20) * INPUT).astype(np.float32))
    assert_allclose(found, wanted, atol=1e-5)
    driver.find_element(By.ID, "amp-bypass").click()
    (tmp_path / "dry").mkdir()
    _, found, _ = downloaded(driver, tmp_path / "dry")
    assert_allclose(found, INPUT, atol=1e-7)


def test_a_file_of_another_rate_and_two_channels(driver: Chrome, tmp_path: Path):
    """Resampled to the model's rate, and the channel can be chosen."""
    rate = 3 * RATE
    time = np.arange(rate) / rate
    both = np.stack([0.5 * np.sin(2 * np.pi * 200 * time), 0.25 * np.sin(2 * np.pi * 300 * time)], axis=1)
    soundfile.write(tmp_path / "fast.flac", both, rate)
    drop(driver, tmp_path / "fast.flac")
    assert "0:01.0 at the model's 8,000 Hz, 2 channels, of which one is played" in text(driver, "amp-source")
    found = driver.execute_script("return Array.from(amp.state().source.buffer.getChannelData(1))")
    assert_allclose(found[500:-500], both[::3, 1][500:-500], atol=2e-3)
    assert driver.find_element(By.ID, "amp-channel").is_displayed()
    driver.execute_script("$('amp-channel').value = '1'")
    driver.find_element(By.ID, "amp-bypass").click()
    _, rendered, _ = downloaded(driver, tmp_path)
    assert_allclose(rendered, found, atol=1e-7)


def test_what_is_no_audio_or_too_much_is_told_and_the_rest_works(driver: Chrome, folder: Path, tmp_path: Path):
    (tmp_path / "notes.wav").write_text("no audio")
    drop(driver, tmp_path / "notes.wav")
    assert text(driver, "amp-trouble") == "This browser cannot read notes.wav as audio: try a WAV file."
    with (tmp_path / "long.mp3").open("wb") as file:
        file.truncate(31_000_000)
    drop(driver, tmp_path / "long.mp3")
    assert text(driver, "amp-trouble").startswith("long.mp3 is larger than 30 MB: cut it")
    drop(driver, folder / "riff.wav")
    assert driver.execute_script("return $('amp-trouble').hidden && !$('amp-render').disabled")


def test_a_model_that_plays_no_numbers_is_silent_and_says_so(driver: Chrome, folder: Path):
    select(driver, "wavenet_nano")
    driver.execute_script("amp.model().net.weights[3] = NaN")
    drop(driver, folder / "riff.wav")
    driver.find_element(By.ID, "amp-render").click()
    until(lambda: driver.execute_script("return !$('amp-trouble').hidden"))
    assert text(driver, "amp-trouble") == "The model plays no numbers on this input: lower the input gain."
    script = """
      const { Stage, BLOCK } = engine();
      const block = new Float32Array(BLOCK).fill(0.5);
      new Stage(amp.model(), amp.code).play(block, amp.settings());
      return block.every((sample) => sample === 0);"""
    assert driver.execute_script(script)


def test_ten_minutes_are_rendered_in_pieces_and_can_be_cancelled(driver: Chrome, tmp_path: Path):
    soundfile.write(tmp_path / "long.wav", np.tile(INPUT, 600), RATE, subtype="PCM_16")
    select(driver, "a2_full")
    drop(driver, tmp_path / "long.wav")
    assert "10:00.0" in text(driver, "amp-source")
    driver.find_element(By.ID, "amp-render").click()
    until(lambda: driver.execute_script("return $('amp-progress').value > 0"))  # and the page answers meanwhile
    assert driver.execute_script("return $('amp-result').hidden")
    driver.find_element(By.ID, "amp-cancel").click()
    assert driver.execute_script("return $('amp-result').hidden && !amp.state().rendering && !$('amp-render').disabled")


SOUNDING = "return Boolean(amp.state().sounding) && $('amp-out').getAttribute('aria-valuenow') > -50"


def test_a_file_is_played_live_and_sought(driver: Chrome, folder: Path):
    select(driver, "wavenet_cab")
    drop(driver, folder / "riff.wav")
    driver.find_element(By.ID, "amp-play").click()
    until(lambda: driver.execute_script(SOUNDING))
    assert text(driver, "amp-latency").startswith("Latency ")
    assert "own thread" not in text(driver, "amp-latency")
    until(lambda: driver.execute_script("return Number($('amp-seek').value) > 0.1"))
    assert driver.find_element(By.ID, "amp-play").get_attribute("aria-label") == "Stop the amp"
    driver.find_element(By.ID, "amp-play").click()
    assert driver.execute_script("return amp.state().sounding === null")


def test_the_audio_input_is_played_as_it_is(driver: Chrome):
    select(driver, "lstm")
    driver.find_element(By.ID, "amp-live").click()
    until(lambda: driver.execute_script(SOUNDING))
    track = driver.execute_script("return amp.state().sounding.stream.getAudioTracks()[0].getSettings()")
    assert not any(track[name] for name in ("echoCancellation", "noiseSuppression", "autoGainControl"))
    assert text(driver, "amp-source") == "Live input. Use headphones."
    assert text(driver, "amp-latency").endswith("the input adds its own.")
    driver.find_element(By.ID, "amp-play").click()
    ended = "return navigator.mediaDevices && amp.state().sounding === null"
    assert driver.execute_script(ended)


def test_from_disk_it_plays_on_the_pages_own_thread(chromium: Chrome, folder: Path):
    chromium.get((folder / "amp.html").as_uri())
    drop(chromium, folder / "riff.wav")
    chromium.find_element(By.ID, "amp-play").click()
    until(lambda: chromium.execute_script(SOUNDING))
    assert "of the page's own thread" in text(chromium, "amp-latency")
    assert chromium.execute_script("return $('amp-trouble').hidden")
    chromium.find_element(By.ID, "amp-play").click()
    complaints(chromium)  # of the thread that it does not get


def test_in_mlflows_sandbox_files_are_played_and_the_input_is_refused(chromium: Chrome, address: str, folder: Path):
    """MLflow shows a page as a blob in a frame that may run scripts and nothing else."""
    quoted = json.dumps((folder / "amp.html").read_text(encoding="utf-8")).replace("<", "\\u003c")
    frame = '<iframe sandbox="allow-scripts" width="1200" height="800"></iframe>'
    blob = f'URL.createObjectURL(new Blob([{quoted}], {{ type: "text/html" }}))'
    host = f"<!DOCTYPE html>{frame}<script>document.querySelector('iframe').src = {blob};</script>"
    (folder / "host.html").write_text(host, encoding="utf-8")
    chromium.get(f"{address}/host.html")
    chromium.switch_to.frame(0)
    try:
        drop(chromium, folder / "riff.wav")
        chromium.find_element(By.ID, "amp-play").click()
        until(lambda: chromium.execute_script(SOUNDING))
        assert "own thread" not in text(chromium, "amp-latency")
        chromium.find_element(By.ID, "amp-live").click()
        until(lambda: chromium.execute_script("return !$('amp-trouble').hidden"))
        assert "open listen.html from disk" in text(chromium, "amp-trouble")
    finally:
        chromium.switch_to.default_content()


def test_without_audio_input_the_reason_is_told(driver: Chrome):
    driver.execute_script(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('Permission denied', 'NotAllowedError'))"
    )
    driver.find_element(By.ID, "amp-live").click()
    until(lambda: driver.execute_script("return !$('amp-trouble').hidden"))
    assert "The browser gave no audio input (Permission denied)" in text(driver, "amp-trouble")
    assert driver.execute_script("return amp.state().sounding === null")


# ---- controls ----


@pytest.fixture(scope="module")
def controlled() -> models.Controlled:
    keras.utils.set_random_seed(4)
    random = np.random.default_rng(6)
    net = {"_target_": "ampsim.models.WaveNetCab", "channels": 4, "layers": 3, "taps": 200, "tail": 30}
    model = models.Controlled(net=net, controls={"gain": [0, 10], "bright": ["off", "on"]}, parts=3, sample_rate=RATE)
    model.build()
    model.fit_levels(0.1, 0.2)
    for direction in model.directions:
        direction.assign(random.normal(scale=0.2, size=direction.shape))
    model.level.assign(random.normal(scale=0.4, size=model.level.shape))  # a master volume
    model.trim.kernel.assign(random.normal(scale=0.2, size=model.trim.kernel.shape))
    return model


@pytest.fixture
def knobs(driver: Chrome, controlled: models.Controlled, address: str, folder: Path) -> Chrome:
    text = amp_page("My amp", playable({"amp": controlled}), about="with controls")
    (folder / "knobs.html").write_text(text, encoding="utf-8")
    driver.get(f"{address}/knobs.html")
    return driver


def test_a_models_controls_are_turned(knobs: Chrome, controlled: models.Controlled, folder: Path, tmp_path: Path):
    labels = [each.text.split("\n")[0] for each in knobs.find_elements(By.CSS_SELECTOR, "#amp-knobs label")]
    assert [label.split(" ")[0] for label in labels] == ["gain", "bright"]
    drop(knobs, folder / "riff.wav")
    (tmp_path / "middle").mkdir()
    _, found, _ = downloaded(knobs, tmp_path / "middle")
    assert_allclose(found, expected(controlled.at([5, 0])), atol=1e-5)
    turn = "const [place, value] = arguments; const each = $('amp-knobs').querySelectorAll('input, select')[place];"
    turn += "each.value = value; each.dispatchEvent(new Event('input'))"
    knobs.execute_script(turn, 0, "8.5")
    knobs.execute_script(turn, 1, "1")
    (tmp_path / "turned").mkdir()
    path, found, _ = downloaded(knobs, tmp_path / "turned")
    wanted = expected(controlled.at([8.5, 1]))
    assert np.abs(wanted - expected(controlled.at([5, 0]))).max() > 0.01
    assert_allclose(found, wanted, atol=1e-5)
    assert path.name == "riff - amp (gain 8.5, bright on).wav"


def test_controls_are_turned_while_it_plays(knobs: Chrome, controlled: models.Controlled, folder: Path):
    """On after some silence, which takes what was heard before out of the net: then it is the model of that setting."""
    script = """
      const { Amp, BLOCK, contents, turned } = engine();
      const [samples, code] = [Float32Array.from(arguments[0]), arguments[1] ? amp.code : null];
      const made = new Amp(amp.models[0], code);
      made.play(new Float32Array(BLOCK).fill(0.3));
      made.become(contents(turned(amp.models[0], [2, 1])));
      for (let k = 0; k < 20; k++) made.play(new Float32Array(BLOCK));
      for (let at = 0; at < samples.length; at += BLOCK) made.play(samples.subarray(at, at + BLOCK));
      return Array.from(samples);"""
    length = 20 * 128
    for fast in (True, False):
        found = knobs.execute_script(script, INPUT[:length].tolist(), fast)
        assert_allclose(found, expected(controlled.at([2, 1]))[:length], atol=1e-5)
    drop(knobs, folder / "riff.wav")
    knobs.find_element(By.ID, "amp-play").click()
    until(lambda: knobs.execute_script(SOUNDING))
    knobs.execute_script("const knob = $('amp-knobs').querySelector('input'); knob.value = 9; knob.oninput()")
    until(lambda: knobs.execute_script(SOUNDING))
    knobs.find_element(By.ID, "amp-play").click()


def test_a_turn_does_not_click(knobs: Chrome):
    """What a turn changes of a slow sine begins at nothing: in no sample does it change by what it changes in the end."""
    script = """
      const { Amp, BLOCK, contents, turned } = engine();
      const made = [0, 1].map(() => new Amp(amp.models[0], arguments[0] ? amp.code : null));
      const changed = [];
      for (let k = 0; k < 40; k++) {
        if (k === 20) made[1].become(contents(turned(amp.models[0], [9, 1])));
        const blocks = made.map((each) => {
          const block = Float32Array.from({ length: BLOCK }, (_, t) => 0.3 * Math.cos((k * BLOCK + t) / 150));
          each.play(block);
          return block;
        });
        changed.push(...blocks[1].map((value, t) => value - blocks[0][t]));
      }
      return changed;"""
    for fast in (True, False):
        changed = np.array(knobs.execute_script(script, fast))
        assert np.all(changed[: 20 * 128] == 0)
        assert np.abs(changed).max() > 0.1
        assert np.abs(np.diff(changed)).max() < 0.03 * np.abs(changed).max()


# ---- in the page to listen with ----


@pytest.fixture
def listening(chromium: Chrome, trained: dict[str, models.AmpModel], tmp_path: Path) -> Iterator[Chrome]:
    found, _ = playable({"wavenet_cab": trained["wavenet_cab"], "a2_full": trained["a2_full"]})
    path = write_page(
        tmp_path / "listen.html",
        amps=(found, ["<b>tcn</b> cannot be played in this page."]),
        scores={"near": {"esr": 0.01, "predicted_mushra": 80.0}, "far": {"esr": 0.2, "predicted_mushra": 30.0}},
        configs={"near": "model: near"},
    )
    assert path.stat().st_size < 5e6
    chromium.get("about:blank")
    complaints(chromium)
    chromium.get(path.as_uri())
    ready(chromium)
    yield chromium
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_pages_direct_signal_can_be_played_at_its_own_level(listening: Chrome):
    assert text(listening, "amp-notes") == "<b>tcn</b> cannot be played in this page."
    listening.find_element(By.ID, "amp-direct").click()
    until(lambda: listening.execute_script("return amp.state().source"))
    found = listening.execute_script("return Array.from(amp.state().source.buffer.getChannelData(0))")
    direct = guitar(6 * RATE, seed=4)
    assert_allclose(found, direct, atol=3e-5)  # 16 bits
    assert complaints(listening) == []


def test_only_one_of_the_two_players_sounds(listening: Chrome):
    listening.find_element(By.ID, "play").click()
    assert listening.execute_script("return player.playing")
    listening.find_element(By.ID, "amp-direct").click()
    until(lambda: listening.execute_script("return amp.state().source"))
    listening.find_element(By.ID, "amp-play").click()
    until(lambda: listening.execute_script("return Boolean(amp.state().sounding)"))
    assert not listening.execute_script("return player.playing")
    listening.execute_script("play()")
    assert listening.execute_script("return player.playing && amp.state().sounding === null")


def test_a_page_without_models_has_no_place_for_them(chromium: Chrome, tmp_path: Path):
    chromium.get(write_page(tmp_path / "listen.html").as_uri())
    ready(chromium)
    assert not chromium.find_element(By.ID, "amp").is_displayed()


def test_on_a_phone_everything_is_large_enough_and_nothing_is_said_of_keys(listening: Chrome):
    phone = {"width": 375, "height": 812, "deviceScaleFactor": 1, "mobile": True}
    listening.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    script = """
      const shown = (element) => element.getClientRects().length;
      const targets = [...document.querySelectorAll("button, input, select, a, summary, textarea")].filter(shown);
      const small = targets.filter((each) => {
        const { width, height } = each.getBoundingClientRect();
        return Math.min(width, height) < 24;
      });
      return {
        small: small.map(({ outerHTML }) => outerHTML.slice(0, 80)),
        kbd: [...document.querySelectorAll("kbd")].filter(shown).length,
        meanings: [...document.querySelectorAll("tr.meaning")].map((row) => row.innerText),
        wide: document.documentElement.scrollWidth,
      }"""
    found = listening.execute_script(script)
    assert found["small"] == []
    assert (found["kbd"], found["wide"]) == (0, 375)
    assert all(found["meanings"])
    assert len(found["meanings"]) == len(listening.execute_script("return data.table"))
    seen = "return [...document.querySelectorAll('tr.meaning span')].map((each) => each.getBoundingClientRect().right)"
    assert max(listening.execute_script(seen)) <= 375
