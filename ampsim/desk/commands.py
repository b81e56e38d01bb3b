"""`ampsim schema`, `init` and `import-config`: what an editor needs, a project of one's own, and what others bring along."""

import json
import shlex

from ampsim import AmpsimError, counted, printable
from ampsim.cli.terminal import load, new_console, say
from ampsim.commands.options import ImportConfig, Init, Schema
from ampsim.commands.words import parsed
from ampsim.files import expanded, refuse_existing, refuse_existing_folder, write_text


def schema(words: list[str]) -> None:
    options = parsed(Schema, words)
    folder = expanded(options.output)
    refuse_existing_folder(folder, overwrite=options.overwrite)
    console = new_console()
    load(console, "ampsim.models")
    from ampsim.desk.schema import editor_settings, schemas

    written = schemas(notice=lambda text: say(console, f"warning: {text}"))
    for name, content in written.items():
        write_text(folder / f"{name}.json", json.dumps(content, indent=1) + "\n", overwrite=options.overwrite)
    say(console, f"{counted(len(written), 'schema')} -> {folder}; for VS Code, in .vscode/settings.json:")
    for line in json.dumps({"yaml.schemas": editor_settings(folder.as_posix())}, indent=2).splitlines():
        say(console, line)


def init(words: list[str]) -> None:
    options = parsed(Init, words)
    if len(options.files) != 1:
        raise AmpsimError("name the folder of the project: ampsim init my-amp")
    from ampsim.desk.project import lay_out

    written = lay_out(expanded(options.files[0]))
    for path in written:
        print(printable(str(path)))
    print(printable(f"begin with: cd {shlex.quote(options.files[0])} && make"))


def import_config(words: list[str]) -> None:
    options = parsed(ImportConfig, words)
    kind, *names = options.files
    output = expanded(options.output)
    if not names or output.suffix not in (".yaml", ".yml"):
        raise AmpsimError(
            "name the trainer, its files and a YAML to write: ampsim import-config nam model.json output=x.yaml"
        )
    refuse_existing(output, overwrite=options.overwrite, inputs=names)
    from ampsim.desk.imported import imported

    found = imported(kind, [expanded(name) for name in names])
    write_text(output, found.yaml, overwrite=options.overwrite)
    for note in found.notes:
        print(printable(f"not the same: {note}"))
    print(printable(f"-> {output}; in conf/experiment/ of a plugin it is experiment={output.stem}"))
