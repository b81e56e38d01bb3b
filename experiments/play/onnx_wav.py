"""Play a WAV through an exported .onnx file: numpy, soundfile and onnxruntime, nothing of ampsim.

    ampsim export run=last format=onnx output=amp.onnx
    python experiments/play/onnx_wav.py amp.onnx riff.wav out.wav

A step takes a block and the states, and gives the next block and the states; every state begins as zeros.
"""

import sys

import numpy as np
import onnxruntime
import soundfile

model, source, destination = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
first, *states = session.get_inputs()
length = first.shape[1]
signal, rate = soundfile.read(source, dtype="float32", always_2d=True)
signal = signal[:, 0]  # at the rate of the model, which session.get_modelmeta().custom_metadata_map tells

values = [np.zeros(each.shape, np.float32) for each in states]
played = []
for block in np.pad(signal, (0, -len(signal) % length)).reshape(-1, 1, length):
    names = [first.name, *(each.name for each in states)]
    output, *values = session.run(None, dict(zip(names, [block, *values], strict=True)))
    played.append(output[0])
soundfile.write(destination, np.concatenate(played)[: len(signal)], rate, subtype="FLOAT")
