"""The face: 68 landmarks that turn and express, and the features drawn through them."""

import numpy as np
import skia
from numpy.typing import NDArray

from xdyna.world.brush import RGB, XY, curve, fill, glow, mixed, polygon, round_shade, scaled, stroke
from xdyna.world.character import Character
from xdyna.world.skeleton import Skeleton

Array = NDArray[np.float64]

# The left half (in the picture) of a frontal face; the unit is half its width, the origin between the eyes.
_JAW = [(-0.97, -0.02), (-0.96, 0.24), (-0.91, 0.48), (-0.83, 0.70),
        (-0.70, 0.90), (-0.53, 1.06), (-0.35, 1.18), (-0.17, 1.26), (0.0, 1.29)]  # fmt: skip
_BROW = [(-0.80, -0.33), (-0.67, -0.43), (-0.51, -0.46), (-0.35, -0.43), (-0.19, -0.37)]
_NOSE = [(0.0, -0.03), (0.0, 0.15), (0.0, 0.32), (0.0, 0.48), (-0.21, 0.55), (-0.10, 0.60), (0.0, 0.62)]
_EYE = [(-0.64, 0.01), (-0.52, -0.10), (-0.35, -0.10), (-0.23, 0.03), (-0.35, 0.09), (-0.52, 0.09)]
_EYE_CENTRE = np.array([-0.435, 0.005])
# Mouth points 48-67 as (x, y) about the mouth's middle.
_MOUTH = np.array(
    [(-0.36, 0), (-0.21, -0.06), (-0.08, -0.09), (0, -0.075), (0.08, -0.09), (0.21, -0.06), (0.36, 0), (0.21, 0.08),
     (0.09, 0.115), (0, 0.12), (-0.09, 0.115), (-0.21, 0.08), (-0.30, 0), (-0.10, -0.01),
     (0, -0.006), (0.10, -0.01), (0.30, 0),
     (0.10, 0.01), (0, 0.012), (-0.10, 0.01)],
)  # fmt: skip
_UPPER_INNER, _LOWER_INNER, _LOWER_OUTER = [13, 14, 15], [17, 18, 19], [7, 8, 9, 10, 11]
_HEAD_HEIGHT = 2.62
"""Crown to chin in face units."""
_CHIN = 1.29


def face_unit(skeleton: Skeleton, character: Character) -> float:
    """Half the face's width in frame units."""
    return character.proportions.head * skeleton.unit / _HEAD_HEIGHT


class Head:
    """A head over time: maps points of the face's own coordinates into the frame.

    Attributes:
        unit: half the face's width in frame units.
        landmarks: `(n, 68, 2)` in frame units.
    """

    def __init__(self, skeleton: Skeleton, character: Character, expression: Array) -> None:
        self.unit = face_unit(skeleton, character)
        self._turn = skeleton.head_turn
        self._origin = skeleton.chin
        self._width = character.face_width
        points = _expressed(character, expression)
        depth = np.sqrt(np.maximum(1.0 - 0.92 * points[..., 0] ** 2 - 0.3 * points[..., 1] ** 2, 0.0)) * 0.85
        depth[:, 27:31] += np.array([0.08, 0.16, 0.24, 0.32])
        depth[:, 31:36] += np.array([0.06, 0.14, 0.2, 0.14, 0.06])
        self.landmarks = self.project(points, depth)

    def project(self, points: Array, depth: Array | float = 0.0) -> Array:
        """Frame positions `(n, ..., 2)` of face points `(n, ..., 2)` at the given depth."""
        local = np.empty((*points.shape[:-1], 3))
        local[..., 0] = points[..., 0] * self._width
        local[..., 1] = points[..., 1] - _CHIN + 0.06
        local[..., 2] = depth
        turned = np.einsum("nij,n...j->n...i", self._turn, local)
        return self._origin[:, None, :2] + turned[..., :2] * self.unit

    def project_fixed(self, points: list[XY], depth: float | list[float] = 0.0) -> Array:
        """`(n, k, 2)` frame positions of k points that do not move in the face."""
        n = len(self._turn)
        table = np.broadcast_to(np.array(points, float), (n, len(points), 2))
        return self.project(table, np.broadcast_to(np.array(depth, float), (n, len(points))))


def _mirror(points: Array, order: list[int]) -> Array:
    flipped = points * np.array([-1.0, 1.0])
    return flipped[..., order, :]


