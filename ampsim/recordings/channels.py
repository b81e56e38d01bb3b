"""Faults of one channel, or of both alike, that show in the samples themselves."""

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import fft, linalg, ndimage

from ampsim import counted
from ampsim.recordings.findings import Finding
from ampsim.recordings.pairs import AudioPair
from ampsim.signals import scratch
from ampsim.signals.audio import Signal, clock, decibels, energy, peak, rms
from ampsim.signals.scratch import blocks, release

Indices = NDArray[np.int_]

SILENT_DB = -80.0  # a channel whose peak stays below this was not recorded
FULL_SCALE = 0.9999
CLIPPED_RUN = 4  # neighbouring samples at full scale; a file normalised to its peak touches it for one or two
FLAT_TOPS = 5  # such runs at one level below full scale: a converter's, not a string's
DC_DB = -40.0  # of the mean against full scale
STUCK_S = 0.0007  # a value held that long in the middle of sound
GAP_S = 0.1  # longer ones are rests or a gate
QUIET_DB = -60.0  # below the channel's peak
LOUD_DB = -26.0
REPEAT = 32  # samples of the shortest block that a driver may send twice
LONGEST_REPEAT_S = 0.25
SPLICE = 8.0  # how far a jump stands out of what the signal does around it, in both channels at once
CHUNK_S = 0.25
ALIKE_DB = -60.0  # below a signal: what differs from it by less is the same, dithered or written with other bits
DITHER_DB = -86.0  # RMS of the difference of two dithers of 16 bits, and a little more


def sides(pair: AudioPair) -> list[tuple[str, Signal, str]]:
    return [
        ("input", pair.input, pair.input_name or "the direct signal"),
        ("target", pair.target, pair.target_name or "the amp's signal"),
    ]


def alike(one: Signal, other: Signal) -> bool:
    """Whether two signals of one length are the same, their dither apart."""
    if all(np.array_equal(x, y, equal_nan=True) for _, x, y in blocks(one, other)):
        return True
    apart = math.sqrt(sum(energy(x - y) for _, x, y in blocks(one, other)) / len(one))
    return apart <= max(rms(one) * 10 ** (ALIKE_DB / 20), min(rms(one) / 4, 10 ** (DITHER_DB / 20)))


def silent(samples: Signal) -> bool:
    """Whether a channel was not recorded; one that holds NaN is not silent."""
    return peak(samples) < 10 ** (SILENT_DB / 20)


def broken(pair: AudioPair) -> Iterator[Finding]:
    """What no training can do without: two signals of one length, not the same, finite and not silent."""
    if len(pair.input) != len(pair.target):
        lengths = f"{counted(len(pair.input), 'sample')} of input and {len(pair.target):,} of target"
        yield Finding("error", "length", f"{pair.name}: {lengths}", "export both from the same start to the same end")
    if peak(pair.input) > 0 and len(pair.input) == len(pair.target) and alike(pair.input, pair.target):
        yield Finding(
            "error",
            "same",
            f"{pair.name}: direct and amp are the same signal (a mono mix, or one channel named twice)",
            "export the two tracks apart (data=pair takes a file of each), or see data.input_channel and "
            "data.target_channel",
        )
    for _, samples, name in sides(pair):
        if count := sum(int(np.count_nonzero(~np.isfinite(block))) for _, block in blocks(samples)):
            at = next(start + np.argmin(np.isfinite(x)) for start, x in blocks(samples) if not np.isfinite(x).all())
            at_s = float(at) / pair.sample_rate
            text = f"{name} holds NaN or infinity at {clock(at_s)} ({counted(count, 'sample')})"
            yield Finding("error", "finite", text, "export it again", (at_s,), {"samples": count})
        elif silent(samples):
            level = decibels(peak(samples))
            text = f"{name} is silent from 0:00.0 to {clock(len(samples) / pair.sample_rate)} (peak {level:.0f} dBFS)"
            yield Finding("error", "silence", text, "check the cable and the track", (0.0,), {"peak_db": level})


