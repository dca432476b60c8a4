"""Small drawing helpers over skia: colours, smooth paths, shaded limbs, tileable noise.

Everything is drawn in units of the frame's height, so a picture does not depend on its resolution.
"""

import colorsys
import math
from collections.abc import Sequence

import numpy as np
import skia
from numpy.typing import NDArray

RGB = tuple[float, float, float]
XY = tuple[float, float]
Point = Sequence[float] | NDArray[np.floating]

LINEAR = skia.SamplingOptions(skia.FilterMode.kLinear)
CUBIC = skia.SamplingOptions(skia.CubicResampler.Mitchell())
_CAP = [(math.cos(a), math.sin(a)) for a in np.linspace(-math.pi / 2, math.pi / 2, 11)]


def hsv(hue: float, saturation: float, value: float) -> RGB:
    """RGB in 0..1 of a hue (any real, period 1), saturation and value in 0..1."""
    return colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))


def scaled(colour: RGB, factor: float) -> RGB:
    """The colour made darker (factor < 1) or lighter (factor > 1, towards white)."""
    if factor <= 1:
        r, g, b = (c * factor for c in colour)
    else:
        r, g, b = (c + (1 - c) * min(factor - 1, 1.0) for c in colour)
    return r, g, b


def mixed(first: RGB, second: RGB, weight: float) -> RGB:
    """`first` at weight 0, `second` at weight 1."""
    r, g, b = (a + (c - a) * weight for a, c in zip(first, second, strict=True))
    return r, g, b


def argb(colour: RGB, alpha: float = 1.0) -> int:
    """Skia's packed colour."""
    r, g, b = (int(255 * min(max(c, 0.0), 1.0) + 0.5) for c in colour)
    return (int(255 * min(max(alpha, 0.0), 1.0) + 0.5) << 24) | (r << 16) | (g << 8) | b


def fill(colour: RGB, alpha: float = 1.0) -> skia.Paint:
    """An antialiased fill."""
    return skia.Paint(AntiAlias=True, Color=argb(colour, alpha))


def stroke(colour: RGB, width: float, alpha: float = 1.0) -> skia.Paint:
    """An antialiased stroke with round ends."""
    return skia.Paint(
        AntiAlias=True,
        Color=argb(colour, alpha),
        Style=skia.Paint.kStroke_Style,
        StrokeWidth=width,
        StrokeCap=skia.Paint.kRound_Cap,
        StrokeJoin=skia.Paint.kRound_Join,
    )


def glow(colour: RGB, alpha: float, centre: XY, radius: float) -> skia.Paint:
    """A radial gradient that fades to nothing at `radius`."""
    stops = [argb(colour, alpha), argb(colour, alpha * 0.35), argb(colour, 0)]
    shader = skia.GradientShader.MakeRadial(skia.Point(*centre), radius, stops, [0.0, 0.45, 1.0])
    return skia.Paint(AntiAlias=True, Shader=shader)


def gradient(start: XY, end: XY, colours: Sequence[RGB], stops: Sequence[float] | None = None) -> skia.Paint:
    """A linear gradient from start to end."""
    where = list(stops) if stops is not None else np.linspace(0, 1, len(colours)).tolist()
    shader = skia.GradientShader.MakeLinear([skia.Point(*start), skia.Point(*end)], [argb(c) for c in colours], where)
    return skia.Paint(AntiAlias=True, Shader=shader)


def polygon(points: Sequence[XY] | NDArray[np.floating], *, closed: bool = True) -> skia.Path:
    """Straight lines through the points."""
    path = skia.Path()
    path.addPoly([skia.Point(float(x), float(y)) for x, y in points], closed)
    return path


def curve(points: Sequence[XY] | NDArray[np.floating], *, closed: bool = True) -> skia.Path:
    """A smooth (Catmull-Rom) curve through the points."""
    p = [(float(x), float(y)) for x, y in points]
    n = len(p)
    path = skia.Path()
    path.moveTo(*p[0])
    for i in range(n if closed else n - 1):
        b, c = p[i], p[(i + 1) % n]
        a = p[i - 1] if closed or i > 0 else b
        d = p[(i + 2) % n] if closed or i + 2 < n else c
        path.cubicTo(
            b[0] + (c[0] - a[0]) / 6,
            b[1] + (c[1] - a[1]) / 6,
            c[0] - (d[0] - b[0]) / 6,
            c[1] - (d[1] - b[1]) / 6,
            c[0],
            c[1],
        )
    if closed:
        path.close()
    return path


