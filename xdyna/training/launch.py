"""The same command on one device or on many."""

import os
import sys

import torch

from xdyna.schema import InputError


def is_main_process() -> bool:
    """Whether this process may speak: the first of several, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def wanted_processes(asked: int, cpu: bool) -> int:
    """Training processes to run: as many as asked, else one per GPU.

    Raises:
        InputError: more than there are GPUs.
    """
    if "WORLD_SIZE" in os.environ:  # a launcher has decided
        return int(os.environ["WORLD_SIZE"])
    gpus = 0 if cpu else torch.cuda.device_count()
    if gpus and asked > gpus:
        raise InputError(f"{asked} processes were asked for and there are {gpus} GPUs: ask for at most {gpus}.")
    return asked or max(gpus, 1)


def relaunch(num_processes: int, arguments: list[str]) -> None:
    """Replaces this process by torch's launcher of several that run the same command; returns if one is enough.

    Args:
        num_processes: see `wanted_processes`.
        arguments: of the `xdyna` command.
    """
    if num_processes == 1 or "WORLD_SIZE" in os.environ:
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the launcher would, with a banner
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
    os.execv(sys.executable, [sys.executable, *launcher, "-m", "xdyna", *arguments])