def clipping(pair: AudioPair) -> Iterator[Finding]:
    """Samples at full scale, and flat tops below it, where a file was turned down after it had clipped."""
    found = False
    for side, samples, name in sides(pair):
        if not len(samples):
            continue
        starts, stops = found_runs(samples, lambda block: np.abs(block) >= FULL_SCALE, CLIPPED_RUN)
        count, highest = int((stops - starts).sum()), peak(samples)
        over = decibels(highest)
        if count and highest <= 2 - FULL_SCALE:
            at_s = tuple(float(start) / pair.sample_rate for start in starts[:10])
            text = f"{name} clips at {clock(at_s[0])} ({counted(count, 'sample')} at full scale)"
            values = {"samples": count, "places": len(starts), "level_db": 0.0}
            yield Finding("error", "clipping", text, "lower the level and record again", at_s, values)
            found = True
            continue
        ends = np.array([(np.min(block), np.max(block)) for _, block in blocks(samples)], np.float64)
        tops = [
            (abs(level), *found_runs(samples, partial(reached, level=level * (1 - 1e-6)), CLIPPED_RUN))
            for level in (max(float(ends[:, 1].max()), 0.0), min(float(ends[:, 0].min()), 0.0))
            if level
        ]
        tops = [(level, starts, stops) for level, starts, stops in tops if len(starts) >= FLAT_TOPS]
        if tops:
            starts = np.sort(np.concatenate([starts for _, starts, _ in tops]))
            at_s = tuple(float(start) / pair.sample_rate for start in starts[:10])
            count = sum(int((stops - starts).sum()) for _, starts, stops in tops)
            level = max(level for level, _, _ in tops)
            text = (
                f"{name} has {len(starts):,} flat tops at {decibels(level):.1f} dBFS, the first at {clock(at_s[0])} "
                f"({counted(count, 'sample')}): it clipped before it was turned {'down' if level < 1 else 'up'}"
            )
            fix = "lower the level at the interface and record again"
            fix += "" if side == "input" else " (unless the amp is a plugin that clips so)"
            values = {"samples": count, "places": len(starts), "level_db": decibels(level)}
            yield Finding("warning", "clipping", text, fix, at_s, values)
            found = True
        elif over > 0.1:
            text = f"{name} peaks at {over:+.1f} dBFS: nothing is lost in a file of floats, and would be in any other"
            fix = "turn it down before it is exported as 16 or 24 bits"
            yield Finding("warning", "clipping", text, fix, values={"samples": 0, "places": 0, "level_db": over})
            found = True
    if not found:
        peaks = [decibels(peak(samples)) for _, samples, _ in sides(pair)]
        text = f"nothing clips: the direct signal peaks at {peaks[0]:.1f} dBFS, the amp at {peaks[1]:.1f}"
        yield Finding("ok", "clipping", text, values={"input_peak_db": peaks[0], "target_peak_db": peaks[1]})


def reached(samples: Signal, level: float) -> NDArray[np.bool_]:
    """Where samples lie at a level or beyond it, above or below zero as the level does."""
    return samples >= level if level > 0 else samples <= level


def runs(mask: NDArray[np.bool_], shortest: int) -> tuple[Indices, Indices]:
    """Start and stop of each run of True that is at least so long."""
    if not len(mask):
        return np.empty(0, int), np.empty(0, int)
    inner = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    edges = np.concatenate([[0] * int(mask[0]), inner, [len(mask)] * int(mask[-1])]).astype(int)
    starts, stops = edges[::2], edges[1::2]
    long = stops - starts >= shortest
    return starts[long], stops[long]


def found_runs(
    samples: Signal, test: Callable[[Signal], NDArray[np.bool_]], shortest: int, *, more: int = 0
) -> tuple[Indices, Indices]:
    """`runs` of what `test` says of each sample, block by block: (num + more,) -> (num,), by the samples and `more` after."""
    pieces = [(np.empty(0, int), np.empty(0, int))]
    for at, block in blocks(samples, more=more):
        mask = test(block)
        first, last = runs(mask, 1)
        # What touches an end of the block may go on beyond it.
        kept = (last - first >= shortest) | (first == 0) | (last == len(mask))
        pieces.append((at + first[kept], at + last[kept]))
    starts, stops = (np.concatenate(each) for each in zip(*pieces, strict=True))
    joined = np.flatnonzero(starts[1:] == stops[:-1])
    starts, stops = np.delete(starts, joined + 1), np.delete(stops, joined)
    long = stops - starts >= shortest
    return starts[long], stops[long]


def offset(pair: AudioPair) -> Iterator[Finding]:
    for _, samples, name in sides(pair):
        mean = sum(float(np.sum(block, dtype=np.float64)) for _, block in blocks(samples)) / len(samples)
        level = decibels(abs(mean))
        values = {"mean": mean, "level_db": level}
        if level > DC_DB:
            fix = "switch on the interface's DC filter, or take the mean out of the file"
            yield Finding(
                "warning", "dc", f"{name} has a constant offset of {mean:+.4f} ({level:.0f} dBFS)", fix, (), values
            )
        else:
            yield Finding("ok", "dc", f"{name}: no offset to speak of ({level:.0f} dBFS)", values=values)


