"""Hair: a mass behind the head, a cap over the skull, and strands that swing with motion and wind."""

import numpy as np
import skia
from numpy.typing import NDArray

from xdyna.world.brush import XY, curve, gradient, scaled, stroke
from xdyna.world.character import Character
from xdyna.world.face import Head

Array = NDArray[np.float64]

# Outline behind the head by style, left half from crown to tip, in face units (y down from between the eyes).
_MASSES: dict[str, list[XY]] = {
    "short": [(-0.6, -1.28), (-1.05, -0.75), (-1.12, -0.15), (-0.98, 0.38), (-0.6, 0.6)],
    "bob": [(-0.65, -1.32), (-1.15, -0.75), (-1.26, 0.1), (-1.28, 0.85), (-1.1, 1.28), (-0.5, 1.32)],
    "long": [(-0.65, -1.32), (-1.15, -0.75), (-1.24, 0.1), (-1.32, 1.1), (-1.36, 2.1), (-1.1, 2.9), (-0.45, 3.0)],
    "ponytail": [(-0.6, -1.3), (-1.06, -0.75), (-1.1, -0.1), (-0.9, 0.4), (-0.5, 0.55)],
    "curly": [(-0.5, -1.52), (-1.05, -1.2), (-1.42, -0.55), (-1.5, 0.15), (-1.38, 0.75), (-0.95, 1.15), (-0.4, 1.0)],
    "bun": [(-0.6, -1.28), (-1.05, -0.75), (-1.08, -0.1), (-0.9, 0.4), (-0.5, 0.55)],
    "twin_tails": [(-0.6, -1.3), (-1.06, -0.75), (-1.1, -0.1), (-0.9, 0.4), (-0.5, 0.55)],
}


class Hair:
    """The hair of one clip: every outline of every frame, in frame units.

    Args:
        sway: `(n,)` sideways swing at one face unit below the ears, in face units.
    """

    def __init__(self, head: Head, character: Character, sway: Array) -> None:
        self._style, self._colour, self._unit = character.hair_style, character.hair, head.unit
        volume = character.hair_volume
        self._mass = self._swayed(head, _mirrored(_stretched(_MASSES[self._style], character)), -0.25, sway)
        self._tails = [self._swayed(head, tail, -0.35, sway) for tail in _tails(character)]
        self._knot = head.project_fixed([(0.15 * character.hair_side, -1.55)], -0.2) if self._style == "bun" else None
        self._cap = head.project_fixed(*_cap(character, volume))
        self._locks = head.project_fixed(*_locks(character))
        self._shine = head.project_fixed([(-0.7, -0.98), (-0.25, -1.16), (0.25, -1.18), (0.6, -1.06)], 0.55)
        self._top, self._bottom = head.project_fixed([(0, -1.5)], 0.0), head.project_fixed([(0, 1.6)], 0.0)
        side = [(s * 1.05, y) for s in (-1, 1) for y in (-0.3, 0.3, 0.95)]
        self._side = self._swayed(head, side, 0.15, sway) if self._style in ("bob", "long") else None

    @staticmethod
    def _swayed(head: Head, points: list[XY], depth: float, sway: Array) -> Array:
        placed = head.project_fixed(points, depth)
        hang = np.maximum(np.array(points)[:, 1] + 0.2, 0.0) ** 1.3
        ripple = np.sin(np.array(points)[:, 1] * 2.0)[None] * 0.25
        placed[..., 0] += sway[:, None] * hang * (1 + ripple) * head.unit
        return placed

    def _paint(self, frame: int, factor: float) -> skia.Paint:
        colour = scaled(self._colour, factor)
        top, bottom = self._top[frame, 0], self._bottom[frame, 0]
        return gradient(
            (float(top[0]), float(top[1])),
            (float(bottom[0]), float(bottom[1])),
            [scaled(colour, 1.16), colour, scaled(colour, 0.72)],
        )

    def draw_behind(self, canvas: skia.Canvas, frame: int) -> None:
        """The parts behind the trunk and the head."""
        paint = self._paint(frame, 0.8)
        for tail in self._tails:
            canvas.drawPath(curve(tail[frame]), paint)
        if self._knot is not None:
            canvas.drawCircle(*self._knot[frame, 0], self._unit * 0.48, self._paint(frame, 0.95))
        outline = self._mass[frame]
        canvas.drawPath(curve(outline), paint)
        if self._style == "curly":
            for x, y in outline[::1]:
                canvas.drawCircle(x, y, self._unit * 0.3, paint)

    def draw_before(self, canvas: skia.Canvas, frame: int) -> None:
        """The cap and the fringe, over the face."""
        canvas.drawPath(curve(self._cap[frame]), self._paint(frame, 1.0))
        if self._side is not None:
            strands = self._paint(frame, 0.92)
            strands.setStyle(skia.Paint.kStroke_Style)
            strands.setStrokeWidth(self._unit * 0.2)
            strands.setStrokeCap(skia.Paint.kRound_Cap)
            for part in (self._side[frame, :3], self._side[frame, 3:]):
                canvas.drawPath(curve(part, closed=False), strands)
        for lock in self._locks[frame].reshape(-1, 3, 2):
            canvas.drawPath(curve(lock, closed=False), stroke(scaled(self._colour, 0.82), self._unit * 0.045, 0.55))
        canvas.drawPath(
            curve(self._shine[frame], closed=False), stroke(scaled(self._colour, 1.35), self._unit * 0.1, 0.4)
        )


