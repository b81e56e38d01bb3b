"""Audio files in and out, levels and resampling."""

import hashlib
import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ampsim import AmpsimError
from ampsim.files import atomic, expanded, refuse_existing, refuse_irregular, refuse_larger
from ampsim.signals.scratch import Scratch, blocks

Signal = NDArray[np.float32]

# What a written file holds, by its ending: float for WAV, so that a peak above full scale survives; 24 bits elsewhere.
SUBTYPES = {".wav": "FLOAT", ".flac": "PCM_24", ".aiff": "PCM_24", ".aif": "PCM_24"}
FORMATS = {".wav": "WAV", ".flac": "FLAC", ".aiff": "AIFF", ".aif": "AIFF"}
RATES = (1_000, 1_000_000)  # in hertz; what a header states beyond these is no recording's
PIECE = 1 << 16  # samples that are decoded at a time


@dataclass(frozen=True)
class AudioFile:
    """One audio file as it was read: samples of shape (num_samples, num_channels), full scale at 1."""

    path: Path
    samples: Signal
    sample_rate: int
    sha256: str

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate

    def channel(self, index: int) -> Signal:
        """One channel as (num_samples,); an index that the file does not have is refused."""
        num_channels = self.samples.shape[1]
        if not 0 <= index < num_channels:
            channels = "1 channel (number 0)" if num_channels == 1 else f"{num_channels} channels, counted from 0"
            raise AmpsimError(f"{self.path} has {channels}: there is no channel {index}")
        return np.ascontiguousarray(self.samples[:, index])


def read(path: str | Path, *, on_disk: bool = False) -> AudioFile:
    """Read a whole WAV, FLAC or AIFF file (16, 24, 32-bit PCM, 32 or 64-bit float).

    Args:
        on_disk: keep long ones in a temporary file; see `Scratch`.

    Raises:
        AmpsimError: the file is missing, not readable, not audio or empty, or takes more memory than `files.memory_limit`.
    """
    path = expanded(path)
    with opened(path) as file:
        refuse_larger(f"{path} ({clock(file.frames / file.samplerate)})", 4 * file.frames * file.channels)
        # Channel after channel, so that each can be used without a copy.
        samples = Scratch(file.channels, file.frames, on_disk=on_disk)
        try:
            while len(block := file.read(PIECE, dtype="float32", always_2d=True)):
                samples.write(block.T)
        except (soundfile.LibsndfileError, RuntimeError, MemoryError) as error:
            raise AmpsimError(f"{path} stops being readable as audio ({error}): export it again") from error
        refuse_fewer(path, samples.done, file.frames)
        return AudioFile(path, samples.read().T, file.samplerate, sha256(path))


@contextmanager
def opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open an audio file for reading, with errors in the user's words."""
    refuse_irregular(path, "WAV, FLAC or AIFF file")
    try:
        str(path).encode()  # into configs, stores and pages
    except UnicodeEncodeError as error:
        raise AmpsimError(f"{path} has a name that is not text in UTF-8: rename it") from error
    try:
        file = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        try:
            path.open("rb").close()
        except OSError as reason:
            raise AmpsimError(f"{path} cannot be read: {reason.strerror}") from error
        raise AmpsimError(f"{path} is not audio that can be read (use WAV, FLAC or AIFF)") from error
    with file:
        if not file.frames:
            raise AmpsimError(f"{path} holds no audio")
        found = re.search(r"data : (\d+) \(should be (\d+)\)", file.extra_info)
        stated, there = (int(found[1]), int(found[2])) if found else (0, 0)
        # Streamed files state 0 or the largest number in place of a size that was not yet known.
        if 0 < there < stated < 0x7FFFFFFF:
            raise AmpsimError(f"{path} is cut off: {there:,} of its {stated:,} bytes are there; copy it again")
        refuse_lies(path, file)
        yield file


