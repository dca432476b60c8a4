"""The puppet of one photo: layers on meshes before a filled background."""

from collections.abc import Generator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.puppet.draw import Sheet, draw_over
from xdyna.puppet.layers import Layer, cut_layers
from xdyna.puppet.matte import person_matte
from xdyna.puppet.mesh import BoneMesh, triangulate
from xdyna.puppet.plate import PlateFiller, matte_hole
from xdyna.puppet.skeleton import Array
from xdyna.schema import Floats, Image, Pose

MARGIN = 0.15  # by which a person that the picture cuts goes on beyond it, in longer sides
SPACING = 14 / 896  # edges of the mesh, in longer sides


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A layer on its mesh."""

    layer: Layer
    mesh: BoneMesh
    sheet: Sheet


class Figure:
    """A person of a photo, ready to be drawn in any pose.

    Args:
        plate: The background without the person, `(height, width, 3)` uint8 RGB.
        matte: The person's opacity, `(height, width)` in 0..1.
        parts: The layers, from the back to the front, in pixels of the canvas with its margin.
        margin: The margin in pixels.
    """

    def __init__(self, plate: Image, matte: Floats, parts: list[Part], margin: int) -> None:
        self.plate, self.matte, self.parts, self.margin = plate, matte, parts, margin

    def draw(self, skeleton: Array) -> Image:
        """Draw the person in a pose, `(height, width, 3)` uint8 RGB.

        Args:
            skeleton: The points of the skeleton, `(25, 2)` in pixels of the canvas.
        """
        shapes = [part.mesh.bend(skeleton + self.margin) - self.margin for part in self.parts]
        return draw_over(self.plate, [part.sheet for part in self.parts], shapes)


def build_figure(photo: Image, pose: Pose, rest: Array) -> Generator[str, None, Figure]:
    """Cut a person out of a photo and put it on meshes.

    Args:
        photo: The picture, `(height, width, 3)` uint8 RGB.
        pose: The person's pose in it, one frame.
        rest: The person's skeleton in it, `(25, 2)`, NaN where unknown.

    Yields:
        The stage that has ended, of `STAGES`.

    Returns:
        The puppet.

    Raises:
        InputError: The person cannot be cut out; the message says why and what to do.
    """
    matte = person_matte(photo, pose)
    filler = PlateFiller(photo, matte_hole(matte))
    yield STAGES[0]
    plate = filler.result()
    yield STAGES[1]
    margin = round(MARGIN * max(photo.shape))
    layers = cut_layers(*_widened(photo, matte, plate, margin), rest + margin)
    parts = [_part(layer, rest + margin, SPACING * max(photo.shape)) for layer in layers if layer.texture[..., 3].any()]
    yield STAGES[2]
    return Figure(plate, matte, parts, margin)


STAGES = ("Cutting out the person", "Filling the background", "Building the mesh")


def _part(layer: Layer, rest: Array, spacing: float) -> Part:
    vertices, triangles = triangulate(layer.texture[..., 3] > 0, spacing)
    mesh = BoneMesh(vertices, triangles, layer.bones, rest, layer.widths, layer.ends)
    return Part(layer=layer, mesh=mesh, sheet=Sheet(layer.texture, vertices, triangles))


def _widened(photo: Image, matte: Floats, plate: Image, margin: int) -> tuple[Image, NDArray[np.float32], Image]:
    """Return the pictures with a margin into which a person that the edge cuts goes on."""
    around = (margin,) * 4
    wide = [cv2.copyMakeBorder(picture, *around, cv2.BORDER_REPLICATE) for picture in (photo, matte, plate)]
    return wide[0].astype(np.uint8), wide[1].astype(np.float32), wide[2].astype(np.uint8)
