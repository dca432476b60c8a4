"""Which weights exist, where they are, and how to get them. The only place that names hub repositories."""

import ctypes
import hashlib
import json
import os
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from math import ceil
from pathlib import Path
from types import ModuleType

from xdyna.schema import InputError

# A pipeline, a modular pipeline, and a transformer that is published alone, in its folder or without.
INDEXES = ("model_index.json", "modular_model_index.json", "transformer/config.json", "config.json")
BUNDLED_MINI = Path(__file__).parents[1] / "assets" / "xdyna-mini"
WEIGHTLESS = {"puppet": Path(__file__).with_name("puppet")}
"""Methods that need no weights, and where their code is."""


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


@dataclass(frozen=True, kw_only=True)
class Release:
    """Published weights.

    Attributes:
        repository: `owner/name` on the Hugging Face hub, or where they come with.
        contents: what is used of it.
        gb: to download, in 1e9 bytes; computed from parameter counts where the hub does not say.
        licence: as its publisher names it.
        folder: below `cache_folder`, where it is kept as it is; None where it is converted or comes with xdyna.
    """

    repository: str
    contents: str
    gb: float
    licence: str
    folder: str | None = None


RELEASES: dict[str, tuple[Release, ...]] = {
    "xdyna": (
        Release(
            repository="Boese0601/X-Dyna", contents="UNet, ControlNets", gb=9.0, licence="Apache-2.0, for research"
        ),
        Release(
            repository="stable-diffusion-v1-5/stable-diffusion-v1-5",
            contents="autoencoder, text encoder",
            gb=0.9,
            licence="CreativeML OpenRAIL-M",
        ),
        Release(repository="h94/IP-Adapter", contents="image encoder, resampler", gb=2.7, licence="Apache-2.0"),
    ),
    "xdyna-mini": (Release(repository="comes with xdyna", contents="all", gb=0.05, licence="Apache-2.0"),),
    "puppet": (),
    "taesd": (
        Release(
            repository="madebyollin/taesd",
            contents="tiny decoder of X-Dyna",
            gb=0.01,
            licence="MIT",
            folder="taesd",
        ),
    ),
    "dynamictrl": (
        Release(
            repository="gulucaptain/DynamiCtrl",
            contents="transformer, or the whole pipeline",
            gb=21.4,
            licence="Apache-2.0",
            folder="dynamictrl",
        ),
        Release(
            repository="THUDM/CogVideoX1.5-5B-I2V",
            contents="text encoder, autoencoder, tokenizer, scheduler",
            gb=9.9,
            licence="CogVideoX License: conditions for commercial use, also of what derives from it",
            folder="dynamictrl-base",
        ),
    ),
    "wan-animate": (
        Release(
            repository="Wan-AI/Wan2.2-Animate-14B-Diffusers",
            contents="whole pipeline",
            gb=82.3,
            licence="Apache-2.0",
            folder="wan-animate",
        ),
    ),
    "wan-animate-2": (
        Release(
            repository="Wan-AI/Wan2.2-Animate-2-14B-Diffusers",
            contents="whole pipeline",
            gb=46.0,
            licence="Apache-2.0",
            folder="wan-animate-2",
        ),
    ),
    "wan-animate-2-distilled": (
        Release(
            repository="Wan-AI/Wan2.2-Animate-2-14B-Distilled-Diffusers",
            contents="whole pipeline",
            gb=46.0,
            licence="Apache-2.0",
            folder="wan-animate-2-distilled",
        ),
    ),
}
"""By key of `BACKENDS`; and what models have in addition."""

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
    """The folder of a model's weights; of a method without any, that of its code.

    Raises:
        InputError: they are not on this machine.
    """
    if name in WEIGHTLESS:
        return WEIGHTLESS[name]
    folder = BUNDLED_MINI if name == "xdyna-mini" else cache_folder() / name
    if any((folder / index).is_file() for index in INDEXES):
        return folder
    command = "xdyna weights pull" if name == "xdyna" else f"xdyna weights pull {name}"
    needed_gb = 20 if name == "xdyna" else ceil(sum(release.gb for release in RELEASES[name]))
    raise InputError(
        f"The weights of {name} are not on this machine. Run `{command}` once, on a machine that is online and has "
        f"{needed_gb} GB of free disk."
    )


def is_ready(name: str) -> bool:
    """Whether a model can be loaded now."""
    try:
        locate(name)
    except InputError:
        return False
    return True


def default_model() -> str:
    """The official model where its weights and a GPU are, else the small one. Imports nothing heavy."""
    return "xdyna" if is_ready("xdyna") and has_gpu() else "xdyna-mini"


def has_gpu() -> bool:
    """Whether PyTorch will find a GPU."""
    return num_gpus() > 0


def num_gpus() -> int:
    """How many GPUs PyTorch will find, without the seconds that importing it takes.

    It needs a PyTorch that was built for GPUs, and a driver that has some. A ZeroGPU Space lends one later. Of AMD's
    the driver does not tell the number: there it is one.
    """
    if os.environ.get("SPACES_ZERO_GPU"):
        return 1
    built_for = _torch_build()
    if getattr(built_for, "hip", None):
        return int(Path("/dev/kfd").exists())
    if not getattr(built_for, "cuda", None):
        return 0
    try:
        driver = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:  # no driver
        return 0
    count = ctypes.c_int()
    found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if found else 0


def _torch_build() -> ModuleType | None:
    """PyTorch's small `version` module by itself; None without PyTorch."""
    torch = find_spec("torch")
    if torch is None or torch.origin is None:
        return None
    spec = spec_from_file_location("torch_version", Path(torch.origin).with_name("version.py"))
    if spec is None or spec.loader is None:
        return None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def revision(folder: Path) -> str:
    """A short fingerprint of what `locate` names: configuration files, tensors' files, code."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".json":
            digest.update(json.dumps(json.loads(path.read_text()), sort_keys=True).encode())
        elif path.suffix in (".safetensors", ".py"):
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
    folders = {name: cache_folder() / name for name in RELEASES} | {"xdyna-mini": BUNDLED_MINI} | WEIGHTLESS
    return [Status(name=name, ready=is_ready(name), folder=folder) for name, folder in folders.items()]


def pull(name: str = "xdyna") -> Path:
    """Downloads weights with progress; those of X-Dyna are converted once, others stay as they were published.

    Args:
        name: a key of `RELEASES`.

    Returns:
        The folder that `xdyna animate --model NAME` loads.

    Raises:
        InputError: no connection, a file is not in its repository, or a checkpoint has an unknown layout.
    """
    if name != "xdyna":
        for release in RELEASES[name]:
            if release.folder is not None:
                _pull_release(release)
        return locate(name)
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


def _pull_release(release: Release) -> None:
    """Copies a repository: configuration, tokenizers and safetensors, none of the other formats it may hold."""
    from huggingface_hub import snapshot_download

    assert release.folder is not None
    transformer_elsewhere = ["transformer/*"] if release.folder.endswith("-base") else []
    try:
        snapshot_download(
            release.repository,
            local_dir=cache_folder() / release.folder,
            allow_patterns=["*.json", "*.txt", "*.model", "*.safetensors"],
            ignore_patterns=transformer_elsewhere,
        )
    except Exception as error:  # the hub client passes on errors of every library below it
        raise InputError(
            f"{release.repository} could not be downloaded ({type(error).__name__}). Check the connection and run the "
            "same command again; finished files are kept."
        ) from error


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
