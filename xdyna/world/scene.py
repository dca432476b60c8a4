"""What every background shares: layout, palette helpers, a backdrop drawn once, and the wind."""

from typing import ClassVar

import numpy as np
import skia
from numpy.typing import NDArray

from xdyna.world.brush import RGB, curve, fill, gradient, hsv, scaled, texture, tileable_noise, tiled

Array = NDArray[np.float64]


class Scene:
    """A background over which a person stands. Lengths in frame heights; x runs from 0 to `aspect`.

    Subclasses draw what does not move in `backdrop` and the rest, from the time in seconds, in `living`
    (behind the person) and `draw_before` (in front).
    """

    name: ClassVar[str]
    windy: ClassVar[float] = 0.5

    def __init__(self, rng: np.random.Generator, aspect: float) -> None:
        self.rng, self.aspect = rng, aspect
        self.horizon = float(rng.uniform(0.66, 0.80))
        self._gust = rng.uniform(0, 2 * np.pi, 3)
        self._lean = float(rng.choice([-1.0, 1.0]))
        self._backdrop: skia.Image | None = None
        self.compose()

    def compose(self) -> None:
        """Samples layout and colours."""

    def backdrop(self, canvas: skia.Canvas) -> None:
        """Draws the part that stands still."""
        raise NotImplementedError

    def living(self, canvas: skia.Canvas, t: float) -> None:
        """Draws the moving part behind the person."""
        raise NotImplementedError

    def draw_before(self, canvas: skia.Canvas, t: float) -> None:
        """Draws what moves in front of the person."""

    def wind(self, times: Array) -> Array:
        """Strength and direction of the wind, about -1..1, `(n,)`."""
        a, b, c = self._gust
        gusts = 0.45 * np.sin(2.1 * times + a) + 0.35 * np.sin(5.3 * times + b) + 0.2 * np.sin(9.7 * times + c)
        return self.windy * (self._lean * 0.5 + gusts)

    def prepare(self, height: int, width: int) -> None:
        """Draws the backdrop once, at the size of the frames."""
        surface = skia.Surface(width, height)
        canvas = surface.getCanvas()
        canvas.scale(height, height)
        self.backdrop(canvas)
        self._backdrop = surface.makeImageSnapshot()

    def draw_behind(self, canvas: skia.Canvas, t: float) -> None:
        """Draws everything behind the person at time t."""
        canvas.save()
        canvas.resetMatrix()
        canvas.drawImage(self._backdrop, 0, 0)
        canvas.restore()
        self.living(canvas, t)

    def sky(self, canvas: skia.Canvas, colours: list[RGB], bottom: float | None = None) -> None:
        """A vertical gradient from the top to `bottom` (default: the horizon)."""
        end = self.horizon if bottom is None else bottom
        canvas.drawRect(self.area(0, end + 0.01), gradient((0, 0), (0, end), colours))

    def area(self, top: float, bottom: float) -> skia.Rect:
        """A band across the frame."""
        return skia.Rect.MakeLTRB(0, top, self.aspect, bottom)

    def ground(self, canvas: skia.Canvas, colour: RGB, grain: float = 0.25, top: float | None = None) -> None:
        """The floor from `top` (default: the horizon) down, with some grain."""
        top = self.horizon if top is None else top
        canvas.drawRect(self.area(top, 1), gradient((0, top), (0, 1), [scaled(colour, 0.8), scaled(colour, 1.12)]))
        noise = texture(tileable_noise(self.rng, (64, 64), 1.0) * grain, scaled(colour, 0.5))
        canvas.drawRect(self.area(top, 1), tiled(noise, 0.5, 0.16, 0, top))

    def hills(self, canvas: skia.Canvas, colour: RGB, height: float, roughness: float = 0.5) -> None:
        """A range of hills that ends at the horizon."""
        x = np.linspace(-0.05, self.aspect + 0.05, 9)
        y = self.horizon - height * (0.4 + roughness * self.rng.uniform(0, 1.2, 9))
        outline = [(-0.1, self.horizon + 0.01), *zip(x, y, strict=True), (self.aspect + 0.1, self.horizon + 0.01)]
        paint = gradient((0, self.horizon - height), (0, self.horizon), [colour, scaled(colour, 0.75)])
        canvas.drawPath(curve(outline), paint)

    def pines(self, canvas: skia.Canvas, colour: RGB, count: int, height: float) -> None:
        """A row of dark conifers on the horizon."""
        for x in np.sort(self.rng.uniform(-0.02, self.aspect + 0.02, count)):
            tall = height * self.rng.uniform(0.6, 1.1)
            for k in range(4):
                y, half = self.horizon + 0.01 - tall * k * 0.22, tall * 0.24 * (1 - k * 0.2)
                tree = skia.Path()
                tree.addPoly([skia.Point(x - half, y), skia.Point(x + half, y), skia.Point(x, y - tall * 0.42)], True)
                canvas.drawPath(tree, fill(scaled(colour, 0.85 + 0.1 * k)))

    def clouds(self, cover: float = 0.5) -> Array:
        """`(128, 128)` opacity of a seamless cloud layer that thins out at its upper and lower edge."""
        row = np.linspace(0, 1, 128)[:, None]
        fade = np.clip(np.minimum(8 * row, 4 * (1 - row)), 0, 1)
        return np.clip((tileable_noise(self.rng, (128, 128), 1.75) - 1 + cover) / 0.32, 0, 1) * fade


def sky_blue(rng: np.random.Generator) -> list[RGB]:
    """A day sky, from zenith to horizon."""
    hue = rng.uniform(0.54, 0.62)
    return [hsv(hue, rng.uniform(0.55, 0.8), rng.uniform(0.7, 0.92)), hsv(hue - 0.03, 0.32, 0.96), (0.96, 0.96, 0.93)]
