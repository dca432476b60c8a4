"""DynamiCtrl's released transformer, from either of its two layouts, checked key by key."""

import json
from pathlib import Path

import torch

from xdyna.models.checkpoint import StateDict, load_official, read_checkpoint
from xdyna.models.dynamictrl import DynamiCtrlTransformer
from xdyna.schema import InputError

CONFIG = "config.json"


def load_dynamictrl(folder: Path, dtype: torch.dtype = torch.bfloat16) -> DynamiCtrlTransformer:
    """Loads the transformer of a release.

    Args:
        folder: a whole pipeline, whose `transformer` folder is read, or a transformer alone (the "Mask" releases),
            whose files lie in the folder itself.
        dtype: of the loaded weights.

    Raises:
        InputError: the folder holds no transformer, or keys or shapes are not those that its configuration asks for.
    """
    place = transformer_folder(folder)
    with torch.device("meta"):
        transformer = DynamiCtrlTransformer.from_config(DynamiCtrlTransformer.load_config(place))
    state: StateDict = {}
    for path in _weight_files(place):
        state |= {key: tensor.to(dtype) for key, tensor in read_checkpoint(path).items()}
    load_official(transformer, state, str(place))
    return transformer.eval()


def transformer_folder(folder: Path) -> Path:
    """Where in a release the transformer is.

    Raises:
        InputError: nowhere.
    """
    for place in (folder / "transformer", folder):
        if (place / CONFIG).is_file():
            return place
    raise InputError(
        f"{folder} holds no DynamiCtrl transformer: neither transformer/{CONFIG} nor {CONFIG} is there. Give the "
        "downloaded folder of the release."
    )


def _weight_files(place: Path) -> list[Path]:
    """The files that an index lists, or else all safetensors, or else all other checkpoints."""
    for index in sorted(place.glob("*.safetensors.index.json")):
        return [place / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    for pattern in ("*.safetensors", "*.bin", "*.pt", "*.ckpt"):
        if files := sorted(place.glob(pattern)):
            return files
    raise InputError(f"{place} holds a configuration but no weights (*.safetensors). Download the folder again.")
