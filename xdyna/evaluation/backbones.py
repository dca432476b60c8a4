"""Pretrained networks that published scores are defined by: what they are and where their files come from.

None ships with xdyna. A score whose network is missing is left out; the others do not need it.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xdyna.schema import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class BackboneSpec:
    """Facts about one published network.

    Attributes:
        name: key in `BACKBONES`.
        title: name for people.
        file: name of the checkpoint file.
        source: where its authors publish it.
        url: direct address, or "" where it has to be fetched by hand.
        licence: of the weights, as far as it is stated.
        num_bytes: size, rounded; 0 where unknown.
        sha256: first digits of the file's SHA-256 where known, else "".
    """

    name: str
    title: str
    file: str
    source: str
    url: str
    licence: str
    num_bytes: int
    sha256: str = ""


_SPECS = (
    BackboneSpec(
        name="inception",
        title="Inception v3 (FID)",
        file="pt_inception-2015-12-05-6726825d.pth",
        source="github.com/mseitzer/pytorch-fid, release fid_weights",
        url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        licence="Apache-2.0 (TensorFlow's Inception)",
        num_bytes=91_000_000,
        sha256="6726825d",
    ),
    BackboneSpec(
        name="vgg16",
        title="VGG-16 (LPIPS trunk)",
        file="vgg16-397923af.pth",
        source="torchvision; the heads come with torchmetrics",
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        licence="BSD-3-Clause; trained on ImageNet",
        num_bytes=528_000_000,
        sha256="397923af",
    ),
    BackboneSpec(
        name="videomae",
        title="VideoMAE v2-g, SSv2 (cd-FVD)",
        file="vit_g_hybrid_pt_1200e_ssv2_ft.pth",
        source="huggingface.co/OpenGVLab/InternVideoMAE_models, mae-g; its authors ask to fill in a form",
        url="https://huggingface.co/OpenGVLab/InternVideoMAE_models/resolve/main/mae-g/vit_g_hybrid_pt_1200e_ssv2_ft.pth",
        licence="of its authors; see the form",
        num_bytes=4_000_000_000,
    ),
    BackboneSpec(
        name="i3d",
        title="I3D, Kinetics-400 (FVD)",
        file="i3d_pretrained_400.pt",
        source="github.com/songweige/TATS, tats/fvd",
        url="https://github.com/songweige/TATS/raw/main/tats/fvd/i3d_pretrained_400.pt",
        licence="MIT repository; converted from DeepMind's Apache-2.0 release",
        num_bytes=50_000_000,
    ),
    BackboneSpec(
        name="dti3d",
        title="I3D, DTDB dynamics (DTFVD)",
        file="I3D_16.pth.tar",
        source="DTI3D/length16 in the Google Drive folder linked from "
        "github.com/CompVis/image2video-synthesis-using-cINNs",
        url="",
        licence="code MIT, weights unstated",
        num_bytes=49_000_000,
    ),
    BackboneSpec(
        name="adaface",
        title="AdaFace IR-50, MS1MV2 (Face-Cos)",
        file="adaface_ir50_ms1mv2.ckpt",
        source="github.com/mk-minchul/AdaFace, table of pretrained models",
        url="",
        licence="MIT; the training set has its own terms",
        num_bytes=175_000_000,
    ),
)
BACKBONES: dict[str, BackboneSpec] = {spec.name: spec for spec in _SPECS}


def folder() -> Path:
    """Where backbones are looked for: `XDYNA_BACKBONES`, or `xdyna/backbones` in the user's cache folder."""
    chosen = os.environ.get("XDYNA_BACKBONES")
    return Path(chosen) if chosen else Path.home() / ".cache" / "xdyna" / "backbones"


def locate(name: str, given: Mapping[str, Path] | None = None, *, fetch: bool = False) -> Path:
    """The file of a backbone.

    Args:
        name: key in `BACKBONES`.
        given: files the user named.
        fetch: download it where it is missing and has an address.

    Raises:
        InputError: it is not on this machine, or not the published file.
    """
    spec = BACKBONES[name]
    path = (given or {}).get(name, folder() / spec.file)
    if not path.is_file() and fetch and spec.url and name not in (given or {}):
        _download(spec, path)
    if not path.is_file():
        how = f"get it from {spec.source} and put it there, or name it: --backbone {name}=FILE"
        if spec.url and name not in (given or {}):
            how = f"run again with --fetch, or name it: --backbone {name}=FILE"
        raise InputError(f"{spec.title} is missing: {path}; {how} ({spec.licence}).")
    return path


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def _digest(file: Any) -> str:
    total = hashlib.sha256()
    while part := file.read(1 << 20):
        total.update(part)
    return total.hexdigest()


def read_checkpoint(name: str, path: Path) -> "tuple[dict[str, Tensor], str]":
    """Tensors of a checkpoint without executing anything in it, and the file's SHA-256.

    Raises:
        InputError: another file than the published one, or not a plain checkpoint.
    """
    import torch

    spec, sha256 = BACKBONES[name], digest(path)
    if not sha256.startswith(spec.sha256):
        raise InputError(f"{path.name} is not {spec.title}: its SHA-256 is {sha256[:12]}..., not {spec.sha256}...")
    try:
        stored: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch each raise their own
        raise InputError(f"{path.name} cannot be read as plain tensors ({type(error).__name__}).") from error
    for key in ("state_dict", "model", "module"):
        if isinstance(stored, dict) and isinstance(stored.get(key), dict):
            stored = stored[key]
            break
    if not isinstance(stored, dict) or not all(isinstance(value, torch.Tensor) for value in stored.values()):
        raise InputError(f"{path.name} holds no network.")
    if all(not key.startswith("model.") for key in stored):
        return dict(stored), sha256
    # AdaFace's training module holds the network as "model" beside its loss.
    return {key.removeprefix("model."): value for key, value in stored.items() if key.startswith("model.")}, sha256


def fill(network: "nn.Module", state: "Mapping[str, Tensor]", name: str, path: Path) -> "nn.Module":
    """Puts a checkpoint into a network, every key and shape, for inference.

    Raises:
        InputError: a key is missing, unknown or of another shape.
    """
    # Old files lack the counters of batch norm, which inference does not use.
    counters = {k: v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked") and k not in state}
    try:
        network.load_state_dict({**state, **counters}, strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise InputError(f"{path.name} does not fit {BACKBONES[name].title}: {first[:160]}") from error
    return network.eval().requires_grad_(False)


def _download(spec: BackboneSpec, path: Path) -> None:
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(spec.url, str(path), hash_prefix=spec.sha256 or None, progress=False)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{spec.title} could not be downloaded from {spec.url} ({type(error).__name__}).") from error
