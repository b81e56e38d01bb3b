"""The options of each command, `key=value`, and how they are read."""

import json
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from ampsim import AmpsimError
from ampsim.config.targets import nearest
from ampsim.files import expanded
from ampsim.runs import locations


def needed(text: str) -> Any:
    return field(metadata={"help": text})


def option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


# Options that name a file or a folder, wherever a command has them: `~` at the beginning is the home.
FILES = ("folder", "input", "target", "output", "capture", "automation", "config", "data", "json", "html", "settings")


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    folder: str = option("runs", "the folder that holds the runs")
    uri: str = option("", "another MLflow store (tracking.uri in the config)")
    experiment: str = option("ampsim", "the MLflow experiment (tracking.experiment in the config)")

    def __post_init__(self) -> None:
        locations.refuse_unreachable(self.uri)  # before anything is loaded, which takes seconds

    def where(self) -> dict[str, Any]:
        """The store, as the functions of `ampsim.api` take it."""
        return {"folder": self.folder, "uri": self.uri or None, "experiment": self.experiment}


@dataclass(frozen=True, kw_only=True)
class Evaluate(StoreOptions):
    """Score a run's model on its recording."""

    run: str = option("last", "id, name or last")
    split: str = option("test", "train, validation or test")
    oversample: int = option(1, "play the model at so many times its sample rate")
    verbose: bool = option(False, "show every score")


@dataclass(frozen=True, kw_only=True)
class Render(StoreOptions):
    """Play a recording of any length through a run's model or a capture, in constant memory."""

    input: str = needed("an audio file, or a folder of them")
    output: str = needed("the file to write (.wav, .flac, .aiff), or a folder")
    run: str = option("last", "id, name or last")
    capture: str = option("", "a .nam file to play instead of a run")
    slim: str = option("", "which net of a container plays, 0 (the smallest) to 1; by default the largest")
    setting: str = option("", "of an amp's controls, {gain: 7, treble: 3}, or just gain=7 treble=3")
    automation: str = option("", "or a CSV file with a column seconds and one for each control, which turns them")
    channel: int = option(-1, "the channel of the input to play, counted from 0; required if there are several")
    oversample: int = option(1, "play at so many times the model's sample rate: no aliases, and as much more work")
    overwrite: bool = option(False, "overwrite existing files")


@dataclass(frozen=True, kw_only=True)
class Compare(StoreOptions):
    """Rank runs by a score, grouped over their seeds, and show what made the difference."""

    sweep: str = option("", "all runs of a sweep: its parent's id or name, or last")
    runs: str = option("", "or single runs, a,b,c: each an id, a name or last")
    metric: str = option("esr", "the score to rank by, as named by `ampsim evaluate`")
    output: str = option("", "a folder for the table (CSV), the figure (PNG) and a summary (Markdown)")
    html: str = option("", "write the study page, to sort, filter, draw and listen, to this HTML file")
    overwrite: bool = option(False, "overwrite these files")


@dataclass(frozen=True, kw_only=True)
class Score:
    """Score renders of any tool against an amp's recording, aligned and ranked, and write a page for blind tests."""

    target: str = needed("the amp's recording")
    candidates: str = needed("renders, [a.wav,b.wav] (a name with a comma in quotes), or a folder of them")
    metric: str = option("esr", "the score to rank by, such as a_weighted_esr or predicted_mushra")
    channel: int = option(-1, "the channel of the target that holds the amp, counted from 0; required if they differ")
    html: str = option("", "write a listening page with blind tests to this HTML file")
    output: str = option("", "a folder for the scores (CSV and JSON) and the page")
    overwrite: bool = option(False, "overwrite existing files")


@dataclass(frozen=True, kw_only=True)
class Figures(StoreOptions):
    """Draw a run's figures again, from the sound and the curves that it keeps."""

    output: str = option("", "the folder to write them to; by default the run, which gets its listening page too")
    run: str = option("last", "id, name or last")
    format: str = option("png", "png or svg")
    overwrite: bool = option(False, "overwrite existing files")


@dataclass(frozen=True, kw_only=True)
class Reproduce(StoreOptions):
    """Train again from a run's saved config, on the same recording, and check how close the result comes."""

    run: str = option("last", "id, name or last")
    config: str = option("", "or a saved config.yaml; the result is compared with the files beside it")
    data: str = option("", "the folder that holds the recording now, if it was moved")


@dataclass(frozen=True, kw_only=True)
class Export(StoreOptions):
    """Export a run's model for players and runtimes, and verify that it sounds the same there."""

    format: str = needed("nam, rig, rtneural, aidax, onnx, litert, page or keras; separate several with commas")
    output: str = needed("the file to write, or a folder; a rig is a folder")
    run: str = option("last", "id, name or last")
    setting: str = option("", "of an amp's controls, {gain: 7, treble: 3}, or a list of such, a file each")
    name: str = option("", "the name a player shows; by default the run's name")
    modeled_by: str = option("", "who made the model")
    gear_type: str = option("", "amp, pedal, pedal_amp, amp_cab, amp_pedal_cab, preamp or studio")
    gear_make: str = option("", "of the amp")
    gear_model: str = option("", "of the amp")
    tone_type: str = option("", "clean, overdrive, crunch, hi_gain or fuzz")
    input_level_dbu: str = option(
        "", "of the direct signal's full scale, in dBu; by default the run's (data.input_level_dbu)"
    )
    output_level_dbu: str = option("", "the same of the amp's signal")
    block: int = option(256, "samples per block, for onnx and litert")
    late: bool = option(False, "keep a file that answers later than the amp, or inverted")
    overwrite: bool = option(False, "overwrite existing files")


