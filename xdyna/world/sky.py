"""Day skies: drifting clouds, a sunset, wind in long grass, falling leaves."""

import numpy as np
import skia

from xdyna.world.brush import curve, fill, glow, gradient, hsv, mixed, scaled, texture, tiled
from xdyna.world.scene import Scene, sky_blue


class Clouds(Scene):
    """Two layers of cumulus drifting over hills."""

    name = "clouds"

    def compose(self) -> None:
        self._sky = sky_blue(self.rng)
        warm = (1.0, float(self.rng.uniform(0.93, 1)), float(self.rng.uniform(0.88, 1)))
        cover = self.clouds(self.rng.uniform(0.45, 0.65))
        shade = np.roll(cover, -5, 0)[..., None] * 0.16
        self._far = texture(cover * 0.75, np.array(warm) - shade)
        near = self.clouds(self.rng.uniform(0.4, 0.55))
        self._near = texture(near, np.array(warm) - np.roll(near, -6, 0)[..., None] * 0.22)
        self._speed = self._lean * self.rng.uniform(0.08, 0.16)
        floor = hsv(self.rng.uniform(0.08, 0.36), self.rng.uniform(0.2, 0.55), self.rng.uniform(0.45, 0.8))
        hills = hsv(self.rng.uniform(0.25, 0.6), 0.35, self.rng.uniform(0.4, 0.65))
        recorder = skia.PictureRecorder()
        canvas = recorder.beginRecording(skia.Rect.MakeWH(self.aspect, 1))
        self.hills(canvas, hills, 0.12)
        self.ground(canvas, floor)
        self._land = recorder.finishRecordingAsPicture()

    def backdrop(self, canvas: skia.Canvas) -> None:
        self.sky(canvas, self._sky)

    def living(self, canvas: skia.Canvas, t: float) -> None:
        canvas.drawRect(self.area(0, self.horizon), tiled(self._far, 0.95, self.horizon, self._speed * t, 0, 0.85))
        canvas.drawRect(
            self.area(0, self.horizon - 0.12),
            tiled(self._near, 1.3, self.horizon - 0.12, self._speed * 1.9 * t, 0.0, 0.9),
        )
        canvas.drawPicture(self._land)


class Sunset(Scene):
    """A low sun, streaks of burning cloud and its shimmer on wet ground."""

    name = "sunset"

    def compose(self) -> None:
        hue = self.rng.uniform(-0.03, 0.06)
        self._sky = [
            hsv(hue + self.rng.uniform(0.68, 0.85), 0.6, self.rng.uniform(0.35, 0.55)),
            hsv(hue - 0.04, 0.6, 0.85),
            hsv(hue + 0.06, 0.75, 1.0),
        ]
        self._sun = (
            float(self.rng.uniform(0.08, self.aspect - 0.08)),
            self.horizon - float(self.rng.uniform(0.06, 0.2)),
        )
        self._streaks = texture(self.clouds(0.55) * 0.9, hsv(hue + 0.02, 0.55, 1.0))
        self._dark = texture(self.clouds(0.5) * 0.75, hsv(hue + 0.8, 0.5, 0.4))
        self._speed = self._lean * self.rng.uniform(0.08, 0.14)
        self._water = self._sky[0]
        self._ripple = texture(self.clouds(0.45), hsv(hue + 0.08, 0.5, 1.0))

    def backdrop(self, canvas: skia.Canvas) -> None:
        self.sky(canvas, self._sky)
        canvas.drawRect(self.area(0, self.horizon), glow((1, 0.85, 0.5), 0.9, self._sun, 0.45))
        canvas.drawCircle(*self._sun, 0.055, fill((1.0, 0.95, 0.75)))
        canvas.drawRect(
            self.area(self.horizon, 1),
            gradient((0, self.horizon), (0, 1), [mixed(self._sky[2], self._water, 0.4), self._water]),
        )

    def living(self, canvas: skia.Canvas, t: float) -> None:
        sky = self.area(0, self.horizon)
        canvas.drawRect(sky, tiled(self._dark, 1.4, 0.32, self._speed * t, 0.04))
        canvas.drawRect(sky, tiled(self._streaks, 1.1, 0.22, self._speed * 1.7 * t, 0.1, 0.8))
        floor = self.area(self.horizon, 1)
        canvas.drawRect(floor, tiled(self._ripple, 0.5, 0.07, 0.05 * t, self.horizon + 0.06 * t, 0.45))
        canvas.drawRect(floor, tiled(self._ripple, 0.37, 0.05, -0.07 * t, self.horizon + 0.09 * t, 0.35))
        pulse = 0.5 + 0.12 * np.sin(5 * t)
        canvas.drawRect(floor, glow((1, 0.8, 0.45), float(pulse), (self._sun[0], self.horizon), 0.3))


