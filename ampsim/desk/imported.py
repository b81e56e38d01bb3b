"""`ampsim import-config`: the configs of other trainers as an experiment of ampsim, with what it has no equivalent for.

Their keys were read in the sources of neural-amp-modeler 0.13 (`nam-full`) and of AidaDSP's Automated-GuitarAmpModelling.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import yaml

from ampsim import AmpsimError, printable
from ampsim.config.run_config import assignment, without_references
from ampsim.config.settings import composed
from ampsim.files import read_json
from ampsim.players.documents import understood, whole

LARGEST = 200_000  # bytes of a config; theirs have some hundred
MOST_EPOCHS = 1_000_000
UNSEEN = {"_notes", "_comments", "_comment"}
# Keys of which something was made, or which mean nothing here, by section.
KNOWN = {
    "net.config.": "hidden_size num_layers train_burn_in input_size train_truncate",
    "loss.": "mse_weight mrstft_weight dc_weight val_loss mask_first pre_emph_weight pre_emph_coef pre_emph_mrstft_weight "
    "pre_emph_mrstft_coef",
    "optimizer.": "lr weight_decay",
    "train_dataloader.": "shuffle pin_memory drop_last num_workers batch_size",
    "trainer.": "max_epochs devices accelerator",
    "data.": "train validation common target_rms_dbfs",
    "data.train.": "x_path y_path delay ny stop_seconds",
    "data.validation.": "x_path y_path delay ny stop_seconds start_seconds",
    "array": "channels input_size condition_size head_size head_bias head kernel_size kernel_sizes dilations activation gated",
    "": "model unit_type hidden_size num_layers skip_con init_len input_size output_size params loss_fcns pre_filt learn_rate "
    "validation_f validation_p epochs batch_size segment_length samplerate seed up_fr device file_name data_location cuda "
    "load_model save_location",
}
# As `nam` writes activations, and what Keras calls them.
ACTIVATIONS = {
    "Tanh": "tanh",
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "Sigmoid": "sigmoid",
    "SiLU": "silu",
    "Hardtanh": "hard_tanh",
}
TORCH_SLOPE = 0.01  # of a LeakyReLU that does not say one
WINDOWS, OVERLAP = [600, 1200, 240], 0.8  # of auraloss's multi-resolution STFT, in samples
NAM_EPOCHS, AIDA_RATE, AIDA_BURN_IN = 100, 0.005, 200  # theirs, where a config does not say
EMPHASIS = 0.85  # of the high-pass of `pre_filt`


@dataclass
class Imported:
    """An experiment: choices of groups, keys of sections, and sentences on what was left out or is another here."""

    origin: str
    choices: dict[str, str] = field(default_factory=dict)
    sections: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def yaml(self) -> str:
        """The experiment as a file; its notes stand at the top."""
        defaults = [{f"override /{group}": choice} for group, choice in self.choices.items()]
        notes = "".join(f"#   - {printable(note)}\n" for note in self.notes)
        head = f"# @package _global_\n# {printable(self.origin)}" + (f" Not the same here:\n{notes}" if notes else "\n")
        return head + yaml.safe_dump(escaped({"defaults": defaults, **self.sections}), sort_keys=False, width=110)

    def prove(self) -> None:
        """Compose it. Raises AmpsimError where ampsim has no such keys, or no such values of them."""
        words = [f"{group}={choice}" for group, choice in self.choices.items()]
        composed([*words, *(f"++{word}" for key, value in self.sections.items() for word in assignment(key, value))])


def escaped(value: Any) -> Any:
    """Text as text: `${` in a stranger's file is no reference to this user's environment."""
    if isinstance(value, dict):
        return {key: escaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [escaped(inner) for inner in value]
    return without_references(value) if isinstance(value, str) else value


def imported(kind: str, paths: Sequence[Path]) -> Imported:
    """The experiment in the config files of another trainer.

    Args:
        kind: `nam` (model.json, and data.json and learning.json if they are there, in any order) or `aidax` (one file).

    Raises:
        AmpsimError: a file cannot be read, is none of these, or asks for a net that ampsim does not have.
    """
    readers: dict[str, Callable[[dict[str, tuple[Path, dict[str, Any]]]], Imported]] = {
        "nam": from_nam,
        "aidax": from_aidax,
    }
    if kind not in readers:
        raise AmpsimError(f"there is no import of `{kind}`: say nam or aidax, and then the files")
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    for path in paths:
        content = read_json(path, "config", LARGEST)
        if not isinstance(content, dict):
            raise AmpsimError(f"{path} is no config: it is JSON, but not an object")
        part = kind_of(content)
        if part in found:
            raise AmpsimError(f"{path} and {found[part][0]} are both a {part} config: name one of them")
        found[part] = path, content
    result = readers[kind](found)
    result.prove()
    return result


def kind_of(content: dict[str, Any]) -> str:
    """Which config a file holds, by keys that only that one has."""
    marks = {"model": ("net",), "learning": ("trainer", "train_dataloader"), "data": ("train", "validation", "common")}
    marks["aidax"] = ("hidden_size", "unit_type")
    return next((part for part, keys in marks.items() if any(key in content for key in keys)), "unknown")


def left(section: Any, where: str) -> Iterator[str]:
    """A sentence for each key of a section that nothing was made of."""
    for key, value in section.items() if isinstance(section, dict) else ():
        if key not in {*KNOWN[where].split(), *UNSEEN} and value is not None:
            yield f"{where}{str(key)[:60]} has no equivalent"


def recording(inputs: Sequence[Any], targets: Sequence[Any]) -> dict[str, Any]:
    """The files of `data=pair`: one of each, or lists."""
    if len(inputs) == 1:
        return {"input": str(inputs[0]), "target": str(targets[0])}
    return {"input": [*map(str, inputs)], "target": [*map(str, targets)]}


# ---- Neural Amp Modeler ---------------------------------------------------------------------------------------------


def from_nam(found: dict[str, tuple[Path, dict[str, Any]]]) -> Imported:
    if "model" not in found or not set(found) <= {"model", "data", "learning"}:
        raise AmpsimError("of NAM's trainer name model.json, and data.json and learning.json if you have them")
    names = ", ".join(path.name for path, _ in found.values())
    result = Imported(f"From the configs of NAM's trainer ({names}).")
    path, model = found["model"]
    with understood(path, "the model config"):
        nam_net(model["net"], result)
        nam_loss(model.get("loss", {}), result)
    epochs = NAM_EPOCHS
    if "learning" in found:
        path, learning = found["learning"]
        with understood(path, "the learning config"):
            epochs = nam_learning(learning, result)
    else:
        result.notes.append("learning.json was not named: the budget is ampsim's, a minute")
    with understood(found["model"][0], "the model config"):
        nam_optimizer(model, epochs, result)
    if "data" in found:
        path, data = found["data"]
        with understood(path, "the data config"):
            nam_data(data, result)
    return result


def nam_net(net: dict[str, Any], result: Imported) -> None:
    name, config = net["name"], net["config"]
    if name == "WaveNet":
        result.choices["model"] = "wavenet_standard"
        result.sections["model"] = nam_wavenet(config)
    elif name == "PackedWaveNet":
        result.choices["model"] = "a2"
        result.sections["model"] = nam_packed(config)
    elif name == "LSTM":
        result.choices["model"] = "lstm"
        burn_in = config.get("train_burn_in") or 0
        result.sections["model"] = {
            "units": whole(config["hidden_size"], "hidden_size", most=4096),
            "layers": whole(config.get("num_layers", 1), "num_layers", most=64),
            **({"burn_in": whole(burn_in, "train_burn_in")} if burn_in else {}),
        }
        if config.get("input_size", 1) != 1:
            raise ValueError("its input_size is not 1: a net with knobs")
        result.notes += left(config, "net.config.")
        if config.get("train_truncate"):
            result.notes.append("net.config.train_truncate: gradients flow through a whole segment here")
    elif name == "Linear":
        result.choices["model"] = "fir"
        taps = whole(config["receptive_field"], "receptive_field")
        result.sections["model"] = {"taps": taps, "bias": bool(config.get("bias", False))}
    else:
        raise ValueError(f"ampsim has no `{name!s:.40}`: tcn and wavenet_* are its convolutional nets")


def nam_wavenet(config: dict[str, Any]) -> dict[str, Any]:
    """The keys of `ampsim.models.WaveNet`. Raises ValueError for what it cannot be."""
    arrays = config.get("layers_configs", config.get("layers"))
    if not isinstance(arrays, list) or not 0 < len(arrays) <= 16 or config.get("head"):
        raise ValueError("it has no list of layer arrays, or a head of several layers")
    channels = [whole(each["channels"], "channels", most=4096) for each in arrays]
    heads = [
        each.get("head") or {"out_channels": each.get("head_size"), "bias": each.get("head_bias")} for each in arrays
    ]
    for number, (each, head) in enumerate(zip(arrays, heads, strict=True)):
        last = number == len(arrays) - 1
        wanted = {"condition_size": 1, "input_size": channels[number - 1] if number else 1}
        odd = [key for key, value in wanted.items() if each.get(key, value) != value]
        if odd or head["out_channels"] != (1 if last else channels[number + 1]) or bool(head["bias"]) is not last:
            raise ValueError(f"array {number} is not as in NAM's own nets ({', '.join(odd) or 'its head'})")
        if extra := [key for key in each if key not in KNOWN["array"].split() and each[key] not in (None, False)]:
            raise ValueError(f"array {number} has {', '.join(map(str, extra))}, which ampsim reads and does not train")
    kinds = {str(activation(each["activation"])): activation(each["activation"]) for each in arrays}
    gated = {bool(each.get("gated", False)) for each in arrays}
    if len(kinds) > 1 or len(gated) > 1:
        raise ValueError("its arrays have different activations, or gates in some of them")
    rows = [each.get("kernel_sizes") or [each["kernel_size"]] * len(each["dilations"]) for each in arrays]
    sizes = [[whole(size, "a kernel size") for size in row] for row in rows]
    alike = {size for row in sizes for size in row}
    return {
        "channels": channels,
        "dilations": [[whole(step, "a dilation") for step in each["dilations"]] for each in arrays],
        "kernel_size": alike.pop() if len(alike) == 1 else sizes,
        "head_kernel_size": whole(heads[-1].get("kernel_size", 1), "the head's kernel_size"),
        **next(iter(kinds.values())),
        "gated": gated.pop(),
        "head_scale": float(config["head_scale"]),
    }


def activation(value: Any) -> dict[str, Any]:
    """An activation, a name or an object, as the keys of a model. Raises ValueError for one that it has not."""
    if isinstance(value, list):
        first, *others = [activation(each) for each in value]
        if any(each != first for each in others):
            raise ValueError("its layers have different activations")
        return first
    settings = value if isinstance(value, dict) else {}
    name = settings.get("type", settings.get("name")) if settings else value
    if name not in ACTIVATIONS:
        raise ValueError(f"its activation is {name!r:.40}: {', '.join(ACTIVATIONS)} are known")
    slope = {"negative_slope": float(settings.get("negative_slope", TORCH_SLOPE))} if name == "LeakyReLU" else {}
    return {"activation": ACTIVATIONS[name], **slope}


def nam_packed(config: dict[str, Any]) -> dict[str, Any]:
    """The keys of `ampsim.models.Slimmable`: nets that differ in their channels alone."""
    submodels = config["submodels"]
    nets = [nam_wavenet(each["config"]) for each in submodels]
    rest = [{key: value for key, value in net.items() if key != "channels"} for net in nets]
    if any(len(net["channels"]) > 1 for net in nets) or any(each != rest[0] for each in rest):
        raise ValueError("its nets differ in more than their channels")
    stated = (config.get("export") or {}).get("container_max_values", "uniform")
    count = len(nets)
    values = (
        [(number + 1) / count for number in range(count)] if stated == "uniform" else [float(each) for each in stated]
    )
    kernel = rest[0]["kernel_size"]
    return {
        "names": [str(each["name"])[:60] for each in submodels],
        "max_values": values,
        **rest[0],
        "channels": [net["channels"][0] for net in nets],
        "kernel_size": kernel[0] if isinstance(kernel, list) else kernel,
        "dilations": rest[0]["dilations"][0],
    }


def nam_loss(loss: dict[str, Any], result: Imported) -> None:
    mse = loss.get("mse_weight", 1.0)
    result.choices["loss"] = "mse"
    terms: dict[str, Any] = {"mse": {"weight": 0.0 if mse is None else float(mse)}}
    sizes = {"sizes": WINDOWS, "overlap": OVERLAP}
    spectral = {"_target_": "ampsim.losses.MultiResolutionSTFT", **sizes}
    if loss.get("mrstft_weight"):
        terms["mrstft"] = {**spectral, "weight": float(loss["mrstft_weight"])}
    if loss.get("dc_weight"):
        terms["dc"] = {"_target_": "ampsim.losses.DC", "weight": float(loss["dc_weight"])}
        result.notes.append("loss.dc_weight: it is relative to the target's energy here")
    for key, inner in (("pre_emph", {"_target_": "ampsim.losses.MSE"}), ("pre_emph_mrstft", spectral)):
        if loss.get(f"{key}_weight"):
            terms[key] = {
                "_target_": "ampsim.losses.PreEmphasized",
                "weight": float(loss[f"{key}_weight"]),
                "coefficient": float(loss[f"{key}_coef"]),
                "loss": dict(inner),
            }
    if "mrstft" in terms or "pre_emph_mrstft" in terms:
        result.notes.append("mrstft: the same windows and hops, and log magnitudes count half as much here")
    result.sections["loss"] = {"terms": terms}
    if loss.get("val_loss"):
        result.notes.append("loss.val_loss: the weights that are kept are those with the least loss on validation")
    if loss.get("mask_first"):
        result.notes.append("loss.mask_first: every output that counts has the whole past that the net hears")
    result.notes += left(loss, "loss.")


def nam_optimizer(model: dict[str, Any], epochs: int, result: Imported) -> None:
    optimizer, scheduler = model.get("optimizer", {}), model.get("lr_scheduler")
    result.choices["optimizer"] = "adam"
    if "lr" in optimizer:
        result.sections["optimizer"] = {"learning_rate": float(optimizer["lr"])}
    if optimizer.get("weight_decay"):
        result.notes.append(
            "optimizer.weight_decay: it is added to the gradient there, and taken off the weights by Keras"
        )
    result.notes += left(optimizer, "optimizer.")
    result.choices["schedule"] = "constant"
    if scheduler and scheduler.get("class") == "ExponentialLR":
        gamma = float(scheduler["kwargs"]["gamma"])
        if not 0 < gamma <= 1:
            raise ValueError("lr_scheduler.kwargs.gamma is not above 0 and up to 1")
        result.choices["schedule"] = "exponential"
        result.sections["schedule"] = {"final": round(max(gamma**epochs, 1e-12), 12)}
    elif scheduler:
        result.notes.append("lr_scheduler: it has no equivalent, so the rate stays; schedule=cosine is the usual one")


def nam_learning(learning: dict[str, Any], result: Imported) -> int:
    loader, trainer = learning.get("train_dataloader", {}), learning.get("trainer", {})
    epochs = whole(trainer.get("max_epochs", NAM_EPOCHS), "trainer.max_epochs", most=MOST_EPOCHS)
    training = result.sections.setdefault("training", {})
    training |= {"epochs": epochs, "seconds": None}
    if "batch_size" in loader:
        training["batch_size"] = whole(loader["batch_size"], "batch_size")
    if isinstance(devices := trainer.get("devices"), int) and devices > 1:
        training["devices"] = whole(devices, "devices", most=64)
    result.notes += [*left(loader, "train_dataloader."), *left(trainer, "trainer.")]
    return epochs


def nam_data(data: dict[str, Any], result: Imported) -> None:
    common = data.get("common", {})
    parts = {
        name: [{**common, **each} for each in (part if isinstance(part, list) else [part])]
        for name in ("train", "validation")
        if (part := data.get(name, {})) is not None
    }
    pairs = {name: [(str(each["x_path"]), str(each["y_path"])) for each in takes] for name, takes in parts.items()}
    every = list(dict.fromkeys(pair for found in pairs.values() for pair in found))
    first = parts["train"][0]
    result.choices["data"] = "pair"
    section = recording(*zip(*every, strict=True))
    if set(pairs["train"]).isdisjoint(pairs["validation"]):
        tests = list(dict.fromkeys(PureWindowsPath(x).name for x, _ in pairs["validation"]))
        section["splits"] = {"train": 0.9, "validation": 0.1, "test": tests}
        result.notes.append(
            "data.validation: its takes are the test; a tenth of the others says which weights are kept"
        )
    else:
        start = parts["validation"][0].get("start_seconds")
        length = f"{-float(start):g} s" if isinstance(start, int | float) and start < 0 else 0.1
        section["splits"] = {"train": 0.8 if length == 0.1 else 1.0, "validation": length, "test": length}
        result.notes.append(
            "data.validation: the end of the take is the test, and validation is as long and lies before it"
        )
    delay = first.get("delay")
    section["delay"] = "auto" if delay is None else round(float(delay))
    if delay is None or float(delay) != round(float(delay)):
        result.notes.append("data.delay: it is a whole number of samples, or auto to estimate it")
    if first.get("ny"):
        result.sections.setdefault("training", {})["segment_length"] = whole(first["ny"], "ny")
    if "target_rms_dbfs" in data:
        result.notes.append("data.target_rms_dbfs: the target's level stays; loss=esr does not depend on it")
    result.sections["data"] = section
    for name, takes in parts.items():
        result.notes += left(takes[0], f"data.{name}.")
    result.notes += left(data, "data.")


# ---- AIDA-X ---------------------------------------------------------------------------------------------------------


def from_aidax(found: dict[str, tuple[Path, dict[str, Any]]]) -> Imported:
    if set(found) != {"aidax"}:
        raise AmpsimError("of AIDA-X name the one JSON file in Configs/ that its notebook trains with")
    path, config = found["aidax"]
    result = Imported(f"From a config of AIDA-X's trainer ({path.name}).")
    with understood(path, "the config"):
        aida_net(config, result)
        aida_loss(config, result)
        aida_training(config, result)
    return result


def aida_net(config: dict[str, Any], result: Imported) -> None:
    kind = config.get("unit_type", "LSTM")
    if config.get("model", "SimpleRNN") != "SimpleRNN" or kind not in ("LSTM", "GRU"):
        raise ValueError(
            "ampsim has the model SimpleRNN with LSTM or GRU alone; tcn and wavenet_* are its convolutional nets"
        )
    params = config.get("params") or {}
    if params.get("n") or config.get("input_size", 1) != 1:
        raise ValueError("it is a net with knobs (params.n, input_size)")
    result.choices["model"] = kind.lower()
    result.sections["model"] = {
        "units": whole(config["hidden_size"], "hidden_size", most=4096),
        "layers": whole(config.get("num_layers", 1), "num_layers", most=64),
        "skip": bool(config.get("skip_con", 1)),
        "burn_in": whole(config.get("init_len", AIDA_BURN_IN), "init_len"),
    }
    takes = params.get("datasets") or []
    if takes:
        result.choices["data"] = "pair"
        result.sections["data"] = recording([take["input"] for take in takes], [take["target"] for take in takes])
    else:
        result.notes.append("the recording is named on the command line: ampsim train input=... target=...")


def aida_loss(config: dict[str, Any], result: Imported) -> None:
    weights = config.get("loss_fcns", {"ESRPre": 0.75, "DC": 0.25})
    esr: Any = {"_target_": "ampsim.losses.ESR"}
    filters: dict[str, dict[str, Any]] = {
        "high_pass": {"_target_": "ampsim.losses.PreEmphasized", "coefficient": EMPHASIS, "loss": esr},
        "A-weighting": {"_target_": "ampsim.losses.AWeighted", "loss": esr},
        "A-weighting-lp": {"_target_": "ampsim.losses.AWeighted", "low_pass": EMPHASIS, "loss": esr},
    }
    chosen = config.get("pre_filt", "high_pass")
    filtered = filters.get(chosen) if isinstance(chosen, str) else None
    if filtered is None and str(chosen) not in ("None", ""):
        result.notes.append("pre_filt: it has no equivalent, so ESRPre is an ESR without a filter")
    terms: dict[str, Any] = {"esr": {"weight": 0.0}}
    for name, weight in weights.items():
        if name == "ESR" or (name == "ESRPre" and filtered is None):
            terms["esr"]["weight"] += float(weight)
        elif name == "ESRPre" and filtered is not None:
            terms["esr_filtered"] = {**filtered, "weight": float(weight)}
        elif name == "DC":
            terms["dc"] = {"_target_": "ampsim.losses.DC", "weight": float(weight)}
        else:
            result.notes.append(f"loss_fcns.{str(name)[:40]} has no equivalent")
    result.choices["loss"] = "esr"
    result.sections["loss"] = {"terms": terms}


def aida_training(config: dict[str, Any], result: Imported) -> None:
    result.choices |= {"optimizer": "adam", "schedule": "cosine"}
    result.sections["optimizer"] = {"learning_rate": float(config.get("learn_rate", AIDA_RATE))}
    training: dict[str, Any] = {"validate_every": float(config.get("validation_f", 2))}
    if "epochs" in config:
        training["epochs"], training["seconds"] = whole(config["epochs"], "epochs", most=MOST_EPOCHS), None
    if "batch_size" in config:
        training["batch_size"] = whole(config["batch_size"], "batch_size")
    if config.get("validation_p"):
        training["patience"] = whole(config["validation_p"], "validation_p")
    if "samplerate" in config:
        milliseconds = whole(config.get("segment_length", 500), "segment_length")
        training["segment_length"] = whole(round(milliseconds * float(config["samplerate"]) / 1000), "segment_length")
    result.sections["training"] = training
    if config.get("seed") is not None:
        result.sections["seed"] = whole(config["seed"], "seed", least=0, most=2**32 - 1)
    result.notes.append("the rate falls along a cosine here, and there by half where validation stands still")
    result.notes.append(
        "a weight decay of 1e-4 is fixed there; here it is optimizer.weight_decay, taken off the weights"
    )
    if config.get("up_fr"):
        result.notes.append("up_fr: gradients flow through a whole segment, and each batch is one step")
    result.notes += left(config, "")
