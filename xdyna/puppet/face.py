"""Carry the driver's expression over to the photo's face: lids, brows, jaw and lips."""

import numpy as np
import skia
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from xdyna.puppet.draw import Sheet, picture_surface
from xdyna.puppet.skeleton import Array
from xdyna.schema import Floats

# Points of the 68 that an expression hardly moves, and those that it does: chin, brows, eyes, lips.
CALM_POINTS = [0, 1, 15, 16, 27, 28, 29, 30, 36, 39, 42, 45]
MOVING_POINTS = [*range(5, 12), *range(17, 27), *range(36, 68)]
# A head that turns moves what lies in front, nose and corners of the eyes, against its sides. The chin lies between.
SIDE_POINTS, FRONT_POINTS = [*range(4), *range(13, 17)], [*range(27, 36), 36, 39, 42, 45]
TURNING = np.zeros(68)
TURNING[5:12], TURNING[17:] = 0.5, 1.0
EYES = (slice(36, 42), slice(42, 48))
EYE_CORNERS = (36, 39, 42, 45)
INNER_LIPS = slice(60, 68)
# Upper and lower points that must not pass one another.
LID_PAIRS = ((37, 41), (38, 40), (43, 47), (44, 46))
LIP_PAIRS = ((61, 67), (62, 66), (63, 65))
MAX_OFFSET = 0.45  # distances between the eyes: more is a detector's slip
TURN_SHARE, MAX_TURN = 0.7, 0.2  # the head as a whole goes along already; distances between the eyes: a face is flat
MAX_EYE_RATIO = 2.0  # between the opening of two people's eyes
OPEN_MOUTH = 0.09  # distances between the eyes: a mouth this open shows its own inside in the photo
RING_POINTS, RING_SCALE = 24, 1.3
INSIDE_SHADE = 0.28  # of a mouth, beside its lips
TEETH_SHADE, TEETH_SHARE, TEETH_HEIGHT = 1.25, 0.45, 0.1  # beside the skin; of the gap; in distances between the eyes


def expression_offsets(landmarks: Floats, calm: Array | None = None) -> Array | None:
    """Return how far each point is from the driver's own calm face, `(num_frames, 68, 2)`.

    Along and across the line of the eyes, in distances between the eyes; the head's place, size and tilt are left
    out. A head that turns or nods moves the features a little against its outline.

    Args:
        landmarks: The driver's face, `(num_frames, 68, 2)` in pixels, NaN where no face was found.
        calm: The driver's calm face, `(68, 2)`; by default that of these frames.

    Returns:
        The offsets; None where no frame shows a face.
    """
    calm = calm_face(landmarks) if calm is None else calm
    seen = np.isfinite(landmarks[:, 0, 0])
    if calm is None or not seen.any():
        return None
    still, faces = calm @ [1, 1j], landmarks[seen].astype(np.float64) @ [1, 1j]
    offsets = np.zeros(faces.shape, complex)
    offsets[:, MOVING_POINTS] = _from_calm(faces, still, CALM_POINTS)[:, MOVING_POINTS]
    turn = TURN_SHARE * _from_calm(faces, still, SIDE_POINTS)[:, FRONT_POINTS].mean(axis=1)
    offsets = _bounded(offsets, MAX_OFFSET) + _bounded(turn, MAX_TURN)[:, None] * TURNING
    frames = np.arange(len(landmarks))
    moved = np.stack([np.interp(frames, frames[seen], track) for track in offsets.T], axis=1)
    return np.stack([moved.real, moved.imag], axis=-1)


def calm_face(landmarks: Floats) -> Array | None:
    """Return the driver's usual face, `(68, 2)` in pixels: the median over the frames, laid on the first one.

    Args:
        landmarks: The driver's face, `(num_frames, 68, 2)` in pixels, NaN where no face was found.

    Returns:
        The face; None where no frame shows one.
    """
    seen = np.isfinite(landmarks[:, 0, 0])
    if not seen.any():
        return None
    faces = landmarks[seen].astype(np.float64) @ [1, 1j]
    median: Array = np.median(_laid_on(faces, faces[0], CALM_POINTS).view(float).reshape(*faces.shape, 2), axis=0)
    return median


