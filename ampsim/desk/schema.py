"""JSON schemas of the YAML that a config is made of, for editors, from the signatures that also check it.

They are of draft 7, which is what editors' YAML extensions know.
"""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from importlib import import_module
from importlib.util import find_spec
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from ampsim import AmpsimError
from ampsim.config import plugins, schema, targets
from ampsim.config.saved import PARTS
from ampsim.files import read_text
from ampsim.plain_yaml import LARGEST
from ampsim.recordings.sources import SPLITS, Split

Json = dict[str, Any]
Notice = Callable[[str], None]

DRAFT = "http://json-schema.org/draft-07/schema#"
# Where the parts of a config are looked for, beside what YAML names.
MODULES = {
    "data": ("ampsim.recordings", "ampsim.recordings.captured"),
    "model": ("ampsim.models",),
    "loss": ("ampsim.losses",),
    "optimizer": ("keras.optimizers",),
    "schedule": ("ampsim.training.schedules",),
}
LEARNING_RATES = "keras.optimizers.schedules"
KERAS_TYPES: dict[str, Json] = {  # of arguments whose default does not tell all that they may be
    **{key: {"type": ["number", "null"]} for key in ("weight_decay", "adam_weight_decay")},
    "exclude_layers": {"type": ["array", "null"], "items": {"type": "string"}},
    "name": {"type": ["string", "null"]},
    "learning_rate": {"anyOf": [{"type": "number"}, {"$ref": "#/definitions/learning_rate"}]},
    "inner_optimizer": {"$ref": "#/definitions/optimizer"},
}
# What a name of the user's own may stand for, of knobs a value or a range: no section.
VALUE: Json = {"type": ["number", "string", "boolean", "array", "null"]}
PLAIN = {int: "integer", float: "number", bool: "boolean", str: "string", type(None): "null"}
# A value from elsewhere in the config or from the environment, or one that whoever uses the file has to give.
REFERENCE: Json = {"type": "string", "pattern": r"\$\{|^\?\?\?$"}
CLOSED = {"training": schema.Training, "sweep": schema.Sweep}
SEED: Json = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
COMMENT = re.compile(r"^(\w+):.*?\s#\s+(.+)$", re.MULTILINE)
ARGUMENTS = re.compile(r"^Args:\n((?:[ ]+.*\n?|\n)+)", re.MULTILINE)
ARGUMENT = re.compile(r"^[ ]{4}([\w, ]+): (.*(?:\n[ ]{8}.*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """A class that a section may name, by the path that a config gives it, with a schema for each of its arguments."""

    path: str
    about: str
    keys: Mapping[str, Json]


def schemas(notice: Notice = lambda text: None) -> dict[str, Json]:
    """Every schema by its name: one for each group, `experiment`, `config` (conf/config.yaml), `run` (the config.yaml of a
    run), `sweeper` and `launcher` (in conf/hydra/) and `settings` (ampsim.toml).

    Args:
        notice: told a sentence for each part of a plugin that cannot be loaded.

    Raises:
        AmpsimError: a YAML of a plugin cannot be read.
    """
    parts = {part: found_parts(part, notice) for part in PARTS}
    shared = {"learning_rate": one_of(parts_in(LEARNING_RATES))}
    for part, kinds in parts.items():
        shared |= {part: one_of(kinds), f"some-{part}": some_of(kinds, part)}
    closed = {name: closed_section(name) for name in (*CLOSED, "tracking")}
    some = {part: {"$ref": f"#/definitions/some-{part}"} for part in PARTS}
    found = {
        **{part: choice_of(kinds, part) for part, kinds in parts.items()},
        **closed,
        "experiment": whole_run({**some, **closed}, swept_keys(parts, closed), experiment_defaults()),
        "config": whole_run({**some, **closed}, swept_keys(parts, closed), top_defaults()),
        "run": saved_run(closed),
        "sweeper": sweeper(),
        "launcher": closed_object(
            {"_target_": {"const": "hydra_plugins.ampsim_ray.Ray"}, "init": OBJECT, "remote": OBJECT}
        ),
        "settings": closed_object(
            {"plugins": closed_object({"folders": {"type": "array", "items": {"type": "string"}}})}
        ),
    }
    return {name: with_definitions(content, shared, f"ampsim: {name}") for name, content in found.items()}


def editor_settings(folder: str) -> dict[str, str]:
    """Which files follow which of the schemas in a folder, as VS Code's YAML extension has it in `yaml.schemas`."""
    folder = folder if folder.startswith("/") else f"./{folder}"
    inside = {"sweeper": "hydra/sweeper", "launcher": "hydra/launcher"}
    names = [*PARTS, *CLOSED, "tracking", "experiment", *inside]
    found = {f"{folder}/{name}.json": f"**/conf/{inside.get(name, name)}/*.yaml" for name in names}
    return found | {f"{folder}/config.json": "**/conf/config.yaml", f"{folder}/run.json": "**/artifacts/config.yaml"}


def with_definitions(content: Json, shared: Mapping[str, Json], title: str) -> Json:
    """A schema as a file of its own, with those of the shared definitions that it leads to."""
    needed: dict[str, Json] = {}
    waiting = [content]
    while waiting:
        for name in re.findall(r'"#/definitions/([^"]+)"', json.dumps(waiting.pop())):
            if name not in needed:
                needed[name] = shared[name]
                waiting.append(shared[name])
    body = {"allOf": [content]} if "$ref" in content else content  # draft 7 takes nothing beside a $ref
    return {"$schema": DRAFT, "title": title, **body, "definitions": dict(sorted(needed.items()))}


# ---- Shapes ---------------------------------------------------------------------------------------------------------

OBJECT: Json = {"type": "object"}


def closed_object(properties: Mapping[str, Json], **more: Any) -> Json:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False, **more}


