"""Rendering in blocks against one pass over the whole signal, and files against the signals in them."""

from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile
import soxr
from numpy.testing import assert_allclose, assert_array_equal
from scipy import signal as dsp
from synthetic import RATE, guitar, noise, pair, write_pcm

from ampsim import AmpsimError
from ampsim.metrics import aliasing_to_signal_ratio
from ampsim.models import Dense, Fir, Lstm, Tcn
from ampsim.models.rendering import Oversampled, Renderer
from ampsim.recordings.pairs import Span
from ampsim.signals import audio
from ampsim.signals.playing import regular, render_file


def dense(*, window: int = 70, future: int = 1, sample_rate: int | None = None, first_layer: str = "auto") -> Dense:
    keras.utils.set_random_seed(1)
    model = Dense(
        window=window,
        future=future,
        layers=2,
        units=6,
        sample_rate=sample_rate,
        first_layer=first_layer,
        activation="tanh",
    )
    model.build()
    random = np.random.default_rng(1)
    model.set_weights([weight + 0.1 * random.standard_normal(weight.shape) for weight in model.get_weights()])
    return model


def echo(*, sample_rate: int | None = None, window: int = 9, future: int = 3) -> Dense:
    """A net that only says tanh(current sample): its kernel is 1 where the current sample lies."""
    model = Dense(window=window, future=future, layers=1, units=1, activation="linear", sample_rate=sample_rate)
    model.build()
    kernel = np.zeros((window, 1), np.float32)
    kernel[window - future] = 1
    model.set_weights([kernel, np.zeros(1), np.ones((1, 1)), np.zeros(1)])
    return model


def one_pass(model: Dense, signal: np.ndarray) -> np.ndarray:
    """The model on the whole signal at once, silence around it."""
    return model(np.pad(signal, (model.history, model.lookahead))[None]).numpy()[0]


@pytest.fixture(scope="module", params=[(70, 1), (70, 12), (70, 70), (3, 2)], ids=str)
def renderer(request: pytest.FixtureRequest) -> Renderer:
    window, future = request.param
    return Renderer(dense(window=window, future=future), block_length=101)


@pytest.mark.parametrize("length", [1, 2, 50, 101, 102, 202, 1000, 1013])
def test_blocks_are_one_pass(renderer: Renderer, length: int):
    signal = noise(length, level=0.5)
    found = renderer(signal)
    assert found.dtype == np.float32
    assert found.shape == (length,)
    assert_allclose(found, one_pass(renderer.model, signal), atol=1e-5)


@pytest.mark.parametrize("lengths", [[1] * 30, [0, 500, 0, 1, 7], [100, 101, 102, 3], [1000, 1]], ids=str)
def test_pieces_of_any_length_are_one_pass(renderer: Renderer, lengths: list[int]):
    signal = noise(sum(lengths), level=0.5)
    pieces = np.split(signal, np.cumsum(lengths)[:-1])
    found = np.concatenate([*renderer.blocks(pieces)])
    assert_allclose(found, one_pass(renderer.model, signal), atol=1e-5)


def test_a_renderer_starts_anew_for_each_signal(renderer: Renderer):
    signal = noise(300, level=0.5)
    renderer(noise(500, seed=2, level=0.9))
    assert_array_equal(renderer(signal), renderer(signal))


def test_the_block_length_does_not_matter():
    model = dense(future=5)
    signal = noise(5000, level=0.5)
    for block_length in (16, 333, 8192):
        assert_allclose(Renderer(model, block_length=block_length)(signal), one_pass(model, signal), atol=1e-5)


@pytest.mark.parametrize(("start", "stop"), [(0, 500), (1000, 1700), (1900, 2000), (5, 6)])
def test_a_span_is_heard_with_what_was_played_around_it(renderer: Renderer, start: int, stop: int):
    take = pair(2000 / RATE)
    whole = one_pass(renderer.model, take.input)
    assert_allclose(renderer.span(Span(take, start, stop)), whole[start:stop], atol=1e-5)


def test_regular_cuts_pieces_into_blocks():
    signal = np.arange(1, 24, dtype=np.float32)
    found = [(block.tolist(), length) for block, length in regular(np.split(signal, [3, 3, 15]), 10)]
    assert found == [
        (list(range(1, 11)), 10),
        (list(range(11, 21)), 10),
        ([21, 22, 23, 0, 0, 0, 0, 0, 0, 0], 3),
    ]
    assert list(regular([], 10)) == []


# ---- files ----