def calm_eye_opening(landmarks: Floats) -> float:
    """Return how far the eyes are usually open, in distances between the eyes; NaN where no face was found."""
    seen = landmarks[np.isfinite(landmarks[:, 0, 0])]
    if not len(seen):
        return float("nan")
    return float(np.median([_eye_opening(face.astype(np.float64) @ [1, 1j]) for face in seen]))


class Face:
    """The face of a photo, ready to take on expressions.

    Args:
        texture: The pixels that show it, `(height, width, 4)` uint8 RGBA, premultiplied.
        points: Its 68 points, `(68, 2)` x, y in pixels of the texture.
        driver_eyes: How far the driver's eyes are usually open, from `calm_eye_opening`.
    """

    def __init__(self, texture: NDArray[np.uint8], points: Array, driver_eyes: float) -> None:
        self._texture, self._points = texture, points @ [1, 1j]
        self._across = _eye_line(self._points)
        ratio = _eye_opening(self._points) / driver_eyes if driver_eyes > 0 else 1.0
        self._eye_ratio = float(np.clip(ratio, 1 / MAX_EYE_RATIO, MAX_EYE_RATIO))
        everything = np.concatenate([points, _ring(self._points)])
        triangles = Delaunay(everything).simplices
        gap = (_along(self._points[66] - self._points[62], self._across)).imag
        self._closed = bool(gap < OPEN_MOUTH)
        if self._closed:  # between closed lips there is nothing to stretch
            lips = np.arange(INNER_LIPS.start, INNER_LIPS.stop)
            triangles = triangles[~np.isin(triangles, lips).all(axis=1)]
        self._everything = everything
        self._sheet = Sheet(texture, everything, triangles)
        self._inside, self._teeth = _mouth_colours(texture, self._points)

    def express(self, offsets: Array, strength: float = 1.0) -> NDArray[np.uint8]:
        """Draw the texture with an expression, `(height, width, 4)` uint8 RGBA, premultiplied.

        Args:
            offsets: The way of each point from the calm face, `(68, 2)`, as from `expression_offsets`.
            strength: A factor of them, 0 for none.
        """
        way = strength * (offsets @ [1, 1j])
        for eye in EYES:  # eyes that open less also close on a shorter way
            corners = way[eye][[0, 3]].imag.mean()
            way[eye] = way[eye].real + 1j * (corners + self._eye_ratio * (way[eye].imag - corners))
        points = _untangled(_along(self._points, self._across) + way) * self._across
        moved = self._everything.copy()
        moved[:68] = np.stack([points.real, points.imag], axis=-1)
        pixels = self._texture.copy()
        surface = picture_surface(pixels, skia.kPremul_AlphaType)
        with surface as canvas:
            if self._closed:
                self._draw_mouth(canvas, points[INNER_LIPS])
            self._sheet.draw(canvas, moved, skia.BlendMode.kSrc)
        surface.flushAndSubmit()
        return pixels

    def _draw_mouth(self, canvas: skia.Canvas, lips: NDArray[np.complex128]) -> None:
        """Draw the inside of the mouth, which the lips then leave open: dark, with the upper teeth."""
        down = self._across * 1j
        gap = float(_along(lips[6] - lips[2], self._across).imag)
        canvas.drawPath(_polygon(lips), _fill(self._inside))
        height = min(TEETH_SHARE * gap, TEETH_HEIGHT)
        if height * abs(self._across) > 1:
            upper = lips[:5]
            canvas.drawPath(_polygon(np.concatenate([upper, upper[3:0:-1] + height * down])), _fill(self._teeth))


