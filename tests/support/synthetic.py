"""Recordings whose right answer is known: plucked strings as the direct signal, a tanh as the amp."""

import functools
import wave
from pathlib import Path

import numpy as np
from scipy import signal as dsp

from ampsim.recordings.pairs import AudioPair, Span

RATE = 8000
DELAY = 7  # samples by which the amp lags in the recording on disk
MARGIN = 2  # fewer are removed where all frequencies come through: three times a sinc's rise of 0.6, rounded down
REMOVED = DELAY - MARGIN


def noise(num_samples: int, *, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(num_samples)).astype(np.float32)


def guitar(num_samples: int, *, sample_rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A pluck every 0.2 s: noise of a pick, then decaying harmonics; peak 0.5."""
    random = np.random.default_rng(seed)
    played = np.zeros(num_samples + sample_rate)
    time_s = np.arange(sample_rate) / sample_rate
    for start in range(0, num_samples, sample_rate // 5):
        pitch_hz = 110 * 2 ** (random.integers(0, 24) / 12)
        string = sum(
            np.sin(2 * np.pi * pitch_hz * k * time_s + random.uniform(0, 6)) * np.exp(-3 * k * time_s) / k
            for k in range(1, int(0.45 * sample_rate / pitch_hz))
        )
        pick = random.standard_normal(sample_rate) * np.exp(-200 * time_s)
        played[start : start + sample_rate] += random.uniform(0.3, 1) * (string + 0.5 * pick)
    played = played[:num_samples]
    return (0.5 * played / np.abs(played).max()).astype(np.float32)


def amp(direct: np.ndarray, *, gain: float = 6.0, level: float = 0.6) -> np.ndarray:
    return (level * np.tanh(gain * direct)).astype(np.float32)


def filtered_noise(num_samples: int, *, seed: int) -> np.ndarray:
    """Noise with the fall of a guitar's spectrum towards high frequencies."""
    white = np.random.default_rng(seed).standard_normal(num_samples + 500)
    coloured = dsp.lfilter([1.0], [1.0, -0.9], white)[500:]
    return (0.3 * coloured / np.abs(coloured).max()).astype(np.float32)


def shifted(samples: np.ndarray, delay: int, num_samples: int, *, margin: int = 100) -> np.ndarray:
    """`num_samples` of a longer signal, from `margin` on, late by `delay`."""
    return samples[margin - delay : margin - delay + num_samples]


def pair(duration_s: float = 2.0, *, sample_rate: int = RATE, seed: int = 0, name: str = "take.wav") -> AudioPair:
    direct = guitar(round(duration_s * sample_rate), sample_rate=sample_rate, seed=seed)
    return AudioPair(direct, amp(direct), sample_rate, name)


def whole(take: AudioPair) -> Span:
    return Span(take, 0, len(take.input))


def write_pcm(path: Path, channels: list[np.ndarray], sample_rate: int = RATE, *, bits: int = 16) -> Path:
    """Write a PCM WAV through the standard library, which shares no code with what ampsim reads it with."""
    scaled = np.stack(channels, axis=1).astype(np.float64) * 2 ** (bits - 1)
    integers = np.clip(np.round(scaled), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1).astype("<i4")
    packed = integers[..., None].view(np.uint8)[..., : bits // 8].tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(bits // 8)
        file.setframerate(sample_rate)
        file.writeframes(packed)
    return path


# ---- Rigs at recorders' rates: how something is played, and what plays it ----


@functools.cache
def playing(kind: str, sample_rate: int, *, duration_s: float = 8.0, rest_s: float = 1.2, seed: int = 0) -> np.ndarray:
    """A direct signal of "chords", "notes", "mutes" or "bass", soft and loud, that rests for its last `rest_s`; peak 0.5."""
    lowest, strings, every_s, decay = {
        "chords": (40, (0, 7, 12, 16), 0.8, 1.5),
        "notes": (45, (0,), 0.3, 4.0),
        "mutes": (40, (0, 7), 0.125, 25.0),
        "bass": (28, (0,), 0.4, 3.0),
    }[kind]
    random = np.random.default_rng(seed)
    played = random.standard_normal(round(duration_s * sample_rate)) * 3e-6
    stop = round((duration_s - rest_s) * sample_rate)
    for start_s in np.arange(0.1, duration_s - rest_s, every_s):
        root, start, level = (
            lowest + random.choice([0, 3, 5, 7, 10]),
            round(start_s * sample_rate),
            random.uniform(0.1, 1),
        )
        time_s = np.arange(min(stop - start, round(1.5 * sample_rate))) / sample_rate
        ringing = np.zeros(len(time_s))
        for interval in strings:
            hz = 440 * 2 ** ((root + interval - 69) / 12)
            for k in range(1, int(min(6000, 0.45 * sample_rate) / hz)):
                heard_s = time_s[: round(20 / (decay + 0.4 * k) * sample_rate)]  # until it has fallen by 174 dB
                phase = 2 * np.pi * hz * k * np.sqrt(1 + 1e-4 * k**2) * heard_s + random.uniform(0, 6)
                ringing[: len(heard_s)] += np.sin(phase) * np.exp(-(decay + 0.4 * k) * heard_s) / k
        ringing *= np.clip(10 * (1.5 - time_s), 0, 1)
        ringing += random.standard_normal(len(time_s)) * np.exp(-300 * time_s)
        played[start : start + len(time_s)] += level * ringing
    played[stop - sample_rate // 50 : stop] *= np.linspace(1, 0, sample_rate // 50)  # a hand on the strings
    return (0.5 * played / np.abs(played).max()).astype(np.float32)


def passed(x: np.ndarray, kind: str, hz: float, sample_rate: int, order: int = 1) -> np.ndarray:
    return dsp.sosfilt(dsp.butter(order, hz, kind, fs=sample_rate, output="sos"), x)


def followed(x: np.ndarray, sample_rate: int, seconds: float = 0.03) -> np.ndarray:
    """The envelope of a signal, through a one-pole filter."""
    pole = np.exp(-1 / (seconds * sample_rate))
    return dsp.lfilter([1 - pole], [1, -pole], np.abs(x))


def cabinet(x: np.ndarray, sample_rate: int) -> np.ndarray:
    """The band of a guitar's loudspeaker, and the microphone 5 cm away: a resonance, a comb, a fall above 5 kHz."""
    near = passed(passed(x, "highpass", 80, sample_rate, 2), "lowpass", 5000, sample_rate, 4)
    echo = round(0.0004 * sample_rate)
    return near + 0.4 * np.concatenate([np.zeros(echo), near[:-echo]])


def swept(x: np.ndarray, sample_rate: int, *, mean_s: float, depth_s: float, hz: float) -> np.ndarray:
    """Late by a time that swings, as in a chorus or a vibrato."""
    time = np.arange(len(x)) - sample_rate * (
        mean_s + depth_s * np.sin(2 * np.pi * hz * np.arange(len(x)) / sample_rate)
    )
    return np.interp(time, np.arange(len(x)), x, left=0.0)


def seconds(x: np.ndarray, sample_rate: int) -> np.ndarray:
    return np.arange(len(x)) / sample_rate


RIGS = {
    "clean": lambda x, rate: np.tanh(1.5 * passed(x, "lowpass", 6000, rate)),
    "tube": lambda x, rate: passed(
        np.tanh(8 * passed(x, "highpass", 120, rate) + 0.3) - np.tanh(0.3), "highpass", 20, rate
    ),
    "tube and cabinet": lambda x, rate: cabinet(RIGS["tube"](x, rate), rate),
    "high gain": lambda x, rate: cabinet(
        np.tanh(6 * passed(np.tanh(80 * passed(x, "highpass", 300, rate)), "lowpass", 4000, rate)), rate
    ),
    "fuzz": lambda x, rate: passed(np.clip(40 * x, -1, 0.8), "highpass", 30, rate),
    "compressor": lambda x, rate: passed(x / (0.02 + followed(x, rate)), "highpass", 30, rate),
    "tremolo": lambda x, rate: np.tanh(2 * x) * (0.6 + 0.4 * np.sin(2 * np.pi * 5 * seconds(x, rate))),
    "octave fuzz": lambda x, rate: np.tanh(15 * passed(np.abs(x), "highpass", 60, rate)),
    "rectifier": lambda x, rate: passed(np.abs(x), "highpass", 20, rate),
    "octave up": lambda x, rate: passed(np.square(x) / (0.01 + followed(x, rate)), "highpass", 60, rate),
    "ring modulator": lambda x, rate: x * np.sin(2 * np.pi * 440 * seconds(x, rate)),
    "gated": lambda x, rate: np.tanh(20 * x) * (followed(x, rate) > 0.01),
    "chorus": lambda x, rate: np.tanh(2 * x) + 0.8 * swept(np.tanh(2 * x), rate, mean_s=0.007, depth_s=0.002, hz=0.8),
    "vibrato": lambda x, rate: swept(np.tanh(3 * x), rate, mean_s=0.005, depth_s=0.0015, hz=4.0),
}


def rig(
    amp: str, kind: str = "notes", sample_rate: int = 48000, *, hiss_db: float = -85.0, seed: int = 0, **length: float
) -> AudioPair:
    """A take of one of RIGS: its level is that of a recording, and its noise an interface's."""
    direct = playing(kind, sample_rate, seed=seed, **length).copy()
    target = RIGS[amp](direct.astype(np.float64), sample_rate)
    target = 0.6 * target / np.abs(target).max() + 10 ** (hiss_db / 20) * np.random.default_rng(
        seed + 1
    ).standard_normal(len(direct))
    return AudioPair(direct, target.astype(np.float32), sample_rate, f"{amp}, {kind}")
