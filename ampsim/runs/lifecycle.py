"""How a run begins, goes on, is interrupted and ends in the store."""

import platform
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ampsim import AmpsimError, DivergedError, PrunedError
from ampsim.config.run_config import RunConfig
from ampsim.runs.isolated import in_plugin
from ampsim.runs.locks import busy
from ampsim.runs.machine import on_termination, terminate
from ampsim.runs.provenance import origin
from ampsim.runs.tracking import Store, TrackedRun

Notice = Callable[[str], None]
MOST = 20  # unfinished runs that are looked at for the config of one that is not found
GRACE_S = 5.0  # for a step that is under way to end; a container has 10 s in all, a SLURM job 30


def begin(
    store: Store,
    config: RunConfig,
    digests: Sequence[str],
    *,
    name: str,
    notice: Notice,
    tags: Mapping[str, str] | None = None,
) -> tuple[TrackedRun, Path]:
    """The run in MLflow and the place of its checkpoint; with `training.resume`, those of the newest
    unfinished run of this config on the recording with these digests."""
    unfinished, identity, resume = store.folder / "unfinished", config.identity(digests), config["training"]["resume"]
    params = config.flat
    earlier = sorted(unfinished.glob(f"{identity}-*"), key=lambda path: path.stat().st_mtime) if resume else []
    names = [path.name.partition("-")[2] for path in reversed(earlier)]
    # One that was killed right after it was made has no folder yet.
    names += store.begun({"config_hash": identity, "host": platform.node()}) if resume else []
    if trained_now := [name for name in dict.fromkeys(names) if busy(unfinished / f"{identity}-{name}")]:
        notice(f"another process trains {', '.join(trained_now)}, which is left to it")
    going_on = (store.resume(name) for name in names if name not in trained_now)
    tracked = next((found for found in going_on if found), None)  # no further than the newest that is still there
    if tracked:
        notice(f"going on with the unfinished run {tracked.name}")
        if tags:
            tracked.log_tags(tags)
        tracked.log_params({key: value for key, value in params.items() if key not in tracked.params})
    else:
        if resume:
            for other in on_other_recordings(store, config, unfinished, identity):
                notice(f"warning: the recording has changed since {other}, which stays unfinished")
            notice("no unfinished run of this config and recording to resume; starting a new one")
        made = {"config_hash": identity, "overrides": " ".join(config.overrides), "host": platform.node()}
        tracked = store.start(name, params=params, tags={**made, **origin(), **(tags or {})})
    tracked.notice = notice
    folder = unfinished / f"{identity}-{tracked.id}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        tracked.finish("FAILED", note=str(error))
        raise AmpsimError(f"{folder} cannot be made ({error.strerror}): say folder=...") from error
    return tracked, folder / "checkpoint.npz"


def on_other_recordings(store: Store, config: RunConfig, unfinished: Path, identity: str) -> list[str]:
    """The names of unfinished runs of this config that began on a recording other than the one of `identity`."""
    found = []
    others = (path for path in unfinished.glob("*-*") if not path.name.startswith(identity))
    for path in sorted(others)[:MOST]:
        with suppress(AmpsimError):  # one that is not in the store any more, or of a config that no longer is one
            run = store.find(path.name.partition("-")[2])
            if RunConfig.read(run.file("config.yaml"))[0].identity() == config.identity():
                found.append(run.name)
    return found


@contextmanager
def closing(tracked: TrackedRun) -> Iterator[None]:
    """Mark the run in MLflow as what it came to, if it comes to an end before it says so itself."""
    try:
        yield
    except PrunedError as error:
        tracked.finish("KILLED", note=str(error), mark="pruned")
        raise
    except AmpsimError as error:
        tracked.finish("FAILED", note=str(error), mark="diverged" if isinstance(error, DivergedError) else "")
        raise
    except KeyboardInterrupt:
        tracked.finish("KILLED")
        raise
    except OSError as error:
        tracked.finish("FAILED", note=str(error))
        raise AmpsimError(
            f"what the run made cannot be written ({error}): mend that and go on from the last checkpoint, which holds the "
            "best weights, with training.resume=true"
        ) from error
    except BaseException as error:
        tracked.finish("FAILED", note=in_plugin(error) or f"{type(error).__name__}: {error}"[:500])
        raise


@contextmanager
def asked_to_end(notice: Notice, *, interruptible: bool) -> Iterator[Callable[[], bool]]:
    """Inside a fit, requests to end it wait until it can; the yielded function, called between two steps, tells of them.

    The first Ctrl-C asks for an end with the epoch, a second one stops at once. After SIGTERM or SIGHUP the function raises
    TerminatedError; where it is not called within GRACE_S, that is raised wherever the process is then.

    Args:
        interruptible: whether Ctrl-C is handled.
    """
    asked: list[str] = []  # what is still to be said, once it was asked
    ending: list[int] = []

    def ask(*_: Any) -> None:
        asked.extend(["", "Ctrl-C: the epoch is finished, then the best weights are scored; again stops at once"])
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop() -> bool:
        if ending:
            terminate(ending[0])
        if len(asked) > 1:
            notice(asked.pop())
        return bool(asked)

    before = signal.getsignal(signal.SIGINT)
    interruptible = interruptible and before is not signal.SIG_IGN  # as a shell has it for what runs in the background
    if interruptible:
        signal.signal(signal.SIGINT, ask)
    try:
        with on_termination(ending.append, patience_s=GRACE_S, nested=True):
            yield stop
    finally:
        if interruptible:
            signal.signal(signal.SIGINT, before)
