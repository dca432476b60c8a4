"""The puppet of one photo: layers on meshes before a filled background."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.puppet.anatomy import BODY
from xdyna.puppet.draw import Sheet, draw_over
from xdyna.puppet.face import Face
from xdyna.puppet.layers import Layer, cut_layers
from xdyna.puppet.matte import person_matte
from xdyna.puppet.mesh import BoneMesh, triangulate
from xdyna.puppet.plate import PlateFiller
from xdyna.puppet.skeleton import Array
from xdyna.schema import Floats, Image, Mask, Pose

STAGES = ("Cutting out the person", "Filling the background", "Building the mesh")
MARGIN = 0.15  # by which a person that the picture cuts goes on beyond it, in longer sides
PADDING_PX = 2
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
        parts: The layers, from the back to the front, in pixels of the part of the canvas that holds the person.
        corner: The upper left corner of that part, x, y in pixels of the canvas.
        face: The face on the body's layer, None where the photo shows none.
    """

    def __init__(
        self, plate: Image, matte: Floats, parts: list[Part], corner: Array, face: Face | None = None
    ) -> None:
        self.plate, self.matte, self.parts, self.corner, self.face = plate, matte, parts, corner, face
        self._opaque_plate = cv2.cvtColor(plate, cv2.COLOR_RGB2RGBA).astype(np.uint8)

    def draw(
        self,
        skeleton: Array,
        expression: Array | None = None,
        strength: float = 1.0,
        plate: NDArray[np.uint8] | None = None,
    ) -> Image:
        """Draw the person in a pose, `(height, width, 3)` uint8 RGB.

        Args:
            skeleton: The points of the skeleton, `(25, 2)` in pixels of the canvas.
            expression: The offsets of the face's points, `(68, 2)`, from `expression_offsets`; None for the photo's.
            strength: A factor of these offsets.
            plate: Another background of the same size, `(height, width, 4)` uint8 RGBA, opaque.
        """
        if self.face is not None and expression is not None:
            (body,) = (part for part in self.parts if part.layer.name == BODY)
            body.sheet.set_texture(self.face.express(expression, strength))
        shapes = [part.mesh.bend(skeleton - self.corner) + self.corner for part in self.parts]
        return draw_over(self._opaque_plate if plate is None else plate, [part.sheet for part in self.parts], shapes)


def build_figure(
    photo: Image, pose: Pose, rest: Array, face: Callable[[], Floats], driver_eyes: float = np.nan
) -> Generator[str, None, Figure]:
    """Cut a person out of a photo and put it on meshes.

    Args:
        photo: The picture, `(height, width, 3)` uint8 RGB.
        pose: The person's pose in it, one frame.
        rest: The person's skeleton in it, `(25, 2)`, NaN where unknown.
        face: Finds the 68 points of the person's face in it, `(68, 2)`, NaN where there is none; asked while the
            background is being filled.
        driver_eyes: How far the driver's eyes are usually open, from `calm_eye_opening`.

    Yields:
        The stage that has ended, of `STAGES`.

    Returns:
        The puppet.

    Raises:
        InputError: The person cannot be cut out; the message says why and what to do.
    """
    matte = person_matte(photo, pose)
    filler = PlateFiller(photo, matte)
    yield STAGES[0]
    points = face().astype(np.float64)
    plate = filler.result()
    yield STAGES[1]
    corner, pictures = _around_person(photo, matte, plate)
    size = (photo.shape[0], photo.shape[1])
    layers = cut_layers(*pictures, rest - corner, _inside(size, corner, pictures[1].shape))
    spacing = SPACING * max(size)
    parts = [_part(layer, rest - corner, spacing) for layer in layers if layer.texture[..., 3].any()]
    yield STAGES[2]
    return Figure(plate, matte, parts, corner, _face(parts, points - corner, driver_eyes))


def _face(parts: list[Part], points: Array, driver_eyes: float) -> Face | None:
    if not np.isfinite(points).all():
        return None
    return next((Face(part.layer.texture, points, driver_eyes) for part in parts if part.layer.name == BODY), None)


def _part(layer: Layer, rest: Array, spacing: float) -> Part:
    vertices, triangles = triangulate(layer.texture[..., 3] > 0, spacing)
    mesh = BoneMesh(vertices, triangles, layer.bones, rest, layer.widths, layer.ends)
    return Part(layer=layer, mesh=mesh, sheet=Sheet(layer.texture, mesh.vertices, mesh.triangles))


def _inside(size: tuple[int, int], corner: Array, shape: tuple[int, ...]) -> Mask:
    """Return the pixels that the photo shows, `shape`, of the part of the canvas that begins at a corner."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    x, y = x + corner[0], y + corner[1]
    return (x >= 0) & (y >= 0) & (x < size[1]) & (y < size[0])


def _around_person(photo: Image, matte: Floats, plate: Image) -> tuple[Array, tuple[Image, Floats, Image]]:
    """Cut the pictures to the person, who goes on into a margin where the picture's edge cuts.

    Returns:
        The upper left corner, x, y in pixels of the canvas, and photo, matte and plate.
    """
    margin = round(MARGIN * max(matte.shape))
    wide = [cv2.copyMakeBorder(picture, *(margin,) * 4, cv2.BORDER_REPLICATE) for picture in (photo, matte, plate)]
    differs = (cv2.absdiff(wide[0], wide[2]).max(axis=-1) > 0) | (wide[1] > 0)
    left, top, width, height = cv2.boundingRect(differs.astype(np.uint8))
    left, top = max(0, left - PADDING_PX), max(0, top - PADDING_PX)
    rows, columns = slice(top, top + height + 2 * PADDING_PX), slice(left, left + width + 2 * PADDING_PX)
    person, opacity, behind = (picture[rows, columns] for picture in wide)
    corner = np.array([left - margin, top - margin], np.float64)
    return corner, (person.astype(np.uint8), opacity.astype(np.float32), behind.astype(np.uint8))
