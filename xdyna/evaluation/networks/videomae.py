"""VideoMAE v2 giant (Wang et al. 2023), fine-tuned on Something-Something v2: the network of cd-FVD.

Keys are those of OpenGVLab's `vit_g_hybrid_pt_1200e_ssv2_ft.pth`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Self-attention whose keys have no bias."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, width = x.shape
        bias = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias).reshape(b, n, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        return self.proj(attended.transpose(1, 2).reshape(b, n, width))


class Mlp(nn.Module):
    """Two layers with GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, hidden: int, num_heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, num_heads)
        self.mlp = Mlp(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Patches(nn.Module):
    """Two frames of 14 x 14 pixels to one token."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(3, width, (2, patch, patch), (2, patch, patch))

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class VideoMAE(nn.Module):
    """The fine-tuned classifier; its features are taken before the head.

    Args:
        width: channels.
        depth: blocks.
        num_heads: heads.
        hidden: channels inside the MLPs.
        patch: side of a patch.
        num_classes: of the head.
    """

    def __init__(
        self,
        width: int = 1408,
        depth: int = 40,
        num_heads: int = 16,
        hidden: int = 6144,
        patch: int = 14,
        num_classes: int = 174,
    ) -> None:
        super().__init__()
        self.patch_embed = Patches(width, patch)
        self.blocks = nn.ModuleList([Block(width, hidden, num_heads) for _ in range(depth)])
        self.fc_norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, num_classes)  # part of the published file; cd-FVD does not use it

    def forward(self, x: Tensor) -> Tensor:
        """`(b, width)` from `(b, 3, 16, 224, 224)` in 0..1."""
        x = self.patch_embed(x)
        x = x + _sinusoids(x.shape[1], x.shape[2]).to(x)
        for block in self.blocks:
            x = block(x)
        return self.fc_norm(x.mean(dim=1))


def _sinusoids(num_positions: int, width: int) -> Tensor:
    """`(num_positions, width)`: sine in even channels, cosine in odd ones, as in "Attention is all you need"."""
    channel = torch.arange(width, dtype=torch.float64)
    angle = torch.arange(num_positions, dtype=torch.float64)[:, None] / 10000 ** (2 * (channel // 2) / width)
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).float()
