"""Configs composed by Hydra as they come from the command line, and the sentences about what is wrong with them."""

import copy
import json
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from ampsim import AmpsimError
from ampsim.config import saved, settings
from ampsim.config.settings import composed
from ampsim.config.targets import build, flattened
from ampsim.plain_yaml import read_yaml

CONF = Path(__file__).parents[2] / "conf"
STEREO = ["data=stereo", "data.path=take.wav"]


def refused(overrides: list[str]) -> str:
    with pytest.raises(AmpsimError) as caught:
        composed(overrides)
    return str(caught.value)


def plainly(value: object) -> bool:
    if isinstance(value, dict):
        return type(value) is dict and all(type(key) is str and plainly(item) for key, item in value.items())
    if isinstance(value, list):
        return type(value) is list and all(map(plainly, value))
    return type(value) in (str, int, float, bool, type(None))


def test_the_config_is_what_the_files_say():
    found = composed([])
    main = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))
    chosen = {key: value for entry in main["defaults"] if isinstance(entry, dict) for key, value in entry.items()}
    for group in ("data", "model", "loss", "optimizer", "schedule"):
        assert found[group] == yaml.safe_load((CONF / group / f"{chosen[group]}.yaml").read_text(encoding="utf-8"))
    training = yaml.safe_load((CONF / "training" / f"{chosen['training']}.yaml").read_text(encoding="utf-8"))
    assert found["training"] == {key: value for key, value in training.items() if key != "defaults"}
    assert "hydra" not in found


def test_a_config_is_plain_dicts_and_lists():
    assert plainly(composed([*STEREO, "data.splits.test=[take.wav]"]))


def test_choices_and_values_are_overridden():
    found = composed(["model.layers=2", "optimizer=adam", "optimizer.learning_rate=3e-4", "seed=7", "loss=esr"])
    assert found["model"]["layers"] == 2
    assert found["optimizer"]["_target_"] == "keras.optimizers.Adam"
    assert (found["optimizer"]["learning_rate"], found["seed"]) == (3e-4, 7)
    assert list(found["loss"]["terms"]) == ["esr"]


@pytest.mark.parametrize(
    ("words", "budget"),
    [
        ([], (None, 60)),
        (["training.epochs=3"], (3, None)),
        (["training.epochs=3", "training.seconds=5"], (3, 5)),
        (["experiment=founding"], (4, None)),
        (["experiment=founding", "training.seconds=5"], (4, 5)),
        (["experiment=five_minutes"], (None, 300)),
    ],
)
def test_epochs_alone_replace_the_seconds_of_the_default(words: list[str], budget: tuple):
    training = composed(words)["training"]
    assert (training["epochs"], training["seconds"]) == budget


@pytest.mark.parametrize("devices", ["0", "none", "true", "-1", "1.5"])
def test_devices_are_all_or_a_number(devices: str):
    assert "it is `all` or a number" in refused([f"training.devices={devices}"])


def test_a_loss_term_is_added_weighed_and_removed():
    found = composed(
        [
            "loss=esr",
            "loss.terms.esr.weight=0.5",
            "+loss.terms.mae._target_=ampsim.losses.MAE",
            "+loss.terms.mae.weight=0.1",
        ]
    )
    assert found["loss"]["terms"]["esr"]["weight"] == 0.5
    assert found["loss"]["terms"]["mae"] == {"_target_": "ampsim.losses.MAE", "weight": 0.1}
    assert composed(["loss=esr", "~loss.terms.esr"])["loss"]["terms"] == {}


def test_paths_become_absolute_seen_from_where_the_command_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    found = composed(["data=stereo", "data.path=[a.wav,/there/b.wav,'~/c.wav']"])
    assert found["data"]["path"] == [str(tmp_path / "a.wav"), "/there/b.wav", str(Path("~/c.wav").expanduser())]
    assert found["tracking"]["folder"] == str(tmp_path / "runs")
    found = composed(["data=pair", "data.input=in.wav", "data.target=out.wav"])
    assert (found["data"]["input"], found["data"]["target"]) == (str(tmp_path / "in.wav"), str(tmp_path / "out.wav"))