def play(renderer: Renderer, source: Path, destination: Path, **options: object) -> list[tuple[float, float]]:
    return list(render_file(renderer, source, destination, **options))


def test_a_file_of_the_models_rate(tmp_path: Path):
    model = dense(future=12, sample_rate=RATE)
    signal = guitar(70_001)  # more than one piece of a file
    audio.write(tmp_path / "in.wav", signal, RATE)
    steps = play(Renderer(model), tmp_path / "in.wav", tmp_path / "out.wav")
    found = audio.read(tmp_path / "out.wav")
    assert found.sample_rate == RATE
    assert_allclose(found.channel(0), one_pass(model, signal), atol=1e-5)
    done = [step[0] for step in steps]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(70_001 / RATE)
    assert {step[1] for step in steps} == {70_001 / RATE}


def test_a_model_without_a_rate_plays_a_file_as_it_is(tmp_path: Path):
    audio.write(tmp_path / "in.wav", guitar(1000), 11025)
    play(Renderer(echo()), tmp_path / "in.wav", tmp_path / "out.wav")
    found = audio.read(tmp_path / "out.wav")
    assert found.sample_rate == 11025
    assert_allclose(found.channel(0), np.tanh(guitar(1000)), atol=1e-6)


@pytest.mark.parametrize(("rate", "model_rate"), [(44100, 48000), (48000, 44100), (22050, 48000), (96000, 44100)])
@pytest.mark.parametrize("num_samples", [1, 999, 50_001])
def test_a_file_of_another_rate_keeps_its_length_and_its_time(
    tmp_path: Path, rate: int, model_rate: int, num_samples: int
):
    """The net echoes its input, so what comes out is tanh of what went in, in time to the sample."""
    time_s = np.arange(num_samples) / rate
    signal = (0.3 * np.sin(2 * np.pi * 440 * time_s) + 0.2 * np.sin(2 * np.pi * 997 * time_s)).astype(np.float32)
    signal *= np.minimum(1, np.minimum(time_s, time_s[::-1]) / 0.01).astype(np.float32)  # no click at the ends
    audio.write(tmp_path / "in.wav", signal, rate)
    play(Renderer(echo(sample_rate=model_rate)), tmp_path / "in.wav", tmp_path / "out.wav")
    found = audio.read(tmp_path / "out.wav")
    assert (found.sample_rate, len(found.samples)) == (rate, num_samples)
    assert_allclose(found.channel(0), np.tanh(signal), atol=2e-3)


def test_resampling_in_pieces_is_resampling_in_one(tmp_path: Path):
    model = dense(sample_rate=16000, future=4)
    signal = guitar(150_000, sample_rate=44100)
    audio.write(tmp_path / "in.wav", signal, 44100)
    play(Renderer(model), tmp_path / "in.wav", tmp_path / "out.wav")
    heard = soxr.resample(signal, 44100, 16000)
    expected = soxr.resample(one_pass(model, heard), 16000, 44100)
    found = audio.read(tmp_path / "out.wav").channel(0)
    common = min(len(expected), len(found))
    assert common >= 149_990
    assert_allclose(found[:common], expected[:common], atol=1e-4)


def test_the_channel_that_is_named_is_played(tmp_path: Path):
    left, right = 0.5 * guitar(1000, seed=1), 0.5 * guitar(1000, seed=2)
    source = write_pcm(tmp_path / "stereo.wav", [left, right], bits=24)
    for channel, signal in enumerate([left, right]):
        play(Renderer(echo()), source, tmp_path / f"{channel}.wav", channel=channel)
        assert_allclose(audio.read(tmp_path / f"{channel}.wav").channel(0), np.tanh(signal), atol=1e-6)


def leftovers(folder: Path, *known: str) -> list[str]:
    return sorted({path.name for path in folder.iterdir()} - set(known))


@pytest.mark.parametrize(
    ("channel", "complaint"), [(None, "stereo.wav has 2 channels: say which"), (2, "no channel 2")]
)
def test_several_channels_are_refused_without_a_valid_choice(tmp_path: Path, channel: int | None, complaint: str):
    source = write_pcm(tmp_path / "stereo.wav", [guitar(100), guitar(100)])
    with pytest.raises(AmpsimError, match=complaint):
        play(Renderer(echo()), source, tmp_path / "out.wav", channel=channel)
    assert leftovers(tmp_path, "stereo.wav") == []


