"""Which settings of an amp to record: few, and far from each other."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from ampsim import AmpsimError
from ampsim.recordings.controls import Control, encoded

Setting = tuple[float, ...]
Play = Callable[[Setting], NDArray[np.floating]]  # what a net plays of some excerpt at a setting

CORNERS = 1 / 3  # of a plan, at most: a net extrapolates worse than it interpolates
DESIGNS = 50  # that are drawn, of which the one is taken that lies widest
CANDIDATES = 1024  # settings that the next ones to record are chosen from
STEPS = 16  # of a knob, at least: what a hand can set and an eye can read
MOST = 256  # settings of a plan


def planned(controls: Sequence[Control], count: int, *, seed: int = 0) -> list[Setting]:
    """Settings to record first: corners of the whole range, then a Latin hypercube, which tries each knob all over its
    range and each position of a switch as often. Every beginning of the list is spread out too.

    Args:
        count: of settings, all different.
        seed: of the draws; the same plan for the same seed.

    Raises:
        AmpsimError: no control, or no count of settings that there are.
    """
    there = possible(controls)
    if not controls:
        raise AmpsimError("a plan needs a control: controls='{gain: [0, 10]}'")
    if not 2 <= count <= min(there, MOST):
        several = f"there are {there:,} settings" if there < MOST else f"a plan has up to {MOST:,} settings"
        raise AmpsimError(f"count={count}: it is from 2 to {min(there, MOST):,}, since {several}")
    random = np.random.default_rng(seed)
    corners = spread(controls, ends(controls, random), max(2, int(CORNERS * count)))
    designs = (rounded(controls, drawn(controls, count - len(corners), random)) for _ in range(DESIGNS))
    widest = max(([*corners, *each] for each in designs), key=lambda plan: closest(controls, plan))
    chosen = list(dict.fromkeys(widest))
    # Where rounding made two of them one, any others that are far take their place.
    others = [each for each in candidates(controls, random) if each not in chosen]
    return spread(controls, [*chosen, *spread(controls, others, count - len(chosen), known=chosen)], count)


def following(
    controls: Sequence[Control],
    recorded: Sequence[Setting],
    count: int,
    disagreement: Callable[[list[Setting]], NDArray[np.float64]] | None = None,
    *,
    seed: int = 0,
    most: int = 128,
) -> list[Setting]:
    """Settings to record next: where models that learnt the same recordings disagree most, and far from what is recorded.

    Each is the candidate with the largest product of disagreement and distance to the nearest setting, recorded or chosen
    before it; so that one doubtful region does not get all of them.

    Args:
        recorded: settings that there are recordings of.
        disagreement: for each of a list of settings a number from 0 on, such as the variance between the predictions of an
            ensemble relative to their power; None weighs distance alone.
        most: settings that it is asked about.

    Raises:
        AmpsimError: no such many settings are left.
    """
    random = np.random.default_rng(seed)
    open_to = [each for each in candidates(controls, random) if each not in set(recorded)]
    if disagreement is not None and len(open_to) > most:
        open_to = [open_to[index] for index in sorted(random.choice(len(open_to), most, replace=False))]
    if not 1 <= count <= len(open_to):
        raise AmpsimError(f"count={count}: it is from 1 to {len(open_to):,}, the settings that are left to choose from")
    weights = None if disagreement is None else np.asarray(disagreement(open_to), np.float64)
    return spread(controls, open_to, count, known=recorded, weights=weights)


def disagreement(ensemble: Sequence[Play], settings: Sequence[Setting]) -> NDArray[np.float64]:
    """How far players differ at each setting: the power of their deviations from their mean, over that of the mean.

    For nets that learnt the same from other random numbers that is, as far as chance decides what they make of a setting,
    the error-to-signal ratio to expect there (Krogh and Vedelsby 1995). Where hardly anything sounds, it is over a
    thousandth of the loudest.
    """
    means, apart = [], []
    for setting in settings:
        played = np.stack([np.asarray(play(setting), np.float64) for play in ensemble])
        mean = np.mean(played, axis=0)
        means.append(float(np.mean(mean**2)))
        apart.append(float(np.mean((played - mean) ** 2)) * len(ensemble) / (len(ensemble) - 1))
    return np.array(apart) / np.maximum(means, 1e-3 * max(means) + 1e-30)


def spread(
    controls: Sequence[Control],
    settings: Sequence[Setting],
    count: int,
    *,
    known: Sequence[Setting] = (),
    weights: NDArray[np.float64] | None = None,
) -> list[Setting]:
    """`count` of the settings, each the farthest from `known` and from those before it, times its weight."""
    if count <= 0:
        return []
    places = placed(controls, settings)
    distance = np.full(len(settings), math.inf)
    for place in placed(controls, known):
        distance = np.minimum(distance, np.linalg.norm(places - place, axis=1))
    chosen: list[int] = []
    for _ in range(min(count, len(settings))):
        worth = np.where(np.isinf(distance), 1.0, distance) * (1.0 if weights is None else weights)
        worth[chosen] = -math.inf
        chosen.append(int(np.argmax(worth)))
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return [settings[index] for index in chosen]


def placed(controls: Sequence[Control], settings: Iterable[Setting]) -> NDArray[np.float64]:
    """Where settings lie, (len(settings), numbers): each knob from -1 to 1, two positions of a switch 2 apart."""
    scale = [2**0.5 if control.positions else 1.0 for control in controls for _ in range(control.size)]
    rows = [encoded(controls, setting) for setting in settings]
    return np.array(rows, np.float64).reshape(len(rows), len(scale)) * scale


def closest(controls: Sequence[Control], settings: Sequence[Setting]) -> float:
    """The distance between the two settings that lie closest."""
    places = placed(controls, settings)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    return float(np.min(apart + np.diag(np.full(len(places), math.inf))))


def ends(controls: Sequence[Control], random: np.random.Generator) -> list[Setting]:
    """Corners, all at the lower ends first; where there are more than some hundred, as many of them at random."""
    sides = [range(len(control.positions) or 2) for control in controls]
    corners = {(0,) * len(sides): None, tuple(len(side) - 1 for side in sides): None}
    for _ in range(CANDIDATES):
        corners[tuple(int(random.integers(len(side))) for side in sides)] = None
    return [
        tuple(
            float(side) if control.positions else (control.low, control.high)[side]
            for control, side in zip(controls, corner, strict=True)
        )
        for corner in corners
    ]


def drawn(controls: Sequence[Control], count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """A Latin hypercube, (count, len(controls)), from 0 to 1."""
    if not count:
        return np.empty((0, len(controls)))
    return np.asarray(qmc.LatinHypercube(len(controls), rng=random).random(count))


def candidates(controls: Sequence[Control], random: np.random.Generator) -> list[Setting]:
    """All settings, each once; where there are too many, corners and Sobol's points."""
    if possible(controls) <= CANDIDATES:
        return list(itertools.product(*map(values, controls)))
    points = qmc.Sobol(len(controls), rng=random).random(CANDIDATES)
    return list(dict.fromkeys([*ends(controls, random), *rounded(controls, points)]))


