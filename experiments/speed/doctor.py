"""Time and memory of `ampsim doctor` on five minutes of stereo at 48 kHz and on an hour, and of the quick part before training.

    python experiments/speed/doctor.py              # about half a minute
    python experiments/speed/doctor.py hour         # a minute and a half of CPU more, and 1.4 GB in the temporary folder

Each part runs in a process of its own, so that its peak memory is its own. The recording is the virtual amp's, half a
minute of it ten times (or 120 times), with noise of its own in each repetition. Limits: 15 s and 1 GB for all of it, 2 s for
the quick part (without reading the file), on two cores; 1 GB for the hour too.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

RATE, PART_S, PARTS = 48000, 30.0, {"quick": 10, "whole": 10, "hour": 120}


def made(path: Path, parts: int) -> None:
    from ampsim.recordings import virtual_amp

    both = np.stack(virtual_amp.record(duration_s=PART_S, sample_rate=RATE), axis=1)
    random = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE, 2, subtype="PCM_24") as file:
        for _ in range(parts):
            file.write(both + 1e-5 * random.standard_normal(both.shape))


def measured(part: str, path: str) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    if part != "quick":
        from ampsim.cli import main as cli

        folder = Path(path).parent
        cli.main(
            ["doctor", f"input={path}", f"html={folder / 'a.html'}", f"json={folder / 'a.json'}", "overwrite=true"]
        )
    else:
        from ampsim.recordings.preparing import quick
        from ampsim.recordings.sources import Stereo

        (take,) = Stereo(path=path).load()
        wall, cpu = time.perf_counter(), time.process_time()
        quick(take)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "peak_gb": peak}


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps(measured(*sys.argv[1:])))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "take.wav"
        for part in ("quick", "whole", *sys.argv[1:]):
            if part != "whole":
                made(path, PARTS[part])
            done = subprocess.run(
                [sys.executable, __file__, part, str(path)], capture_output=True, text=True, check=True
            )
            found = json.loads(done.stdout.splitlines()[-1])
            print(f"{part:<6} {found['wall_s']:5.1f} s, {found['cpu_s']:5.1f} s of CPU, peak {found['peak_gb']:.2f} GB")


if __name__ == "__main__":
    main()
