"""Writes docs/sound/: a few seconds of the embedded recording's test split, direct, amp and model, to listen to.

python experiments/sound/sound.py          # trains the default run, a minute
python experiments/sound/sound.py last     # of a run that is there: an id, a name or last
"""

import sys
from pathlib import Path

import soundfile

import ampsim

SOUND = Path(__file__).resolve().parents[2] / "docs" / "sound"
LONGEST_S = 4.0  # so that three files are about 100 kB
NAMES = {"direct": "direct", "amp": "amp", "prediction": "model"}


def main(words: list[str]) -> None:
    run = ampsim.open(words[0]) if words else ampsim.train(seed=0)
    SOUND.mkdir(exist_ok=True)
    for name, called in NAMES.items():
        samples, sample_rate = soundfile.read(run.audio[name])
        path = SOUND / f"{called}.ogg"
        soundfile.write(path, samples[: round(LONGEST_S * sample_rate)], sample_rate, format="OGG", subtype="VORBIS")
        print(f"{path}: {path.stat().st_size:,} bytes")
    print(f"{run.name}: test ESR {run.scores['esr']:.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
