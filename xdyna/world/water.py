"""Moving water: a waterfall, the sea, a river."""

import numpy as np
import skia

from xdyna.world.brush import curve, fill, glow, gradient, hsv, mixed, scaled, stroke, texture, tileable_noise, tiled
from xdyna.world.scene import Scene, sky_blue


class Waterfall(Scene):
    """White water falling between mossy cliffs into a pool with mist."""

    name = "waterfall"

    def compose(self) -> None:
        self.horizon = float(self.rng.uniform(0.74, 0.82))
        self._left = float(self.rng.uniform(0.02, 0.3))
        self._right = self._left + float(self.rng.uniform(0.2, 0.34))
        self._water = hsv(self.rng.uniform(0.5, 0.6), self.rng.uniform(0.25, 0.5), 0.78)
        self._rock = hsv(self.rng.uniform(0.05, 0.35), self.rng.uniform(0.1, 0.35), self.rng.uniform(0.3, 0.5))
        self._fall = texture(np.clip(tileable_noise(self.rng, (96, 96), 1.2) * 2.2 - 0.8, 0, 1), (1.0, 1.0, 1.0))
        self._shade = texture(
            np.clip(tileable_noise(self.rng, (96, 96), 1.2) * 2 - 0.9, 0, 1), scaled(self._water, 0.6)
        )
        self._foam = texture(np.clip(tileable_noise(self.rng, (64, 64), 1.3) * 2 - 0.9, 0, 1), (1.0, 1.0, 1.0))
        self._puffs = self.rng.uniform(0, 1, (9, 3))
        self._speed = float(self.rng.uniform(0.55, 0.85))
        self._boulders = [
            (
                x + float(self.rng.uniform(-0.035, 0.01)) * side,
                float(y + self.rng.uniform(-0.02, 0.02)),
                float(self.rng.uniform(0.014, 0.042)),
            )
            for x, side in ((self._left, 1), (self._right, -1))
            for y in np.arange(0.07, self.horizon + 0.02, 0.04)
        ]
        self._bank = float(self.rng.uniform(0.84, 0.87))

    def backdrop(self, canvas: skia.Canvas) -> None:
        self.sky(canvas, sky_blue(self.rng))
        face = self.area(0.0, self.horizon)
        x = np.linspace(-0.05, self.aspect + 0.05, 10)
        brow = 0.045 + 0.05 * self.rng.uniform(-1, 1, 10)
        brow[(x > self._left - 0.06) & (x < self._right + 0.06)] = 0.06
        cliff = curve(
            [(-0.2, 1), (-0.2, brow[0]), *zip(x, brow, strict=True), (self.aspect + 0.2, 0.05), (self.aspect + 0.2, 1)]
        )
        canvas.save()
        canvas.clipPath(cliff, True)
        canvas.drawRect(
            face, gradient((0, 0), (self.aspect, 0.3), [scaled(self._rock, 1.15), scaled(self._rock, 0.7)])
        )
        crags = texture(
            np.clip(tileable_noise(self.rng, (128, 128), 1.3) * 1.6 - 0.5, 0, 1) * 0.8, scaled(self._rock, 0.4)
        )
        canvas.drawRect(face, tiled(crags, 0.35, 0.7, 0.1, 0.0))
        moss = texture(np.clip(tileable_noise(self.rng, (128, 128), 1.6) * 3 - 1.7, 0, 1) * 0.9, hsv(0.28, 0.6, 0.42))
        canvas.drawRect(face, tiled(moss, 0.6, 0.5, 0.0, 0.0))
        canvas.restore()
        canvas.drawRect(self._fall_area(), fill(self._water))
        pool = scaled(self._water, 0.72)
        canvas.drawRect(self.area(self.horizon, 1), gradient((0, self.horizon), (0, 1), [pool, scaled(pool, 0.75)]))
        self.ground(canvas, scaled(self._rock, 1.3), 0.4, self._bank)

    def _fall_area(self) -> skia.Rect:
        return skia.Rect.MakeLTRB(self._left, 0.06, self._right, self.horizon + 0.02)

    def living(self, canvas: skia.Canvas, t: float) -> None:
        area = self._fall_area()
        canvas.drawRect(area, tiled(self._shade, 0.22, 1.6, self._left, self._speed * t))
        canvas.drawRect(area, tiled(self._fall, 0.17, 1.1, self._left + 0.05, self._speed * 1.25 * t))
        canvas.drawRect(area, tiled(self._fall, 0.11, 0.7, self._left, self._speed * 1.6 * t, 0.6))
        for k, (x, y, r) in enumerate(self._boulders):
            stone = scaled(self._rock, 0.62 + 0.12 * (k % 3))
            tones = [scaled(stone, 1.15), stone, scaled(stone, 0.55)]
            rock = skia.Rect.MakeLTRB(x - r * 0.8, y - r, x + r * 0.8, y + r * 1.1)
            canvas.drawOval(rock, gradient((x - r, y - r), (x + r * 0.6, y + r), tones))
        pool = self.area(self.horizon, self._bank)
        canvas.drawRect(pool, tiled(self._foam, 0.6, 0.14, 0.06 * t, self.horizon + 0.05 * t, 0.5))
        canvas.drawRect(pool, tiled(self._foam, 0.45, 0.1, -0.05 * t, self.horizon + 0.08 * t, 0.4))
        for x, phase, size in self._puffs.tolist():
            age = (phase + 0.7 * t) % 1.0
            centre = (self._left + x * (self._right - self._left), self.horizon + 0.01 - 0.1 * age)
            radius = 0.05 + 0.06 * size + 0.05 * age
            canvas.drawCircle(*centre, radius, glow((1, 1, 1), 0.75 * (1 - age), centre, radius))


