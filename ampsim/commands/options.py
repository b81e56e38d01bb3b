"""The options of each command.

The docstring of a class is the command's help: a sentence, examples, which begin with the command, and whatever else there
is to say.
"""

from dataclasses import dataclass
from typing import Any

from ampsim.commands.words import needed, option, plain
from ampsim.runs import locations

SPLITS = ("train", "validation", "test")
SCORES = ("esr", "a_weighted_esr", "predicted_mushra", "hiss_db")
FORMATS = ("nam", "rig", "rtneural", "aidax", "onnx", "litert", "page", "keras")
GEAR = ("amp", "pedal", "pedal_amp", "amp_cab", "amp_pedal_cab", "preamp", "studio")
TONES = ("clean", "overdrive", "crunch", "hi_gain", "fuzz")


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    folder: str = option("runs", "the folder that holds the runs")
    uri: str = option("", "another MLflow store, http://host:5000 or postgresql://...")
    mlflow_experiment: str = option("ampsim", "the experiment in MLflow that holds the runs")

    def __post_init__(self) -> None:
        locations.refuse_unreachable(self.uri)  # before anything is loaded, which takes seconds

    def where(self) -> dict[str, Any]:
        """The store, as the functions of `ampsim.api` take it."""
        return {"folder": self.folder, "uri": self.uri or None, "mlflow_experiment": self.mlflow_experiment}


@dataclass(frozen=True, kw_only=True)
class Evaluate(StoreOptions):
    """Score a run's model on its recording.

    ampsim evaluate
    ampsim evaluate run=my_amp split=train
    ampsim evaluate run=last oversample=4 verbose=true
    """

    run: str = option("last", "id, name or last")
    split: str = option("test", "train, validation or test", *SPLITS)
    oversample: int = option(1, "play the model at so many times its sample rate")
    verbose: bool = option(False, "show every score")


@dataclass(frozen=True, kw_only=True)
class Render(StoreOptions):
    """Play a recording of any length through a run's model or a capture.

    ampsim render input=riff.wav output=out.wav
    ampsim render run=my_amp input=takes output=rendered oversample=4
    ampsim render capture=amp.nam input=riff.wav output=out.flac overwrite=true
    """

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
    """Rank runs by a score, grouped over their seeds, and show what made the difference.

    ampsim compare sweep=last
    ampsim compare runs=my_amp,last metric=predicted_mushra
    ampsim compare sweep=last output=compared overwrite=true
    """

    sweep: str = option("", "all runs of a sweep: its parent's id or name, or last")
    runs: str = option("", "or single runs, a,b,c: each an id, a name or last")
    metric: str = option("esr", "the score to rank by, as named by `ampsim evaluate`", *SCORES)
    output: str = option("", "a folder for the table (CSV), the figure (PNG) and a summary (Markdown)")
    html: str = option("", "write the study page, to sort, filter, draw and listen, to this HTML file")
    overwrite: bool = option(False, "overwrite these files")


@dataclass(frozen=True, kw_only=True)
class Score:
    """Score renders of any tool against an amp's recording, rank them, write blind tests.

    ampsim score target=amp.wav candidates=[ours.wav,theirs.wav]
    ampsim score target=my_amp.wav channel=1 candidates=renders html=listen.html
    ampsim score target=amp.wav candidates=renders metric=predicted_mushra output=scored
    """

    target: str = needed("the amp's recording")
    candidates: str = needed("renders, [a.wav,b.wav] (a name with a comma in quotes), or a folder of them")
    metric: str = option("esr", "the score to rank by, such as a_weighted_esr or predicted_mushra", *SCORES)
    channel: int = option(-1, "the channel of the target that holds the amp, counted from 0; required if they differ")
    html: str = option("", "write a listening page with blind tests to this HTML file")
    output: str = option("", "a folder for the scores (CSV and JSON) and the page")
    overwrite: bool = option(False, "overwrite existing files")


@dataclass(frozen=True, kw_only=True)
class Figures(StoreOptions):
    """Draw a run's figures again, from the sound and the curves that it keeps.

    ampsim figures run=my_amp
    ampsim figures run=my_amp output=figures format=svg
    ampsim figures run=last output=figures overwrite=true
    """

    output: str = option("", "the folder to write them to; by default the run, which gets its listening page too")
    run: str = option("last", "id, name or last")
    format: str = option("png", "png or svg", "png", "svg")
    overwrite: bool = option(False, "overwrite existing files")


@dataclass(frozen=True, kw_only=True)
class Reproduce(StoreOptions):
    """Train again from a run's saved config and check how close the result comes.

    ampsim reproduce
    ampsim reproduce run=my_amp data=/mnt/recordings
    ampsim reproduce config=from_a_friend/config.yaml
    """

    run: str = option("last", "id, name or last")
    config: str = option("", "or a saved config.yaml; the result is compared with the files beside it")
    data: str = option("", "the folder that holds the recording now, if it was moved")