def any_of(kinds: Sequence[Json]) -> Json:
    """One of several schemas, each once."""
    found = list({json.dumps(kind, sort_keys=True): kind for kind in kinds}.values())
    return found[0] if len(found) == 1 else {"anyOf": found}


def typed(annotation: Any) -> Json:
    """The schema of what an annotation allows."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in PLAIN:
        return {"type": PLAIN[annotation]}
    if origin in (Union, UnionType):
        return any_of([typed(each) for each in inner])
    if origin is Literal:
        return {"enum": list(inner)}
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return {"enum": [each.value for each in annotation]}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": typed(inner[1]) or VALUE}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return {"type": "array", "items": typed(inner[0])}
    for part, names in targets.BASES.items():
        if annotation in [targets.base_class(name) for name in names]:
            return {"$ref": f"#/definitions/{part}"}
    return {}


def typed_by_value(name: str, value: Any) -> Json:
    """The schema of an argument that has no annotation, from its default or from what YAML gives it."""
    if name in KERAS_TYPES:
        return KERAS_TYPES[name]
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int | float):
        return {"type": "number"}
    return {"type": "string"} if isinstance(value, str) else {"type": ["number", "null"]} if value is None else {}


def one_of(kinds: Sequence[Part]) -> Json:
    """A section that names one of these classes, and has its arguments and no others."""
    about = {"enum": [each.path for each in kinds], "enumDescriptions": [each.about for each in kinds]}
    cases = [
        {
            "if": {"properties": {"_target_": {"const": each.path}}, "required": ["_target_"]},
            "then": closed_object({"_target_": {}, **each.keys}),
        }
        for each in kinds
    ]
    return {"type": "object", "required": ["_target_"], "properties": {"_target_": about}, "allOf": cases}


def choice_of(kinds: Sequence[Part], part: str) -> Json:
    """A file of this group: a section, or what it changes in those of the group that its `defaults` name."""
    defaults = {"type": "array", "items": {"enum": ["_self_", *names_of(part)]}}
    changed = closed_object({**some_of(kinds, part)["properties"], "defaults": defaults})
    return {"if": {"required": ["defaults"]}, "then": changed, "else": {"$ref": f"#/definitions/{part}"}}


def some_of(kinds: Sequence[Part], part: str) -> Json:
    """What an experiment may set of a section, whichever class that names: sections inside are given in part, too."""
    every: dict[str, list[Json]] = {}
    for each in kinds:
        for key, content in each.keys.items():
            every.setdefault(key, []).append({k: v for k, v in content.items() if k not in ("description", "default")})
    inner = json.dumps({key: any_of(contents) for key, contents in every.items()})
    properties = json.loads(re.sub(r'"#/definitions/(data|loss)"', r'"#/definitions/some-\1"', inner))
    about = {
        key: each.keys[key]["description"] for each in kinds for key in each.keys if "description" in each.keys[key]
    }
    described = {
        key: {**content, **({"description": about[key]} if key in about else {})} for key, content in properties.items()
    }
    return closed_object({"_target_": {"enum": [each.path for each in kinds]}, **described})


# ---- Parts: sections with a `_target_` ------------------------------------------------------------------------------


def found_parts(part: str, notice: Notice) -> list[Part]:
    """What a section of this name may build: ampsim's own, Keras', and what the YAML of plugins names."""
    bases = tuple(base for place in MODULES[part] if import_module(place) for base in base_classes(part))
    paths = [
        f"{place}.{name}"
        for place in MODULES[part]
        for name, value in vars(import_module(place)).items()
        if isinstance(value, type) and issubclass(value, bases)
    ]
    named = {path: section for text, whole in files_of(part) for path, section in inner_sections(whole)}
    found: dict[type, Part] = {}
    for path in dict.fromkeys([*paths, *named]):
        try:
            kind = targets.locate(path, part)
        except AmpsimError as error:
            if path in named:  # the others are what parts are derived from
                notice(str(error))
            continue
        if kind not in found:
            found[kind] = described(path, kind, part)
    return sorted(found.values(), key=lambda each: each.path)


def base_classes(part: str) -> list[type]:
    return [base for name in targets.BASES[part] if (base := targets.base_class(name))]


def parts_in(module: str) -> list[Part]:
    """Keras' schedules of the learning rate."""
    paths = [f"{module}.{name}" for name, value in vars(import_module(module)).items() if isinstance(value, type)]
    found = []
    for path in sorted(paths):
        try:
            found.append(described(path, targets.locate(path), "optimizer"))
        except AmpsimError:  # what they are derived from
            continue
    return found


