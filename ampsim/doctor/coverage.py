"""How much of what a guitar can do the playing holds: levels, pitches and rests."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ampsim.recordings.channels import runs
from ampsim.recordings.findings import Finding
from ampsim.recordings.pairs import AudioPair
from ampsim.signals.audio import clock
from ampsim.signals.filters import decimated
from ampsim.signals.linear import FRAME_S, frame_powers
from ampsim.signals.scratch import blocks

Array = NDArray[np.float64]
Rows = NDArray[np.float32]

REST_DB = -60.0  # below the loudest frame
RANGE_DB = 12.0  # between soft and loud playing; less teaches one level of the amp
PITCH_RATE = 6000.0
LOWEST_HZ, HIGHEST_HZ = 60.0, 1300.0
PERIODIC = 0.85  # of the autocorrelation at its peak, for a frame with one clear pitch
ROWS = 1024  # frames that are worked on at a time
SEMITONES = 24  # that a take should hold notes across
NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


def coverage(pair: AudioPair) -> tuple[list[Finding], dict[str, Array]]:
    """Findings about the direct signal, and for figures the level of each frame in dBFS and the pitches as MIDI numbers."""
    levels = 10 * np.log10(np.maximum(frame_powers(pair.input, pair.sample_rate), 1e-20))
    pitches = pitched(pair)
    return [*rests(pair, levels), *level_range(levels), *pitch_range(pitches)], {
        "levels_db": levels,
        "pitches": pitches,
    }


def rests(pair: AudioPair, levels: Array) -> Iterator[Finding]:
    quiet = levels < levels.max() + REST_DB
    starts, stops = runs(quiet, round(0.5 / FRAME_S))
    share = float(quiet.mean())
    values = {"share": share, "places": len(starts), "longest_s": float(max(stops - starts, default=0) * FRAME_S)}
    if not len(starts):
        yield Finding(
            "note", "rests", "the playing holds no rest of half a second", "leave some silence in", values=values
        )
        return
    at_s = float(starts[np.argmax(stops - starts)] * FRAME_S)
    text = f"{share:.0%} of the take is silence, at most {values['longest_s']:.1f} s at a time (at {clock(at_s)})"
    if share > 0.5:
        yield Finding("note", "rests", text, "cut long silences, they teach nothing", (at_s,), values)
    else:
        yield Finding("ok", "rests", text, at_s=(at_s,), values=values)


def level_range(levels: Array) -> Iterator[Finding]:
    playing = levels[levels > levels.max() - 40]
    soft, loud = np.percentile(playing, (10, 90))
    values = {"soft_db": float(soft), "loud_db": float(loud), "range_db": float(loud - soft)}
    text = f"the playing spans {loud - soft:.0f} dB, from {soft:.0f} to {loud:.0f} dBFS (10 and 90 % of the frames)"
    if loud - soft < RANGE_DB:
        yield Finding(
            "note", "levels", text, "play the same softly too, and turn the guitar's volume down once", values=values
        )
    else:
        yield Finding("ok", "levels", text, values=values)


def pitched(pair: AudioPair) -> Array:
    """The pitch of each frame that has a single clear one, as MIDI numbers, by the peak of the autocorrelation."""
    step = max(1, int(pair.sample_rate // PITCH_RATE))
    slow = decimated(pair.input, step)
    rate = pair.sample_rate / step
    length = round(0.1 * rate)
    if len(slow) < length:
        return np.empty(0)
    frames = np.lib.stride_tricks.sliding_window_view(slow, length)[:: length // 2]
    loud = np.concatenate([np.mean(np.square(rows), axis=1) for _, rows in blocks(frames, size=ROWS)])
    places = np.flatnonzero(loud > loud.max() * 1e-4)
    return np.concatenate([np.empty(0), *(of_frames(frames[rows], rate) for _, rows in blocks(places, size=ROWS))])


def of_frames(frames: Rows, rate: float) -> Array:
    """The same of frames, (num_frames, samples of a tenth of a second)."""
    length = frames.shape[1]
    size = fft.next_fast_len(2 * length, real=True)
    automatic = fft.irfft(np.square(np.abs(fft.rfft(frames * np.hanning(length), size, axis=1))), size, axis=1)
    window = fft.irfft(np.square(np.abs(fft.rfft(np.hanning(length), size))), size)
    first, last = int(rate / HIGHEST_HZ), min(round(rate / LOWEST_HZ), length // 2)
    shape = automatic[:, : last + 1] / np.maximum(automatic[:, :1], 1e-20) * (window[0] / window[: last + 1])
    inner = shape[:, first:-1]
    tops = (inner > shape[:, first - 1 : -2]) & (inner > shape[:, first + 1 :]) & (inner > PERIODIC)
    found = tops.any(axis=1)
    lag = first + np.argmax(tops & (inner > 0.95 * np.where(tops, inner, 0).max(axis=1, keepdims=True)), axis=1)[found]
    rows = np.flatnonzero(found)
    before, here, after = (shape[rows, lag + k] for k in (-1, 0, 1))
    exact = lag + 0.5 * (before - after) / np.minimum(before - 2 * here + after, -1e-9)
    return 69 + 12 * np.log2(rate / exact / 440)


def pitch_range(pitches: Array) -> Iterator[Finding]:
    if len(pitches) < 10:
        text = "hardly a moment holds one clear pitch (chords, or very short)"
        yield Finding(
            "note", "pitches", text, "play single notes over the whole neck too", values={"frames": len(pitches)}
        )
        return
    low, high = np.percentile(pitches, (2, 98))
    notes = len(np.unique(np.round(pitches)))
    text = f"single notes reach from {note(low)} to {note(high)}; {notes} different ones"
    values = {"low_midi": float(low), "high_midi": float(high), "notes": notes, "frames": len(pitches)}
    if high - low < SEMITONES:
        yield Finding("note", "pitches", text, "play notes over the whole neck, two octaves and more", values=values)
    else:
        yield Finding("ok", "pitches", text, values=values)


def note(midi: float) -> str:
    number = round(midi)
    return f"{NAMES[number % 12]}{number // 12 - 1}"