def dropouts(pair: AudioPair) -> Iterator[Finding]:
    """A value that is held in the middle of sound: samples that the computer lost and filled."""
    rate = pair.sample_rate
    for side, samples, name in sides(pair):
        starts, stops = found_runs(samples, lambda x: x[1:] == x[:-1], max(8, round(STUCK_S * rate)), more=1)
        highest = peak(samples)
        spans = zip(starts.tolist(), (stops + 1).tolist(), strict=True)
        found = [
            span
            for span in spans
            if span[1] - span[0] <= GAP_S * rate and stuck(samples, *span, round(0.005 * rate), highest)
        ]
        if found:
            at_s = tuple(start / rate for start, _ in found)
            longest = max(stop - start for start, stop in found)
            text = (
                f"{name} drops out {times(len(found))}, first at {clock(at_s[0])} (up to {longest:,} samples, "
                f"{1000 * longest / rate:.1f} ms, hold one value)"
            )
            values = {"places": len(found), "longest_samples": longest, "longest_ms": 1000 * longest / rate}
            yield Finding("error", f"dropout_{side}", text, LARGER_BUFFER, at_s[:10], values)


def stuck(samples: Signal, start: int, stop: int, reach: int, highest: float) -> bool:
    """Whether a value that is held from start to stop is one in the middle of sound, and no flat top, nor the coarse steps
    of something soft: it begins or ends with a jump, or is silence between two loud moments."""
    around = samples[max(start - reach, 0) : start], samples[stop : stop + reach]
    if abs(samples[start]) > 0.9 * highest or min(map(len, around)) < 2:
        return False
    level = min(map(rms, around)) / max(highest, 1e-30)
    if abs(samples[start]) < highest * 10 ** (QUIET_DB / 20) and level > 10 ** (LOUD_DB / 20):
        return True
    loud = level > 10 ** (QUIET_DB / 20)
    step = max(abs(samples[start] - samples[start - 1]), abs(samples[stop] - samples[stop - 1]))
    return bool(loud and step > 4 * rms(np.concatenate([np.diff(part) for part in around])))


LARGER_BUFFER = "record again with a larger buffer, or cut the take there into two files"


def times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")


def repeats(pair: AudioPair) -> Iterator[Finding]:
    """A block that comes twice in a row, bit by bit: a driver that had no new one."""
    for side, samples, name in sides(pair):
        found = repeated(samples, round(LONGEST_REPEAT_S * pair.sample_rate))
        if found:
            at_s = tuple(at / pair.sample_rate for at, _ in found)
            length = found[0][1]
            more = f" and such blocks {counted(len(found) - 1, 'time')} more" if len(found) > 1 else ""
            text = (
                f"{name} plays a block of {length:,} samples ({1000 * length / pair.sample_rate:.1f} ms) twice in a row at "
                f"{clock(at_s[0])}{more}"
            )
            values: dict[str, float] = {"places": len(found), "samples": length}
            yield Finding("error", f"repeat_{side}", text, LARGER_BUFFER, at_s[:10], values)


def repeated(samples: Signal, longest: int) -> list[tuple[int, int]]:
    """(where the repetition begins, its length): blocks of REPEAT samples or more that equal those just before them."""
    found, end, quiet = [], -1, peak(samples) * 10 ** (QUIET_DB / 20)
    for start, length in recurring(samples, longest):
        if start < end or abs(samples[start]) <= quiet:
            continue
        low = start - equal(
            samples[max(start - 4 * length, 0) : start][::-1],
            samples[max(start - 4 * length, 0) + length : start + length][::-1],
        )
        end = start + equal(samples[start : start + 4 * length], samples[start + length : start + 5 * length])
        if 0.9 * length <= end - low <= 3 * length:  # longer: a tone of that period
            found.append((low + length, length))
    return found


def recurring(samples: Signal, longest: int) -> Iterator[tuple[int, int]]:
    """Where eight samples come again after REPEAT to `longest` samples, and after how many, in order of time.

    Every eight neighbouring samples get a hash; only one in 16 hashes, by its value, is looked up, which finds the same
    places in both copies of a block.
    """
    weights = np.random.default_rng(0).integers(1, 2**32, 8, dtype=np.uint32) | np.uint32(1)
    for at, block in blocks(samples, more=longest + 7):
        bits = np.ascontiguousarray(block, np.float32).view(np.uint32)
        count = len(bits) - 7
        if count < 1:
            return
        hashes = np.zeros(count, np.uint32)
        for k, weight in enumerate(weights):
            hashes += weight * bits[k : k + count]
        hashes ^= hashes >> np.uint32(15)
        hashes *= np.uint32(0x2C1B3C6D)
        hashes ^= hashes >> np.uint32(12)
        chosen = np.flatnonzero(hashes & np.uint32(15) == 0)
        order = np.argsort(hashes[chosen], kind="stable")
        place, key = chosen[order], hashes[chosen][order]
        same = np.flatnonzero(key[1:] == key[:-1])
        first, distance = at + place[same], place[same + 1] - place[same]
        near = (distance >= REPEAT) & (distance <= longest) & (first < at + len(block) - longest - 7)
        yield from sorted(zip(first[near].tolist(), distance[near].tolist(), strict=True))


