"""The WaveNet against the arithmetic of NAM's players, written again in NumPy, sample by tap."""

import keras
import numpy as np
import pytest

from ampsim.models import WaveNet, WaveNetCab
from ampsim.models.base import Example
from ampsim.signals.linear import whitening


def convolved(features: np.ndarray, kernel: np.ndarray, dilation: int) -> np.ndarray:
    """(channels, n), kernel (taps * in, out) with the oldest tap first."""
    kernel = kernel.reshape(-1, len(features), kernel.shape[1])
    taps = len(kernel)
    n = features.shape[1] - (taps - 1) * dilation
    return sum(kernel[tap].T @ features[:, tap * dilation : tap * dilation + n] for tap in range(taps))


def played(
    model: WaveNet, signal: np.ndarray, *, dilations: list[list[int]], gated: bool, head_scale: float
) -> np.ndarray:
    """(n,) -> (n - receptive_field + 1,), taking the weights in the order in which they are stored."""
    weights = iter([weight.astype(np.float64) for weight in model.get_weights()])
    condition, features, head = signal[None], signal[None], None
    for number, chosen in enumerate(dilations):
        features = convolved(features, next(weights), 1)
        for dilation in chosen:
            mixed = convolved(features, next(weights), dilation) + next(weights)[:, None]
            mixed += convolved(condition, next(weights), 1)[:, -mixed.shape[1] :]
            half = len(mixed) // 2
            z = np.tanh(mixed[:half]) / (1 + np.exp(-mixed[half:])) if gated else np.tanh(mixed)
            head = z if head is None else head[:, -z.shape[1] :] + z
            features = features[:, -z.shape[1] :] + convolved(z, next(weights), 1) + next(weights)[:, None]
        head = convolved(head, next(weights), 1)
        if number == len(dilations) - 1:
            head = head + next(weights)[:, None]
    assert next(weights, None) is None
    return head_scale * head[0]


@pytest.mark.parametrize("gated", [False, True])
def test_it_computes_what_the_players_do(gated: bool) -> None:
    dilations = [[1, 2, 4], [3, 1]]
    model = WaveNet(channels=[6, 3], dilations=dilations, gated=gated, head_scale=0.3)
    model.build()
    random = np.random.default_rng(0)
    model.set_weights([0.5 * random.normal(size=weight.shape) for weight in model.get_weights()])
    segment = random.normal(size=(2, 80)).astype(np.float32)
    expected = [played(model, signal, dilations=dilations, gated=gated, head_scale=0.3) for signal in segment]
    np.testing.assert_allclose(model(segment), expected, atol=1e-5)


@pytest.mark.parametrize(("channels", "parameters"), [(16, 13801), ([16, 8], 13801)])
def test_the_standard_size(channels: int | list[int], parameters: int) -> None:
    model = WaveNet(channels=channels)
    model.build()
    assert (model.count_params(), model.receptive_field) == (parameters, 4093)


def test_the_cabinet_is_a_filter_behind_it() -> None:
    model = WaveNetCab()
    model.build()
    assert (model.count_params(), model.receptive_field) == (5945, 511 + 1023)
    model.cabinet.kernel.assign(np.arange(1024) / 1024)
    segment = np.random.default_rng(0).normal(size=(1, 1600)).astype(np.float32)
    expected = np.convolve(WaveNet.transform(model, segment)[0], np.arange(1024)[::-1] / 1024, "valid")
    np.testing.assert_allclose(model(segment)[0], expected, rtol=1e-3, atol=1e-4)


def with_tail(tail: int, *, future: int = 3) -> WaveNetCab:
    model = WaveNetCab(channels=3, layers=3, taps=20, tail=tail, future=future, input_gain=2.0, output_gain=0.5)
    model.build()
    random = np.random.default_rng(3)
    model.set_weights([weight + 0.3 * random.normal(size=weight.shape) for weight in model.get_weights()])
    model.cabinet.kernel.assign(np.concatenate([np.zeros(tail), model.cabinet.kernel.numpy()[tail:]]))
    return model


def test_training_does_without_the_tail_and_hears_as_much() -> None:
    model = with_tail(100)
    segment = np.random.default_rng(0).normal(size=(2, model.receptive_field - 1 + 50)).astype(np.float32)
    assert model.receptive_field == 1 + 2 * 7 + 120 - 1
    np.testing.assert_allclose(model(segment, training=True), model(segment), rtol=1e-5, atol=1e-5)


def test_the_filter_that_is_solved_for_is_the_one_that_made_the_target() -> None:
    model, amp = with_tail(100), with_tail(100)
    amp.set_weights(model.get_weights())
    # As long as both filters; what is to be found lies in the tail and in what was trained.
    amp.cabinet.kernel.assign_add(0.2 * np.random.default_rng(1).normal(size=120) * np.exp(np.arange(-119, 1) / 60))
    random = np.random.default_rng(2)
    heard = [random.normal(size=(1, model.receptive_field - 1 + n)).astype(np.float32) for n in (20_000, 5_000)]
    examples = [Example(samples[0], amp(samples).numpy()[0]) for samples in heard]
    assert model.solve(examples)
    np.testing.assert_allclose(model.cabinet.kernel, amp.cabinet.kernel, atol=5e-3)
    assert model.solve(examples)  # what is left of the error, by its ends
    # The net's own rounding, which differs between processors: 1e-4 and 2e-4 were seen.
    np.testing.assert_allclose(model.cabinet.kernel, amp.cabinet.kernel, atol=5e-4)
    plain = with_tail(0)
    examples = [Example(samples[-len(target) - plain.receptive_field + 1 :], target) for samples, target, _ in examples]
    assert not plain.solve(examples)
    plain.treble = 1.0  # for which there is something to solve for without a tail too
    assert plain.solve(examples)


def test_the_treble_is_solved_for_beside_the_waveform() -> None:
    """An amp with a dull cabinet: weighed by its energy alone, what stands in the treble hardly changes the filter."""
    random = np.random.default_rng(5)
    dull = np.convolve(random.normal(size=40_000), np.ones(8) / 8)[:40_000]
    dull = np.convolve(dull, np.ones(5) / 5)[:40_000].astype(np.float32)
    found = {}
    for treble in (0.0, 1.0):
        keras.utils.set_random_seed(0)  # the same net twice
        model = with_tail(60)
        model.treble = treble
        model.cabinet.kernel.assign(0.2 * np.hanning(81)[:80])
        target = dull[model.history : len(dull) - model.lookahead]
        assert model.solve([Example(dull, target)])
        error = model(dull[None]).numpy()[0] - target
        white = np.convolve(error, whitening([target]), "valid")
        found[treble] = np.mean(error**2), np.mean(white**2)
    assert found[1.0][1] < found[0.0][1]  # each solution is the better one by what it was solved for
    assert found[0.0][0] < found[1.0][0]


def test_silence_leaves_the_filter_as_it_is() -> None:
    model = with_tail(30)
    model.set_weights([0 * weight for weight in model.get_weights()])
    silence = np.zeros(model.receptive_field + 99, np.float32)
    assert not model.solve([Example(silence, np.zeros(100, np.float32))])
