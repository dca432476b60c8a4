"""LPIPS v0.1 (Zhang et al. 2018) on VGG-16.

The trunk has torchvision's keys; the linear heads are the authors' (BSD-2), as torchmetrics ships them.
"""

import torch
from torch import Tensor, nn

LAYERS = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool")
TAPS = (3, 8, 15, 22, 29)  # ReLUs at the end of each scale
WIDTHS = (64, 128, 256, 512, 512)
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Lpips(nn.Module):
    """Perceptual distance of two images."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for layer in LAYERS:
            if isinstance(layer, str):
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, layer, 3, padding=1), nn.ReLU()]
                channels = layer
        self.features = nn.Sequential(*layers)
        self.heads = nn.ParameterList([nn.Parameter(torch.zeros(1, width, 1, 1)) for width in WIDTHS])

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """`(n,)` distances of `(n, 3, h, w)` RGB images; the authors' range is -1..1."""
        total = a.new_zeros(len(a))
        for head, x, y in zip(self.heads, self._scales(a), self._scales(b), strict=True):
            total = total + (head * (_unit(x) - _unit(y)) ** 2).sum(dim=1).mean(dim=(1, 2))
        return total

    def _scales(self, x: Tensor) -> list[Tensor]:
        shift, scale = (x.new_tensor(values).view(1, 3, 1, 1) for values in (SHIFT, SCALE))
        x, kept = (x - shift) / scale, []
        for k in range(TAPS[-1] + 1):
            x = self.features[k](x)
            if k in TAPS:
                kept.append(x)
        return kept


def _unit(x: Tensor) -> Tensor:
    return x / (x.norm(dim=1, keepdim=True) + 1e-10)
