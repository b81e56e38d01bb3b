"""What a sweep's command is understood as, and what of it is refused before anything is loaded."""

import shutil
from pathlib import Path

import pytest

from ampsim import AmpsimError
from ampsim.config import settings
from ampsim.studies import launchers, plans
from ampsim.studies.search import Axis

OPTUNA = "hydra/sweeper=optuna"


def planned(*words: str, multirun: bool = True) -> plans.Plan:
    found = plans.planned(list(words), multirun=multirun)
    assert found is not None
    return found


def test_epochs_alone_replace_the_seconds_of_the_default_in_every_job():
    found = [config["training"] for config in planned("training.epochs=1,2").configs]
    assert [(training["epochs"], training["seconds"]) for training in found] == [(1, None), (2, None)]


def test_every_combination_is_a_job_with_its_config():
    plan = planned("model.layers=1,2", "seed=range(0,2)", "model.channels=8")
    assert plan.jobs == [
        [f"model.layers={layers}", f"seed={seed}", "model.channels=8"] for layers in (1, 2) for seed in (0, 1)
    ]
    assert [(config["model"]["layers"], config["seed"]) for config in plan.configs] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert (plan.workers, plan.threads, plan.search) == (1, None, None)


def test_files_with_names_of_any_kind_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    plan = planned("data=stereo", settings.as_meant("data.path=größer.wav,b #2.wav"), "seed=0,1")
    assert [config["data"]["path"] for config in plan.configs[::2]] == [
        str(tmp_path / "größer.wav"),
        str(tmp_path / "b #2.wav"),
    ]
    (tmp_path / "a,b.wav").touch()  # one take, whose name has a comma in it
    plan = planned("data=stereo", settings.as_meant("data.path=a,b.wav"), "seed=0,1")
    assert [config["data"]["path"] for config in plan.configs] == [str(tmp_path / "a,b.wav")] * 2


def test_a_command_without_a_sweep_is_one_run():
    assert plans.planned(["seed=1"], multirun=False) is None


