"""The house as docs/architecture.md draws it: who may import whom, read from the source by `ast`."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ampsim"
# From the top: a folder imports only from its own row and the rows above it.
ROWS = [
    {"config", "files", "plain_yaml"},  # no knowledge of audio or models
    {"signals"},
    {"players"},
    {"recordings"},
    {"losses", "metrics"},
    {"models"},
    {"training"},
    {"doctor", "report", "export", "testing"},
    {"runs"},
    {"comparing", "pages", "studies"},
    {"judging"},
    {"commands"},
    {"api", "cli", "desk"},  # the same, for a notebook, for a terminal, and for editors and shells
]
HEIGHT = {room: number for number, row in enumerate(ROWS) for room in row}
SOURCES = sorted(PACKAGE.rglob("*.py"))
# Who alone may import a library.
OWNERS = {
    "mlflow": {"runs"},
    "hydra": {"config", "studies", "commands", "cli"},
    "omegaconf": {"config", "studies", "commands", "cli"},
    "optuna": {"studies"},
    "matplotlib": {"report", "doctor", "api", "comparing"},
    "plotly": {"pages"},
    "rich": {"cli"},
    "soundfile": {"signals"},
}


def room(path: Path) -> str:
    """The part of the package that a file belongs to: losses/waveform.py is in `losses`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Dotted names of all that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def inner(path: Path) -> set[str]:
    """The rooms that a file imports from."""
    parts = [name.split(".") for name in imported(path) if name.split(".")[0] == "ampsim" and "." in name]
    return {names[1] for names in parts if names[1] in HEIGHT}


def test_ast_sees_imports_of_every_kind(tmp_path: Path):
    """The test's own eyes: what it must find in a file is found."""
    (tmp_path / "x.py").write_text("import a.b\nfrom c import d\ndef f():\n    from e.f import g as h\n")
    assert imported(tmp_path / "x.py") == {"a.b", "c.d", "e.f.g"}


def test_every_module_has_its_row():
    assert {room(path) for path in SOURCES} - {"__init__", "__main__"} <= set(HEIGHT)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_imports_only_from_its_own_row_or_above(path: Path):
    if room(path) == "__init__":
        assert inner(path) <= {"api"}
        return
    for other in inner(path) if room(path) != "__main__" else ():
        assert HEIGHT[other] <= HEIGHT[room(path)], f"{room(path)} imports {other}"


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_imported_where_it_belongs_and_nowhere_else(library: str):
    users = {room(path) for path in SOURCES if any(name.split(".")[0] == library for name in imported(path))}
    assert users <= OWNERS[library]


def test_what_answers_at_once_does_not_load_tensorflow_at_its_top():
    light = {"config", "signals", "players", "recordings", "metrics", "studies", "cli", "commands", "desk"}
    for path in SOURCES:
        if room(path) in light and path.name != "sweeps.py":
            tops = ast.parse(path.read_text(encoding="utf-8")).body
            names = {alias.name for node in tops if isinstance(node, ast.Import) for alias in node.names}
            names |= {str(node.module) for node in tops if isinstance(node, ast.ImportFrom)}
            assert not {name.split(".")[0] for name in names} & {"tensorflow", "keras", "mlflow"}, path


def test_no_module_is_a_drawer_for_everything():
    stems = {path.stem for path in PACKAGE.rglob("*")}
    assert not stems & {"utils", "util", "common", "helpers", "misc"}


def test_nothing_in_the_package_reads_a_literal_sample_rate():
    """Sample rates come from files and configs; the embedded recording has a default of its own."""
    for path in SOURCES:
        # The recipes of two of them are defined at a rate, and so is the level of the last; what sessions run at is known.
        if path.stem not in ("virtual_amp", "mushra", "zimtohrli", "impulse_response"):
            numbers = {
                node.value
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Constant) and type(node.value) in (int, float)
            }
            assert not numbers & {22050, 32000, 44100, 48000, 96000}, path
