"""The amp with knobs: its networks against formulas and a solver that share no code with them, and what a knob does."""

import itertools

import numpy as np
import pytest
from scipy import signal

from ampsim import AmpsimError
from ampsim.recordings import circuits, virtual_amp

RATE = 44100
FAST = 352_800.0
HZ = np.geomspace(20, 15_000, 60)
ENDS = list(itertools.product((0.0, 0.35, 1.0), repeat=3))


def response(network: circuits.Network) -> np.ndarray:
    """By nodal analysis at each frequency, where a capacitor is an admittance like any other."""
    nodes = max(max(part[:2]) for part in (*network.resistors, *network.capacitors))
    found = []
    for hz in HZ:
        admittance = np.zeros((nodes + 1, nodes + 1), complex)
        parts = [(a, b, 1 / ohms) for a, b, ohms in network.resistors]
        parts += [(a, b, 2j * np.pi * hz * farads) for a, b, farads in network.capacitors]
        for a, b, value in parts:
            admittance[a, a] += value
            admittance[b, b] += value
            admittance[a, b] -= value
            admittance[b, a] -= value
        unknown = np.arange(2, nodes + 1)  # node 0 lies at 0 V and node 1 at 1 V
        volts = np.linalg.solve(admittance[np.ix_(unknown, unknown)], -admittance[unknown, 1])
        found.append(volts[network.output - 2])
    return np.array(found)


def digital(sections: np.ndarray) -> np.ndarray:
    return signal.freqz_sos(sections, HZ, fs=FAST)[1]


def yeh_smith(l: float, m: float, t: float) -> np.ndarray:  # noqa: E741 - their letters for bass, middle and treble
    """The tone stack's transfer function (Yeh and Smith 2006) with a Marshall's parts."""
    r1, r2, r3, r4, c1, c2, c3 = 220e3, 1e6, 22e3, 33e3, 470e-12, 22e-9, 22e-9
    b1 = t * c1 * r1 + m * c3 * r3 + l * (c1 * r2 + c2 * r2) + (c1 * r3 + c2 * r3)
    b2 = t * (c1 * c2 * r1 * r4 + c1 * c3 * r1 * r4) - m**2 * (c1 * c3 * r3**2 + c2 * c3 * r3**2)
    b2 += m * (c1 * c3 * r1 * r3 + c1 * c3 * r3**2 + c2 * c3 * r3**2)
    b2 += l * (c1 * c2 * r1 * r2 + c1 * c2 * r2 * r4 + c1 * c3 * r2 * r4) + l * m * (
        c1 * c3 * r2 * r3 + c2 * c3 * r2 * r3
    )
    b2 += c1 * c2 * r1 * r3 + c1 * c2 * r3 * r4 + c1 * c3 * r3 * r4
    both = c1 * c2 * c3
    b3 = l * m * both * (r1 * r2 * r3 + r2 * r3 * r4) - m**2 * both * (r1 * r3**2 + r3**2 * r4)
    b3 += m * both * (r1 * r3**2 + r3**2 * r4) + t * both * r1 * r3 * r4 - t * m * both * r1 * r3 * r4
    b3 += t * l * both * r1 * r2 * r4
    a1 = (c1 * r1 + c1 * r3 + c2 * r3 + c2 * r4 + c3 * r4) + m * c3 * r3 + l * (c1 * r2 + c2 * r2)
    a2 = m * (c1 * c3 * r1 * r3 - c2 * c3 * r3 * r4 + c1 * c3 * r3**2 + c2 * c3 * r3**2)
    a2 += l * m * (c1 * c3 * r2 * r3 + c2 * c3 * r2 * r3) - m**2 * (c1 * c3 * r3**2 + c2 * c3 * r3**2)
    a2 += l * (c1 * c2 * r2 * r4 + c1 * c2 * r1 * r2 + c1 * c3 * r2 * r4 + c2 * c3 * r2 * r4)
    a2 += (
        c1 * c2 * r1 * r4
        + c1 * c3 * r1 * r4
        + c1 * c2 * r3 * r4
        + c1 * c2 * r1 * r3
        + c1 * c3 * r3 * r4
        + c2 * c3 * r3 * r4
    )
    a3 = l * m * both * (r1 * r2 * r3 + r2 * r3 * r4) - m**2 * both * (r1 * r3**2 + r3**2 * r4)
    a3 += m * both * (r3**2 * r4 + r1 * r3**2 - r1 * r3 * r4) + l * both * r1 * r2 * r4 + both * r1 * r3 * r4
    return signal.freqs([b3, b2, b1, 0], [a3, a2, a1, 1], 2 * np.pi * HZ)[1]


