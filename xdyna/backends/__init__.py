"""Ways to animate. A backend is one file here and one entry of `BACKENDS`."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, Progress


class Backend(Protocol):
    """A loaded model."""

    def run(self, conditions: Conditions, settings: AnimationSettings) -> Iterator[Progress | Animation]:
        """Yields a `Progress` at least once per denoising step, then one `Animation`.

        Closing the iterator stops the work at that step.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class BackendSpec:
    """Facts about a backend that cost nothing to read.

    Attributes:
        name: key in `BACKENDS`, recorded with every result.
        title: name for people.
        notice: one or two plain sentences: what it can do, what it needs.
        defaults: the settings it works best with.
        needs_gpu: whether running it without a GPU is hopelessly slow.
    """

    name: str
    title: str
    notice: str
    defaults: AnimationSettings
    needs_gpu: bool


OFFICIAL = AnimationSettings()

BACKENDS: dict[str, BackendSpec] = {
    "xdyna": BackendSpec(
        name="xdyna",
        title="X-Dyna",
        notice="The official X-Dyna weights. Real people, 512 x 896, on a GPU with 20 GB or more.",
        defaults=OFFICIAL,
        needs_gpu=True,
    ),
    "xdyna-mini": BackendSpec(
        name="xdyna-mini",
        title="xdyna-mini",
        notice=(
            "Small demo model, trained on drawn characters, 128 x 224. It shows every part of X-Dyna on any CPU; "
            "real photos need the official weights: run `xdyna weights pull` on a machine with a GPU."
        ),
        defaults=replace(OFFICIAL, height=224, width=128, num_inference_steps=3, guidance_scale=1.0),
        needs_gpu=False,
    ),
}