class Sea(Scene):
    """Rows of waves rolling in, and foam that washes up the beach."""

    name = "sea"

    def compose(self) -> None:
        self._top = float(self.rng.uniform(0.38, 0.52))
        self.horizon = float(self.rng.uniform(0.8, 0.86))
        hue = self.rng.uniform(0.47, 0.6)
        self._deep, self._shallow = hsv(hue + 0.03, 0.75, 0.5), hsv(hue - 0.03, 0.5, 0.85)
        self._sky = sky_blue(self.rng)
        self._cloud = texture(self.clouds(0.45) * 0.9, (1.0, 1.0, 1.0))
        self._sand = hsv(self.rng.uniform(0.08, 0.13), self.rng.uniform(0.25, 0.45), self.rng.uniform(0.75, 0.92))
        self._glint = texture(np.clip(tileable_noise(self.rng, (96, 96), 1.0) * 3 - 1.9, 0, 1), (1.0, 1.0, 1.0))
        self._phase = self.rng.uniform(0, 6.3, 12)

    def backdrop(self, canvas: skia.Canvas) -> None:
        self.sky(canvas, self._sky, self._top)
        water = [scaled(self._deep, 1.1), self._deep, self._shallow]
        canvas.drawRect(self.area(self._top, self.horizon + 0.05), gradient((0, self._top), (0, self.horizon), water))

    def living(self, canvas: skia.Canvas, t: float) -> None:
        canvas.drawRect(self.area(0, self._top), tiled(self._cloud, 1.1, self._top, self._lean * 0.07 * t, 0.0, 0.85))
        depth = self.horizon - self._top
        x = np.linspace(-0.02, self.aspect + 0.02, 25)
        for k in range(10):
            near = (k / 10 + 0.16 * t) % 1.0
            y0 = self._top + depth * near**1.5
            swell = 0.004 + 0.014 * near
            y = (
                y0
                + swell * np.sin((22 - 12 * near) * x + self._phase[k] + 2.5 * t)
                + swell * 0.5 * np.sin(37 * x - 3 * t)
            )
            crest = skia.Path()
            crest.addPoly([skia.Point(*p) for p in zip(x.tolist(), y.tolist(), strict=True)], False)
            fade = min(1.0, 6 * near) * min(1.0, 6 * (1 - near))
            below = skia.Path(crest)
            below.offset(0, swell * 1.6)
            canvas.drawPath(below, stroke(scaled(self._deep, 0.75), swell * 2.2, 0.45 * fade))
            canvas.drawPath(crest, stroke((0.95, 1, 1), 0.002 + swell * 0.75, 0.85 * fade))
        canvas.drawRect(
            self.area(self._top, self.horizon), tiled(self._glint, 0.4, 0.12, 0.09 * t, self._top + 0.05 * t, 0.55)
        )
        wash = self.horizon - 0.012 + 0.022 * np.sin(2.6 * t + self._phase[10])
        edge = wash + 0.012 * np.sin(14 * x + 1.5 * t) + 0.006 * np.sin(31 * x - 2 * t)
        sand = skia.Path()
        line = [skia.Point(*p) for p in zip(x.tolist(), edge.tolist(), strict=True)]
        sand.addPoly([*line, skia.Point(self.aspect + 0.1, 1.1), skia.Point(-0.1, 1.1)], True)
        canvas.drawPath(
            sand, gradient((0, self.horizon), (0, 1), [scaled(self._sand, 0.75), self._sand, scaled(self._sand, 1.1)])
        )
        foam = skia.Path()
        foam.addPoly(line, False)
        canvas.drawPath(foam, stroke((1, 1, 1), 0.014, 0.9))


