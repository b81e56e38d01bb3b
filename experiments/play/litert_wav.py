"""Play a WAV through an exported .tflite file: numpy, soundfile and ai-edge-litert, nothing of ampsim.

    ampsim export run=last format=litert output=amp.tflite
    python experiments/play/litert_wav.py amp.tflite riff.wav out.wav

A step takes `input` and `state_0`, `state_1`, ..., and gives `output` and `state_0_next`, ...; every state begins as zeros.
"""

import sys

import numpy as np
import soundfile
from ai_edge_litert.interpreter import Interpreter

model, source, destination = sys.argv[1:]
step = Interpreter(model_path=model).get_signature_runner()
shapes = {name: detail["shape"] for name, detail in step.get_input_details().items()}
length = int(shapes.pop("input")[1])
signal, rate = soundfile.read(source, dtype="float32", always_2d=True)
signal = signal[:, 0]  # at the rate of the model

states = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
played = []
for block in np.pad(signal, (0, -len(signal) % length)).reshape(-1, 1, length):
    found = step(input=block, **states)
    states = {name: found[f"{name}_next"] for name in states}
    played.append(found["output"][0])
soundfile.write(destination, np.concatenate(played)[: len(signal)], rate, subtype="FLOAT")
