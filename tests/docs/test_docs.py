"""The documentation is true: its commands parse, its Python names things that exist, its links lead somewhere."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from html.parser import HTMLParser
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from inspect import signature
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import yaml

import ampsim
from ampsim import AmpsimError, api
from ampsim.cli import main as cli
from ampsim.cli import train
from ampsim.commands import options
from ampsim.commands.words import parsed, with_keys, with_setting
from ampsim.config import plugins, settings
from ampsim.config.run_config import assignment
from ampsim.config.targets import flattened
from ampsim.recordings.circuits import CONTROLS
from ampsim.runs import locations
from ampsim.studies import plans

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "examples" / "plugin" / "README.md"]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:\A|\n)\n((?:    .*\n)+)")
LINK = re.compile(r"\]\(([^)\s#]*)(#[^)\s]*)?\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
AT_A_SETTING = ("render", "export")  # their other words are values of an amp's controls
SHELL = {"mkdir", "touch", ".", "make", "pip"}


@dataclass(frozen=True)
class Block:
    """A piece of code in a page."""

    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}-{self.number}"


def pieces(path: Path) -> list[tuple[str, str]]:
    """Language and text of each piece of code in a page: between fences, or commands and Python that are indented."""
    whole = path.read_text(encoding="utf-8")
    indented = [match[1] for match in INDENTED.finditer(FENCE.sub("", whole))]
    kinds = {"ampsim ": "sh", "import ": "python"}
    found = [(kind, text) for text in indented for start, kind in kinds.items() if text.lstrip().startswith(start)]
    return [*FENCE.findall(whole), *found]


def blocks(*languages: str) -> list[Block]:
    found = []
    for path in PAGES:
        for number, (language, text) in enumerate(pieces(path), 1):
            if language in languages:
                indent = min(len(line) - len(line.lstrip()) for line in text.splitlines() if line.strip())
                text = "\n".join(line[indent:] for line in text.splitlines())
                found.append(Block(path.relative_to(ROOT).as_posix(), number, language, text))
    return found


def each(*languages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", blocks(*languages), ids=str)


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    spec = spec_from_file_location("generated", ROOT / "docs" / "generated.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["generated"] = module  # a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


# ---- Commands -------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the package that the tutorials write, and no process that begins to import TensorFlow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AMPSIM_PLUGINS", "")
    monkeypatch.setenv("AMPSIM_DATA", str(tmp_path))
    monkeypatch.setattr(plans, "start_warm", lambda threads: None)
    monkeypatch.setattr(locations, "refuse_unreachable", lambda uri: None)  # nobody serves the addresses of examples
    for path in sorted((ROOT / "docs" / "tutorials").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        for found in FENCE.finditer(text):
            named = re.findall(r"`(my_lab/[\w/]+\.(?:py|yaml))`", text[: found.start()].rpartition("```")[2])
            if named:
                file = tmp_path / named[-1]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(found[2], encoding="utf-8")
    (tmp_path / "my_lab" / "__init__.py").touch()
    record(tmp_path / "riff.wav")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("my_lab", "tube_lab")]:
        del sys.modules[name]
    plugins.discovered.cache_clear()
    plugins.imported.cache_clear()


def commands(block: Block) -> Iterator[list[str]]:
    for line in block.text.splitlines():
        if words := shlex.split(line, comments=True):
            yield words


@each("sh")
def test_a_command_is_one_that_ampsim_understands(block: Block, own_folder: Path):
    for program, *words in commands(block):
        if program != "ampsim":
            assert program in SHELL, program
            continue
        understood(words)


def understood(words: list[str]) -> None:
    """Read a command as `ampsim` would, up to where it begins to work.

    Raises:
        AmpsimError: it does not understand it.
    """
    command, *rest = words
    assert command in cli.COMMANDS, command
    rest = plugins.name_folders(rest)
    if command == "train":
        understood_by_train(rest)
    else:
        for word in rest:
            if "=" not in word and Path(word).suffix in (".wav", ".csv"):
                record(Path(word))
        kind = options.of_command(command)
        parsed(kind, with_setting(kind, rest) if command in AT_A_SETTING else rest)


def understood_by_train(words: list[str]) -> None:
    words = [word for word in words if word != "--info"]
    if "--help" in words:
        return
    for word in words:
        if "=" not in word and not word.startswith("-") and word != "job":
            record(Path(word))
    overrides, multirun = settings.split_flags(
        [settings.as_meant(word) for word in with_keys(train.with_recording(words))]
    )
    if not plans.planned(overrides, multirun=multirun):
        settings.composed(overrides)


def record(path: Path) -> None:
    """A file, or a folder of captures, as the reader of the page has it."""
    if path.suffix not in ("", ".wav"):
        path.touch()
        return
    for name in [""] if path.suffix else ["ac30_di.wav", "ac30_amp.wav"]:
        file = path / name if name else path
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, np.zeros((8, 1 if name else 2)), 44100)


def test_what_is_wrong_with_a_command_is_found(own_folder: Path):
    """The test's own eyes: a key, a choice, an option and a command that do not exist."""
    for wrong in (
        "train my_amp.wav model.chanels=8",
        "train -m model=tube,lstmm",
        "train model.units=8",
        "export run=last fromat=nam output=x",
        "doctor inputs=x",
    ):
        with pytest.raises(AmpsimError):
            understood(wrong.split())
    with pytest.raises(AssertionError):
        understood(["trian"])


