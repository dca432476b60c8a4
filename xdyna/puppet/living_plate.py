"""A background that moves along arrows and loops: each frame samples the still one, never another frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.flows import Flow, Kind
from xdyna.puppet.region import grow_region
from xdyna.puppet.skeleton import Array
from xdyna.schema import Floats, Image, Mask

Box = tuple[slice, slice]
View = tuple[float, float, float, float]

MIN_BEAT_S, BEAT_S, MAX_BEAT_S = 0.5, 1.0, 2.0  # after which the picture of what runs repeats, at best the middle one
BEAT_WEIGHT = 0.15  # of a beat twice as long or short, against two phases that do not fit each other at all
SWING_S = 1.6  # about what grass takes to and fro
WAVELENGTH = 0.25  # of the wind in the grass, in longer sides
SWAY_MARGIN = 0.02  # over which what sways drags its surroundings along, in longer sides
ARROW_REACH = 0.05  # within which one of several arrows decides alone, in longer sides
VISIBLE = 2 / 255  # opacity up to which nothing is drawn
SAME_AREA = 0.5  # of the smaller of two areas: arrows that share more move one area together
DELAY, DELAY_CELLS, DELAY_SEED = 0.3, 5, 0  # places repeat up to this share of a beat later; cells of that noise
MAX_KEPT_BYTES = 32 * 10**6  # of pictures of an area that come again
FIELD_CELL_PX = 4  # in which fields are kept: they are smooth
DETAIL = 1 / 64  # size of what counts as detail, in longer sides


@dataclass(frozen=True, kw_only=True, eq=False)
class _Arrow:
    """An arrow on the plate: where it begins and ends, x, y in pixels; its velocity in pixels a second."""

    start: Array
    end: Array
    velocity: Array
    kind: Kind


class LivingPlate:
    """A background plate in motion: frame `num_frames` would be frame 0 again.

    Args:
        plate: The background, `(height, width, 3)` uint8 RGB.
        flows: The arrows; what lies beyond the plate moves nothing.
        fps: Frames per second.
        num_frames: Frames of the loop.
        view: The part of the photo that the plate shows: left, top, right, bottom in 0..1 of the photo.
    """

    def __init__(
        self, plate: Image, flows: Sequence[Flow], fps: float, num_frames: int, view: View = (0.0, 0.0, 1.0, 1.0)
    ) -> None:
        self._still = plate
        self._num_frames, seconds = num_frames, num_frames / fps
        arrows = [_on_plate(flow, plate.shape, view) for flow in flows]
        shares = [(arrow, grow_region(plate, arrow.start, arrow.end)) for arrow in arrows]
        shares = [(arrow, share) for arrow, share in shares if (share > VISIBLE).any()]
        swaying = [item for item in shares if item[0].kind == "sway"]
        running = _areas([item for item in shares if item[0].kind == "flow"])
        self._areas: list[_Swaying | _Running] = [_Swaying(self._still, swaying, seconds)] if swaying else []
        kept_bytes = MAX_KEPT_BYTES // max(1, len(running))
        self._areas += [_Running(self._still, together, share, seconds, kept_bytes) for together, share in running]

    def frame(self, index: int) -> Image:
        """Return a frame of the loop, `(height, width, 3)` uint8 RGB. Do not write into it."""
        if not self._areas:
            return self._still
        frame = self._still.copy()
        for area in self._areas:
            area.draw(frame, index, self._num_frames)
        return frame


class _Running:
    """What runs on along arrows: two phases cross-fade, and neither shows at the moment at which it starts again."""

    def __init__(self, still: Image, arrows: Sequence[_Arrow], share: Floats, seconds: float, kept_bytes: int) -> None:
        self._box = _box(share > VISIBLE)
        self._opacity = np.ascontiguousarray(share[self._box])
        self._rest = 1 - self._opacity
        self._source = continued(still[self._box], self._opacity > 0.5)  # no bank flows into the water
        self._grid = _grid(self._opacity.shape)
        shape = self._opacity.shape
        self._small = _cells(shape, FIELD_CELL_PX)
        self._blurred = _cells(shape, DETAIL * max(still.shape))
        self._delay = _shrunk(_delay(still.shape)[self._box], self._small)
        velocity = _shrunk(_field(arrows, still.shape, self._box), self._small)
        self._beats, likeness = _fitting_beats(self._source, self._opacity, velocity, seconds)
        self._run = velocity * np.float32(2 * seconds / self._beats)  # of a phase: two beats
        self._likeness = likeness
        self._kept: dict[int, Image] = {}
        self._kept_bytes = kept_bytes

    def draw(self, frame: Image, index: int, num_frames: int) -> None:
        """Draw it into a frame of the loop."""
        turn = self._beats * index % num_frames  # of a beat, in `num_frames` parts: the picture repeats with it
        picture = self._kept.get(turn)
        if picture is None:
            picture = self._picture(turn / num_frames)
            if (len(self._kept) + 1) * picture.nbytes <= self._kept_bytes:
                self._kept[turn] = picture
        behind = np.ascontiguousarray(frame[self._box])
        frame[self._box] = cv2.blendLinear(picture, behind, self._opacity, self._rest)

    def _picture(self, moment: float) -> Image:
        """Return the area at a moment of a beat, 0..1."""
        phase = self._delay + np.float32(moment / 2)
        phase -= phase >= 1
        other = np.where(phase < 0.5, phase, phase - 1)
        first, second = self._sampled(phase - np.float32(0.5)), self._sampled(other)
        weight = 1 - np.abs(2 * phase - 1)
        mixed = cv2.blendLinear(first, second, self._large(weight), self._large(1 - weight))
        # Where the phases differ, their mean has less contrast than either: it gets it back.
        gain = 1 / np.sqrt(1 - 2 * (1 - self._likeness) * weight * (1 - weight))
        blurred = self._large(cv2.resize(mixed, self._blurred, interpolation=cv2.INTER_AREA))
        return np.asarray(cv2.blendLinear(mixed, blurred, self._large(gain), self._large(1 - gain)), np.uint8)

    def _sampled(self, gone: Floats) -> Image:
        """Return the source after a share of a phase, -0.5..0.5, for each cell."""
        way = self._large(self._run * gone[..., None])
        return _moved(self._source, self._grid - way)

    def _large(self, cells: NDArray[Any]) -> NDArray[Any]:
        return cv2.resize(cells, self._opacity.shape[::-1], interpolation=cv2.INTER_LINEAR)


class _Swaying:
    """What moves to and fro along arrows, as a wave that the wind drives through it."""

    def __init__(self, still: Image, shares: Sequence[tuple[_Arrow, Floats]], seconds: float) -> None:
        side = max(still.shape)
        moving = cv2.GaussianBlur(np.max([share for _, share in shares], axis=0), (0, 0), SWAY_MARGIN * side)
        self._box = _box(moving > VISIBLE)
        self._swings = max(1, round(seconds / SWING_S))
        velocity = _field([arrow for arrow, _ in shares], still.shape, self._box)
        self._reach = velocity * (moving[self._box] * (seconds / self._swings / (2 * np.pi)))[..., None]
        self._grid = _grid(moving[self._box].shape)
        wind = velocity / np.maximum(np.linalg.norm(velocity, axis=-1, keepdims=True), 1e-6)
        turns = _delay(still.shape)[self._box] - (self._grid * wind).sum(axis=-1) / (WAVELENGTH * side)
        self._wave = (2 * np.pi * turns).astype(np.float32)
        self._source = np.ascontiguousarray(still[self._box])

    def draw(self, frame: Image, index: int, num_frames: int) -> None:
        """Draw it into a frame of the loop."""
        swing = np.sin(self._wave + np.float32(2 * np.pi * self._swings * index / num_frames))
        frame[self._box] = _moved(self._source, self._grid - self._reach * swing[..., None])


def _moved(picture: NDArray[Any], places: Floats) -> NDArray[Any]:
    """Return the pixels of a picture at places, `(height, width, 2)` x, y."""
    moved = cv2.remap(picture, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)  # type: ignore[call-overload]
    return moved  # type: ignore[no-any-return]


def _fitting_beats(source: Image, opacity: Floats, velocity: Floats, seconds: float) -> tuple[int, float]:
    """Return into how many beats to divide a loop, so that what the two phases show at once fits best.

    Args:
        source: What runs, `(height, width, 3)`.
        opacity: Where, `(height, width)`.
        velocity: In pixels a second, `(rows, columns, 2)` of coarse cells.
        seconds: Of the loop.

    Returns:
        The beats of the loop, and the correlation of the phases, 0..1.
    """
    size = velocity.shape[1::-1]
    picture = cv2.cvtColor(cv2.resize(source, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    picture = picture.astype(np.float32)
    weights = cv2.resize(opacity, size, interpolation=cv2.INTER_AREA)
    zoom = np.array(size, np.float32) / np.array(opacity.shape[::-1], np.float32)
    grid, step = _grid(picture.shape), velocity * zoom / 2
    detail = picture - cv2.GaussianBlur(picture, (0, 0), 4)
    variance = float((weights * detail**2).sum()) + 1e-6
    fewest = max(1, round(seconds / MAX_BEAT_S))
    best = (np.inf, 1, 0.0)
    for beats in range(fewest, max(fewest, int(seconds / MIN_BEAT_S)) + 1):
        beat = np.float32(seconds / beats)
        one, other = (_moved(detail, grid + sign * beat * step) for sign in (-1, 1))
        likeness = float(np.clip(1 - (weights * (one - other) ** 2).sum() / (2 * variance), 0, 1))
        cost = 1 - likeness + BEAT_WEIGHT * abs(np.log2(beat / BEAT_S))
        best = min(best, (cost, beats, likeness))
    return best[1], best[2]


def _shrunk(field: Floats, size: tuple[int, int]) -> Floats:
    return cv2.resize(field, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def _on_plate(flow: Flow, shape: tuple[int, ...], view: View) -> _Arrow:
    """Return an arrow in pixels of a plate that shows a part of the photo."""
    left, top, right, bottom = view
    scale = np.array([shape[1] / (right - left), shape[0] / (bottom - top)])
    start, end = ((np.array(point) - (left, top)) * scale - 0.5 for point in (flow.start, flow.end))
    velocity = (end - start) / np.linalg.norm(end - start) * flow.speed * scale[1]
    return _Arrow(start=start, end=end, velocity=velocity, kind=flow.kind)


def _areas(shares: Sequence[tuple[_Arrow, Floats]]) -> list[tuple[list[_Arrow], Floats]]:
    """Return the areas that run, each with its arrows: those that mostly share one move it together."""
    areas: list[tuple[list[_Arrow], Floats]] = []
    for arrow, share in shares:
        for k, (together, other) in enumerate(areas):
            if np.minimum(share, other).sum() > SAME_AREA * min(share.sum(), other.sum()):
                areas[k] = [*together, arrow], np.maximum(share, other)
                break
        else:
            areas.append(([arrow], share))
    return areas


def _field(arrows: Sequence[_Arrow], shape: tuple[int, ...], box: Box) -> Floats:
    """Return the velocity in pixels a second, `(height, width, 2)`: of several arrows, mostly that of the nearest."""
    y, x = np.mgrid[box].astype(np.float32)
    total, weights = np.zeros((*y.shape, 2), np.float32), np.zeros(y.shape, np.float32)
    for arrow in arrows:
        along = arrow.end - arrow.start
        from_start_x, from_start_y = x - arrow.start[0], y - arrow.start[1]
        t = np.clip((from_start_x * along[0] + from_start_y * along[1]) / (along @ along), 0, 1)
        distance = (from_start_x - t * along[0]) ** 2 + (from_start_y - t * along[1]) ** 2
        weight = (1 / (distance + (ARROW_REACH * max(shape)) ** 2)).astype(np.float32)
        total += weight[..., None] * arrow.velocity.astype(np.float32)
        weights += weight
    return (total / weights[..., None]).astype(np.float32)


def continued(picture: Image, area: Mask) -> Image:
    """Return a picture whose area goes on beyond its edge as its own mirror image.

    Args:
        picture: `(height, width, channels)`.
        area: What is kept of it, `(height, width)`.
    """
    if area.all() or not area.any():
        return np.ascontiguousarray(picture)
    outside = (~area).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    nearest = np.zeros((labels.max() + 1, 2), np.int64)
    nearest[labels[area]] = np.argwhere(area)
    edge = nearest[labels]
    places = np.moveaxis(np.indices(area.shape), 0, -1)
    mirrored = np.clip(2 * edge - places, 0, np.array(area.shape) - 1)
    inside = area[mirrored[..., 0], mirrored[..., 1]]
    source = np.where(inside[..., None], mirrored, edge)
    return picture[source[..., 0], source[..., 1]]


def _delay(shape: tuple[int, ...]) -> Floats:
    """Return smooth noise in 0..`DELAY`, `(height, width)`."""
    cells = np.random.default_rng(DELAY_SEED).random((DELAY_CELLS, DELAY_CELLS), np.float32)
    smooth = cv2.resize(cells, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return (DELAY * np.clip(smooth, 0, 1)).astype(np.float32)


def _cells(shape: tuple[int, ...], side_px: float) -> tuple[int, int]:
    """Return how many cells of a size fit into a picture, across and down."""
    return max(1, round(shape[1] / side_px)), max(1, round(shape[0] / side_px))


def _box(area: Mask) -> Box:
    left, top, width, height = cv2.boundingRect(area.astype(np.uint8))
    return slice(top, top + height), slice(left, left + width)


def _grid(shape: tuple[int, ...]) -> Floats:
    """Return each pixel's own place, `(height, width, 2)` x, y."""
    return np.moveaxis(np.indices(shape, np.float32)[::-1], 0, -1).copy()