def _stretched(points: list[XY], character: Character) -> list[XY]:
    volume, length = character.hair_volume, character.hair_length
    return [(x * volume, y * volume if y < 0 else y * length) for x, y in points]


def _mirrored(points: list[XY]) -> list[XY]:
    return points + [(-x, y) for x, y in points[::-1]]


def _cap(character: Character, volume: float) -> tuple[list[XY], list[float]]:
    """The hair on the skull with its hairline: points and depths."""
    s, v = character.hair_side, volume
    low = 0.15 if character.hair_style in ("short", "curly") else 0.35
    outer = [(-1.03, low), (-1.08 * v, -0.3), (-0.95 * v, -0.85), (-0.52 * v, -1.26), (0, -1.4 * v)]
    outer += [(0.52 * v, -1.26), (0.95 * v, -0.85), (1.08 * v, -0.3), (1.03, low)]
    if character.fringe:
        line = [
            (0.92, -0.1),
            (0.82, -0.42),
            (0.45, -0.60),
            (0.0, -0.56),
            (-0.45, -0.62),
            (-0.82, -0.42),
            (-0.92, -0.1),
        ]
    else:
        part = [
            (0.90, -0.15),
            (0.80, -0.55),
            (0.50, -0.86),
            (0.28, -0.98),
            (-0.3, -0.80),
            (-0.74, -0.50),
            (-0.90, -0.12),
        ]
        line = part if s > 0 else [(-x, y) for x, y in part[::-1]]
    return outer + line, [0.25] * 9 + [0.3, 0.5, 0.7, 0.8, 0.7, 0.5, 0.3]


def _locks(character: Character) -> tuple[list[XY], list[float]]:
    """Three-point strokes that suggest strands."""
    s = character.hair_side
    if character.fringe:
        strokes = [[(x * 0.6, -1.25), (x * 0.9, -0.95), (x, -0.66)] for x in (-0.6, -0.25, 0.1, 0.45)]
    else:
        strokes = [
            [(0.28 * s, -1.0 - 0.09 * k), (-0.2 * s, -0.95 - 0.1 * k), (-0.7 * s, -0.62 - 0.14 * k)] for k in range(3)
        ]
        strokes.append([(0.3 * s, -1.1), (0.6 * s, -0.92), (0.85 * s, -0.58)])
    return [p for points in strokes for p in points], [0.7, 0.7, 0.6] * 4


def _tails(character: Character) -> list[list[XY]]:
    """Closed outlines of hanging tails, in face units."""
    length = character.hair_length
    if character.hair_style == "ponytail":
        s = character.hair_side
        tail = [(0.5, -1.0), (1.15, -0.95), (1.6, -0.2), (1.62, 0.8), (1.35, 1.9), (1.15, 0.9), (1.05, 0.0)]
        return [[(s * x, y * (length if y > 0 else 1)) for x, y in tail]]
    if character.hair_style == "twin_tails":
        tail = [(0.85, -0.55), (1.35, -0.65), (1.75, 0.1), (1.8, 1.1), (1.5, 2.0), (1.25, 1.2), (1.1, 0.3)]
        return [[(s * x, y * (length if y > 0 else 1)) for x, y in tail] for s in (-1, 1)]
    return []
