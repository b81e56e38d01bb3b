"""The story of a diagnosis: what is looked at, in which order, and what stops training."""

from collections.abc import Sequence
from typing import Any

from ampsim.doctor import noise, response
from ampsim.doctor.coverage import coverage
from ampsim.metrics import gain_curve
from ampsim.recordings import channels, match
from ampsim.recordings.findings import Diagnosis, Finding, ordered
from ampsim.recordings.pairs import AudioPair
from ampsim.recordings.preparing import quick


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
        found.append(Finding("ok", "gaps", "nothing is missing, held or played twice"))
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
        found += gated or [Finding("ok", "gate", "neither signal is cut while the other plays on")]
        found += noise.floor(laid)
        guess = response.guessed(laid)
        told, gains = response.change(laid, guess)
        remembered, arrays = response.memory(laid)
        found += [*told, *remembered]
        curves |= {
            "gains_db": gains,
            "block_s": guess.block_s,
            **arrays,
            "gain_curve": gain_curve(laid.input, laid.target, laid.sample_rate),
        }
    return Diagnosis(pair.name, pair.sample_rate, pair.duration_s, ordered(found), curves)
