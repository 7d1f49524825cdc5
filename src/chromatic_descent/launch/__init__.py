"""How commands are launched: their messages, processes on this machine, and how they end.

Importing this package registers the functions that configs call, such as `${member_name:${seed}}`:
the processes of a sweep import it but call no entry.
"""

from omegaconf import OmegaConf

from chromatic_descent.config import check_seed
from chromatic_descent.launch.slots import at_once, gpu_share
from chromatic_descent.study import member_name, study_folder


def _member_name(seed: object, suffix: str = "") -> str:
    return member_name(check_seed(seed), suffix)


def _one_gpu(accelerator: str) -> int | None:
    return 1 if gpu_share(accelerator, 1) else None


for _function in (_member_name, study_folder, at_once, gpu_share, _one_gpu):
    _name = _function.__name__.removeprefix("_")
    OmegaConf.register_new_resolver(_name, _function, replace=True)
