"""Factors on the learning rate, by hand."""

import pytest

from ampsim.training.schedules import Constant, Cosine, Exponential


@pytest.mark.parametrize("progress", [0, 0.3, 1])
def test_constant(progress: float):
    assert Constant()(progress) == 1


@pytest.mark.parametrize(
    ("progress", "factor"),
    # (1 + cos(pi * progress)) / 2, with cos(pi / 3) = 1/2 and cos(pi / 4) = 0.70711
    [(0, 1), (1 / 4, 0.853553), (1 / 3, 0.75), (1 / 2, 0.5), (2 / 3, 0.25), (1, 0), (1.5, 0)],
)
def test_cosine(progress: float, factor: float):
    assert Cosine()(progress) == pytest.approx(factor, abs=1e-6)
    assert Cosine(final=0.2)(progress) == pytest.approx(0.2 + 0.8 * factor, abs=1e-6)


@pytest.mark.parametrize(("progress", "factor"), [(0, 0), (0.05, 0.25), (0.1, 0.5), (0.2, 1), (0.6, 0.55), (1, 0.1)])
def test_cosine_with_a_warmup_and_an_end_above_0(progress: float, factor: float):
    assert Cosine(final=0.1, warmup=0.2)(progress) == pytest.approx(factor)


@pytest.mark.parametrize(("progress", "factor"), [(0, 1), (0.25, 0.31623), (0.5, 0.1), (1, 0.01), (2, 0.01)])
def test_exponential(progress: float, factor: float):
    assert Exponential(final=0.01)(progress) == pytest.approx(factor, rel=1e-4)


@pytest.mark.parametrize("warmup", [-0.1, 1, 1.5])
def test_a_warmup_that_is_no_share_is_refused(warmup: float):
    with pytest.raises(ValueError, match=r"schedule\.warmup"):
        Cosine(warmup=warmup)


@pytest.mark.parametrize("final", [0, -0.1])
def test_an_exponential_fall_to_0_is_refused(final: float):
    with pytest.raises(ValueError, match=r"schedule\.final"):
        Exponential(final=final)
