"""IR-50, the residual network of AdaFace (Kim et al. 2022), at the key layout of its authors' checkpoints."""

import torch.nn.functional as F
from torch import Tensor, nn

STAGES = ((64, 64, 3), (64, 128, 4), (128, 256, 14), (256, 512, 3))


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)
        if channels != out:
            self.shortcut_layer = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.PReLU(out),
            nn.Conv2d(out, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.res_layer(x) + self.shortcut_layer(x)


class IResNet50(nn.Module):
    """Face embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        self.body = nn.Sequential(
            *(
                Residual(channels if k == 0 else out, out, 2 if k == 0 else 1)
                for channels, out, depth in STAGES
                for k in range(depth)
            )
        )
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512),
            nn.Dropout(0.4),
            nn.Flatten(),
            nn.Linear(512 * 7 * 7, 512),
            nn.BatchNorm1d(512, affine=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(b, 512)` of length 1 from `(b, 3, 112, 112)` BGR in -1..1."""
        return F.normalize(self.output_layer(self.body(self.input_layer(x))), dim=1)
