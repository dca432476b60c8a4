"""Lights in the dark: fireworks, a campfire, a city with traffic."""

import numpy as np
import skia

from xdyna.world.brush import RGB, curve, fill, glow, gradient, hsv, scaled, stroke, texture, tiled
from xdyna.world.scene import Scene


def _stars(scene: Scene, canvas: skia.Canvas, count: int) -> None:
    for x, y, size in scene.rng.uniform(0, 1, (count, 3)).tolist():
        canvas.drawCircle(
            x * scene.aspect, y * scene.horizon * 0.8, 0.0012 + 0.002 * size, fill((1, 1, 0.95), 0.4 + 0.6 * size)
        )


class Fireworks(Scene):
    """Shells bursting over a dark town."""

    name = "fireworks"
    windy = 0.35

    def compose(self) -> None:
        hue = self.rng.uniform(0.58, 0.8)
        self._sky = [hsv(hue, 0.7, 0.12), hsv(hue, 0.6, self.rng.uniform(0.25, 0.4))]
        self._ground = hsv(hue + 0.1, 0.35, self.rng.uniform(0.22, 0.35))
        self._skyline = scaled(self._sky[0], 0.7)
        count = 7
        self._period = float(self.rng.uniform(1.5, 2.1))
        self._start = (np.arange(count) / count + self.rng.uniform(0, 0.1, count)) * self._period
        self._hue = self.rng.uniform(0, 1, (count, 4))
        self._place = self.rng.uniform(0.06, 0.94, (count, 4, 2))
        self._reach = self.rng.uniform(0.12, 0.2, count)
        self._rays = 2 * np.pi * (np.arange(22) / 22) + self.rng.uniform(-0.08, 0.08, 22)
        self._pace = self.rng.uniform(0.75, 1.0, 22)

    def backdrop(self, canvas: skia.Canvas) -> None:
        self.sky(canvas, self._sky)
        _stars(self, canvas, 50)
        x = -0.02
        while x < self.aspect:
            wide, tall = self.rng.uniform(0.04, 0.1), self.rng.uniform(0.05, 0.2)
            canvas.drawRect(
                skia.Rect.MakeLTRB(x, self.horizon - tall, x + wide, self.horizon + 0.01), fill(self._skyline)
            )
            for wx in np.arange(x + 0.01, x + wide - 0.012, 0.018):
                for wy in np.arange(self.horizon - tall + 0.015, self.horizon - 0.015, 0.028):
                    if self.rng.random() < 0.35:
                        canvas.drawRect(skia.Rect.MakeXYWH(wx, wy, 0.008, 0.012), fill((1, 0.8, 0.45), 0.85))
            x += wide
        self.ground(canvas, self._ground)

    def living(self, canvas: skia.Canvas, t: float) -> None:
        for k, start in enumerate(self._start.tolist()):
            age, turn = ((t + start) / self._period) % 1.0, int((t + start) / self._period) % 4
            px, py = self._place[k, turn].tolist()
            self._burst(
                canvas, (px * self.aspect, 0.05 + 0.36 * py), float(self._reach[k]), age, float(self._hue[k, turn])
            )

    def _burst(self, canvas: skia.Canvas, centre: tuple[float, float], reach: float, age: float, hue: float) -> None:
        spread = reach * (1 - (1 - age) ** 2.5)
        fade = float(np.clip(1.7 * (1 - age), 0, 1))
        canvas.drawCircle(*centre, reach * 1.3, glow(hsv(hue, 0.5, 1), 0.5 * fade, centre, reach * 1.3))
        for ring, colour in ((1.0, hsv(hue, 0.65, 1)), (0.6, hsv(hue + 0.1, 0.35, 1))):
            trails, tips = skia.Path(), skia.Path()
            outer = spread * ring * self._pace
            x, y = centre[0] + np.cos(self._rays) * outer, centre[1] + np.sin(self._rays) * outer + 0.06 * age * age
            bx, by = (
                centre[0] + np.cos(self._rays) * outer * 0.66,
                centre[1] + np.sin(self._rays) * outer * 0.66 + 0.03 * age * age,
            )
            for ax, ay, cx, cy in zip(x.tolist(), y.tolist(), bx.tolist(), by.tolist(), strict=True):
                trails.moveTo(cx, cy)
                trails.lineTo(ax, ay)
                tips.addCircle(ax, ay, 0.0045)
            canvas.drawPath(trails, stroke(colour, 0.004, 0.75 * fade))
            canvas.drawPath(tips, fill(scaled(colour, 1.5), fade))


