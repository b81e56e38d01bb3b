"""What a run has to tell a server that is away: kept on disk, in order, until it can be sent."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ampsim import AmpsimError
from ampsim.runs.locks import alone

FOLDER = "unsent"  # of a store's folder: a folder a run, named after its id

Entry = Mapping[str, Any]  # the arguments of `TrackedRun.tell`, which differ by what is told


class Outbox:
    """What one run could not send.

    Args:
        store: the folder of the store.
        run_id: whose entries they are.
    """

    def __init__(self, store: Path, run_id: str) -> None:
        self.folder = store / FOLDER / run_id

    def keep_entry(self, uri: str, entry: Entry) -> None:
        """Keep params, metrics, tags or a status for the server at `uri`. Raises AmpsimError if the disk fails."""
        with self.writing(uri), (self.folder / "record.jsonl").open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(entry) + "\n")  # the first ends a line that a power cut tore

    def keep_artifacts(self, uri: str, folder: Path) -> None:
        """Keep a copy of every file in a folder for the server at `uri`. Raises AmpsimError if the disk fails."""
        with self.writing(uri):
            part = self.folder / "part"
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(folder, part)
            part.rename(self.folder / f"artifacts-{len(self.artifacts()):03d}")

    @contextmanager
    def writing(self, uri: str) -> Iterator[None]:
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with alone(self.folder.parent):
                self.folder.mkdir(exist_ok=True)
                kept = self.folder / "uri"
                kept.touch(mode=0o600)  # it may hold a password
                kept.write_text(uri, encoding="utf-8")
                yield
        except OSError as error:
            raise AmpsimError(f"{self.folder} cannot be written to ({error.strerror})") from error

    def artifacts(self) -> list[Path]:
        """The folders of artifacts that are kept, oldest first."""
        return sorted(self.folder.glob("artifacts-*"))

    def artifact(self, path: str) -> Path | None:
        """The newest copy of an artifact that is kept here, if there is one."""
        return next((folder / path for folder in reversed(self.artifacts()) if (folder / path).exists()), None)

    def deliver(self, tell: Callable[[Entry], None], send_artifacts: Callable[[Path], None]) -> bool:
        """Send what is kept and clear it away; whether there was anything. After a failure, all of it stays."""
        if not self.folder.exists():
            return False
        with alone(self.folder.parent):
            for folder in self.artifacts():
                send_artifacts(folder)
            record = self.folder / "record.jsonl"
            for line in record.read_text(encoding="utf-8").splitlines() if record.exists() else []:
                with suppress(json.JSONDecodeError):  # an empty line, or one that a power cut or a full disk tore
                    tell(json.loads(line))
            shutil.rmtree(self.folder)
        return True


def waiting(store: Path) -> list[tuple[Outbox, str]]:
    """What waits in a store's folder to be sent, and the server that each is for."""
    found = sorted((store / FOLDER).glob("*/uri"))
    return [(Outbox(store, path.parent.name), path.read_text(encoding="utf-8")) for path in found]
