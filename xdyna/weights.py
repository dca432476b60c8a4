"""Which weights exist, where they are, and how to get them. The only place that names hub repositories."""

import hashlib
import json
import os
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

from xdyna.schema import InputError

BUNDLED_MINI = Path(__file__).parents[1] / "assets" / "xdyna-mini"


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One file or folder of a hub repository.

    Attributes:
        source: key under which the converter knows it.
        repository: `owner/name` on the Hugging Face hub.
        name: file name to look for anywhere in the repository, or a glob of files.
    """

    source: str
    repository: str
    name: str


OFFICIAL_FILES = (
    HubFile(source="unet", repository="Boese0601/X-Dyna", name="unet-checkpoint-epoch-5.ckpt"),
    HubFile(source="controlnet_pose", repository="Boese0601/X-Dyna", name="controlnet-checkpoint-epoch-5.ckpt"),
    HubFile(source="controlnet_face", repository="Boese0601/X-Dyna", name="controlnet-face-checkpoint-epoch-2.ckpt"),
    HubFile(source="resampler", repository="h94/IP-Adapter", name="ip-adapter-plus_sd15.bin"),
    HubFile(source="image_encoder", repository="h94/IP-Adapter", name="models/image_encoder/*"),
    HubFile(source="stable_diffusion", repository="stable-diffusion-v1-5/stable-diffusion-v1-5", name="vae/*"),
    HubFile(
        source="stable_diffusion", repository="stable-diffusion-v1-5/stable-diffusion-v1-5", name="text_encoder/*"
    ),
    HubFile(source="stable_diffusion", repository="stable-diffusion-v1-5/stable-diffusion-v1-5", name="tokenizer/*"),
)
INITIALISATION = HubFile(
    source="unet_initialisation", repository="space-xun/i2v_adapter", name="animatediff_v15_v1_ipplus.pth"
)


def cache_folder() -> Path:
    """Where converted weights live: `XDYNA_WEIGHTS`, or `xdyna` in the user's cache folder."""
    chosen = os.environ.get("XDYNA_WEIGHTS")
    return Path(chosen) if chosen else Path.home() / ".cache" / "xdyna"


def locate(name: str) -> Path:
    """The folder of a model's weights.

    Raises:
        InputError: they are not on this machine.
    """
    folder = BUNDLED_MINI if name == "xdyna-mini" else cache_folder() / name
    if not (folder / "model_index.json").is_file():
        raise InputError(
            f"The weights of {name} are not on this machine. Run `xdyna weights pull` once, on a machine that is "
            "online and has 20 GB of free disk."
        )
    return folder


def is_ready(name: str) -> bool:
    """Whether a model can be loaded now."""
    try:
        locate(name)
    except InputError:
        return False
    return True


def default_model() -> str:
    """The official model where its weights and a GPU are, else the small one."""
    if not is_ready("xdyna") or find_spec("torch") is None:
        return "xdyna-mini"
    import torch

    return "xdyna" if torch.cuda.is_available() else "xdyna-mini"


def revision(folder: Path) -> str:
    """A short fingerprint of a weights folder: its configuration files and the sizes of its tensors' files."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".json":
            digest.update(json.dumps(json.loads(path.read_text()), sort_keys=True).encode())
        elif path.suffix == ".safetensors":
            digest.update(path.name.encode() + path.stat().st_size.to_bytes(8, "big") + path.open("rb").read(1 << 20))
    return digest.hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Status:
    """State of one model's weights. `folder` is where they are or would be."""

    name: str
    ready: bool
    folder: Path


def status() -> list[Status]:
    """Every model and whether its weights are here."""
    folders = {"xdyna": cache_folder() / "xdyna", "xdyna-mini": BUNDLED_MINI}
    return [Status(name=name, ready=is_ready(name), folder=folder) for name, folder in folders.items()]


def pull() -> Path:
    """Downloads the official weights with progress into the hub's cache and converts them once.

    Returns:
        The folder that `xdyna animate --model xdyna` loads.

    Raises:
        InputError: no connection, a file is not in its repository, or a checkpoint has an unknown layout.
    """
    from xdyna.pipelines.convert import Sources, convert

    return convert(Sources(**_download(OFFICIAL_FILES)), cache_folder() / "xdyna")


def wanted_files(listed: list[str], name: str) -> list[str]:
    """The files of a repository that a `HubFile.name` means.

    Of a folder only configuration and safetensors: repositories hold the same weights in several formats.
    """
    if "*" not in name:
        return [path for path in listed if path.rsplit("/", 1)[-1] == name]
    kept = (".json", ".txt", ".safetensors")
    return [path for path in listed if fnmatch(path, name) and path.endswith(kept) and ".fp16." not in path]


def _download(files: tuple[HubFile, ...]) -> dict[str, Path]:
    """Paths by source; a folder's source is the folder that holds it in the repository."""
    from huggingface_hub import hf_hub_download, list_repo_files

    paths: dict[str, Path] = {}
    for file in files:
        try:
            wanted = wanted_files(list_repo_files(file.repository), file.name)
            if not wanted:
                raise InputError(f"{file.repository} no longer holds {file.name}; its authors may have moved it.")
            local = [Path(hf_hub_download(file.repository, name)) for name in wanted]
        except InputError:
            raise
        except Exception as error:  # the hub client passes on errors of every library below it
            raise InputError(
                f"{file.name} could not be downloaded from {file.repository} ({type(error).__name__}). Check the "
                "connection and run `xdyna weights pull` again; finished files are kept."
            ) from error
        paths[file.source] = local[0].parent.parent if file.source == "stable_diffusion" else local[0]
        if file.source == "image_encoder":
            paths[file.source] = local[0].parent
    return paths