class Campfire(Scene):
    """A fire that licks and throws sparks, lighting a forest clearing."""

    name = "campfire"
    windy = 0.4

    def compose(self) -> None:
        hue = self.rng.uniform(0.55, 0.75)
        self._sky = [hsv(hue, 0.6, self.rng.uniform(0.1, 0.2)), hsv(hue, 0.5, self.rng.uniform(0.25, 0.38))]
        self._tree = hsv(self.rng.uniform(0.35, 0.6), 0.4, 0.14)
        self._ground = hsv(self.rng.uniform(0.05, 0.12), 0.45, self.rng.uniform(0.3, 0.42))
        flip = self.rng.random() < 0.5
        near, far = self.rng.uniform(0.07, 0.13), self.aspect - self.rng.uniform(0.07, 0.13)
        base = self.horizon + 0.03
        self._fires = [(float(far if flip else near), base, float(self.rng.uniform(0.26, 0.38)))]
        if self.rng.random() < 0.6:
            self._fires.append((float(near if flip else far), base - 0.01, float(self.rng.uniform(0.14, 0.24))))
        self._phase = self.rng.uniform(0, 6.3, (5, 3))
        self._sparks = self.rng.uniform(0, 1, (3, 40))

    def backdrop(self, canvas: skia.Canvas) -> None:
        self.sky(canvas, self._sky)
        _stars(self, canvas, 60)
        self.pines(canvas, scaled(self._tree, 1.12), 9, 0.3)
        self.pines(canvas, self._tree, 8, 0.45)
        self.ground(canvas, self._ground)

    def living(self, canvas: skia.Canvas, t: float) -> None:
        for k, (x, y, size) in enumerate(self._fires):
            flicker = 1 + 0.16 * np.sin(11 * t + k) + 0.12 * np.sin(17.3 * t + 2 * k)
            centre = (x, y - size * 0.3)
            canvas.drawCircle(*centre, 0.75, glow((1, 0.5, 0.15), 0.5 * float(flicker), centre, 0.75 * float(flicker)))
            for sign in (-1, 1):
                log = [(x - 0.32 * size, y + sign * 0.06 * size), (x + 0.32 * size, y - sign * 0.06 * size)]
                canvas.drawPath(curve(log, closed=False), stroke((0.22, 0.13, 0.08), 0.1 * size))
            for layer, colour in enumerate(
                ((0.93, 0.25, 0.06), (1.0, 0.55, 0.1), (1.0, 0.82, 0.25), (1.0, 0.97, 0.75))
            ):
                self._flame(canvas, t, k, layer, (x, y), size * (1 - 0.22 * layer), colour)
        for sx, sy, phase in self._sparks.T.tolist():
            age = (sy + 0.75 * t) % 1.0
            x, y, size = self._fires[0]
            px = x + (sx - 0.5) * size * (0.5 + age) + 0.03 * float(np.sin(6 * t + 6.3 * phase))
            canvas.drawCircle(px, y - size * 0.6 - 0.5 * age, 0.0038 * (1.3 - age), fill((1, 0.75, 0.3), 1 - age))

    def _flame(
        self, canvas: skia.Canvas, t: float, fire: int, layer: int, base: tuple[float, float], size: float, colour: RGB
    ) -> None:
        x, y = base
        tongues = []
        for j, (dx, tall) in enumerate(((-0.3, 0.45), (-0.16, 0.8), (0.0, 1.0), (0.17, 0.72), (0.31, 0.4))):
            a, b, c = (self._phase[j] + fire).tolist()
            lick = 1 + 0.22 * float(np.sin(9.5 * t + a + layer * 0.5)) + 0.12 * float(np.sin(15 * t + b))
            bend = 0.1 * float(np.sin(7 * t + c))
            tongues.append(((dx + bend) * size, -tall * lick * size))
        points = [(x - 0.36 * size, y)]
        for j, (dx, dy) in enumerate(tongues):
            points.append((x + dx, y + dy))
            if j < 4:
                points.append((x + (dx + tongues[j + 1][0]) / 2, y + min(dy, tongues[j + 1][1]) * 0.45))
        points += [(x + 0.36 * size, y), (x, y + 0.05 * size)]
        canvas.drawPath(curve(points), fill(colour, 0.9))