def refuse_lies(path: Path, file: soundfile.SoundFile) -> None:
    """Refuse a header that contradicts itself or the file, before memory is set aside for what it states."""
    if not RATES[0] <= file.samplerate <= RATES[1]:
        raise AmpsimError(f"{path} states a sample rate of {file.samplerate:,} Hz: export it again")
    # A WAV tells channels and rate twice; libsndfile believes the first. Other subtypes pack samples into blocks.
    names = ("Channels", "Sample Rate", "Bit Width", "Block Align", "Bytes/sec")
    facts = [re.search(rf"^  {name} +: (\d+)", file.extra_info, re.MULTILINE) for name in names]
    if all(facts) and file.subtype.startswith(("PCM", "FLOAT", "DOUBLE")):
        channels, rate, bits, block, bytes_per_s = (int(fact[1]) for fact in facts if fact)
        if block != channels * -(-bits // 8) or bytes_per_s != rate * block:
            raise AmpsimError(
                f"{path} has a header that contradicts itself ({channels} channels, {rate:,} Hz and {bits} bits, but "
                f"{block} bytes a sample and {bytes_per_s:,} a second): export it again"
            )
    found = re.search(r"^  Frames +: (\d+)$", file.extra_info, re.MULTILINE)  # AIFF's
    if found and file.subtype.startswith(("PCM", "FLOAT", "DOUBLE")) and 0 < int(found[1]) != file.frames:
        raise AmpsimError(
            f"{path} states {int(found[1]):,} samples and has room for {file.frames:,}: export it again, or copy it again"
        )
    if file.frames * file.channels > 8 * path.stat().st_size:  # silence is packed so small, and nothing else
        there = 0
        try:
            while size := len(file.read(PIECE, dtype="int16", always_2d=True)):
                there += size
            refuse_fewer(path, there, file.frames)
            file.seek(0)
        except soundfile.LibsndfileError as error:
            raise AmpsimError(f"{path} stops being readable as audio ({error}): export it again") from error


def refuse_fewer(path: Path, there: int, stated: int) -> None:
    if there < stated:
        raise AmpsimError(f"{path} states {stated:,} samples and holds {there:,}: export it again, or copy it again")


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def written(
    path: str | Path, sample_rate: int, *, overwrite: bool = False, subtype: str | None = None
) -> Iterator[soundfile.SoundFile]:
    """Open a mono file to write blocks to; it takes its name only once it is whole.

    `subtype` is libsndfile's name of the sample format; None takes the one in SUBTYPES.

    Raises:
        AmpsimError: the file exists and `overwrite` is off, the folder is not there or not writable, or the ending
            names no format that ampsim writes.
    """
    path = expanded(path)
    refuse_output(path, overwrite=overwrite)
    ending = path.suffix.lower()
    try:
        with (
            atomic(path, overwrite=overwrite) as temporary,
            soundfile.SoundFile(
                temporary, "w", sample_rate, 1, subtype=subtype or SUBTYPES[ending], format=FORMATS[ending]
            ) as file,
        ):
            yield file
    except soundfile.LibsndfileError as error:
        raise AmpsimError(f"{path} cannot be written: {error}") from error


def destinations(
    source: Path, destination: Path, *, overwrite: bool = False, inputs: Sequence[str | Path] = ()
) -> list[tuple[Path, Path]]:
    """Which file to render into which: one into one, or every audio file of a folder into another under its own name.

    Args:
        inputs: other files that are read, and must not be written over.

    Raises:
        AmpsimError: nothing to read, an output that exists or is read, or an output folder that is the input folder.
    """
    source, destination = expanded(source), expanded(destination)
    if not source.exists():
        raise AmpsimError(f"{source} does not exist (looked from {Path.cwd()})")
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix.lower() in SUBTYPES and path.is_file())
        if not files:
            raise AmpsimError(f"{source} holds no WAV, FLAC or AIFF file")
        if destination.exists() and destination.resolve() == source.resolve():
            raise AmpsimError(f"{destination} is the input folder itself: name another for the output")
        jobs = [(path, destination / path.name) for path in files]
    else:
        jobs = [(source, destination / source.name if destination.is_dir() else destination)]
    for _, output in jobs:
        refuse_output(output, overwrite=overwrite, inputs=[*inputs, *(path for path, _ in jobs)])
    return jobs