@pytest.mark.parametrize(("bass", "middle", "treble"), ENDS)
def test_the_tone_stack_is_that_of_yeh_and_smith(
    bass: float, middle: float, treble: float, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(circuits, "END", 1e-3)  # theirs has ideal pots, source and load
    loaded = circuits.tone_network(bass, middle, treble, 1.0)
    resistors = [(a, b, 1e-3 if (a, b) == (1, 2) else ohms) for a, b, ohms in loaded.resistors if 9 not in (a, b)]
    alone = circuits.Network(resistors, loaded.capacitors, 5)
    expected = yeh_smith(circuits.audio_taper(bass), middle, treble)
    assert np.abs(response(alone) - expected).max() < 1e-4 * np.abs(expected).max()
    assert np.abs(digital(alone.sections(FAST)) - expected).max() < 0.01 * np.abs(expected).max()


@pytest.mark.parametrize(
    "network",
    [
        *(circuits.tone_network(bass, middle, treble, 0.5) for bass, middle, treble in ENDS[::4]),
        *(circuits.gain_network(gain, bright) for gain in (0.0, 0.3, 1.0) for bright in (False, True)),
        *(circuits.feedback_network(presence) for presence in (0.0, 0.5, 1.0)),
    ],
)
def test_a_network_filters_as_its_admittances_say(network: circuits.Network):
    expected = response(network)
    assert np.abs(digital(network.sections(FAST)) - expected).max() < 0.01 * np.abs(expected).max()


def test_presence_is_what_feedback_no_longer_takes_away():
    for presence in (0.0, 0.5, 1.0):
        back = response(circuits.feedback_network(presence))
        still = 4.7e3 / 104.7e3  # the divider at 0 Hz
        gain = circuits.LOOP_GAIN / still
        expected = (1 + circuits.LOOP_GAIN) / (1 + gain * back)
        assert digital(circuits.closed_loop(presence, FAST)) == pytest.approx(expected, rel=0.02)


def test_an_audio_pot_has_a_seventh_in_its_middle_and_nothing_at_its_end():
    assert [circuits.audio_taper(x) for x in (0.0, 0.5, 1.0)] == pytest.approx([0, 0.15, 1])


# ---- what is heard ----


def heard(hz: float, level_db: float = -20.0, **controls: str | float) -> tuple[float, float]:
    """RMS of a sine behind the amp in dB, and its total harmonic distortion."""
    sine = 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * np.arange(2 * RATE) / RATE)
    sound = circuits.amplify(sine.astype(np.float32), RATE, controls, noise_db=-np.inf, room_db=-np.inf)
    power = np.abs(np.fft.rfft(sound[-RATE:].astype(float))) ** 2
    return 10 * np.log10(np.mean(sound[-RATE:] ** 2)), float(
        np.sqrt(power[2 * int(hz) :: int(hz)].sum() / power[int(hz)])
    )


def test_distortion_grows_with_the_gain():
    distortions = [heard(220, gain=gain)[1] for gain in range(1, 11)]
    assert all(later > earlier for earlier, later in itertools.pairwise(distortions))
    assert distortions[0] < 0.1
    assert distortions[-1] > 0.5


def test_loudness_grows_with_the_master_and_its_distortion_comes_last():
    levels, distortions = zip(*(heard(220, gain=3, master=master) for master in (1, 3, 5, 7, 10)), strict=True)
    assert all(later > earlier for earlier, later in itertools.pairwise(levels))
    assert levels[1] - levels[0] > 2 * (levels[-1] - levels[-2])  # the power stage gives way
    assert distortions[-1] > distortions[0] + 0.05


@pytest.mark.parametrize(("name", "hz"), [("bass", 100), ("middle", 500), ("treble", 3000), ("presence", 3000)])
def test_a_tone_control_raises_its_band(name: str, hz: float):
    low, middle, high = (heard(hz, -50, gain=1, master=2, **{name: value})[0] for value in (0, 5, 10))
    assert low < middle < high
    assert high - low > 3


def test_the_bright_switch_lifts_treble_at_low_gain_and_does_nothing_at_full():
    lifts = [
        heard(3000, -60, gain=gain, bright="on")[0] - heard(3000, -60, gain=gain, bright="off")[0] for gain in (2, 10)
    ]
    assert lifts[0] > 6
    assert abs(lifts[1]) < 0.1


def test_turned_off_is_silent_but_for_what_a_pot_leaves():
    assert heard(220, master=0)[0] < -60
    assert heard(220, gain=0)[0] < -60


def test_what_no_control_can_be_is_refused():
    silence = np.zeros(100, np.float32)
    with pytest.raises(AmpsimError, match=r"gain=11: it is from 0 to 10"):
        circuits.amplify(silence, RATE, {"gain": 11})
    with pytest.raises(AmpsimError, match="there is no control volume"):
        circuits.amplify(silence, RATE, {"volume": 11})
    with pytest.raises(TypeError, match="'treble_db'"):
        circuits.amplify(silence, RATE, {}, treble_db=3.0)


def test_a_setting_sounds_the_same_in_every_version():
    direct = virtual_amp.guitar(1.5, 8000, seed=0)
    levels = [
        np.sqrt(np.mean(np.square(circuits.amplify(direct, 8000, {"gain": gain}), dtype=float))) for gain in (1, 8)
    ]
    assert levels == pytest.approx([0.283149, 0.275716], rel=1e-4)
