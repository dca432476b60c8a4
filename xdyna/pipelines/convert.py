"""The official release, eight sources in four formats, to one folder of safetensors that `from_pretrained` loads."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel
from diffusers.models.modeling_utils import ModelMixin
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from xdyna.models import Resampler, XDynaUNet
from xdyna.models.checkpoint import StateDict, load_official, official_layout, read_checkpoint
from xdyna.pipelines.schedulers import official_scheduler
from xdyna.pipelines.xdyna import XDynaPipeline
from xdyna.schema import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where the official files are.

    Attributes:
        unet: `unet-checkpoint-epoch-5.ckpt`.
        controlnet_pose: `controlnet-checkpoint-epoch-5.ckpt`.
        controlnet_face: `controlnet-face-checkpoint-epoch-2.ckpt`.
        resampler: `ip-adapter-plus_sd15.bin`; its `image_proj` entry is read.
        image_encoder: folder of IP-Adapter's CLIP ViT-H image encoder.
        stable_diffusion: folder of SD 1.5, with `vae`, `text_encoder` and `tokenizer`.
        unet_initialisation: `animatediff_v15_v1_ipplus.pth`, read only for keys that the UNet checkpoint lacks.
    """

    unet: Path
    controlnet_pose: Path
    controlnet_face: Path
    resampler: Path
    image_encoder: Path
    stable_diffusion: Path
    unet_initialisation: Path | None = None


def _controlnet_shape(conditioning_channels: int) -> dict[str, Any]:
    return {"conditioning_channels": conditioning_channels, "cross_attention_dim": 768, "attention_head_dim": 8}


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Constructor arguments of the four converted modules; the defaults are those of the release."""

    unet: dict[str, Any] = field(default_factory=dict)
    controlnet_pose: dict[str, Any] = field(default_factory=lambda: _controlnet_shape(3))
    controlnet_face: dict[str, Any] = field(default_factory=lambda: _controlnet_shape(6))
    resampler: dict[str, Any] = field(default_factory=dict)

    def build(self) -> dict[str, ModelMixin]:
        """The modules without memory, on the meta device."""
        with torch.device("meta"):
            return {
                "unet": XDynaUNet(**self.unet),
                "controlnet_pose": ControlNetModel(**self.controlnet_pose),
                "controlnet_face": ControlNetModel(**self.controlnet_face),
                "resampler": Resampler(**self.resampler),
            }


def convert(sources: Sources, output: Path, shapes: Shapes | None = None, dtype: torch.dtype = torch.float16) -> Path:
    """Converts the official files.

    Args:
        sources: the files.
        output: folder to write; `xdyna animate --model xdyna` looks in `weights.cache_folder() / "xdyna"`.
        shapes: of the modules, if not the official ones.
        dtype: of the written weights; half is what the official script runs in.

    Returns:
        The folder.

    Raises:
        InputError: a file is missing or its keys or shapes are not those of the release; the first ones are named.
    """
    for name in ("image_encoder", "stable_diffusion"):
        if not getattr(sources, name).is_dir():
            raise InputError(f"{getattr(sources, name)} is not a folder. Give the downloaded {name} folder.")
    modules = (shapes or Shapes()).build()
    for name, module in modules.items():
        path = getattr(sources, name)
        state = read_checkpoint(path, entry="image_proj" if name == "resampler" else None)
        if name == "unet":
            state = _completed(state, module, sources)
        load_official(module, state, path.name)
        module.to(dtype)
        logger.info("%s: %d tensors", path.name, len(state))
    try:
        pipeline = XDynaPipeline(
            **modules,
            vae=AutoencoderKL.from_pretrained(sources.stable_diffusion, subfolder="vae", dtype=dtype),
            text_encoder=CLIPTextModel.from_pretrained(
                sources.stable_diffusion, subfolder="text_encoder", dtype=dtype
            ),
            tokenizer=CLIPTokenizer.from_pretrained(sources.stable_diffusion, subfolder="tokenizer"),
            image_encoder=CLIPVisionModelWithProjection.from_pretrained(sources.image_encoder, dtype=dtype),
            feature_extractor=CLIPImageProcessor(),
            scheduler=official_scheduler(),
        )
    except (OSError, ValueError) as error:
        raise InputError(f"SD 1.5 or the image encoder cannot be loaded: {error}") from error
    pipeline.save_pretrained(output)
    return output


def _completed(state: StateDict, unet: ModelMixin, sources: Sources) -> StateDict:
    """The UNet checkpoint with absent keys taken from the initialisation file, if the user gave one."""
    absent = [key for key in official_layout(unet) if key not in state]
    if not absent:
        return state
    if sources.unet_initialisation is None:
        raise InputError(
            f"{sources.unet.name} lacks {len(absent)} keys ({', '.join(absent[:3])}). If it is the released file, "
            "give animatediff_v15_v1_ipplus.pth as --unet-initialisation to take them from there."
        )
    initial = read_checkpoint(sources.unet_initialisation)
    taken = {key: initial[key] for key in absent if key in initial}
    logger.warning("%d keys taken from %s: %s", len(taken), sources.unet_initialisation.name, ", ".join(taken))
    return state | taken
