"""LiteRT (the former TensorFlow Lite): a model as one step with explicit states, for phones and small boards."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from ampsim.export.formats import Details, Format, Play
from ampsim.export.onnx import need
from ampsim.models import AmpModel
from ampsim.models.streaming import AFTER, by_blocks, step

LONGEST_UNROLLED = 64  # samples in a block of a recurrent net


class LiteRT(Format):
    name = "litert"
    ending = ".tflite"
    start = "as after silence, when every state begins as zeros"
    prover = "ai-edge-litert"
    keeps_controls = True

    def check(self, model: AmpModel) -> None:
        need("ai_edge_litert")

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        # A loop of LiteRT copies the outputs of a whole block with every sample.
        unrolled = model.unrolled()
        longest = LONGEST_UNROLLED if unrolled else details.block_length
        plain = step(model, min(details.block_length, longest), traced=unrolled)
        specs = {spec.name: spec for spec in plain.function.input_signature}
        frozen = convert_variables_to_constants_v2(plain.function.get_concrete_function())

        def named(**values: tf.Tensor) -> dict[str, tf.Tensor]:
            output, *after = frozen(*(values[name] for name in specs))
            return {"output": output, **dict(zip(plain.state_names(after=True), after, strict=True))}

        module = tf.Module()  # what the converter asks for; nothing is left in it to keep
        function = tf.function(named).get_concrete_function(**specs)
        path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], module).convert())

    def load(self, path: Path, setting: Sequence[float] = ()) -> Play:
        """The format has no place for the names and ranges of controls: without a setting they stand at 0."""
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(path), num_threads=1)
        runner = interpreter.get_signature_runner()
        shapes = {name: detail["shape"] for name, detail in runner.get_input_details().items()}
        controls = [name for name in shapes if name == "controls"]
        states = [f"state_{number}" for number in range(len(shapes) - 1 - len(controls))]

        def run(values: list[Any]) -> list[Any]:
            found = runner(**dict(zip(["input", *controls, *states], values, strict=True)))
            return [found["output"], *(found[f"{name}{AFTER}"] for name in states)]

        values = [
            np.array([setting], np.float32) if setting else np.zeros(shapes[name], np.float32) for name in controls
        ]
        start = [np.zeros(shapes[name], np.float32) for name in states]
        return by_blocks(run, int(shapes["input"][1]), start, *values)
