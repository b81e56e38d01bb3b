"""A rig: net and impulse response, by the plugin's own rules, beside the model that they were."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import soundfile
import soxr
from scipy import signal as dsp
from synthetic import filtered_noise

from ampsim import AmpsimError, export, models, players
from ampsim.cli.train import say_plugin
from ampsim.export import Details, formats, nam, rig
from ampsim.players import impulse_response
from ampsim.players.loudness import reference_input

RATE = 44100
random = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _short_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "PROOF_S", 1.0)


def cab(rate: int = RATE, **more: Any) -> models.WaveNetCab:
    """A small net whose filter begins at once and rings on, with little above 10 kHz, as a cabinet's."""
    keras.utils.set_random_seed(1)
    arguments = {"channels": 3, "layers": 2, "taps": 300, "tail": 100, "sample_rate": rate, "output_gain": 0.2}
    model = models.WaveNetCab(**{**arguments, **more})
    model.build()
    model.set_weights([weight + 0.2 * random.normal(size=weight.shape) for weight in model.get_weights()])
    count = model.taps + model.tail
    response = dsp.lfilter(*dsp.butter(2, 6000, fs=rate), random.normal(size=count) * np.exp(-np.arange(count) / 60))
    model.cabinet.kernel.assign(response[::-1].astype(np.float32))
    return model


def exported(model: models.AmpModel, folder: Path, **more: Any) -> export.Export:
    (found,) = export.export(model, export.formats_named("rig"), folder, Details(name="amp"), **more)
    return found


def in_the_slot(folder: Path, rate: int) -> np.ndarray:
    """A response as the plugin takes it: cut, and at its own level (AudioDSPTools, ImpulseResponse.cpp)."""
    samples, stated = soundfile.read(folder / f"amp IR {rate / 1000:g} kHz.wav", dtype="float32")
    assert (stated, samples.ndim) == (rate, 1)
    return samples[:8192].astype(np.float64) * 10 ** (-18 * 0.05) * 48000 / rate


def whole(model: models.AmpModel, signal: np.ndarray) -> np.ndarray:
    """The model in one pass, after silence; late by what it hears of the future."""
    return model(np.pad(signal, (model.receptive_field - 1, 0))[None]).numpy()[0].astype(np.float64)