def test_every_target_of_make_and_every_extra_is_there():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"(?:`|^ *)make ([a-z-]+)", text, re.MULTILINE)) <= set(targets), path
        assert set(re.findall(r"(?:ampsim|whl)\[(\w+)\]", text)) <= set(extras), path


def test_a_setting_in_the_text_is_a_key_that_some_choice_has():
    known = known_words()
    for path in PAGES:
        prose = FENCE.sub("", path.read_text(encoding="utf-8"))
        for span in re.findall(r"`([^`\n]+)`", prose):
            for word in shlex.split(span) if re.fullmatch(r"[\w./+~]+=\S.*", span) else []:
                key = word.partition("=")[0].lstrip("+~")
                of_section = key.startswith(".") and any(
                    name.endswith(key) for name in known
                )  # `.devices`, as in a list
                assert "=" not in word or key in known or of_section or key.startswith("hydra."), f"{path}: {word}"


def known_words() -> set[str]:
    """Groups, keys of all choices, options of all commands, and variables."""
    files = [(path.parent.name, yaml.safe_load(path.read_text("utf-8"))) for path in (ROOT / "conf").rglob("*.yaml")]
    keys = {f"{group}.{key}" for group, section in files for key in flattened(section)}
    keys |= {key.rpartition(".")[0] for key in keys} | {key for _, section in files for key in section}
    named = [getattr(options, name) for name in vars(options) if isinstance(getattr(options, name), type)]
    keys |= {field.name for kind in named if hasattr(kind, "__dataclass_fields__") for field in fields(kind)}
    keys |= {control.name for control in CONTROLS}
    variables = re.findall(r"AMPSIM_\w+", (ROOT / "docs" / "reference" / "environment.md").read_text(encoding="utf-8"))
    return {*keys, *settings.groups(), *variables, "hydra/launcher", "hydra/sweeper", "plugins"}


# ---- Python and files -----------------------------------------------------------------------------------------------


@each("python")
def test_python_names_what_is_there(block: Block):
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "ampsim":
            assert {alias.name for alias in node.names} <= names_in(str(node.module)), ast.unparse(node)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ampsim":
            assert hasattr(ampsim, node.attr), ast.unparse(node)
        if isinstance(node, ast.Call) and re.fullmatch(r"ampsim\.\w+", ast.unparse(node.func)):
            call = getattr(api, ast.unparse(node.func).removeprefix("ampsim."))
            signature(call).bind_partial(*node.args, **{str(each.arg): each.value for each in node.keywords})
            understood_in_python(call, node)


def understood_in_python(call: object, node: ast.Call) -> None:
    """The settings of a run that a call names, composed.

    Raises:
        AmpsimError: there is no such choice or key.
    """
    given = {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}
    words = given.pop("overrides", [])
    if call is api.train:
        settings.composed([*(word for key, value in given.items() for word in assignment(key, value)), *words])
    elif call is api.sweep:
        swept = [word for key, value in given.items() for word in api.swept_over(key, value)]
        assert plans.planned([*swept, *words], multirun=True)


