"""Let hair and loose cloth swing after the body: damped springs between the mesh and where the bones carry it."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.pose import NECK
from xdyna.puppet.anatomy import BODY
from xdyna.puppet.layers import Layer
from xdyna.puppet.mesh import BoneMesh, bone_distance
from xdyna.puppet.skeleton import CROWN, HEAD, LEFT_HAND, LEFT_TOE, PELVIS, RIGHT_HAND, RIGHT_TOE, Array

HELD, FREE = 1.15, 2.2  # half widths around a bone: up to the first the body holds all, beyond the other nothing
BODY_SHARES = {CROWN: 0.7, **dict.fromkeys((RIGHT_HAND, LEFT_HAND, RIGHT_TOE, LEFT_TOE), 2.0)}
"""Of the usual half width around the bone that ends there: that of the head counts hair in, feet and hands turn."""
ALIKE, APART = 10.0, 15.0  # distances of colours: hair is at most the first, clothes at least the other from it
LIGHTNESS_WEIGHT = 0.5  # in Lab: hair has its own shadow
FACE_HALF_WIDTH, HAIR_STARTS, HAIR_FREE, HAIR_ENDS = 0.17, -0.05, 0.3, 0.85  # in body sizes, down from the nose
BLUR = 0.03  # over which colours are compared, in body sizes
SMOOTHING_ROUNDS = 2
FREQUENCY_HZ, DAMPING = 1.4, 0.3  # of hair and cloth; 1 would not swing
REACH = 0.14  # how far the freest part gets from where the body carries it, in body sizes
GUSTS = ((0.37, 0.5), (0.91, 0.3))  # of the wind: times a second, shares of its strength
GUST_LENGTH = 1.5  # body sizes from gust to gust
WIND_REACH = 0.1  # how far a wind of 1 blows, in body sizes


def freedom(mesh: BoneMesh, layer: Layer, rest: Array, size: float) -> Array:
    """Return how freely each vertex of a layer swings, `(num_vertices,)` in 0..1.

    What is far from all bones does, and hair that hangs beside face and neck, which its colour tells.

    Args:
        mesh: The layer's mesh.
        layer: The layer.
        rest: The skeleton at rest, `(25, 2)` in pixels.
        size: The body's size in pixels.
    """
    ends = rest @ [1, 1j]
    distances = [
        bone_distance(mesh.points, ends[bone.start], ends[bone.end])
        / (bone.half_width * size * BODY_SHARES.get(bone.end, 1.0))
        for bone in layer.bones
    ]
    free = _ramp(np.min(distances, axis=0), HELD, FREE)
    if layer.name == BODY and np.isfinite(rest[[HEAD, CROWN]]).all():
        free = np.maximum(free, _hanging_hair(mesh.points, layer.texture, ends, size))
    (tail, head), count = mesh.edges.T, np.bincount(mesh.edges.ravel(), minlength=len(free))
    for _ in range(SMOOTHING_ROUNDS):
        around = np.bincount(tail, free[head], len(free)) + np.bincount(head, free[tail], len(free))
        free = (free + around / np.maximum(count, 1)) / 2
    return np.asarray(free)


def _hanging_hair(
    points: NDArray[np.complex128], texture: NDArray[np.uint8], ends: NDArray[np.complex128], size: float
) -> Array:
    """Return how freely the hair beside face and neck hangs at each vertex, `(num_vertices,)` in 0..1.

    It is none where hair has the colour of the face or of the clothes.
    """
    up = (ends[CROWN] - ends[HEAD]) / max(abs(ends[CROWN] - ends[HEAD]), 1e-6)

    def colours(places: NDArray[np.complex128]) -> Array:
        x, y = np.round([places.real.ravel(), places.imag.ravel()]).astype(int)
        return np.asarray(smooth[np.clip(y, 0, len(smooth) - 1), np.clip(x, 0, smooth.shape[1] - 1)])

    blurred = cv2.blur(texture.astype(np.float32) / 255, (max(3, round(BLUR * size)),) * 2)
    opacity = np.maximum(blurred[..., 3:], 1e-4)
    smooth = cv2.cvtColor(np.minimum(blurred[..., :3] / opacity, 1), cv2.COLOR_RGB2Lab) * (LIGHTNESS_WEIGHT, 1, 1)
    across = 1j * up * size * np.array([-0.12, 0.0, 0.12])
    hair = np.median(colours(ends[HEAD] + np.outer([0.24, 0.28, 0.32], [up * size]) + across), axis=0)
    others = ends[HEAD], ends[NECK] + 0.35 * (ends[PELVIS] - ends[NECK])  # face and chest
    if min(np.linalg.norm(hair - np.median(colours(place + across), axis=0)) for place in others) < APART:
        return np.zeros(len(points))
    place = (points - ends[HEAD]) / (-up * size)  # down, and to one side
    alike = 1 - _ramp(np.linalg.norm(colours(points) - hair, axis=1), ALIKE, APART)
    beside = _ramp(np.abs(place.imag), FACE_HALF_WIDTH, 1.3 * FACE_HALF_WIDTH)
    return alike * beside * _ramp(place.real, HAIR_STARTS, HAIR_FREE) * (place.real < HAIR_ENDS)


def _ramp(values: Array, low: float, high: float) -> Array:
    """Return 0 up to a value, 1 from another, and a smooth way between."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share))


