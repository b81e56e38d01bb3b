"""The dense net with band levels, against SciPy's filters and against itself in blocks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import signal as dsp

from ampsim.models import SpectralDense
from ampsim.models.rendering import Renderer

RATE = 8000
random = np.random.default_rng(0)
SMALL = {"window": 400, "future": 60, "layers": 2, "units": 6, "sizes_ms": [5, 20, 45], "num_bands": 5, "high_hz": 3000}


def model(**changes):
    keras.utils.set_random_seed(0)
    made = SpectralDense(**(SMALL | {"sample_rate": RATE} | changes))
    made.build()
    return made


def forwards(levels):
    """(features, n), oldest first, of a batch of one."""
    return levels.numpy()[:, 0, ::-1]


def test_a_level_is_the_compressed_magnitude_of_scipys_band():
    net = model()
    segment = (0.3 * random.normal(size=900)).astype(np.float32)
    found = forwards(net.levels(tf.constant(segment[None])))
    for number, kernel in enumerate(net.bands.T):
        magnitude = np.abs(dsp.correlate(segment.astype(complex), kernel.conj(), mode="valid"))
        np.testing.assert_allclose(found[number], np.log(1 + 100 * magnitude) / np.log(101), atol=2e-4)


def test_a_full_scale_sine_at_a_centre_reads_1_and_one_elsewhere_little():
    net = model(sizes_ms=[40], num_bands=3, low_hz=300, high_hz=3000)
    time = np.arange(800) / RATE
    low, middle, high = (
        forwards(net.levels(tf.constant(np.sin(2 * np.pi * hertz * time)[None], tf.float32))).mean(axis=1)
        for hertz in (300, 948.68, 3000)
    )
    assert np.diag([low, middle, high]) == pytest.approx(1, abs=0.02)
    assert max(low[1:].max(), middle[[0, 2]].max(), high[:2].max()) < 0.1


@pytest.mark.parametrize("future", [1, 60, 400])
def test_it_sees_its_window_and_nothing_else(future):
    net = model(future=future)
    segment = (0.3 * random.normal(size=net.receptive_field)).astype(np.float32)
    changed = np.abs(net.bands).sum(axis=1)
    assert changed.shape == (400,)
    assert net.history == 400 - future
    output = net(tf.constant(segment[None])).numpy()
    assert output.shape == (1, 1)
    longer = np.concatenate([random.normal(size=50), segment, random.normal(size=50)]).astype(np.float32)
    np.testing.assert_allclose(net(tf.constant(longer[None])).numpy()[0, 50], output[0, 0], atol=1e-5)


def test_analysis_windows_lie_around_the_current_sample():
    net = model(future=100, sizes_ms=[20], num_bands=1)
    weight = np.abs(net.bands[:, 0])
    assert np.average(np.arange(400), weights=weight) == pytest.approx(400 - 100, abs=1)
    causal = np.abs(model(future=1, sizes_ms=[20], num_bands=1).bands[:, 0])
    assert np.flatnonzero(causal)[[0, -1]].tolist() == [240, 399]


def test_rendering_in_blocks_is_one_pass():
    net = model()
    signal = (0.5 * random.normal(size=3000)).astype(np.float32)
    whole = net(tf.constant(np.pad(signal, (net.history, net.lookahead))[None])).numpy()[0]
    for block_length in (97, 512):
        np.testing.assert_allclose(Renderer(net, block_length=block_length)(signal), whole, atol=1e-5)


def test_a_saved_model_renders_the_same(tmp_path):
    net = model(dropout=0.1)
    segment = tf.constant(random.normal(size=(2, 600)), tf.float32)
    net.save(tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras", compile=False, safe_mode=True)
    np.testing.assert_allclose(loaded(segment), net(segment), atol=1e-6)
    assert loaded.get_config()["sizes_ms"] == [5, 20, 45]


@pytest.mark.parametrize("xla", [False, True], ids=["plain", "xla"])
@pytest.mark.parametrize("layers", [1, 3])
def test_gradients_reach_every_weight_and_are_finite_on_silence(xla, layers):
    net = model(layers=layers)

    @tf.function(jit_compile=xla)
    def gradients(segment):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(net(segment, training=True) - 0.1))
        return tape.gradient(loss, net.trainable_variables)

    for segment in (random.normal(size=(2, 500)), np.zeros((2, 500))):
        for gradient in gradients(tf.constant(segment, tf.float32)):
            assert np.all(np.isfinite(gradient))


def test_its_numbers_are_the_dense_nets_and_the_bands():
    first = 400 * 6 + 6
    second = (6 + 15) * 6 + 6
    assert model().count_params() == first + second + 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sizes_ms": [60]}, "each is from 8 to window=400"),
        ({"sample_rate": None}, "need a sample_rate"),
        ({"high_hz": 5000}, "high_hz=5000"),
        ({"high_hz": 300}, "bands of 40 samples"),
        ({"future": 401}, "the future is part of the window"),
    ],
)
def test_what_cannot_work_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        model(**change)
