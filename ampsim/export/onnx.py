"""ONNX: a model as one step with explicit states, for onnxruntime and everything else that reads the format.

tf2onnx converts the step; a chain of LSTM or GRU layers is written by hand, as the format has an operation for a whole one
and a converted loop would run a node for every gate of every sample.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ampsim.export.formats import Details, Format, Play
from ampsim.models import AmpModel, Gru, Lstm
from ampsim.models.forms import CannotHoldError
from ampsim.models.streaming import Step, by_blocks, step
from ampsim.players.player import Array
from ampsim.recordings.controls import controls_of, described, middle_of

OPSET = 18  # of 2022: what runtimes have caught up with


class Onnx(Format):
    name = "onnx"
    ending = ".onnx"
    start = "as after silence, when every state begins as zeros"
    prover = "onnxruntime"
    keeps_controls = True

    def check(self, model: AmpModel) -> None:
        need("onnx", "tf2onnx", "onnxruntime")

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        import onnx

        plain = step(model, details.block_length)
        proto = recurrent(model, plain) if type(model) in (Lstm, Gru) else converted(plain)
        facts: dict[str, Any] = {"name": details.name, "sample_rate": model.sample_rate, "latency": model.lookahead}
        if model.controls:
            facts["controls"] = described(model.controls)
        onnx.helper.set_model_props(proto, {"ampsim": json.dumps(facts)})
        onnx.checker.check_model(proto)
        onnx.save(proto, path)

    def annotate(self, path: Path, facts: dict[str, Any]) -> bool:
        import onnx

        proto = onnx.load(path)
        stated = {each.key: each.value for each in proto.metadata_props}
        onnx.helper.set_model_props(proto, stated | {"ampsim": json.dumps(json.loads(stated["ampsim"]) | facts)})
        onnx.save(proto, path)
        return True

    def load(self, path: Path, setting: Sequence[float] = ()) -> Play:
        session = one_thread(path)
        inputs, outputs = session.get_inputs(), [each.name for each in session.get_outputs()]

        def run(values: list[Any]) -> list[Any]:
            return session.run(outputs, {each.name: value for each, value in zip(inputs, values, strict=True)})

        block, *others = inputs
        values = []
        if others and others[0].name == "controls":
            stated = json.loads(session.get_modelmeta().custom_metadata_map["ampsim"])["controls"]
            values.append(np.array([setting or middle_of(controls_of(stated))], np.float32))
        states = [np.zeros(each.shape, np.float32) for each in others[len(values) :]]
        return by_blocks(run, block.shape[1], states, *values)


def one_thread(path: Path) -> Any:
    """A session of onnxruntime as a plugin would have it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def need(*packages: str) -> None:
    """Raises CannotHoldError where a package is not installed."""
    from importlib.util import find_spec

    absent = [name for name in packages if find_spec(name) is None]
    if absent:
        raise CannotHoldError(f"it needs {', '.join(absent)} (pip install 'ampsim[export]')")


def converted(plain: Step) -> Any:
    import tf2onnx

    proto, _ = tf2onnx.convert.from_function(plain.function, plain.function.input_signature, opset=OPSET)
    names = ["output", *plain.state_names(after=True)]
    renamed = dict(zip([each.name for each in proto.graph.output], names, strict=True))
    for node in proto.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for each in proto.graph.output:
        each.name = renamed[each.name]
    return proto


# ---- A chain of recurrent layers, by hand ---------------------------------------------------------------------------


