"""Makes a run again from what it saved, and judges how close the two came."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from ampsim import AmpsimError, counted, files
from ampsim.comparing import comparison
from ampsim.comparing.noise import LEVEL, POWER, detectable
from ampsim.comparing.ranking import Trial, natural
from ampsim.config.run_config import NOT_OF_THE_RUN, RunConfig
from ampsim.config.targets import build, files_of, flattened
from ampsim.files import expanded
from ampsim.metrics.scores import SCORES, VAGUE, headlines, of_test, renamed
from ampsim.models.saving import load
from ampsim.recordings.pairs import AudioPair
from ampsim.recordings.preparing import prepare_as_then
from ampsim.recordings.sources import Source
from ampsim.runs import experiment
from ampsim.runs.experiment import Result
from ampsim.runs.locations import database_uri
from ampsim.runs.tracking import VALUE_LENGTH, Store, TrackedRun, like
from ampsim.training.observer import Observer

RULE = 0.1  # of the ESR: what passes for the noise of seeds where too few of them are known


class DifferentError(AmpsimError):
    """A run was made again and came out different."""

    exit_code = 4


Config = dict[str, Any]
Notice = Callable[[str], None]


@dataclass(frozen=True)
class Original:
    """What is known of the run that is to be made again: its config as saved, and what lay beside that."""

    name: str
    config: Config
    id: str = ""
    recording: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, float | None] = field(default_factory=dict)
    pace: list[float] | None = None
    model: Path | None = None

    @property
    def digests(self) -> list[str]:
        return [str(file.get("sha256")) for file in self.recording.get("files", [])]

    @property
    def delay(self) -> int | None:
        """What was taken out of its recording, in samples."""
        delay = self.recording.get("delay")
        samples = delay.get("samples") if isinstance(delay, dict) else None
        return samples if isinstance(samples, int) else None


@dataclass(frozen=True)
class Verdict:
    """`word` is bit-exact, within seed noise, different or nothing to compare with; `lines` are the evidence."""

    word: str
    lines: list[str]

    def __str__(self) -> str:
        return "\n".join([f"verdict: {self.word}", *(f"  {line}" for line in self.lines)])


def of_run(run: TrackedRun, config: Config) -> Original:
    """A run of the store as the original; `config` is what its config.yaml holds."""

    def found(name: str) -> Path | None:
        try:
            return run.file(name)
        except AmpsimError:
            return None

    return original(run.name, config, found, id=run.id, logged=of_test(run.metrics))


def of_file(path: Path, config: Config) -> Original:
    """A config file as the original, with what a run's artifacts hold beside it, if it lies among them."""

    def found(name: str) -> Path | None:
        beside = path.parent / name
        return beside if beside.is_file() else None

    return original(str(path), config, found)


def original(
    name: str,
    config: Config,
    found: Callable[[str], Path | None],
    *,
    id: str = "",
    logged: Mapping[str, float] | None = None,
) -> Original:
    recording, environment, kept, pace = (
        read_json(found(file), kind)
        for file, kind in (
            ("recording.json", dict),
            ("environment.json", dict),
            ("scores.json", dict),
            ("pace.json", list),
        )
    )
    if pace and not all(map(is_number, pace)):
        raise AmpsimError(f"the pace.json of {name} holds something else than seconds")
    files, scores = (recording or {}).get("files", []), (kept or {}).get("scores") or logged or {}
    if not isinstance(files, list) or not all(isinstance(file, dict) for file in files):
        raise AmpsimError(f"the recording.json of {name} holds no list of files")
    if not isinstance(scores, dict) or not all(value is None or is_number(value) for value in scores.values()):
        raise AmpsimError(f"the scores.json of {name} holds something else than numbers")
    return Original(
        name=name,
        config=config,
        id=id,
        recording=recording or {},
        environment=environment or {},
        scores=renamed(scores),
        pace=pace,
        model=found("model.keras"),
    )


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isinf(value)


def read_json(path: Path | None, kind: type) -> Any:
    if path is None:
        return None
    value = files.read_json(path, "artifact of a run")
    if not isinstance(value, kind):
        raise AmpsimError(f"{path} is not what a run keeps there")
    return value


# ---- The story of a reproduction ------------------------------------------------------------------------------------


