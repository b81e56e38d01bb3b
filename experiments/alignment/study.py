"""How well the delay between direct and amp is measured: ten amps, ten takes, ten fractions of a sample; and recordings
of 10 to 60 seconds, of both polarities, through amps from clean to heavy with a cabinet and noise.

    python experiments/alignment/study.py                        # synthetic takes
    python experiments/alignment/study.py --folder my_takes      # and what direct signals a folder holds
    python experiments/alignment/study.py --amps clean fuzz --takes runs
    python experiments/alignment/study.py --recordings 40        # of each of the amps with a cabinet, and nothing else
    python experiments/alignment/study.py --resume               # go on where the table ends

The delay put in is the delay to be found. Prints, for each amp and each take, the share within half a sample (of the
recordings: within one), the share that "cannot be told" so well (no clear delay, or `within` is larger), the share that is
said to be told so well and is not, the share that is off by more than `within`, and the worst error of a clear delay, in
samples; and how often a wrong polarity is told. Every measurement goes to alignment.csv or recordings.csv beside this file.
"""

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import signal as dsp

from ampsim.recordings import virtual_amp
from ampsim.signals.alignment import timing

HERE = Path(__file__).parent
RATE = 44100
FACTOR = 8  # of oversampling where an amp clips, so that what folds back is below its noise
WITHIN, RECORDING_WITHIN = 0.5, 1.0  # samples
PASSAGE_S, PASSAGE_FROM_S = 10.0, 20.0  # of a file in the folder
FIELDS = ("amp", "take", "delay", "inverted", "found", "samples", "found_inverted", "confidence", "explained", "apart")
FIELDS += ("within", "clear", "drift_ppm", "steps")

Wave = np.ndarray


# ---- Amps: (num_samples,) in, (num_samples,) out, without delay ----


def clipped(direct: Wave, curve: Callable[[Wave], Wave]) -> Wave:
    """A curve at a higher rate; both resamplers have linear phase and their delay taken off."""
    return dsp.resample_poly(curve(dsp.resample_poly(direct, FACTOR, 1)), 1, FACTOR)


def bells(wave: Wave, rate: int, *bands: tuple[float, float]) -> Wave:
    """A tone control of minimum phase: a bell of so many dB at each frequency."""
    for hz, gain_db in bands:
        wave = dsp.sosfilt(virtual_amp._peak(hz, gain_db, 0.6, rate), wave)
    return wave


def cabinet(wave: Wave, rate: int) -> Wave:
    return dsp.oaconvolve(wave, virtual_amp._minimum_phase(rate))[: len(wave)]


def clean(direct: Wave, rate: int) -> Wave:
    return 0.7 * bells(direct, rate, (100, 6), (600, -8), (3000, 5))


def crunch(direct: Wave, rate: int) -> Wave:
    return 0.5 * clipped(direct, lambda x: np.tanh(20 * x))


def lopsided(direct: Wave, rate: int) -> Wave:
    bent = clipped(direct, lambda x: np.tanh(12 * x + 0.7) - np.tanh(0.7))
    return 0.4 * dsp.sosfilt(dsp.butter(1, 40, "highpass", fs=rate, output="sos"), bent)


def fuzz(direct: Wave, rate: int) -> Wave:
    return 0.4 * bells(clipped(direct, lambda x: np.clip(1000 * x, -1, 1)), rate, (700, -10))


def octave(direct: Wave, rate: int) -> Wave:
    """A full-wave rectifier before a clipper: no sign of the input comes through."""
    return 0.4 * clipped(direct, lambda x: np.tanh(30 * np.abs(x)) - 0.3)


def tremolo(direct: Wave, rate: int) -> Wave:
    swing = 0.5 + 0.5 * np.sin(2 * np.pi * 5.3 * np.arange(len(direct)) / rate)
    return cabinet(0.6 * swing * clipped(direct, lambda x: np.tanh(6 * x)), rate)


def compressor(direct: Wave, rate: int) -> Wave:
    """A limiter of 30 dB with an attack of 5 ms and a release of 150 ms."""
    level = np.abs(direct)
    for time_s in (0.005, 0.15):
        pole = np.exp(-1 / (time_s * rate))
        level = dsp.lfilter([1 - pole], [1, -pole], level)
    return 0.2 * direct / np.maximum(level / max(level.max(), 1e-9), 0.03)


def inverting(direct: Wave, rate: int) -> Wave:
    return -0.5 * cabinet(clipped(direct, lambda x: np.tanh(40 * bells(x, FACTOR * rate, (800, 12)))), rate)


def two_microphones(direct: Wave, rate: int) -> Wave:
    """One at the grille and one, 3 dB softer, a metre behind it."""
    close = cabinet(clipped(direct, lambda x: np.tanh(10 * x)), rate)
    away = round(rate / 343)
    return 0.3 * (close + 0.7 * np.concatenate([np.zeros(away), close[:-away]]))


