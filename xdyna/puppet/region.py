"""Grow the area that an arrow sets in motion: what looks like the place under it and hangs together with it."""

import cv2
import numpy as np

from xdyna.puppet.skeleton import Array
from xdyna.schema import Floats, Image, Mask

WORKING_SIDE_PX = 224
STROKE = 0.012  # half the width of what an arrow touches, in longer sides
COARSE = 0.022  # over which colour and texture are averaged, in longer sides: a wave or two
REACH = 0.06  # over which the area found so far is compared with what is next to it, in longer sides
LIGHTNESS, COLOUR, TEXTURE = 0.6, 1.4, 1.5  # weights of the differences
LIKE = 15.0  # weighted differences up to which two places look alike, in levels of CIELAB's 8 bits
FAR = 70.0  # beyond which a place looks like another than the one under the arrow, by whatever way it is reached
MAX_ROUNDS = 60
REFINE_ROUNDS = 2
GUIDE_RADIUS, GUIDE_EPS = 0.02, 1e-4 * 255**2


def grow_region(picture: Image, start: Array, end: Array) -> Floats:
    """Return how far each pixel belongs to the area under an arrow.

    Args:
        picture: The background, `(height, width, 3)` uint8 RGB.
        start: Where the arrow begins, x, y in pixels.
        end: Where its tip is.

    Returns:
        `(height, width)` float32 in 0..1, 0 everywhere for an arrow that lies outside the picture.
    """
    height, width = picture.shape[:2]
    zoom = min(1.0, WORKING_SIDE_PX / max(height, width))
    size = max(8, round(width * zoom)), max(8, round(height * zoom))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    side = max(size)
    stroke = np.zeros(size[::-1], np.uint8)
    scale = np.array([size[0] / width, size[1] / height])
    (x0, y0), (x1, y1) = (np.round((point + 0.5) * scale - 0.5).astype(int).tolist() for point in (start, end))
    cv2.line(stroke, (x0, y0), (x1, y1), (1,), 2 * max(1, round(STROKE * side)) + 1)
    if not stroke.any():
        return np.zeros((height, width), np.float32)
    found = _refined(small, similar_area(local_looks(small), stroke > 0), stroke > 0)
    large = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    radius = max(1, round(GUIDE_RADIUS * max(height, width)))
    soft = cv2.ximgproc.guidedFilter(picture, large, radius, GUIDE_EPS)
    return np.clip(soft, 0, 1).astype(np.float32)


def local_looks(small: Image) -> Floats:
    """Return what a place looks like: weighted colour and fine contrast of its surroundings, `(height, width, 4)`."""
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    sigma = COARSE * max(lab.shape)
    mean = cv2.GaussianBlur(lab, (0, 0), sigma)
    contrast = np.sqrt(
        cv2.GaussianBlur((lab[..., 0] - cv2.GaussianBlur(lab[..., 0], (0, 0), sigma)) ** 2, (0, 0), sigma)
    )
    weights = np.array([LIGHTNESS, COLOUR, COLOUR, TEXTURE], np.float32)
    return (np.dstack([mean, contrast]) * weights).astype(np.float32)


def similar_area(looks: Floats, stroke: Mask) -> Mask:
    """Return the area that hangs together with a stroke through places that look like their neighbours in it."""
    side = max(stroke.shape)
    sigma, step = REACH * side, max(1, round(REACH * side / 3))
    core = looks[stroke]
    near = np.linalg.norm(looks - np.median(core, axis=0), axis=-1) < FAR
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * step + 1,) * 2)
    found = stroke
    for _ in range(MAX_ROUNDS):
        share = cv2.GaussianBlur(found.astype(np.float32), (0, 0), sigma)[..., None]
        around = cv2.GaussianBlur(looks * found[..., None], (0, 0), sigma) / np.maximum(share, 1e-6)
        alike = np.linalg.norm(looks - around, axis=-1) < LIKE
        reached = cv2.dilate(found.astype(np.uint8), kernel) > 0
        grown = _connected(found | (reached & alike & near), stroke)
        if grown.sum() - found.sum() < 0.001 * found.size:
            return grown
        found = grown
    return found


def _refined(small: Image, found: Mask, stroke: Mask) -> Mask:
    """Return an area whose edge lies where the colours change."""
    reach = 2 * max(1, round(COARSE * max(found.shape))) + 1
    kernel = np.ones((reach, reach), np.uint8)
    labels = np.full(found.shape, cv2.GC_BGD, np.uint8)
    labels[cv2.dilate(found.astype(np.uint8), kernel) > 0] = cv2.GC_PR_BGD
    labels[found] = cv2.GC_PR_FGD
    labels[cv2.erode(found.astype(np.uint8), kernel) > 0] = cv2.GC_FGD
    labels[stroke] = cv2.GC_FGD
    if (labels == cv2.GC_BGD).any():
        models = np.zeros((2, 1, 65))
        cv2.setRNGSeed(0)  # its clusters begin at random: the same arrow gives the same area
        cv2.grabCut(small, labels, (0, 0, 0, 0), models[0], models[1], REFINE_ROUNDS, cv2.GC_INIT_WITH_MASK)
    area = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return _connected(cv2.medianBlur(area.astype(np.uint8), 3) > 0, stroke)


def _connected(area: Mask, stroke: Mask) -> Mask:
    """Return the parts of an area that a stroke touches, with the stroke."""
    _, labels = cv2.connectedComponents((area | stroke).astype(np.uint8), connectivity=4)
    return np.isin(labels, np.unique(labels[stroke]))
