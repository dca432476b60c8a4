"""The pipeline a run starts from."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import ControlNetModel, MotionAdapter
from torch import nn

from xdyna.models import PatchAutoencoder
from xdyna.models.motion_module import ReferenceMotionModule
from xdyna.pipelines import XDynaPipeline
from xdyna.schema import InputError
from xdyna.training.autoencoder import train_autoencoder
from xdyna.training.mini import build_pipeline
from xdyna.training.recipe import Recipe
from xdyna.training.stages import trainable_components
from xdyna.weights import locate

logger = logging.getLogger(__name__)


def starting_pipeline(recipe: Recipe, output: Path, device: torch.device) -> XDynaPipeline:
    """Builds or loads what the recipe starts from, in float32 on `device`.

    Args:
        recipe: says what.
        output: folder of the run; keeps xdyna-mini's autoencoder, trained here if it is not there yet.
        device: to train on.

    Raises:
        InputError: the recipe's weights are not there or do not fit.
    """
    if recipe.model == "xdyna-mini":
        torch.manual_seed(recipe.seed)
        pipeline = build_pipeline(_autoencoder(recipe, output, device))
        initialise(pipeline)
        if recipe.start:
            take_over(pipeline, _loaded(recipe.start))
    else:
        pipeline = _loaded(str(locate("xdyna")) if recipe.model == "xdyna" else recipe.model)
    if recipe.motion_adapter:
        try:
            adapter = MotionAdapter.from_pretrained(recipe.motion_adapter)
            pipeline.unet.load_motion_modules(adapter)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"motion_adapter {recipe.motion_adapter} cannot be loaded: {error}") from error
    torch.manual_seed(recipe.seed)
    for part in recipe.reset:
        RESETS[part](pipeline)
    if isinstance(getattr(pipeline.vae, "use_slicing", None), bool):
        pipeline.vae.enable_slicing()  # one frame after another: a clip's activations are large
    for module in pipeline.components.values():
        if isinstance(module, nn.Module):
            module.requires_grad_(False).eval()
    if recipe.gradient_checkpointing:
        for network in (pipeline.unet, pipeline.controlnet_pose, pipeline.controlnet_face):
            network.enable_gradient_checkpointing()
    if recipe.compile:
        _require_compiler(device)
        pipeline.unet.compile(dynamic=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def initialise(pipeline: XDynaPipeline) -> None:
    """Starting values for a model trained from nothing, where they differ from the modules' own.

    The adapter's output projectors start small instead of zero: there is no prior behaviour to protect, and zero would
    make the query projectors wait. Motion modules start at zero effect, as AnimateDiff's do.
    """
    for layer in pipeline.unet.dynamics_adapters():
        nn.init.normal_(layer.to_out_ff.weight, std=0.02)
    for module in pipeline.unet.modules():
        if isinstance(module, ReferenceMotionModule):
            nn.init.zeros_(module.proj_out.weight)
            nn.init.zeros_(module.proj_out.bias)


def take_over(pipeline: XDynaPipeline, earlier: XDynaPipeline) -> None:
    """Gives a pipeline the weights of an earlier one with fewer layers; the others start at no effect.

    Raises:
        InputError: the earlier model has layers or shapes that this one lacks.
    """
    for name, component in trainable_components(pipeline).items():
        try:
            missing, unexpected = component.load_state_dict(getattr(earlier, name).state_dict(), strict=False)
        except RuntimeError as error:
            raise InputError(f"start does not fit: {name} has other shapes ({error}).") from error
        if unexpected:
            raise InputError(f"start does not fit: its {name} has {unexpected[0]}, which this model lacks.")
        logger.info("%s: %d new tensors, all others taken over", name, len(missing))
        layers = {key.split(".transformer_blocks.")[0] for key in missing if ".transformer_blocks." in key}
        for layer in sorted(layers):
            nn.init.zeros_(component.get_parameter(f"{layer}.proj_out.weight"))
            nn.init.zeros_(component.get_parameter(f"{layer}.proj_out.bias"))


def reset_adapter(pipeline: XDynaPipeline) -> None:
    """Dynamics-Adapter: query projectors copied from the backbone, output projectors zero (paper section 3.2)."""
    for layer in pipeline.unet.dynamics_adapters():
        layer.to_q_ff.load_state_dict(layer.to_q.state_dict())
        nn.init.zeros_(layer.to_out_ff.weight)
        nn.init.zeros_(layer.to_out_ff.bias)


def reset_controlnet(pipeline: XDynaPipeline, name: str) -> None:
    """A ControlNet: the backbone's down path and middle block, fresh condition encoder, zero convolutions."""
    controlnet = getattr(pipeline, name)
    fresh = ControlNetModel.from_config(controlnet.config).state_dict()
    backbone = pipeline.unet.state_dict()
    copied = {
        key: backbone[key] for key, value in fresh.items() if key in backbone and backbone[key].shape == value.shape
    }
    controlnet.load_state_dict({**fresh, **copied})


RESETS: dict[str, Callable[[XDynaPipeline], None]] = {
    "dynamics_adapter": reset_adapter,
    "controlnet_pose": lambda pipeline: reset_controlnet(pipeline, "controlnet_pose"),
    "controlnet_face": lambda pipeline: reset_controlnet(pipeline, "controlnet_face"),
}


def _autoencoder(recipe: Recipe, output: Path, device: torch.device) -> PatchAutoencoder:
    if recipe.start:
        return _loaded(recipe.start).vae
    folder = output / "vae"
    if not folder.exists():
        train_autoencoder(folder, steps=recipe.autoencoder_steps, seed=recipe.seed, device=device)
    return PatchAutoencoder.from_pretrained(folder)


def _require_compiler(device: torch.device) -> None:
    """On a CPU a model is compiled to C++; without a compiler that fails minutes later, in obscure words."""
    compiler = os.environ.get("CXX", "g++")
    if device.type == "cpu" and shutil.which(compiler) is None:
        raise InputError(
            f"The recipe says compile = true, but there is no C++ compiler ({compiler}) here. Install one, or train "
            "without: --set compile=false"
        )


def _loaded(folder: str) -> XDynaPipeline:
    if not (Path(folder) / "model_index.json").is_file():
        raise InputError(f"{folder} is not a pipeline folder: it has no model_index.json.")
    try:
        return XDynaPipeline.from_pretrained(folder, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{folder} cannot be loaded: {error}") from error
