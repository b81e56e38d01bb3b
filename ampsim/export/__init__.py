"""Exports: a trained model in the formats of players and runtimes, each proven before it is called done."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ampsim import AmpsimError, counted
from ampsim.config.targets import nearest
from ampsim.export.aidax import AidaX
from ampsim.export.formats import LIMIT, Details, Format, Proof, file_stem
from ampsim.export.keras import Keras
from ampsim.export.litert import LiteRT
from ampsim.export.nam import GEAR_TYPES, TONE_TYPES, Nam
from ampsim.export.onnx import Onnx
from ampsim.export.page import Page
from ampsim.export.rig import Rig
from ampsim.export.rtneural import RTNeural
from ampsim.files import atomic, atomic_folder, expanded, refuse_existing, refuse_existing_folder
from ampsim.models import AmpModel
from ampsim.models.cost import told_speed
from ampsim.models.forms import CannotHoldError
from ampsim.recordings.levels import level
from ampsim.recordings.probe import Excerpt, Probe, probe

__all__ = ["FORMATS", "CannotHoldError", "Details", "Export", "Format", "export", "formats_named"]

# Where a player has to be found for a model, in this order.
FOR_PLUGINS = ("rig", "nam", "aidax", "rtneural")
FORMATS: dict[str, Format] = {
    each.name: each for each in (Nam(), Rig(), RTNeural(), AidaX(), Onnx(), LiteRT(), Page(), Keras())
}


@dataclass(frozen=True)
class Export:
    """A file that was written and proven."""

    format: Format
    path: Path
    proof: Proof
    latency: str = ""  # what a player adds, where the model hears the future
    players: str = ""  # which ones read the file
    speed: float | None = None  # times faster than real time in a plugin on one core, an estimate
    advice: str = ""  # what else is to be known by whoever plays the file
    probe: Probe | None = None  # when it answers, against the amp's recording

    def told(self) -> str:
        largest, settled = (f"{value:.1e}" for value in (self.proof.difference, self.proof.settled_difference))
        return (
            f"{self.path}: largest difference {largest} of full scale from sample 0, {settled} after warm-up, as read by "
            f"{self.format.prover}; a player starts {self.format.start}"
        )

    def notes(self) -> list[str]:
        """What is to be known of the file in a player, in sentences: who reads it, what it costs, and what is better."""
        timed = f"{self.format.name}: {self.probe.told()}" if self.probe else ""
        return [each for each in (timed, self.players, told_speed(self.speed), self.advice) if each]


def export(
    model: AmpModel,
    formats: Sequence[Format],
    output: Path,
    details: Details,
    *,
    overwrite: bool = False,
    inputs: Sequence[str | Path] = (),
    excerpt: Excerpt | None = None,
    late: bool = False,
) -> list[Export]:
    """Write a model in every format, prove and probe each file, and only then give the files their names.

    Args:
        output: a file, or for a rig a folder, where one format is asked for; else a folder, in which each takes the name
            `details.name`.
        inputs: files that the model came from, which are never written over.
        excerpt: of the recording that the model learnt from; what a file plays of it says when the file answers.
        late: keep files that answer later than the amp, or inverted.

    Raises:
        AmpsimError: a format cannot hold the model, an output exists or is an input, or a file does not play as the model
            does, or later than the amp. Nothing is left behind.
    """
    check_details(details)
    for each in formats:
        refuse(model, each)
    planned = [*zip(formats, destinations(formats, output, details.name), strict=True)]
    for each, path in planned:
        refuse_place(each, path, overwrite=overwrite, inputs=inputs)
    folder = planned[0][1].parent
    made = not folder.exists()
    try:
        with ExitStack() as files:  # all of them take their names at its end, or none
            partial = [
                files.enter_context((atomic_folder if each.folder else atomic)(path, overwrite=overwrite))
                for each, path in planned
            ]
            return [
                written(model, *places, temporary, details, excerpt, late=late)
                for places, temporary in zip(planned, partial, strict=True)
            ]
    except OSError as error:
        raise AmpsimError(f"{folder} cannot be written to: {error.strerror or error}") from error
    finally:
        if made and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()


def refuse_place(each: Format, path: Path, *, overwrite: bool, inputs: Sequence[str | Path]) -> None:
    if each.folder:
        refuse_existing_folder(path, overwrite=overwrite)
    else:
        refuse_existing(path, overwrite=overwrite, inputs=inputs)


def written(
    model: AmpModel,
    each: Format,
    path: Path,
    partial: Path,
    details: Details,
    excerpt: Excerpt | None,
    *,
    late: bool,
) -> Export:
    each.write(model, partial, details)
    proof = each.prove(model, partial)
    if not proof.holds:
        raise AmpsimError(
            f"the {each.name} file was not kept: played by {each.prover} it differs from the model by {proof.difference:.1e} "
            f"(after warm-up {proof.settled_difference:.1e}) where {LIMIT * max(1.0, proof.peak):.0e} is allowed"
        )
    assert model.sample_rate
    heard = probe(each.load(partial), excerpt, model.lookahead, model.sample_rate)
    if (fault := heard.fault()) and not late:
        raise AmpsimError(f"the {each.name} file was not kept: {fault} (late=true keeps it as it is)")
    levels = {name: level(name, getattr(details, name)) for name in ("input_level_dbu", "output_level_dbu")}
    each.annotate(
        partial, {"alignment": heard.facts(), **{name: dbu for name, dbu in levels.items() if dbu is not None}}
    )
    latency = (
        f"{counted(model.lookahead, 'sample')} ({1000 * model.lookahead / model.sample_rate:.1f} ms)"
        if model.lookahead
        else ""
    )
    return Export(each, path, proof, latency, each.players(model), each.speed(model), each.advice(model), heard)


def for_plugins(model: AmpModel) -> Format | None:
    """The format in which plugins play a model best; None where no plugin plays it."""
    return next((FORMATS[name] for name in FOR_PLUGINS if not refusal(model, FORMATS[name])), None)


def formats_named(names: str) -> list[Format]:
    """`nam,onnx` as formats."""
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    known = known_formats()
    for name in chosen:
        if name not in known:
            raise AmpsimError(f"format={name}: there is no such format{nearest(name, list(known))}")
    if not chosen or len(set(chosen)) < len(chosen):
        raise AmpsimError(f"format={names}: name one or several of {', '.join(known)}, each once")
    return [known[name] for name in chosen]


def known_formats() -> dict[str, Format]:
    """ampsim's formats by name, and those of the plugins that are loaded; none of these takes the name of one of ours."""
    others = [each for each in Format.__subclasses__() if each.__module__.partition(".")[0] != "ampsim"]
    return {each.name: each() for each in others} | FORMATS


