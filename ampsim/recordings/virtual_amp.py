"""The embedded recording: a synthetic guitar played through a simulated valve amp, so that nothing needs a download.

Plucked strings go through an amp with what makes a real one hard to model: gain stages that clip one after another with
filters between them, a supply that sags, a loudspeaker with a microphone in front of it, a room and a little noise.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import numbers
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from ampsim import AmpsimError
from ampsim.files import atomic, cache_folder, expanded
from ampsim.signals.filters import minimum_phase

Audio = NDArray[np.float32]
Samples = NDArray[np.float64]

logger = logging.getLogger(__name__)

# ---------------------------------------------------------------------------------------------------- the recording


@dataclass(frozen=True, kw_only=True)
class VirtualAmpSettings:
    """What decides the recording.

    Args:
        duration_s: of the recording.
        sample_rate: in hertz.
        seed: of what is played, and of the noise.
        drive_db: gain before the power stage at 1 kHz.
        bias: the stages' distance from symmetric clipping.
        sag: the part of the supply that is lost at full power.
        bass_db: of the tone stack, as are `mid_db` and `treble_db`.
        room_db: the first reflection against the direct sound; `-inf` switches the room off.
        noise_db: RMS of the noise against full scale; `-inf` switches it off.
        delay: samples by which the amp lags the direct signal.

    Raises:
        ValueError: a setting that no guitar or amp could have.
    """

    duration_s: float = 120.0
    sample_rate: int = 44100
    seed: int = 0
    drive_db: float = 42.0
    bias: float = 0.3
    sag: float = 0.3
    bass_db: float = 0.0
    mid_db: float = 3.0
    treble_db: float = 2.0
    room_db: float = -18.0
    noise_db: float = -75.0
    delay: int = 7

    def __post_init__(self) -> None:
        _check(**asdict(self))


def record(*, cache: str | os.PathLike[str] | None = None, **settings: float) -> tuple[Audio, Audio]:
    """The direct and the amp signal, each (duration_s * sample_rate,), from the cache if it holds these settings.

    Args:
        cache: the folder of the cache; else it is $AMPSIM_CACHE, else ~/.cache/ampsim.
        settings: fields of `VirtualAmpSettings`, whose defaults stand for the others.

    Raises:
        ValueError: a setting that no guitar or amp could have.
        TypeError: a setting that is not known.
    """
    chosen = VirtualAmpSettings(**settings)  # type: ignore[arg-type]  # it refuses a number that is not whole itself

    def made() -> tuple[Audio, Audio]:
        direct = guitar(chosen.duration_s, chosen.sample_rate, seed=chosen.seed)
        return direct, amplified(direct, chosen)

    return cached(made, asdict(chosen), cache=cache)


def cached(
    make: Callable[[], tuple[Audio, Audio]],
    settings: Mapping[str, float],
    *code: str,
    cache: str | os.PathLike[str] | None = None,
) -> tuple[Audio, Audio]:
    """What `make` makes, from the cache if it holds that of these settings, made by this file and those of `code`."""
    if not (folder := expanded(cache) if cache else cache_folder()):
        return make()
    path = folder / f"virtual-amp-{_fingerprint(settings, *code)}.npz"
    recording = _read(path)
    if recording is None:
        recording = make()
        _write(path, *recording)
    return recording


def _fingerprint(settings: Mapping[str, float], *code: str) -> str:
    """A hash of the settings and of the files that make the sound, so that a change of the code never serves the old one."""
    # as floats, so that 120 in a YAML and 120.0 in a notebook are one recording
    text = json.dumps({name: float(value) for name, value in sorted(settings.items())})
    sources = [Path(file).read_bytes() for file in (__file__, *code)]
    return hashlib.sha256(text.encode() + b"".join(sources)).hexdigest()[:24]


def _read(path: Path) -> tuple[Audio, Audio] | None:
    """The two signals of a cached file, or None; the zip's checksums find damaged audio."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return stored["direct"], stored["amp"]
    except Exception:  # whatever is wrong with a cached file, the cure is the same: make the recording again
        return None


