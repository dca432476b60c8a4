"""From what networks compute to what files hold."""

import torch
from torch import Tensor


def to_uint8(colours: Tensor) -> Tensor:
    """Colours as uint8, on the CPU; what lies outside of 0..1 is cut off.

    Args:
        colours: `(...)` floats.
    """
    return (colours.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