def _expressed(character: Character, expression: Array) -> Array:
    """`(n, 68, 2)` landmarks in face coordinates."""
    n = len(expression)
    opened, smile, pucker, raised, blink_left, blink_right = expression[:, :6].T
    points = np.zeros((n, 68, 2))
    jaw = np.array(_JAW)
    jaw[2:8, 0] *= np.linspace(1.0, character.jaw, 6)
    points[:, :9] = jaw
    points[:, 9:17] = _mirror(jaw, [7, 6, 5, 4, 3, 2, 1, 0])
    points[:, 3:14, 1] += 0.10 * opened[:, None] * np.sin(np.linspace(0, np.pi, 11))[None]
    brow = np.array(_BROW)
    points[:, 17:22] = brow
    points[:, 22:27] = _mirror(brow, [4, 3, 2, 1, 0])
    points[:, 17:27, 1] -= 0.13 * raised[:, None]
    inner = np.array([0, 0, 0.2, 0.6, 1.0, 1.0, 0.6, 0.2, 0, 0])
    points[:, 17:27, 1] -= np.minimum(raised, 0)[:, None] * inner * 0.10
    points[:, 27:34] = _NOSE
    points[:, 34:36] = _mirror(np.array(_NOSE), [5, 4])
    points[:, 31:36, 0] *= character.nose
    eye = (np.array(_EYE) - _EYE_CENTRE) * character.eye_size * np.array([1.0, 1.25]) + _EYE_CENTRE
    right, left = np.repeat(eye[None], n, 0), np.repeat(eye[None], n, 0)
    for lids, blink in ((right, blink_right), (left, blink_left)):
        lids[:, 1:3, 1] += (lids[:, 5:3:-1, 1] - lids[:, 1:3, 1]) * (0.88 * blink)[:, None]
        lids[:, 4:6, 1] -= 0.05 * np.maximum(smile, 0)[:, None]
        lids[:, 1:3, 1] -= 0.025 * raised[:, None] * (1 - blink[:, None])
    points[:, 36:42] = right
    points[:, 42:48] = _mirror(left, [3, 2, 1, 0, 5, 4])
    mouth = np.repeat(_MOUTH[None], n, 0)
    mouth[:, :12, 1] *= character.lip_fullness
    mouth[:, _LOWER_INNER + _LOWER_OUTER, 1] += (0.34 * opened)[:, None] * np.array([1, 1, 1, 0.55, 1, 1.05, 1, 0.55])
    mouth[:, _UPPER_INNER, 1] -= 0.03 * opened[:, None]
    mouth[..., 0] *= (1 + 0.24 * smile - 0.45 * pucker - 0.12 * opened)[:, None]
    mouth[:, 1:6, 1] -= 0.05 * pucker[:, None]
    mouth[..., 1] -= 0.16 * smile[:, None] * ((mouth[..., 0] / 0.4) ** 2 - 0.35)
    points[:, 48:68] = mouth + np.array([0.0, 0.87])
    return points


def draw_face(canvas: skia.Canvas, face: Array, unit: float, character: Character, expression: Array) -> None:
    """Draws the skin of the face and its features for one frame; `face` is `(68, 2)` in frame units."""
    skin = character.skin
    brow_middle = face[27]
    axis = face[8] - brow_middle
    axis = axis / max(float(np.hypot(*axis)), 1e-9)
    across = np.array([-axis[1], axis[0]])
    across = -across if across[0] < 0 else across
    centre = (face[0] + face[16]) / 2 - axis * unit * 0.18
    # As wide as the temples are apart, so that a turned head stays inside its hair.
    half = float(np.hypot(*(face[16] - face[0]))) / 2 * 1.02
    skull = [
        centre + across * half * np.cos(a) + axis * unit * np.sin(a) * 1.1 for a in np.linspace(np.pi, 2 * np.pi, 7)
    ]
    outline = curve([*face[:17], *skull[::-1][1:-1]])
    shade = round_shade(tuple(brow_middle + axis * unit * 0.3), tuple(axis), unit * 1.1, skin)
    canvas.drawPath(outline, shade)
    canvas.save()
    canvas.clipPath(outline, True)
    warm = mixed(skin, (0.92, 0.36, 0.32), 0.5)
    for corner, wing in ((36, 31), (45, 35)):
        spot = face[corner] * 0.65 + face[wing] * 0.35 + axis * unit * 0.24
        canvas.drawCircle(*spot, unit * 0.32, glow(warm, 0.4, tuple(spot), unit * 0.32))
    canvas.restore()
    _draw_nose(canvas, face, unit, skin, axis)
    for lids in (face[36:42], face[42:48]):
        _draw_eye(canvas, lids, unit, character, expression[6:8], axis, across)
    for brow in (face[17:22], face[22:27]):
        thick = unit * 0.10 * character.brow
        canvas.drawPath(curve(brow, closed=False), stroke(mixed(scaled(character.hair, 0.7), skin, 0.12), thick))
    _draw_mouth(canvas, face[48:68], unit, character)