def described(path: str, kind: type, part: str) -> Part:
    """A class with its arguments: their types from the signature, what they mean from comments in YAML and docstrings."""
    comments: dict[str, str] = {}
    values: dict[str, Any] = {}
    for text, whole in files_of(part):
        if isinstance(whole, dict) and whole.get("_target_") == path:
            comments |= dict(COMMENT.findall(text))
        for named, section in inner_sections(whole):
            values |= {key: value for key, value in section.items() if key != "_target_"} if named == path else {}
    meanings = documented(kind) | comments
    parameters = arguments_of(kind)
    contents = {name: content_of(name, parameter) for name, parameter in parameters.items()}
    contents |= {name: typed_by_value(name, value) for name, value in values.items() if name not in contents}
    keys = {name: or_reference(content, meanings.get(name, "")) for name, content in contents.items()}
    return Part(path, (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " "), keys)


def arguments_of(kind: type) -> dict[str, inspect.Parameter]:
    """What a class takes by name; where it checks what is behind its `**` itself, what its base classes take as well."""
    parameters, checks_itself = targets.parameters_of(kind)
    for base in kind.__mro__[1:-1] if checks_itself else ():
        inherited, _ = targets.parameters_of(base)
        parameters = inherited | parameters
    return parameters


def content_of(name: str, parameter: inspect.Parameter) -> Json:
    default = parameter.default
    if parameter is targets.ANYTHING:
        return {}
    untyped = parameter.annotation is inspect.Parameter.empty
    content = typed_by_value(name, default) if untyped else typed(parameter.annotation)
    if name == "splits":
        content = closed_object({split: typed(Split) for split in SPLITS})
    if untyped and default is inspect.Parameter.empty and name not in KERAS_TYPES:
        return {}
    if isinstance(default, int | float | str | bool):
        return {**content, "default": default} if "$ref" not in content else content
    return content