class Swing:
    """Free parts of a body in motion; holds where they were in the frame before.

    Args:
        free: How freely the vertices of each mesh swing, each `(num_vertices,)` in 0..1, from `freedom`.
        size: The body's size in pixels.
        fps: The frames per second.
        wind: The strength of the wind, 0..1; it blows to the right.

    Attributes:
        frame_s: The seconds from frame to frame; may be set before each of them.
    """

    def __init__(self, free: Sequence[Array], size: float, fps: float, wind: float = 0.0) -> None:
        self._splits = np.cumsum([len(part) for part in free])[:-1]
        self._free = np.concatenate(free)
        self._size, self.frame_s, self._wind, self._time_s = size, 1 / fps, wind, 0.0
        self._target: NDArray[np.complex128] | None = None
        self._offset = np.zeros(len(self._free), complex)
        self._velocity = np.zeros(len(self._free), complex)

    def follow(self, shapes: Sequence[Array]) -> list[Array]:
        """Return the vertices of the next frame, each `(num_vertices, 2)` in pixels.

        Args:
            shapes: Where the bones carry them, each `(num_vertices, 2)` in pixels.
        """
        target = np.concatenate(shapes) @ [1, 1j]
        if self._target is not None:
            self._move(target)
        self._target = target
        swung = self._free * self._offset / np.hypot(1, np.abs(self._offset) / (REACH * self._size))
        return np.split(np.stack([(target + swung).real, (target + swung).imag], axis=1), self._splits)

    def _move(self, target: NDArray[np.complex128]) -> None:
        """Let the springs swing through a frame, while the body moves evenly to its next place: an exact solution.

        The air holds what it is moved through, so free parts trail behind.
        """
        step, spring = self.frame_s, 2 * np.pi * FREQUENCY_HZ
        carried = (target - self._target) / step
        calm = -2 * DAMPING / spring * carried + self._blown(target)
        decay, pace = DAMPING * spring, spring * np.sqrt(1 - DAMPING**2)
        start = self._offset - calm
        sine = (self._velocity - carried + decay * start) / pace
        fade, cos, sin = np.exp(-decay * step), np.cos(pace * step), np.sin(pace * step)
        left = fade * (start * cos + sine * sin)
        self._offset = calm + left
        self._velocity = carried - decay * left + fade * pace * (sine * cos - start * sin)
        self._time_s += step

    def _blown(self, target: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Return where the wind would hold free parts, seen from the body, in pixels."""
        phase = target.real / (GUST_LENGTH * self._size)
        gusts = sum(share * np.sin(2 * np.pi * (pace * self._time_s - phase)) for pace, share in GUSTS)
        return (self._wind * WIND_REACH * self._size * (0.5 + gusts)).astype(complex)