def rounded(controls: Sequence[Control], points: NDArray[np.float64]) -> list[Setting]:
    """Points from 0 to 1 as settings that a hand can set."""
    offered = [values(control) for control in controls]
    return [
        tuple(
            own[min(int(share * len(own)), len(own) - 1)] if control.positions else own[round(share * (len(own) - 1))]
            for control, own, share in zip(controls, offered, point, strict=True)
        )
        for point in points.tolist()
    ]


def possible(controls: Sequence[Control]) -> int:
    """How many settings a hand can tell apart."""
    return math.prod(len(values(control)) for control in controls)


def values(control: Control) -> list[float]:
    """The values of a control that a hand can set: every position of a switch; of a knob its ends, and what lies whole
    steps from the lower one. A step is 1, 2 or 5 times a power of ten, at most a sixteenth of the range: halves for 0 to 10.
    """
    if control.positions:
        return [float(index) for index in range(len(control.positions))]
    finest = (control.high - control.low) / STEPS * (1 + 1e-9)
    power = 10.0 ** math.floor(math.log10(finest))
    step = max(factor * power for factor in (1, 2, 5) if factor * power <= finest)
    count = math.ceil((control.high - control.low) / step - 1e-9)
    return [*(round(control.low + index * step, 12) for index in range(count)), control.high]
