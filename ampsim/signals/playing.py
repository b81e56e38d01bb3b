"""Plays a file through whatever plays samples in blocks, at constant memory: a net of ours or another tool's capture."""

from collections.abc import Callable, Iterable, Iterator
from itertools import tee
from operator import itemgetter
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
import soxr

from ampsim import AmpsimError
from ampsim.signals.audio import Signal, clock, decibels, opened, peak, refuse_fewer, refuse_unsound, written

# Long enough that the history a block brings along (a window) is a small part of its work, short enough for the cache.
BLOCK_LENGTH = 16384
PIECE = 1 << 16  # samples read from a file at a time
Blocks = Callable[[Iterable[Signal]], Iterator[Signal]]


class Plays(Protocol):
    """What `models.rendering.Renderer` and `players.Player` have in common."""

    name: str
    sample_rate: int | None

    def blocks(self, signals: Iterable[Signal]) -> Iterator[Signal]: ...


def oversampled(blocks: Blocks, signals: Iterable[Signal], factor: int) -> Iterator[Signal]:
    """What a net plays at `factor` times its rate, at its rate again; what comes out adds up to the same length.

    There every delay in the net is `factor` times as many samples: a convolution's dilation is multiplied, a filter's taps
    stand apart with zeros in between, and a recurrent cell is fed its state of `factor` samples ago. None of these lets
    the samples of one phase (every `factor`-th, from one of the first `factor` on) meet those of another. So the net as it
    is, on each phase by itself, plays the same, whatever its family: exactly the net's own system of filters and curves,
    with the curves at a rate at which their harmonics have room. A linear net comes out as without.

    Args:
        blocks: plays pieces of any length from silence, such as `Renderer.blocks`; called once a phase.
        signals: pieces of any length.
        factor: 1 plays them as they are.
    """
    if factor == 1:
        yield from blocks(signals)
        return
    counted = Counted(signals)
    pieces = regular(resampled(counted, 1, factor, quality="VHQ"), factor * BLOCK_LENGTH)
    # The last piece is filled up, so that all phases are of one length; what is added is cut off at the end.
    copies = tee((block[: -(-length // factor) * factor] for block, length in pieces), factor)
    phases = [blocks(map(itemgetter(slice(first, None, factor)), copy)) for first, copy in enumerate(copies)]
    fast = (np.stack(parts, axis=1).ravel() for parts in zip(*phases, strict=True))
    done = 0
    for samples in resampled(fast, factor, 1, quality="VHQ"):
        samples = samples[: counted.total - done]
        done += len(samples)
        yield samples
    yield np.zeros(counted.total - done, np.float32)


class Counted:
    """Pieces of a signal, with how many samples have passed by."""

    def __init__(self, signals: Iterable[Signal]) -> None:
        self.signals, self.total = signals, 0

    def __iter__(self) -> Iterator[Signal]:
        for samples in self.signals:
            self.total += len(samples)
            yield samples


def regular(signals: Iterable[Signal], length: int) -> Iterator[tuple[Signal, int]]:
    """Pieces of any length as blocks of one length; the last is filled up with zeros. Yields (block, samples in it)."""
    block, filled = np.zeros(length, np.float32), 0
    for signal in signals:
        while len(signal):
            taken = min(length - filled, len(signal))
            block[filled : filled + taken] = signal[:taken]
            signal, filled = signal[taken:], filled + taken
            if filled == length:
                yield block, length
                block, filled = np.zeros(length, np.float32), 0
    if filled:
        yield block, filled


def render_file(
    renderer: Plays,
    source: Path,
    destination: Path,
    *,
    channel: int | None = None,
    oversample: int = 1,
    overwrite: bool = False,
    notice: Callable[[str], None] = print,
) -> Iterator[tuple[float, float]]:
    """Play a file through a model into another of the same rate and length; yields (seconds done, seconds in all).

    The file passes through in pieces, resampled to the model's rate and back where they differ; the model may play at
    `oversample` times its rate (see `oversampled`).

    Raises:
        AmpsimError: the input cannot be read, has several channels and none is chosen, or holds NaN; the model plays NaN;
            the output exists or cannot be written. No output is left behind.
    """
    with opened(source) as file:
        rate, total = file.samplerate, file.frames
        model_rate = renderer.sample_rate or rate
        chosen = chosen_channel(file, source, channel)
        heard = resampled(pieces(file, source, chosen), rate, model_rate)

        def checked(signals: Iterable[Signal]) -> Iterator[Signal]:
            return sound(renderer, renderer.blocks(signals), model_rate)

        played = resampled(oversampled(checked, heard, oversample), model_rate, rate)
        done, loudest = 0, 0.0
        with written(destination, rate, overwrite=overwrite) as output:
            for samples in played:
                samples = samples[: total - done]  # resampling there and back may end a sample off
                output.write(samples)
                done, loudest = done + len(samples), max(loudest, peak(samples))
                yield done / rate, total / rate
            output.write(np.zeros(total - done, np.float32))
        if loudest > 1 and output.subtype != "FLOAT":
            notice(f"{destination} clips: its peak is {decibels(loudest):+.1f} dBFS; write a .wav, which keeps it")


def chosen_channel(file: soundfile.SoundFile, path: Path, channel: int | None) -> int:
    if channel is None and file.channels > 1:
        raise AmpsimError(f"{path} has {file.channels} channels: say which one to play (channel=0 is the left)")
    if channel is not None and not 0 <= channel < file.channels:
        raise AmpsimError(f"{path} has {file.channels} channels, counted from 0: there is no channel {channel}")
    return channel or 0


def pieces(file: soundfile.SoundFile, path: Path, channel: int) -> Iterator[Signal]:
    done = 0
    while done < file.frames:
        at = clock(done / file.samplerate)
        try:
            block = file.read(PIECE, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AmpsimError(f"{path} stops being readable as audio near {at} ({error})") from error
        if not len(block):
            refuse_fewer(path, done, file.frames)
        if not np.all(np.isfinite(block)):
            raise AmpsimError(f"{path} holds NaN or infinity near {at}: export it again")
        yield np.ascontiguousarray(block[:, channel])
        done += len(block)


def sound(renderer: Plays, signals: Iterable[Signal], sample_rate: int) -> Iterator[Signal]:
    """What a net played, before a resampler makes numbers of what are none; raises AmpsimError at NaN or infinity."""
    done = 0
    for samples in signals:
        refuse_unsound(renderer.name, samples, at=done, sample_rate=sample_rate)
        yield samples
        done += len(samples)


def resampled(signals: Iterable[Signal], rate: int, new_rate: int, *, quality: str = "HQ") -> Iterator[Signal]:
    if rate == new_rate:
        yield from signals
        return
    stream = soxr.ResampleStream(rate, new_rate, 1, dtype="float32", quality=quality)
    for samples in signals:
        yield stream.resample_chunk(samples)
    yield stream.resample_chunk(np.empty(0, np.float32), last=True)