@pytest.mark.parametrize("name", ["my take.wav", "größer.wav", "🎸.wav", "a,b.wav", "a=b.wav", "(1).wav", "it's.wav"])
def test_a_file_name_of_any_kind_in_quotes(name: str):
    quoted = name.replace("'", "\\'")
    assert composed(["data=stereo", f"data.path='{quoted}'"])["data"]["path"] == str(Path(name).absolute())


# Of real files; Hydra's grammar reads none of the first, and something else in the others.
UNREADABLE = [
    "amp #2.wav",
    "(take 1).wav",
    "[2x12].wav",
    "a=b.wav",
    "Bob's.wav",
    "R&B.wav",
    "アンプ.wav",
    "~x.wav",
    'a"b.wav',
]
READ_OTHERWISE = ["a,b.wav", "${x}.wav", " x.wav", "[2x12]", "choice(a,b)", "'q'", "a\\,b.wav"]


@pytest.mark.parametrize("name", [*UNREADABLE, *READ_OTHERWISE])
def test_a_file_name_is_taken_as_it_is_typed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    words = ["data=stereo", settings.as_meant(f"data.path={name}"), settings.as_meant(f"tracking.folder={name}")]
    found = composed(words)
    assert found["data"]["path"] == found["tracking"]["folder"] == str(tmp_path / name)
    assert [settings.as_meant(word) for word in words[:1]] == words[:1]


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_name_that_hydra_cannot_read_needs_no_file(name: str):
    assert composed(["data=stereo", settings.as_meant(f"data.path={name}")])["data"]["path"] == str(
        Path(name).absolute()
    )
    assert composed([settings.as_meant(f"name={name}")])["name"] == name


def test_several_names_are_a_list_or_a_sweep_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert settings.as_meant("data.path=a.wav,b.wav") == "data.path=a.wav,b.wav"
    assert settings.as_meant("data.path=a.wav,b #2.wav") == "data.path=a.wav,'b #2.wav'"
    listed = settings.as_meant("data.path=[größer.wav,b.wav]")
    assert composed(["data=stereo", listed])["data"]["path"] == [str(tmp_path / n) for n in ("größer.wav", "b.wav")]


def test_a_word_that_may_mean_one_file_and_two_is_refused_with_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b.wav", "a,b.wav"):
        (tmp_path / name).touch()
    with pytest.raises(AmpsimError, match=r"may mean the file `a,b\.wav` or `a` and `b\.wav`") as caught:
        settings.as_meant("data.path=a,b.wav")
    (word,) = shlex.split(str(caught.value).partition("type ")[2].partition(";")[0])
    assert composed(["data=stereo", word])["data"]["path"] == str(tmp_path / "a,b.wav")


@pytest.mark.parametrize(
    "word", ["model.layers=[1", "data.delay=5", "data.splits={train:0.8}", "seed=0,1", "model=dense"]
)
def test_what_names_nothing_is_left_alone(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "5").touch()
    assert settings.as_meant(word) == word


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("data.path=7", "data.path=7: it names a file"),
        ("data.path=[true]", "data.path=True: it names a file"),
        ("data.path=a,b.wav", "has several values"),
        ("data.path=${x}.wav", "${x} refers to a key of the config"),
        ("seed=" + "9" * 5000, "is not understood"),
        ("data.path=" + "[" * 3000, "is not understood"),
    ],
)
def test_what_names_no_file_is_told_in_one_short_sentence(word: str, sentence: str):
    found = refused(["data=stereo", word])
    assert sentence in found
    assert "\n" not in found
    assert len(found) < 500


def test_the_advice_to_quote_can_be_typed_as_it_stands():
    advice = refused(["data=stereo", "data.path=a b[.wav"]).rpartition("quote the value: ")[2]
    assert composed(["data=stereo", *shlex.split(advice)])["data"]["path"] == str(Path("a b[.wav").absolute())


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("modle=dense", r"`modle`; did you mean `model`?"),
        ("model.layrs=2", "the config has no `model.layrs`; did you mean `model.layers`?"),
        ("optimizer.learning_rte=1", "`optimizer.learning_rte`; did you mean `optimizer.learning_rate`?"),
        ("training.epoch=3", "`training.epoch`; did you mean `training.epochs`?"),
        ("sed=1", "the config has no `sed`; did you mean `seed`?"),
        ("model=dens", "there is no model `dens`; did you mean `dense`?"),
        ("optimizer=adm", "there is no optimizer `adm`; did you mean `adam`?"),
        ("training=fast", "there is no training `fast`"),
        ("data.splits.trian=0.5", "`data.splits.trian`; did you mean `data.splits.train`?"),
    ],
)
def test_a_typo_is_refused_with_the_nearest_name(override: str, sentence: str):
    found = refused([override])
    assert sentence in found
    assert "\n" not in found