@pytest.mark.parametrize("future", [1, 6])
def test_net_and_response_are_the_model_to_the_sample(future: int, tmp_path: Path):
    model = cab(future=future)
    found = exported(model, tmp_path / "rig")
    signal = filtered_noise(RATE // 2, seed=3)
    net = players.read(tmp_path / "rig" / "amp.nam", precision=np.float64).player
    taps = in_the_slot(tmp_path / "rig", RATE)
    silence = np.zeros(len(taps), np.float32)
    played = dsp.fftconvolve(net(np.concatenate([silence, signal])), taps)[len(taps) : len(taps) + len(signal)]
    np.testing.assert_allclose(played, whole(model, signal), atol=2e-6)
    assert found.proof.difference < 2e-6
    assert found.latency == ("5 samples (0.1 ms)" if future == 6 else "")


@pytest.mark.parametrize("own", [44100, 48000])
def test_at_other_rates_the_response_does_what_it_does_at_the_nets_own(own: int, tmp_path: Path):
    model = cab(own)
    exported(model, tmp_path / "rig")
    signal = filtered_noise(own // 2, seed=3)
    net = players.read(tmp_path / "rig" / "amp.nam").player(signal).astype(np.float64)
    expected_own = whole(model, signal)
    for rate in (44100, 48000, 88200, 96000):
        played = dsp.fftconvolve(soxr.resample(net, own, rate, quality="VHQ"), in_the_slot(tmp_path / "rig", rate))
        expected = soxr.resample(expected_own, own, rate, quality="VHQ")
        part = slice(rate // 20, len(expected) - rate // 20)
        error = played[part] - expected[part]
        assert np.sum(error**2) < 1e-6 * np.sum(expected[part] ** 2), rate


def test_what_every_player_reads(tmp_path: Path):
    model = cab()
    exported(model, tmp_path / "rig")
    found = json.loads((tmp_path / "rig" / "amp.nam").read_text())
    (array,) = found["config"]["layers"]
    assert (found["version"], found["architecture"], found["sample_rate"]) == ("0.5.4", "WaveNet", RATE)
    assert (array["activation"], array["gated"], array["head_size"], array["head_bias"]) == ("Tanh", False, 1, True)
    assert found["weights"][-1] == pytest.approx(found["config"]["head_scale"])
    peaks = []
    for rate in (44100, 48000, 88200, 96000):
        info = soundfile.info(tmp_path / "rig" / f"amp IR {rate / 1000:g} kHz.wav")
        assert (info.subtype, info.channels, info.samplerate) == ("FLOAT", 1, rate)
        peaks.append(np.abs(soundfile.read(info.name)[0]).max())
    assert max(peaks) < 1.1 * min(peaks)  # one level at all rates, which the plugin's own gain asks for
    assert f"samples of up to {max(peaks):.2f}" in (tmp_path / "rig" / "README.txt").read_text()
    names = {path.name for path in (tmp_path / "rig").iterdir()}
    assert names == {"amp.nam", "README.txt", *(f"amp IR {rate} kHz.wav" for rate in ("44.1", "48", "88.2", "96"))}


def test_the_metadata_is_that_of_the_pair(tmp_path: Path):
    model = cab()
    for weight in model.weights:
        if weight.path.endswith("bias"):  # without which silence is silent, so that levels are not those of an offset
            weight.assign(np.zeros(weight.shape))
    exported(model, tmp_path / "rig")
    capture = players.read(tmp_path / "rig" / "amp.nam")
    heard = np.concatenate([np.zeros(400, np.float32), reference_input()])

    def played(signal: np.ndarray) -> np.ndarray:
        return dsp.fftconvolve(capture.player(signal), in_the_slot(tmp_path / "rig", RATE))[400 : len(signal)]

    assert capture.loudness_db == pytest.approx(10 * np.log10(np.mean(played(heard) ** 2)), abs=0.01)
    levels = [np.mean(played(np.float32(factor) * heard) ** 2) ** 0.5 for factor in np.linspace(0, 1, 11)]
    assert capture.metadata["gain"] == pytest.approx(2 * np.sum(levels) / (11 * levels[-1]) - 1, abs=0.02)
    # And of the net alone, but for an offset, which plugins take out.
    assert 20 * np.log10(np.std(capture.player(reference_input()))) == pytest.approx(capture.loudness_db, abs=0.01)


def test_the_readme_says_where_to_load_what(tmp_path: Path):
    found = exported(cab(), tmp_path / "rig")
    text = (tmp_path / "rig" / "README.txt").read_text()
    assert max(map(len, text.splitlines())) <= 125
    for name in ("amp.nam", "amp IR 44.1 kHz.wav   (the model's own rate)", "amp IR 96 kHz.wav   (off by an ESR of "):
        assert name in text
    assert "adds no latency" in text
    assert found.players == "every version of Neural Amp Modeler reads the .nam file"
    assert any("times real time on one core (an estimate" in note for note in found.notes())


# ---- Filters that do not fit ----


def test_a_filter_that_the_plugin_would_cut_is_refused_with_its_length(tmp_path: Path):
    model = models.WaveNetCab(channels=2, layers=1, taps=8000, tail=193, sample_rate=RATE)
    model.build()
    with pytest.raises(
        AmpsimError, match=r"its filter has 8,193 taps at 44,100 Hz, and the plugin cuts .* after 8,192"
    ) as error:
        exported(model, tmp_path / "rig")
    assert "These can: nam, " in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_a_filter_is_told_what_holds_it(tmp_path: Path):
    model = models.WaveNet(channels=2, dilations=[[1, 2]], sample_rate=RATE)
    model.build()
    with pytest.raises(AmpsimError, match=r"a WaveNet ends with no filter\. These can: nam, "):
        exported(model, tmp_path / "rig")


def test_what_does_not_fit_at_a_higher_rate_is_cut_where_that_is_not_heard_and_else_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """465 taps at 44.1 kHz are 1,013 at 96 kHz: the last ones are loud in one model, and not in the other."""
    for module in (rig, impulse_response):
        monkeypatch.setattr(module, "LONGEST", 1000)
    monkeypatch.setattr(rig, "RATES", (88200, 96000))
    quiet, loud = (cab(taps=465, tail=0, layers=1) for _ in range(2))
    response = loud.cabinet.kernel.numpy()
    response[:20] = response[-1] * np.hanning(20)
    loud.cabinet.kernel.assign(response)
    for name, model in (("quiet", quiet), ("loud", loud)):
        exported(model, tmp_path / name)
    assert len(soundfile.read(tmp_path / "quiet" / "amp IR 96 kHz.wav")[0]) == 1000
    assert "cut at 1,000 taps of 1,012" in (tmp_path / "quiet" / "README.txt").read_text()
    assert not (tmp_path / "loud" / "amp IR 96 kHz.wav").exists()
    assert "96,000 Hz   no file: it would be off by an ESR of" in (tmp_path / "loud" / "README.txt").read_text()
    assert " 96,000 Hz   -" not in (tmp_path / "loud" / "README.txt").read_text()  # nor what its level would be
    assert (tmp_path / "loud" / "amp IR 88.2 kHz.wav").exists()


@pytest.mark.parametrize("where", ["net", "filter"])
def test_nan_is_refused_and_leaves_nothing(where: str, tmp_path: Path):
    model = cab()
    weight = model.cabinet.kernel if where == "filter" else model.arrays[0].head.bias
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(AmpsimError, match=r"plays NaN or infinity|NaN or infinite"):
        exported(model, tmp_path / "rig")
    assert list(tmp_path.iterdir()) == []


def test_a_silent_filter_is_no_division_by_zero(tmp_path: Path):
    model = cab()
    model.cabinet.kernel.assign(np.zeros(model.cabinet.kernel.shape))
    assert exported(model, tmp_path / "rig").proof.difference == 0


# ---- The folder ----


def test_a_folder_with_something_in_it_stays_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rig, "RATES", (48000,))
    folder = tmp_path / "rig"
    folder.mkdir()
    exported(cab(), folder)  # an empty one is no obstacle
    before = (folder / "amp.nam").read_bytes()
    with pytest.raises(AmpsimError, match="exists; say overwrite=true"):
        exported(cab(), folder)
    assert (folder / "amp.nam").read_bytes() == before
    exported(cab(), folder, overwrite=True)
    assert (folder / "amp.nam").read_bytes() != before
    (folder / "song.wav").write_text("mine")
    with pytest.raises(AmpsimError, match=r"holds song\.wav, which would be lost"):
        exported(cab(), folder, overwrite=True)
    assert (folder / "song.wav").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["rig"]


@pytest.mark.parametrize(("name", "sentence"), [("amp.nam", "is a folder of several files"), ("there", "is no folder")])
def test_a_file_in_place_of_the_folder(name: str, sentence: str, tmp_path: Path):
    (tmp_path / "there").write_text("mine")
    with pytest.raises(AmpsimError, match=sentence):
        exported(cab(), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_rig_goes_into_the_folder_of_several_formats(tmp_path: Path):
    found = export.export(cab(), export.formats_named("nam,rig"), tmp_path / "all", Details(name="my/amp"))
    assert [each.path for each in found] == [tmp_path / "all" / "my_amp.nam", tmp_path / "all" / "my_amp-rig"]
    assert "format=rig writes the net and the filter behind it apart" in " ".join(found[0].notes())


# ---- Who reads a file, and what it costs ----


@pytest.mark.parametrize(
    ("more", "version", "readers"),
    [
        ({}, "0.5.4", "every version"),
        ({"gated": True}, "0.6.0", "NeuralAmpModelerCore 0.4 and later"),
        ({"activation": "relu"}, "0.6.0", "NeuralAmpModelerCore 0.4 and later"),
    ],
)
def test_no_file_is_of_a_version_whose_players_ignore_a_part_of_it(
    more: dict, version: str, readers: str, tmp_path: Path
):
    """Some ignore gates, and activations other than tanh, in files of up to 0.5.4."""
    plain = models.WaveNet(channels=2, dilations=[[1, 2]], sample_rate=RATE, **more)
    for model, net in ((plain, plain.as_nam), (cab(**more), lambda: cab(**more).as_rig().net)):
        if not model.built:
            model.build()
        assert nam.document(net())["version"] == version
        assert readers in nam.readers(net())
    assert exported(cab(**more), tmp_path / "rig").proof.holds


# Times real time in NeuralAmpModelerCore 0.5.5, by CPU time on one core of an AMD EPYC.
MEASURED = {
    "wavenet_standard": 20.4,
    "wavenet_lite": 26.2,
    "wavenet_feather": 50.4,
    "wavenet_nano": 60.0,
    "wavenet_cab": 2.84,
    "lstm model.units=16 model.layers=1": 190,
    "lstm model.units=32 model.layers=1": 81.4,
    "lstm model.units=64 model.layers=1": 23.0,
}


@pytest.mark.parametrize("words", MEASURED)
def test_the_estimate_of_the_cost_is_near_what_was_measured(words: str):
    from ampsim.config import settings
    from ampsim.config.targets import build

    overrides = f"model={words}".split()
    model = build(settings.composed(overrides)["model"], sample_rate=RATE)
    model.build()
    assert export.FORMATS["nam"].speed(model) == pytest.approx(MEASURED[words], rel=0.2)
    if words == "wavenet_cab":
        assert export.FORMATS["rig"].speed(model) == pytest.approx(30.1, rel=0.2)


def test_training_ends_with_what_the_net_costs_in_a_plugin():
    said: list[str] = []
    console = SimpleNamespace(print=lambda text, **_: said.append(text))
    lstm = models.Lstm(units=8, burn_in=10, sample_rate=RATE)
    ssm = models.Ssm(channels=2, states=2, layers=1, burn_in=10, sample_rate=RATE)
    lstm.build()
    ssm.build()
    for model in (cab(), lstm, ssm):
        say_plugin(console, model, "amp")
    text = "\n".join(said)
    assert "in a plugin:    ampsim export run=amp format=rig output=rig" in text
    assert "ampsim export run=amp format=nam output=exports" in text
    assert text.count("every version of Neural Amp Modeler reads the .nam file") == 2
    assert text.count("times real time on one core") == 2
    assert "in a plugin:    none plays this model from a file" in text


def test_a_response_is_read_as_the_plugin_reads_it(tmp_path: Path):
    samples = random.normal(size=9000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 96000, subtype="FLOAT")
    np.testing.assert_allclose(
        impulse_response.read(tmp_path / "a.wav", 96000), samples[:8192] * 10**-0.9 / 2, rtol=1e-6
    )
    with pytest.raises(AmpsimError, match="is of 96,000 Hz, and the session is of 48,000 Hz"):
        impulse_response.read(tmp_path / "a.wav", 48000)
    soundfile.write(tmp_path / "b.wav", np.zeros((9, 2)), 48000)
    with pytest.raises(AmpsimError, match="has 2 channels"):
        impulse_response.read(tmp_path / "b.wav", 48000)


def test_a_rate_that_no_session_has_is_the_nets_own_all_the_same(tmp_path: Path):
    exported(cab(22050), tmp_path / "rig")
    assert (tmp_path / "rig" / "amp IR 22.05 kHz.wav").exists()
    assert set(rig.deviations(tmp_path / "rig")) >= {22050, 44100}
