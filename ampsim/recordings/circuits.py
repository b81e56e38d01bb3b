"""The embedded amp with its knobs: gain, tone stack, master and presence as the circuits that they are.

A network of resistors and capacitors becomes a digital filter by its own equations, wherever its pots stand. The networks
stand where an amp has them, between the stages that clip, so that a knob changes what distorts and not only how it sounds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import signal

from ampsim.recordings import virtual_amp
from ampsim.recordings.controls import Control, setting_of
from ampsim.recordings.virtual_amp import Audio, ClippingStage, Filter, PowerStage, Samples, Stage

CONTROLS = (
    *(Control(name) for name in ("gain", "bass", "middle", "treble", "master", "presence")),
    Control("bright", positions=("off", "on")),
)
USUAL: Mapping[str, str | float] = {each.name: "on" if each.positions else 5.0 for each in CONTROLS}
IGNORED = ("drive_db", "bass_db", "mid_db", "treble_db")  # of `VirtualAmpSettings`: the circuits take their place

# ------------------------------------------------------------------------------------------------------ the networks

Part = tuple[int, int, float]  # from node to node, ohms or farads; node 0 is ground and node 1 the input


@dataclass(frozen=True)
class Network:
    """Resistors and capacitors between numbered nodes, driven at node 1 and heard at `output`.

    Every way from the input to a capacitor has to lead through a resistor, as in any real circuit.
    """

    resistors: Sequence[Part]
    capacitors: Sequence[Part]
    output: int

    def state_space(self) -> tuple[Samples, Samples, Samples, float]:
        """(a, b, c, d) of dx/dt = a x + b u, y = c x + d u, where x are the voltages of the capacitors.

        Nodal analysis with each capacitor as a source of its voltage: the currents through these are what charges them.
        """
        nodes = max(max(part[:2]) for part in (*self.resistors, *self.capacitors))
        sources: list[Part] = [*self.capacitors, (1, 0, 1.0)]
        matrix = np.zeros((nodes + 1 + len(sources),) * 2)
        for first, second, ohms in self.resistors:
            matrix[[first, second], [first, second]] += 1 / ohms
            matrix[[first, second], [second, first]] -= 1 / ohms
        for number, (first, second, _) in enumerate(sources, nodes + 1):
            matrix[[first, number], [number, first]] += 1
            matrix[[second, number], [number, second]] -= 1
        known = np.zeros((len(matrix), len(sources)))
        known[nodes + 1 :] = np.eye(len(sources))
        solved = np.linalg.solve(matrix[1:, 1:], known[1:])  # without the equation of the ground
        farads = np.array([[part[2]] for part in self.capacitors])
        charging = solved[nodes : nodes + len(farads)] / farads
        heard = solved[self.output - 1]
        return charging[:, :-1], charging[:, -1:], heard[:-1], float(heard[-1])

    def sections(self, rate: float) -> Samples:
        """Second-order sections (n, 6) at `rate` in hertz, by the bilinear transform."""
        a, b, c, d = self.state_space()
        zeros, poles = np.linalg.eigvals(a - b * c / d), np.linalg.eigvals(a)
        return signal.zpk2sos(*signal.bilinear_zpk(zeros, poles, d, rate))


END = 10.0  # ohms that a pot keeps where it is turned off


def audio_taper(position: float) -> float:
    """The share of an audio pot's track below its wiper, 15 % in the middle, for a position from 0 to 1."""
    base = (1 / 0.15 - 1) ** 2
    return (base**position - 1) / (base - 1)


def pot(top: int, wiper: int, bottom: int, ohms: float, share: float) -> list[Part]:
    """The two parts of a track, of which `share` lies below the wiper."""
    return [(top, wiper, (1 - share) * ohms + END), (wiper, bottom, share * ohms + END)]


# after a Marshall 2203 (JCM800): component values as on its schematic


def gain_network(gain: float, bright: bool) -> Network:
    """From the first anode to the second grid: 470 kohm with the treble-peaking capacitor across it, and the gain pot.

    Args:
        gain: from 0 to 1.
        bright: whether 1 nF lies across the upper part of the pot; else what is left is stray.
    """
    resistors = [(1, 2, 38e3), (2, 3, 470e3), *pot(3, 4, 0, 1e6, audio_taper(gain))]
    return Network(resistors, [(2, 3, 470e-12), (3, 4, 1e-9 if bright else 1e-12)], 4)


