"""The puppet of one photo: layers on meshes before a filled background."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import cv2
import numpy as np

from xdyna.puppet.anatomy import BODY
from xdyna.puppet.draw import Sheet, draw_over
from xdyna.puppet.face import Face
from xdyna.puppet.layers import Layer, cut_layers
from xdyna.puppet.matte import checked_matte, person_matte
from xdyna.puppet.mesh import BoneMesh, Rig, triangulate
from xdyna.puppet.plate import WORKING_HOLE_PX, PlateFiller
from xdyna.puppet.skeleton import Array, body_size
from xdyna.puppet.swing import Swing, freedom
from xdyna.schema import NUM_BODY_JOINTS, Floats, Image, Mask, Pose

STAGES = ("Cutting out the person", "Filling the background", "Building the mesh")
MARGIN = 0.15  # by which a person that the picture cuts goes on beyond it, in longer sides
PADDING_PX = 2
OPAQUE = 0.99
SPACING = 14 / 896  # edges of the mesh, in longer sides


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A layer on its mesh.

    Attributes:
        layer: The pixels and the bones that move them.
        mesh: The mesh.
        sheet: What is drawn.
        free: How freely each vertex swings, `(num_vertices,)` in 0..1.
    """

    layer: Layer
    mesh: BoneMesh
    sheet: Sheet
    free: Array


class Figure:
    """A person of a photo, ready to be drawn in any pose.

    Args:
        plate: The background without the person, `(height, width, 3)` uint8 RGB.
        matte: The person's opacity, `(height, width)` in 0..1.
        parts: The layers, from the back to the front, in pixels of the part of the canvas that holds the person.
        corner: The upper left corner of that part, x, y in pixels of the canvas.
        size: The body's size in pixels.
        face: The face on the body's layer, None where the photo shows none.
    """

    def __init__(
        self, plate: Image, matte: Floats, parts: list[Part], corner: Array, size: float, face: Face | None = None
    ) -> None:
        self.plate, self.matte, self.parts, self.corner, self.face = plate, matte, parts, corner, face
        self.size = size
        self._rig = Rig([part.mesh for part in parts])

    def swing(self, fps: float, wind: float = 0.0) -> Swing:
        """Return hair and loose cloth at rest, to be given to `draw` with each frame of one clip.

        Args:
            fps: The frames per second.
            wind: The strength of the wind, 0..1.
        """
        return Swing([part.free for part in self.parts], self.size, fps, wind)

    def draw(
        self,
        skeleton: Array,
        expression: Array | None = None,
        strength: float = 1.0,
        plate: Image | None = None,
        swing: Swing | None = None,
    ) -> Image:
        """Draw the person in a pose, `(height, width, 3)` uint8 RGB.

        Args:
            skeleton: The points of the skeleton, `(25, 2)` in pixels of the canvas.
            expression: The offsets of the face's points, `(68, 2)`, from `expression_offsets`; None for the photo's.
            strength: A factor of these offsets.
            plate: Another background for this frame, `(height, width, 3)` uint8 RGB; None for the photo's.
            swing: Hair and loose cloth as the frame before left them, from `swing`; None lets nothing swing.
        """
        if self.face is not None:
            (body,) = (part for part in self.parts if part.layer.name == BODY)
            own = body.layer.texture
            body.sheet.set_texture(own if expression is None else self.face.express(expression, strength))
        shapes = [shape + self.corner for shape in self._rig.bend(skeleton - self.corner)]
        if swing is not None:
            shapes = swing.follow(shapes)
        background = self.plate if plate is None else plate
        return draw_over(background, [part.sheet for part in self.parts], shapes)


