"""When an exported file answers, against amps whose delay and polarity were put there by another route."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from damage import late
from scipy import signal as dsp
from synthetic import RATE

from ampsim import AmpsimError, export, models, players
from ampsim.recordings import virtual_amp
from ampsim.recordings.probe import Excerpt, probe

FAST = 44100
GUITAR = virtual_amp.guitar(3.0, FAST, seed=3)


def cabinet(wave: np.ndarray) -> np.ndarray:
    return dsp.sosfilt(dsp.butter(2, (90, 5200), "bandpass", fs=FAST, output="sos"), wave)


AMPS = {
    "clean": lambda x: 0.7 * cabinet(x),
    "crunch": lambda x: 0.5 * cabinet(np.tanh(20 * x)),
    "lopsided": lambda x: 0.4 * cabinet(np.tanh(12 * x + 0.7) - np.tanh(0.7)),
    "fuzz": lambda x: 0.3 * cabinet(np.clip(300 * x, -1, 1)),
}


def recorded(amp: str, delay: float = 0.0, sign: int = 1, noise_db: float = -60.0) -> np.ndarray:
    target = sign * late(AMPS[amp](GUITAR.astype(np.float64)), delay)
    hiss = np.random.default_rng(5).standard_normal(len(target)) * np.sqrt(np.mean(target**2))
    return (target + 10 ** (noise_db / 20) * hiss).astype(np.float32)


@pytest.mark.parametrize(("amp", "delay", "sign"), [("clean", 2.6, -1), ("lopsided", 0.3, -1), ("fuzz", 1.5, 1)])
def test_a_file_that_plays_as_its_amp_does_lies_on_it(amp: str, delay: float, sign: int):
    """The same amp without noise stands for a file; 2.6 samples are within what is left in a recording on purpose."""
    excerpt = Excerpt(GUITAR, recorded(amp, delay, sign), FAST, 43)
    found = probe(lambda x: recorded(amp, delay, sign, noise_db=-300)[: len(x)], excerpt, 0, FAST)
    assert found.lag == pytest.approx(0, abs=0.02)
    assert found.onset == pytest.approx(delay, abs=1)
    assert found.inverted is False
    assert not found.fault()
    facts = found.facts()
    assert facts["polarity"] == "as recorded"
    assert facts["removed_delay_samples"] == 43


@pytest.fixture(scope="module")
def crunch() -> Excerpt:
    return Excerpt(GUITAR, recorded("crunch"), FAST)


@pytest.mark.parametrize("shift", [-0.7, 1.6, 12.25])
def test_a_lag_is_told_to_a_part_of_a_sample(crunch: Excerpt, shift: float):
    """Late for its latency of 3 samples, and later."""
    excerpt = crunch
    play = recorded("crunch", 3 + shift, noise_db=-300)
    found = probe(lambda x: play[: len(x)], excerpt, 3, FAST)
    assert found.lag == pytest.approx(3 + shift, abs=0.02)
    assert found.late == pytest.approx(max(shift, 0), abs=0.1)
    assert ("samples later than the amp" in found.fault()) == (shift > 1)


def test_an_inverted_file_is_no_capture_of_its_amp(crunch: Excerpt):
    found = probe(lambda x: recorded("crunch", sign=-1)[: len(x)], crunch, 0, FAST)
    assert found.inverted
    assert "inverted" in found.fault()


def test_a_delay_that_was_left_in_the_recording_is_told_with_what_to_take_out():
    amp = recorded("crunch", 40)
    found = probe(lambda x: amp[: len(x)], Excerpt(GUITAR, amp, FAST, 10), 0, FAST)
    assert found.onset == pytest.approx(40, abs=1)
    assert found.lag == 0
    proper = int(found.fault().rpartition("=")[2])
    assert 42 <= proper <= 50  # of 50, less what is left on purpose
    assert "answers 40" in found.fault()


def test_what_cannot_be_told_says_so():
    noise = np.random.default_rng(1).standard_normal(len(GUITAR)).astype(np.float32)
    for excerpt, why in (
        (None, "holds no excerpt"),
        (Excerpt(GUITAR[: FAST // 2], GUITAR[: FAST // 2], FAST), "less than 1 s"),
        (Excerpt(GUITAR, recorded("clean"), FAST), "no clear delay"),
    ):
        found = probe(lambda x: 0.1 * noise[: len(x)], excerpt, 5, FAST)
        assert why in found.untold
        assert "cannot be told" in found.told()
        assert found.facts() == {"latency_samples": 5, "untold": found.untold}
        assert not found.fault()


# ---- In a file ----


def filtering(shift: int, future: int = 1) -> models.AmpModel:
    """A filter of three taps that begins `shift` samples after its input."""
    keras.utils.set_random_seed(0)
    model = models.Fir(taps=30, future=future, sample_rate=RATE)
    model.build()
    (kernel,) = model.get_weights()
    taps = np.zeros(kernel.size)
    taps[-future - shift] = 1.0
    taps[-future - shift - 1] = -0.4
    model.set_weights([taps.reshape(kernel.shape)])
    return model


def heard(model: models.AmpModel, path: Path, form: str, shift: int, **more: bool) -> export.Export:
    """Exported against an amp that is `shift` samples later than its input."""
    direct = virtual_amp.guitar(4.0, RATE, seed=4)
    amp = dsp.lfilter([1, -0.4], [1], np.concatenate([np.zeros(shift), direct]))[: len(direct)].astype(np.float32)
    excerpt = Excerpt(direct, amp, RATE, 7)
    return export.export(model, export.formats_named(form), path, export.Details(), excerpt=excerpt, **more)[0]


@pytest.mark.parametrize("form", ["nam", "rtneural"])
def test_the_metadata_say_when_a_file_answers(tmp_path: Path, form: str):
    made = heard(filtering(0), tmp_path / f"x{export.FORMATS[form].ending}", form, 0)
    stated = json.loads(made.path.read_text())["metadata"]["ampsim"]
    found = (json.loads(stated) if isinstance(stated, str) else stated)["alignment"]
    assert found["lag_samples"] == 0
    assert found["latency_samples"] == 0
    assert found["removed_delay_samples"] == 7
    assert found["onset_samples"] == pytest.approx(0, abs=0.5)
    assert "upright" in made.notes()[0]
    if form == "nam":
        assert players.read(made.path).metadata["ampsim"]["alignment"] == found


def test_the_latency_of_a_model_that_hears_the_future_is_in_its_metadata(tmp_path: Path):
    made = heard(filtering(0, future=6), tmp_path / "x.nam", "nam", 0)
    found = json.loads(made.path.read_text())["metadata"]["ampsim"]["alignment"]
    assert (found["latency_samples"], found["lag_samples"]) == (5, 5)
    assert made.probe
    assert made.probe.late == pytest.approx(0, abs=0.01)


def test_a_file_that_answers_later_than_the_amp_is_not_kept(tmp_path: Path):
    with pytest.raises(AmpsimError, match=r"3\.0 samples later than the amp: of the 7 samples .*data\.delay=auto"):
        heard(filtering(3), tmp_path / "x.nam", "nam", 0)
    assert not list(tmp_path.iterdir())
    kept = heard(filtering(3), tmp_path / "x.nam", "nam", 0, late=True)
    assert json.loads(kept.path.read_text())["metadata"]["ampsim"]["alignment"]["lag_samples"] == 3


@pytest.mark.parametrize("form", ["onnx", "keras"])
def test_other_formats_are_probed_too(tmp_path: Path, form: str):
    made = heard(filtering(0), tmp_path / f"x{export.FORMATS[form].ending}", form, 0)
    assert made.probe
    assert made.probe.lag == 0
    if form == "onnx":
        onnx = pytest.importorskip("onnx")
        (stated,) = [each.value for each in onnx.load(made.path).metadata_props if each.key == "ampsim"]
        assert json.loads(stated)["alignment"] == made.probe.facts()
        assert json.loads(stated)["sample_rate"] == RATE


def test_levels_that_are_known_are_in_the_metadata(tmp_path: Path):
    details = export.Details(input_level_dbu=12.25, output_level_dbu="-3")
    (made,) = export.export(filtering(0), export.formats_named("nam"), tmp_path / "x.nam", details)
    stated = json.loads(made.path.read_text())["metadata"]
    assert (stated["input_level_dbu"], stated["output_level_dbu"]) == (12.25, -3)
    assert stated["ampsim"]["alignment"]["untold"] == "the run holds no excerpt of its recording"
    with pytest.raises(AmpsimError, match=r"input_level_dbu=300\.0: full scale of an interface lies between"):
        export.export(
            filtering(0), export.formats_named("nam"), tmp_path / "y.nam", export.Details(input_level_dbu=300.0)
        )
    assert not (tmp_path / "y.nam").exists()