def test_how_a_sweep_is_run_is_no_part_of_its_jobs():
    plan = planned("seed=0,1", "sweep.job_timeout_s=60", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert plan.jobs == [["seed=0"], ["seed=1"]]
    assert plan.sweep.job_timeout_s == 60
    assert all("sweep" not in config for config in plan.configs)
    assert plan.overrides[-1] == "hydra.launcher.n_jobs=2"


@pytest.mark.parametrize(
    ("n_jobs", "cores", "workers", "threads"),
    [(2, 8, 2, 4), (-1, 8, 8, 1), (3, 8, 3, 2), (16, 8, 16, 1), (1, 8, 1, None)],
)
def test_the_cores_are_shared_out(
    monkeypatch: pytest.MonkeyPatch, n_jobs: int, cores: int, workers: int, threads: int | None
):
    for module in (plans, launchers):
        monkeypatch.setattr(module, "usable_cores", lambda: cores)
    plan = planned("seed=0,1", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={n_jobs}")
    assert (plan.workers, plan.threads) == (workers, threads)
    assert planned("seed=0,1", "hydra/launcher=joblib", "sweep.threads=5").threads == 5


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["seed=range(1,1)"], "this sweep has no job: seed=range(1,1) holds no value"),
        (["model=glob(nothing*)"], "this sweep has no job"),
        (["model.layers=1,2", "model.layrs=1,2"], "the config has no `model.layrs`; did you mean `model.layers`?"),
        (["model=dense,lstm,gruu"], "there is no model `gruu`; did you mean `gru`?"),
        (["training.epochs=1,2,many"], "training.epochs"),
        (["training.batch_size=2,1,0"], "training.batch_size=0: it is 1 or more"),
        (["seed=0,1", "sweep.figures=-1"], "sweep.figures=-1: it is 0 or more, or null for every job"),
        (["seed=0,1", "sweep.timeout=3"], "the config has no `sweep.timeout`; did you mean `sweep.job_timeout_s`?"),
        (["seed=0,1", "sweep.job_timeout_s=0"], "sweep.job_timeout_s=0.0: it is above 0"),
        (["seed=0,1", "sweep.threads=-1"], "sweep.threads=-1: it is above 0"),
        (["seed=0,1", "hydra/launcher=rya"], "there is no hydra/launcher `rya`; did you mean `ray`?"),
        (["seed=interval(0,1)"], "`seed=interval(0,1)` has no list of values"),
        ([OPTUNA, "model.layers=2"], "a search needs something to seek"),
        ([OPTUNA, "model.layers=1,2", "hydra.sweeper.objectives=[test_esr]"], "never chooses by a test figure"),
        ([OPTUNA, "model.layers=1,2", "hydra.sweeper.objectives=[validation_est]"], "did you mean `validation_esr`?"),
        ([OPTUNA, "model.layers=1,2", "hydra.sweeper.objectives=[]"], "a search needs hydra.sweeper.objectives"),
        ([OPTUNA, "model.layers=1,2", "hydra.sweeper.sampler=tpee"], "did you mean `tpe`?"),
        ([OPTUNA, "model.layers=1,2", "hydra.sweeper.n_trials=0"], "n_trials=0: it is a whole number above 0"),
        ([OPTUNA, "model.layers=1,2", "hydra.sweeper.n_trails=3"], "the config has no `hydra.sweeper.n_trails`"),
        ([OPTUNA, "model=dense,gruu"], "there is no model `gruu`"),
        ([OPTUNA, "model.layers=1,2", "training.batch_size=range(0,4)"], "training.batch_size=0: it is 1 or more"),
        ([OPTUNA, "model.layers=range(3,3)"], "holds no value"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_job(words: list[str], sentence: str):
    with pytest.raises(AmpsimError) as caught:
        plans.planned(words, multirun=True)
    assert sentence in str(caught.value)


def test_a_study_is_one_yaml_with_its_sweep_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    conf = tmp_path / "conf"
    shutil.copytree(settings.config_folder(), conf)
    (conf / "experiment" / "layers.yaml").write_text(
        "# @package _global_\n"
        "defaults: [{override /optimizer: adam}, {override /hydra/launcher: joblib}]\n"
        "hydra:\n  mode: MULTIRUN\n  sweeper: {params: {model.layers: '1,2', seed: 'range(3)'}}\n"
        "sweep: {job_timeout_s: 7}\n"
    )
    monkeypatch.setattr(settings, "config_folder", lambda: conf)
    plan = planned("experiment=layers", multirun=False)
    assert len(plan.jobs) == 6
    assert plan.jobs[-1] == ["model.layers=2", "seed=2", "experiment=layers"]
    assert plan.sweep.job_timeout_s == 7
    assert plan.configs[0]["optimizer"]["_target_"].endswith("Adam")
    # What is typed wins over the study.
    assert planned("experiment=layers", "seed=5", multirun=False).jobs == [
        ["model.layers=1", "seed=5", "experiment=layers"],
        ["model.layers=2", "seed=5", "experiment=layers"],
    ]


def test_the_space_of_a_search():
    plan = planned(
        OPTUNA,
        "model.channels=range(8,64,step=8)",
        "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
        "training.batch_size=int(interval(1,9))",
        "optimizer=adam,sgd",
        "seed=3",
    )
    assert plan.space == {
        "model.channels": Axis(low=8, high=56, step=8, whole=True),
        "optimizer.learning_rate": Axis(low=1e-4, high=1e-2, log=True),
        "training.batch_size": Axis(low=1, high=9, whole=True),
        "optimizer": Axis(choices=("adam", "sgd")),
    }
    assert plan.jobs == [["seed=3"]]
    assert plan.search is not None
    assert plan.search.objectives == ["validation_esr"]


COMPOSED = [
    ["seed=range(3)", "model=dense", "model.layers=1,2"],
    ["training.epochs=1,2.5", "optimizer=adam,sgd", "optimizer.learning_rate=1e-3,0.1"],
    ["experiment=five_minutes,minute", "training.seconds=3,4"],
    ["name=a,b-1", "training.xla=true,null", "data.splits.test=0.2,0.1"],
    ["model=dense", "training.epochs=3,4", "training.seconds=null,5"],
    ["loss=esr_preemphasis", "~loss.terms.dc", "loss.terms.esr.weight=0.5,1"],
]


@pytest.mark.parametrize("words", COMPOSED, ids=" ".join)
def test_a_job_is_composed_as_it_would_be_alone(words: list[str]):
    plan = planned(*words)
    for job, config in zip(plan.jobs, plan.configs, strict=True):
        assert repr(config) == repr(settings.composed(job))


def test_what_the_jobs_have_in_common_is_composed_once(monkeypatch: pytest.MonkeyPatch):
    made: list[list[str]] = []
    original = plans.compose
    monkeypatch.setattr(plans, "compose", lambda name, words: made.append(words) or original(name, words))
    plan = planned("model=dense,lstm", "seed=range(50)", "training.epochs=1")
    assert (len(plan.configs), len(made)) == (100, 2)
    assert [config["seed"] for config in plan.configs] == [*range(50)] * 2


@pytest.mark.parametrize("word", ["training.epochs=1,x", "model.layrs=1,2"])
def test_a_value_that_does_not_fit_is_refused_in_the_words_of_a_single_run(word: str):
    with pytest.raises(AmpsimError) as alone:
        settings.composed([word.replace("1,", "")])
    with pytest.raises(AmpsimError) as swept:
        planned(word)
    assert str(swept.value).partition(":")[0] == str(alone.value).partition(":")[0]


# ---- A folder of recordings -----------------------------------------------------------------------------------------


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    for name in ("my_di.wav", "ac30 #1.wav", "twin's, bright.wav"):
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_is_a_job_for_each_of_its_recordings(captures: Path):
    words = ["data=folder", settings.as_meant(f"data.path={captures}"), "data.delay=3", "model=lstm"]
    plan = planned(*words, multirun=False)
    assert plan.folder == captures
    assert [(config["name"], config["data"]) for config in plan.configs] == [
        (
            name,
            settings.composed(["data=pair", "data.input=x", "data.target=y", "data.delay=3"])["data"]
            | {"input": str(captures / "my_di.wav"), "target": str(captures / f"{name}.wav")},
        )
        for name in ("ac30 #1", "twin's, bright")
    ]
    # What a job's words say is its config: they are the command that makes that run again.
    assert [settings.composed(words) for words in plan.jobs] == plan.configs


def test_a_folder_is_swept_too(captures: Path):
    plan = planned("data=folder", f"data.path={captures}", "seed=0,1")
    assert [(config["name"], config["seed"]) for config in plan.configs] == [
        (name, seed) for seed in (0, 1) for name in ("ac30 #1", "twin's, bright")
    ]


def test_a_search_of_a_folder_is_refused(captures: Path):
    with pytest.raises(AmpsimError, match="a search needs one recording"):
        planned("data=folder", f"data.path={captures}", OPTUNA, "seed=range(0,3)", "hydra.sweeper.objectives=[loss]")
