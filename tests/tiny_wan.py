"""Wan-Animate and Wan-Animate-2 at tiny size: diffusers' real classes, random weights, no files from elsewhere."""

import xdyna.models  # noqa: F401  (its torchvision guard must run before diffusers is imported)

# isort: split
import torch
from diffusers import (
    AutoencoderKLWan,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    ModularPipeline,
    UniPCMultistepScheduler,
    WanAnimate2Transformer3DModel,
    WanAnimatePipeline,
    WanAnimateTransformer3DModel,
)
from diffusers.modular_pipelines.wan_animate_2 import WanAnimate2Blocks, WanAnimate2DistilledBlocks
from tiny import randomise
from tiny_dynamictrl import tiny_t5_tokenizer
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

TEXT_DIM, IMAGE_DIM, TEXT_LENGTH = 16, 1280, 512  # Wan-Animate-2 fixes the last two in its code
CHANNELS = {str(side): 16 for side in (4, 8, 16, 32, 64, 128, 256, 512, 1024)}


def tiny_wan_animate() -> WanAnimatePipeline:
    """The pipeline of version 1."""
    torch.manual_seed(0)
    transformer = WanAnimateTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=12,
        latent_channels=4,
        out_channels=4,
        text_dim=TEXT_DIM,
        freq_dim=16,
        ffn_dim=16,
        num_layers=2,
        image_dim=IMAGE_DIM,
        motion_encoder_channel_sizes=CHANNELS,
        motion_encoder_size=16,
        motion_style_dim=8,
        motion_dim=4,
        motion_encoder_dim=16,
        face_encoder_hidden_dim=16,
        face_encoder_num_heads=2,
        inject_face_latents_blocks=2,
    )
    parts = _shared_parts()
    for module in (transformer, *parts.values()):
        randomise(module.eval())
    pipeline = WanAnimatePipeline(
        transformer=transformer,
        tokenizer=tiny_t5_tokenizer(),
        image_processor=CLIPImageProcessor(),
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0),
        **parts,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tiny_wan_animate_2(distilled: bool = False) -> ModularPipeline:
    """The modular pipeline of version 2."""
    torch.manual_seed(0)
    transformer, parts = tiny_wan_animate_2_transformer(), _shared_parts()
    for module in parts.values():
        randomise(module.eval())
    pipeline = (WanAnimate2DistilledBlocks if distilled else WanAnimate2Blocks)().init_pipeline()
    flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 5.0}
    scheduler = FlowMatchEulerDiscreteScheduler(shift=5.0) if distilled else DPMSolverMultistepScheduler(**flow)
    pipeline.update_components(transformer=transformer, tokenizer=tiny_t5_tokenizer(), scheduler=scheduler, **parts)
    return pipeline


def tiny_wan_animate_2_transformer() -> WanAnimate2Transformer3DModel:
    transformer = WanAnimate2Transformer3DModel(
        text_len=TEXT_LENGTH,
        in_dim=12,
        dim=24,
        ffn_dim=16,
        freq_dim=16,
        text_dim=TEXT_DIM,
        out_dim=4,
        num_heads=2,
        num_layers=2,
    )
    randomise(transformer.eval())
    return transformer


def _shared_parts() -> dict[str, torch.nn.Module]:
    return {
        "vae": AutoencoderKLWan(
            base_dim=3,
            z_dim=4,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
            latents_mean=[0.1, 0.0, -0.1, 0.2],
            latents_std=[1.1, 0.9, 1.0, 1.2],
        ),
        "text_encoder": UMT5EncoderModel(
            UMT5Config(
                vocab_size=40, d_model=TEXT_DIM, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
            )
        ),
        "image_encoder": CLIPVisionModel(
            CLIPVisionConfig(
                hidden_size=IMAGE_DIM,
                intermediate_size=8,
                num_hidden_layers=2,
                num_attention_heads=8,
                image_size=224,
                patch_size=112,
            )
        ),
    }
