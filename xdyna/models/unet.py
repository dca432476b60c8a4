"""The X-Dyna UNet on diffusers' own motion UNet."""

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_motion_model import (
    AnimateDiffTransformer3D,
    ModelMixin,  # noqa: F401  (diffusers' loader looks the base class up in this module)
    UNetMotionModel,
    UNetMotionOutput,
)
from torch import Tensor, nn

from xdyna.models.dynamics_adapter import add_dynamics_adapter, add_image_tokens
from xdyna.models.motion_module import ClipGroupNorm, ReferenceMotionModule, copy_norm


class XDynaUNet(UNetMotionModel):
    """SD 1.5 UNet + AnimateDiff motion modules + Dynamics-Adapter + image tokens (paper figure 2).

    One call sees the clean reference latent as frame 0, then the noisy driving frames. It differs from
    `UNetMotionModel` in four ways: group normalisation in the ResNet blocks and before the last convolution runs over
    all frames together; motion modules skip frame 0; spatial self-attention has the Dynamics-Adapter; cross-attention
    has image tokens.

    Args:
        num_image_tokens: how many of the last `encoder_hidden_states` are image tokens.
        use_position_encoding: adds a fixed two-dimensional position code after the first convolution. Off in X-Dyna,
            whose backbone has learnt positions; small models trained from scratch need it.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int | None = 64,
        in_channels: int = 4,
        out_channels: int = 4,
        down_block_types: tuple[str, ...] = (
            "CrossAttnDownBlockMotion",
            "CrossAttnDownBlockMotion",
            "CrossAttnDownBlockMotion",
            "DownBlockMotion",
        ),
        up_block_types: tuple[str, ...] = (
            "UpBlockMotion",
            "CrossAttnUpBlockMotion",
            "CrossAttnUpBlockMotion",
            "CrossAttnUpBlockMotion",
        ),
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        layers_per_block: int = 2,
        downsample_padding: int = 1,
        mid_block_scale_factor: float = 1,
        act_fn: str = "silu",
        norm_num_groups: int = 32,
        norm_eps: float = 1e-5,
        cross_attention_dim: int = 768,
        num_attention_heads: int = 8,
        motion_max_seq_length: int = 24,
        motion_num_attention_heads: int = 8,
        num_image_tokens: int = 16,
        use_position_encoding: bool = False,
        addition_embed_type: None = None,  # read by the parent's forward
    ) -> None:
        # The undecorated parent: its own decorator would write its other arguments into our config.
        UNetMotionModel.__init__.__wrapped__(
            self,
            sample_size=sample_size,
            in_channels=in_channels,
            out_channels=out_channels,
            down_block_types=down_block_types,
            up_block_types=up_block_types,
            block_out_channels=block_out_channels,
            layers_per_block=layers_per_block,
            downsample_padding=downsample_padding,
            mid_block_scale_factor=mid_block_scale_factor,
            act_fn=act_fn,
            norm_num_groups=norm_num_groups,
            norm_eps=norm_eps,
            cross_attention_dim=cross_attention_dim,
            num_attention_heads=num_attention_heads,
            motion_max_seq_length=motion_max_seq_length,
            motion_num_attention_heads=motion_num_attention_heads,
            use_motion_mid_block=False,
        )
        for module in list(self.modules()):
            if isinstance(module, ResnetBlock2D):
                module.norm1 = copy_norm(module.norm1, ClipGroupNorm)
                module.norm2 = copy_norm(module.norm2, ClipGroupNorm)
            elif isinstance(module, AnimateDiffTransformer3D):
                ReferenceMotionModule.convert(module)
            elif isinstance(module, BasicTransformerBlock) and module.pos_embed is None:
                add_dynamics_adapter(module.attn1)
                add_image_tokens(module.attn2)
        self.conv_norm_out: nn.GroupNorm = copy_norm(self.conv_norm_out, ClipGroupNorm)
        if use_position_encoding:
            self.conv_in: nn.Conv2d = PositionedConv2d.like(self.conv_in)

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | int,
        encoder_hidden_states: Tensor,
        down_block_additional_residuals: tuple[Tensor, ...] | None = None,
        mid_block_additional_residual: Tensor | None = None,
        adapter_strength: float = 1.0,
        ip_adapter_scale: float = 1.0,
        return_dict: bool = True,
    ) -> UNetMotionOutput | tuple[Tensor]:
        """Predicts noise for a clip.

        Args:
            sample: `(batch, channels, 1 + num_frames, height, width)` latents, the clean reference first.
            timestep: one for all frames, the reference included.
            encoder_hidden_states: `(batch, text_tokens + num_image_tokens, cross_attention_dim)`, text first.
            down_block_additional_residuals: ControlNet residuals of the driving frames,
                `(batch * num_frames, channels, height, width)` each; the reference gets none.
            mid_block_additional_residual: the same for the middle block.
            adapter_strength: weight of the Dynamics-Adapter; at 0 it is not computed.
            ip_adapter_scale: weight of the image tokens; at 0 they are not read.
            return_dict: whether to wrap the result.

        Returns:
            `(batch, channels, 1 + num_frames, height, width)`; frame 0 carries no meaning.

        Raises:
            ValueError: there is no driving frame, or there are more than the motion modules have positions.
        """
        num_frames = sample.shape[2]
        limit = self.config.motion_max_seq_length
        if not 2 <= num_frames <= limit + 1:
            raise ValueError(f"a window needs 1 to {limit} driving frames beside the reference, got {num_frames - 1}")
        for module in self.modules():
            if isinstance(module, ClipGroupNorm):
                module.num_frames = num_frames

        num_text = encoder_hidden_states.shape[1] - self.config.num_image_tokens
        residuals = down_block_additional_residuals
        middle = mid_block_additional_residual
        return super().forward(
            sample,
            timestep,
            encoder_hidden_states=encoder_hidden_states.split([num_text, self.config.num_image_tokens], dim=1),
            down_block_additional_residuals=residuals and tuple(_skip_reference(r, num_frames) for r in residuals),
            mid_block_additional_residual=None if middle is None else _skip_reference(middle, num_frames),
            cross_attention_kwargs={
                "num_frames": num_frames,
                "adapter_strength": adapter_strength,
                "ip_adapter_scale": ip_adapter_scale,
            },
            return_dict=return_dict,
        )

    def dynamics_adapters(self) -> list[Attention]:
        """The self-attention layers that carry a Dynamics-Adapter, in the order of the network."""
        return [m for m in self.modules() if isinstance(m, Attention) and hasattr(m, "to_q_ff")]

    def set_default_attn_processor(self) -> None:
        """Refused: the Dynamics-Adapter lives in its processors.

        Raises:
            ValueError: always.
        """
        raise ValueError("XDynaUNet has its own attention processors; the default ones would drop the adapter")


class PositionedConv2d(nn.Conv2d):
    """A convolution that adds a fixed sinusoidal code of each pixel's row and column to its output."""

    @classmethod
    def like(cls, conv: nn.Conv2d) -> "PositionedConv2d":
        """A fresh 3 x 3 layer with the channels of `conv`."""
        return cls(conv.in_channels, conv.out_channels, kernel_size=3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        """Maps `(batch, in_channels, height, width)` to `(batch, out_channels, height, width)`."""
        output = super().forward(input)
        height, width = output.shape[-2:]
        num_bands = self.out_channels // 4
        # Half a period over the picture at the lowest band, a period of two pixels at the highest.
        bands = torch.pi * torch.logspace(0, 1, num_bands, base=max(height, width) / 2, device=output.device)
        rows = torch.arange(height, device=output.device)[:, None] / height * bands
        columns = torch.arange(width, device=output.device)[:, None] / width * bands
        code = output.new_zeros(self.out_channels, height, width)
        code[: 2 * num_bands] = torch.cat([rows.sin(), rows.cos()], 1).T[:, :, None]
        code[2 * num_bands : 4 * num_bands] = torch.cat([columns.sin(), columns.cos()], 1).T[:, None, :]
        return output + code


def _skip_reference(residual: Tensor, num_frames: int) -> Tensor:
    """Puts a zero frame in front of each clip: `(batch * n, ...)` becomes `(batch * (n + 1), ...)`."""
    clips = residual.unflatten(0, (-1, num_frames - 1))
    return torch.cat([torch.zeros_like(clips[:, :1]), clips], dim=1).flatten(0, 1)