class Graph:
    """Nodes and constants of an ONNX graph, each result named after its place."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, kind), name))
        return name

    def node(self, kind: str, *inputs: str, outputs: list[str] | None = None, **attributes: Any) -> str:
        from onnx import helper

        names = outputs or [f"{kind.lower()}_{len(self.nodes)}"]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return next(name for name in names if name)

    def reshaped(self, name: str, *shape: int) -> str:
        return self.node("Reshape", name, self.constant(shape, np.int64))


def recurrent(model: AmpModel, plain: Step) -> Any:
    """The graph of an `Lstm` or a `Gru`: its states are those of the step, in the same order."""
    from onnx import TensorProto, helper

    assert isinstance(model, Lstm)
    n, graph, names, names_after = plain.block_length, Graph(), plain.state_names(), plain.state_names(after=True)
    before = [graph.node("Add", name, graph.constant(start)) for name, start in zip(names, plain.start, strict=True)]
    levelled = graph.node("Mul", "input", graph.constant(model.input_gain))
    after: list[str] = []
    features = graph.reshaped(levelled, n, 1, 1)
    count = 1 if isinstance(model, Gru) else 2
    for number, cell in enumerate(model.cells):
        states = [graph.reshaped(name, 1, 1, model.units) for name in before[number * count : (number + 1) * count]]
        everything, *ended = layer(graph, cell, model.units, features, states)
        features = graph.reshaped(everything, n, 1, model.units)
        after += [graph.reshaped(name, 1, model.units) for name in ended]
    kernel, bias = model.head.get_weights()
    flat = graph.reshaped(features, n, model.units)
    output = graph.reshaped(
        graph.node("Add", graph.node("MatMul", flat, graph.constant(kernel)), graph.constant(bias)), 1, n
    )
    heard = graph.node("Concat", before[-1], levelled, axis=1) if model.lookahead else levelled
    if model.skip:
        current = graph.node("Slice", heard, *(graph.constant([at], np.int64) for at in (0, n, 1)))
        output = graph.node("Add", output, current)
    if model.lookahead:
        after.append(
            graph.node("Slice", heard, *(graph.constant([at], np.int64) for at in (n, n + model.lookahead, 1)))
        )
    graph.node("Mul", output, graph.constant(model.output_gain), outputs=["output"])
    for name, last, start in zip(names_after, after, plain.start, strict=True):
        graph.node("Sub", last, graph.constant(start), outputs=[name])
    shapes = [[1, n], *(list(start.shape) for start in plain.start)]

    def described(labels: list[str]) -> list[Any]:
        return [
            helper.make_tensor_value_info(label, TensorProto.FLOAT, shape)
            for label, shape in zip(labels, shapes, strict=True)
        ]

    made = helper.make_graph(
        graph.nodes,
        "ampsim",
        described(["input", *names]),
        described(["output", *names_after]),
        graph.constants,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def layer(graph: Graph, cell: Any, units: int, features: str, states: list[str]) -> list[str]:
    """One layer's outputs, (n, 1, units), and its states after them."""
    kernel, recurrent_kernel, bias = cell.get_weights()
    kind = "LSTM" if len(states) == 2 else "GRU"
    # Keras has the gates i, f, c, o (LSTM) and z, r, h (GRU); ONNX i, o, f, c and z, r, h.
    order = (0, 3, 1, 2) if kind == "LSTM" else (0, 1, 2)
    biases = [bias, np.zeros_like(bias)] if kind == "LSTM" else list(bias)
    weights = [
        gates_first(kernel, order, units),
        gates_first(recurrent_kernel, order, units),
        np.concatenate([gates_first(part[None], order, units)[:, 0] for part in biases])[None],
    ]
    weights[:2] = [part[None] for part in weights[:2]]
    base = f"layer_{len(graph.nodes)}"
    outputs = [f"{base}_all", *(f"{base}_{name}" for name in ("hidden", "cell")[: len(states)])]
    extra: dict[str, Any] = {} if kind == "LSTM" else {"linear_before_reset": 1}
    constants = [graph.constant(part) for part in weights]
    graph.node(kind, features, *constants, "", *states, outputs=outputs, hidden_size=units, **extra)
    return outputs  # (n, 1 direction, 1, units) is reshaped by whoever reads it


def gates_first(kernel: Array, order: tuple[int, ...], units: int) -> Array:
    """(inputs, gates * units) as (gates * units, inputs), the gates in another order."""
    blocks = [kernel[:, gate * units : (gate + 1) * units].T for gate in order]
    return np.concatenate(blocks)
