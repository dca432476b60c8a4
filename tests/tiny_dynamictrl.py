"""DynamiCtrl at tiny size: every real class, random weights, no files from elsewhere."""

import xdyna.models  # noqa: F401  (its torchvision guard must run before diffusers is imported)

# isort: split
import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXDPMScheduler
from tiny import randomise
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from xdyna.models import DynamiCtrlTransformer
from xdyna.pipelines import DynamiCtrlPipeline

TEXT_DIM = 16
TRANSFORMER = {
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "in_channels": 8,
    "out_channels": 4,
    "time_embed_dim": 12,
    "ofs_embed_dim": 12,
    "text_embed_dim": TEXT_DIM,
    "num_layers": 2,
    "sample_width": 12,
    "sample_height": 12,
    "max_text_seq_length": 8,
}


def tiny_transformer(seed: int = 0) -> DynamiCtrlTransformer:
    torch.manual_seed(seed)
    transformer = DynamiCtrlTransformer(**TRANSFORMER).eval()
    randomise(transformer)
    return transformer


def tiny_dynamictrl() -> DynamiCtrlPipeline:
    """The whole pipeline; no weight is zero, so that every path shows in the result."""
    transformer = tiny_transformer()
    vae = AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(4, 4, 4, 4),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        scaling_factor=0.7,
        invert_scale_latents=True,
    )
    text_encoder = T5EncoderModel(
        T5Config(vocab_size=40, d_model=TEXT_DIM, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0)
    )
    for module in (vae, text_encoder):
        randomise(module.eval())
    pipeline = DynamiCtrlPipeline(
        vae=vae,
        transformer=transformer,
        scheduler=CogVideoXDPMScheduler(
            beta_schedule="scaled_linear",
            clip_sample=False,
            prediction_type="v_prediction",
            timestep_spacing="trailing",
            rescale_betas_zero_snr=True,
            snr_shift_scale=1.0,
        ),
        text_encoder=text_encoder,
        tokenizer=tiny_t5_tokenizer(),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tiny_t5_tokenizer() -> T5Tokenizer:
    """Letters as tokens."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["<pad>", "</s>", "<unk>", "▁", *letters]
    return T5Tokenizer(vocab=[(piece, -1.0) for piece in pieces], extra_ids=0)