@dataclass(frozen=True, kw_only=True)
class Loudness:
    """Show how loud captures are, and write copies that are equally loud; the words without `=` are captures."""

    output: str = option("", "a folder for copies that are equally loud")
    level: str = option("", "how loud, in dB; by default the median of the captures")
    overwrite: bool = option(False, "overwrite existing files")


@dataclass(frozen=True, kw_only=True)
class Calibrate:
    """Say what full scale is in dBu, by a recorded test tone and what a meter showed of it in the cable."""

    input: str = needed("an audio file that holds a sine of some seconds at one level")
    volts: str = option("", "RMS, as the meter showed it")
    dbu: str = option("", "or the same in dBu")
    channel: int = option(-1, "the channel that holds the tone, counted from 0; required if there are several")


@dataclass(frozen=True, kw_only=True)
class Register(StoreOptions):
    """Add a run's model to MLflow's registry, with its signature and an example, as the next version of a name."""

    name: str = needed("of the registered model")
    run: str = option("last", "id, name or last")


@dataclass(frozen=True, kw_only=True)
class Ui(StoreOptions):
    """Serve MLflow's page of the runs on 127.0.0.1."""

    port: int = option(5000, "the port to listen on")


@dataclass(frozen=True, kw_only=True)
class FitEar(StoreOptions):
    """Weigh the terms of a loss by what listeners answered; the words without `=` are votes files."""

    output: str = needed("the YAML to write, such as my_lab/conf/loss/my_ear.yaml")


@dataclass(frozen=True, kw_only=True)
class Sync:
    """Send results that were kept on disk while the MLflow server was down; safe to run again."""

    folder: str = option("runs", "the folder that holds the runs")


@dataclass(frozen=True, kw_only=True)
class Plan(StoreOptions):
    """Say which settings of an amp's knobs to record, as a sheet to tick off; the first ones matter most."""

    controls: str = option(
        "", "knobs with their ranges, switches with their positions: '{gain: [0, 10], bright: [off, on]}'"
    )
    settings: str = option("", "or a sheet (CSV or YAML) of what is recorded already, to which the plan adds")
    run: str = option(
        "", "or a run on such a sheet (id, name or last): adds where it and its runs of other seeds disagree"
    )
    count: int = option(12, "how many settings")
    seed: int = option(0, "of the draws: another seed, another plan")
    output: str = option("", "write the sheet that data=knobs reads to this CSV file")
    overwrite: bool = option(False, "overwrite an existing file")


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Check a recording for faults that would spoil training: delay, drift, gaps, clipping, hum and more."""

    input: str = needed("a stereo file (left: direct, right: amp), the direct signal, or a sheet of settings (CSV)")
    target: str = option("", "the amp's file, if it is a separate one")
    input_channel: int = option(0, "channel of the direct signal in a stereo file, counted from 0")
    target_channel: int = option(1, "channel of the amp in a stereo file")
    input_level_dbu: str = option("", "of the direct signal's full scale, in dBu, to see its peaks in volts")
    output_level_dbu: str = option("", "the same of the amp's signal")
    json: str = option("", "write the findings to this JSON file")
    html: str = option("", "write a page with figures to this HTML file")
    overwrite: bool = option(False, "overwrite existing files")


def refuse_empty(options: StoreOptions) -> None:
    locations.refuse_empty(options.folder, options.uri)


def parsed(options: type, words: Sequence[str]) -> Any:
    """`key=value` words as an instance of an options class; its help, if that is what was asked for."""
    known = {each.name: each for each in fields(options)}
    if any(word in ("--help", "-h") for word in words):
        print(f"ampsim {options.__name__.lower()} [key=value ...]: {options.__doc__}\n")
        print_options(options)
        raise SystemExit(0)
    values: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in known:
            raise AmpsimError(f"`{word}` is not understood{nearest(name, list(known))} (options are key=value)")
        values[name] = str(expanded(value)) if value and name in FILES else converted(name, value, known[name].type)
    missing = [each.name for each in known.values() if each.default is MISSING and each.name not in values]
    if missing:
        raise AmpsimError(f"{missing[0]} has no value: add {missing[0]}=... to the command")
    return options(**values)


def with_setting(options: type, words: Sequence[str]) -> list[str]:
    """The words, those that are no option gathered as a setting: `gain=7 treble=3` is `setting={gain: 7, treble: 3}`.

    One that is close to an option is a slip of the pen, and is left for `parsed` to refuse.
    """
    known = [each.name for each in fields(options)]
    others = [
        word
        for word in words
        if word.count("=") == 1 and not nearest(word.partition("=")[0], known).startswith("; did")
    ]
    if not others:
        return [*words]
    pairs = json.dumps(dict(word.split("=") for word in others), ensure_ascii=False)
    return [*(word for word in words if word not in others), f"setting={pairs}"]


def print_options(options: type) -> None:
    """A line of help for each option."""
    known = {each.name: each for each in fields(options)}
    width = max(map(len, known)) + 2
    for each in known.values():
        default = (
            "needed" if each.default is MISSING else f"default {each.default}" if each.default not in ("", -1) else ""
        )
        print(f"  {each.name:<{width}}{each.metadata['help']}{f' ({default})' if default else ''}")


def converted(name: str, value: str, kind: Any) -> Any:
    if kind is bool:
        if value.lower() not in ("true", "false"):
            raise AmpsimError(f"{name}={value}: it is true or false")
        return value.lower() == "true"
    if kind is int:
        try:
            return int(value)
        except ValueError:  # Python reads no number of thousands of digits
            raise AmpsimError(f"{name}={value}: it is a whole number") from None
    return value
