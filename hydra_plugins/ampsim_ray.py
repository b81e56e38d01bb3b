"""What Hydra loads of ampsim: a launcher for Ray.

Hydra imports this with every command, so nothing heavy is imported at the top.
"""

import os
from collections.abc import Sequence
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict


class Ray(Launcher):
    """Runs each job as a task of a Ray cluster.

    The released hydra-ray-launcher 1.2.2 wants cloudpickle 2, boto3 and Ray's dashboard, which this does without.

    Args:
        init: arguments of `ray.init`.
        remote: arguments of `ray.remote`: what a job takes of a machine.
    """

    def __init__(self, init: DictConfig, remote: DictConfig) -> None:
        self.init: Any = OmegaConf.to_container(init, resolve=True)
        self.remote: Any = OmegaConf.to_container(remote, resolve=True)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        import ray

        if not ray.is_initialized():
            ray.init(**{"include_dashboard": False, "log_to_driver": False, "logging_level": "error", **self.init})
        shared = ray.put((self.hydra_context, self.config, self.task, Singleton.get_state(), os.getcwd()))  # noqa: PTH109
        task = ray.remote(**self.remote)(on_ray)
        begun = [task.remote(shared, initial_job_idx + n, list(job)) for n, job in enumerate(job_overrides)]
        ray.wait(begun, num_returns=len(begun), fetch_local=False)  # a job that is lost does not end the others
        return ray.get(begun)


def on_ray(shared: tuple[Any, ...], number: int, overrides: list[str]) -> JobReturn:
    """One job, in a Ray worker."""
    context, config, task, state, folder = shared
    if os.path.isdir(folder):  # noqa: PTH112
        os.chdir(folder)
    Singleton.set_state(state)
    setup_globals()
    job_config = context.config_loader.load_sweep_config(config, overrides)
    with open_dict(job_config):
        job_config.hydra.job.id = job_config.hydra.job.num = number
    return run_job(
        hydra_context=context,
        task_function=task,
        config=job_config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