class River(Scene):
    """A river running across a valley, with the current's streaks and far trees."""

    name = "river"

    def compose(self) -> None:
        self.horizon = float(self.rng.uniform(0.46, 0.56))
        self._bank = float(self.rng.uniform(0.8, 0.86))
        self._sky = sky_blue(self.rng)
        hue = self.rng.uniform(0.47, 0.62)
        self._water = hsv(hue, self.rng.uniform(0.35, 0.65), self.rng.uniform(0.5, 0.75))
        self._streak = texture(
            np.clip(tileable_noise(self.rng, (96, 96), 1.1) * 2.4 - 1.1, 0, 1), scaled(self._water, 1.65)
        )
        self._shade = texture(
            np.clip(tileable_noise(self.rng, (96, 96), 1.3) * 2 - 0.9, 0, 1), scaled(self._water, 0.55)
        )
        self._cloud = texture(self.clouds(0.42) * 0.85, (1.0, 1.0, 1.0))
        self._speed = self._lean * float(self.rng.uniform(0.22, 0.4))
        self._green = hsv(self.rng.uniform(0.2, 0.38), self.rng.uniform(0.35, 0.6), self.rng.uniform(0.4, 0.6))
        self._reeds = np.column_stack([self.rng.uniform(0, self.aspect, 30), self.rng.uniform(0.05, 0.12, 30)])

    def backdrop(self, canvas: skia.Canvas) -> None:
        self.sky(canvas, self._sky)
        self.hills(canvas, mixed(self._green, (0.6, 0.7, 0.85), 0.45), 0.16)
        self.pines(canvas, scaled(self._green, 0.6), 14, 0.1)
        canvas.drawRect(
            self.area(self.horizon, 1), gradient((0, self.horizon), (0, 1), [scaled(self._water, 1.25), self._water])
        )
        canvas.drawRect(self.area(self.horizon, self.horizon + 0.02), fill(scaled(self._green, 0.8)))
        self.ground(canvas, mixed(self._green, (0.7, 0.6, 0.45), 0.5), top=self._bank)

    def living(self, canvas: skia.Canvas, t: float) -> None:
        canvas.drawRect(
            self.area(0, self.horizon - 0.13),
            tiled(self._cloud, 1.1, self.horizon - 0.13, self._speed * 0.25 * t, 0.0, 0.85),
        )
        middle = (self.horizon + self._bank) / 2
        for top, bottom, size, pace in (
            (self.horizon + 0.02, middle - 0.05, 0.05, 0.7),
            (middle - 0.05, middle + 0.06, 0.09, 1.0),
            (middle + 0.06, self._bank, 0.14, 1.4),
        ):
            band = self.area(top, bottom)
            bob = 0.008 * float(np.sin(3 * t + top * 20))
            canvas.drawRect(band, tiled(self._shade, 0.8, size * 1.3, self._speed * pace * t, top + bob, 0.8))
            canvas.drawRect(band, tiled(self._streak, 0.7, size, self._speed * pace * 1.35 * t, top - bob, 0.85))
        reeds = skia.Path()
        for x, tall in self._reeds.tolist():
            bend = self._lean * (0.4 + 0.5 * float(np.sin(4 * t + 9 * x)))
            reeds.moveTo(x, self._bank + 0.015)
            reeds.quadTo(x, self._bank - tall * 0.5, x + bend * tall * 0.6, self._bank - tall)
        canvas.drawPath(reeds, stroke(scaled(self._green, 0.85), 0.007))
