"""Damaged audio files, the same for the same seed; run as a program it reads them under a limit of memory and time."""

import faulthandler
import io
import json
import random
import resource
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from ampsim import AmpsimError
from ampsim.signals import audio

KINDS = ["WAV PCM_16", "WAV PCM_24", "WAV FLOAT", "WAVEX PCM_24", "FLAC PCM_16", "FLAC PCM_24", "AIFF PCM_24"]
SIZES = [0, 1, 0x7F, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF]
NUM_SAMPLES = 2000


def wounded(number: int, *, seed: int = 0) -> Iterator[bytes]:
    """So many files: cut off, with other bytes in the header or anywhere, other sizes, or bytes put in between."""
    random_ = random.Random(seed)
    tone = 0.5 * np.sin(np.arange(NUM_SAMPLES) / 9)
    sound = []
    for kind in KINDS:
        file = io.BytesIO()
        form, subtype = kind.split()
        soundfile.write(file, np.stack([tone, -tone], axis=1), 44100, format=form, subtype=subtype)
        sound.append(file.getvalue())
    for index in range(number):
        data = bytearray(sound[index % len(sound)])
        match random_.choice(["cut", "header", "header", "size", "size", "anywhere", "put in"]):
            case "cut":
                del data[random_.randrange(len(data)) :]
            case "header":
                for _ in range(random_.randint(1, 4)):
                    data[random_.randrange(80)] = random_.randrange(256)
            case "size":
                at = random_.randrange(60)
                data[at : at + 4] = random_.choice(SIZES).to_bytes(4, random_.choice(["little", "big"]))
            case "anywhere":
                for _ in range(random_.randint(1, 8)):
                    data[random_.randrange(len(data))] = random_.randrange(256)
            case "put in":
                at = random_.randrange(len(data))
                data[at:at] = random_.randbytes(random_.randint(1, 40))
        yield bytes(data)


def main(number: int, folder: Path) -> None:
    has = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + 2**30, has + 2**30))
    # Time of the processor, since others may use the machine.
    resource.setrlimit(resource.RLIMIT_CPU, (60, 65))
    faulthandler.register(signal.SIGXCPU, chain=True)
    counts: Counter[str] = Counter(read=0, refused=0)
    faults, path = [], folder / "damaged.wav"
    for index, data in enumerate(wounded(number)):
        path.write_bytes(data)
        try:
            found = audio.read(path)
        except AmpsimError as error:
            counts["refused"] += 1
            if "\n" in str(error) or str(path) not in str(error):
                faults.append(f"{index}: {error}")
        except BaseException as error:  # which is what is looked for
            faults.append(f"{index}: {error!r}")
        else:
            counts["read"] += 1
            if not 0 < found.samples.size <= max(2 * NUM_SAMPLES, len(data)):
                faults.append(f"{index}: {found.samples.shape}")
    print(json.dumps({**counts, "faults": faults}))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
