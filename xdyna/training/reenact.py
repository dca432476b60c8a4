"""Faces that express what the driver expresses but look like somebody else (paper section 3.3).

The paper lets a portrait re-enactment network redraw a stranger with the driver's expression. Such a network is named
in the recipe as `package.module:function`. Without one, the driver's own face is stretched and recoloured: an
approximation that hides colour and proportions but not who it is.
"""

import importlib
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.face import enlarged_box
from xdyna.schema import Floats, Frames, Image, InputError

FACE_PX = 256
STRETCH = 0.15  # of width and height
LEAN = 0.08  # shear
LOG_GAMMA = (-0.5, 0.5)
MIX = 0.35  # how far colours run into one another


class Reenactment(Protocol):
    """A portrait re-enactment network."""

    def __call__(self, identity: Image, driving: Frames) -> Frames:
        """Draws one person with the head pose and expression of another.

        Args:
            identity: `(256, 256, 3)` uint8 RGB, head of the person to draw.
            driving: `(n, 256, 256, 3)` uint8 RGB, heads of the person to follow, cropped alike.

        Returns:
            `(n, 256, 256, 3)` uint8 RGB, the head where `driving` has it.
        """
        ...


def load_reenactment(name: str) -> Reenactment:
    """Imports a network by name.

    Args:
        name: `package.module:function`.

    Raises:
        InputError: no such module, or nothing callable of that name in it.
    """
    module_name, separator, attribute = name.partition(":")
    if not separator or not module_name or not attribute:
        raise InputError(f"reenact must be package.module:function, got {name!r}.")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"reenact {name!r} cannot be imported: {error}.") from error
    if not callable(found):
        raise InputError(f"reenact {name!r} is a {type(found).__name__}, not a function.")
    return found


def reenacted_faces(network: Reenactment, identity: Image, frames: Frames, landmarks: Floats) -> Frames:
    """Replaces the heads in a clip by those of a network; all else is black.

    Args:
        network: draws the heads.
        identity: from `head_crop`, of another person.
        frames: `(n, h, w, 3)` uint8 RGB, at least one with a face.
        landmarks: `(n, 68, 2)` in pixels of the frames; NaN where there is no face.

    Returns:
        `(n, h, w, 3)` uint8 RGB.

    Raises:
        InputError: the network gives something else than pictures.
    """
    out = np.zeros_like(frames)
    faces = np.flatnonzero(np.isfinite(landmarks).all(axis=(1, 2)))
    heads = np.asarray(network(identity, np.stack([head_crop(frames[k], landmarks[k]) for k in faces])))
    if heads.shape != (len(faces), FACE_PX, FACE_PX, 3) or heads.dtype != np.uint8:
        raise InputError(
            f"The re-enactment network must give ({len(faces)}, {FACE_PX}, {FACE_PX}, 3) uint8 pictures, "
            f"got {heads.shape} {heads.dtype}."
        )
    size = frames.shape[2], frames.shape[1]
    for k, head in zip(faces, heads, strict=True):
        out[k] = cv2.warpAffine(head, _to_crop(landmarks[k]), size, flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP)
    return out


def head_crop(frame: Image, landmarks: NDArray[np.floating]) -> Image:
    """`(256, 256, 3)` uint8 RGB: the square around head and hair, black outside the frame."""
    return cv2.warpAffine(frame, _to_crop(landmarks), (FACE_PX, FACE_PX)).astype(np.uint8)


def altered_faces(rng: np.random.Generator, frames: Frames, landmarks: Floats) -> tuple[Frames, Floats]:
    """Stretches and recolours a clip around its faces, the same way in every frame.

    Args:
        rng: decides how.
        frames: `(n, h, w, 3)` uint8 RGB.
        landmarks: `(n, 68, 2)` in pixels of the frames; NaN where there is no face.

    Returns:
        Pictures and landmarks; frames without a face are black.
    """
    width, height = rng.uniform(1 - STRETCH, 1 + STRETCH, 2)
    linear = np.array([[width, rng.uniform(-LEAN, LEAN)], [0, height]])
    levels = 255 * (np.arange(256) / 255)[:, None] ** np.exp(rng.uniform(*LOG_GAMMA, 3))
    mixing = (1 - MIX) * np.eye(3) + MIX * rng.dirichlet(np.ones(3), 3)
    moved, points = np.zeros_like(frames), np.full_like(landmarks, np.nan)
    for k in np.flatnonzero(np.isfinite(landmarks).all(axis=(1, 2))):
        centre = landmarks[k].mean(axis=0)
        matrix = np.column_stack([linear, centre - linear @ centre])
        warped = cv2.warpAffine(frames[k], matrix, (frames.shape[2], frames.shape[1]))
        coloured = np.stack([levels[warped[..., c], c] for c in range(3)], axis=-1) @ mixing.T
        moved[k] = np.clip(coloured, 0, 255)
        points[k] = landmarks[k] @ linear.T + matrix[:, 2]
    return moved, points


def _to_crop(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """`(2, 3)` affine map, pixels of the frame to those of the square crop."""
    left, top, right, _ = enlarged_box(*landmarks.min(axis=0), *landmarks.max(axis=0))
    zoom = FACE_PX / (right - left)
    return np.array([[zoom, 0, -zoom * left], [0, zoom, -zoom * top]], np.float64)
