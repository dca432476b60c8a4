"""Falling weather: rain on a town street, snow in a wood."""

import numpy as np
import skia

from xdyna.world.brush import fill, gradient, hsv, mixed, scaled, stroke, texture, tiled
from xdyna.world.scene import Scene


class Rain(Scene):
    """Slanting rain, running clouds and splashes on a wet street."""

    name = "rain"

    def compose(self) -> None:
        hue = self.rng.uniform(0.55, 0.68)
        self._sky = [hsv(hue, 0.3, self.rng.uniform(0.3, 0.45)), hsv(hue, 0.18, self.rng.uniform(0.55, 0.75))]
        self._cloud = texture(self.clouds(0.7) * 0.8, hsv(hue, 0.25, 0.28))
        self._street = hsv(hue + self.rng.uniform(-0.1, 0.1), 0.2, self.rng.uniform(0.3, 0.5))
        self._drops = self.rng.uniform(0, 1, (3, 150))
        self._splash = self.rng.uniform(0, 1, (3, 26))
        self._slant = self._lean * float(self.rng.uniform(0.05, 0.3))
        self._wall = hsv(self.rng.random(), 0.25, 0.35)

    def backdrop(self, canvas: skia.Canvas) -> None:
        self.sky(canvas, self._sky)
        x = -0.02
        while x < self.aspect:
            wide, tall = self.rng.uniform(0.07, 0.15), self.rng.uniform(0.15, 0.38)
            colour = mixed(scaled(self._wall, self.rng.uniform(0.7, 1.2)), self._sky[1], 0.25)
            house = skia.Rect.MakeLTRB(x, self.horizon - tall, x + wide, self.horizon + 0.01)
            canvas.drawRect(house, gradient((x, 0), (x + wide, 0), [colour, scaled(colour, 0.75)]))
            for wx in np.arange(x + 0.014, x + wide - 0.02, 0.026):
                for wy in np.arange(self.horizon - tall + 0.02, self.horizon - 0.03, 0.04):
                    if self.rng.random() < 0.5:
                        lit = (1.0, 0.85, 0.5) if self.rng.random() < 0.5 else scaled(colour, 0.6)
                        canvas.drawRect(skia.Rect.MakeXYWH(wx, wy, 0.013, 0.02), fill(lit))
            x += wide
        self.ground(canvas, self._street, 0.4)

    def living(self, canvas: skia.Canvas, t: float) -> None:
        canvas.drawRect(
            self.area(0, self.horizon - 0.32), tiled(self._cloud, 1.1, self.horizon - 0.32, self._lean * 0.14 * t, 0.0)
        )
        self._streaks(canvas, t, slice(0, 80), 0.05, 0.0024, 1.5)
        for x, y, phase in self._splash.T.tolist():
            age = (phase + 2.2 * t) % 1.0
            px, py = x * self.aspect, self.horizon + 0.02 + y * (0.97 - self.horizon)
            radius = 0.004 + 0.02 * age
            oval = skia.Rect.MakeLTRB(px - radius, py - radius * 0.35, px + radius, py + radius * 0.35)
            canvas.drawOval(oval, stroke((0.9, 0.95, 1), 0.003, 0.8 * (1 - age)))

    def draw_before(self, canvas: skia.Canvas, t: float) -> None:
        self._streaks(canvas, t, slice(80, 125), 0.085, 0.0034, 2.1)

    def _streaks(self, canvas: skia.Canvas, t: float, part: slice, length: float, width: float, speed: float) -> None:
        x, y, depth = self._drops[:, part]
        y = (y + speed * (0.8 + 0.4 * depth) * t) % 1.0 * 1.2 - 0.1
        x = (x + 0.05 * y) % 1.0 * (self.aspect + 0.4) - 0.2 + self._slant * (y - 0.5)
        path = skia.Path()
        for px, py in zip(x.tolist(), y.tolist(), strict=True):
            path.moveTo(px, py)
            path.lineTo(px + self._slant * length, py + length)
        canvas.drawPath(path, stroke((0.85, 0.92, 1.0), width, 0.55))


class Snow(Scene):
    """Flakes of several depths drifting over a white wood."""

    name = "snow"

    def compose(self) -> None:
        hue = self.rng.uniform(0.55, 0.72)
        self._sky = [hsv(hue, 0.4, self.rng.uniform(0.4, 0.75)), hsv(hue, 0.15, 0.88)]
        self._tree = hsv(self.rng.uniform(0.38, 0.6), 0.35, self.rng.uniform(0.22, 0.4))
        self._flakes = self.rng.uniform(0, 1, (4, 170))
        self._fall = float(self.rng.uniform(0.16, 0.3))
        self._drift = self._lean * float(self.rng.uniform(0.02, 0.16))

    def backdrop(self, canvas: skia.Canvas) -> None:
        self.sky(canvas, self._sky)
        self.hills(canvas, mixed(self._tree, self._sky[1], 0.65), 0.2)
        self.pines(canvas, mixed(self._tree, self._sky[1], 0.3), 9, 0.22)
        self.pines(canvas, self._tree, 6, 0.34)
        self.ground(canvas, mixed((0.93, 0.95, 1.0), self._sky[0], 0.12), 0.06)

    def living(self, canvas: skia.Canvas, t: float) -> None:
        self._flurry(canvas, t, slice(0, 75), 0.0048, 0.75)
        self._flurry(canvas, t, slice(75, 125), 0.0075, 1.1)

    def draw_before(self, canvas: skia.Canvas, t: float) -> None:
        self._flurry(canvas, t, slice(125, 150), 0.0105, 1.6)

    def _flurry(self, canvas: skia.Canvas, t: float, part: slice, radius: float, pace: float) -> None:
        x, y, phase, size = self._flakes[:, part]
        y = (y + self._fall * pace * t) % 1.0 * 1.06 - 0.03
        x = (x + self._drift * pace * t + 0.035 * np.sin(2.4 * t + 6.3 * phase)) % 1.0 * (self.aspect + 0.06) - 0.03
        path = skia.Path()
        for px, py, s in zip(x.tolist(), y.tolist(), (radius * (0.6 + 0.8 * size)).tolist(), strict=True):
            path.addCircle(px, py, s)
        canvas.drawPath(path, fill((1, 1, 1), 0.92))
