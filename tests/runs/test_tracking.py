"""What went into the store, read back through MLflow's own client."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ampsim import AmpsimError
from ampsim.runs import tracking
from ampsim.runs.lifecycle import closing
from ampsim.runs.tracking import PARENT, SWEEP, Load, Store, sync


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for the file: MLflow takes seconds to create its tables."""
    return Store(tmp_path_factory.mktemp("tracking") / "my runs ü")


@pytest.fixture(scope="module")
def client(store: Store) -> MlflowClient:
    return MlflowClient(f"sqlite:///{store.folder.absolute() / 'mlflow.db'}")


def test_the_store_is_one_file_with_the_artifacts_beside_it(store: Store, client: MlflowClient, tmp_path: Path):
    (tmp_path / "note.txt").write_text("x")
    tracked = store.start("layout", params={}, tags={})
    tracked.log_folder(tmp_path)
    assert (store.folder / "mlflow.db").is_file()
    found = [path.relative_to(store.folder).parts for path in store.folder.rglob("note.txt")]
    assert found == [("artifacts", tracked.id, "artifacts", "note.txt")]
    assert client.get_experiment_by_name("ampsim").experiment_id == store.experiment_id


def test_params_and_tags_come_back(store: Store, client: MlflowClient):
    params = {"model.window": 4000, "data.path": ["a b.wav", "ü.wav"], "name": None, "training.xla": False}
    tracked = store.start("params", params=params, tags={"overrides": "model.layers=2 seed=1"})
    run = client.get_run(tracked.id)
    assert run.data.params == {
        "model.window": "4000",
        "data.path": "['a b.wav', 'ü.wav']",
        "name": "None",
        "training.xla": "False",
    }
    assert run.data.tags["overrides"] == "model.layers=2 seed=1"
    assert (run.info.run_name, run.info.status) == ("params", "RUNNING")


def test_more_params_than_one_request_takes(store: Store, client: MlflowClient):
    params = {f"param_{index:03d}": index for index in range(250)}
    tracked = store.start("many", params=params, tags={})
    assert client.get_run(tracked.id).data.params == {key: str(value) for key, value in params.items()}


def test_a_param_that_is_too_long_is_cut_at_6000_characters(store: Store, client: MlflowClient):
    tracked = store.start("long", params={"text": "ü" * 7000}, tags={})
    assert client.get_run(tracked.id).data.params["text"] == "ü" * 6000


def test_rounds_come_back_as_curves(store: Store, client: MlflowClient):
    tracked = store.start("curves", params={}, tags={})
    for step in (10, 20, 30):
        tracked.log_round({"loss": 1 / step, "step": step, "epoch": step / 10})
    history = client.get_metric_history(tracked.id, "loss")
    assert [(point.step, point.value) for point in history] == [(step, 1 / step) for step in (10, 20, 30)]
    assert [point.value for point in client.get_metric_history(tracked.id, "epoch")] == [1, 2, 3]


def test_a_resumed_run_logs_no_round_twice(store: Store, client: MlflowClient):
    first = store.start("resumed", params={}, tags={})
    for step in (10, 20):
        first.log_round({"loss": 1 / step, "step": step})
    first.finish("KILLED")
    again = store.resume(first.id)
    assert client.get_run(first.id).info.status == "RUNNING"
    for step in (20, 30):
        again.log_round({"loss": 1 / step, "step": step})
    again.finish()
    assert [point.step for point in client.get_metric_history(first.id, "loss")] == [10, 20, 30]
    run = client.get_run(first.id)
    assert run.info.status == "FINISHED"
    assert run.info.end_time >= run.info.start_time


def test_infinity_and_nan_are_left_out(store: Store, client: MlflowClient):
    tracked = store.start("infinite", params={}, tags={})
    tracked.log_metrics({"good": 0.5, "inf": np.inf, "minus": -np.inf, "nan": np.nan}, step=7)
    assert client.get_run(tracked.id).data.metrics == {"good": 0.5}
    tracked.log_metrics({"inf": np.inf})
    assert client.get_run(tracked.id).data.metrics == {"good": 0.5}


