"""Trunk, limbs, hands and clothes of one character, frame by frame."""

import numpy as np
import skia
from numpy.typing import NDArray

from xdyna.world.brush import RGB, curve, fill, gradient, limb, polygon, scaled, stroke
from xdyna.world.character import Character
from xdyna.world.face import Head, draw_face
from xdyna.world.hair import Hair
from xdyna.world.skeleton import SIDES, Skeleton

Array = NDArray[np.float64]


class Person:
    """Everything needed to draw one character through one clip.

    Args:
        sway: `(n,)` swing of hair and cloth (face units at one unit's hang).
        expression: `(n, 8)` in the order of `motion.EXPRESSION`.
    """

    def __init__(self, character: Character, skeleton: Skeleton, expression: Array, sway: Array) -> None:
        self.character, self.skeleton = character, skeleton
        self.head = Head(skeleton, character, expression)
        self._expression = expression
        self._hair = Hair(self.head, character, sway)
        self._sway = sway * self.head.unit
        self._size = skeleton.unit

    def draw(self, canvas: skia.Canvas, frame: int) -> None:
        """Draws one frame."""
        sk = self.skeleton
        self._hair.draw_behind(canvas, frame)
        arm_depth = sk.wrists[frame, :, 2] + sk.elbows[frame, :, 2] - 2 * sk.neck[frame, 2]
        behind = [i for i in (0, 1) if arm_depth[i] < -0.06 * self._size]
        for i in behind:
            self._draw_arm(canvas, frame, i)
        for i in np.argsort(sk.knees[frame, :, 2]):
            self._draw_leg(canvas, frame, int(i))
        self._draw_trunk(canvas, frame)
        neck, chin = sk.neck[frame], sk.chin[frame]
        lift = np.array([0.0, 0.035 * self._size])
        width = 0.034 * self._size * self.character.girth
        limb(
            canvas,
            neck[:2] - lift * 0.45,
            chin[:2] - lift * 0.8,
            width,
            width * 0.95,
            scaled(self.character.skin, 0.82),
        )
        self._draw_collar(canvas, frame)
        self._draw_ears(canvas, frame)
        draw_face(canvas, self.head.landmarks[frame], self.head.unit, self.character, self._expression[frame])
        self._hair.draw_before(canvas, frame)
        for i in sorted({0, 1} - set(behind), key=lambda i: arm_depth[i]):
            self._draw_arm(canvas, frame, i)

    def _draw_ears(self, canvas: skia.Canvas, frame: int) -> None:
        if self.character.hair_style in ("bob", "long"):
            return
        face = self.head.landmarks[frame]
        for point, other in ((face[0], face[16]), (face[16], face[0])):
            spot = point + (point - other) * 0.03 + (face[8] - face[27]) * 0.1
            canvas.drawCircle(*spot, self.head.unit * 0.17, fill(scaled(self.character.skin, 0.85)))

    def _draw_arm(self, canvas: skia.Canvas, frame: int, i: int) -> None:
        c, sk, s = self.character, self.skeleton, self._size
        shoulder, elbow, wrist = sk.shoulders[frame, i, :2], sk.elbows[frame, i, :2], sk.wrists[frame, i, :2]
        thick = s * (0.034 * c.girth)
        skin = c.skin
        inset = shoulder + np.array([-SIDES[i] * 0.012, 0.012]) * s
        limb(canvas, inset, elbow, thick, thick * 0.76, skin)
        self._draw_hand(canvas, frame, i)
        limb(canvas, elbow, wrist, thick * 0.78, thick * 0.55, skin, bulge=thick * 0.1)
        if c.sleeve > 0:
            loose = thick * (1.28 if c.top in ("hoodie", "tee") else 1.14)
            colour = c.accent if c.pattern == "block" else c.top_colour
            upper = min(c.sleeve, 1.0)
            end = elbow if upper == 1.0 else inset + (elbow - inset) * upper
            limb(canvas, inset, end, loose, loose * (1 - 0.18 * upper), colour)
            if c.sleeve > 1:
                cuff = elbow + (wrist - elbow) * (c.sleeve - 1)
                limb(canvas, elbow, cuff, loose * 0.82, loose * 0.62, colour)
                if c.top == "hoodie":
                    limb(canvas, cuff - (wrist - elbow) * 0.08, cuff, loose * 0.64, loose * 0.62, scaled(colour, 0.75))

    def _draw_hand(self, canvas: skia.Canvas, frame: int, i: int) -> None:
        points = self.skeleton.fingers[frame, i, :, :2]
        skin, size = self.character.skin, self._size
        edge = scaled(skin, 0.78)
        palm = [points[0], points[1], points[5], points[9], points[13], points[17], points[0] * 0.6 + points[17] * 0.4]
        for paint in (stroke(edge, size * 0.0185), stroke(skin, size * 0.0145)):
            for f in range(5):
                canvas.drawPath(polygon(points[1 + 4 * f : 5 + 4 * f], closed=False), paint)
            canvas.drawPath(polygon(palm), paint)
        canvas.drawPath(polygon(palm), fill(skin))

    def _draw_leg(self, canvas: skia.Canvas, frame: int, i: int) -> None:
        c, sk, s = self.character, self.skeleton, self._size
        hip, knee, ankle = sk.hips[frame, i, :2], sk.knees[frame, i, :2], sk.ankles[frame, i, :2]
        thick = s * 0.056 * c.girth
        self._draw_shoe(canvas, ankle, knee, SIDES[i])
        limb(canvas, knee, ankle, thick * 0.68, thick * 0.42, c.skin, bulge=thick * 0.1)
        limb(canvas, hip, knee, thick, thick * 0.7, c.skin)
        if c.bottom == "skirt":
            colour = c.top_colour if c.top == "dress" else c.bottom_colour
            limb(canvas, hip, hip + (knee - hip) * c.leg_cover * 0.4, thick * 1.02, thick * 0.98, colour)
            return
        colour = c.bottom_colour
        loose = 1.1 if c.bottom == "trousers" else 1.16
        end = knee if c.leg_cover >= 1 else hip + (knee - hip) * c.leg_cover
        if c.leg_cover > 1:
            cuff = knee + (ankle - knee) * (c.leg_cover - 1)
            limb(canvas, knee, cuff, thick * 0.8 * loose, thick * 0.58 * loose, colour)
        limb(canvas, hip, end, thick * loose, thick * (0.78 if c.leg_cover > 1 else 0.95) * loose, colour)

    def _draw_shoe(self, canvas: skia.Canvas, ankle: Array, knee: Array, side: float) -> None:
        s, colour = self._size, self.character.shoes
        along = (ankle - knee) / max(float(np.hypot(*(ankle - knee))), 1e-6)
        toe = ankle + np.array([side * 0.03, 0.016]) * s + along * 0.012 * s
        heel = ankle + along * 0.016 * s
        limb(canvas, heel, toe + np.array([side * 0.012, 0]) * s, 0.0225 * s, 0.019 * s, scaled(colour, 0.55))
        limb(canvas, heel - np.array([0, 0.004]) * s, toe, 0.022 * s, 0.018 * s, colour)

    def _draw_trunk(self, canvas: skia.Canvas, frame: int) -> None:
        c, sk, s = self.character, self.skeleton, self._size
        neck, pelvis = sk.neck[frame, :2], sk.pelvis[frame, :2]
        right, left = sk.shoulders[frame, 0, :2], sk.shoulders[frame, 1, :2]
        hip_right, hip_left = sk.hips[frame, 0, :2], sk.hips[frame, 1, :2]
        down = pelvis - neck
        across = (left - right) / 2
        wide = 0.036 * s * c.girth
        unit = across / max(float(np.hypot(*across)), 1e-6)
        spine, belt = neck + down * 0.62, neck + down * 0.86
        chest = (neck + down * 0.34, np.hypot(*across) * 0.80 + wide * 0.25)
        half_waist = chest[1] * c.waist
        half_hip = np.hypot(*(hip_left - hip_right)) / 2 + 0.042 * s * c.girth
        hip_unit = (hip_left - hip_right) / max(float(np.hypot(*(hip_left - hip_right))), 1e-6)
        hip_line = pelvis + down * 0.04
        seat = [
            belt - unit * half_waist * 0.9,
            belt + unit * half_waist * 0.9,
            hip_line + hip_unit * half_hip,
            hip_line + hip_unit * half_hip * 0.9 + down * 0.13,
            hip_line + down * 0.17,
            hip_line - hip_unit * half_hip * 0.9 + down * 0.13,
            hip_line - hip_unit * half_hip,
        ]
        start, end = tuple(pelvis - unit * half_hip), tuple(pelvis + unit * half_hip)
        bottom = c.top_colour if c.top == "dress" else c.bottom_colour
        if c.bottom == "skirt":
            self._draw_skirt(canvas, frame, bottom, belt, hip_line, half_waist * 0.95, half_hip, unit)
        else:
            canvas.drawPath(curve(seat), gradient(start, end, _tones(bottom)))
        swing = np.array([self._sway[frame] * 0.25, 0.0])
        hem = pelvis + down * (0.03 - c.cropped * 4) + swing
        hem_half = half_hip * (1.1 if c.top in ("hoodie", "tee") else 1.04)
        top = -down / max(float(np.hypot(*down)), 1e-6)
        outline = [
            neck + across * 0.33 + top * 0.012 * s,
            left + top * 0.018 * s - unit * wide * 0.2,
            left + down * 0.08 + unit * wide * 0.35,
            chest[0] + unit * chest[1],
            spine + unit * half_waist,
            hem + unit * hem_half,
            hem + down * 0.035,
            hem - unit * hem_half,
            spine - unit * half_waist,
            chest[0] - unit * chest[1],
            right + down * 0.08 - unit * wide * 0.35,
            right + top * 0.018 * s + unit * wide * 0.2,
            neck - across * 0.33 + top * 0.012 * s,
            neck + down * 0.02,
        ]
        path = curve(outline)
        left_edge, right_edge = neck + down * 0.5 - unit * chest[1], neck + down * 0.5 + unit * chest[1]
        canvas.drawPath(path, gradient(tuple(left_edge), tuple(right_edge), _tones(c.top_colour), [0, 0.25, 0.6, 1]))
        self._draw_pattern(canvas, path, neck, down, across)
        if c.top != "dress":
            canvas.drawPath(curve(outline[5:8], closed=False), stroke(scaled(c.top_colour, 0.6), 0.007 * s, 0.8))
        if c.top == "tank":
            for sign in (-1, 1):
                strap = [neck + across * 0.85 * sign, neck + across * 1.25 * sign + down * 0.12]
                canvas.drawPath(polygon(strap, closed=False), stroke(c.skin, 0.02 * s))

    def _draw_skirt(
        self,
        canvas: skia.Canvas,
        frame: int,
        colour: RGB,
        waist: Array,
        hip: Array,
        half_waist: float,
        half_hip: float,
        unit: Array,
    ) -> None:
        sk = self.skeleton
        knees, hips = sk.knees[frame, :, :2], sk.hips[frame, :, :2]
        reach = self.character.leg_cover
        ends = hips + (knees - hips) * min(reach, 1.0)
        flare = 0.066 * self._size * self.character.girth
        swing = np.array([self._sway[frame] * 0.9, 0.0])
        right, left = ends[0] - unit * flare + swing, ends[1] + unit * flare + swing
        middle = (right + left) / 2 + np.array([0.0, 0.018 * self._size])
        ripple = np.array([0.0, 0.008 * self._size])
        hem = [left, (left + middle) / 2 + ripple, middle, (right + middle) / 2 + ripple, right]
        outline = [
            waist - unit * half_waist,
            waist + unit * half_waist,
            hip + unit * half_hip,
            *hem,
            hip - unit * half_hip,
        ]
        canvas.drawPath(curve(outline), gradient(tuple(right), tuple(left), _tones(colour), [0, 0.25, 0.6, 1]))
        for share in (0.25, 0.5, 0.75):
            fold = [hip + unit * half_hip * (share * 2 - 1) * 0.7, right + (left - right) * share]
            canvas.drawPath(polygon(fold, closed=False), stroke(scaled(colour, 0.6), 0.006 * self._size, 0.45))

    def _draw_collar(self, canvas: skia.Canvas, frame: int) -> None:
        c, sk, s = self.character, self.skeleton, self._size
        neck, across = sk.neck[frame, :2], (sk.shoulders[frame, 1, :2] - sk.shoulders[frame, 0, :2]) / 2
        down = (sk.pelvis[frame, :2] - neck) * (0.16 if c.top in ("tank", "dress") else 0.09)
        line = [
            neck - across * 0.36 - down * 0.2,
            neck - across * 0.22 + down * 0.6,
            neck + down,
            neck + across * 0.22 + down * 0.6,
            neck + across * 0.36 - down * 0.2,
        ]
        canvas.drawPath(curve(line, closed=False), fill(scaled(c.skin, 0.92)))
        edge = scaled(c.top_colour, 0.62)
        canvas.drawPath(curve(line, closed=False), stroke(edge, (0.022 if c.top == "hoodie" else 0.009) * s))

    def _draw_pattern(self, canvas: skia.Canvas, path: skia.Path, neck: Array, down: Array, across: Array) -> None:
        c = self.character
        if c.pattern == "plain":
            return
        canvas.save()
        canvas.clipPath(path, True)
        # From here x = -1..1 spans the shoulders and y = 0..1 runs from the neck to the pelvis.
        canvas.concat(
            skia.Matrix.MakeAll(
                float(across[0]),
                float(down[0]),
                float(neck[0]),
                float(across[1]),
                float(down[1]),
                float(neck[1]),
                0,
                0,
                1,
            )
        )
        paint = fill(c.accent, 0.92)
        k = c.pattern_scale
        if c.pattern == "stripes":
            for y in np.arange(0.06, 1.5, 0.17 * k):
                canvas.drawRect(skia.Rect.MakeLTRB(-2, y, 2, y + 0.075 * k), paint)
        elif c.pattern == "dots":
            for row, y in enumerate(np.arange(0.08, 1.4, 0.15 * k)):
                for x in np.arange(-1.4 + (row % 2) * 0.2 * k, 1.4, 0.4 * k):
                    canvas.drawOval(skia.Rect.MakeXYWH(x - 0.09 * k, y - 0.038 * k, 0.18 * k, 0.076 * k), paint)
        elif c.pattern == "emblem":
            points = []
            for j in range(10):
                radius = (0.46 if j % 2 == 0 else 0.2) * k
                angle = j * np.pi / 5 - np.pi / 2
                points.append((radius * np.cos(angle), 0.42 + radius * np.sin(angle) * 0.42))
            canvas.drawPath(polygon(points), paint)
        else:
            canvas.drawRect(skia.Rect.MakeLTRB(-2, 0.45, 2, 1.6), paint)
        canvas.restore()


def _tones(colour: RGB) -> list[RGB]:
    return [scaled(colour, 0.9), scaled(colour, 1.1), colour, scaled(colour, 0.66)]