def virtual(direct: Wave, rate: int) -> Wave:
    return virtual_amp.amplify(direct.astype(np.float32), rate, delay=0)


def loudspeaker(amp: Callable[[Wave, int], Wave], name: str) -> Callable[[Wave, int], Wave]:
    def loud(direct: Wave, rate: int) -> Wave:
        return cabinet(amp(direct, rate), rate)

    loud.__name__ = name
    return loud


clean_cabinet = loudspeaker(clean, "clean_cabinet")
crunch_cabinet = loudspeaker(crunch, "crunch_cabinet")
lopsided_cabinet = loudspeaker(lopsided, "lopsided_cabinet")
fuzz_cabinet = loudspeaker(fuzz, "fuzz_cabinet")
LOUD = (
    clean_cabinet,
    crunch_cabinet,
    lopsided_cabinet,
    inverting,
    fuzz_cabinet,
    virtual,
)  # the last one's delay is debatable

AMPS = (clean, crunch, lopsided, fuzz, octave, tremolo, compressor, inverting, two_microphones, virtual)


# ---- Takes: direct signals ----


@dataclass(frozen=True)
class Take:
    name: str
    direct: Wave
    rate: int = RATE
    noise_db: float = -90.0  # of the amp's side, below its own RMS


def part(duration_s: float, start_s: float, *, seed: int, rate: int = RATE) -> Wave:
    """Of the virtual guitar, whose every ten seconds hold runs, chugs, an arpeggio, chords, a strum and rests."""
    played = virtual_amp.guitar(start_s + duration_s, rate, seed=seed)
    return played[round(start_s * rate) :].astype(np.float64)


def one_string(duration_s: float, *, hz: float, seed: int) -> Wave:
    """The same note struck again and again, which is almost periodic."""
    random = np.random.default_rng(seed)
    notes = [
        virtual_amp.Note(at_s, 0.45, 69 + 12 * np.log2(hz / 440), random.uniform(-6, 0))
        for at_s in np.arange(0, duration_s, 0.5)
    ]
    played = np.zeros(round(duration_s * RATE))
    for note in notes:
        wave, start = virtual_amp._pluck(note, RATE, random), round(note.start_s * RATE)
        played[start : start + len(wave)] += wave[: len(played) - start]
    return 0.15 * played


def sweep(duration_s: float) -> Wave:
    time_s = np.arange(round(duration_s * RATE)) / RATE
    return 0.3 * dsp.chirp(time_s, 40, duration_s, 12000, method="logarithmic")


def hissing(direct: Wave) -> Wave:
    return direct + 10 ** (-65 / 20) * np.random.default_rng(0).standard_normal(len(direct))


def synthetic() -> list[Take]:
    return [
        Take("whole cycle", part(10, 0, seed=1)),
        Take("whole cycle, 48 kHz", part(10, 10, seed=2, rate=48000), 48000),
        Take("whole cycle, 96 kHz", part(6, 0, seed=3, rate=96000), 96000),
        Take("runs, 3 s", part(3, 0, seed=4)),
        Take("chugs, 2 s", part(2, 3, seed=5)),
        Take("chords, 3 s", part(3, 6.3, seed=6)),
        Take("one high note", one_string(8, hz=880, seed=7)),
        Take("noise at -20 dB", part(10, 0, seed=8), noise_db=-20.0),
        Take("hissing pickup", hissing(part(8, 10, seed=9))),
        Take("sweep", sweep(8)),
    ]


def recorded(folder: Path) -> list[Take]:
    """A passage of the first channel of every audio file that is there."""
    from ampsim.signals import audio

    takes = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".wav", ".flac", ".aiff", ".aif"):
            file = audio.read(path)
            start = round(max(0, min(PASSAGE_FROM_S, file.duration_s - PASSAGE_S)) * file.sample_rate)
            passage = file.channel(0)[start : start + round(PASSAGE_S * file.sample_rate)]
            takes.append(Take(str(path.relative_to(folder)), passage.astype(np.float64), file.sample_rate))
    return takes


# ---- The measurement ----


def late(wave: Wave, delay: float) -> Wave:
    """Later by a part of a sample: the phase of the whole signal turned at once."""
    size = len(wave) + 4096
    spectrum = np.fft.rfft(wave, size)
    return np.fft.irfft(spectrum * np.exp(-2j * np.pi * np.arange(len(spectrum)) * delay / size), size)[: len(wave)]