def test_a_long_run_tells_of_the_machine_and_a_short_one_does_not(store: Store, monkeypatch: pytest.MonkeyPatch):
    load = Load(store.start("loaded", params={}, tags={}))
    assert [load.since_last() for _ in range(2)] == [{}, {}]  # in its first minute
    assert load.monitor is None
    monkeypatch.setattr(tracking, "LONG_S", 0.0)
    assert load.since_last() == {}  # the processor's share is of the time between two calls
    told = load.since_last()
    memory = psutil.virtual_memory()
    assert told["system/system_memory_usage_percentage"] == pytest.approx(100 * memory.used / memory.total, abs=5)
    assert 0 <= told["system/cpu_utilization_percentage"] <= 100


def test_artifacts_come_back_byte_by_byte(store: Store, client: MlflowClient, tmp_path: Path):
    (tmp_path / "audio").mkdir()
    contents = {"config.yaml": b"seed: 0\n", "audio/pr\xc3\xbcfung.wav".encode("latin1").decode(): bytes(range(256))}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    tracked = store.start("artifacts", params={}, tags={})
    tracked.log_folder(tmp_path)
    assert {item.path for item in client.list_artifacts(tracked.id)} == {"config.yaml", "audio"}
    for name, content in contents.items():
        assert tracked.file(name).read_bytes() == content
        assert Path(client.download_artifacts(tracked.id, name)).read_bytes() == content
    with pytest.raises(AmpsimError, match=r"run artifacts holds no model\.keras"):
        tracked.file("model.keras")


def test_a_run_that_ends_by_an_error_of_any_kind_keeps_the_reason(store: Store):
    tracked = store.start("broken", params={}, tags={})
    with pytest.raises(KeyError), closing(tracked):
        raise KeyError("knobs")
    run = store.find("broken")
    assert (run.status, run.tags[tracking.NOTE]) == ("FAILED", "KeyError: 'knobs'")


def test_copies_from_a_server_lie_in_one_folder_of_the_process(store: Store, monkeypatch: pytest.MonkeyPatch):
    tracked = store.start("far away", params={}, tags={})
    assert tracked.here
    tracked.place, tracked.artifacts = None, f"mlflow-artifacts:/1/{tracked.id}/artifacts"
    fetched = lambda run_id, path, folder: f"{folder}/{path}"  # noqa: E731
    monkeypatch.setattr(tracked.client, "download_artifacts", fetched)
    assert not tracked.here
    folder = Path(tracking.copies().name) / tracked.id
    assert [tracked.file(name) for name in ("model.keras", "audio/amp.wav")] == [
        folder / "model.keras",
        folder / "audio" / "amp.wav",
    ]


def test_names_are_made_unique(store: Store):
    names = [store.start("twin", params={}, tags={}).name for _ in range(3)]
    assert names == ["twin", "twin-2", "twin-3"]
    assert store.start("twi", params={}, tags={}).name == "twi"  # a beginning is not the same name
    assert store.start("it's 50% ü_🎸", params={}, tags={}).name == "it's 50% ü_🎸"
    assert store.start("it's 50% ü_🎸", params={}, tags={}).name == "it's 50% ü_🎸-2"


def test_a_run_is_found_by_id_and_by_name(store: Store):
    tracked = store.start("wanted", params={}, tags={})
    assert store.find("wanted").id == tracked.id
    assert store.find(tracked.id).name == "wanted"


def test_last_is_the_newest_run_that_finished(store: Store):
    first, second, third = (store.start(f"last {index}", params={}, tags={}) for index in range(3))
    first.finish()
    second.finish()
    third.finish("FAILED")
    assert store.find("last").id == second.id


def test_the_last_sweep_is_one_that_is_there(tmp_path: Path):
    """Deleted in MLflow's page, a sweep leaves its jobs."""
    made = Store(tmp_path)
    for name in ("first", "second", "third"):
        parent = made.start(name, params={}, tags={SWEEP: name})
        for number in range(3):
            made.start(f"{name}-{number}", params={}, tags={PARENT: parent.id}).finish()
    for name, left in (("third", "second"), ("second", "first")):
        made.client.delete_run(made.find(name).id)
        assert made.find_sweep("last").name == left
    made.client.delete_run(made.find("first").id)
    with pytest.raises(AmpsimError, match="no sweep yet"):
        made.find_sweep("last")


