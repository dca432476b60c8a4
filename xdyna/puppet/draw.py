"""Draw textured meshes over a background."""

from collections.abc import Sequence

import cv2
import numpy as np
import skia
from numpy.typing import NDArray

from xdyna.puppet.skeleton import Array
from xdyna.schema import Image

SHARP = skia.SamplingOptions(skia.CubicResampler.CatmullRom())  # bilinear loses a fifth of the fine detail
BORDER_PX = 1


class Sheet:
    """A mesh with its texture, ready to be drawn in any shape.

    Args:
        texture: The pixels, `(height, width, 4)` uint8 RGBA, premultiplied.
        vertices: The mesh at rest, `(num_vertices, 2)` x, y in pixels of the texture.
        triangles: Its triangles, `(num_triangles, 3)`.
    """

    def __init__(self, texture: NDArray[np.uint8], vertices: Array, triangles: NDArray[np.int32]) -> None:
        left, top, width, height = cv2.boundingRect(np.ascontiguousarray(texture[..., 3]))
        self._box = slice(top, top + height), slice(left, left + width)
        self._places = _points(vertices - (left, top) + BORDER_PX)
        self._triangles = triangles.ravel().tolist()
        self.set_texture(texture)

    def set_texture(self, texture: NDArray[np.uint8]) -> None:
        """Show other pixels from now on, of the same size and nowhere but where the first were."""
        # Past a clear border, repeating the edge (clamp) looks like ending there (decal), at a third of the cost.
        bordered = cv2.copyMakeBorder(texture[self._box], *(BORDER_PX,) * 4, cv2.BORDER_CONSTANT)
        image = skia.Image.fromarray(bordered, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType, copy=True)
        shader = image.makeShader(skia.TileMode.kClamp, skia.TileMode.kClamp, SHARP)
        self._paint = skia.Paint(Shader=shader, AntiAlias=False)

    def draw(self, canvas: skia.Canvas, vertices: Array, mode: skia.BlendMode = skia.BlendMode.kSrcOver) -> None:
        """Draw the texture with its vertices at other places, `(num_vertices, 2)` in pixels of the canvas."""
        self._paint.setBlendMode(mode)
        kind = skia.Vertices.kTriangles_VertexMode
        mesh = skia.Vertices(kind, _points(vertices), self._places, None, self._triangles)
        canvas.drawVertices(mesh, self._paint)


def picture_surface(pixels: NDArray[np.uint8], alpha: skia.AlphaType) -> skia.Surface:
    """Return a surface that draws into pixels, `(height, width, 4)` uint8 RGBA: keep them as long as it lives."""
    return skia.Surface(pixels, skia.kRGBA_8888_ColorType, alpha)


def draw_over(plate: Image, sheets: Sequence[Sheet], shapes: Sequence[Array]) -> Image:
    """Draw sheets over a background, the first behind the others.

    Args:
        plate: The background, `(height, width, 3)` uint8 RGB.
        sheets: The textured meshes.
        shapes: The places of their vertices, each `(num_vertices, 2)` in pixels.

    Returns:
        The picture, `(height, width, 3)` uint8 RGB.
    """
    pixels = cv2.cvtColor(plate, cv2.COLOR_RGB2RGBA).astype(np.uint8, copy=False)
    surface = picture_surface(pixels, skia.kOpaque_AlphaType)
    with surface as canvas:
        for sheet, vertices in zip(sheets, shapes, strict=True):
            sheet.draw(canvas, vertices)
    surface.flushAndSubmit()
    return cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB).astype(np.uint8, copy=False)


def _points(places: Array) -> list[skia.Point]:
    """Return skia's points: it counts from the pixels' corners, we from their centres."""
    return [skia.Point(x, y) for x, y in (places + 0.5).tolist()]
