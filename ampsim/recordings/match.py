"""What the two channels are to each other: which is which, how they lie in time, and whether one of them is cut."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
from numpy.typing import NDArray
from scipy import signal as dsp

from ampsim import counted
from ampsim.recordings.channels import LARGER_BUFFER, runs
from ampsim.recordings.findings import Finding
from ampsim.recordings.pairs import SET_DELAY, AudioPair, unclear
from ampsim.signals import alignment, scratch
from ampsim.signals.alignment import FEIGNED, Timing, resampled
from ampsim.signals.arrival import part
from ampsim.signals.audio import Signal, clock, energy
from ampsim.signals.linear import frame_powers
from ampsim.signals.scratch import Scratch, blocks, release

Array = NDArray[np.float64]

EXACT = 0.3  # samples that a delay may be off by at most for two digits of it to be told
SWAPPED = (
    -1.5,
    -0.15,
)  # dB of level range and log of kurtosis that the "amp" has more of; amps take 2 to 30 and 0.4 to 3
MODULATED_DB, EXPANDS = (
    -6.0,
    1.04,
)  # a tremolo widens the range of levels too, by less, and not where the playing is loud
DRIFT_SIGMAS = 4.5
PLAUSIBLE_PPM = 300.0  # beyond, no clock is that far off
COMMON_RATES = tuple(round(1000 * khz) for khz in (44.1, 48, 88.2, 96))
RATIOS = (  # of rates that files are mistaken for, and of the speeds of film and video
    *{a / b: (a, b) for a, b in reversed([*permutations(COMMON_RATES, 2)])}.values(),
    *((25, 24), (24, 25), (1001, 1000), (1000, 1001)),
)
CLEARER = 1.7  # how many times as high a peak the right ratio gives; others reach 1.4
RATE_S = 20.0  # of the take that are tried at each ratio
GATE_FRAME_S = 0.02
GATE_DB = 20.0  # how far the amp falls below what it makes of loud playing; an amp that saturates rises instead
GATE_RANGE_DB = 60.0  # below the direct signal's loudest frame
CUT_DB = 45.0  # the same for a direct signal that is cut
GATED_S = 0.1


def swap(pair: AudioPair) -> Iterator[Finding]:
    """Amps compress: they narrow the range of levels, and thin out the peaks."""
    found = dynamics(pair)
    values = {"level_range_db": found[0], "log_kurtosis": found[1], "slope": found[2]}
    modulated = found[0] > MODULATED_DB and found[2] < EXPANDS
    if found[0] < SWAPPED[0] and found[1] < SWAPPED[1] and not modulated:
        yield Finding(
            "warning",
            "swap",
            f"{pair.name}: direct and amp look swapped (the amp's signal has the greater dynamics, by {-found[0]:.0f} dB)",
            "name the direct signal first (of two files), or exchange data.input_channel and data.target_channel",
            values=values,
        )
    else:
        text = f"direct and amp are the right way round: the amp narrows the levels by {found[0]:.0f} dB"
        if found[0] < 1 or found[1] < 0.2:
            text = "nothing says that direct and amp are swapped (an amp that hardly compresses leaves it open)"
        yield Finding("ok", "swap", text, values=values)


def dynamics(pair: AudioPair) -> tuple[float, float, float]:
    """By how much the direct signal exceeds the amp in its range of levels (10 to 90 % of the louder frames, dB) and in
    the logarithm of its kurtosis; and the dB by which the amp becomes louder for each dB of the direct signal."""
    powers = [np.maximum(frame_powers(x, pair.sample_rate), 1e-16) for x in (pair.input, pair.target)]
    levels = [10 * np.log10(power) for power in powers]
    loud = np.all([level > level.max(initial=-np.inf) - 40 for level in levels], axis=0)
    ranges = [np.subtract(*np.percentile(level[loud], (90, 10))) if loud.sum() > 10 else 0.0 for level in levels]
    fourth = [sum(energy(np.square(block)) for _, block in blocks(x)) for x in (pair.input, pair.target)]
    kurtosis = [
        len(x) * each / max(energy(x) ** 2, 1e-30) for x, each in zip((pair.input, pair.target), fourth, strict=True)
    ]
    direct, amp = (level[loud] - np.mean(level[loud]) if loud.any() else np.zeros(1) for level in levels)
    slope = float(direct @ amp / max(direct @ direct, 1e-9))
    return float(ranges[0] - ranges[1]), math.log(max(kurtosis[0], 1e-9) / max(kurtosis[1], 1e-9)), slope


def placed(pair: AudioPair, timing: Timing) -> Iterator[Finding]:
    """Delay, polarity, drift and lost samples."""
    rate = pair.sample_rate
    values = {
        "samples": timing.samples,
        "onset": timing.onset,
        "peak": timing.delay,
        "within": timing.within,
        "confidence": timing.confidence,
        "apart": timing.apart,
    }
    if suspect(timing) and (ratio := rate_ratio(pair, timing.confidence)):
        yield mislabelled(pair, *ratio)
        return
    if not timing.clear:
        yield Finding("error", "delay", f"{pair.name}: {unclear(timing)}", SET_DELAY, values=values)
        return
    lag = f"{abs(timing.delay):.{2 if timing.within < EXACT else 1}f}"  # no more digits than are known
    lead = "leads" if timing.delay < 0 and float(lag) else "lags"
    text = (
        f"the amp {lead} the direct signal by {lag} samples ({1000 * timing.delay / rate:+.2f} ms), give "
        f"or take {timing.within:.1f}, and its response begins at {counted(timing.samples, 'sample')} "
        f"(two halves of the take differ by {timing.apart:.2f} samples; confidence {timing.confidence:.0f}, chance reaches 5)"
    )
    fix = f"data.delay=auto removes {timing.samples}, and so does data.delay={timing.samples}"
    yield Finding("ok", "delay", text, fix, values=values)
    turned = "the amp inverts the signal, as many do; the model learns that too"
    text = turned if timing.inverted else "the amp does not invert the signal"
    yield Finding("note" if timing.inverted else "ok", "polarity", text, values={"inverted": float(timing.inverted)})
    yield from steps(pair, timing)
    yield from clocks(pair, timing)


def suspect(timing: Timing) -> bool:
    """Whether two rates may be what keeps direct and amp from lying on a line."""
    lost = len(timing.lags) > 2 and not timing.followed
    apart = lost or abs(timing.drift_ppm) >= PLAUSIBLE_PPM or bool(timing.line.steps)
    return apart or not timing.clear


def rate_ratio(pair: AudioPair, confidence: float) -> tuple[int, int] | None:
    """How many times the direct signal's rate the amp's is, as one rate over another, where that gives a delay that is
    much clearer than with one rate for both, and than with any other ratio."""
    import soxr  # here, so that commands that resample nothing do not load it

    found = []
    for amp_rate, direct_rate in RATIOS:
        # Of both the same part of the playing, from the start on.
        length = min(len(pair.input), int(len(pair.target) * direct_rate / amp_rate), round(RATE_S * pair.sample_rate))
        target = soxr.resample(pair.target[: math.ceil(length * amp_rate / direct_rate)], amp_rate, direct_rate)
        size = min(length, len(target))
        if size >= 2 * pair.sample_rate:
            measured = alignment.timing([(pair.input[:size], target[:size])], pair.sample_rate, steady=True, quick=True)
            found.append((measured.confidence, (amp_rate, direct_rate)))
    found.sort(reverse=True)
    others = [confidence, *(height for height, _ in found[1:2])]
    return found[0][1] if found and found[0][0] > max(2 * alignment.CLEAR, CLEARER * max(others)) else None


def mislabelled(pair: AudioPair, amp_rate: int, direct_rate: int) -> Finding:
    ratio, stated = amp_rate / direct_rate, pair.sample_rate
    rates = [(name, round(rate)) for name, rate in (("amp's", stated * ratio), ("direct", stated / ratio))]
    known = [(name, rate) for name, rate in rates if rate in COMMON_RATES]
    if known:
        name, rate = known[0]
        why = f"the {name} signal was recorded at {rate:,} Hz, and its file says {stated:,} Hz"
        fix = (
            f"give that file its true rate of {rate:,} Hz, then convert it to {stated:,} Hz; or export both at one rate"
        )
    else:
        why = f"the two were recorded or played back at different speeds, as {amp_rate:,} is to {direct_rate:,}"
        fix = "export both from one session, at one rate and one speed"
    text = f"{pair.name}: direct and amp fit once the amp's signal is played {ratio:.4f} times as fast: {why}"
    return Finding("error", "rate", text, fix, values={"ratio": ratio})


def clocks(pair: AudioPair, timing: Timing) -> Iterator[Finding]:
    """Whether the two were recorded at one speed; a take too short to tell yields nothing."""
    total = timing.line.slope * pair.duration_s
    values = {
        "ppm": timing.drift_ppm,
        "error_ppm": timing.line.slope_error / pair.sample_rate * 1e6,
        "samples": total,
    }
    if not drifts(timing, pair.duration_s):
        if len(timing.lags) > 2 and not timing.followed:
            text = (
                "the delay differs from moment to moment, so nothing shows whether clocks agree and samples are missing"
            )
            fix = "octave effects, ring modulators and vibratos do that; a click at the start and at the end of a take tells"
            yield Finding("note", "drift", text, fix, values=values)
        elif len(timing.lags) > 2:
            text = f"the clocks of direct and amp agree ({timing.drift_ppm:+.2f} ± {values['error_ppm']:.2f} ppm)"
            yield Finding("ok", "drift", text, values=values)
    elif abs(timing.drift_ppm) < PLAUSIBLE_PPM:
        text = (
            f"{pair.name}: the amp's clock runs {abs(timing.drift_ppm):.1f} ppm {'faster' if total > 0 else 'slower'} than "
            f"the direct signal's (± {values['error_ppm']:.1f}): {abs(total):.1f} samples over the take"
        )
        yield Finding(
            "error", "drift", text, "data.drift=correct resamples it away; or record both on one device", values=values
        )
    else:
        text = f"{pair.name}: the delay wanders by {total:.0f} samples over the take, more than clocks do"
        yield Finding(
            "error", "drift", text, "samples are missing, or the two were recorded at different rates", values=values
        )


def drifts(timing: Timing, duration_s: float) -> bool:
    """Whether the clocks differ by what playing alone cannot feign."""
    line = timing.line
    return timing.clear and abs(line.slope) * duration_s > FEIGNED and abs(line.slope) > DRIFT_SIGMAS * line.slope_error


def steps(pair: AudioPair, timing: Timing) -> Iterator[Finding]:
    for step in timing.line.steps:
        count = abs(round(step.samples))
        who, other = ("amp", "direct signal") if step.samples < 0 else ("direct signal", "amp")
        text = (
            f"{pair.name}: {counted(count, 'sample')} ({1000 * count / pair.sample_rate:.1f} ms) of the {who} are missing at "
            f"{clock(step.at_s)}, or the {other} has them twice: from there on the delay differs"
        )
        values = {"samples": step.samples, "ms": 1000 * step.samples / pair.sample_rate}
        yield Finding("error", "missing", text, LARGER_BUFFER, (step.at_s,), values)


def straightened(pair: AudioPair, timing: Timing) -> AudioPair:
    """The take with delay, drift and steps taken out, as far as they are known; as long as it was."""
    target = pair.target
    if drifts(timing, pair.duration_s) and abs(timing.drift_ppm) < PLAUSIBLE_PPM:
        target = resampled(target, timing.drift_ppm, pair.sample_rate)
    edges = [0, *(round(step.at_s * pair.sample_rate) for step in timing.line.steps), len(target)]
    lags = timing.samples + np.cumsum([0, *(round(step.samples) for step in timing.line.steps)])
    laid = Scratch(1, len(target))
    for (start, stop), lag in zip(pairwise(edges), lags, strict=True):
        for at in range(start, stop, scratch.BLOCK):
            laid.write(later(target, at + int(lag), min(scratch.BLOCK, stop - at))[None])
            release(target)
    return replace(pair, target=laid.read()[0])


def later(samples: Signal, start: int, length: int) -> Signal:
    """A piece of a signal that may begin before it."""
    early = min(max(-start, 0), length)
    return np.concatenate([np.zeros(early, samples.dtype), part(samples, max(start, 0), length - early)])


def gates(pair: AudioPair, *, hums_db: tuple[float, float] = (-np.inf, -np.inf)) -> Iterator[Finding]:
    """An amp that falls silent while the direct signal plays, or the other way round; `pair` is aligned.

    `hums_db` are the levels of hum in both, which is no playing.
    """
    direct, amp = (band_levels(x, pair.sample_rate) for x in (pair.input, pair.target))
    size = min(len(direct), len(amp))
    direct, amp = direct[:size], amp[:size]
    gain = amp - direct
    usual = float(np.median(gain[direct > direct.max() - 25]))
    shortest = round(GATED_S / GATE_FRAME_S / 2)
    closed = (direct > max(direct.max() - GATE_RANGE_DB, hums_db[0] + 10)) & (gain < usual - GATE_DB)
    cut = (amp > max(amp.max() - 40, hums_db[1] + 10)) & (gain > usual + CUT_DB)
    for topic, mask, level, text, fix in (
        (
            "gate",
            closed,
            direct,
            "the amp falls silent while the direct signal plays on",
            "switch the noise gate off; a model of a few milliseconds cannot learn one",
        ),
        (
            "gate_direct",
            cut,
            amp,
            "the direct signal is cut while the amp plays on",
            "record the direct signal before any gate and without strip silence",
        ),
    ):
        starts, stops = runs(mask, shortest)
        seconds = float((stops - starts).sum() * GATE_FRAME_S)
        if seconds >= GATED_S:
            at_s = tuple(float(start * GATE_FRAME_S) for start in starts)
            threshold = float(np.percentile(level[mask], 90))
            where = f"where it is below about {threshold:.0f} dBFS" if topic == "gate" else "(a gate)"
            yield Finding(
                "warning",
                topic,
                f"{pair.name}: {text} {where}, {seconds:.1f} s in {counted(len(starts), 'place')}, first at {clock(at_s[0])}",
                fix,
                at_s[:10],
                {"seconds": seconds, "places": len(starts), "threshold_db": threshold},
            )


def band_levels(samples: Signal, sample_rate: int) -> Array:
    """Levels of frames of GATE_FRAME_S in dBFS, between 100 Hz and 4 kHz, where amps answer."""
    band = dsp.butter(2, (100, min(4000, 0.4 * sample_rate)), "bandpass", fs=sample_rate, output="sos")
    band, length = band.astype(np.float32), round(GATE_FRAME_S * sample_rate)
    powers, state = [np.zeros(0)], np.zeros((len(band), 2), np.float32)
    for _, block in blocks(samples, size=max(1, scratch.BLOCK // length) * length):
        heard, state = dsp.sosfilt(band, block, zi=state)
        frames = heard[: len(heard) // length * length].reshape(-1, length)
        powers.append(np.mean(np.square(frames, dtype=np.float64), axis=1))
    return 10 * np.log10(np.maximum(np.concatenate(powers), 1e-14))