def names_in(module: str) -> set[str]:
    """What a module defines or imports, without running it."""
    spec = find_spec(module)
    assert spec is not None, module
    found = set()
    for node in ast.walk(ast.parse(Path(str(spec.origin)).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name):
            found.add(node.id)
    return found


@each("yaml", "toml")
def test_yaml_and_toml_can_be_read(block: Block):
    assert yaml.safe_load(block.text) if block.language == "yaml" else tomllib.loads(block.text)


# ---- Links ----------------------------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """Of the headings of a page, as GitHub and mkdocs make them."""
    headings = HEADING.findall(FENCE.sub("", path.read_text(encoding="utf-8")))
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {re.sub(r"\s+", "-", heading.strip()) for heading in plain}


def broken(path: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", path.read_text(encoding="utf-8")))
    found = []
    for target, anchor in LINK.findall(text):
        if re.match(r"\w+:", target):
            continue
        file = (path.parent / target).resolve() if target else path
        there = file.exists() and (not anchor or anchor[1:] in anchors(file))
        found += [] if there else [target + anchor]
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_and_anchors_lead_somewhere(path: Path):
    assert broken(path) == []


def test_a_broken_link_is_found(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# One two\n[a](#one-two) [b](#three) [c](page.md) [d](none.md) `[e](x.md)`\n", encoding="utf-8")
    assert broken(page) == ["#three", "none.md"]


# ---- What has to be told --------------------------------------------------------------------------------------------


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_every_command_has_an_example():
    told = "\n".join(block.text for block in blocks("sh"))
    for command in cli.COMMANDS:
        assert f"ampsim {command} " in told or f"ampsim {command}\n" in told, command


def test_every_choice_is_in_the_table_of_choices():
    text = (ROOT / "docs" / "reference" / "choices.md").read_text(encoding="utf-8")
    for group in settings.groups():
        if group != "experiment":  # which also holds the studies
            assert set(settings.choices(group)) <= set(re.findall(r"`(\w+)`", text)), group


def test_the_architecture_lists_the_folders_of_the_package():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders = {path.name for path in (ROOT / "ampsim").iterdir() if (path / "__init__.py").exists()}
    assert folders <= set(re.findall(r"`(\w+)/`", text))


def test_every_key_of_the_config_has_a_meaning(generated: ModuleType):
    for group in generated.groups():
        for path in generated.choices(group):
            unexplained = [key.name for key in generated.section_keys(path, group) if not key.meaning]
            assert not unexplained, (
                f"{group}={path.stem}: a comment in {path.name}, or a line in the `Args:` of its class"
            )


def test_the_reference_tells_types_units_and_defaults_from_the_code(generated: ModuleType):
    rows = {key.name: key for key in generated.section_keys(ROOT / "conf" / "training" / "default.yaml", "training")}
    assert (rows["segment_length"].type, rows["segment_length"].unit) == ("whole number", "samples")
    assert (rows["patience"].type, rows["patience"].default) == ("whole number or null", "`null`")
    assert (rows["checkpoint_every_s"].unit, rows["checkpoint_every_s"].default) == ("s", "`30`")
    assert rows["precision"].type == "`float32` or `bfloat16`"
    rows = {key.name: key for key in generated.section_keys(ROOT / "conf" / "data" / "stereo.yaml", "data")}
    assert (rows["path"].type, rows["path"].default) == ("text or list", "needed")
    assert rows["delay"].type == "whole number or `auto`"
    assert rows["input_level_dbu"].unit == "dBu"
    loss = [key.name for key in generated.section_keys(ROOT / "conf" / "loss" / "esr_both.yaml", "loss")]
    assert "terms.esr_preemphasis.loss.floor_db" in loss


# ---- The site -------------------------------------------------------------------------------------------------------


class Loaded(HTMLParser):
    """Addresses that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        loads = tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload", "preconnect", "dns-prefetch")
        address = values.get("href") if loads else values.get("src")
        if address:
            self.found.append(address)


@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    for page in pages:
        parser = Loaded()
        parser.feed(page.read_text(encoding="utf-8"))
        assert not [address for address in parser.found if re.match(r"(\w+:)?//", address)], page
    names = {page.relative_to(tmp_path).as_posix() for page in pages}
    assert {"reference/config/model.html", "reference/metrics.html", "experiments/window/index.html"} <= names
    assert "ampsim.train" in (tmp_path / "reference" / "api.html").read_text(encoding="utf-8")
