"""Which memory mode fits a GPU."""

from collections.abc import Mapping

from xdyna.schema import InputError


def gpu_gb(device: str) -> float | None:
    """Memory of a GPU in 1e9 bytes; None for a CPU."""
    if not device.startswith("cuda"):
        return None
    import torch

    return torch.cuda.get_device_properties(device).total_memory / 1e9


def fitting_mode(title: str, needs_gb: Mapping[str, float], available_gb: float | None, wanted: str) -> str:
    """The fastest memory mode that fits, or the one that the user insists on.

    Args:
        title: of the model.
        needs_gb: memory by mode in 1e9 bytes, the fastest first.
        available_gb: of the GPU; None is unknown and takes the fastest.
        wanted: a mode, or "auto".

    Raises:
        InputError: even the smallest does not fit.
    """
    if wanted != "auto":
        return wanted
    for mode, need in needs_gb.items():
        if available_gb is None or need <= available_gb:
            return mode
    raise InputError(
        f"{title} needs about {min(needs_gb.values()):.0f} GB of GPU memory for this even in its smallest mode; this "
        f"GPU has {available_gb:.0f}. Choose a smaller size or fewer frames."
    )
