"""The penalty on aliases against spectra by NumPy of what curves make of the same tones."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from synthetic import RATE, pair

from ampsim import AmpsimError
from ampsim.losses import ESR, Sum
from ampsim.models import Dense, Fir
from ampsim.recordings.pairs import Span
from ampsim.training.schedules import Cosine
from ampsim.training.segments import Segments
from ampsim.training.tones import PERIOD, Tones
from ampsim.training.trainer import Trainer


def curve(gain: float) -> Dense:
    """tanh(gain times the current sample)."""
    model = Dense(window=5, future=2, layers=1, units=1, activation="linear", sample_rate=RATE, input_gain=gain)
    model.build()
    kernel = np.zeros((5, 1), np.float32)
    kernel[3] = 1
    model.set_weights([kernel, np.zeros(1), np.ones((1, 1)), np.zeros(1)])
    return model


def expected(gain: float, peak: float, seed: tuple[int, int]) -> float:
    """By the sine's place in an FFT of one period, in double precision."""
    pitch, level, phase = tf.random.stateless_uniform((3, 1, 1), seed).numpy().astype(float).ravel()
    low, high = (math.log(hz * PERIOD / RATE / 2) for hz in (1000, min(8000, 0.4 * RATE)))
    number = 2 * round(math.exp(low + (high - low) * pitch)) + 1
    time = np.arange(4, 4 + PERIOD) - 1
    tone = peak * 10 ** (-36 / 20 * level) * np.sin(2 * np.pi * (number * time / PERIOD + phase))
    power = np.abs(np.fft.rfft(np.tanh(gain * tone))) ** 2
    on = power[number::number].sum()
    return math.log10((power.sum() - on) / on)


@pytest.mark.parametrize("seed", [(0, 5), (1, 77), (3, 1234)])
def test_it_is_the_aliases_of_a_tanh_over_its_harmonics(seed: tuple[int, int]):
    for gain in (5.0, 50.0):
        tones = Tones(curve(gain), sample_rate=RATE, peak=0.8, weight=1.0)
        assert float(tones.penalty(tf.constant(seed))) == pytest.approx(expected(gain, 0.8, seed), abs=0.01)


def test_a_linear_model_has_none_to_speak_of():
    model = Fir(taps=30, sample_rate=RATE)
    model.build()
    model.set_weights([np.eye(1, 30)[0] + 0.1])
    assert float(Tones(model, sample_rate=RATE, peak=0.5, weight=1.0).penalty(tf.constant([0, 1]))) < -7


def test_tones_are_as_loud_as_the_recording_and_need_a_rate():
    take = pair(1.5)
    segments = Segments([Span(take, 100, 9000)], history=3, lookahead=1, segment_length=400)
    assert Tones.of(curve(1.0), segments, 0.1).peak == np.abs(segments.input).max()
    with pytest.raises(AmpsimError, match="anti_aliasing needs a model that knows its sample rate"):
        Tones.of(Fir(taps=4), segments, 0.1)


def test_a_fit_with_it_aliases_less_and_is_the_same_twice():
    take = pair(1.5)

    def fitted(weight: float) -> tuple[float, list[np.ndarray]]:
        keras.backend.clear_session()
        keras.utils.set_random_seed(0)
        model = Dense(window=16, future=4, layers=2, units=6, activation="tanh", sample_rate=RATE, input_gain=10.0)
        model.build()
        segments = Segments([Span(take, 0, 9400)], history=12, lookahead=3, segment_length=400)
        fit = Trainer(
            model,
            Sum(terms={"esr": ESR()}),
            keras.optimizers.Adam(0.01),
            Cosine(final=0.1),
            segments,
            [Span(take, 9500, 11_000)],
            batch_size=1,
            epochs=4,
            anti_aliasing=weight,
        )
        fit.fit()
        tones = Tones(model, sample_rate=RATE, peak=0.5, weight=1.0)
        return float(np.mean([tones.penalty(tf.constant([9, k])) for k in range(8)])), model.get_weights()

    (without, _), (once, weights), (_, again) = fitted(0.0), fitted(1.0), fitted(1.0)
    assert once < without - 0.3
    for one, other in zip(weights, again, strict=True):
        np.testing.assert_array_equal(one, other)
