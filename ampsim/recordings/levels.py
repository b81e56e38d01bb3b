"""What full scale is in volts: levels in dBu, and the recorded test tone that they are measured with.

A level "of full scale" is that of a sine whose peaks just reach it, as `.nam` files state it and as a meter reads it (RMS);
0 dBu are sqrt(0.6) V = 0.775 V (IEC 60268-17).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from ampsim import AmpsimError
from ampsim.recordings.findings import Finding
from ampsim.recordings.pairs import AudioPair
from ampsim.signals import audio
from ampsim.signals.audio import decibels, peak, rms

VOLTS = math.sqrt(0.6)  # RMS, at 0 dBu
BOUNDS = (-60.0, 60.0)  # dBu at full scale: from 0.8 mV (a microphone input, wide open) to 775 V
GUITAR_V = (0.02, 12.0)  # what a guitar's loudest peak lies between, with a booster at most
SHORTEST_S, LONGEST_S = 0.5, 10.0  # of a tone
FRAME_S, STEADY_DB = 0.05, 0.5  # over which its level is measured, and by how much it may differ
BESIDE_DB = -30.0  # of the tone: what else is there, from which the level would be off by more than 0.005 dB
METERS_HZ = (40.0, 1000.0)  # which any meter for alternating voltage reads right
HARMONICS = range(2, 10)

Array = NDArray[np.float64]


def level(name: str, stated: Any) -> float | None:
    """A level in dBu as it is stated; None or nothing where it is not.

    Raises:
        AmpsimError: it is no number, or beyond what circuits have.
    """
    if stated is None or stated == "":
        return None
    found = number(name, stated)
    if not BOUNDS[0] <= found <= BOUNDS[1]:
        raise AmpsimError(
            f"{name}={stated}: full scale of an interface lies between {BOUNDS[0]:g} and {BOUNDS[1]:g} dBu (most: 0 to 24)"
        )
    return found


def number(name: str, stated: Any) -> float:
    try:
        found = float("nan") if isinstance(stated, bool) else float(stated)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise AmpsimError(f"{name}={str(stated)[:40]}: it is a number")
    return found


def in_volts(dbu: float) -> float:
    """RMS."""
    return float(VOLTS * 10 ** (dbu / 20))


def in_dbu(volts: float) -> float:
    return 20 * math.log10(volts / VOLTS)


# ---- A test tone ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Calibration:
    """What a test tone says.

    Args:
        dbu: of full scale.
        frequency_hz: of the tone.
        tone_db: its peaks below full scale.
        beside_db: all else there is, as a part of the tone.
        notes: what may be wrong with it, in sentences.
    """

    name: str
    dbu: float
    frequency_hz: float
    tone_db: float
    beside_db: float
    notes: tuple[str, ...] = ()

    def told(self) -> str:
        return (
            f"{self.name}: a tone of {self.frequency_hz:,.1f} Hz whose peaks reach {self.tone_db:.2f} dBFS, all else "
            f"{-self.beside_db:.0f} dB below it; full scale is {self.dbu:+.2f} dBu ({in_volts(self.dbu):.3g} V RMS)"
        )


def calibrate(path: str | Path, *, volts: Any = None, dbu: Any = None, channel: int | None = None) -> Calibration:
    """What full scale is, by a test tone in a file and the level that was measured of the same tone in the cable.

    Args:
        volts: RMS, as a meter shows it; or
        dbu: the same in dBu.
        channel: of the file, counted from 0; needed where it has several.

    Raises:
        AmpsimError: neither or both are stated, they cannot be, or the file holds no steady tone alone.
    """
    if (volts in (None, "")) == (dbu in (None, "")):
        raise AmpsimError("state what was measured of the tone: volts=0.775 (RMS, as a meter shows it) or dbu=0")
    if volts in (None, ""):
        measured = number("dbu", dbu)
    else:
        if (stated := number("volts", volts)) <= 0:
            raise AmpsimError(f"volts={volts}: a meter shows more than 0 for a tone")
        measured = in_dbu(stated)
    file = audio.read(path)
    if channel is None and file.samples.shape[1] > 1:
        raise AmpsimError(
            f"{file.path} has {file.samples.shape[1]} channels: say which holds the tone, such as channel=0"
        )
    tone = steady(file.channel(channel or 0).astype(np.float64), file.sample_rate, str(file.path))
    frequency_hz, amplitude, beside_db = sine(tone, file.sample_rate, str(file.path))
    found = level(f"full scale of {file.path}, dbu", measured - decibels(amplitude))
    assert found is not None
    notes = []
    if not METERS_HZ[0] <= frequency_hz <= METERS_HZ[1]:
        notes.append(
            f"many meters read wrong at {frequency_hz:,.0f} Hz: take a tone of {METERS_HZ[0]:g} to {METERS_HZ[1]:g} Hz"
        )
    if peak(tone) >= 1 - 1e-4:
        notes.append("the tone reaches full scale, where it may be cut off without a trace: play it a few dB softer")
    return Calibration(file.path.name, found, frequency_hz, decibels(amplitude), beside_db, tuple(notes))


def steady(samples: Array, sample_rate: int, name: str) -> Array:
    """The longest part that stays at the level of the loudest, without the frames at its ends.

    Raises:
        AmpsimError: there is none of SHORTEST_S, or a sample is NaN or infinite.
    """
    if not np.isfinite(samples).all():
        raise AmpsimError(f"{name} holds NaN or infinity: export it again")
    length = round(FRAME_S * sample_rate)
    frames = samples[: len(samples) // length * length].reshape(-1, length)
    levels = np.array([decibels(rms(frame)) for frame in frames])
    if not len(levels) or levels.max() < -90:
        raise AmpsimError(f"{name} holds no tone: it is silent, or shorter than {FRAME_S:g} s")
    usual = float(np.median(levels[levels > levels.max() - 3]))
    ends = np.diff(np.concatenate([[0], np.abs(levels - usual) <= STEADY_DB, [0]]).astype(int))
    starts, stops = np.flatnonzero(ends == 1), np.flatnonzero(ends == -1)
    widest = int(np.argmax(stops - starts)) if len(starts) else 0
    first, last = (int(starts[widest]) + 1, int(stops[widest]) - 1) if len(starts) else (0, 0)
    if (last - first) * FRAME_S < SHORTEST_S:
        raise AmpsimError(
            f"{name} holds no steady tone of {SHORTEST_S:g} s: record a sine, such as 1 kHz, for some seconds at one level"
        )
    return samples[first * length : last * length][: round(LONGEST_S * sample_rate)]


def sine(tone: Array, sample_rate: int, name: str) -> tuple[float, float, float]:
    """Frequency in hertz, amplitude, and all else in dB of the tone, by least squares.

    Raises:
        AmpsimError: more is there than one sine.
    """
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    step = sample_rate / len(tone)
    coarse = (2 + int(np.argmax(spectrum[2:]))) * step
    near = optimize.minimize_scalar(
        lambda hz: left(tone, sample_rate, [hz]), bounds=(coarse - step, coarse + step), method="bounded"
    )
    frequency_hz = float(near.x)
    waves = basis(len(tone), sample_rate, [frequency_hz])
    weights = np.linalg.lstsq(waves, tone, rcond=None)[0]
    amplitude = float(np.hypot(*weights[1:3]))
    beside = left(tone, sample_rate, [frequency_hz])
    beside_db = decibels(math.sqrt(beside) / max(amplitude / math.sqrt(2), 1e-30))
    if beside_db > BESIDE_DB:
        overtones = [k * frequency_hz for k in HARMONICS if k * frequency_hz < 0.49 * sample_rate]
        if left(tone, sample_rate, [frequency_hz, *overtones]) < beside / 2:
            why = "it is clipped or distorted: record it at a lower level"
        else:
            why = "noise, hum or other sound is beside it: check the cable, or play the tone louder"
        raise AmpsimError(
            f"{name} holds a tone of {frequency_hz:,.1f} Hz and {-beside_db:.0f} dB below it what is no part of it; {why}"
        )
    return frequency_hz, amplitude, beside_db


def basis(length: int, sample_rate: int, frequencies: list[float]) -> Array:
    """A constant, and cosine and sine of each frequency in hertz, (length, 1 + 2 * num_frequencies)."""
    radians = 2 * np.pi / sample_rate * np.arange(length)[:, None] * np.array(frequencies)
    waves = np.stack([np.cos(radians), np.sin(radians)], axis=-1).reshape(length, -1)
    return np.concatenate([np.ones((length, 1)), waves], axis=1)


def left(tone: Array, sample_rate: int, frequencies: list[float]) -> float:
    """The power that is no part of a constant and these frequencies."""
    waves = basis(len(tone), sample_rate, frequencies)
    return float(np.mean(np.square(tone - waves @ np.linalg.lstsq(waves, tone, rcond=None)[0])))


# ---- A recording whose levels are known -----------------------------------------------------------------------------


def findings(pair: AudioPair, input_level_dbu: float | None, output_level_dbu: float | None) -> Iterator[Finding]:
    """What a recording's levels come to in volts, for the doctor."""
    if input_level_dbu is not None:
        highest = in_volts(input_level_dbu) * math.sqrt(2) * peak(pair.input)
        text = f"full scale of the direct signal is {input_level_dbu:+.1f} dBu, so that its loudest peak is {highest:.3g} V"
        values = {"input_level_dbu": input_level_dbu, "peak_v": highest}
        if GUITAR_V[0] <= highest <= GUITAR_V[1]:
            yield Finding("ok", "input level", text, values=values)
        else:
            fix = "measure it with a tone: ampsim calibrate input=tone.wav volts=..."
            text += f", and a guitar's lies between {GUITAR_V[0]:g} and {GUITAR_V[1]:g} V"
            yield Finding("warning", "input level", text, fix, values=values)
    if output_level_dbu is not None:
        highest = in_volts(output_level_dbu) * math.sqrt(2) * peak(pair.target)
        text = f"full scale of the amp's signal is {output_level_dbu:+.1f} dBu, so that its loudest peak is {highest:.3g} V"
        yield Finding("ok", "output level", text, values={"output_level_dbu": output_level_dbu, "peak_v": highest})
