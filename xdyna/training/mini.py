"""The shape of xdyna-mini: X-Dyna's own classes at small width."""

from diffusers import ControlNetModel
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from xdyna.models import PatchAutoencoder, Resampler, XDynaUNet
from xdyna.pipelines import XDynaPipeline
from xdyna.pipelines.schedulers import official_scheduler

HEIGHT, WIDTH = 224, 128
LATENT_CHANNELS = 12
BLOCK_OUT_CHANNELS = (64, 128, 192)
NUM_ATTENTION_HEADS = (1, 4, 4)  # one where attention maps are largest: they are the cost
CROSS_ATTENTION_DIM = 128
NUM_IMAGE_TOKENS = 4
NORM_NUM_GROUPS = 16


def build_pipeline(
    vae: PatchAutoencoder,
    block_out_channels: tuple[int, ...] = BLOCK_OUT_CHANNELS,
    num_attention_heads: tuple[int, ...] = NUM_ATTENTION_HEADS,
) -> XDynaPipeline:
    """An untrained xdyna-mini around an autoencoder, or a still smaller model of fewer and narrower levels."""
    levels = len(block_out_channels)
    unet = XDynaUNet(
        sample_size=HEIGHT // 8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("CrossAttnDownBlockMotion",) * levels,
        up_block_types=("CrossAttnUpBlockMotion",) * levels,
        block_out_channels=block_out_channels,
        layers_per_block=1,
        norm_num_groups=NORM_NUM_GROUPS,
        cross_attention_dim=CROSS_ATTENTION_DIM,
        num_attention_heads=num_attention_heads,
        motion_num_attention_heads=4,
        num_image_tokens=NUM_IMAGE_TOKENS,
        use_position_encoding=True,
    )
    image_encoder = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=3,
            num_attention_heads=4,
            image_size=224,
            patch_size=32,
            projection_dim=64,
        )
    )
    resampler = Resampler(
        dim=64,
        depth=2,
        dim_head=16,
        heads=4,
        num_queries=NUM_IMAGE_TOKENS,
        embedding_dim=64,
        output_dim=CROSS_ATTENTION_DIM,
        ff_mult=2,
    )
    return XDynaPipeline(
        vae=vae,
        unet=unet,
        controlnet_pose=_build_controlnet(3, block_out_channels),
        controlnet_face=_build_controlnet(6, block_out_channels),
        scheduler=official_scheduler("v_prediction", "trailing"),  # few, large steps suit a small model
        resampler=resampler,
        image_encoder=image_encoder,
        feature_extractor=CLIPImageProcessor(),
    )


def _build_controlnet(conditioning_channels: int, block_out_channels: tuple[int, ...]) -> ControlNetModel:
    return ControlNetModel(
        in_channels=LATENT_CHANNELS,
        conditioning_channels=conditioning_channels,
        down_block_types=("DownBlock2D",) * len(block_out_channels),
        mid_block_type="UNetMidBlock2D",
        block_out_channels=block_out_channels,
        layers_per_block=1,
        norm_num_groups=NORM_NUM_GROUPS,
        cross_attention_dim=CROSS_ATTENTION_DIM,
        attention_head_dim=8,
        conditioning_embedding_out_channels=(8, 16, 32, 64),
    )
