"""Time and memory of `ampsim doctor` on five minutes of stereo at 48 kHz, and of the quick part before training.

    python experiments/speed/doctor.py              # about half a minute

Each part runs in a process of its own, so that its peak memory is its own. The recording is the virtual amp's, half a
minute of it ten times, with noise of its own in each repetition. Limits: 15 s and 1 GB for all of it, 2 s for the quick
part (without reading the file), on two cores.
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

RATE, PART_S, PARTS = 48000, 30.0, 10


def made(path: Path) -> None:
    from ampsim.recordings import virtual_amp

    both = np.stack(virtual_amp.record(duration_s=PART_S, sample_rate=RATE), axis=1)
    random = np.random.default_rng(0)
    noise = 1e-5 * random.standard_normal((len(both) * PARTS, 2))
    soundfile.write(path, np.tile(both, (PARTS, 1)) + noise, RATE, subtype="PCM_24")


def measured(part: str, path: str) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    if part == "whole":
        from ampsim.cli import main as cli

        folder = Path(path).parent
        cli.main(["doctor", f"input={path}", f"html={folder / 'a.html'}", f"json={folder / 'a.json'}"])
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
        path = Path(folder) / "five_minutes.wav"
        made(path)
        for part in ("quick", "whole"):
            done = subprocess.run(
                [sys.executable, __file__, part, str(path)], capture_output=True, text=True, check=True
            )
            found = json.loads(done.stdout.splitlines()[-1])
            print(f"{part:<6} {found['wall_s']:5.1f} s, {found['cpu_s']:5.1f} s of CPU, peak {found['peak_gb']:.2f} GB")


if __name__ == "__main__":
    main()
