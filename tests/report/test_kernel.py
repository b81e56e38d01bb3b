"""The kernel that plays a net in a page: its binary is its text's, and what it computes is NumPy's."""

from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np
import pytest
import wasmtime
from numpy.testing import assert_allclose

CODE = resources.files("ampsim.report").joinpath("kernel.wasm").read_bytes()
TEXT = resources.files("ampsim.report").joinpath("kernel.wat").read_text(encoding="utf-8")


class Kernel:
    """The kernel in a runtime that is no browser's; `floats` is its memory."""

    def __init__(self) -> None:
        self.store = wasmtime.Store()
        memory = wasmtime.Memory(self.store, wasmtime.MemoryType(wasmtime.Limits(1, 1)))
        module = wasmtime.Module(self.store.engine, CODE)
        self.exports = wasmtime.Instance(self.store, module, [memory]).exports(self.store)
        address = memory.data_ptr(self.store)
        raw = np.ctypeslib.as_array(address, (memory.data_len(self.store),))
        self.floats, self.whole = raw.view(np.float32), raw.view(np.int32)
        self.memory = memory

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments: self.exports[name](self.store, *arguments)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_the_binary_is_what_the_text_gives():
    """To make it anew: Path("ampsim/report/kernel.wasm").write_bytes(wasmtime.wat2wasm(text of kernel.wat))."""
    assert bytes(wasmtime.wat2wasm(TEXT)) == CODE


@pytest.mark.parametrize("based", [False, True])
@pytest.mark.parametrize(("rows", "outputs", "n"), [(1, 4, 8), (7, 8, 24), (36, 12, 128)])
def test_rows_are_mixed(kernel: Kernel, rows: int, outputs: int, n: int, based: bool):
    """y = b + W x (+ base), with rows that lie at odd places and strides of their own."""
    signals, weights, bias, base = random(rows, n), random(outputs, rows, seed=1), random(outputs), random(outputs, n)
    places = 4 * (5 + (n + 3) * np.arange(rows)[::-1])  # no row is aligned
    for place, signal in zip(places, signals, strict=True):
        kernel.floats[place // 4 : place // 4 + n] = signal
    table, packed, before, out, stride = 28_000, 30_000, 40_000, 50_000, n + 4
    kernel.whole[table // 4 : table // 4 + rows] = places
    blocks = np.concatenate([bias[:, None], weights], axis=1).reshape(-1, 4, rows + 1).transpose(0, 2, 1)
    kernel.floats[packed // 4 : packed // 4 + blocks.size] = blocks.ravel()
    kernel.floats[before // 4 : before // 4 + base.size] = base.ravel()
    kernel.mix(out, 4 * stride, before if based else 0, 4 * n, table, packed, rows, outputs // 4, n)
    found = kernel.floats[out // 4 : out // 4 + outputs * stride].reshape(outputs, stride)
    assert_allclose(found[:, :n], bias[:, None] + weights @ signals + (base if based else 0), atol=2e-5)
    assert not found[:, n:].any()  # nothing beside the rows is touched


def test_a_step_is_a_product_with_a_vector(kernel: Kernel):
    values, weights, bias = random(5), random(8, 5, seed=1), random(8, seed=2)
    blocks = np.concatenate([bias[:, None], weights], axis=1).reshape(2, 4, 6).transpose(0, 2, 1)
    kernel.floats[4:9] = values
    kernel.floats[100 : 100 + blocks.size] = blocks.ravel()
    kernel.step(800, 16, 400, 5, 2)
    assert_allclose(kernel.floats[200:208], bias + weights @ values, atol=1e-6)


def test_rows_are_added_and_kept(kernel: Kernel):
    one, two = random(3, 8), random(3, 12, seed=1)
    kernel.floats[4:28], kernel.floats[100:136] = one.ravel(), two.ravel()
    kernel.add(16, 32, 400, 48, 3, 8)
    assert_allclose(kernel.floats[4:28].reshape(3, 8), one + two[:, :8], atol=1e-6)
    kernel.keep(400, 48, 2, 9, 3)  # the last 9 of 12, which overlap the first
    kept = kernel.floats[100:136].reshape(3, 12)
    assert_allclose(kept[:2, :9], two[:2, 3:])
    assert_allclose(kept[2], two[2])


def test_what_is_done_in_place(kernel: Kernel):
    values = np.concatenate([random(94), [0, -0.0, 1e-30, 40, -40, 1e30], [-1e30, 7.5, -7.5, 0.3]]).astype(np.float32)
    at, end = 4, 4 + len(values)

    def after(name: str, *arguments: Any) -> np.ndarray:
        kernel.floats[at:end] = values
        getattr(kernel, name)(4 * at, *arguments)
        return kernel.floats[at:end].copy()

    n = len(values)
    kernel.floats[400 : 400 + n] = 0.5
    assert_allclose(after("multiply", 1600, n), 0.5 * values)
    assert_allclose(after("leak", n, 0.25), np.where(values > 0, values, 0.25 * values))
    exact = values.astype(np.float64)
    assert_allclose(after("squash", n, -1.0, 1.0, 2.0), np.tanh(exact), atol=2e-7)
    assert_allclose(after("squash", n, 0.0, 1.0, 1.0), 0.5 + 0.5 * np.tanh(exact / 2), atol=1e-7)