def refuse_output(path: Path, *, overwrite: bool, inputs: Sequence[str | Path] = ()) -> None:
    if path.suffix.lower() not in SUBTYPES:
        raise AmpsimError(f"{path}: an output file ends in {', '.join(SUBTYPES)}")
    refuse_existing(path, overwrite=overwrite, inputs=inputs)


def write(
    path: str | Path, samples: Signal, sample_rate: int, *, overwrite: bool = False, subtype: str | None = None
) -> None:
    """Write a mono signal of shape (num_samples,)."""
    with written(path, sample_rate, overwrite=overwrite, subtype=subtype) as file:
        file.write(samples)


def to_pcm(samples: Signal) -> NDArray[np.int16]:
    """16-bit samples, (num_samples,), with what is above full scale cut off."""
    return np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)


def flac(samples: NDArray[np.int16], sample_rate: int) -> bytes:
    """A mono signal, (num_samples,), as a FLAC file of 16 bits."""
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="FLAC", subtype="PCM_16", compression_level=1.0)
    return file.getvalue()


def busiest(signal: Signal, sample_rate: int, length: int, *, frame_s: float = 0.05, floor_db: float = -50.0) -> int:
    """Where the part of `length` samples begins in which a signal rests least: the highest mean level in dB of 50 ms
    frames, none of them counted lower than `floor_db` below the loudest."""
    size = max(1, round(frame_s * sample_rate))
    powers = np.mean(np.square(signal[: len(signal) // size * size], dtype=np.float64).reshape(-1, size), axis=1)
    if not powers.any():
        return 0
    levels = np.log10(np.maximum(powers / powers.max(), 10 ** (floor_db / 10)))
    sums = np.concatenate([[0.0], np.cumsum(levels)])
    frames = min(len(powers), max(1, length // size))
    return int(np.argmax(sums[frames:] - sums[:-frames])) * size


def refuse_unsound(name: str, samples: Signal, *, at: int = 0, sample_rate: int | None = None) -> None:
    """Refuse what a net played, (num_samples,), if it holds NaN or infinity.

    Args:
        name: of the net, or the file that holds it.
        at: samples that were played before these.
        sample_rate: in hertz, where the place is to be told in seconds.

    Raises:
        AmpsimError: it holds some.
    """
    sound = np.isfinite(samples)
    if sound.all():
        return
    place = at + int(np.argmin(sound))
    where = clock(place / sample_rate) if sample_rate else f"sample {place:,}"
    raise AmpsimError(
        f"{name} plays NaN or infinity from {where} on: its weights let the signal grow beyond what a float holds; "
        "take another, or one made anew"
    )


def at_rate(samples: NDArray[np.floating], sample_rate: int, new_rate: int) -> NDArray[np.floating]:
    """A signal, (num_samples,), at another sample rate; itself where that is the same."""
    if sample_rate == new_rate:
        return samples
    import soxr  # here, so that commands that resample nothing do not load it

    return np.asarray(soxr.resample(samples, sample_rate, new_rate))


def decibels(ratio: float) -> float:
    """An amplitude ratio in dB, down to -200."""
    return 20 * float(np.log10(max(float(ratio), 1e-10)))


def rms(samples: NDArray[np.floating]) -> float:
    return math.sqrt(energy(samples) / samples.size) if samples.size else 0.0


def energy(samples: NDArray[np.floating]) -> float:
    """The sum of squares, in double precision, without a second copy of what may be an hour long."""
    wide = (block.astype(np.float64).ravel() for _, block in blocks(samples))
    return float(sum(np.dot(block, block) for block in wide))


def peak(samples: NDArray[np.floating]) -> float:
    """The largest magnitude; NaN where there is one."""
    return (
        float(np.max([np.maximum(np.max(block), -np.min(block)) for _, block in blocks(samples)]))
        if samples.size
        else 0.0
    )


def clock(seconds: float) -> str:
    """A position as a player shows it: 41.3 -> "0:41.3"."""
    minutes, rest = divmod(round(seconds * 10), 600)
    return f"{minutes}:{rest // 10:02d}.{rest % 10}"