@dataclass(frozen=True, kw_only=True)
class Export(StoreOptions):
    """Export a run's model for players and runtimes, and verify that it sounds the same.

    ampsim export format=nam output=amp.nam
    ampsim export run=my_amp format=rig output=my_rig gear_make=Marshall gear_type=amp_cab
    ampsim export format=nam,onnx,litert output=exports
    """

    format: str = needed(
        "nam, rig, rtneural, aidax, onnx, litert, page or keras; separate several with commas", *FORMATS
    )
    output: str = needed("the file to write, or a folder; a rig is a folder")
    run: str = option("last", "id, name or last")
    setting: str = option("", "of an amp's controls, {gain: 7, treble: 3}, or a list of such, a file each")
    name: str = option("", "the name a player shows; by default the run's name")
    modeled_by: str = option("", "who made the model")
    gear_type: str = option("", "amp, pedal, pedal_amp, amp_cab, amp_pedal_cab, preamp or studio", *GEAR)
    gear_make: str = option("", "of the amp")
    gear_model: str = option("", "of the amp")
    tone_type: str = option("", "clean, overdrive, crunch, hi_gain or fuzz", *TONES)
    input_level_dbu: str = option(
        "", "of the direct signal's full scale, in dBu; by default the run's (data.input_level_dbu)"
    )
    output_level_dbu: str = option("", "the same of the amp's signal")
    block: int = option(256, "samples per block, for onnx and litert")
    late: bool = option(False, "keep a file that answers later than the amp, or inverted")
    overwrite: bool = option(False, "overwrite existing files")


@dataclass(frozen=True, kw_only=True)
class Loudness:
    """Show how loud captures are, and write copies that are equally loud.

    Loudness is the RMS of what a capture plays of the format's reference input, in dB full scale; beside it stands what the
    file states. In a copy the gain is in the numbers of the last layer, and the metadata state it.

    ampsim loudness a.nam b.nam
    ampsim loudness a.nam b.nam output=even
    ampsim loudness a.nam b.nam output=even level=-18
    """

    files: tuple[str, ...] = plain("a.nam b.nam ...", "the captures")
    output: str = option("", "a folder for copies that are equally loud; the captures themselves stay as they are")
    level: str = option("", "how loud, in dB; by default the median of the captures")
    overwrite: bool = option(False, "overwrite existing files")


@dataclass(frozen=True, kw_only=True)
class Calibrate:
    """Say what full scale is in dBu, by a recorded tone and what a meter showed of it.

    ampsim calibrate input=tone.wav volts=0.775
    ampsim calibrate input=tone.wav dbu=4
    ampsim calibrate input=stereo.wav volts=1.2 channel=0
    """

    input: str = needed("an audio file that holds a sine of some seconds at one level")
    volts: str = option("", "RMS, as the meter showed it")
    dbu: str = option("", "or the same in dBu")
    channel: int = option(-1, "the channel that holds the tone, counted from 0; required if there are several")


@dataclass(frozen=True, kw_only=True)
class Register(StoreOptions):
    """Add a run's model to MLflow's registry, as the next version of a name.

    ampsim register name=my-amp
    ampsim register run=my_amp name=my-amp
    ampsim register run=last name=my-amp uri=http://host:5000
    """

    name: str = needed("of the registered model")
    run: str = option("last", "id, name or last")


@dataclass(frozen=True, kw_only=True)
class Ui(StoreOptions):
    """Serve MLflow's page of the runs on 127.0.0.1.

    ampsim ui
    ampsim ui port=5001
    ampsim ui folder=/mnt/runs mlflow_experiment=losses
    """

    port: int = option(5000, "the port to listen on")


@dataclass(frozen=True, kw_only=True)
class FitEar(StoreOptions):
    """Weigh the terms of a loss by what listeners answered, and write it as a YAML.

    ampsim fit-ear anna.json ben.json output=my_lab/conf/loss/my_ear.yaml
    ampsim fit-ear anna.json output=my_ear.yaml folder=/mnt/runs
    ampsim fit-ear anna.json output=my_ear.yaml uri=http://host:5000

    The files that a listening page saved say which runs were heard in MUSHRA tests; these must lie in `folder`. In each
    excerpt a listener rates some models above others: the weights are those with which the loss predicts best which (a
    Bradley-Terry model on the logs of the terms). Intervals (95 %) come from drawing listeners, and excerpts of each, anew.
    Listeners whom ITU-R BS.1534-3 excludes do not count. Put the file into conf/loss/ of a plugin of yours, and train with
    plugins=. loss=my_ear
    """

    files: tuple[str, ...] = plain("file.json ...", "the files with votes")
    output: str = needed("the YAML to write, such as my_lab/conf/loss/my_ear.yaml")


@dataclass(frozen=True, kw_only=True)
class Sync:
    """Send results that waited for an MLflow server; safe to run again.

    ampsim sync
    ampsim sync folder=/mnt/runs
    ampsim sync folder=~/runs
    """

    folder: str = option("runs", "the folder that holds the runs")