def test_a_run_that_is_deleted_while_it_trains_says_so(tmp_path: Path):
    made = Store(tmp_path)
    run = made.start("gone", params={}, tags={})
    made.client.delete_run(run.id)
    with pytest.raises(AmpsimError, match=r"run gone was deleted in MLflow's page: restore it there; training\.resume"):
        run.log_metrics({"loss": 1.0}, step=1)
    assert made.resume(run.id) is None
    made.client.restore_run(run.id)
    assert made.resume(run.id).status == "RUNNING"


def test_no_tag_lets_its_reader_into_a_server(store: Store, client: MlflowClient):
    command = "ampsim train uri=postgresql://me:secret@host/runs tracking.uri=postgresql\\://me\\:secret@host/runs"
    run = store.start("with a password", params={}, tags={"command": command})
    run.log_tags({"later": command})
    run.finish("FAILED", note=command)
    tags = client.get_run(run.id).data.tags
    assert "me:***@host" in tags["command"]
    assert all("secret" not in value for value in tags.values())


def test_an_unknown_run_is_refused_with_the_nearest_name(store: Store):
    store.start("virtual_amp-dense", params={}, tags={})
    with pytest.raises(AmpsimError, match=r"no run `virtual_amp-dens` in .*; did you mean `virtual_amp-dense`\?"):
        store.find("virtual_amp-dens")


@pytest.mark.slow
def test_a_store_without_a_finished_run_has_no_last(tmp_path: Path):
    empty = Store(tmp_path)
    with pytest.raises(AmpsimError, match="holds no finished run yet"):
        empty.find("last")
    empty.start("going", params={}, tags={})
    with pytest.raises(AmpsimError, match="holds no finished run yet"):
        empty.find("last")


def test_what_can_be_compared_is_offered_in_the_words_that_compare_it(tmp_path: Path):
    held = Store(tmp_path)
    assert held.offered() == "sweep=<its parent run> or runs=a,b,c"
    for name in ("old", "take 1", "new"):
        held.start(name, params={}, tags={}).finish()
    assert held.offered() == "sweep=<its parent run> or runs='new,take 1,old'"
    parent = held.start("widths", params={}, tags={SWEEP: "widths"})
    held.start("width=1", params={}, tags={PARENT: parent.id})
    parent.finish()
    assert held.offered() == "sweep=widths or runs='new,take 1,old'"


def test_an_experiment_without_runs_names_those_of_the_store_that_have_some(tmp_path: Path):
    study = Store(tmp_path, experiment="my study")
    study.start("a", params={}, tags={}).finish()
    with pytest.raises(AmpsimError, match=r"no finished run yet in .* `ampsim`; add 'mlflow_experiment=my study'$"):
        Store(tmp_path).find("last")
    with pytest.raises(AmpsimError, match="no sweep yet: make one"):
        Store(tmp_path).find_sweep("last")


def test_another_experiment_in_the_same_file_is_kept_apart(store: Store):
    other = Store(store.folder, experiment="study")
    mine = other.start("wanted elsewhere", params={}, tags={})
    assert other.find("wanted elsewhere").id == mine.id
    with pytest.raises(AmpsimError, match="no run `wanted elsewhere`"):
        store.find("wanted elsewhere")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AmpsimError, match=r"file/runs cannot be written to .*say folder="):
        Store(tmp_path / "file" / "runs")


def test_a_store_that_is_no_database_is_named(tmp_path: Path):
    (tmp_path / "mlflow.db").write_bytes(b"this is no database\n" * 100)
    with pytest.raises(AmpsimError, match=r"mlflow\.db"):
        Store(tmp_path)


def test_a_store_of_no_known_kind_is_named(tmp_path: Path):
    with pytest.raises(AmpsimError, match="nonsense://there"):
        Store(tmp_path, uri="nonsense://there")