def test_nan_is_refused_and_leaves_no_file(tmp_path: Path):
    signal = guitar(200_000)
    signal[150_000] = np.nan
    audio.write(tmp_path / "in.wav", signal, RATE)
    # found in the piece of 65,536 samples that starts at 131,072, which is 16.4 s in
    with pytest.raises(AmpsimError, match=r"in\.wav holds NaN or infinity near 0:16\.4"):
        play(Renderer(echo()), tmp_path / "in.wav", tmp_path / "out.wav")
    assert leftovers(tmp_path, "in.wav") == []


def test_an_existing_output_is_refused_and_kept(tmp_path: Path):
    audio.write(tmp_path / "in.wav", guitar(1000), RATE)
    (tmp_path / "out.wav").write_bytes(b"mine")
    with pytest.raises(AmpsimError, match=r"out\.wav exists"):
        play(Renderer(echo()), tmp_path / "in.wav", tmp_path / "out.wav")
    assert (tmp_path / "out.wav").read_bytes() == b"mine"
    play(Renderer(echo()), tmp_path / "in.wav", tmp_path / "out.wav", overwrite=True)
    assert_allclose(audio.read(tmp_path / "out.wav").channel(0), np.tanh(guitar(1000)), atol=1e-6)
    assert leftovers(tmp_path, "in.wav", "out.wav") == []


def test_an_interrupted_rendering_leaves_no_half_file(tmp_path: Path):
    audio.write(tmp_path / "in.wav", guitar(200_000), RATE)
    rendering = render_file(Renderer(echo(), block_length=1024), tmp_path / "in.wav", tmp_path / "out.wav")
    done, total = next(rendering)
    assert 0 < done < total
    assert not (tmp_path / "out.wav").exists()
    rendering.close()
    assert leftovers(tmp_path, "in.wav") == []


def test_a_file_without_audio_is_refused(tmp_path: Path):
    source = write_pcm(tmp_path / "empty.wav", [guitar(1)[:0]])
    with pytest.raises(AmpsimError, match=r"empty\.wav holds no audio"):
        play(Renderer(echo()), source, tmp_path / "out.wav")
    assert leftovers(tmp_path, "empty.wav") == []


def test_a_damaged_file_is_named_and_leaves_no_half_file(tmp_path: Path):
    audio.write(tmp_path / "in.flac", noise(300_000), RATE)
    whole = (tmp_path / "in.flac").read_bytes()
    (tmp_path / "in.flac").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AmpsimError, match=r"in\.flac"):
        play(Renderer(echo()), tmp_path / "in.flac", tmp_path / "out.wav")
    assert leftovers(tmp_path, "in.flac") == []


