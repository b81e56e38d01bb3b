"""Hydra's launchers, called by a sweep: they decide where its jobs run."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

# The context that a launcher is set up with wants these, and Hydra exports them nowhere else.
from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode

from ampsim import AmpsimError
from ampsim.config.settings import conf, told
from ampsim.runs.isolated import Outcome
from ampsim.runs.machine import usable_cores
from ampsim.studies.jobs import Report, Task


@dataclass(frozen=True)
class Numbered:
    """What a launcher calls for each job: the task, with the number that Hydra gave the job.

    Progress is reported in the process of the sweep only: a copy that travels to another one leaves `report` behind.
    """

    task: Task
    report: Report | None = None

    def __reduce__(self) -> tuple[type["Numbered"], tuple[Task]]:
        return Numbered, (self.task,)

    def __call__(self, config: Any) -> Outcome:
        return self.task.run(HydraConfig.get().job.num, self.report)


@dataclass(frozen=True)
class Launcher:
    """The launcher that a command's overrides choose, such as hydra/launcher=joblib."""

    overrides: Sequence[str]

    def __call__(self, task: Task, report: Report | None = None) -> list[Outcome]:
        """Run all jobs of a task and return their outcomes in the same order.

        Raises:
            AmpsimError: the launcher itself failed, or lost a process.
        """
        try:
            with told(self.overrides), conf() as hydra:
                config = hydra.compose_config(
                    "config", list(self.overrides), run_mode=RunMode.MULTIRUN, validate_sweep_overrides=False
                )
                launcher = Plugins.instance().instantiate_launcher(
                    hydra_context=HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(config)),
                    task_function=Numbered(task, report),
                    config=config,
                )
                returned = launcher.launch([job.overrides for job in task.jobs], 0)
                return [each.return_value for each in returned]
        except AmpsimError:
            raise
        except Exception as error:  # each launcher has errors of its own
            said = next((line for line in str(error).splitlines() if line.strip()), "")
            raise AmpsimError(f"the launcher failed: {type(error).__name__}: {said[:300]}") from error


def refuse_missing(launcher: dict[str, Any]) -> None:
    """Raises AmpsimError where the library of a launcher, the section `hydra.launcher`, is not installed."""
    if launcher["_target_"].endswith(".Ray") and find_spec("ray") is None:
        raise AmpsimError("hydra/launcher=ray needs Ray: pip install 'ampsim[ray]'")


def workers(launcher: dict[str, Any]) -> int:
    """How many jobs a launcher runs at a time, where its section says so: joblib counts back from all cores at -1."""
    number = launcher.get("n_jobs") or 1
    return max(1, usable_cores() + 1 + number) if number < 0 else number
