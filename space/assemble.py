"""Puts together the folder of a Hugging Face Space: `python -m space.assemble ../xdyna-space`.

What is copied runs as it is; only the pins that ZeroGPU does not know are changed. See docs/space.md.
"""

import argparse
import logging
import re
import shutil
import sys
from pathlib import Path

from huggingface_hub import SpaceCardData

from xdyna.schema import InputError
from xdyna.weights import OFFICIAL_FILES

ROOT = Path(__file__).parents[1]
PARTS = ("xdyna", "assets/xdyna-mini", "examples", "packages.txt", "LICENSE")
LEFT_OUT = ("__pycache__", "*.pyc", "*.pyi", "make.py", ".*")

PYTHON = "3.12.12"  # ZeroGPU has this and 3.10.13, for which diffusers has no release
PINS = {"torch": "2.11.0", "torchvision": "0.26.0"}  # the newest that ZeroGPU lists, and the one that goes with it

# What `preload_from_hub` fetches while the Space is built. Names, because a Space takes no patterns; no names where
# the layout of the repository is its authors' affair: then all of it is fetched.
PRELOADED: dict[str, tuple[str, ...]] = {
    "Boese0601/X-Dyna": (),
    "h94/IP-Adapter": (
        "models/ip-adapter-plus_sd15.bin",
        "models/image_encoder/config.json",
        "models/image_encoder/model.safetensors",
    ),
    "stable-diffusion-v1-5/stable-diffusion-v1-5": (
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/merges.txt",
        "tokenizer/special_tokens_map.json",
        "tokenizer/tokenizer_config.json",
        "tokenizer/vocab.json",
    ),
}

logger = logging.getLogger(__name__)


def assemble(folder: Path, *, official: bool = False) -> Path:
    """Writes all that a Space needs.

    Args:
        folder: where to; made if absent.
        official: whether its visitors use the official weights, which the Space fetches; else the small model, which
            is part of the folder.

    Returns:
        The folder.

    Raises:
        InputError: the folder holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty. Give a new folder, or empty this one.")
    for part in PARTS:
        source, target = ROOT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*LEFT_OUT))
        else:
            shutil.copyfile(source, target)
    shutil.copyfile(ROOT / "space" / "app_official.py" if official else ROOT / "app.py", folder / "app.py")
    requirements = space_requirements((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    (folder / "requirements.txt").write_text(requirements, encoding="utf-8")
    body = (ROOT / "space" / "README.md").read_text(encoding="utf-8")
    card = space_card(pinned(requirements, "gradio"), official=official).to_yaml()
    (folder / "README.md").write_text(f"---\n{card}\n---\n\n{body}", encoding="utf-8")
    return folder


def space_requirements(text: str) -> str:
    """The app's requirements with the pins that ZeroGPU knows.

    Raises:
        ValueError: a package of `PINS` is not among them.
    """
    for package, version in PINS.items():
        text = text.replace(f"{package}=={pinned(text, package)}", f"{package}=={version}")
    return text


def pinned(requirements: str, package: str) -> str:
    """The version that a requirements file asks for.

    Raises:
        ValueError: it asks for none.
    """
    found = re.search(rf"^{re.escape(package)}==(\S+)", requirements, re.MULTILINE)
    if found is None:
        raise ValueError(f"requirements.txt does not pin {package}")
    return found[1]


def space_card(gradio_version: str, *, official: bool) -> SpaceCardData:
    """What stands at the head of the Space's README."""
    card = SpaceCardData(
        title="X-Dyna",
        emoji="💃",
        colorFrom="indigo",
        colorTo="pink",
        sdk="gradio",
        sdk_version=gradio_version,
        python_version=PYTHON,
        app_file="app.py",
        short_description="Animate one photo with the motion of a clip",
        license="apache-2.0",
        tags=["human-animation", "image-to-video", "arxiv:2501.10021"],
        fullWidth=True,
    )
    if official:
        repositories = list(dict.fromkeys(file.repository for file in OFFICIAL_FILES))
        card["models"] = repositories
        card["preload_from_hub"] = [f"{name} {','.join(PRELOADED[name])}".strip() for name in repositories]
        card["startup_duration_timeout"] = "1h"  # the checkpoints are converted at every start
    return card


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m space.assemble", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write; new or empty")
    parser.add_argument("--official", action="store_true", help="use the official weights instead of the small model")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        folder = assemble(options.folder, official=options.official)
    except InputError as error:
        logger.error("%s", error)
        return 2
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    logger.info("%s: %.0f MB. Upload it as docs/space.md says.", folder, size / 1e6)
    return 0


if __name__ == "__main__":
    sys.exit(main())