class City(Scene):
    """Towers with windows that switch, blinking signs and streams of headlights."""

    name = "city"
    windy = 0.35

    def compose(self) -> None:
        hue = self.rng.uniform(0.55, 0.9)
        self._sky = [hsv(hue, 0.65, 0.16), hsv(hue + 0.05, 0.5, self.rng.uniform(0.4, 0.6))]
        self._road = hsv(hue, 0.2, self.rng.uniform(0.2, 0.32))
        self._towers: list[tuple[float, float, float, RGB]] = []
        x = -0.03
        while x < self.aspect:
            wide, tall = float(self.rng.uniform(0.07, 0.14)), float(self.rng.uniform(0.22, 0.55))
            self._towers.append(
                (x, wide, tall, hsv(hue + self.rng.uniform(-0.1, 0.1), 0.4, self.rng.uniform(0.14, 0.24)))
            )
            x += wide
        self._windows = [
            (float(wx), float(wy))
            for x, wide, tall, _ in self._towers
            for wx in np.arange(x + 0.012, x + wide - 0.014, 0.022)
            for wy in np.arange(self.horizon - tall + 0.02, self.horizon - 0.05, 0.034)
        ]
        self._switch = self.rng.uniform(0, 1, (2, len(self._windows)))
        self._glow = hsv(self.rng.choice([0.1, 0.13, 0.5]), 0.5, 1.0)
        self._cars = self.rng.uniform(0, 1, (3, 12))
        self._signs = [
            (float(t[0] + t[1] / 2), float(self.horizon - t[2] * u), hsv(h, 0.8, 1.0))
            for t, u, h in zip(
                self._towers,
                self.rng.uniform(0.3, 0.8, len(self._towers)),
                self.rng.random(len(self._towers)),
                strict=True,
            )
        ]
        self._haze = texture(self.clouds(0.6) * 0.5, hsv(hue, 0.3, 0.6))

    def backdrop(self, canvas: skia.Canvas) -> None:
        self.sky(canvas, self._sky)
        _stars(self, canvas, 30)
        for x, wide, tall, colour in self._towers:
            tower = skia.Rect.MakeLTRB(x, self.horizon - tall, x + wide, self.horizon + 0.01)
            canvas.drawRect(tower, gradient((x, 0), (x + wide, 0), [scaled(colour, 1.12), scaled(colour, 0.7)]))
        self.ground(canvas, self._road, 0.35)

    def living(self, canvas: skia.Canvas, t: float) -> None:
        canvas.drawRect(
            self.area(0, self.horizon * 0.5), tiled(self._haze, 1.0, self.horizon * 0.5, self._lean * 0.08 * t, 0.0)
        )
        lit = skia.Path()
        pace, phase = self._switch
        on = np.sin(2 * np.pi * (0.25 + 0.5 * pace) * t + 6.3 * phase) > 0.15
        for (x, y), shines in zip(self._windows, on.tolist(), strict=True):
            if shines:
                lit.addRect(skia.Rect.MakeXYWH(x, y, 0.011, 0.018))
        canvas.drawPath(lit, fill(self._glow, 0.9))
        for k, (x, y, colour) in enumerate(self._signs[:4]):
            shine = 0.55 + 0.45 * float(np.sin(5.5 * t + 2 * k))
            canvas.drawCircle(x, y, 0.09, glow(colour, 0.8 * shine, (x, y), 0.09))
            canvas.drawRoundRect(
                skia.Rect.MakeXYWH(x - 0.022, y - 0.035, 0.044, 0.07), 0.01, 0.01, fill(colour, 0.35 + 0.65 * shine)
            )
        lane = self.horizon + 0.018
        for x, phase_, pace_ in self._cars.T.tolist():
            ahead = phase_ < 0.5
            speed = (0.35 + 0.3 * pace_) * (1 if ahead else -1)
            px = (x + speed * t) % 1.0 * (self.aspect + 0.4) - 0.2
            y = lane + (0.0 if ahead else 0.026)
            colour = (1.0, 0.95, 0.75) if ahead else (1.0, 0.25, 0.2)
            tail = px - (0.07 if ahead else -0.07)
            canvas.drawLine(tail, y, px, y, stroke(colour, 0.007, 0.45))
            canvas.drawCircle(px, y, 0.03, glow(colour, 0.9, (px, y), 0.03))
            canvas.drawCircle(px, y, 0.006, fill(scaled(colour, 1.4)))
