"""YAML that says everything once and in its place, as configs and sheets of recordings do."""

from pathlib import Path
from typing import Any

import yaml

from ampsim import AmpsimError
from ampsim.files import read_text

DEEPEST = 50  # sections of YAML within sections; a config has six
LARGEST = 500_000  # bytes of a config, which are read within a second; ours have some thousand
NUMBERS, LONGEST_NUMBER = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"), 100


def read_yaml(path: Path, kind: str, limit: int = LARGEST) -> Any:
    """The plain values in a file of YAML; arguments and faults as for `read_text`.

    Raises:
        AmpsimError: also where it is no YAML, says a key twice, holds references or more than plain values, is nested too
            deep, or has a number of thousands of digits.
    """
    text = read_text(path, kind, limit)
    try:
        return PlainLoader(text).get_single_data()
    except yaml.YAMLError as error:
        raise AmpsimError(f"{path}, {fault(error, f'a {kind}')}") from error
    except ValueError as error:
        raise AmpsimError(f"{path}: a value in it cannot be read ({error})") from error


def fault(error: yaml.YAMLError, kind: str) -> str:
    """Where and why YAML is refused: `line 3: this is no YAML (...)`."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark else ""
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if isinstance(error, Unclear):
        return where + str(problem)
    if isinstance(error, yaml.constructor.ConstructorError):
        return f"{where}{kind} holds plain values only ({problem})"
    return f"{where}this is no YAML ({problem})"


class Unclear(yaml.MarkedYAMLError):
    """Well-formed YAML that a config may not use."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class PlainLoader(yaml.SafeLoader):
    """Reads YAML that says everything once and in its place, and stops at the first thing that does not."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):  # a few lines of them can stand for more than a machine holds
            raise Unclear(
                f"it holds a reference (*{event.anchor}): a config says everything in its place", event.start_mark
            )
        if self.depth == DEEPEST:
            raise yaml.MarkedYAMLError(problem="nested too deep", problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise Unclear(f"`{key.value:.60}` is there a second time; keep one", key.start_mark)
                seen.add((key.tag, key.value))
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        if node.tag in NUMBERS and len(node.value) > LONGEST_NUMBER:
            raise Unclear(f"a number has {len(node.value):,} digits", node.start_mark)
        try:
            return super().construct_object(node, deep)
        except ValueError as error:  # a day that no month has
            raise Unclear(f"`{node.value:.60}` cannot be read ({error})", node.start_mark) from error


class WordLoader(PlainLoader):
    """The same with every word left a word, also `on`, `7` and `null`."""


WordLoader.yaml_implicit_resolvers = {}


def words_of(text: str) -> Any:
    """What YAML holds, every value of it as text: strings in mappings and lists.

    Raises:
        AmpsimError: it is no such YAML; which line is at fault, and why.
    """
    try:
        return WordLoader(text).get_single_data()
    except yaml.YAMLError as error:
        raise AmpsimError(fault(error, "it")) from error