def reproduce(
    original: Original,
    store: Store,
    *,
    recordings: Path | None,
    observer: Observer | None = None,
) -> tuple[Result, Verdict]:
    """Train once more from a saved config, on the same recording, and say what came of it.

    The new run goes to `store`, tagged `reproduces` with the original's id (or name) and `reproduction` with the verdict.

    Args:
        recordings: the folder in which the recording lies now; None where it lay then.
        observer: is told what happens, and may stop the training.

    Raises:
        AmpsimError: a file of the recording is missing or is not the one that the original was trained on.
    """
    observer = observer or Observer()
    notice = observer.notice
    config = to_repeat(original, store, recordings)
    takes = recording(original, config["data"])
    changed = changes_of_data(original, takes, notice) + changes_of_config(original, takes, store)
    for part in ("loss", "optimizer", "schedule"):
        build(config[part], part)  # what is wrong with one of these is said before a run has begun

    pace = original.pace if config["training"]["seconds"] is not None else None
    if pace:
        notice(
            f"the pace of {original.name} is replayed ({counted(len(pace), 'call')}), so that its budget in seconds ends alike"
        )
    result = experiment.run(
        RunConfig(config),
        recording=prepare_as_then(config["data"], original.delay, notice=notice),
        name=f"{name_of(original, config)}-again",
        observer=observer,
        pace=pace,
        tags={"reproduces": original.id or original.name},
    )

    again = store.find(result.run_id)
    changed += changes_of_place(original.environment, read_json(again.file("environment.json"), dict))
    if config["training"]["seconds"] is not None and not pace:
        changed.append(
            "pace: the budget in seconds counted what the machine did, and no pace.json of the original is there to replay"
        )
    noise = seed_noise(siblings(original, store))
    verdict = judged(original, again.file("model.keras"), result.scores, noise, changed)
    again.log_tags({"reproduction": verdict.word, "mlflow.note.content": str(verdict)})
    return result, verdict


def name_of(original: Original, config: Config) -> str:
    """The original's name or, where a file tells none, the model's kind."""
    return config.get("name") or (
        original.name if original.id else config["model"]["_target_"].rpartition(".")[2].lower()
    )


def to_repeat(original: Original, store: Store, recordings: Path | None) -> Config:
    """The original's config, from the start, with its files looked for in `recordings` and its run kept in `store`."""
    config = {**original.config, "training": {**original.config["training"], "resume": False}}
    config["data"] = moved(config["data"], recordings)
    uri = None if store.uri == database_uri(store.folder) else store.uri
    config["tracking"] = {"folder": str(store.folder.absolute()), "uri": uri, "experiment": store.experiment}
    return config


