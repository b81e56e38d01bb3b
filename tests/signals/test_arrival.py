"""The gain stage that is fitted before a delay is measured, against amps that were built by other means."""

import numpy as np
import pytest
from damage import late
from numpy.testing import assert_allclose
from scipy import signal as dsp

from ampsim.recordings import virtual_amp
from ampsim.signals.alignment import timing
from ampsim.signals.arrival import (
    KNOTS_HZ,
    PAST,
    PULSE,
    GainStage,
    fitted_stage,
    gathered,
    incoherence,
    knots,
    part,
)

RATE = 44100


def played(start_s: float, duration_s: float, *, seed: int) -> np.ndarray:
    return virtual_amp.guitar(start_s + duration_s, RATE, seed=seed)[round(start_s * RATE) :]


RUNS = played(0, 3, seed=4)


def bell(hz: float, gain_db: float, rate: int) -> np.ndarray:
    """Bristow-Johnson's peaking filter of quality 0.6, (1, 6)."""
    root, angle = 10 ** (gain_db / 40), 2 * np.pi * hz / rate
    alpha = np.sin(angle) / 1.2
    section = [1 + alpha * root, -2 * np.cos(angle), 1 - alpha * root]
    section += [1 + alpha / root, -2 * np.cos(angle), 1 - alpha / root]
    return np.array([section]) / (1 + alpha / root)


def amp(direct: np.ndarray, hz: float, gain_db: float, gain: float, bias: float) -> np.ndarray:
    """A bell, a tanh at eight times the rate, and a loudspeaker."""
    fine = dsp.sosfilt(bell(hz, gain_db, 8 * RATE), dsp.resample_poly(direct.astype(float), 8, 1))
    bent = dsp.resample_poly(np.tanh(gain * fine + bias) - np.tanh(bias), 1, 8)
    return 0.5 * dsp.sosfilt(dsp.butter(2, (90, 4800), "bandpass", fs=RATE, output="sos"), bent)


def test_the_slope_of_the_incoherence_is_that_of_its_values():
    random = np.random.default_rng(0)
    frames = gathered([(RUNS, amp(RUNS, 800, 12, 40, 0.3).astype(np.float32))], lambda _: 0.0)
    values = np.append(4 + random.normal(0, 0.3, len(KNOTS_HZ)), 0.2)
    rest = (frames.given[:8], frames.wanted[:8], knots(RATE), slice(8, 1850))
    slopes = incoherence(values, *rest)[1]
    nudges = 0.01 * np.eye(len(values))
    differences = [(incoherence(values + n, *rest)[0] - incoherence(values - n, *rest)[0]) / 0.02 for n in nudges]
    assert_allclose(slopes, differences, atol=0.01 * np.abs(slopes).max())


def test_the_filter_between_knots_has_the_phase_of_a_first_order_filter():
    """A low-pass at 500 Hz: its phase is -atan(f / 500), whichever way its magnitude is drawn."""
    log_gain = -0.5 * np.log1p(np.square(KNOTS_HZ / 500))
    hz = np.fft.rfftfreq(PAST + PULSE, 1 / RATE)
    middle = (hz > 100) & (hz < 1000)
    phase = np.imag(log_gain @ knots(RATE))
    assert_allclose(phase[middle], -np.arctan(hz[middle] / 500), atol=0.12)


def test_the_gain_stage_of_an_amp_is_found():
    """20 x with a bias of 0.4 and no filter; the loudspeaker behind it is left to the response."""
    frames = gathered([(RUNS, amp(RUNS, 800, 0, 20, 0.4).astype(np.float32))], lambda _: 0.0)
    stage = fitted_stage(frames, RATE)
    assert isinstance(stage, GainStage)
    assert_allclose(stage.log_gain[2:8], np.log(20), atol=0.15)
    assert stage.bias == pytest.approx(0.4, abs=0.1)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("hz", "gain_db", "gain", "bias"), [(800, 12, 40, 0.0), (2500, 10, 20, 0.5), (300, -12, 100, 0.0)]
)
def test_what_an_amp_filters_before_it_clips_does_not_move_the_delay(sign, hz, gain_db, gain, bias):
    target = late(sign * amp(RUNS, hz, gain_db, gain, bias), 7.37)
    found = timing([(RUNS, target)], RATE)
    assert found.clear
    assert found.delay == pytest.approx(7.37, abs=0.5)
    assert found.inverted == (sign < 0)
    assert found.explained > 0.95
    assert found.samples <= 7


def test_a_few_notes_through_three_valves_are_not_half_a_period_late_and_inverted():
    found = timing([(RUNS, virtual_amp.amplify(RUNS, RATE, delay=7))], RATE)
    assert not found.inverted
    assert found.delay == pytest.approx(7, abs=2.5)
    assert found.samples <= 7


def test_what_is_left_of_a_signal_beyond_its_ends_is_silence():
    ramp = np.arange(1.0, 6.0)
    assert part(ramp, -2, 4).tolist() == [0, 0, 1, 2]
    assert part(ramp, 3, 4).tolist() == [4, 5, 0, 0]
    assert part(ramp, -1, 7).tolist() == [0, 1, 2, 3, 4, 5, 0]
    assert part(ramp, -9, 3).tolist() == part(ramp, 9, 3).tolist() == [0, 0, 0]
