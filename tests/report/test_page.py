"""The file as Python writes it: what is in it, how large, and that names in it stay names."""

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from listening import signals, write_page
from numpy.testing import assert_allclose
from scipy import signal as dsp
from synthetic import RATE, noise

from ampsim import AmpsimError
from ampsim.models.packing import LARGEST
from ampsim.report.page import listening_page
from ampsim.signals.audio import busiest


class Scripts(HTMLParser):
    """The texts of a page's script elements, and the names of all elements, as an HTML parser sees them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, _: object) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, text: str) -> None:
        if self.lasttag == "script" and self.tags[-1] == "script":
            self.scripts[-1] += text


def data(path: Path) -> dict:
    return json.loads(Scripts(path).scripts[0])


def audio(path: Path) -> list[np.ndarray]:
    """Samples as a browser decodes and adds them up, one array for each signal."""
    islands = [base64.b64decode(text) for text in Scripts(path).scripts[2:-1]]
    decoded = [soundfile.read(io.BytesIO(island), dtype="float64")[0] for island in islands]
    return [
        samples + (0 if signal["plus"] is None else decoded[signal["plus"]])
        for samples, signal in zip(decoded, data(path)["signals"], strict=True)
    ]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("page") / "listen.html", duration_s=3, start_s=1)


def test_the_audio_is_that_of_the_excerpt(page: Path):
    given, models = signals()
    found = data(page)
    assert [signal["name"] for signal in found["signals"]] == ["direct", "amp", "near", "far"]
    assert (found["start"], found["duration"], found["total"], found["sampleRate"]) == (1, 3, 6, RATE)
    # One factor for all, and what is stored is right to 16 bits.
    ratio = found["signals"][1]["asRecorded"] * audio(page)[1] @ given["amp"][RATE : 4 * RATE]
    common = ratio / np.sum(given["amp"][RATE : 4 * RATE] ** 2)
    for samples, signal, true in zip(audio(page), found["signals"], (given | models).values(), strict=True):
        assert_allclose(signal["asRecorded"] * samples, common * true[RATE : 4 * RATE], atol=1e-4)


def test_a_prediction_near_the_amp_is_stored_as_its_difference_which_is_smaller(page: Path):
    assert [signal["plus"] for signal in data(page)["signals"]] == [None, None, 1, None]
    sizes = [len(text) for text in Scripts(page).scripts[2:-1]]
    assert sizes[2] < 0.8 * sizes[1]


def test_matched_signals_are_equally_loud_and_none_clips(page: Path):
    meter, found = pyloudnorm.Meter(RATE), data(page)["signals"]
    heard = [signal["matched"] * samples for signal, samples in zip(found, audio(page), strict=True)]
    loudness = [meter.integrated_loudness(samples) for samples in heard]
    assert_allclose(loudness, loudness[0], atol=0.02)
    assert max(np.abs(samples).max() for samples in heard) == pytest.approx(0.98, abs=1e-3)
    recorded = [signal["asRecorded"] * samples for signal, samples in zip(found, audio(page), strict=True)]
    assert max(np.abs(samples).max() for samples in recorded) == pytest.approx(0.98, abs=1e-3)


def test_curves_floors_and_table(tmp_path: Path):
    given, models = signals()
    scores = {
        "near": {"esr": 0.01, "loudness_difference_lu": -0.5, "linear_floor_esr": 0.3, "fluctuation_db": float("nan")},
        "far": {"esr": 0.9, "loudness_difference_lu": 0.2, "linear_floor_esr": 0.3, "unheard_of": 1.0},
    }
    found = data(write_page(tmp_path / "x.html", duration_s=3, start_s=1, scores=scores))
    near = found["curves"][0]
    amp, prediction = given["amp"], models["near"]
    error = np.mean(np.square(amp[2 * RATE : 3 * RATE] - prediction[2 * RATE : 3 * RATE], dtype=float))
    expected = error / np.mean(np.square(amp, dtype=float))
    assert near["esr"][near["time"].index(1.5)] == pytest.approx(expected, rel=1e-3)  # 2.5 s in the recording
    assert min(near["time"]) >= 0
    assert max(near["time"]) <= 3
    assert found["floors"] == [{"name": "linear floor", "esr": 0.3}]
    rows = {row["label"]: (row["cells"], row["best"]) for row in found["table"]}
    assert rows == {
        "ESR": (["0.0100", "0.9000"], [0]),
        "loudness": (["-0.50 LU", "+0.20 LU"], [1]),
        "linear floor": (["0.3000", "0.3000"], []),
    }


def test_the_busiest_part_is_chosen():
    loud, rests = noise(RATE, level=0.3), np.zeros(2 * RATE, np.float32)
    amp = np.concatenate([rests, loud, rests, 0.2 * loud, 0.2 * loud, rests])
    # Two seconds of quiet playing are busier than one of loud playing and a rest.
    assert busiest(amp, RATE, 2 * RATE) == 5 * RATE
    assert busiest(amp, RATE, RATE) == 2 * RATE
    assert busiest(np.zeros(RATE, np.float32), RATE, RATE) == 0
    assert busiest(loud, RATE, RATE) == 0


def test_three_models_and_twenty_seconds_are_under_8_mb(tmp_path: Path):
    rate = 6 * RATE
    # As loud and as bright as a loudspeaker plays noise: what an amp sends is easier to pack.
    cabinet = dsp.butter(4, 5000, fs=rate)
    played = [0.2 * dsp.lfilter(*cabinet, noise(40 * rate, seed=seed)) for seed in range(5)]
    given = {"direct": played[0], "amp": played[1]}
    models = {f"model {number}": samples for number, samples in enumerate(played[2:])}
    path = listening_page(tmp_path / "x.html", given, models, rate, title="noise")
    assert data(path)["duration"] == 20
    assert path.stat().st_size < 8e6
    # White noise cannot be packed: there is less of it, and the page says so.
    given = {name: noise(20 * rate, seed=seed) for seed, name in enumerate(("direct", "amp"))}
    models = {f"model {seed}": noise(20 * rate, seed=seed) for seed in (2, 3, 4)}
    path = listening_page(tmp_path / "y.html", given, models, rate, title="noise")
    assert path.stat().st_size < 8.1e6
    assert 10 < data(path)["duration"] < 20
    assert "shorter than 20 s" in data(path)["notes"][0]


def test_with_the_largest_model_in_it_a_runs_page_is_under_5_mb(tmp_path: Path):
    rate = 6 * RATE
    given = {name: noise(20 * rate, seed=seed) for seed, name in enumerate(("direct", "amp"))}
    amps = ([{"name": "large", "net": {"weights": "A" * LARGEST}}], [])
    models = {"large": noise(20 * rate, seed=3)}
    path = listening_page(tmp_path / "x.html", given, models, rate, title="noise", amps=amps)
    assert path.stat().st_size < 5e6
    assert data(path)["duration"] > 5


def test_names_with_markup_stay_names(tmp_path: Path):
    name = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;{{data}} --><!--"
    given, models = signals()
    models = {name: models["near"]}
    path = listening_page(
        tmp_path / "x.html",
        given,
        models,
        RATE,
        title=name,
        runs={name: name},
        configs={name: name},
        facts={name: name},
        amps=([{"name": name}], [name]),
    )
    seen = Scripts(path)
    assert "img" not in seen.tags
    assert seen.tags.count("script") == 2 + 3 + 1
    found = data(path)
    assert found["title"] == found["signals"][2]["name"] == found["signals"][2]["run"] == name
    assert found["facts"] == found["configs"] == {name: name}
    held = json.loads(seen.scripts[1])
    assert held["models"] == [{"name": name}]
    assert held["missing"] == [name]


def test_nothing_on_the_page_comes_from_elsewhere(page: Path):
    text = page.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert policy[1].startswith("default-src 'none';")
    for name, kind in (("style", "<style>"), ("script", "<script>")):
        (inner,) = re.findall(rf"{kind}(.*?)</{name}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy[1]
    (scripts,) = [part for part in policy[1].split("; ") if part.startswith("script-src")]
    assert scripts.split()[2:] == ["blob:", "'wasm-unsafe-eval'"]  # none of which a name could make use of
    addresses = set(re.findall(r"\b(?:https?|wss?)://[^\s\"'<]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, which nobody asks


def test_a_page_has_an_id_of_what_is_in_it(tmp_path: Path):
    ids = [
        data(write_page(tmp_path / f"{k}.html", duration_s=1, start_s=start))["id"] for k, start in enumerate((1, 1, 2))
    ]
    assert ids[0] == ids[1] != ids[2]


def test_a_page_is_not_replaced_unless_asked(tmp_path: Path):
    write_page(tmp_path / "x.html", duration_s=1)
    with pytest.raises(AmpsimError, match=r"x\.html exists"):
        write_page(tmp_path / "x.html")
    write_page(tmp_path / "x.html", duration_s=1, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["x.html"]


def test_what_cannot_be_written_or_compared_is_said(tmp_path: Path):
    given, models = signals(1.0)
    (tmp_path / "file").write_text("")
    with pytest.raises(AmpsimError, match=r"cannot be written to: (Not a directory|File exists)"):
        listening_page(tmp_path / "file" / "x.html", given, models, RATE, title="x")
    with pytest.raises(AmpsimError, match=r"short has 100 samples and the amp 8,000"):
        listening_page(tmp_path / "x.html", given, {"short": models["near"][:100]}, RATE, title="x")
    with pytest.raises(AmpsimError, match="at least one prediction"):
        listening_page(tmp_path / "x.html", given, {}, RATE, title="x")
    assert not (tmp_path / "x.html").exists()


def test_a_model_may_diverge_be_silent_or_be_called_amp(tmp_path: Path):
    given, models = signals(1.0)
    broken = models["near"].copy()
    broken[100:200] = np.nan
    broken[300] = np.inf
    models = {"amp": broken, "silent": np.zeros_like(broken), "huge \udcff": 1e30 * given["amp"]}
    found = data(listening_page(tmp_path / "x.html", given, models, RATE, title="x"))
    assert [signal["name"] for signal in found["signals"]] == ["direct", "amp", "amp (model)", "silent", "huge ?"]
    assert found["notes"] == ["amp (model): 101 samples without a number, silent here."]
    assert found["signals"][3]["loudness"] is None
    heard = audio(tmp_path / "x.html")
    assert np.abs(heard[3]).max() == 0
    gain = found["signals"][4]["matched"] / found["signals"][1]["matched"]
    assert_allclose(gain * heard[4], heard[1], atol=2e-3)


def test_a_page_needs_no_direct_signal(tmp_path: Path):
    given, models = signals()
    path = listening_page(tmp_path / "x.html", {"amp": given["amp"]}, models, RATE, title="x", duration_s=3, start_s=1)
    found = data(path)
    assert [(each["name"], each["plus"]) for each in found["signals"]] == [("amp", None), ("near", 0), ("far", None)]
    assert found["amp"] == 0
    colours = {each["name"]: each["colour"] for each in found["signals"]}
    whole = data(write_page(tmp_path / "whole.html", duration_s=3, start_s=1))
    assert whole["amp"] == 1
    assert colours == {each["name"]: each["colour"] for each in whole["signals"] if each["name"] != "direct"}
    ratio = found["signals"][1]["asRecorded"] / found["signals"][0]["asRecorded"]
    assert_allclose(
        ratio * audio(path)[1] / audio(path)[0].max(),
        models["near"][RATE : 4 * RATE] / given["amp"][RATE : 4 * RATE].max(),
        atol=1e-3,
    )