@pytest.mark.parametrize(
    ("word", "missing"),
    [
        ("~model", "`model`"),
        ("~loss._target_", "`loss`"),
        ("model._target_=null", "`model`"),
        ("~data", "`data`"),
        ("~seed", "`seed`"),
        ("~training", "`training`"),
        ("~tracking", "`tracking.folder`"),
    ],
)
def test_what_every_run_needs_cannot_be_taken_away(word: str, missing: str):
    assert missing in refused([word])


def test_a_typo_beside_another_choice_is_looked_up_in_that_choice():
    assert "did you mean `optimizer.beta_1`?" in refused(["optimizer=adam", "optimizer.beta1=0.8"])


def test_a_key_of_another_choice_is_told_where_it_belongs():
    assert "data=stereo" in refused(["data.path=take.wav"])


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("training.epochs=many", "training.epochs"),
        ("training.batch_size=1.5", "training.batch_size"),
        ("training.xla=perhaps", "training.xla"),
        ("training.patience=soon", "training.patience"),
        ("training.segment_length=[1,2]", "training.segment_length"),
        ("training.segment_length=null", "training.segment_length"),
    ],
)
def test_a_wrong_type_is_refused_with_its_key(override: str, key: str):
    found = refused([override])
    assert key in found
    assert "\n" not in found


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("training.batch_size=0", "training.batch_size=0: it is 1 or more"),
        ("training.segment_length=-5", "training.segment_length=-5: it is 1 or more"),
        ("training.patience=0", "training.patience=0: it is 1 or more"),
        ("training.checkpoint_every_s=-1", "training.checkpoint_every_s=-1.0: it is 0 or more"),
        ("training.epochs=0", "training.epochs=0.0: it is above 0"),
        ("training.seconds=-1", "training.seconds=-1.0: it is above 0"),
        ("training.validate_every=0", "training.validate_every=0.0: it is above 0"),
        ("training.epochs=null", "set training.epochs or training.seconds"),
        ("training.epochs=nan", "training.epochs=nan: it is above 0"),
        ("seed=-1", "seed=-1"),
        ("seed=null", "seed=None"),
        ("seed=1.5", "seed=1.5"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(override: str, sentence: str):
    assert sentence in refused([override])


def test_a_missing_value_is_named():
    assert refused(["data=stereo"]) == "data.path has no value: add data.path=... to the command"
    assert refused(["data=pair", "data.input=x.wav"]) == "data.target has no value: add data.target=... to the command"


@pytest.mark.parametrize("data", ["ds1", "marshall_2204"])
def test_a_missing_environment_variable_is_explained(data: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AMPSIM_DATA", raising=False)
    found = refused([f"data={data}"])
    assert "needs the environment variable AMPSIM_DATA: export AMPSIM_DATA=" in found


@pytest.mark.parametrize(
    "override", ["model.layers", "=3", "model.layers=[1", "model.layers={", "a b c", "data.path=a b[.wav"]
)
def test_what_does_not_parse_is_named(override: str):
    found = refused([override])
    assert override in found
    assert "\n" not in found


def test_the_config_folder_is_the_repositorys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert settings.config_folder().resolve() == CONF.resolve()
    assert settings.choices("optimizer") == sorted(path.stem for path in (CONF / "optimizer").glob("*.yaml"))


# ---- a config that was saved ----------------------------------------------------------------------------------------


def written(folder: Path, change: str = "", value: object = None, *, text: str | None = None) -> Path:
    """A saved config, with one key changed by hand; the value `...` removes it."""
    config: dict = composed([])
    *sections, last = change.split(".") if change else [""]
    section = config
    for each in sections:
        section = section[each]
    if value is ...:
        del section[last]
    elif last:
        section[last] = value
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False) if text is None else text, encoding="utf-8")
    return path