def _write(path: Path, direct: Audio, amp: Audio) -> None:
    """Cache the recording, so that no other process ever reads half a file."""
    try:
        with atomic(path, overwrite=True) as temporary:
            np.savez(temporary, direct=direct, amp=amp)
    except (AmpsimError, OSError) as error:  # a cache saves seconds; its absence is no reason to stop a run
        logger.warning("the virtual amp's recording is not cached: %s", error)


def _check(**settings: float) -> None:
    """Raise one sentence that says what to change about the first setting that no guitar or amp could have."""
    inf = math.inf
    ranges = {
        "duration_s": (0.1, 3600, "seconds"),
        "sample_rate": (8000, 192000, "hertz, a whole number"),
        "seed": (0, 2**32 - 1, "a whole number"),
        "drive_db": (-20, 100, "decibels of gain before the power stage"),
        "bias": (0, 1.5, "0 clips both sides alike"),
        "sag": (0, 0.9, "the part of the supply lost at full power"),
        "bass_db": (-24, 24, "decibels"),
        "mid_db": (-24, 24, "decibels"),
        "treble_db": (-24, 24, "decibels"),
        "room_db": (-inf, 0, "decibels, -.inf for no room"),
        "noise_db": (-inf, -20, "decibels below full scale, -.inf for none"),
        "delay": (0, 1_000_000, "samples, a whole number"),
    }
    for name, value in settings.items():
        low, high, unit = ranges[name]
        kind = numbers.Integral if "whole" in unit else numbers.Real
        if not isinstance(value, kind) or not low <= value <= high:
            raise ValueError(f"{name} is {value}: set it between {low:g} and {high:.10g} ({unit})")


# ------------------------------------------------------------------------------------------------------- the guitar


@dataclass(frozen=True)
class Note:
    """One plucked string: `pitch` as a MIDI number, `bend` in semitones; a muted string is damped by the palm."""

    start_s: float
    length_s: float
    pitch: float
    level_db: float
    muted: bool = False
    bend: float = 0.0


Phrase = Callable[[np.random.Generator, float, float], list[Note]]

PENTATONIC = np.array([0, 3, 5, 7, 10])  # minor, semitones above the root
OPEN_CHORDS = (  # MIDI numbers of the strings that sound, low to high: E, A, D, G, C, Am, Em
    (40, 47, 52, 56, 59, 64),
    (45, 52, 57, 61, 64),
    (50, 57, 62, 66),
    (43, 47, 50, 55, 59, 67),
    (48, 52, 55, 60, 64),
    (45, 52, 57, 60, 64),
    (40, 47, 52, 55, 59, 64),
)


def guitar(duration_s: float, sample_rate: int, *, seed: int) -> Audio:
    """The direct signal (duration_s * sample_rate,): every ten seconds hold runs, bends, chords, chugs and silence."""
    _check(duration_s=duration_s, sample_rate=sample_rate, seed=seed)
    rng = np.random.default_rng([seed, 0])
    num_samples = round(duration_s * sample_rate)
    strings = np.zeros(num_samples)
    for note in _score(rng, duration_s):
        start = round(note.start_s * sample_rate)
        if start >= num_samples:
            break  # the score is in order and ends with its last cycle
        wave = _pluck(note, sample_rate, rng)[: num_samples - start]
        strings[start : start + len(wave)] += wave
    # a pickup is a coil with a capacitance and a cable across it: a low-pass with a resonance
    pickup = _low_pass(min(3500.0, 0.4 * sample_rate), 1.6, sample_rate)
    hiss = 10 ** (-100 / 20) * rng.standard_normal(num_samples)
    return (0.15 * signal.sosfilt(pickup, strings) + hiss).astype(np.float32)


def _score(rng: np.random.Generator, duration_s: float) -> list[Note]:
    """The phrases in a fixed order with random content, so that every split in time sees all of them at any offset."""
    notes: list[Note] = []
    start_s = 0.0
    while start_s < duration_s:
        for phrase, length_s in CYCLE:
            notes += phrase(rng, start_s, length_s)
            start_s += length_s
    return notes


