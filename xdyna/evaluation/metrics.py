"""How well a generated clip matches the true one."""

import cv2
import numpy as np
from skimage.metrics import structural_similarity

from xdyna.schema import Frames, Mask


def psnr(generated: Frames, truth: Frames, region: Mask | None = None) -> float:
    """Peak signal-to-noise ratio over all frames together.

    Args:
        generated: `(num_frames, h, w, 3)` uint8.
        truth: the same shape.
        region: `(num_frames, h, w)`, the pixels that count; all by default.

    Returns:
        Decibels; infinite for equal clips, NaN where the region is empty.
    """
    squared = (generated.astype(np.float64) - truth) ** 2
    error = squared.mean() if region is None else squared[region].mean() if region.any() else np.nan
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


def ssim(generated: Frames, truth: Frames, region: Mask | None = None) -> float:
    """Structural similarity with a Gaussian window of sigma 1.5, mean over frames; 1 for equal clips.

    Args:
        generated: `(num_frames, h, w, 3)` uint8.
        truth: the same shape.
        region: `(num_frames, h, w)`, the window centres that count; all by default. NaN where it is empty.
    """
    maps = [
        structural_similarity(
            a, b, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )
        for a, b in zip(generated, truth, strict=True)
    ]
    if region is None:
        return float(np.mean([mean for mean, _ in maps]))
    scores = [local[inside].mean() for (_, local), inside in zip(maps, region, strict=True) if inside.any()]
    return float(np.mean(scores)) if scores else float("nan")


def frame_retrieval(generated: Frames, truth: Frames, region: Mask) -> float:
    """Share of generated frames whose nearest true frame of the clip is their own.

    Tells whether the pose (or with a face region, the expression) of each moment was reached. Chance is
    1 / num_frames; a still picture scores chance.

    Args:
        generated: `(num_frames, h, w, 3)` uint8.
        truth: the same shape.
        region: `(h, w)`, the pixels that count, the same for all pairs.

    Returns:
        0..1.
    """
    made, true = (clip[:, region].reshape(len(clip), -1).astype(np.float64) for clip in (generated, truth))
    distances = ((made[:, None] - true[None]) ** 2).mean(axis=-1)
    # Of equally near frames, none is counted more than its share: a still clip must score chance.
    ties = distances == distances.min(axis=1, keepdims=True)
    return float(np.mean(np.diagonal(ties) / ties.sum(axis=1)))


def temporal_change(clip: Frames, region: Mask | None = None) -> float:
    """Mean absolute difference of neighbouring frames, 0..255, where `region` (`(num_frames, h, w)`) holds in both."""
    difference = np.abs(np.diff(clip.astype(np.int16), axis=0))
    if region is None:
        return float(difference.mean())
    both = region[1:] & region[:-1]
    return float(difference[both].mean()) if both.any() else float("nan")


def change_correlation(generated: Frames, truth: Frames, region: Mask) -> float:
    """Correlation over the pixels of `region` (`(h, w)`) of how much each changes in time; NaN where nothing does.

    What a cloud or a wave does next cannot be known from one picture, but where the picture moves can.
    """
    change = [np.abs(np.diff(f.astype(np.float32), axis=0)).mean(axis=(0, 3))[region] for f in (generated, truth)]
    if min(c.std() if c.size else 0 for c in change) == 0:
        return 0.0 if change[1].size and change[1].std() else float("nan")
    return float(np.corrcoef(*change)[0, 1])


def mean_absolute_error(generated: Frames, truth: Frames, region: Mask | None = None) -> float:
    """Mean absolute difference over frames, pixels and channels, 0..255.

    Args:
        generated: `(num_frames, h, w, 3)` uint8.
        truth: the same shape.
        region: `(num_frames, h, w)`, the pixels that count; all by default. NaN where it is empty.
    """
    _check_pair(generated, truth)
    if region is not None:
        difference = np.abs(generated.astype(np.int16) - truth)[region]
        return float(difference.mean()) if difference.size else float("nan")
    return float(np.mean([np.abs(a.astype(np.int16) - b).mean() for a, b in zip(generated, truth, strict=True)]))


def l1_per_area(generated: Frames, truth: Frames) -> float:
    """L1 as Table 2 of the paper prints it: the mean absolute error in 0..255, divided once more by height x width.

    The convention is that of DisCo's evaluation code. It depends on the resolution: compare only at one size.
    """
    return mean_absolute_error(generated, truth) / (generated.shape[1] * generated.shape[2])


def frame_psnr(generated: Frames, truth: Frames) -> float:
    """Peak signal-to-noise ratio in decibels, mean over frames; 100 for an equal frame (Table 2).

    Squares are taken in floating point: in uint8 they wrap, and such code cannot print less than 24.17 dB.
    """
    _check_pair(generated, truth)
    return float(np.mean([min(psnr(a[None], b[None]), 100.0) for a, b in zip(generated, truth, strict=True)]))


def gray_ssim(generated: Frames, truth: Frames) -> float:
    """Structural similarity of grey frames with a uniform 7 x 7 window, mean over frames (Table 2, DisCo's code)."""
    _check_pair(generated, truth)
    grey = ([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip] for clip in (generated, truth))
    return float(np.mean([structural_similarity(a, b, data_range=255) for a, b in zip(*grey, strict=True)]))


def filled_outside(clip: Frames, region: Mask) -> Frames:
    """The clip with black outside `region` (`(num_frames, h, w)`), as the foreground and background columns see it."""
    return np.where(region[..., None], clip, np.uint8(0))


def _check_pair(generated: Frames, truth: Frames) -> None:
    if generated.shape != truth.shape or generated.dtype != np.uint8 or truth.dtype != np.uint8:
        raise ValueError(
            f"both clips must be uint8 of one shape, got {generated.shape} {generated.dtype} and "
            f"{truth.shape} {truth.dtype}"
        )
