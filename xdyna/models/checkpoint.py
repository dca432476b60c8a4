"""Official X-Dyna checkpoint files to our modules: key layout, checks and loading.

The layout is not a table: it is derived from the modules themselves, built without memory on the meta device. A test
holds it against the published list of every key and shape.
"""

import re
from pathlib import Path
from typing import Any

import torch
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from xdyna.models.resampler import Resampler
from xdyna.models.unet import XDynaUNet
from xdyna.schema import InputError

StateDict = dict[str, Tensor]

_MOTION_NAMES = (
    (r"(motion_modules\.\d+)\.", r"\1.temporal_transformer."),
    (r"\.attn1\.", ".attention_blocks.0."),
    (r"\.attn2\.", ".attention_blocks.1."),
    (r"\.norm1\.", ".norms.0."),
    (r"\.norm2\.", ".norms.1."),
    (r"\.norm3\.", ".ff_norm."),
)
_RESAMPLER_NAMES = (
    (r"\.ln0\.", ".0.norm1."),
    (r"\.ln1\.", ".0.norm2."),
    (r"\.attn\.to_q\.", ".0.to_q."),
    (r"\.attn\.to_[kv]\.", ".0.to_kv."),
    (r"\.attn\.to_out\.0\.", ".0.to_out."),
    (r"\.ff\.0\.", ".1.0."),
    (r"\.ff\.1\.net\.0\.proj\.", ".1.1."),
    (r"\.ff\.1\.net\.2\.", ".1.3."),
)


def official_names(model: ModelMixin, key: str) -> tuple[str, ...]:
    """The official names of one of our parameters: usually one, two for a position table that is stored twice."""
    if isinstance(model, XDynaUNet) and ".motion_modules." in key:
        return official_motion_names(key)
    if isinstance(model, Resampler):
        return (_rename(key, _RESAMPLER_NAMES),)
    return (key,)


def official_motion_names(key: str) -> tuple[str, ...]:
    """The official names of a parameter of `motion_modules.<i>`."""
    name = _rename(key, _MOTION_NAMES)
    if not name.endswith("pos_embed.pe"):
        return (name,)
    stem = name.removesuffix("pos_embed.pe")
    return tuple(f"{stem}attention_blocks.{i}.pos_encoder.pe" for i in (0, 1))


def official_layout(model: ModelMixin) -> dict[str, tuple[int, ...]]:
    """Every key and shape of the official checkpoint of this module. The module may live on the meta device."""
    layout: dict[str, tuple[int, ...]] = {}
    for name, parts in _groups(model).items():
        rows = sum(shape[0] for _, shape in parts)
        layout[name] = (rows, *parts[0][1][1:])
    return layout


def read_checkpoint(path: Path, entry: str | None = None) -> StateDict:
    """Reads a `.ckpt`, `.pth`, `.bin` or `.safetensors` file without ever running code from it.

    A `state_dict` wrapper and every `module.` in a key are dropped, as the official loader does.

    Args:
        path: the file.
        entry: top-level entry to take, e.g. `image_proj`.

    Raises:
        InputError: the file is missing, is a folder, or is not a checkpoint of plain tensors.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file. Give the checkpoint file itself, not a folder.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise many kinds for a damaged or unsafe file
        raise InputError(f"{path.name} cannot be read as plain tensors: {error}") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if entry is not None:
        if not isinstance(content, dict) or not isinstance(content.get(entry), dict):
            raise InputError(f"{path.name} has no entry {entry!r}. Download the file again.")
        content = content[entry]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path.name} holds no state dict. Give the checkpoint file that the authors released.")
    return {key.replace("module.", ""): value for key, value in content.items()}


def load_official(model: ModelMixin, state: StateDict, source: str) -> None:
    """Loads an official state dict into our module, checking every key and shape first.

    Args:
        model: `XDynaUNet`, `Resampler` or `ControlNetModel`.
        state: from `read_checkpoint`.
        source: file name for messages.

    Raises:
        InputError: keys are missing, unexpected or mis-shaped; the first of each kind are named.
    """
    layout = official_layout(model)
    faults = {
        "missing": [key for key in layout if key not in state],
        "unexpected": [key for key in state if key not in layout],
        "mis-shaped": [
            f"{key} {tuple(state[key].shape)} instead of {shape}"
            for key, shape in layout.items()
            if key in state and tuple(state[key].shape) != shape
        ],
    }
    if any(faults.values()):
        found = [f"{len(keys)} {kind} ({', '.join(keys[:3])})" for kind, keys in faults.items() if keys]
        raise InputError(f"{source} does not have the layout of {type(model).__name__}: {'; '.join(found)}.")

    ours: StateDict = {}
    for name, parts in _groups(model).items():
        for (key, _), tensor in zip(parts, state[name].split([shape[0] for _, shape in parts]), strict=True):
            if key in ours and not torch.equal(ours[key], tensor):
                raise InputError(f"{source}: the copies of {key} differ ({name}), so they cannot be merged into one.")
            ours[key] = tensor
    model.load_state_dict(ours, strict=True, assign=True)


def _groups(model: ModelMixin) -> dict[str, list[tuple[str, tuple[int, ...]]]]:
    """Official name -> our (key, shape) pairs whose rows, stacked, make it up."""
    groups: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for key, tensor in model.state_dict().items():
        for name in official_names(model, key):
            groups.setdefault(name, []).append((key, tuple(tensor.shape)))
    return groups


def _rename(key: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key