class Grass(Scene):
    """A meadow whose long grass bends in travelling gusts."""

    name = "grass"
    windy = 1.0

    def compose(self) -> None:
        self._sky = sky_blue(self.rng)
        self.horizon -= 0.06
        self._hue = self.rng.uniform(0.16, 0.36)
        self._cloud = texture(self.clouds(0.45) * 0.9, (1.0, 1.0, 1.0))
        rows = np.linspace(self.horizon, 0.99, 9)
        self._rows = []
        for k, y in enumerate(rows):
            x = self.rng.uniform(-0.05, self.aspect + 0.05, 26)
            height = self.rng.uniform(0.05, 0.11, 26) * (0.6 + 0.09 * k)
            colour = hsv(self._hue + self.rng.uniform(-0.03, 0.03), 0.62, 0.38 + 0.05 * k)
            self._rows.append((float(y), x, height, colour))
        self._flowers = hsv(self.rng.random(), 0.6, 1.0) if self.rng.random() < 0.6 else None

    def backdrop(self, canvas: skia.Canvas) -> None:
        self.sky(canvas, self._sky)
        self.hills(canvas, hsv(self._hue + 0.06, 0.4, 0.55), 0.1)
        self.ground(canvas, hsv(self._hue, 0.6, 0.5))

    def living(self, canvas: skia.Canvas, t: float) -> None:
        canvas.drawRect(
            self.area(0, self.horizon - 0.14),
            tiled(self._cloud, 1.2, self.horizon - 0.14, self._lean * 0.1 * t, 0.0, 0.8),
        )
        for k, (y, x, height, colour) in enumerate(self._rows):
            gust = self._lean * (
                0.55 + 0.6 * np.sin(x * 9 - self._lean * 4.5 * t + k * 0.7) + 0.18 * np.sin(11 * t + 40 * x)
            )
            path = skia.Path()
            for bx, tall, bend in zip(x.tolist(), height.tolist(), gust.tolist(), strict=True):
                tip = bx + bend * tall * 0.75
                top = y - tall * (1 - 0.18 * bend * bend) + 0.02
                path.moveTo(bx - 0.006, y + 0.03)
                path.quadTo(bx, y - tall * 0.4, tip, top)
                path.quadTo(bx + 0.008, y - tall * 0.3, bx + 0.008, y + 0.03)
            canvas.drawPath(path, fill(colour))
            if self._flowers is not None and k % 3 == 1:
                for bx, tall, bend in zip(x[:7].tolist(), height[:7].tolist(), gust[:7].tolist(), strict=True):
                    canvas.drawCircle(
                        bx + bend * tall * 0.75, y - tall * (1 - 0.18 * bend * bend) + 0.02, 0.009, fill(self._flowers)
                    )


class Leaves(Scene):
    """A park in autumn (or under blossom) with leaves sailing down."""

    name = "leaves"
    windy = 0.8

    def compose(self) -> None:
        spring = self.rng.random() < 0.4
        hue = 0.93 if spring else self.rng.uniform(0.02, 0.13)
        self._leaf = [hsv(hue + d, 0.35 if spring else 0.8, 0.95) for d in (-0.03, 0.0, 0.04)]
        self._sky = sky_blue(self.rng)
        self._ground = hsv(self.rng.uniform(0.09, 0.3), 0.35, 0.6)
        n = 44
        self._x, self._y = self.rng.uniform(0, 1, n), self.rng.uniform(0, 1, n)
        self._fall, self._drift = self.rng.uniform(0.22, 0.42, n), self.rng.uniform(0.1, 0.3, n)
        self._phase, self._size = self.rng.uniform(0, 6.3, n), self.rng.uniform(0.010, 0.019, n)
        self._trees = self.rng.uniform(0.03, self.aspect - 0.03, 3)
        self._crown = [
            (float(dx), float(dy), float(r))
            for dx, dy, r in zip(
                self.rng.uniform(-0.14, 0.14, 9),
                self.rng.uniform(-0.12, 0.1, 9),
                self.rng.uniform(0.06, 0.11, 9),
                strict=True,
            )
        ]

    def backdrop(self, canvas: skia.Canvas) -> None:
        self.sky(canvas, self._sky)
        self.hills(canvas, hsv(0.35, 0.25, 0.6), 0.1)
        self.ground(canvas, self._ground)
        for x in self._trees:
            trunk = [
                (x - 0.02, self.horizon + 0.03),
                (x - 0.01, 0.3),
                (x + 0.012, 0.3),
                (x + 0.025, self.horizon + 0.03),
            ]
            canvas.drawPath(curve(trunk), fill((0.33, 0.24, 0.18)))

    def living(self, canvas: skia.Canvas, t: float) -> None:
        for j, x in enumerate(self._trees):
            for k, (dx, dy, r) in enumerate(self._crown):
                shake = 0.012 * np.sin(4.5 * t + k + 2 * j) * (1 - dy * 4)
                colour = scaled(self._leaf[k % 3], 0.72 + 0.05 * k)
                cx, cy = float(x + dx + shake), 0.3 + dy
                tones = [scaled(colour, 1.12), colour, scaled(colour, 0.72)]
                canvas.drawCircle(cx, cy, r, gradient((cx - r * 0.5, cy - r), (cx + r * 0.5, cy + r), tones))
        self._flutter(canvas, t, slice(0, 30))

    def draw_before(self, canvas: skia.Canvas, t: float) -> None:
        self._flutter(canvas, t, slice(30, None))

    def _flutter(self, canvas: skia.Canvas, t: float, part: slice) -> None:
        x = (self._x + self._lean * self._drift * t + 0.04 * np.sin(3 * t + self._phase)) % 1.0
        y = (self._y + self._fall * t) % 1.0
        for k, (px, py, size, phase) in enumerate(
            zip(x[part].tolist(), y[part].tolist(), self._size[part].tolist(), self._phase[part].tolist(), strict=True)
        ):
            canvas.save()
            canvas.translate(px * (self.aspect + 0.1) - 0.05, py * 1.05)
            canvas.rotate(phase * 57 + 150 * t)
            canvas.scale(1.0, 0.3 + 0.5 * abs(np.sin(4 * t + phase)))
            canvas.drawOval(skia.Rect.MakeLTRB(-size, -size * 0.6, size, size * 0.6), fill(self._leaf[k % 3]))
            canvas.restore()