@dataclass(frozen=True, kw_only=True)
class Votes:
    """Summarise the answers of listeners on listening pages (listen.html).

    ampsim votes anna.json
    ampsim votes anna.json ben.json
    ampsim votes votes/*.json

    Name the files that the page's Download or Copy button made. ABX tests: correct answers of all listeners, the exact
    one-sided binomial p and the Clopper-Pearson 95 % interval. MUSHRA: mean ratings with 95 % intervals over listeners, and
    each two models by how differently the same listener rated them (paired t test, corrected for the number of pairs).
    After ITU-R BS.1534-3, 4.1.2, it excludes listeners who in more than 15 % of the excerpts rate the hidden reference below
    90, or the mid-range anchor above 90. An excerpt in which more than a quarter of the listeners do the latter excludes
    nobody: its anchor is hardly to be told from the reference.
    """

    files: tuple[str, ...] = plain("file.json ...", "the files with votes")


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a model, score it, and keep everything in MLflow.

    ampsim train
    ampsim train my_amp.wav experiment=five_minutes
    ampsim train -m model.layers=1,2,3 seed=0,1
    """

    files: tuple[str, ...] = plain("[recording] [key=value ...]", "the recording", 2)


@dataclass(frozen=True, kw_only=True)
class Completion:
    """Print what makes Tab complete commands, options, choices and keys in a shell.

    ampsim completion bash
    ampsim completion zsh
    ampsim completion fish

    In bash and zsh, type `eval "$(ampsim completion bash)"`, and keep the line in ~/.bashrc; in ~/.zshrc it comes behind
    compinit. In fish, `ampsim completion fish | source`, or write it to ~/.config/fish/completions/ampsim.fish.

    Then `ampsim train mod<Tab>` offers model= and model., `model=<Tab>` every model with those of plugins, and
    `training.<Tab>` the keys of that section. It reads YAML alone and runs no code of a plugin.
    """

    files: tuple[str, ...] = plain("bash|zsh|fish", "the shell")


@dataclass(frozen=True, kw_only=True)
class Init:
    """Lay out a project of your own: a loss, a study, tests, a README and a Makefile.

    ampsim init my-amp
    ampsim init ~/projects/fuzz-lab
    ampsim init .

    The folder is new or empty. The package inside has its name, in letters that Python takes: my-amp holds my_amp.
    """

    files: tuple[str, ...] = plain("FOLDER", "one folder", 1)


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """Read another trainer's config as an experiment, and say what is not the same.

    ampsim import-config nam model.json output=conf/experiment/mine.yaml
    ampsim import-config nam data.json model.json learning.json output=my_lab/conf/experiment/x.yaml
    ampsim import-config aidax LSTM-16.json output=my_lab/conf/experiment/mine.yaml

    nam: the three files of NAM's full trainer, in any order; the model's is enough. aidax: the file in Configs/ that the notebook
    trains with. In conf/experiment/ of a plugin, a folder that `ampsim init` makes: ampsim train plugins=. experiment=mine
    """

    files: tuple[str, ...] = plain("nam|aidax FILE ...", "the trainer, and then its config files")
    output: str = needed("the YAML to write")
    overwrite: bool = option(False, "overwrite an existing file")


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Write JSON schemas of the YAML, with the parts of plugins, for an editor.

    ampsim schema
    ampsim schema output=editor
    ampsim schema plugins=my_lab overwrite=true
    """

    output: str = option(".vscode/ampsim", "the folder to write them to")
    overwrite: bool = option(False, "overwrite existing files")


@dataclass(frozen=True, kw_only=True)
class Plan(StoreOptions):
    """Say which settings of an amp's knobs to record, as a sheet to tick off.

    ampsim plan controls='{gain: [0, 10], bright: ["off", "on"]}' output=settings.csv
    ampsim plan settings=settings.csv count=6
    ampsim plan run=last count=6 output=more.csv

    The first settings of a plan matter most.
    """

    controls: str = option(
        "", "knobs with their ranges, switches with their positions: '{gain: [0, 10], bright: [off, on]}'"
    )
    settings: str = option(
        "", "or a sheet (CSV or YAML) of what is recorded, to which the plan adds; controls= where it states no ranges"
    )
    run: str = option(
        "", "or a run on such a sheet (id, name or last): adds where it and its runs of other seeds disagree"
    )
    count: int = option(12, "how many settings")
    seed: int = option(0, "of the draws: another seed, another plan")
    output: str = option("", "write the sheet that data=knobs reads to this CSV file")
    overwrite: bool = option(False, "overwrite an existing file")


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Check a recording for what would spoil training: drift, gaps, clipping, hum ...

    ampsim doctor my_amp.wav
    ampsim doctor direct.wav amp.wav
    ampsim doctor my_amp.wav html=my_amp.html json=found.json
    """

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


def of_command(name: str) -> type | None:
    """The class that holds a command's options; None where it has none of that kind."""
    return globals().get(name.title().replace("-", ""))