def equal(first: Signal, second: Signal) -> int:
    """How many samples two signals share from their beginning."""
    size = min(len(first), len(second))
    other = np.flatnonzero(first[:size] != second[:size])
    return int(other[0]) if other.size else size


def splices(pair: AudioPair) -> Iterator[Finding]:
    """A jump in both channels at one sample, where both files lost the same moment (or the take was cut there)."""
    rate = pair.sample_rate
    width = round(0.01 * rate)
    places, heights, others = [np.empty(0, int)], [np.empty(0, np.float32)], [np.zeros(0, np.float32)]
    for start, jumps, amp, alone in jumping(pair, width):
        found = np.flatnonzero(jumps)
        places.append(start + found)
        heights.append(amp[found])
        others.append(alone[: len(alone) // width * width].reshape(-1, width).max(axis=1))
    # Where the delay is next to nothing, the click of a pick may be in both too; but then not in one place alone.
    usual = np.sort(np.concatenate(others))[-3:].min() if len(pair.input) >= 3 * width else 0.0
    clear = np.concatenate(places)[np.concatenate(heights) > 2 * usual]
    if clear.size:
        where = clear[np.concatenate([[True], np.diff(clear) > width])]
        at_s = tuple(float(place) / rate for place in where)
        text = f"{pair.name}: both signals jump at {', '.join(map(clock, at_s[:3]))}{' ...' if len(at_s) > 3 else ''}"
        text += f" ({times(len(at_s))}): samples are missing there in both, or the take was cut"
        yield Finding("warning", "splice", text, LARGER_BUFFER, at_s[:10], {"places": len(at_s)})


def jumping(pair: AudioPair, width: int) -> Iterator[tuple[int, NDArray[np.bool_], Signal, Signal]]:
    """Block by block, where it starts, whether both signals jump at each sample, how far the amp's does, and the same
    where none is nearer than `width`; every block but the last is a multiple of `width`."""
    rate, size = pair.sample_rate, len(pair.input)
    chunk = round(CHUNK_S * rate)  # predictors are of chunks: a block and what is around it are whole ones
    step = math.lcm(chunk, width)
    step *= max(1, scratch.BLOCK // step)
    for start in range(0, size, step):
        first, last = max(start - chunk, 0), min(start + step + chunk, size)
        both = (x[first:last] for x in (pair.input, pair.target))
        direct, amp = (ndimage.maximum_filter1d(prominence(whitened(x, rate), rate), 5) for x in both)
        jumps = np.minimum(direct, amp) > SPLICE
        alone = np.where(ndimage.maximum_filter1d(jumps, 2 * width), 0, amp)
        here = slice(start - first, start - first + step)
        yield start, jumps[here], amp[here], alone[here]
        release(pair.input)
        release(pair.target)


def whitened(samples: Signal, sample_rate: int, order: int = 16) -> Signal:
    """What linear prediction from the samples before does not foretell, (num_samples,), with a predictor per CHUNK_S."""
    length, rest = round(CHUNK_S * sample_rate), np.zeros_like(samples)
    size = fft.next_fast_len(2 * length, real=True)
    for start in range(0, len(samples), length):
        here = samples[start : start + length]
        automatic = fft.irfft(np.square(np.abs(fft.rfft(here, size))), size)[: order + 1].astype(np.float64)
        if automatic[0] > 1e-10:
            automatic[0] *= 1 + 1e-7
            predictor = linalg.solve_toeplitz(automatic[:-1], automatic[1:])
            before = samples[max(start - order, 0) : start]
            taps = np.concatenate([[1.0], -predictor]).astype(np.float32)
            rest[start : start + length] = np.convolve(np.concatenate([before, here]), taps)[len(before) :][: len(here)]
    return rest


def prominence(rest: Signal, sample_rate: int, near: int = 24, reach_s: float = 0.008) -> Signal:
    """Each sample over the largest of its surroundings, before and after it, but not of those next to it."""
    size = np.abs(rest)
    width = round(reach_s * sample_rate) - near
    largest = ndimage.maximum_filter1d(size, width)
    shift = near + width // 2
    around = np.full(len(size), np.inf, np.float32)
    if len(size) > 2 * shift:
        around[shift:-shift] = np.maximum(largest[: -2 * shift], largest[2 * shift :])
    return (size / np.maximum(around, 1e-9)).astype(np.float32)