def _run(rng: np.random.Generator, start_s: float, length_s: float, low_db: float, high_db: float) -> list[Note]:
    """Eight notes up and down the minor pentatonic over two octaves, the last one held."""
    root = rng.integers(40, 62)
    degrees = np.clip(rng.integers(0, 10) + np.cumsum(rng.choice([-2, -1, 1, 1, 2], size=8)), 0, 14)
    pitches = root + 12 * (degrees // 5) + PENTATONIC[degrees % 5]
    levels_db = rng.uniform(low_db, high_db, size=8)
    step_s = length_s / 11
    lengths_s = [step_s] * 7 + [4 * step_s]
    return [
        Note(start_s + i * step_s, lengths_s[i], float(pitches[i]), float(levels_db[i]), bend=2.0 * (i == 7))
        for i in range(8)
    ]


def _chord(start_s: float, length_s: float, pitches: Samples, level_db: float, gap_s: float, muted: bool) -> list[Note]:
    """Strings struck one after another and damped together."""
    return [
        Note(start_s + i * gap_s, length_s - i * gap_s, float(pitch), level_db, muted)
        for i, pitch in enumerate(pitches)
    ]


def _power_chords(rng: np.random.Generator, start_s: float, length_s: float, most: int, muted: bool) -> list[Note]:
    """Roots with fifth and octave, low on the neck, up to `most` of them; palm-muted they are chugs."""
    count = int(rng.integers(most * 3 // 4, most + 1))
    step_s = length_s / count
    notes = []
    for i in range(count):
        pitches = rng.choice([40, 41, 43, 45, 47, 48]) + np.array([0.0, 7.0, 12.0])
        notes += _chord(start_s + i * step_s, 0.95 * step_s, pitches, rng.uniform(-7, -1), 0.003, muted)
    return notes


def _strum(rng: np.random.Generator, start_s: float, length_s: float) -> list[Note]:
    notes = []
    for beat, part in ((0.0, 0.3), (0.3, 0.7)):
        pitches = np.array(OPEN_CHORDS[rng.integers(len(OPEN_CHORDS))], dtype=float)[:: rng.choice([-1, 1])]
        notes += _chord(
            start_s + beat * length_s, part * length_s, pitches, rng.uniform(-14, -4), rng.uniform(0.004, 0.012), False
        )
    return notes


def _quiet_arpeggio(rng: np.random.Generator, start_s: float, length_s: float) -> list[Note]:
    pitches = np.array(OPEN_CHORDS[rng.integers(len(OPEN_CHORDS))], dtype=float)
    return _chord(start_s, length_s, pitches, rng.uniform(-26, -12), length_s / (len(pitches) + 2), False)


def _rest(rng: np.random.Generator, start_s: float, length_s: float) -> list[Note]:
    return []


CYCLE: tuple[tuple[Phrase, float], ...] = (  # ten seconds, loud beside quiet
    (partial(_run, low_db=-8, high_db=0), 1.7),
    (partial(_run, low_db=-32, high_db=-18), 1.4),
    (partial(_power_chords, most=12, muted=True), 1.2),
    (_rest, 0.5),
    (_quiet_arpeggio, 1.5),
    (partial(_power_chords, most=3, muted=False), 1.4),
    (_strum, 1.8),
    (_rest, 0.5),
)


def _pluck(note: Note, sample_rate: int, rng: np.random.Generator) -> Samples:
    """One string's velocity at the pickup: decaying partials, stretched by the stiffness of steel."""
    num_samples = math.ceil(note.length_s * sample_rate)
    positions = _bent_time(note, num_samples, sample_rate)
    fundamental_hz = 440 * 2 ** ((note.pitch - 69) / 12)
    partial = np.arange(1, int(min(7000, 0.42 * sample_rate) / fundamental_hz) + 1)
    partial_hz = partial * fundamental_hz * np.sqrt(1 + 6e-5 * partial**2)
    pick, pickup = rng.uniform(0.08, 0.2), 0.25 * fundamental_hz / 196  # where, as parts of the sounding length
    amplitude = np.sin(np.pi * partial * pick) * np.sin(np.pi * partial * pickup) / partial
    damping = 0.6 + 0.9 * (partial_hz / 1000) ** 1.5  # nepers a second
    if note.muted:
        damping += 9 + 20 * partial_hz / 1000
    wave = _partials(
        amplitude / np.sqrt(np.sum(amplitude**2)), damping, partial_hz, int(positions[-1]) + 4, sample_rate
    )
    if note.bend:
        wave = ndimage.map_coordinates(wave, [positions], order=3)
    time_s = np.arange(num_samples) / sample_rate
    scrape = 0.15 * rng.standard_normal(num_samples) * np.exp(-time_s / 0.002)  # of the pick on the string
    release = np.clip((note.length_s - time_s) / 0.02, 0, 1)  # a finger stops the string within 20 ms
    return 10 ** (note.level_db / 20) * (wave[:num_samples] + scrape) * release


def _bent_time(note: Note, num_samples: int, sample_rate: int) -> Samples:
    """Where to read a straight note, in samples, to hear it bent up over a quarter of a second and then shaken."""
    time_s = np.arange(num_samples) / sample_rate
    rise = np.clip(time_s / 0.25, 0, 1)
    semitones = note.bend * (rise**2 * (3 - 2 * rise) + 0.1 * rise * np.sin(2 * np.pi * 5.5 * time_s))
    return np.cumsum(2 ** (semitones / 12)) - 1


def _partials(amplitude: Samples, damping: Samples, hz: Samples, num_samples: int, sample_rate: int) -> Samples:
    """A sum of decaying sines, by exp(a + b) = exp(a) exp(b): a matrix product replaces an exponential per sample."""
    block = 256
    pole = (2j * np.pi * hz - damping) / sample_rate
    starts = np.exp(np.outer(np.arange(0, num_samples, block), pole))
    within = amplitude[:, None] * np.exp(np.outer(pole, np.arange(block)))
    left = np.hstack([starts.real, starts.imag]).astype(np.float32)
    right = np.vstack([within.imag, within.real]).astype(np.float32)
    # not `@`: the threads of a BLAS fight over a busy machine, and products this small then take ten times as long
    return np.einsum("bp,pn->bn", left, right).ravel()[:num_samples].astype(np.float64)


# ---------------------------------------------------------------------------------------------------------- the amp


@dataclass(frozen=True)
class Stage:
    """A gain stage: its part of the drive and of the bias, and the corner frequencies of what comes before its grid."""

    drive: float
    bias: float
    coupling_hz: float  # the capacitor that keeps the previous stage's supply off the grid
    shelf_hz: tuple[
        float, float
    ]  # a small cathode or treble-peaking capacitor: gain rises from the first to the second
    miller_hz: float


# after the lead channel of a Marshall 2203: 0.68 uF across 2.7 kohm, 470 pF across 470 kohm, 0.68 uF across 820 ohm
STAGES = (
    Stage(drive=0.30, bias=1.0, coupling_hz=20, shelf_hz=(87, 200), miller_hz=18000),
    Stage(drive=0.35, bias=2.0, coupling_hz=60, shelf_hz=(720, 1440), miller_hz=12000),  # the cold clipper
    Stage(drive=0.35, bias=1.0, coupling_hz=40, shelf_hz=(285, 600), miller_hz=9000),
)
POWER_STAGE = Stage(drive=0.0, bias=0.5, coupling_hz=15, shelf_hz=(3000, 4500), miller_hz=15000)  # and its presence

# a closed guitar cabinet and a dynamic microphone an inch from the cone, read off published curves: hertz, decibels
LOUDSPEAKER = (
    *((20, -40), (50, -18), (80, -3), (110, 4), (160, 1), (300, -3), (500, -4), (900, -2), (1500, 1), (2200, 5)),
    *((2800, 7), (3300, 5), (3900, 7), (4600, 2), (5300, -9), (6200, -20), (8000, -32), (12000, -46), (22000, -60)),
)
REFLECTIONS = ((3.1, 1.0), (5.3, -0.8), (8.9, 0.7), (12.7, 0.5), (17.9, -0.4), (24.1, 0.3))  # milliseconds, gain


def amplify(direct: Audio, sample_rate: int, **settings: float) -> Audio:
    """What the microphone hears of `direct` (n,), as (n,), `delay` samples later.

    Args:
        direct: one channel of finite samples.
        sample_rate: in hertz.
        settings: further fields of `VirtualAmpSettings`, of which `duration_s` does nothing here.

    Raises:
        ValueError: a setting that no amp could have, or a direct signal that is not one channel of finite samples.
    """
    return amplified(direct, VirtualAmpSettings(sample_rate=sample_rate, **settings))  # type: ignore[arg-type]


Block = Callable[[Samples], Samples]  # a part of the amp: the next samples in, what becomes of them out


def amplified(
    direct: Audio, settings: VirtualAmpSettings, chain: Callable[[float], list[Block]] | None = None
) -> Audio:
    """What the microphone hears of `direct`; `chain` makes the parts before the loudspeaker for a rate in hertz, None those
    that the settings say."""
    if np.ndim(direct) != 1 or not np.all(np.isfinite(direct)):
        raise ValueError("the direct signal is not one channel of finite samples: pick one channel and remove its NaNs")
    sample_rate = settings.sample_rate
    factor = math.ceil(352_800 / sample_rate)  # at 350 kHz a clipped guitar's aliases are below its noise
    parts = chain(factor * sample_rate) if chain else _chain(settings, factor * sample_rate)
    electric = _oversampled(direct, parts, factor)
    sound = signal.oaconvolve(electric, _microphone(sample_rate, settings.room_db))[: len(direct)]
    delayed = np.concatenate([np.zeros(settings.delay), sound])[: len(direct)]
    noise = 10 ** (settings.noise_db / 20) * np.random.default_rng([settings.seed, 1]).standard_normal(len(direct))
    return (0.29 * delayed + noise).astype(np.float32)


def _chain(settings: VirtualAmpSettings, rate: float) -> list[Block]:
    stages = [ClippingStage(stage, settings.drive_db, settings.bias, rate) for stage in STAGES]
    tone_stack = Filter(
        np.vstack(
            [
                _peak(90, settings.bass_db, 0.5, rate),
                _peak(600, settings.mid_db, 0.6, rate),
                _peak(3000, settings.treble_db, 0.6, rate),
            ]
        )
    )
    return [*stages, tone_stack, PowerStage(POWER_STAGE, settings.bias, settings.sag, rate)]


class Filter:
    """Second-order sections (n, 6) that remember where the last block ended."""

    def __init__(self, sections: Samples) -> None:
        self.sections = sections
        self.state = np.zeros((len(sections), 2))

    def __call__(self, block: Samples) -> Samples:
        filtered, self.state = signal.sosfilt(self.sections, block, zi=self.state)
        return filtered


class ClippingStage:
    """The filters before a valve's grid, and the valve: rounded on one side, cut off on the other when biased."""

    def __init__(self, stage: Stage, drive_db: float, bias: float, rate: float) -> None:
        gain = 10 ** (drive_db * stage.drive / 20)
        self.filter = Filter(_interstage(stage, gain, rate))
        self.bias = bias * stage.bias

    def __call__(self, block: Samples) -> Samples:
        grid = self.filter(block)
        idle = float(np.tanh(self.bias))
        return (np.tanh(grid + self.bias) - idle) / (
            1 - idle**2
        )  # silence stays silence, small signals keep their gain


class PowerStage(ClippingStage):
    """A clipping stage whose supply falls with the current it draws: within 25 ms, and back after 250 ms."""

    def __init__(self, stage: Stage, bias: float, sag: float, rate: float) -> None:
        super().__init__(stage, 0.0, bias, rate)
        self.sag = sag
        self.attack, self.release = (Filter(_smoother(time_s, rate)) for time_s in (0.025, 0.25))

    def __call__(self, block: Samples) -> Samples:
        output = super().__call__(block)
        current = np.minimum(np.abs(output), 1)
        # the quick follower leads while the current rises and the slow one while it falls
        drawn = np.maximum(self.attack(current), self.release(current))
        return output * (1 - self.sag * drawn)


def _oversampled(direct: Audio, chain: list[Block], factor: int) -> Samples:
    """`direct` (n,) through the chain at `factor` times its rate, in blocks, as eight times a song is a lot of memory.

    Both resamplers are the same linear-phase low-pass, whose delay is whole samples and is taken off again.
    """
    reach, block = 10, 8192
    low_pass = signal.firwin(2 * reach * factor + 1, 1 / factor, window=("kaiser", 7.0))
    padded = np.concatenate([np.zeros(2 * reach), direct, np.zeros(2 * reach)])
    recent = np.zeros(2 * reach * factor)
    slices = []
    for start in range(2 * reach, len(padded), block):
        up = signal.upfirdn(factor * low_pass, padded[start - 2 * reach : start + block], up=factor)
        end = factor * (min(block, len(padded) - start) + 2 * reach)
        fast = up[2 * reach * factor : end]
        for part in chain:
            fast = part(fast)
        fast = np.concatenate([recent, fast])
        recent = fast[-2 * reach * factor :]
        slices.append(signal.upfirdn(low_pass, fast, down=factor)[2 * reach : len(fast) // factor])
    return np.concatenate(slices)[2 * reach :]


def _interstage(stage: Stage, gain: float, rate: float) -> Samples:
    """Coupling high-pass, rising shelf and Miller low-pass, each of first order; `gain` at 1 kHz."""
    zeros = -2 * np.pi * np.array([0.0, stage.shelf_hz[0]])
    poles = -2 * np.pi * np.array([stage.coupling_hz, stage.shelf_hz[1], stage.miller_hz])
    sections = signal.zpk2sos(*signal.bilinear_zpk(zeros, poles, 1.0, rate))
    _, response = signal.freqz_sos(sections, [1000], fs=rate)
    sections[0, :3] *= gain / abs(response[0])
    return sections


def _smoother(time_s: float, rate: float) -> Samples:
    pole = math.exp(-1 / (time_s * rate))
    return np.array([[1 - pole, 0, 0, 1, -pole, 0]])


def _low_pass(hz: float, quality: float, rate: float) -> Samples:
    """A resonant low-pass (1, 6); Bristow-Johnson, Audio EQ Cookbook."""
    cosine, alpha = math.cos(2 * math.pi * hz / rate), math.sin(2 * math.pi * hz / rate) / (2 * quality)
    b, a = np.array([0.5, 1, 0.5]) * (1 - cosine), np.array([1 + alpha, -2 * cosine, 1 - alpha])
    return np.concatenate([b, a])[None] / a[0]


def _peak(hz: float, gain_db: float, quality: float, rate: float) -> Samples:
    """A bell of `gain_db` around `hz` (1, 6); Bristow-Johnson, Audio EQ Cookbook."""
    root = 10 ** (gain_db / 40)
    cosine, alpha = math.cos(2 * math.pi * hz / rate), math.sin(2 * math.pi * hz / rate) / (2 * quality)
    b = np.array([1 + alpha * root, -2 * cosine, 1 - alpha * root])
    a = np.array([1 + alpha / root, -2 * cosine, 1 - alpha / root])
    return np.concatenate([b, a])[None] / a[0]


def _microphone(sample_rate: int, room_db: float) -> Samples:
    """The impulse response of loudspeaker, microphone and room."""
    close = _minimum_phase(sample_rate)
    room = np.zeros(math.ceil(0.025 * sample_rate))
    for delay_ms, gain in REFLECTIONS:
        room[round(delay_ms * sample_rate / 1000)] = gain * 10 ** (room_db / 20)
    room = signal.sosfilt(_low_pass(2500, 0.6, sample_rate), room)  # walls swallow treble
    room[0] += 1
    return np.convolve(room, close)


def _minimum_phase(sample_rate: int) -> Samples:
    """The loudspeaker's curve as an impulse response of 30 ms without delay, by folding its cepstrum."""
    size = 2 ** math.ceil(math.log2(0.5 * sample_rate))
    table_hz, table_db = np.array(LOUDSPEAKER).T
    hz = np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), table_hz[0])
    magnitude = 10 ** (np.interp(np.log(hz), np.log(table_hz), table_db) / 20)
    response = np.fft.irfft(minimum_phase(magnitude))[: round(0.03 * sample_rate)]
    return response * np.cos(np.linspace(0, np.pi / 2, len(response)))
