"""The functions that configs call: `${member_name:${seed}}` and others."""

from omegaconf import OmegaConf

from chromatic_descent.config import check_seed
from chromatic_descent.launch.slots import at_once, gpu_share
from chromatic_descent.study import member_name, study_folder


def register_resolvers() -> None:
    """Register each resolver under its function's name; safe to call again."""
    for function in (_member_name, study_folder, at_once, gpu_share, _one_gpu):
        name = function.__name__.removeprefix("_")
        OmegaConf.register_new_resolver(name, function, replace=True)


def _member_name(seed: object, suffix: str = "") -> str:
    return member_name(check_seed(seed), suffix)


def _one_gpu(accelerator: str) -> int | None:
    return 1 if gpu_share(accelerator, 1) else None
