"""The config of one run, and what of it decides what the run comes to."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ampsim.config.targets import RENAMED, assignments, without

# What two runs of one identity may differ in: a resumed run and the one that it goes on with.
NOT_OF_THE_RUN = (
    *("training.resume", "training.checkpoint_every_s", "training.preview", "tracking", "name"),
    *("data.input_level_dbu", "data.output_level_dbu"),  # which an export tells, and no net hears
)
FIRST_NAMES = {new: old for old, new in RENAMED.items()}
FIRST_EXCLUDED = ["rechannel", "mixin", "head", "oscillators"]  # from Muon, in the config where models say it now
IMPLIED = {
    "training.anti_aliasing": 0.0,
    "training.conditioning": "weights",
    "training.conditioning_parts": 8,
}  # what runs were made with before there was the key
ABSOLUTE = re.compile(r"loss\..*\.relative")  # false is what a config means that was written before there was the key
PLAIN = re.compile(r"[A-Za-z0-9_./+:-][A-Za-z0-9_./+:~-]*")  # a value that Hydra's grammar reads as it stands
SPECIAL = re.compile(r"(true|false|null|nan|[+-]?inf|[+-]?[\d.][\d._eE+-]*)", re.IGNORECASE)


@dataclass(frozen=True)
class RunConfig:
    """A resolved config, frozen; made by `compose` or by `read` alone.

    Args:
        sections: plain dicts, lists and values: `data`, `model`, `loss`, `optimizer`, `schedule`, `training`,
            `tracking`, `seed` and `name`. Not to be changed.
        overrides: the words of the command that led here.
    """

    sections: Mapping[str, Any]
    overrides: tuple[str, ...] = ()

    @classmethod
    def compose(cls, overrides: Sequence[str]) -> "RunConfig":
        """From `conf/` and the words of a command.

        Raises:
            AmpsimError: a word does not parse, names nothing or has a value of a wrong type; a value is missing.
        """
        from ampsim.config.settings import composed

        return cls(composed(overrides), tuple(overrides))

    @classmethod
    def read(cls, path: Path) -> tuple["RunConfig", list[str]]:
        """From the config.yaml of a run, perhaps someone else's, with the notes that a user should see.

        Raises:
            AmpsimError: it is no config, or names what a config may not build.
        """
        from ampsim.config.saved import read_config

        sections, notes = read_config(path)
        return cls(sections), notes

    def __getitem__(self, section: str) -> Any:
        return self.sections[section]

    @property
    def tracking(self) -> dict[str, Any]:
        """Where the run is kept: the arguments of `Store`."""
        return dict(self.sections["tracking"])

    @cached_property
    def flat(self) -> dict[str, Any]:
        """All but `tracking`, keys joined by dots: what MLflow keeps as the run's parameters."""
        return without(dict(self.sections), ["tracking"])

    def identity(self, digests: Sequence[str] | None = None) -> str:
        """A hash of all that decides what the run comes to, 12 hexadecimal digits.

        Args:
            digests: the SHA-256 of each file of the recording, or None for the hash of the config alone.
        """
        # By the names that parts had first, so that runs of earlier versions are found again.
        decides: Any = {
            key: FIRST_NAMES.get(value, value) if key.rpartition(".")[2] == "_target_" else value
            for key, value in without(dict(self.sections), NOT_OF_THE_RUN).items()
            if not (ABSOLUTE.fullmatch(key) and value is False) and not (key in IMPLIED and value == IMPLIED[key])
        }
        if decides.get("optimizer.exclude_layers") == []:
            decides["optimizer.exclude_layers"] = FIRST_EXCLUDED
        if digests is not None:
            decides = [decides, list(digests)]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def title(self) -> str:
        """A readable name from the choices and what was overridden: my_amp-dense-layers=2-optimizer=sgd."""
        return titled(self, self.overrides)

    def with_data(self, data: Mapping[str, Any]) -> "RunConfig":
        """The same run on another recording, or on the same one that lies elsewhere."""
        return RunConfig({**self.sections, "data": dict(data)}, self.overrides)

    def with_tracking(self, tracking: Mapping[str, Any]) -> "RunConfig":
        """The same run, kept in another store."""
        return RunConfig({**self.sections, "tracking": dict(tracking)}, self.overrides)

    def with_resume(self, resume: bool = True) -> "RunConfig":
        """The same run, to go on from its checkpoint if it has one, or to start anew."""
        return RunConfig({**self.sections, "training": {**self["training"], "resume": resume}}, self.overrides)


def titled(config: RunConfig, overrides: Sequence[str], *, unnamed: Sequence[str] = ()) -> str:
    """A readable name, at most 120 letters, from some of the words that led to a config.

    Args:
        unnamed: of `data` and `model`, what is left out where no word names it.
    """
    chosen = assignments(overrides)
    whole = chosen.pop("experiment", "null")  # a whole run has said what data and model are
    kind = config["model"]["_target_"].rpartition(".")[2].replace("WaveNet", "Wavenet")
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
    usual = {"data": "virtual_amp", "model": kind} if whole == "null" else {}
    usual = {group: name for group, name in usual.items() if group not in unnamed}
    file = next((key for key in ("data.target", "data.path") if not chosen.get(key, "[").startswith("[")), "")
    if file:  # which says more than the kind of its data
        usual["data"] = Path(chosen[file]).stem
        for key in (file, "data", "data.input"):
            chosen.pop(key, None)
    named = [chosen.pop(group, usual.get(group, "")) for group in ("data", "model")]
    parts = [part for part in (*([] if whole == "null" else [whole]), *named) if part]
    for key, value in chosen.items():
        if not key.startswith(("tracking", "name", "training.resume", "hydra", "sweep")) and not value.startswith("["):
            parts.append(f"{key.rpartition('.')[2]}={Path(value).name}")
    return "-".join(parts)[:120]


def current_names(params: Mapping[str, str]) -> dict[str, str]:
    """Parameters of a run in the store by today's names of parts, whichever version wrote them."""
    sections = {key.partition(".")[0] for key in params}
    current = {key: str(value) for key, value in IMPLIED.items() if key.partition(".")[0] in sections}
    current |= {key: RENAMED.get(value, value) for key, value in params.items()}
    if current.get("optimizer.exclude_layers") == str(FIRST_EXCLUDED):
        current["optimizer.exclude_layers"] = "[]"
    return current


def assignment(key: str, value: Any) -> list[str]:
    """The words of a command that set a key to a value of Python: `("model", {"units": 8})` is `["model.units=8"]`.

    Text of any kind is quoted as Hydra's grammar needs it, so that file names arrive as they are.
    """
    if isinstance(value, Mapping) and value:
        return [word for inner, part in value.items() for word in assignment(f"{key}.{inner}", part)]
    return [f"{key}={worded(value)}"]


def without_references(text: str) -> str:
    """Text that OmegaConf reads as it stands: `${` begins no reference, also behind backslashes."""
    return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", text)


def worded(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{worded(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(worded, value)) + "]"
    text = str(value)
    if PLAIN.fullmatch(text) and not SPECIAL.fullmatch(text):
        return text
    # In quotes only a quote, and backslashes before one, have to be escaped; `${` would be read as a reference.
    escaped = without_references(re.sub(r"(\\*)'", lambda found: found[1] * 2 + r"\'", text))
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{chr(92) * trailing}'"
