"""Draw textured meshes over a background."""

from collections.abc import Sequence

import cv2
import numpy as np
import skia
from numpy.typing import NDArray

from xdyna.puppet.skeleton import Array
from xdyna.schema import Image

SHARP = skia.SamplingOptions(skia.CubicResampler.CatmullRom())  # bilinear loses a fifth of the fine detail


class Sheet:
    """A mesh with its texture, ready to be drawn in any shape.

    Args:
        texture: The pixels, `(height, width, 4)` uint8 RGBA, premultiplied.
        vertices: The mesh at rest, `(num_vertices, 2)` x, y in pixels of the texture.
        triangles: Its triangles, `(num_triangles, 3)`.
    """

    def __init__(self, texture: NDArray[np.uint8], vertices: Array, triangles: NDArray[np.int32]) -> None:
        self._places = _points(vertices)
        self._triangles = triangles.ravel().tolist()
        self.set_texture(texture)

    def set_texture(self, texture: NDArray[np.uint8]) -> None:
        """Show other pixels from now on, of the same size."""
        image = skia.Image.fromarray(
            np.ascontiguousarray(texture), skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType, copy=True
        )
        shader = image.makeShader(skia.TileMode.kDecal, skia.TileMode.kDecal, SHARP)
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


def draw_over(plate: NDArray[np.uint8], sheets: Sequence[Sheet], shapes: Sequence[Array]) -> Image:
    """Draw sheets over a background, the first behind the others.

    Args:
        plate: The background, `(height, width, 4)` uint8 RGBA, opaque.
        sheets: The textured meshes.
        shapes: The places of their vertices, each `(num_vertices, 2)` in pixels.

    Returns:
        The picture, `(height, width, 3)` uint8 RGB.
    """
    pixels = plate.copy()
    surface = picture_surface(pixels, skia.kOpaque_AlphaType)
    with surface as canvas:
        for sheet, vertices in zip(sheets, shapes, strict=True):
            sheet.draw(canvas, vertices)
    surface.flushAndSubmit()
    return cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB).astype(np.uint8)


def _points(places: Array) -> list[skia.Point]:
    """Return skia's points: it counts from the pixels' corners, we from their centres."""
    return [skia.Point(x, y) for x, y in (places + 0.5).tolist()]
