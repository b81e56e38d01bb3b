"""The story of a diagnosis: what is looked at, in which order, and what stops training."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ampsim import counted
from ampsim.doctor import noise, response
from ampsim.doctor.coverage import coverage
from ampsim.doctor.echoes import echoes
from ampsim.metrics import gain_curve
from ampsim.recordings import Knobs, channels, levels, match
from ampsim.recordings.findings import Diagnosis, Finding, ordered
from ampsim.recordings.pairs import AudioPair
from ampsim.recordings.preparing import quick, takes_of

SOFT_DB, SOFT_SHARE = 35.0, 0.01  # below the loudest frame, and how many frames have to be so soft for a gate to show


def diagnosed(pair: AudioPair, known: Sequence[Finding] = ()) -> Diagnosis:
    """All that is known how to look for, beside what is `known` already; takes seconds for minutes of audio."""
    found, measured = quick(pair)
    found = [*known, *found]
    curves: dict[str, Any] = {}
    if measured is None:
        if not found or all(each.severity != "error" for each in found):
            text = f"{pair.name} holds {pair.duration_s:.1f} s, too little to say more"
            found.append(Finding("warning", "length", text, "record two or three minutes"))
        return Diagnosis(pair.name, pair.sample_rate, pair.duration_s, ordered(found))
    found += [*channels.repeats(pair), *channels.splices(pair)]
    if not any(each.topic.startswith(("dropout", "repeat", "splice", "missing")) for each in found):
        text = "nothing is held or played twice; whether samples of one of the two are missing cannot be told"
        found.append(Finding("ok", "gaps", "nothing is missing, held or played twice" if measured.followed else text))
    found += noise.hum(pair)
    level, shown = coverage(pair)
    curves |= shown
    found += level
    curves |= {
        "lag_time_s": measured.time_s,
        "lags": measured.lags,
        "line": measured.lags * 0 + measured.delay + measured.line(measured.time_s),
    }
    if measured.clear:
        laid = match.straightened(pair, measured)
        gated = [*match.gates(laid, hums_db=noise.levels(found))]
        found += gated or [no_gate(laid)]
        found += noise.floor(laid)
        guess = response.guessed(laid)
        told, gains = response.change(laid, guess)
        remembered, arrays = response.memory(laid)
        found += [*told, *remembered, *echoes(guess, laid.sample_rate)]
        curves |= {
            "gains_db": gains,
            "block_s": guess.block_s,
            **arrays,
            "gain_curve": gain_curve(laid.input, laid.target, laid.sample_rate),
        }
    return Diagnosis(pair.name, pair.sample_rate, pair.duration_s, ordered(found), curves)


def diagnosed_sheet(
    path: str, levels_dbu: tuple[float | None, float | None] = (None, None), **channels: int
) -> Diagnosis:
    """What is wrong with the recordings that a sheet of settings names, in each of them.

    Args:
        levels_dbu: of full scale of the direct signal and the amp's, where they are known.
        channels: input_channel and target_channel of stereo files.

    Raises:
        AmpsimError: the sheet is at fault, or a file of it is missing; or two recordings contradict each other.
    """
    source = Knobs(path=path, **channels)  # type: ignore[arg-type]
    takes = takes_of(source)
    settings = len({take.setting for take in takes})
    names = ", ".join(each.name for each in source.known_controls)
    text = f"{counted(len(takes), 'recording')} at {counted(settings, 'setting')} of {names}"
    found = [Finding("ok", "settings", text)]
    for take in takes:
        told = [
            each for each in diagnosed(take, [*levels.findings(take, *levels_dbu)]).findings if each.severity != "ok"
        ]
        found += [each if take.name in each.text else replace(each, text=f"{take.name}: {each.text}") for each in told]
    duration_s = sum(take.duration_s for take in takes)
    return Diagnosis(source.sheet.path.name, takes[0].sample_rate, duration_s, ordered(found))


def no_gate(pair: AudioPair) -> Finding:
    """That no gate shows; where all the playing is loud, none could."""
    levels = match.band_levels(pair.input, pair.sample_rate)
    if len(levels) and np.mean(levels < levels.max() - SOFT_DB) >= SOFT_SHARE:
        return Finding("ok", "gate", "neither signal is cut while the other plays on")
    text = "whether there is a noise gate cannot be told, since the playing is never soft"
    return Finding("note", "gate", text, "let a few notes ring until they are gone")