def or_reference(content: Json, meaning: str = "") -> Json:
    """A value, or a reference in its place, with what it means."""
    about = {"description": meaning} if meaning else {}
    if not content or content.get("type") == "string":
        return {**content, **about}
    default = {"default": content["default"]} if "default" in content else {}
    bare = {key: value for key, value in content.items() if key != "default"}
    kinds = bare["anyOf"] if set(bare) == {"anyOf"} else [bare]
    return {"anyOf": [*kinds, REFERENCE], **default, **about}


def documented(kind: type) -> dict[str, str]:
    """What the docstrings of a class and of what it is derived from say of arguments."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        block = ARGUMENTS.search(inspect.cleandoc(each.__doc__ or ""))
        for names, text in ARGUMENT.findall(block[1]) if block else ():
            found |= {name: of_another(" ".join(text.split()), each, name) for name in names.split(", ")}
    return found


def of_another(text: str, owner: type, name: str) -> str:
    """The text itself, or what another class says, where it only refers to it: "as of `WaveNet`"."""
    referred = re.fullmatch(r"as (?:of|in|those of) `([\w.]+)`\.?", text)
    other: object = sys.modules[owner.__module__] if referred else None
    for part in referred[1].split(".") if referred else ():
        other = getattr(other, part, None)
    return documented(other).get(name, text) if isinstance(other, type) else text


def inner_sections(section: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The sections with a `_target_`, at whatever depth."""
    if isinstance(section, dict) and isinstance(section.get("_target_"), str):
        yield section["_target_"], section
    if isinstance(section, dict | list):
        for inner in section.values() if isinstance(section, dict) else section:
            yield from inner_sections(inner)


def files_of(group: str) -> list[tuple[str, Any]]:
    """The files of a group, ampsim's and those of plugins, as text and as what they hold."""
    found = []
    for path in sorted(path for folder in plugins.config_folders() for path in (folder / group).glob("*.yaml")):
        text = read_text(path, "config", LARGEST)
        try:
            found.append((text, yaml.safe_load(text)))
        except yaml.YAMLError as error:
            raise AmpsimError(f"{path}: this is no YAML ({str(error).splitlines()[0]})") from error
    return found


# ---- Closed sections and whole runs ---------------------------------------------------------------------------------


def closed_section(name: str) -> Json:
    """`training`, `sweep` or `tracking`: their names, types and ranges; what they mean stands in the files of the group."""
    meanings: dict[str, str] = {}
    for text, _ in files_of(name):
        meanings |= dict(COMMENT.findall(text))
    if name not in CLOSED:
        return closed_object(
            {
                key: or_reference({"type": ["string", "null"]}, meanings.get(key, ""))
                for key in ("folder", "uri", "experiment")
            }
        )
    hints = get_type_hints(CLOSED[name])
    contents = {each.name: ranged(typed(hints[each.name]), each.name) for each in fields(CLOSED[name])}
    if name == "training":
        contents["devices"] = {"anyOf": [{"const": "all"}, {"type": "integer", "minimum": 1}]}
    keys = {key: or_reference(content, meanings.get(key, "")) for key, content in contents.items()}
    return closed_object({**keys, "defaults": {"type": "array", "items": {"const": "schema"}}})


def ranged(content: Json, name: str) -> Json:
    least = {"minimum": schema.AT_LEAST[name]} if name in schema.AT_LEAST else {}
    least |= {"exclusiveMinimum": 0} if name in schema.ABOVE_ZERO else {}
    return (
        {**content, **least} if "anyOf" not in content else {"anyOf": [ranged(each, name) for each in content["anyOf"]]}
    )


