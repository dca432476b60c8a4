"""Clips and weights that follow from a formula: values of the original code can be checked without its files."""

import numpy as np
import torch

from xdyna.schema import Frames


def wave_clip(j: int, num_frames: int = 16, size: int = 32) -> Frames:
    t, y, x, c = np.meshgrid(*(np.arange(n) for n in (num_frames, size, size, 3)), indexing="ij")
    return (((3 + j) * x + (5 + 2 * j) * y + (2 + 3 * j) * t + 31 * c + ((x * y + t * j) % 13)) % 256).astype(np.uint8)


def hashed_weights(network: torch.nn.Module) -> torch.nn.Module:
    """Matrices from a hash of each entry's place, scaled by fan-in; norms are the identity."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim >= 2:
                numel = parameter.numel()
                h = ((np.arange(numel, dtype=np.uint64) + 1 + 1000003 * numel) * 2654435761) % 2**32
                h ^= h >> np.uint64(15)
                h = (h * 2246822519) % 2**32
                h ^= h >> np.uint64(13)
                values = (h / 2**32 - 0.5) * np.sqrt(24 / parameter[0].numel())
                parameter.copy_(torch.from_numpy(values.reshape(parameter.shape)).float())
            else:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
    return network.eval()