def test_a_saved_config_comes_back_as_it_was(tmp_path: Path):
    assert saved.read_config(written(tmp_path)) == (composed([]), [])


@pytest.mark.parametrize(
    ("change", "value", "sentence"),
    [
        ("model", ..., "has no section `model`"),
        ("training", ..., "has no section `training`"),
        ("data", "marshall.wav", "has no section `data`"),
        ("modle", {"_target_": "ampsim.models.Fir"}, "a config has no `modle`; did you mean `model`?"),
        ("model._target_", ..., "model has no _target_"),
        ("model._target_", "this.Zen", "asks for `_target_: this.Zen`"),
        ("loss.terms.esr._target_", "subprocess.Popen", "asks for `_target_: subprocess.Popen`"),
        ("optimizer.learning_rate", [{"_target_": ["this.Zen"]}], "asks for `_target_: ['this.Zen']`"),
        ("training.epochs", "many", "training.epochs: Value 'many'"),
        ("training.epochs", "${oc.env:HOME}", "training.epochs='${oc.env:HOME}': it is one plain value"),
        ("training.batch_size", 1.5, "training.batch_size: Value '1.5'"),
        ("training.segment_length", None, "training.segment_length"),
        ("training.epoch", 3, "training has no `epoch`; did you mean `epochs`?"),
        ("training.epochs", -1, "training.epochs=-1"),
        ("training.seconds", None, "set training.epochs or training.seconds"),
        ("seed", "x", "seed=x"),
        ("seed", ..., "seed=None"),
        ("name", 3, "name=3: it is text or null"),
    ],
)
def test_a_saved_config_that_was_edited_to_something_invalid_is_refused(
    tmp_path: Path, change: str, value: object, sentence: str
):
    path = written(tmp_path, change, value)
    with pytest.raises(AmpsimError) as caught:
        saved.read_config(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "this" not in sys.modules


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- 1\n- 2\n", "holds list, not sections"),
        ("", "holds NoneType, not sections"),
        ("seed: [1\n", "this is no YAML"),
        ("a: 1\nseed: !!python/object/apply:os.system ['echo']\n", "line 2: a config holds plain values only"),
        ("seed: !!python/object:ampsim.models.Fir {}\n", "line 1: a config holds plain values only"),
        ("\x00", "this is no YAML"),
        ("[" * 2000, "this is no YAML"),
        ("a: &a [*a]\n", "holds a reference (*a)"),
        ("[" * 200_000, "line 1: this is no YAML (nested too deep)"),
        ("- " * 100_000, "line 1: this is no YAML (nested too deep)"),
        ("a:\n" + "? " * 100_000, "line 2: this is no YAML (nested too deep)"),
        ("seed: 0\n" * 100_000, "is no config: it has more than 500,000 bytes"),
        ("seed: " + "1" * 5000, "line 1: a number has 5,000 digits"),
        ("a:\n  b: 1" + ":1" * 50_000 + "\n", "line 2: a number has 100,001 digits"),  # in base 60
        ("seed: 2026-13-45\n", "line 1: `2026-13-45` cannot be read"),
        ("seed: 0\nname: x\nseed: 1\n", "line 3: `seed` is there a second time"),
        ("model:\n  units: 8\n  'units': 16\n", "line 3: `units` is there a second time"),
        ("data: {path: [a.wav, {x: 1, x: 2}]}\n", "line 1: `x` is there a second time"),
    ],
)
def test_what_is_no_config_is_refused(tmp_path: Path, text: str, sentence: str):
    with pytest.raises(AmpsimError) as caught:
        saved.read_config(written(tmp_path, text=text))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


ODD = [None, "x", -1, float("nan"), 10**30, [[1]], {"a": {"b": []}}]


