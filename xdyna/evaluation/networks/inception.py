"""Inception v3 as the original FID weights need it.

Keys are torchvision's. TensorFlow's average pool does not count the padding, and the last block pools by maximum.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NUM_CLASSES = 1008


class Conv(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, channels: int, out: int, kernel: int | tuple[int, int], stride: int = 1, pad: bool = True):
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (sides[0] // 2, sides[1] // 2) if pad else (0, 0)
        self.conv = nn.Conv2d(channels, out, sides, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class BlockA(nn.Module):
    """35 x 35."""

    def __init__(self, channels: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(channels, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = Conv(channels, 48, 1), Conv(48, 64, 5)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(channels, 64, 1), Conv(64, 96, 3)
        self.branch3x3dbl_3 = Conv(96, 96, 3)
        self.branch_pool = Conv(channels, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        pooled = self.branch_pool(_average(x))
        return torch.cat([self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, pooled], dim=1)


class BlockB(nn.Module):
    """35 x 35 to 17 x 17."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3 = Conv(288, 384, 3, 2, pad=False)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(288, 64, 1), Conv(64, 96, 3)
        self.branch3x3dbl_3 = Conv(96, 96, 3, 2, pad=False)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, 2)], dim=1)


class BlockC(nn.Module):
    """17 x 17, with 7 x 7 convolutions split in two."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(768, 192, 1)
        self.branch7x7_1, self.branch7x7_2 = Conv(768, inner, 1), Conv(inner, inner, (1, 7))
        self.branch7x7_3 = Conv(inner, 192, (7, 1))
        self.branch7x7dbl_1, self.branch7x7dbl_2 = Conv(768, inner, 1), Conv(inner, inner, (7, 1))
        self.branch7x7dbl_3, self.branch7x7dbl_4 = Conv(inner, inner, (1, 7)), Conv(inner, inner, (7, 1))
        self.branch7x7dbl_5 = Conv(inner, 192, (1, 7))
        self.branch_pool = Conv(768, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(_average(x))], dim=1)


class BlockD(nn.Module):
    """17 x 17 to 8 x 8."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = Conv(768, 192, 1), Conv(192, 320, 3, 2, pad=False)
        self.branch7x7x3_1, self.branch7x7x3_2 = Conv(768, 192, 1), Conv(192, 192, (1, 7))
        self.branch7x7x3_3, self.branch7x7x3_4 = Conv(192, 192, (7, 1)), Conv(192, 192, 3, 2, pad=False)

    def forward(self, x: Tensor) -> Tensor:
        long = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), long, F.max_pool2d(x, 3, 2)], dim=1)


class BlockE(nn.Module):
    """8 x 8; `pool_by_maximum` in the last one."""

    def __init__(self, channels: int, *, pool_by_maximum: bool) -> None:
        super().__init__()
        self.branch1x1 = Conv(channels, 320, 1)
        self.branch3x3_1 = Conv(channels, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = Conv(384, 384, (1, 3)), Conv(384, 384, (3, 1))
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(channels, 448, 1), Conv(448, 384, 3)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = Conv(384, 384, (1, 3)), Conv(384, 384, (3, 1))
        self.branch_pool = Conv(channels, 192, 1)
        self.pool_by_maximum = pool_by_maximum

    def forward(self, x: Tensor) -> Tensor:
        single, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, 1, padding=1) if self.pool_by_maximum else _average(x)
        parts = [self.branch1x1(x), self.branch3x3_2a(single), self.branch3x3_2b(single)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(pooled)]
        return torch.cat(parts, dim=1)


class Inception(nn.Module):
    """Inception v3 up to its 2048 pooled features."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, 2, pad=False)
        self.Conv2d_2a_3x3, self.Conv2d_2b_3x3 = Conv(32, 32, 3, pad=False), Conv(32, 64, 3)
        self.Conv2d_3b_1x1, self.Conv2d_4a_3x3 = Conv(64, 80, 1), Conv(80, 192, 3, pad=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = BlockA(192, 32), BlockA(256, 64), BlockA(288, 64)
        self.Mixed_6a = BlockB()
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = BlockC(128), BlockC(160), BlockC(160), BlockC(192)
        self.Mixed_7a = BlockD()
        self.Mixed_7b, self.Mixed_7c = BlockE(1280, pool_by_maximum=False), BlockE(2048, pool_by_maximum=True)
        self.fc = nn.Linear(2048, NUM_CLASSES)  # part of the published file; FID does not use it

    def forward(self, x: Tensor) -> Tensor:
        """`(b, 2048)` from `(b, 3, 299, 299)` in -1..1."""
        for name, layer in self.named_children():
            if name == "fc":
                break
            if name in ("Conv2d_3b_1x1", "Mixed_5b"):
                x = F.max_pool2d(x, 3, 2)
            x = layer(x)
        return x.mean(dim=(2, 3))


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False)
