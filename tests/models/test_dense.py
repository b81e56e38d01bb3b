"""The dense net against Keras' own layers on windows that are really cut out."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import noise

from ampsim.models import AmpModel, Dense
from ampsim.models.convolution import filter_bank


def segment(batch: int, length: int, *, seed: int = 0, level: float = 0.5) -> np.ndarray:
    return noise(batch * length, seed=seed, level=level).reshape(batch, length)


def dense(*, seed: int = 0, **arguments: object) -> Dense:
    """A built net whose biases are not 0 either, as after training."""
    keras.utils.set_random_seed(seed)
    model = Dense(**{"window": 50, "future": 7, "layers": 2, "units": 8, **arguments})
    model.build()
    random = np.random.default_rng(seed)
    model.set_weights([weight + 0.1 * random.standard_normal(weight.shape) for weight in model.get_weights()])
    return model


def by_windows(model: Dense, heard: np.ndarray) -> np.ndarray:
    """Plain NumPy: relu(window . kernel + bias), layer by layer, then a tanh."""
    features = sliding_window_view(heard, model.window, axis=1).astype(np.float64)
    *hidden, kernel, bias = model.get_weights()
    for weights, offset in zip(hidden[::2], hidden[1::2], strict=True):
        features = np.maximum(features @ weights + offset, 0)
    return np.tanh(features @ kernel + bias)[..., 0]


# ---- the first layer as an FFT convolution ----


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("window", "n"), [(64, 500), (400, 100), (33, 1), (1, 20), (100, 101), (97, 1013)])
def test_filter_bank_is_a_dense_layer_on_windows(batch: int, window: int, n: int):
    heard = segment(batch, window - 1 + n)
    layer = keras.layers.Dense(5)
    layer.build((None, window))
    windows = np.ascontiguousarray(sliding_window_view(heard, window, axis=1))
    expected = (layer(windows) - layer.bias).numpy()  # (batch, n, units)
    found = filter_bank(tf.constant(heard), layer.kernel).numpy()
    assert_allclose(found[:, :, ::-1].transpose(1, 2, 0), expected, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("window", "n"), [(64, 300), (200, 50), (97, 1013)])
def test_gradients_of_the_first_layer_are_those_of_a_dense_layer_on_windows(batch: int, window: int, n: int):
    heard, weights = tf.constant(segment(batch, window - 1 + n)), segment(batch * n, 5, seed=1).reshape(batch, n, 5)
    layer = keras.layers.Dense(5)
    layer.build((None, window))
    places = np.arange(n)[:, None] + np.arange(window)
    with tf.GradientTape() as tape:
        tape.watch(heard)
        loss = tf.reduce_sum(weights * tf.tanh(layer(tf.gather(heard, places, axis=1))))
    expected = tape.gradient(loss, [layer.kernel.value, layer.bias.value, heard])
    with tf.GradientTape() as tape:
        tape.watch(heard)
        outputs = filter_bank(heard, layer.kernel) + layer.bias[:, None, None]
        forwards = tf.transpose(tf.reverse(outputs, [2]), [1, 2, 0])
        loss = tf.reduce_sum(weights * tf.tanh(forwards))
    found = tape.gradient(loss, [layer.kernel.value, layer.bias.value, heard])
    for gradient, reference in zip(found, expected, strict=True):
        reference = tf.convert_to_tensor(reference).numpy()
        assert_allclose(gradient.numpy(), reference, atol=1e-5 * max(1, np.abs(reference).max()))


@pytest.mark.parametrize("batch", [1, 3])
def test_gradients_of_the_whole_net_do_not_depend_on_how_its_first_layer_is_computed(batch: int):
    heard, target = tf.constant(segment(batch, 50 - 1 + 200)), segment(batch, 200, seed=1)
    gradients = []
    for way in ("fft", "matmul"):
        model = dense(first_layer=way)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(target - model(heard, training=True)))
        gradients.append(tape.gradient(loss, model.trainable_variables))
    for by_fft, by_matmul in zip(*gradients, strict=True):
        assert_allclose(by_fft, by_matmul, atol=1e-5)


# ---- the whole net ----


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("first_layer", ["fft", "matmul"])
@pytest.mark.parametrize("layers", [1, 3])
def test_outputs_against_numpy_on_windows(batch: int, first_layer: str, layers: int):
    model = dense(first_layer=first_layer, layers=layers)
    heard = segment(batch, 50 - 1 + 333)
    assert_allclose(model(heard), by_windows(model, heard), atol=1e-5)


def test_outputs_inside_a_compiled_function_of_one_shape():
    model = dense(first_layer="fft")
    heard = segment(2, 50 - 1 + 100)
    assert_allclose(tf.function(model)(tf.constant(heard)), by_windows(model, heard), atol=1e-5)


@pytest.mark.parametrize(("emphasis", "first_layer"), [(0.0, "fft"), (0.95, "fft"), (0.95, "matmul")])
def test_plain_keras_layers_on_windows_are_the_same_net(emphasis: float, first_layer: str):
    model = dense(window=120, layers=3, emphasis=emphasis, first_layer=first_layer)
    heard = segment(1, 120 - 1 + 200)
    plain = keras.Sequential([keras.Input((120,))])
    for layer in [*model.hidden, model.head]:
        plain.add(keras.layers.Dense(layer.units, activation=layer.activation))
    _, *weights = [weight for layer in [*model.hidden, model.head] for weight in layer.get_weights()]
    plain.set_weights([model.first_kernel(), *weights])
    windows = np.ascontiguousarray(sliding_window_view(heard[0], 120))
    assert_allclose(plain(windows)[:, 0], model(heard)[0], atol=1e-5)


def test_the_emphasis_is_that_of_the_input():
    """Weights kept on the pre-emphasised input act as they would on an input that was filtered beforehand."""
    kept, plain = dense(window=50, emphasis=0.9), dense(window=50, emphasis=0.0)
    plain.set_weights(kept.get_weights())
    heard = segment(1, 50 - 1 + 100)
    heard[0, :50] = 0  # so that the sample before each window, which a filter would also see, makes no difference
    filtered = np.concatenate([heard[:, :1], heard[:, 1:] - 0.9 * heard[:, :-1]], axis=1) / np.sqrt(0.1)
    weights = kept.get_weights()
    weights[0][0] = 0  # the oldest tap would need that sample
    for model in (kept, plain):
        model.set_weights(weights)
    assert_allclose(kept(heard), plain(filtered.astype(np.float32)), atol=1e-5)


def test_the_first_layer_is_chosen_by_the_window():
    assert dense(window=4000, units=2).uses_fft()
    assert not dense(window=8, future=1).uses_fft()
    assert dense(window=8, future=1, first_layer="fft").uses_fft()
    assert not dense(window=4000, units=2, first_layer="matmul").uses_fft()


def test_the_founding_net_has_its_parameters():
    model = Dense()
    model.build()
    # 4000 * 256 + 256, twice 256 * 256 + 256, 256 + 1
    assert model.count_params() == 1_024_256 + 2 * 65_792 + 257 == 1_156_097
    assert (model.receptive_field, model.history, model.lookahead) == (4000, 3700, 299)


# ---- receptive field and future ----


@pytest.mark.parametrize("first_layer", ["fft", "matmul"])
@pytest.mark.parametrize(("window", "future"), [(50, 1), (50, 7), (50, 50), (1, 1)])
def test_an_impulse_reaches_the_outputs_that_window_and_future_say_and_no_others(
    first_layer: str, window: int, future: int
):
    model = dense(window=window, future=future, first_layer=first_layer, activation="tanh")
    n = 120
    silence = np.zeros((1, window - 1 + n), np.float32)
    rest = model(silence).numpy()
    current = window - future  # where in a segment the sample of output 0 lies
    for position in {0, window - 1, window, n // 2, n - 1, window + n - 2} & set(range(window - 1 + n)):
        struck = silence.copy()
        struck[0, position] = 1
        changed = np.flatnonzero(np.abs(model(struck).numpy() - rest)[0] > 1e-5)
        sample = position - current  # the impulse's time, output k being at time k
        # output k sees the inputs k - window + future ... k + future - 1
        expected = [k for k in range(n) if k - window + future <= sample <= k + future - 1]
        assert_array_equal(changed, expected)


def test_the_gradient_of_one_output_covers_the_receptive_field_exactly():
    model = dense(window=80, future=11, activation="tanh")
    heard = tf.constant(segment(1, 80 - 1 + 60))
    for k in (0, 30, 59):
        with tf.GradientTape() as tape:
            tape.watch(heard)
            output = model(heard)[0, k]
        reached = np.flatnonzero(np.abs(tape.gradient(output, heard).numpy()[0]) > 1e-5)
        assert_array_equal(reached, np.arange(k, k + model.receptive_field))


def test_streaming_in_blocks_is_one_pass_over_silence_and_signal():
    model = dense()
    heard = segment(1, 600)
    expected = model(np.pad(heard, ((0, 0), (model.receptive_field - 1, 0)))).numpy()
    state, played = model.stream_state(), []
    for start, stop in [(0, 1), (1, 200), (200, 230), (230, 600)]:
        block, state = model.stream(tf.constant(heard[:, start:stop]), state)
        played.append(block)
    assert_allclose(np.concatenate(played, axis=1), expected, atol=1e-5)


def test_dropout_acts_in_training_only():
    model = dense(dropout=0.5)
    heard = segment(1, 300)
    assert_array_equal(model(heard), model(heard))
    assert_allclose(model(heard), by_windows(model, heard), atol=1e-5)
    assert np.abs(model(heard, training=True) - model(heard, training=True)).max() > 1e-3


# ---- saving ----

LOAD = """
import sys
import numpy as np
import ampsim.models, keras
model = keras.saving.load_model(sys.argv[1], compile=False, safe_mode=True)
np.savez(sys.argv[3], output=model(np.load(sys.argv[2])), future=model.future, sample_rate=model.sample_rate,
         window=model.window, dropout=model.dropout.rate, layers=len(model.hidden), first_layer=model.first_layer)
