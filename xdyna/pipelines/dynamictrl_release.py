"""DynamiCtrl's release, which leaves parts of its base to be taken from there, to a pipeline."""

from pathlib import Path

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXDPMScheduler
from transformers import AutoTokenizer, T5EncoderModel

from xdyna.models.dynamictrl_checkpoint import load_dynamictrl
from xdyna.pipelines.dynamictrl import DynamiCtrlPipeline
from xdyna.schema import InputError

BASE_REPOSITORY = "THUDM/CogVideoX1.5-5B-I2V"
COMPONENTS = ("vae", "text_encoder", "tokenizer", "scheduler")


def load_release(folder: Path, base: Path | None = None, dtype: torch.dtype = torch.bfloat16) -> DynamiCtrlPipeline:
    """Loads a release onto the CPU; `set_memory_mode` moves it to its device.

    Args:
        folder: the release, a pipeline or a transformer alone (see `load_dynamictrl`).
        base: folder of CogVideoX1.5-5B-I2V; whatever of autoencoder, text encoder, tokenizer and scheduler the release
            does not bring is taken from it.
        dtype: of all weights.

    Raises:
        InputError: a part is in neither folder, or a part cannot be loaded.
    """
    transformer = load_dynamictrl(folder, dtype)
    places = {name: _component(name, folder, base) for name in COMPONENTS}
    try:
        return DynamiCtrlPipeline(
            vae=AutoencoderKLCogVideoX.from_pretrained(places["vae"], dtype=dtype),
            transformer=transformer,
            # The sampler's timesteps must be counted from the end of the schedule, whatever is stored.
            scheduler=CogVideoXDPMScheduler.from_config(
                CogVideoXDPMScheduler.load_config(places["scheduler"]), timestep_spacing="trailing"
            ),
            text_encoder=T5EncoderModel.from_pretrained(places["text_encoder"], dtype=dtype),
            tokenizer=AutoTokenizer.from_pretrained(places["tokenizer"]),
        )
    except (OSError, ValueError) as error:
        raise InputError(f"A part of DynamiCtrl cannot be loaded: {error}") from error


def _component(name: str, folder: Path, base: Path | None) -> Path:
    for place in (folder, base):
        if place is not None and (place / name).is_dir():
            return place / name
    raise InputError(
        f"{folder} has no {name} folder{'' if base is None else f', nor has {base}'}. The release brings only a "
        f"transformer: download {BASE_REPOSITORY} too and give its folder as the base."
    )