def _from_calm(
    faces: NDArray[np.complex128], calm: NDArray[np.complex128], points: list[int]
) -> NDArray[np.complex128]:
    """Return how far each point is from the calm face's, `(num_faces, 68)`, once some of them lie on its own."""
    return (_laid_on(faces, calm, points) - calm) / _eye_line(calm)


def _bounded(ways: NDArray[np.complex128], limit: float) -> NDArray[np.complex128]:
    """Return the ways, none longer than a limit."""
    return ways * np.minimum(1, limit / np.maximum(np.abs(ways), 1e-9))


def _laid_on(
    faces: NDArray[np.complex128], target: NDArray[np.complex128], points: list[int]
) -> NDArray[np.complex128]:
    """Return faces moved, turned and scaled so that some of their points lie on those of another."""
    still, aim = faces[:, points], target[points]
    middle, centre = still.mean(axis=1, keepdims=True), aim.mean()
    turn = (np.conj(still - middle) * (aim - centre)).sum(axis=1) / (np.abs(still - middle) ** 2).sum(axis=1)
    return (faces - middle) * turn[:, None] + centre


def _eye_line(points: NDArray[np.complex128]) -> np.complex128:
    """Return the way from the middle of the right eye to that of the left."""
    return points[EYES[1]].mean() - points[EYES[0]].mean()


def _along(points: NDArray[np.complex128], across: np.complex128) -> NDArray[np.complex128]:
    """Return points in the axes of a face: across it, and down, in distances between the eyes."""
    return points / across


def _eye_opening(points: NDArray[np.complex128]) -> float:
    heights = [_along(points[low] - points[up], _eye_line(points)).imag for up, low in LID_PAIRS]
    return max(float(np.mean(heights)), 1e-3)


def _untangled(points: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return points in the axes of a face whose lids and lips have not passed one another."""
    for up, low in (*LID_PAIRS, *LIP_PAIRS):
        if points[low].imag < points[up].imag:
            height = (points[low].imag + points[up].imag) / 2
            points[[up, low]] = points[[up, low]].real + 1j * height
    return points


def _ring(points: NDArray[np.complex128]) -> Array:
    """Return points around the face that stay where they are, `(24, 2)`."""
    across = _eye_line(points)
    face = _along(points, across)
    left, right, bottom = face.real.min(), face.real.max(), face.imag.max()
    top = face.imag.min() - 0.5 * (bottom - face.imag.min())  # the forehead
    centre, half = (left + right) / 2 + 1j * (top + bottom) / 2, ((right - left) / 2, (bottom - top) / 2)
    angles = np.linspace(0, 2 * np.pi, RING_POINTS, endpoint=False)
    ring = (centre + RING_SCALE * (half[0] * np.cos(angles) + 1j * half[1] * np.sin(angles))) * across
    return np.stack([ring.real, ring.imag], axis=-1)


def _mouth_colours(texture: NDArray[np.uint8], points: NDArray[np.complex128]) -> tuple[Array, Array]:
    """Return the colours of the inside of the mouth and of the teeth, from those of lips and nose, in levels."""

    def colour(indices: range) -> Array:
        x, y = np.round([points[indices].real, points[indices].imag]).astype(int)
        inside = (x >= 0) & (y >= 0) & (x < texture.shape[1]) & (y < texture.shape[0])
        return texture[y[inside], x[inside], :3].mean(axis=0) if inside.any() else np.full(3, 128.0)

    lips, skin = colour(range(48, 60)), colour(range(27, 36))
    return INSIDE_SHADE * lips, np.clip(np.full(3, skin.max() * TEETH_SHADE), 0, 245)


def _polygon(points: NDArray[np.complex128]) -> skia.Path:
    path = skia.Path()
    path.addPoly([skia.Point(point.real + 0.5, point.imag + 0.5) for point in points.tolist()], True)
    return path


def _fill(colour: Array) -> skia.Paint:
    red, green, blue = (int(level) for level in colour)
    return skia.Paint(AntiAlias=True, Color=skia.Color(red, green, blue))
