"""How well a generated clip matches the true one."""

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


def ssim(generated: Frames, truth: Frames) -> float:
    """Structural similarity with a Gaussian window of sigma 1.5, mean over frames; 1 for equal clips."""
    scores = [
        structural_similarity(a, b, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        for a, b in zip(generated, truth, strict=True)
    ]
    return float(np.mean(scores))


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