def test_a_peak_above_full_scale_is_told_where_the_format_cuts_it(tmp_path: Path):
    """Resampling overshoots at the edges of a square wave near full scale."""
    square = np.where(np.arange(20_000) // 50 % 2, 1.0, -1.0).astype(np.float32) * 3
    audio.write(tmp_path / "in.wav", square, 44100)
    renderer = Renderer(echo(sample_rate=48000))
    notices: list[str] = []
    play(renderer, tmp_path / "in.wav", tmp_path / "out.flac", notice=notices.append)
    (notice,) = notices
    assert "out.flac clips: its peak is +" in notice
    assert np.abs(audio.read(tmp_path / "out.flac").samples).max() <= 1
    play(renderer, tmp_path / "in.wav", tmp_path / "out.wav", notice=notices.append)
    assert len(notices) == 1  # float keeps it
    assert np.abs(audio.read(tmp_path / "out.wav").samples).max() > 1


@pytest.mark.parametrize("rate", [RATE, RATE // 2])
def test_a_model_that_plays_no_numbers_leaves_no_file(tmp_path: Path, rate: int):
    model = Fir(taps=4, sample_rate=RATE, input_gain=1e3)
    model.build()
    model.set_weights([np.full(4, 3e38, np.float32)])
    source = write_pcm(tmp_path / "in.wav", [noise(4000, level=0.9)], rate)
    with pytest.raises(AmpsimError, match=r"the model plays NaN or infinity from 0:00\.\d on"):
        [*render_file(Renderer(model), source, tmp_path / "out.wav")]
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


# ---- Oversampled ----------------------------------------------------------------------------------------------------


def bandlimited(length: int, *, share: float = 0.4) -> np.ndarray:
    """Noise below a share of the sample rate that fades in and out, so that no edge has anything above."""
    spectrum = np.fft.rfft(noise(length, level=0.3))
    spectrum[np.fft.rfftfreq(length) > share] = 0
    fade = np.hanning(length)
    return (np.fft.irfft(spectrum, length) * fade).astype(np.float32)


@pytest.mark.parametrize("future", [1, 5])
def test_a_linear_model_sounds_the_same_at_four_times_its_rate(future: int):
    model = Fir(taps=60, future=future)
    model.build()
    model.set_weights([np.random.default_rng(2).standard_normal(60) / 8])
    signal = bandlimited(5000)
    assert_allclose(Oversampled(model, 4, block_length=101)(signal), Renderer(model)(signal), atol=2e-5)


def test_a_curve_without_memory_is_what_scipys_resampler_makes_of_it():
    model = echo()
    signal = 3 * bandlimited(6000, share=0.3)
    for factor in (2, 3, 8):
        low_pass = dsp.firwin(128 * factor + 1, 1 / factor, window=("kaiser", 14.0))
        fast = dsp.resample_poly(signal.astype(float), factor, 1, window=low_pass)
        expected = dsp.resample_poly(np.tanh(fast), 1, factor, window=low_pass)
        difference = np.fft.rfft(Oversampled(model, factor)(signal) - expected) / len(signal)
        band = np.fft.rfftfreq(len(signal)) < 0.4  # where both low-passes are flat
        assert np.abs(difference[band]).max() < 2e-6


@pytest.mark.parametrize("factor", [2, 4])
def test_it_is_the_net_with_its_dilations_times_the_factor(factor: int):
    """A TCN built with longer dilations, on the signal at the higher rate: the same system by another route."""
    keras.utils.set_random_seed(3)
    plain, spread = (
        Tcn(channels=4, kernel_size=3, dilations=[scale, 2 * scale, 4 * scale], input_gain=4.0) for scale in (1, factor)
    )
    plain.build()
    spread.build()
    spread.set_weights(plain.get_weights())
    signal = bandlimited(4000)
    fast = soxr.resample(signal, 1, factor, quality="VHQ")
    expected = soxr.resample(Renderer(spread)(fast), factor, 1, quality="VHQ")
    found = Oversampled(plain, factor)(signal)
    assert np.abs(found - Renderer(plain)(signal)).max() > 1e-4  # it does alias
    assert_allclose(found, expected[: len(found)], atol=1e-5)


def test_a_recurrent_net_is_fed_its_state_of_so_many_samples_ago():
    keras.utils.set_random_seed(4)
    model = Lstm(units=3, burn_in=50, input_gain=3.0)
    model.build()
    signal = bandlimited(600)
    fast = soxr.resample(signal, 1, 2, quality="VHQ")
    kernel, recurrent, bias, head, offset = (weight.astype(float) for weight in model.get_weights())
    settled = model.stream_state()[0][0]
    states = [tuple(part.numpy()[0].astype(float) for part in settled)] * 2  # of the last sample and the one before
    played = []
    for sample in 3.0 * fast.astype(float):
        (hidden, cell), *_ = states
        i, f, c, o = np.split(sample * kernel[0] + hidden @ recurrent + bias, 4)
        cell = cell / (1 + np.exp(-f)) + np.tanh(c) / (1 + np.exp(-i))
        states = [states[1], (np.tanh(cell) / (1 + np.exp(-o)), cell)]
        played.append(states[1][0] @ head[:, 0] + offset[0])
    expected = soxr.resample(np.array(played), 2, 1, quality="VHQ")
    assert_allclose(Oversampled(model, 2)(signal), expected[:600], atol=1e-4)


@pytest.mark.parametrize("length", [1, 7, 101, 5000])
def test_oversampled_pieces_are_one_pass(length: int):
    model = dense(window=30, future=4)
    signal = noise(5000, level=0.5)[:length]
    whole = Oversampled(model, 3)(signal)
    assert whole.shape == signal.shape
    pieces = [signal[start : start + 37] for start in range(0, length, 37)]
    assert_allclose(np.concatenate([*Oversampled(model, 3, block_length=64).blocks(pieces)]), whole, atol=1e-5)


def test_oversampling_lowers_aliases_and_a_file_is_played_so_too(tmp_path: Path):
    model = echo(sample_rate=RATE)
    model.input_gain = 20.0
    plain, better = (
        aliasing_to_signal_ratio(render, RATE, pitches_hz=(RATE / 9,))
        for render in (Renderer(model), Oversampled(model, 8))
    )
    assert better.mean_db < plain.mean_db - 15
    signal = 0.5 * bandlimited(3000)
    write_pcm(tmp_path / "in.wav", [signal])
    list(render_file(Renderer(model), tmp_path / "in.wav", tmp_path / "out.wav", oversample=8))
    played, _ = soundfile.read(tmp_path / "out.wav")
    assert_allclose(played, Oversampled(model, 8)(signal), atol=1e-3)
