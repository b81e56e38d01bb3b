"""Recordings whose right answer is known: plucked strings as the direct signal, a tanh as the amp."""

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