# ---- what is asked of a store that holds many runs ----


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The filter of each search, and how many runs came of it."""
    made: list[tuple[str, int]] = []
    original = MlflowClient.search_runs

    def counted(self: MlflowClient, ids: list[str], condition: str = "", **options: object) -> list:
        found = original(self, ids, condition, **options)
        made.append((condition, len(found)))
        return found

    monkeypatch.setattr(MlflowClient, "search_runs", counted)
    return made


@pytest.fixture(scope="module")
def many(store: Store) -> Store:
    """A hundred runs: a sweep of ten among them, and fifty of one name."""
    found = Store(store.folder, experiment="many")
    parent = found.start("of ten", params={}, tags={SWEEP: "mark"})
    ids = [found.start(f"job-{n}", params={}, tags={PARENT: parent.id}).id for n in range(10)]
    ids += [found.start("same" if n == 1 else f"same-{n}", params={}, tags={}).id for n in range(1, 51)]
    ids += [found.start(f"other-{n}", params={}, tags={}).id for n in range(39)]
    for run_id in [*ids, parent.id]:
        found.client.set_terminated(run_id)
    return found


@pytest.mark.parametrize("wanted", ["last", "job-3", "same-50", "of ten", "id"])
def test_a_run_is_found_without_loading_the_others(many: Store, queries: list[tuple[str, int]], wanted: str):
    wanted = many.named("job-7").info.run_id if wanted == "id" else wanted
    queries.clear()
    many.find(wanted)
    assert sum(count for _, count in queries) <= 3, queries


@pytest.mark.parametrize("wanted", ["last", "of ten"])
def test_a_sweep_is_found_without_loading_the_others(many: Store, queries: list[tuple[str, int]], wanted: str):
    assert many.find_sweep(wanted).name == "of ten"
    assert sum(count for _, count in queries) <= 3, queries
    queries.clear()
    assert len(many.children(many.newest_sweep("mark").info.run_id)) == 10
    assert sum(count for _, count in queries) == 11


def test_a_name_that_is_taken_fifty_times_is_numbered_by_few_questions(many: Store, queries: list[tuple[str, int]]):
    assert many.free_name("same") == "same-51"
    assert len(queries) <= 14
    assert all(count <= 1 for _, count in queries)


def test_a_name_that_there_is_not_asks_for_the_newest_only(many: Store, queries: list[tuple[str, int]]):
    with pytest.raises(AmpsimError, match="did you mean `other-1"):
        many.find("othr-1")
    assert sum(count for _, count in queries) <= 50
    with pytest.raises(AmpsimError) as refused:
        many.find("?")
    offered = str(refused.value).partition("choose from ")[2].split(", ")
    assert offered == sorted(run.info.run_name for run in many.runs()[:10])


NAMES = [
    "it's",
    'a "quoted" one',
    "both ' and \"",
    "100%",
    "a_b",
    "back\\slash",
    "x' OR '1' = '1",
    "semi; colon",
    "`",
    "ü🎸",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_found_and_no_other(store: Store, name: str):
    tracked = store.start(name, params={}, tags={})
    store.start(re.sub(r"\W|_", "z", name), params={}, tags={})  # which a pattern of the name would match
    assert store.find(name).id == tracked.id
    assert store.start(name, params={}, tags={}).name == f"{name}-2"


# ---- a store that goes away ----


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A run in a store elsewhere, which `leave` takes away and `come` brings back, and what the run's user was told."""
    monkeypatch.chdir(tmp_path)  # MLflow puts the artifacts of a database of its own there
    uri = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    store = Store(tmp_path / "runs", uri=uri)
    tracked = store.start("away", params={"seed": 0}, tags={})
    told: list[str] = []
    tracked.notice = told.append

    def fail(*_: object, **__: object) -> None:
        raise MlflowException("no answer")

    def leave() -> None:
        for name in ("log_batch", "log_artifacts", "set_terminated"):
            monkeypatch.setattr(MlflowClient, name, fail)

    original = {name: getattr(MlflowClient, name) for name in ("log_batch", "log_artifacts", "set_terminated")}

    def come() -> None:
        for name, function in original.items():
            monkeypatch.setattr(MlflowClient, name, function)

    return SimpleNamespace(store=store, tracked=tracked, told=told, leave=leave, come=come, client=MlflowClient(uri))