def refuse(model: AmpModel, each: Format) -> None:
    if not model.sample_rate:
        raise AmpsimError("the model does not know its sample rate, which an export needs")
    reason = refusal(model, each)
    if reason:
        able = [name for name, other in known_formats().items() if not refusal(model, other)]
        raise AmpsimError(f"format={each.name} cannot hold this model: {reason}. These can: {', '.join(able)}")


def refusal(model: AmpModel, each: Format) -> str:
    """Why a format cannot hold a model; nothing where it can."""
    try:
        each.check(model)
    except CannotHoldError as error:
        return str(error)
    return ""


def destinations(formats: Sequence[Format], output: Path, name: str) -> list[Path]:
    output = expanded(output)
    endings = [each.ending for each in formats]
    if len(formats) == 1 and formats[0].folder:
        if output.suffix.lower() in {each.ending for each in known_formats().values()}:
            raise AmpsimError(
                f"{output}: format={formats[0].name} is a folder of several files: name one without {output.suffix}"
            )
        return [output]
    if len(formats) == 1 and output.suffix and not output.is_dir():
        if output.suffix.lower() != endings[0]:
            raise AmpsimError(f"{output}: a file of format={formats[0].name} ends in {endings[0]}")
        return [output]
    if output.exists() and not output.is_dir():
        raise AmpsimError(f"{output} is a file; several formats go into a folder")
    stem = file_stem(name)
    # Two formats share an ending; their files still need names of their own.
    return [
        output / f"{stem}{f'-{each.name}' if endings.count(each.ending) > 1 else ''}{each.ending}" for each in formats
    ]


def check_details(details: Details) -> None:
    for name, known in (("gear_type", GEAR_TYPES), ("tone_type", TONE_TYPES)):
        stated = getattr(details, name)
        if stated and stated not in known:
            raise AmpsimError(f"{name}={stated}: it is one of {', '.join(known)}")
    for name in ("input_level_dbu", "output_level_dbu"):
        level(name, getattr(details, name))
    if not 1 <= details.block_length <= 1 << 16:
        raise AmpsimError(f"block={details.block_length}: a block has from 1 to {1 << 16:,} samples")
