"""How a background moves, as power per temporal frequency, and how far two sets of clips differ in it."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.schema import Frames, Mask

FLOOR = 1 / 12
"""Variance of rounding to whole levels: less power than this is no motion, and its logarithm stays finite."""


def motion_spectrum(clip: Frames, region: Mask) -> NDArray[np.float64]:
    """Mean power of the brightness's change at each temporal frequency.

    Args:
        clip: `(num_frames, h, w, 3)` uint8 RGB, at least 3 frames.
        region: `(h, w)`, the pixels that count.

    Returns:
        `(num_frames // 2,)` from 1 / num_frames up to half a cycle per frame, in squared levels of 0..255; a Hann
        window is applied after removing each pixel's mean. NaN where the region is empty.
    """
    n = len(clip)
    if n < 3:
        raise ValueError(f"a spectrum needs at least 3 frames, got {n}")
    if not region.any():
        return np.full(n // 2, np.nan)
    luma = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[region] for frame in clip]).astype(np.float64)
    window = np.hanning(n + 2)[1:-1, None]  # without its zeros: a short clip has no frames to waste
    series = (luma - luma.mean(axis=0)) * window
    power = (np.abs(np.fft.rfft(series, axis=0)) ** 2).mean(axis=1) / (n * (window**2).sum() / 2)
    return power[1:]


def spectrum_distance(generated: NDArray[np.floating], truth: NDArray[np.floating], classes: Sequence[str]) -> float:
    """Root mean square difference in decibels of the class-mean spectra, mean over classes.

    Blind to time reversal, and noise can fake power: read it beside a texture distance.

    Args:
        generated: `(n, f)` spectra, NaN rows for clips without background.
        truth: the same clips' true spectra.
        classes: `(n,)` kind of scene of each clip.

    Returns:
        0 for equal spectra; a clip blended with its first frame by a share a has -20 log10(1 - a).
    """
    labels, usable = np.asarray(classes), np.isfinite(generated).all(axis=1) & np.isfinite(truth).all(axis=1)
    found = []
    for name in sorted(set(labels[usable])):
        chosen = usable & (labels == name)
        made, true = (10 * np.log10(spectra[chosen].mean(axis=0) + FLOOR) for spectra in (generated, truth))
        found.append(float(np.sqrt(((made - true) ** 2).mean())))
    return float(np.mean(found)) if found else float("nan")
