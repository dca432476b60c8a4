"""Whether a machine can hold a model while it is loaded: all weights pass through main memory."""

from collections.abc import Iterable
from pathlib import Path

from xdyna.schema import InputError

SUFFIXES = (".safetensors", ".bin")


def check_main_memory(title: str, folders: Iterable[Path], most_gb: float) -> None:
    """Refuses what would be killed, or make the machine stand still.

    Args:
        title: of the model.
        folders: with its weights.
        most_gb: what they take in main memory in 1e9 bytes; some are stored in a finer precision than is used.

    Raises:
        InputError: this machine has less.
    """
    import psutil

    files = (file for folder in folders for file in folder.rglob("*") if file.suffix in SUFFIXES)
    needed_gb = min(most_gb, sum(file.stat().st_size for file in files) / 1e9)
    held_gb = psutil.virtual_memory().total / 1e9
    if needed_gb > held_gb:
        raise InputError(
            f"{title} needs about {needed_gb:.0f} GB of main memory to load; this machine has {held_gb:.0f}. Run it "
            "on a larger one, or choose xdyna-mini, which runs on any CPU."
        )