def round_shade(centre: XY, direction: XY, radius: float, colour: RGB) -> skia.Paint:
    """Shading across a roughly cylindrical part: light from the upper left, darker far edge."""
    nx, ny = -direction[1], direction[0]
    if nx * 0.8 + ny * 0.6 < 0:
        nx, ny = -nx, -ny
    start = (centre[0] - nx * radius, centre[1] - ny * radius)
    end = (centre[0] + nx * radius, centre[1] + ny * radius)
    tones = [scaled(colour, 0.93), scaled(colour, 1.1), colour, scaled(colour, 0.68)]
    return gradient(start, end, tones, [0.0, 0.3, 0.6, 1.0])


def limb(
    canvas: skia.Canvas, a: Point, b: Point, radius_a: float, radius_b: float, colour: RGB, bulge: float = 0.0
) -> None:
    """Draws a shaded, tapering, round-ended limb from a to b; `bulge` widens it at a third of its length."""
    ax, ay, bx, by = float(a[0]), float(a[1]), float(b[0]), float(b[1])
    dx, dy = bx - ax, by - ay
    length = math.hypot(dx, dy)
    ux, uy = (dx / length, dy / length) if length > 1e-6 else (0.0, 1.0)
    points = [(bx + (ux * c - uy * s) * radius_b, by + (uy * c + ux * s) * radius_b) for c, s in _CAP]
    mx, my = ax + dx * 0.35, ay + dy * 0.35
    rm = radius_a + (radius_b - radius_a) * 0.35 + bulge
    points.append((mx - uy * rm, my + ux * rm))
    points += [(ax - (ux * c - uy * s) * radius_a, ay - (uy * c + ux * s) * radius_a) for c, s in _CAP]
    points.append((mx + uy * rm, my - ux * rm))
    canvas.drawPath(
        curve(points) if bulge else polygon(points), round_shade((mx, my), (ux, uy), max(radius_a, radius_b), colour)
    )


def tileable_noise(
    rng: np.random.Generator, size: tuple[int, int] = (128, 128), power: float = 1.6
) -> NDArray[np.float32]:
    """`(rows, columns)` float32 noise in 0..1 that repeats without a seam; larger power is smoother."""
    rows, columns = size
    fy, fx = np.fft.fftfreq(rows)[:, None] * rows, np.fft.rfftfreq(columns)[None] * columns
    amplitude = 1 / np.maximum(np.hypot(fy, fx), 1.0) ** power
    amplitude[0, 0] = 0
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(size)) * amplitude, size)
    low, high = np.percentile(noise, [1, 99])
    return np.clip((noise - low) / (high - low), 0, 1).astype(np.float32)


def texture(alpha: NDArray[np.floating], colour: RGB | NDArray[np.floating]) -> skia.Image:
    """An image of one colour (or of `(rows, columns, 3)` colours in 0..1) with the given opacity in 0..1."""
    pixels = np.empty((*alpha.shape, 4), np.uint8)
    pixels[..., :3] = np.asarray(np.clip(colour, 0, 1)) * 255
    pixels[..., 3] = np.clip(alpha, 0, 1) * 255
    return skia.Image.fromarray(pixels, skia.kRGBA_8888_ColorType, skia.kUnpremul_AlphaType, copy=True)


def tiled(image: skia.Image, width: float, height: float, x: float, y: float, alpha: float = 1.0) -> skia.Paint:
    """A paint that repeats the image in tiles of `width x height` starting at `(x, y)`."""
    matrix = skia.Matrix()
    matrix.setScale(width / image.width(), height / image.height())
    matrix.postTranslate(x, y)
    shader = image.makeShader(skia.TileMode.kRepeat, skia.TileMode.kRepeat, LINEAR, matrix)
    return skia.Paint(Shader=shader, Alphaf=alpha)
