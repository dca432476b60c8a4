"""What a run may leave uncomputed at a small error, which docs/speed.md measures. Off unless asked for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from xdyna.models import XDynaUNet
from xdyna.models.deep_features import DeepFeatures, deep_features
from xdyna.models.reference_features import ReferenceFeatures
from xdyna.pipelines.content_cache import ContentCache, Key
from xdyna.pipelines.controls import Windows


class KeptResiduals:
    """ControlNet residuals of the finest level, frame by frame, for steps that leave the ControlNets out.

    Args:
        num_shallow: how many of the first residuals the finest level reads.
    """

    def __init__(self, num_shallow: int) -> None:
        self.num_shallow, self._num_levels = num_shallow, 0
        self._kept: dict[int, list[Tensor]] = {}

    def keep(self, frames: Sequence[int], control: Sequence[Tensor]) -> None:
        """Takes `(rows, len(frames), ...)` of all levels."""
        self._num_levels = len(control)
        for k, frame in enumerate(frames):
            self._kept[frame] = [level[:, k].clone() for level in control[: self.num_shallow]]

    def of(self, frames: Sequence[int]) -> list[Tensor]:
        """As `StepResiduals.of`; levels that nothing reads are the number 0."""
        if not self._num_levels:
            return []
        levels = zip(*(self._kept[frame] for frame in frames), strict=True)
        shallow = [torch.stack(level, dim=1) for level in levels]
        return [*shallow, *[shallow[0].new_zeros(())] * (self._num_levels - len(shallow))]


class Approximations:
    """The ones that a run has switched on.

    Args:
        features_cache: keeps reference features for later runs; None computes the reference with every window, as the
            official code does.
        deep: hooks in the UNet; None computes all of it at every step.
        deep_interval: every how many steps the whole UNet and the ControlNets run.
        num_shallow: residuals that the UNet's finest level reads.
    """

    def __init__(
        self,
        features_cache: ContentCache | None = None,
        deep: DeepFeatures | None = None,
        deep_interval: int = 1,
        num_shallow: int = 0,
    ) -> None:
        self.features_cache, self.deep, self.deep_interval = features_cache, deep, deep_interval
        self.residuals = KeptResiduals(num_shallow)
        self._kept_halves: list[int] | None = None

    def reference_features(self, key: Key, record: Callable[[], ReferenceFeatures]) -> ReferenceFeatures:
        """What all windows of a step read of the reference; there must be a `features_cache`.

        Args:
            key: of all that the features depend on.
            record: computes them.
        """
        if self.deep is not None:
            self.deep.replaying, self.deep.frames = False, ["recorded"]
        assert self.features_cache is not None
        return self.features_cache.get(key, record)

    def replays(self, step: int, halves: list[int]) -> bool:
        """Whether the UNet's coarse blocks and the ControlNets rest at a step."""
        if self.deep is None:
            return False
        self.deep.replaying = step % self.deep_interval != 0 and halves == self._kept_halves
        if not self.deep.replaying:
            self._kept_halves = halves
        return self.deep.replaying

    def enter(self, halves: list[int], windows: Windows) -> None:
        """Told before every call of the UNet."""
        if self.deep is not None:
            reference = [] if self.features_cache is not None else ["reference"]
            self.deep.frames = [(*halves, frame) for window in windows for frame in (*reference, *window)]

    def keep(self, frames: Sequence[int], control: Sequence[Tensor]) -> None:
        """Told what the ControlNets gave."""
        if self.deep is not None:
            self.residuals.keep(frames, control)


@contextmanager
def approximations(
    unet: XDynaUNet, cache: ContentCache, reference_cache: bool = False, deep_interval: int = 1
) -> Iterator[Approximations]:
    """Those that are asked for; hooks are taken off the UNet at the end.

    Args:
        unet: of the run.
        cache: of the pipeline.
        reference_cache: whether the reference is computed once a timestep instead of with every window.
        deep_interval: every how many steps all of the UNet runs; 1 is every step.
    """
    features_cache = cache if reference_cache else None
    if deep_interval == 1:
        yield Approximations(features_cache)
        return
    with deep_features(unet) as deep:
        yield Approximations(features_cache, deep, deep_interval, len(unet.up_blocks[-1].resnets))