def moved(data: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """The section `data` with its files looked for in another folder, under the names that they had."""
    if folder is None:
        return data
    if not folder.is_dir():
        raise AmpsimError(f"data={folder} is no folder")
    if not named(data):
        raise AmpsimError("data= has nothing to point at: the recording of this run is made, not read")

    def there(section: dict[str, Any]) -> dict[str, Any]:
        inner = {key: there(value) for key, value in section.items() if isinstance(value, dict)}
        files = {
            key: [str(folder.absolute() / Path(path).name) for path in files_at(section, key)]
            for key in files_of(section)
        }
        found = {key: paths[0] if isinstance(section[key], str) else paths for key, paths in files.items() if paths}
        return {**section, **inner, **found}

    return there(data)


def recording(original: Original, data: dict[str, Any]) -> list[AudioPair]:
    """The takes, once every file of theirs is there."""
    for path in named(data):
        if not expanded(path).exists():
            raise AmpsimError(
                f"{path}, which {original.name} was trained on, is not there: data=/folder says where it is now"
            )
    source: Source = build(data, "data")
    return source.load()


def named(data: dict[str, Any]) -> list[str]:
    """The files that the section `data` names, those of a section inside it included."""
    inner = [path for value in data.values() if isinstance(value, dict) for path in named(value)]
    return [path for key in files_of(data) for path in files_at(data, key)] + inner


def files_at(section: dict[str, Any], key: str) -> list[str]:
    paths = section.get(key) or []
    found = [paths] if isinstance(paths, str) else paths
    if not isinstance(found, list) or not all(isinstance(path, str) for path in found):
        raise AmpsimError(f"data.{key}={paths!r} names no file")
    return found


def changes_of_data(original: Original, takes: list[AudioPair], notice: Notice) -> list[str]:
    """What is other about the recording. A file that is not the same is refused: nothing could be learnt from it."""
    files = [file for take in takes for file in take.files]
    if not original.digests:
        notice("warning: no recording.json tells which recording the original was trained on: it is not checked")
        return ["data: not known which recording the original was trained on"]
    if len(files) != len(original.digests):
        raise AmpsimError(
            f"the config names {counted(len(files), 'file')} and {original.name} was trained on "
            f"{len(original.digests)}: was it edited?"
        )
    for file, digest in zip(files, original.digests, strict=True):
        if file.sha256 == digest:
            continue
        if not Path(file.path).exists():  # made here, not read: there is no other to point at
            notice(f"warning: {file.path} comes out other than it did for {original.name}")
            return [f"data: {file.path} came out other (SHA-256 {digest[:12]} then, {file.sha256[:12]} now)"]
        raise AmpsimError(
            f"{file.path} is not the file that {original.name} was trained on (SHA-256 {digest[:12]}... then, "
            f"{file.sha256[:12]}... now): data=/folder names the folder that holds that one"
        )
    return []


def changes_of_config(original: Original, takes: list[AudioPair], store: Store) -> list[str]:
    """Keys of the saved config that are not what the run was made with."""
    if original.id:
        logged = store.find(original.id).params
        now = logged_as(original.config)
        edited = [key for key in now if now[key] != logged.get(key) and key not in NOT_OF_THE_RUN]
        return [
            f"config: {key} was {logged.get(key, 'not there')} and is {now[key]} in its config.yaml" for key in edited
        ]
    mark = original.environment.get("config_hash")
    digests = [file.sha256 for take in takes for file in take.files]
    if mark and original.digests and mark != RunConfig(original.config).identity(digests):
        return [f"config: {original.name} is not as the run saved it (its hash was {mark}), or of an earlier version"]
    return []


def logged_as(config: Config) -> dict[str, str]:
    """A config as MLflow has it in a run's parameters."""
    return {key: str(value)[:VALUE_LENGTH] for key, value in RunConfig(config).flat.items()}


def changes_of_place(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Versions, device, system and code that are not the same."""
    if not then:
        return ["machine: not known what the original was made on"]
    before, after = flattened(dict(then)), flattened(dict(now))
    names = {"mlflow.source.git.commit": "code", "ampsim_version": "versions.ampsim"}
    found = []
    for key in dict.fromkeys([*before, *after]):
        one, other = before.get(key, "not known"), after.get(key, "not known")
        if one != other and key != "config_hash":
            found.append(f"{names.get(key, key).removeprefix('versions.')}: {one} then, {other} now")
    if str(before.get("mlflow.source.git.commit", "")).endswith("-dirty"):
        found.append("code: the original was made with changes that no commit holds")
    return list(dict.fromkeys(found))


# ---- The verdict ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SeedNoise:
    """How far the ESR of a run may lie from `centre`, as a factor, and still be a matter of the seed; without a centre,
    from the original's."""

    factor: float
    words: str
    centre: float = math.nan


def siblings(original: Original, store: Store) -> dict[str, float]:
    """The ESR by seed of the original and of the store's finished runs that have its config and recording, but for the
    seed."""
    mine = Trial("", "", logged_as(original.config), {})
    known = original.scores.get("esr") or math.nan
    found: dict[str, float] = {mine.seed: known} if known > 0 else {}
    for run in map(store.tracked, store.runs(like(dict(mine.described)))):
        other = comparison.trial(run, with_blocks=False)
        digests = [value for key, value in sorted(run.params.items()) if key.endswith(".sha256")]
        alike = other.described == mine.described and sorted(digests) == sorted(original.digests)
        esr = other.scores.get("esr", math.nan)
        if alike and not other.ended and "reproduces" not in run.tags and esr > 0:
            found.setdefault(other.seed, esr)
    return found


def seed_noise(esrs: Mapping[str, float]) -> SeedNoise:
    """Where the ESR of one more run of a config lies, 95 times of 100, and how much worse one must be to be noticed.

    From three seeds on: Student's prediction interval of log ESR, which is wider than the spread of the seeds by as much
    as these are few. Below that RULE, which is a rule of thumb and no measurement.
    """
    values = np.log(list(esrs.values()))
    count, freedom = len(values), len(values) - 1
    if count < 3:
        known = f"{counted(count, 'seed')} of this config in the store"
        words = f"{RULE:.0%}, a rule of thumb for want of three seeds ({known}); how much worse a run could be without "
        return SeedNoise(1 + RULE, f"{words}being noticed is not known")
    error = float(np.std(values, ddof=1)) * math.sqrt(1 + 1 / count)
    limit = float(stats.t.ppf(0.5 + LEVEL / 2, freedom))
    factor, centre = math.exp(min(limit * error, 700.0)), math.exp(float(np.mean(values)))
    listed = ", ".join(f"{esr:.4g}" for _, esr in sorted(esrs.items(), key=lambda item: natural(item[0])))
    power = math.exp(min(detectable(limit, freedom) * error, 700.0))
    if factor**2 > VAGUE:
        words = f"the ESRs of {count} seeds lie too far apart to say where one more lies: {listed}"
        return SeedNoise(factor, f"{words}; how much worse a run could be without being noticed is not known", centre)
    words = (
        f"95 % of the runs of this config have an ESR from {centre / factor:.4g} to {centre * factor:.4g}, from the ESRs of "
        f"{count} seeds: {listed}; an ESR {worse(power)} would have been noticed in {POWER:.0%} of cases"
    )
    return SeedNoise(factor, words, centre)


def worse(factor: float) -> str:
    return f"{factor - 1:.0%} worse" if factor < 2 else f"{factor:.3g} times as high"


def judged(
    original: Original, model: Path, scores: Mapping[str, float], noise: SeedNoise, changed: Sequence[str]
) -> Verdict:
    """Hold the new weights and scores against the original's."""
    lines: list[str] = []
    same_shapes = same_weights = same_scores = None
    if original.model:
        same_shapes, same_weights, words = compared_weights(original.model, model)
        lines.append(words)
    common = [name for name in original.scores if name in scores and of_the_run(name)]
    if common:
        other = [name for name in common if not equal(original.scores[name], scores[name])]
        same_scores = not other
        lines.append(
            f"scores: all {len(common)} are equal to the last digit"
            if same_scores
            else scores_told(original, scores, other)
        )
    if same_weights is None and same_scores is None:
        return Verdict(
            "nothing to compare with", ["neither the model nor the scores of the original lie beside the config"]
        )
    if same_weights and same_scores is not False:
        return Verdict("bit-exact", [*lines, *differences(changed)])
    if same_weights or (same_weights is None and same_scores):
        return Verdict("within seed noise", [*lines, *explained(changed)])
    then, now = original.scores.get("esr") or math.nan, scores.get("esr", math.nan)
    if not (then > 0 and now > 0 and math.isfinite(then * now)):
        return Verdict("different", [*lines, "no ESR of the original to judge the distance by", *explained(changed)])
    if same_shapes is False:
        return Verdict("different", [*lines, *explained(changed)])
    centre = noise.centre if math.isfinite(noise.centre) else then
    near = max(centre / now, now / centre) <= noise.factor
    lines.append(f"{'within' if near else 'beyond'} the noise of the seed: {noise.words}")
    return Verdict("within seed noise" if near else "different", [*lines, *explained(changed)])


def of_the_run(name: str) -> bool:
    """Whether a score must come out the same: no time does, and a floor is the recording's, whose hash was checked."""
    return name not in SCORES or not (SCORES[name].timed or SCORES[name].kind == "floor")


def compared_weights(one: Path, other: Path) -> tuple[bool, bool, str]:
    """Whether two saved models have weights of the same shapes, whether these are equal to the bit, and how far not."""
    arrays = [load_weights(path) for path in (one, other)]
    if [array.shape for array in arrays[0]] != [array.shape for array in arrays[1]]:
        return False, False, "weights: of other shapes, so that this is another net"
    differing = [(a, b) for a, b in zip(*arrays, strict=True) if a.tobytes() != b.tobytes()]
    if not differing:
        return True, True, f"weights: all {len(arrays[0])} arrays are equal to the bit"
    largest = max(float(np.max(np.abs(a.astype(np.float64) - b))) for a, b in differing)
    return True, False, f"weights: {len(differing)} of {len(arrays[0])} arrays differ, by up to {largest:.2g}"


def load_weights(path: Path) -> list[np.ndarray]:
    return load(path).get_weights()


def equal(then: float | None, now: float) -> bool:
    return not math.isfinite(now) if then is None else then == now


def scores_told(original: Original, scores: Mapping[str, float], differing: Sequence[str]) -> str:
    told = [
        f"{name} {original.scores[name]:.4g} then, {scores[name]:.4g} now"
        for name in headlines()
        if name in differing and original.scores[name] is not None
    ]
    return f"scores: {len(differing)} differ: {'; '.join(told) or ', '.join(differing)}"


def explained(changed: Sequence[str]) -> list[str]:
    """What may have made two runs differ."""
    return differences(changed) or ["nothing that is recorded differs: neither config, data, versions, device nor code"]


def differences(changed: Sequence[str]) -> list[str]:
    return ["what is other about the two runs:", *(f"  {change}" for change in changed)] if changed else []
