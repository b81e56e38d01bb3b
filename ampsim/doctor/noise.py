"""What is heard besides the playing: hum of the mains, noise, and how little of it there is."""

import math
from collections.abc import Iterator

import numpy as np
from scipy import fft

from ampsim.metrics import noise_floor
from ampsim.recordings.channels import sides
from ampsim.recordings.findings import Finding
from ampsim.recordings.pairs import AudioPair
from ampsim.signals.audio import Signal, decibels, rms
from ampsim.signals.filters import decimated
from ampsim.signals.scratch import blocks

MAINS_HZ = (50, 60)
HARMONICS = 8
FRAME_S, HOP_S = 0.5, 0.125  # lines of 50 and 60 Hz stand apart, rests are long enough
QUIETEST = 0.1  # of the frames, where playing covers hum least
STANDS_OUT_DB = 9.0  # of the fundamental over what lies beside it
HUM_DB = -62.0  # RMS re full scale from which hum is told as a fault
EXACT_HZ = 0.8  # from a multiple of the mains; the G on a guitar's lowest string lies 2 Hz from one
BESIDE_HZ = (7.0, 18.0)  # from a line: what it has to stand out of
TOP_HZ = 3000.0
ROWS = 256  # frames that are worked on at a time
LEAVE_REST = "leave two seconds of silence with the volume of the guitar up"
FLOOR_ESR = 0.01


def hum(pair: AudioPair) -> Iterator[Finding]:
    for side, samples, name in sides(pair):
        found = strongest(samples, pair.sample_rate)
        if found is None:
            continue
        mains_hz, level_db, harmonics, hidden_db = found
        share_db = level_db - 20 * math.log10(max(rms(samples), 1e-10))
        values = {"mains_hz": mains_hz, "level_db": level_db, "share_db": share_db, "harmonics": harmonics}
        if level_db > -math.inf:
            text = (
                f"{name} hums at {mains_hz} Hz{' and harmonics' if harmonics > 1 else ''}: {level_db:.0f} dBFS, "
                f"{-share_db:.0f} dB below the playing"
            )
            fix = "another socket, no ground loop, away from transformers; single coils hum least turned sideways"
            yield Finding("warning" if level_db > HUM_DB else "note", f"hum_{side}", text, fix, values=values)
        elif hidden_db > HUM_DB:
            text = f"{name}: whether it hums cannot be told; its quietest moments would cover a hum of {hidden_db:.0f} dBFS"
            yield Finding("note", f"hum_{side}", text, LEAVE_REST, values=values | {"hidden_db": hidden_db})
        else:
            text = f"{name}: no hum stands out of its quietest moments"
            yield Finding("ok", f"hum_{side}", text, values=values | {"hidden_db": hidden_db})


def levels(found: list[Finding]) -> tuple[float, float]:
    """Of the hum in the direct signal and in the amp's, in dBFS; -inf where none was found."""
    known = {each.topic: each.values["level_db"] for each in found if each.topic in ("hum_input", "hum_target")}
    return known.get("hum_input", -math.inf), known.get("hum_target", -math.inf)


def strongest(samples: Signal, sample_rate: int) -> tuple[int, float, int, float] | None:
    """Mains frequency, level in dBFS (RMS of all its harmonics that stand out; -inf where none does), their number, and
    the level in dBFS up to which playing or noise would hide a hum."""
    step = max(1, int(sample_rate // (2 * TOP_HZ)))
    slow = decimated(samples, step)
    rate = sample_rate / step
    length = round(FRAME_S * rate)
    if len(slow) < 2 * length:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(slow, length)[:: round(HOP_S * rate)]
    levels = np.concatenate(
        [np.mean(np.square(rows, dtype=np.float64), axis=1) for _, rows in blocks(frames, size=ROWS)]
    )
    quiet = frames[np.argsort(levels)[: max(6, round(QUIETEST * len(frames)))]]
    window = np.hanning(length)
    size = fft.next_fast_len(8 * length, real=True)
    hz = fft.rfftfreq(size, 1 / rate)
    hz = hz[hz < MAINS_HZ[-1] * HARMONICS + BESIDE_HZ[1]]
    powers = np.empty((len(quiet), len(hz)))
    for row, piece in blocks(quiet, size=ROWS):
        spectra = fft.rfft((piece - piece.mean(axis=1, keepdims=True)) * window, size, axis=1)
        powers[row : row + len(piece)] = np.square(np.abs(spectra[:, : len(hz)]))
    power = 2 * np.median(powers, axis=0) / window.sum() ** 2  # of a sine: its mean square
    best, hidden_db = (MAINS_HZ[0], -math.inf, 0), -math.inf
    for mains_hz in MAINS_HZ:
        lines, above = [], []
        for centre in mains_hz * np.arange(1, HARMONICS + 1):
            near, beside = (
                np.abs(hz - centre) < 5,
                (np.abs(hz - centre) > BESIDE_HZ[0]) & (np.abs(hz - centre) < BESIDE_HZ[1]),
            )
            highest = np.argmax(np.where(near, power, 0))
            exact = abs(hz[highest] - centre) < EXACT_HZ * (1 + centre / 500)
            lines.append(power[highest])
            around = max(float(np.percentile(power[beside], 75)), 1e-20)
            if centre <= 2 * mains_hz:  # where hum is strongest
                hidden_db = max(hidden_db, 10 * math.log10(around) + STANDS_OUT_DB)
            ratio = max(power[highest], 1e-20) / around
            above.append(10 * math.log10(ratio) if exact else 0.0)
        clear = np.array(above) > STANDS_OUT_DB
        if clear[0] or clear[1::2].sum() >= 3:  # a rectifier hums at twice the mains
            level_db = 10 * math.log10(sum(np.array(lines)[clear]) + 1e-20)
            if level_db > best[1]:
                best = (mains_hz, level_db, int(clear.sum()))
    return *best, hidden_db


def floor(pair: AudioPair) -> Iterator[Finding]:
    """The amp's own noise, which no model can predict; `pair` is aligned."""
    found = noise_floor([(pair.input, pair.target)], pair.sample_rate)
    power = rms(pair.target) ** 2
    if not power:
        return
    if not found.source:
        text = "the amp's noise cannot be told: no rest is long enough, and the direct signal plays nothing twice"
        yield Finding("note", "noise", text, "leave two seconds of silence with the volume of the guitar up")
        return
    (low, high), (low_db, high_db) = found.esr(power), (decibels(math.sqrt(each)) for each in (found.low, found.high))
    values = {"low_esr": low, "high_esr": high, "low_db": low_db, "high_db": high_db, "listened_s": found.duration_s}
    heard = (
        "passages played twice" if found.source == "repeats" else "rests, less what the direct signal explains of it"
    )
    heard = f"95 % sure, from {found.duration_s:.1f} s of {heard}"
    if found.differs_db > -math.inf:
        heard += f"; their direct signals differ by {found.differs_db:.0f} dB, and the amp makes some of it"
    if low:
        text = (
            f"the amp's noise lies at {low_db:.1f} to {high_db:.1f} dBFS, {-10 * math.log10(high):.0f} dB below its playing: "
            f"no model of it can reach an ESR below {low:.2g} ({heard})"
        )
    else:
        text = (
            f"the amp's noise lies at {high_db:.0f} dBFS at most, {-10 * math.log10(max(high, 1e-20)):.0f} dB below its playing: "
            f"an ESR of {high:.2g} or less ({heard})"
        )
    fix = "turn gain down or play louder" if low > FLOOR_ESR else ""
    yield Finding("warning" if fix else "ok", "noise", text, fix, values=values)