def build_figure(
    photo: Image,
    pose: Pose,
    rest: Array,
    face: Callable[[], Floats],
    driver_eyes: float = np.nan,
    hole_px: int = WORKING_HOLE_PX,
    matte: Floats | None = None,
) -> Generator[str, None, Figure]:
    """Cut a person out of a photo and put it on meshes.

    Args:
        photo: The picture, `(height, width, 3)` uint8 RGB.
        pose: The person's pose in it, one frame.
        rest: The person's skeleton in it, `(25, 2)`, NaN where unknown.
        face: Finds the 68 points of the person's face in it, `(68, 2)`, NaN where there is none; asked while the
            background is being filled.
        driver_eyes: How far the driver's eyes are usually open, from `calm_eye_opening`.
        hole_px: How finely the background is filled, see `PlateFiller`.
        matte: The person's opacity, `(height, width)` in 0..1; None estimates it.

    Yields:
        The stage that has ended, of `STAGES`.

    Returns:
        The puppet.

    Raises:
        InputError: The person cannot be cut out; the message says why and what to do.
    """
    matte = person_matte(photo, pose) if matte is None else checked_matte(matte, pose)
    filler = PlateFiller(photo, matte, hole_px=hole_px)
    yield STAGES[0]
    points = face().astype(np.float64)
    plate = filler.result()
    yield STAGES[1]
    corner, pictures = _around_person(photo, matte, plate, rest)
    size = (photo.shape[0], photo.shape[1])
    layers = cut_layers(*pictures, rest - corner, _inside(size, corner, pictures[1].shape))
    spacing = SPACING * max(size)
    body = body_size(rest)
    parts = [_part(layer, rest - corner, spacing, body) for layer in layers if layer.texture[..., 3].any()]
    yield STAGES[2]
    return Figure(plate, matte, parts, corner, body, _face(parts, points - corner, driver_eyes))


def _face(parts: list[Part], points: Array, driver_eyes: float) -> Face | None:
    if not np.isfinite(points).all():
        return None
    return next((Face(part.layer.texture, points, driver_eyes) for part in parts if part.layer.name == BODY), None)


def _part(layer: Layer, rest: Array, spacing: float, size: float) -> Part:
    vertices, triangles = triangulate(layer.texture[..., 3] > 0, spacing)
    mesh = BoneMesh(vertices, triangles, layer.bones, rest, layer.widths, layer.ends)
    sheet, free = Sheet(layer.texture, mesh.vertices, mesh.triangles), freedom(mesh, layer, rest, size)
    return Part(layer=layer, mesh=mesh, sheet=sheet, free=free)


def _inside(size: tuple[int, int], corner: Array, shape: tuple[int, ...]) -> Mask:
    """Return the pixels that the photo shows, `shape`, of the part of the canvas that begins at a corner."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    x, y = x + corner[0], y + corner[1]
    return (x >= 0) & (y >= 0) & (x < size[1]) & (y < size[0])


def _around_person(
    photo: Image, matte: Floats, plate: Image, rest: Array
) -> tuple[Array, tuple[Image, Floats, Image]]:
    """Cut the pictures to the person, who goes on into a margin where the picture's edge cuts.

    Below the picture only what the skeleton has there goes on: feet that stand on its edge would become pillars.

    Returns:
        The upper left corner, x, y in pixels of the canvas, and photo, matte and plate.
    """
    margin = round(MARGIN * max(matte.shape))
    wide, mirrored = (
        [cv2.copyMakeBorder(picture, *(margin,) * 4, border) for picture in (photo, matte, plate)]
        for border in (cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101)
    )
    # Cloth that the edge cuts goes on as its own mirror image, and as stripes where that would show something else.
    wide[0] = np.where((np.minimum(wide[1], mirrored[1]) > OPAQUE)[..., None], mirrored[0], wide[0])
    if not np.nanmax(rest[:NUM_BODY_JOINTS, 1]) > photo.shape[0] - 1:
        wide[1][-margin:] = 0
        wide[0][-margin:] = wide[2][-margin:]
    differs = (cv2.absdiff(wide[0], wide[2]).max(axis=-1) > 0) | (wide[1] > 0)
    left, top, width, height = cv2.boundingRect(differs.astype(np.uint8))
    left, top = max(0, left - PADDING_PX), max(0, top - PADDING_PX)
    rows, columns = slice(top, top + height + 2 * PADDING_PX), slice(left, left + width + 2 * PADDING_PX)
    person, opacity, behind = (picture[rows, columns] for picture in wide)
    corner = np.array([left - margin, top - margin], np.float64)
    return corner, (person.astype(np.uint8), opacity.astype(np.float32), behind.astype(np.uint8))