@pytest.mark.parametrize("section", ["data", "loss", "optimizer", "schedule", "training", "tracking", "seed", "name"])
def test_whatever_stands_at_a_key_is_taken_or_refused_in_a_sentence(section: str, tmp_path: Path):
    """Every key, and every section of keys, with values that nobody means: no other exception comes of any."""
    (tmp_path / "take.wav").write_bytes(b"RIFF")
    base = composed(["data=stereo", f"data.path={tmp_path / 'take.wav'}", "optimizer=adam"])
    keys = flattened({section: base[section]})
    keys |= {key.rpartition(".")[0]: None for key in keys if "." in key}
    refusals = 0
    for key in keys:
        for value in ODD:
            config, (*sections, last) = copy.deepcopy(base), key.split(".")
            inner = config
            for each in sections:
                inner = inner[each]
            inner[last] = value
            try:
                (tmp_path / "config.yaml").write_text(json.dumps(config), encoding="utf-8")  # which is YAML too
                checked, _ = saved.read_config(tmp_path / "config.yaml")
                if section in ("data", "loss", "optimizer", "schedule"):
                    built = build(checked[section], section)
                    built.load() if section == "data" else built
            except AmpsimError as error:
                refusals += bool(str(error))
    assert refusals >= len(keys)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([f"training.batch_size={10**30}"], "training.batch_size is a number of 30 digits"),
        ([f"training.seconds={10**400}"], "too large"),
        ([f"model.channels={-(10**30)}"], "model.channels is a number of 30 digits"),
        ([f"+loss.terms.x=[1,{10**20}]"], "loss.terms.x.1 is a number of 20 digits"),
    ],
)
def test_a_number_that_no_machine_holds_is_refused(words: list[str], sentence: str):
    assert sentence in refused(words)


def test_digits_without_end_in_a_file_are_refused(tmp_path: Path):
    with pytest.raises(AmpsimError, match=r"config\.yaml"):
        saved.read_config(written(tmp_path, text=f"seed: {'9' * 5000}\n"))


@pytest.mark.parametrize(("word", "text"), [("name=7", "7"), ("name=true", "true"), ("tracking.experiment=1e3", "1e3")])
def test_a_name_that_looks_like_a_number_is_text(word: str, text: str):
    key = word.partition("=")[0]
    assert flattened(composed([settings.as_meant(word)]))[key] == text
    assert composed([settings.as_meant("name=null")])["name"] is None


def test_what_is_no_text_or_not_there_is_refused(tmp_path: Path):
    (tmp_path / "model.keras").write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(AmpsimError, match="is no config: it is not text in UTF-8 from byte 4 on"):
        saved.read_config(tmp_path / "model.keras")
    with pytest.raises(AmpsimError, match="does not exist"):
        saved.read_config(tmp_path / "nothing.yaml")
    with pytest.raises(AmpsimError, match="is a folder; name a file in it"):
        saved.read_config(tmp_path)


def test_a_config_with_a_byte_order_mark_and_other_line_ends(tmp_path: Path):
    expected = read_yaml(written(tmp_path, "name", "größer"), "config")
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_yaml(path, "config") == expected
    path.write_bytes("seed: 0\n".encode("utf-16"))
    with pytest.raises(AmpsimError, match="but in UTF-16; save it as UTF-8"):
        read_yaml(path, "config")


def test_what_an_earlier_version_did_not_write_takes_its_default_and_is_told(tmp_path: Path):
    path = written(tmp_path, "training.patience", ...)
    config, notes = saved.read_config(path)
    assert config == composed([])
    assert notes == [f"{path} says nothing of training.patience: it is None"]


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("[a,b.wav,c.wav]", ["a,b.wav", "c.wav"]),
        ("[c.wav,a,b.wav]", ["c.wav", "a,b.wav"]),
        ("[ d.wav,c.wav]", [" d.wav", "c.wav"]),
        ("[e, f.wav, c.wav]", ["e, f.wav", "c.wav"]),
        ("[a,b.wav,amp #2.wav]", ["a,b.wav", "amp #2.wav"]),
        ("[c.wav, c.wav]", ["c.wav", "c.wav"]),
        ("['a,b.wav',c.wav]", ["a,b.wav", "c.wav"]),
        ("[a,missing.wav]", ["a", "missing.wav"]),
    ],
)
def test_a_list_holds_files_with_commas_and_spaces(
    value: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("a,b.wav", "c.wav", " d.wav", "e, f.wav", "amp #2.wav"):
        (tmp_path / name).touch()
    word = settings.as_meant(f"data.path={value}")
    assert settings.as_meant(word) == word
    assert composed(["data=stereo", word])["data"]["path"] == [str(tmp_path / name) for name in names]
    swept = settings.as_meant(f"data.path={value[1:-1]}")
    assert settings.read_as(swept) == names
