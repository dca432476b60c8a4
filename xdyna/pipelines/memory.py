"""Where the networks wait for their turn, and how much is done at once: less memory for more time, the same result.

But for `store_in_float8`, which rounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from diffusers import DiffusionPipeline, ModelMixin
from diffusers.hooks import HookRegistry
from torch import nn

GROUP_OFFLOAD_HOOKS = ("group_offloading", "layer_execution_tracker", "lazy_prefetch_group_offloading")
"""Their names in diffusers."""


@dataclass(frozen=True, kw_only=True)
class MemoryMode:
    """A way to run in less memory.

    Attributes:
        guidance_passes: 1 runs both halves of guidance as one batch; 2 one after the other, in half the memory.
        windows_at_once: that run through the UNet as one batch.
        control_frames_at_once: that run through a ControlNet together; 0 is all that a window needs.
        offload: "none" keeps all networks on the device; "model" those that run, "group" only their layers that run.
        tiled_decoding: whether frames are decoded in overlapping tiles.
        cache_share: of the pipeline's cache that is used, 0..1: it takes memory of the device.
    """

    guidance_passes: int = 1
    windows_at_once: int = 1
    control_frames_at_once: int = 0
    offload: str = "none"
    tiled_decoding: bool = False
    cache_share: float = 1.0


MEMORY_MODES: Mapping[str, MemoryMode] = MappingProxyType(
    {
        "full": MemoryMode(),
        "model_offload": MemoryMode(guidance_passes=2, control_frames_at_once=8, offload="model", cache_share=0.5),
        "sequential_offload": MemoryMode(
            guidance_passes=2, control_frames_at_once=4, offload="group", tiled_decoding=True, cache_share=0.0
        ),
    }
)
"""From the fastest to the smallest."""


def place(pipeline: DiffusionPipeline, mode: MemoryMode, device: torch.device | str) -> None:
    """Puts the networks where a mode wants them. On a CPU they stay in its memory in every mode.

    Args:
        pipeline: with its networks in CPU memory, or placed by this function before.
        mode: one of `MEMORY_MODES`.
        device: that computes.
    """
    device = torch.device(device)
    pipeline.remove_all_hooks()
    _end_group_offload(pipeline)
    if mode.offload == "none" or device.type == "cpu":
        pipeline.to(device)
    elif mode.offload == "model":
        pipeline.to("cpu")
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.to("cpu")
        pipeline.enable_group_offload(onload_device=device, offload_type="leaf_level", use_stream=True)
    if hasattr(pipeline.vae, "enable_tiling"):
        if mode.tiled_decoding:
            pipeline.vae.enable_tiling()
        else:
            pipeline.vae.disable_tiling()


def _end_group_offload(pipeline: DiffusionPipeline) -> None:
    """Takes off the hooks that diffusers leaves on: with them networks could not be placed anywhere else."""
    for network in pipeline.components.values():
        if isinstance(network, nn.Module):
            registry = HookRegistry.check_if_exists_or_initialize(network)
            for name in GROUP_OFFLOAD_HOOKS:
                registry.remove_hook(name, recurse=True)


def store_in_float8(network: ModelMixin) -> None:
    """Keeps the weights of a network's linear and convolutional layers in eight bits (float8_e4m3fn).

    Each layer is cast to the network's own type while it computes. An approximation, which cannot be taken back: eight
    bits hold about one and a half digits. Normalisation stays as it is.

    Args:
        network: on the device where it computes or on the CPU, without offloading.
    """
    network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=network.dtype)