def steps(client: MlflowClient, run_id: str) -> list[int]:
    return [point.step for point in client.get_metric_history(run_id, "loss")]


def test_what_a_store_misses_is_kept_and_sent_once(away: SimpleNamespace, tmp_path: Path):
    tracked = away.tracked
    tracked.log_round({"step": 1, "loss": 0.5})
    away.leave()
    for step in (2, 3):
        tracked.log_round({"step": step, "loss": 1 / step})
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "scores.json").write_text("{}")
    tracked.log_folder(tmp_path / "made")
    (tmp_path / "made" / "scores.json").write_text('{"esr": 1}')
    tracked.log_folder(tmp_path / "made")
    tracked.finish()
    assert len(away.told) == 2
    assert "the MLflow store does not answer (no answer); what it misses is kept in" in away.told[0]
    assert "`ampsim sync` sends it" in away.told[1]
    assert tracked.file("scores.json").read_text() == '{"esr": 1}'  # which nobody has but this disk
    assert steps(away.client, tracked.id) == [1]
    address = tmp_path / "runs" / "unsent" / tracked.id / "uri"
    assert (address.read_text(), address.stat().st_mode & 0o077) == (away.store.uri, 0)  # nobody else's to read
    away.come()
    sent: list[str] = []
    sync(tmp_path / "runs", notice=sent.append)
    assert sent == [f"sent: away to {away.store.uri}"]
    assert steps(away.client, tracked.id) == [1, 2, 3]
    run = away.client.get_run(tracked.id)
    assert run.info.status == "FINISHED"
    assert Path(away.client.download_artifacts(tracked.id, "scores.json")).read_text() == '{"esr": 1}'
    assert [path.name for path in (tmp_path / "runs" / "unsent").iterdir()] == [".lock"]
    sync(tmp_path / "runs", notice=sent.append)
    assert sent[1].endswith("holds nothing that waits to be sent")


def test_what_arrived_although_its_answer_was_lost_is_not_doubled(
    away: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    original = MlflowClient.log_batch

    def lost(*arguments: object, **named: object) -> None:
        original(*arguments, **named)
        raise MlflowException("the answer was lost")

    monkeypatch.setattr(MlflowClient, "log_batch", lost)
    away.tracked.log_round({"step": 1, "loss": 0.5})
    away.tracked.log_round({"step": 2, "loss": 0.4})
    assert steps(away.client, away.tracked.id) == [1]
    with pytest.raises(AmpsimError, match="is not sent: the answer was lost"):
        sync(tmp_path / "runs", notice=print)  # cut off in the middle, it begins again
    away.come()
    sync(tmp_path / "runs", notice=print)
    assert steps(away.client, away.tracked.id) == [1, 2]


def test_a_store_that_is_back_at_the_end_of_a_run_gets_all_of_it(away: SimpleNamespace):
    away.leave()
    away.tracked.log_round({"step": 1, "loss": 0.5})
    away.come()
    away.tracked.log_round({"step": 2, "loss": 0.4})
    assert steps(away.client, away.tracked.id) == []  # nothing overtakes what waits
    away.tracked.finish()
    assert steps(away.client, away.tracked.id) == [1, 2]
    assert away.client.get_run(away.tracked.id).info.status == "FINISHED"
    assert len(away.told) == 1


def test_a_run_that_goes_on_sends_first_what_waits(away: SimpleNamespace):
    away.leave()
    for step in (1, 2):
        away.tracked.log_round({"step": step, "loss": 1 / step})
    away.come()
    again = away.store.resume(away.tracked.id)
    for step in (2, 3):
        again.log_round({"step": step, "loss": 1 / step})
    assert steps(away.client, again.id) == [1, 2, 3]


def test_where_nobody_is_told_nothing_waits(away: SimpleNamespace, tmp_path: Path):
    away.leave()
    away.tracked.notice = None
    with pytest.raises(AmpsimError, match=r"run away cannot be recorded \(no answer\)"):
        away.tracked.log_round({"step": 1, "loss": 0.5})
    assert not (tmp_path / "runs" / "unsent").exists()