def tone_network(bass: float, middle: float, treble: float, master: float) -> Network:
    """From the cathode follower to the power amp: the tone stack with the master pot as its load; all from 0 to 1."""
    resistors = [
        (1, 2, 1.3e3),  # the follower's own
        (2, 3, 33e3),
        *pot(4, 5, 6, 220e3, treble),
        (6, 7, audio_taper(bass) * 1e6 + END),
        *pot(7, 8, 0, 22e3, middle),
        *pot(5, 9, 0, 1e6, audio_taper(master)),
    ]
    return Network(resistors, [(2, 4, 470e-12), (3, 6, 22e-9), (3, 8, 22e-9)], 9)


def feedback_network(presence: float) -> Network:
    """From the loudspeaker back to the phase inverter: 100 kohm, and the presence pot that takes treble to ground."""
    return Network([(1, 2, 100e3), *pot(2, 3, 0, 4.7e3, presence)], [(3, 0, 100e-9)], 2)


LOOP_GAIN = 1.8  # of the power amp without presence: 9 dB of feedback, and as much treble to be had


def closed_loop(presence: float, rate: float) -> Samples:
    """What the power amp makes of a signal that does not clip, with feedback: (1 + g b0) / (1 + g b), where b is the
    feedback's response, b0 the same at 0 Hz and g the gain without it, g b0 = `LOOP_GAIN`."""
    a, b, c, d = feedback_network(presence).state_space()
    still = d - float((c @ np.linalg.solve(a, b)).item())
    gain = LOOP_GAIN / still
    # 1 / (1 + g b) in state space: what is fed back is taken off the input
    poles = np.linalg.eigvals(a - gain * b * c / (1 + gain * d))
    scale = (1 + LOOP_GAIN) / (1 + gain * d)
    return signal.zpk2sos(*signal.bilinear_zpk(np.linalg.eigvals(a), poles, scale, rate))


# ------------------------------------------------------------------------------------------------------------ the amp

# As `virtual_amp.STAGES`, each with its gain in decibels: clean with the gain low, since the first does not clip then.
STAGES = (
    (6.0, Stage(drive=1.0, bias=1.0, coupling_hz=20, shelf_hz=(87, 200), miller_hz=18000)),
    (26.0, Stage(drive=1.0, bias=2.0, coupling_hz=60, shelf_hz=(1000, 1000), miller_hz=12000)),  # no capacitor here
    (24.0, Stage(drive=1.0, bias=1.0, coupling_hz=40, shelf_hz=(285, 600), miller_hz=9000)),
)
POWER_STAGE = Stage(drive=0.0, bias=0.5, coupling_hz=15, shelf_hz=(1000, 1000), miller_hz=15000)
DRIVER_DB = 26.0  # what tone stack and master lose


def amplify(direct: Audio, sample_rate: int, controls: Mapping[str, str | float] = USUAL, **settings: float) -> Audio:
    """What the microphone hears of `direct` (n,) at this setting of the amp, as (n,).

    Args:
        direct: one channel of finite samples.
        sample_rate: in hertz.
        controls: values of `CONTROLS` by name; those of `USUAL` stand for the others.
        settings: fields of `VirtualAmpSettings` that are not `IGNORED`.

    Raises:
        AmpsimError: a control that there is not, or a value out of its range.
        ValueError: a setting that no amp could have, or a direct signal that is not one channel of finite samples.
        TypeError: a setting that is not known.
    """
    if ignored := [name for name in settings if name in IGNORED]:
        raise TypeError(f"the amp with knobs has no setting {ignored[0]!r}")
    chosen = dict(zip(USUAL, setting(controls), strict=True))
    known = virtual_amp.VirtualAmpSettings(sample_rate=sample_rate, **settings)  # type: ignore[arg-type]
    return virtual_amp.amplified(direct, known, lambda rate: chain(chosen, known, rate))


def setting(controls: Mapping[str, str | float]) -> tuple[float, ...]:
    """Values of all `CONTROLS`, those of `USUAL` where nothing is said."""
    return setting_of(CONTROLS, {**USUAL, **controls})


def chain(
    turned_to: Mapping[str, float], known: virtual_amp.VirtualAmpSettings, rate: float
) -> list[virtual_amp.Block]:
    """Stages and networks in their order, at `rate` in hertz."""
    turned = {name: value / 10 for name, value in turned_to.items()}
    first, second, third = (ClippingStage(stage, gain_db, known.bias, rate) for gain_db, stage in STAGES)
    tone = tone_network(turned["bass"], turned["middle"], turned["treble"], turned["master"]).sections(rate)
    tone[0, :3] *= 10 ** (DRIVER_DB / 20)
    return [
        first,
        Filter(gain_network(turned["gain"], turned_to["bright"] == 1).sections(rate)),
        second,
        third,
        Filter(np.vstack([tone, closed_loop(turned["presence"], rate)])),
        PowerStage(POWER_STAGE, known.bias, known.sag, rate),
    ]
