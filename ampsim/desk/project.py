"""`ampsim init`: a project of one's own, laid out from the files in `project/`."""

import keyword
from importlib.util import find_spec
from pathlib import Path

import yaml

from ampsim import AmpsimError
from ampsim.config import plugins
from ampsim.files import refuse_existing_folder, write_text

TEMPLATE = Path(__file__).parent / "project"


def lay_out(folder: Path) -> list[Path]:
    """Write a project into a new or empty folder, and name its files.

    The package inside has the folder's name, in letters that Python takes.

    Raises:
        AmpsimError: the folder holds something, cannot be written, or has a name that no package can have.
    """
    package = package_name(folder.resolve().name)
    names = {"@name@": folder.resolve().name, "@package@": package}
    written = []
    refuse_existing_folder(folder, overwrite=False)
    for source in sorted(path for path in TEMPLATE.rglob("*") if path.is_file()):
        parts = source.relative_to(TEMPLATE).with_suffix("").parts  # without the .txt
        place = Path(*(part.replace("dot-", ".").replace("package", package) for part in parts))
        text = source.read_text(encoding="utf-8")
        for mark, name in names.items():
            text = text.replace(mark, name)
        write_text(folder / place, text)  # and not the folder as a whole, which may be the one that a shell is in
        written.append(folder / place)
    return written


def package_name(name: str) -> str:
    """The name of the package in a folder of this name. Raises AmpsimError where there can be none."""
    package = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name).lower()
    told = yaml.safe_load(package) if package.isidentifier() else None  # `null` and `on` are no text in a config
    if told != package or keyword.iskeyword(package) or not package.strip("_"):
        raise AmpsimError(
            f"{name}: no package can be called `{package}`; begin the folder's name with a letter, as my-amp"
        )
    spec = find_spec(package)
    if package in plugins.RESERVED or (spec and spec.origin):  # and not the empty folder itself, below the current one
        raise AmpsimError(
            f"{name}: there is a package `{package}` already, which this one would hide; choose another name"
        )
    taken = plugins.offered(plugins.config_folder()) & {f"loss/{package}", f"experiment/{package}_losses"}
    if taken:
        raise AmpsimError(f"{name}: ampsim itself has {sorted(taken)[0].replace('/', '=')}; choose another name")
    return package