def whole_run(sections: Mapping[str, Json], swept: Json, defaults: Json) -> Json:
    hydra = {
        **dict.fromkeys(("run", "sweep", "launcher", "job"), OBJECT),
        "mode": {"enum": ["RUN", "MULTIRUN"]},
        "sweeper": closed_object({**search_options(), "params": swept, "_target_": {"type": "string"}}),
        "output_subdir": {"type": ["string", "null"]},
    }
    name = {"type": ["string", "null"], "description": "of the run in MLflow"}
    return closed_object({"defaults": defaults, **sections, "seed": SEED, "name": name, "hydra": closed_object(hydra)})


def saved_run(closed: Mapping[str, Json]) -> Json:
    parts = {part: {"$ref": f"#/definitions/{part}"} for part in PARTS}
    rest = {
        "training": closed["training"],
        "tracking": closed["tracking"],
        "seed": SEED,
        "name": {"type": ["string", "null"]},
    }
    return closed_object({**parts, **rest}, required=[*PARTS, "training", "seed"])


def names_of(group: str) -> list[str]:
    return sorted({path.stem for folder in plugins.config_folders() for path in (folder / group).glob("*.yaml")})


def experiment_defaults() -> Json:
    """What an experiment builds on: another one, choices of groups, and a choice in a section of its own."""
    entries: dict[str, Json] = {}
    for group in (*PARTS, *CLOSED, "tracking"):
        entries |= {key: {"enum": names_of(group)} for key in (f"override /{group}", f"/{group}")}
    entries |= {f"override /hydra/{kind}": {"type": "string"} for kind in ("launcher", "sweeper")}
    inner = {r"^(override )?/data@data\.\w+$": {"enum": names_of("data")}}
    choice = closed_object(entries, patternProperties=inner, maxProperties=1)
    return {"type": "array", "items": {"anyOf": [{"enum": ["_self_", *names_of("experiment")]}, choice]}}


def top_defaults() -> Json:
    groups = {group: {"enum": [*names_of(group), None]} for group in (*PARTS, *CLOSED, "tracking", "experiment")}
    logging = {f"override hydra/{kind}_logging": {"enum": ["none", "default"]} for kind in ("job", "hydra")}
    return {
        "type": "array",
        "items": {"anyOf": [{"const": "_self_"}, closed_object({**groups, **logging}, maxProperties=1)]},
    }


def swept_keys(parts: Mapping[str, Sequence[Part]], closed: Mapping[str, Json]) -> Json:
    """The values that a sweep tries, by key, as they are written: `model.layers: 1,2,3`."""
    plain = [*PARTS, "seed", "name", "experiment", *CLOSED, "tracking"]
    plain += [f"{name}.{key}" for name, content in closed.items() for key in content["properties"] if key != "defaults"]
    plain += [f"{part}.{key}" for part, kinds in parts.items() for each in kinds for key in each.keys]
    plain += [f"data.splits.{split}" for split in SPLITS]
    terms = "|".join(sorted({key for each in parts["loss"] for key in each.keys}))
    deep = rf"^loss\.terms\.\w+(\.({terms}))*$|^data\.recording\.\w+$|^optimizer\.learning_rate\.\w+$|^hydra/\w+$"
    names = {"anyOf": [{"enum": list(dict.fromkeys(plain))}, {"pattern": deep}]}
    values = {"type": ["string", "number", "boolean", "null"]}
    return {"type": ["object", "null"], "propertyNames": names, "additionalProperties": values}


def search_options() -> dict[str, Json]:
    """The keys of hydra/sweeper=optuna; none where this ampsim has no studies."""
    if not find_spec("ampsim.studies"):
        return {}
    options = import_module("ampsim.studies.search").SearchOptions
    return {name: typed(annotation) for name, annotation in get_type_hints(options).items()}


def sweeper() -> Json:
    return closed_object({**search_options(), "_target_": {"const": "ampsim.studies.search.SearchOptions"}})