def _draw_nose(canvas: skia.Canvas, face: Array, unit: float, skin: RGB, axis: Array) -> None:
    dark, light = scaled(skin, 0.68), scaled(skin, 1.35)
    side = [face[27] + (face[35] - face[27]) * 0.12, face[29] + (face[35] - face[33]) * 0.45, face[35]]
    canvas.drawPath(curve(side, closed=False), stroke(dark, unit * 0.06, 0.3))
    canvas.drawPath(curve(face[28:31], closed=False), stroke(light, unit * 0.1, 0.5))
    canvas.drawPath(curve(face[31:36] + axis * unit * 0.02, closed=False), stroke(dark, unit * 0.065, 0.85))
    for nostril in (face[32], face[34]):
        canvas.drawCircle(*(nostril - axis * unit * 0.01), unit * 0.045, fill(scaled(skin, 0.4), 0.8))


def _draw_eye(
    canvas: skia.Canvas, lids: Array, unit: float, character: Character, gaze: Array, axis: Array, across: Array
) -> None:
    outline = curve(lids)
    canvas.drawPath(outline, fill((0.98, 0.97, 0.95)))
    canvas.save()
    canvas.clipPath(outline, True)
    eye = character.eye_size
    centre = (lids[0] + lids[3]) / 2 - axis * unit * 0.01 + (across * gaze[0] * 0.11 + axis * gaze[1] * 0.05) * unit
    canvas.drawCircle(*centre, unit * 0.145 * eye, fill(scaled(character.iris, 0.75)))
    canvas.drawCircle(*centre, unit * 0.115 * eye, fill(scaled(character.iris, 1.12)))
    canvas.drawCircle(*centre, unit * 0.07 * eye, fill((0.04, 0.03, 0.04)))
    canvas.drawCircle(*(centre + (-across - axis) * unit * 0.05), unit * 0.038 * eye, fill((1, 1, 1)))
    canvas.drawPath(curve(lids[:4], closed=False), stroke((0.2, 0.12, 0.12), unit * 0.1, 0.35))
    canvas.restore()
    canvas.drawPath(curve(lids[:4], closed=False), stroke((0.12, 0.07, 0.07), unit * 0.065))
    canvas.drawPath(curve(lids[3:], closed=False), stroke(scaled(character.skin, 0.55), unit * 0.03, 0.7))
    canvas.drawPath(
        curve(lids[:4] - axis * unit * 0.085, closed=False), stroke(scaled(character.skin, 0.7), unit * 0.035, 0.7)
    )


def _draw_mouth(canvas: skia.Canvas, mouth: Array, unit: float, character: Character) -> None:
    outer = curve(mouth[:12])
    canvas.drawPath(outer, fill(character.lips))
    inner = np.concatenate([mouth[12:17], mouth[17:20]])
    gap = float(np.hypot(*(mouth[18] - mouth[14])))
    if gap > unit * 0.06:
        path = curve(inner)
        canvas.drawPath(path, fill((0.32, 0.06, 0.08)))
        canvas.save()
        canvas.clipPath(path, True)
        down = (mouth[18] - mouth[14]) / gap
        teeth = np.concatenate([mouth[12:17] - down * unit * 0.05, mouth[16:11:-1] + down * unit * 0.075])
        canvas.drawPath(polygon(teeth), fill((0.97, 0.96, 0.93)))
        tongue = mouth[18] + down * unit * 0.02
        canvas.drawCircle(*tongue, unit * 0.14, fill((0.78, 0.32, 0.34)))
        canvas.restore()
    else:
        canvas.drawPath(curve(mouth[12:17], closed=False), stroke(scaled(character.lips, 0.5), unit * 0.045))
    canvas.drawPath(curve(mouth[7:12], closed=False), stroke(scaled(character.skin, 0.6), unit * 0.03, 0.35))
