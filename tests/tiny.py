"""X-Dyna at tiny size: every real class, random weights, no files from elsewhere."""

import xdyna.models  # noqa: F401  (its torchvision guard must run before diffusers is imported)

# isort: split
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel
from torch import Tensor, nn
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from xdyna.models import Resampler, XDynaUNet
from xdyna.models.checkpoint import official_names
from xdyna.pipelines import XDynaPipeline
from xdyna.pipelines.convert import Shapes
from xdyna.pipelines.schedulers import official_scheduler

DIM = 32
_BLOCKS = {"block_out_channels": (8, 16, 24, 24), "norm_num_groups": 4, "cross_attention_dim": DIM}
_CONTROLNET = {**_BLOCKS, "attention_head_dim": 2, "conditioning_embedding_out_channels": (4, 4, 8, 8)}

SHAPES = Shapes(
    unet={**_BLOCKS, "num_attention_heads": 2, "motion_num_attention_heads": 2},
    controlnet_pose={**_CONTROLNET, "conditioning_channels": 3},
    controlnet_face={**_CONTROLNET, "conditioning_channels": 6},
    resampler={"dim": 16, "depth": 4, "dim_head": 8, "heads": 2, "embedding_dim": 16, "output_dim": DIM},
)


def tiny_pipeline(seed: int = 0) -> XDynaPipeline:
    """The whole pipeline; no weight is zero, so that every path shows in the result."""
    torch.manual_seed(seed)
    modules = {
        "unet": XDynaUNet(**SHAPES.unet),
        "controlnet_pose": ControlNetModel(**SHAPES.controlnet_pose),
        "controlnet_face": ControlNetModel(**SHAPES.controlnet_face),
        "resampler": Resampler(**SHAPES.resampler),
        "vae": AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8, 8, 8, 8),
            norm_num_groups=4,
            layers_per_block=1,
        ),
        "text_encoder": CLIPTextModel(
            CLIPTextConfig(
                vocab_size=100,
                hidden_size=DIM,
                intermediate_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                bos_token_id=98,
                eos_token_id=99,
            )
        ),
        "image_encoder": CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=16,
                intermediate_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=224,
                patch_size=112,
                projection_dim=16,
            )
        ),
    }
    for module in modules.values():
        randomise(module.eval())
    pipeline = XDynaPipeline(
        **modules,
        tokenizer=tiny_tokenizer(),
        feature_extractor=CLIPImageProcessor(),
        scheduler=official_scheduler(),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def seeded_run() -> dict[str, Tensor]:
    """A long clip through every part of the tiny pipeline: windows, both ControlNets, guidance, image tokens."""
    rng = np.random.default_rng(0)
    image, *clips = (rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((80, 60, 3), *[(6, 64, 48, 3)] * 3))
    arguments = {
        "prompt": "water",
        "negative_prompt": "fire",
        "num_inference_steps": 3,
        "context_frames": 4,
        "context_overlap": 1,
        "output_type": "latent",
    }
    generator = torch.Generator().manual_seed(5)
    return {"latents": tiny_pipeline()(image, *clips, **arguments, generator=generator).frames}


def tiny_tokenizer() -> CLIPTokenizer:
    """Letters as tokens."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(letter + "</w>" for letter in letters)]
    words += [f"<|unused{k}|>" for k in range(98 - len(words))] + ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: k for k, word in enumerate(words)}, merges=[], model_max_length=77)


def randomise(module: nn.Module) -> None:
    """Gives every parameter of a module a value that is neither zero nor large."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 1.0 / parameter[0].numel() ** 0.5)
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))


def official_state(model: nn.Module) -> dict[str, Tensor]:
    """The module's weights as the official checkpoint would hold them."""
    state: dict[str, Tensor] = {}
    for key, tensor in model.state_dict().items():
        for name in official_names(model, key):
            state[name] = torch.cat([state[name], tensor]) if name in state else tensor
    return state


def write_release(folder: Path, pipeline: XDynaPipeline) -> dict[str, Path]:
    """Writes a pipeline as the official files would be: wrapped, prefixed, in four formats. Returns the sources."""
    folder.mkdir(parents=True, exist_ok=True)
    unet = {f"module.{key}": value for key, value in official_state(pipeline.unet).items()}
    torch.save({"state_dict": unet, "epoch": 5}, folder / "unet.ckpt")
    torch.save(official_state(pipeline.controlnet_pose), folder / "pose.ckpt")
    face = {f"module.{key}": value for key, value in official_state(pipeline.controlnet_face).items()}
    torch.save({"state_dict": face}, folder / "face.ckpt")
    image_proj = official_state(pipeline.resampler)
    torch.save({"image_proj": image_proj, "ip_adapter": {"unused": torch.zeros(1)}}, folder / "ip-adapter.bin")
    sd = folder / "sd15"
    pipeline.vae.save_pretrained(sd / "vae")
    pipeline.text_encoder.save_pretrained(sd / "text_encoder")
    pipeline.tokenizer.save_pretrained(sd / "tokenizer")
    pipeline.image_encoder.save_pretrained(folder / "image_encoder")
    return {
        "unet": folder / "unet.ckpt",
        "controlnet_pose": folder / "pose.ckpt",
        "controlnet_face": folder / "face.ckpt",
        "resampler": folder / "ip-adapter.bin",
        "image_encoder": folder / "image_encoder",
        "stable_diffusion": sd,
    }


def load_layout(golden: Path) -> dict[str, dict[str, list[int]]]:
    """Every key and shape of the official release, and its parameter counts."""
    import gzip

    return json.loads(gzip.decompress((golden / "official_layout.json.gz").read_bytes()))
