"""Even out the brightness of copied patches that meet, after Poisson image editing (Perez et al. 2003)."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix
from scipy.sparse.linalg import splu

from xdyna.schema import Floats, Image, Mask

SMALL_STEP = 12.0  # levels: much larger steps are edges of things, not of brightness
STAY = 2e-3  # of a pixel to its copied colour, in ties to a neighbour: a patch among edges is left as it is
MAX_CORRECTION = 48.0  # levels
NEIGHBOURS = ((0, 1), (1, 0), (0, -1), (-1, 0))


def tone_correction(picture: Image, source: NDArray[np.int32], hole: Mask) -> Floats:
    """Return what to add to copied pixels so that they meet without steps, `(height, width, 3)` float32 in levels.

    Each copied pixel should differ from its neighbour as the pixel it was copied from differs from its own neighbour;
    within a patch that is so anyway, and outside the hole nothing changes.

    Args:
        picture: The picture, `(height, width, 3)` uint8 RGB.
        source: The flat index of the pixel that each pixel is copied from, `(height, width)`.
        hole: The pixels that are copied, `(height, width)`, some but not all.
    """
    height, width = hole.shape
    flat = picture.reshape(-1, 3).astype(np.float64)
    number = np.full(height * width, -1)
    places = np.flatnonzero(hole)
    number[places] = np.arange(len(places))
    rows, columns, weights = [], [], []
    diagonal, wanted = np.full(len(places), STAY), np.zeros((len(places), 3))
    for down, right in NEIGHBOURS:
        here = _moved(places, down, right, hole.shape)
        there = _moved(source.ravel()[places], down, right, hole.shape)
        usable = (here >= 0) & (there >= 0)
        one, other, ends = places[usable], here[usable], there[usable]
        # How much brighter the neighbour looks than the source says it should be: half of it is this pixel's share.
        step = (flat[source.ravel()[other]] - flat[source.ravel()[one]]) - (flat[ends] - flat[source.ravel()[one]])
        weight = 1 / (1 + np.square(np.abs(step).max(axis=-1) / SMALL_STEP))
        mine, theirs = number[one], number[other]
        known = theirs < 0
        np.add.at(diagonal, mine, weight)
        np.add.at(wanted, mine, weight[:, None] * step * np.where(known, 1.0, 0.5)[:, None])
        np.add.at(wanted, theirs[~known], -(weight[:, None] * step * 0.5)[~known])
        np.add.at(diagonal, theirs[~known], weight[~known])
        rows += [mine[~known], theirs[~known]]
        columns += [theirs[~known], mine[~known]]
        weights += [-weight[~known]] * 2
    index = np.arange(len(places))
    values = np.concatenate([diagonal, *weights])
    where = np.concatenate([index, *rows]), np.concatenate([index, *columns])
    system = csc_matrix(coo_matrix((values, where), (len(places), len(places))))
    correction = np.zeros((height * width, 3), np.float32)
    found = splu(system, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(wanted)
    correction[places] = found.clip(-MAX_CORRECTION, MAX_CORRECTION)
    return correction.reshape(height, width, 3)


def _moved(index: NDArray[np.integer], down: int, right: int, shape: tuple[int, ...]) -> NDArray[np.integer]:
    """Return the flat indices of neighbours, -1 outside the picture."""
    y, x = np.divmod(index, shape[1])
    y, x = y + down, x + right
    inside = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
    return np.where(inside, y * shape[1] + x, -1)
