"""Which memory mode fits a GPU."""

from collections.abc import Mapping

from xdyna.schema import InputError


def gpu_gb(device: str | None = None) -> float | None:
    """Memory of a GPU that a run can have, in 1e9 bytes: what other programs leave free. None for a CPU.

    Args:
        device: of torch; None is the GPU where there is one.
    """
    import torch

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if not device.startswith("cuda"):
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return (free + torch.cuda.memory_reserved(device)) / 1e9  # what we hold is ours to use again


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
