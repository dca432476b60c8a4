"""I3D (Carreira and Zisserman 2017), the network of FVD and, trained on dynamic textures, of DTFVD.

Keys are those of piergiaj/pytorch-i3d, which both published checkpoints use.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MIXED = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}
POOLS = {  # before the layer of this name
    "Conv3d_2b_1x1": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
Triple = tuple[int, int, int]


class Unit(nn.Module):
    """Convolution with TensorFlow's SAME padding, batch norm and ReLU."""

    def __init__(self, channels: int, out: int, kernel: Triple = (1, 1, 1), stride: Triple = (1, 1, 1)) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(channels, out, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(out)
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv3d(_padded(x, self.kernel, self.stride))))


class Mixed(nn.Module):
    """Four branches side by side."""

    def __init__(self, channels: int, out: tuple[int, ...]) -> None:
        super().__init__()
        self.b0 = Unit(channels, out[0])
        self.b1a, self.b1b = Unit(channels, out[1]), Unit(out[1], out[2], (3, 3, 3))
        self.b2a, self.b2b = Unit(channels, out[3]), Unit(out[3], out[4], (3, 3, 3))
        self.b3b = Unit(channels, out[5])

    def forward(self, x: Tensor) -> Tensor:
        pooled = _pooled(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], dim=1)


class Logits(nn.Module):
    """The last, linear layer, under its published name."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(1024, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3d(x)


class I3D(nn.Module):
    """I3D on RGB.

    Args:
        num_classes: 400 for Kinetics (FVD), 18 for dynamic textures (DTFVD).
        pooled: give the 1024 pooled features (DTFVD) rather than the logits (FVD).
    """

    def __init__(self, num_classes: int, *, pooled: bool) -> None:
        super().__init__()
        self.pooled = pooled
        self.Conv3d_1a_7x7 = Unit(3, 64, (7, 7, 7), (2, 2, 2))
        self.Conv3d_2b_1x1 = Unit(64, 64)
        self.Conv3d_2c_3x3 = Unit(64, 192, (3, 3, 3))
        for name, (channels, out) in MIXED.items():
            self.add_module(name, Mixed(channels, out))
        self.logits = Logits(num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """`(b, 1024 or num_classes)`, averaged over time, from `(b, 3, t, 224, 224)` in -1..1."""
        for name, layer in self.named_children():
            if name == "logits":
                break
            x = layer(_pooled(x, *POOLS[name]) if name in POOLS else x)
        x = F.avg_pool3d(x, (2, 7, 7), stride=1)
        return (x if self.pooled else self.logits(x)).mean(dim=(2, 3, 4))


def _pooled(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    return F.max_pool3d(_padded(x, kernel, stride), kernel, stride)


def _padded(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Zeros around, the odd one behind, so that the output has ceil(size / stride) entries."""
    padding: list[int] = []
    for size, k, s in reversed(list(zip(x.shape[2:], kernel, stride, strict=True))):
        total = max(k - (size % s or s), 0)
        padding += [total // 2, total - total // 2]
    return F.pad(x, padding)