"""


def test_a_saved_model_loads_in_a_fresh_process_without_its_config(tmp_path: Path):
    model = dense(layers=3, dropout=0.25, sample_rate=16000, activation="elu", first_layer="fft")
    heard = segment(2, 300)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "heard.npy", heard)
    command = [sys.executable, "-c", LOAD, "model.keras", "heard.npy", "found.npz"]
    subprocess.run(command, cwd=tmp_path, check=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"})
    with np.load(tmp_path / "found.npz") as found:
        assert_array_equal(found["output"], model(heard))
        assert (int(found["future"]), int(found["sample_rate"]), int(found["window"])) == (7, 16000, 50)
        assert (float(found["dropout"]), int(found["layers"]), str(found["first_layer"])) == (0.25, 3, "fft")


def test_the_config_of_a_model_is_its_arguments():
    arguments = {
        "window": 50,
        "future": 7,
        "layers": 2,
        "units": 8,
        "activation": "relu",
        "dropout": 0.0,
        "emphasis": 0.9,
        "first_layer": "auto",
        "sample_rate": 44100,
    }
    model = Dense(**arguments)
    assert {key: value for key, value in model.get_config().items() if key != "name"} == arguments
    assert Dense.from_config(model.get_config()).get_config() == model.get_config()


# ---- what is refused ----


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"layers": 0}, "layers=0"),
        ({"units": 0}, "units=0"),
        ({"window": 10, "future": 11}, "future=11 and window=10"),
        ({"future": 0}, "future=0"),
        ({"future": -3}, "future=-3"),
        ({"window": 0, "future": 1}, "window=0"),
        ({"dropout": 1}, "dropout=1"),
        ({"dropout": -0.1}, "dropout=-0.1"),
        ({"first_layer": "conv"}, "first_layer=conv"),
        ({"activation": "rleu"}, "rleu"),
    ],
)
def test_sizes_that_make_no_net_are_refused(arguments: dict, complaint: str):
    with pytest.raises(ValueError, match=complaint):
        Dense(**arguments)


def test_a_family_of_ones_own_keeps_the_contract_with_three_methods():
    class Gain(AmpModel):
        def __init__(self, *, gain: float = 2.0, **contract: object) -> None:
            super().__init__(**contract)
            self.gain = gain

        @property
        def receptive_field(self) -> int:
            return self.future

        def build(self, input_shape: object = None) -> None:
            self.built = True

        def call(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
            return self.gain * segment[:, : segment.shape[1] - self.future + 1]

    model = Gain(gain=3.0, future=5)
    assert (model.receptive_field, model.history, model.lookahead) == (5, 0, 4)
    heard = segment(1, 20)
    assert_array_equal(model(heard), 3 * heard[:, :16])
    assert model.get_config()["gain"] == 3.0
    assert Gain.from_config(model.get_config()).future == 5