def measured(take: Take, amp: Callable[[Wave, int], Wave], delays: tuple[float, ...], sign: int = 1) -> list[dict]:
    target = sign * amp(take.direct, take.rate)
    hiss = np.random.default_rng(1).standard_normal(len(target))
    hiss *= 10 ** (take.noise_db / 20) * np.sqrt(np.mean(target**2))
    rows = []
    for delay in delays:
        found = timing([(take.direct.astype(np.float32), (late(target, delay) + hiss).astype(np.float32))], take.rate)
        told = (
            found.delay,
            found.samples,
            found.inverted,
            found.confidence,
            found.explained,
            found.apart,
            found.within,
        )
        put = (amp.__name__, take.name, delay, (sign < 0) != (amp is inverting))
        rest = (bool(found.clear), found.drift_ppm, len(found.line.steps))
        rows.append(dict(zip(FIELDS, (*put, *told, *rest), strict=True)))
    return rows


def recording(number: int) -> list[dict]:
    """One of the recordings: its amp in turn; length, delay, polarity and noise drawn from its number."""
    random = np.random.default_rng([7, number])
    duration_s, delay, noise_db = random.uniform(10, 60), random.uniform(-50, 50), random.uniform(-60, -30)
    take = Take(f"{duration_s:.1f} s", part(duration_s, 0, seed=100 + number), noise_db=noise_db)
    return measured(take, LOUD[number % len(LOUD)], (delay,), sign=int(random.choice([-1, 1])))


def table(rows: list[dict], by: str, within: float = WITHIN) -> Iterator[str]:
    groups = defaultdict(list)
    for row in rows:
        groups[row[by]].append(row)
    yield f"| {by} | number | within {within} | cannot be told to {within} | told and wrong | beyond its bound | worst error | \
wrong polarity | removed too much |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, group in [*groups.items(), ("all", rows)]:
        clear = [row for row in group if row["clear"]]
        errors = [abs(row["found"] - row["delay"]) for row in clear]
        told = [error for row, error in zip(clear, errors, strict=True) if row["within"] <= within]
        shares = (
            sum(error <= within for error in errors),
            len(group) - len(told),
            sum(error > within for error in told),
            sum(error > row["within"] for row, error in zip(clear, errors, strict=True)),
        )
        flipped = sum(row["inverted"] != row["found_inverted"] for row in clear if row["amp"] != "octave")
        early = sum(row["samples"] > row["delay"] for row in clear)
        cells = [f"{share / len(group):.1%}" for share in shares]
        cells += [f"{max(errors, default=0):.2f}", *(f"{number / len(group):.1%}" for number in (flipped, early))]
        yield f"| {name} | {len(group)} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="of audio files whose first channel is a direct signal")
    parser.add_argument("--fractions", type=int, default=10, help="of a sample, from 7 to 8")
    parser.add_argument(
        "--recordings", type=int, default=0, help="so many of each amp with a cabinet, and nothing else"
    )
    parser.add_argument("--processes", type=int, default=None, help="at a time; by default one a core")
    parser.add_argument("--amps", nargs="*", help="of these names only")
    parser.add_argument("--takes", nargs="*", help="whose names begin so only")
    parser.add_argument("--resume", action="store_true", help="keep what the table has")
    arguments = parser.parse_args()
    start = time.perf_counter()
    name, within = ("recordings", RECORDING_WITHIN) if arguments.recordings else ("alignment", WITHIN)
    path = HERE / f"{name}.csv"
    rows = [*kept(path)] if arguments.resume else []
    with ProcessPoolExecutor(arguments.processes) as pool, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
        for job in jobs(pool, arguments, rows):
            rows += job.result()
            writer.writerows(job.result())
            file.flush()
    print(*table(rows, "amp", within), sep="\n")
    if not arguments.recordings:
        print("", *table(rows, "take", within), sep="\n")
    print(f"\n{len(rows)} measurements in {time.perf_counter() - start:.0f} s")


def kept(path: Path) -> Iterator[dict]:
    """The rows of a table that was begun."""
    names = {"amp", "take"}
    words = {"True": True, "False": False}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield {
                key: text if key in names else words[text] if text in words else float(text)
                for key, text in row.items()
            }


def jobs(pool: ProcessPoolExecutor, arguments: argparse.Namespace, done: list[dict]) -> list[Future]:
    """What is not yet in the table: one fraction of all amps and takes after another, so that any part of it is balanced."""
    if arguments.recordings:
        return [pool.submit(recording, number) for number in range(len(done), arguments.recordings * len(LOUD))]
    amps = [amp for amp in AMPS if not arguments.amps or amp.__name__ in arguments.amps]
    takes = [*synthetic(), *(recorded(arguments.folder) if arguments.folder else [])]
    takes = [take for take in takes if not arguments.takes or take.name.startswith(tuple(arguments.takes))]
    delays = [7 + k / arguments.fractions for k in range(arguments.fractions)]
    known = {(row["amp"], row["take"], row["delay"]) for row in done}
    return [
        pool.submit(measured, take, amp, (delay,))
        for delay in sorted(delays, key=lambda delay: (delay * 3) % 1)  # neighbours last
        for take in takes
        for amp in amps
        if (amp.__name__, take.name, delay) not in known
    ]


if __name__ == "__main__":
    main()
