"""The story of a diagnosis: what is looked at, in which order, and what stops training."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ampsim import AmpsimError
from ampsim.alignment import Timing, resampled, timing
from ampsim.doctor import channels, match, noise, response
from ampsim.doctor.coverage import coverage
from ampsim.doctor.findings import Diagnosis, Finding, ordered
from ampsim.metrics import gain_curve
from ampsim.pairs import AudioPair, Source

Notice = Callable[[str], None]
SHORTEST_S = 2.0  # with less, only the samples themselves are looked at


def quick(pair: AudioPair) -> tuple[list[Finding], Timing | None]:
    """What a look at the samples and at the timing says: seconds before training, that may save hours.

    Returns the findings, and the timing where the recording is fit to have one.
    """
    found = [*channels.broken(pair)]
    if found:
        return [*found, *(each for each in channels.clipping(pair) if each.severity == "error")], None
    found += [*channels.clipping(pair), *channels.offset(pair), *channels.dropouts(pair), *match.swap(pair)]
    if pair.duration_s < SHORTEST_S:
        return found, None
    measured = timing([(pair.input, pair.target)], pair.sample_rate)
    return [*found, *match.placed(pair, measured)], measured


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
    if measured.confidence >= match.SURE:
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


def checked(source: Source, *, notice: Notice) -> list[AudioPair]:
    """The takes of a source that have passed the quick part of the diagnosis, without drift where the source asks for that.

    Raises:
        AmpsimError: takes differ in rate, or hold NaN; or, when checks are strict, a take has a fault that spoils training.
    """
    takes = source.load()
    rates = {take.sample_rate for take in takes}
    if len(rates) > 1:
        found = ", ".join(f"{take.name} {take.sample_rate} Hz" for take in takes)
        raise AmpsimError(f"the takes differ in sample rate ({found}): export all at one rate")
    return [passed(take, source, notice) for take in takes]


def passed(take: AudioPair, source: Source, notice: Notice) -> AudioPair:
    found, measured = quick(take)
    if source.drift == "correct" and measured and match.drifts(measured, take.duration_s):
        mended, ppm = without_drift(take, measured)
        notice(f"{take.name}: a drift of {ppm:.2f} ppm is taken out")
        take, found = mended, [each for each in found if each.topic != "drift"]
    errors = [each.sentence for each in found if each.severity == "error"]
    if any(each.topic == "finite" for each in found):
        raise AmpsimError("\n".join(errors))
    if errors and source.checks == "strict":
        raise AmpsimError("\n".join(errors) + "\n(data.checks=warn goes on with a recording as it is)")
    for each in found:
        if each.severity in ("error", "warning"):
            notice(f"warning: {each.sentence}")
    return take


def without_drift(take: AudioPair, measured: Timing) -> tuple[AudioPair, float]:
    """The take with its target on the input's clock, and the drift in ppm; what is left is measured and taken out too."""
    once = resampled(take.target, measured.drift_ppm, take.sample_rate)
    rest = timing([(take.input, once)], take.sample_rate)
    ppm = measured.drift_ppm + rest.drift_ppm
    return replace(take, target=resampled(take.target, ppm, take.sample_rate)), ppm
