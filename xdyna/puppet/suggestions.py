"""Suggest arrows for a background: sky, water, falls, grass and fire, told by colour, texture and place."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from xdyna.flows import Flow, Kind
from xdyna.puppet.region import local_looks, similar_area
from xdyna.schema import Floats, Image, Mask

WORKING_SIDE_PX = 160
SEED_ROWS, SEED_COLUMNS = (0.1, 0.3, 0.5, 0.62, 0.75, 0.9), (0.5, 0.25, 0.75, 0.1, 0.9)
SEED_RADIUS_PX = 3
MIN_SHARE = 0.02  # of the picture that an area fills
MAX_LENGTH = 0.25  # of an arrow, in longer sides
SUGGESTIONS: dict[str, tuple[tuple[float, float], float, Kind]] = {
    "sky": ((1.0, 0.0), 0.015, "flow"),
    "water": ((1.0, 0.0), 0.02, "flow"),
    "fall": ((0.0, 1.0), 0.1, "flow"),
    "grass": ((1.0, 0.0), 0.02, "sway"),
    "fire": ((0.0, -1.0), 0.08, "flow"),
}
"""The direction x, y, speed and kind of what is recognised."""


@dataclass(frozen=True, kw_only=True)
class _Area:
    """What tells an area from others.

    Attributes:
        share: Of the picture that it fills.
        top: Where it begins, 0..1 from the top.
        middle: Its mean height in the picture, likewise.
        width: How far it reaches, 0..1 of the picture.
        height: Likewise.
        colour: The mean lightness, 0..255, and CIELAB's a and b.
        detail: Of the lightness, per pixel.
        streaks: Whether that lies in rows (1) or columns (-1).
    """

    share: float
    top: float
    middle: float
    width: float
    height: float
    colour: tuple[float, float, float]
    detail: float
    streaks: float

    def kind(self) -> str:
        """Return which of `SUGGESTIONS` it is, or "": in doubt it is none."""
        lightness, a, b = self.colour
        wide, blue, green = self.width > 0.9, b < -4, a < -8 and b > 12
        if wide and 0.15 < self.share < 0.7 and self.middle < 0.45 and self.detail < 14:
            if self.top < 0.1 and blue and a > -20:
                return "sky"
            if a > 20 and self.streaks > 0.8:  # clouds of a sunset
                return "sky"
        waves = (blue and self.streaks > 0.25) or self.streaks > 0.85
        if waves and wide and self.share > 0.06 and self.top > 0.15 and self.middle > 0.5 and self.detail > 12:
            return "water"
        white = lightness > 195 and abs(a) < 15 and abs(b) < 12
        if white and self.share > 0.12 and self.height > 0.35 and self.top > 0.03 and self.detail > 7:
            return "fall" if self.streaks < 0.4 else ""
        if green and self.middle > 0.6 and self.share > 0.1 and self.detail > 15 and self.streaks < 0.3:
            return "grass"
        return ""


def suggest_flows(picture: Image) -> tuple[Flow, ...]:
    """Suggest what may move: few arrows, and none in doubt.

    Args:
        picture: The background, without the person, `(height, width, 3)` uint8 RGB.

    Returns:
        The arrows, in 0..1 of the picture, one for each area at most.
    """
    zoom = min(1.0, WORKING_SIDE_PX / max(picture.shape))
    size = max(8, round(picture.shape[1] * zoom)), max(8, round(picture.shape[0] * zoom))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32) - np.array([0, 128, 128], np.float32)
    flows: list[Flow] = []
    for kind, area in (*_flames(lab), *_large_areas(small, lab)):
        flow = _arrow(kind, area)
        if flow is not None:
            flows.append(flow)
    return tuple(flows)


def _large_areas(small: Image, lab: Floats) -> Iterator[tuple[str, Mask]]:
    """Yield each kind of area, and where the largest of them is."""
    looks, taken = local_looks(small), np.zeros(small.shape[:2], bool)
    largest: dict[str, Mask] = {}
    for row in SEED_ROWS:
        for column in SEED_COLUMNS:
            x, y = int(column * small.shape[1]), int(row * small.shape[0])
            if taken[y, x]:
                continue
            seed = np.zeros(taken.shape, np.uint8)
            cv2.circle(seed, (x, y), SEED_RADIUS_PX, (1,), -1)
            area = similar_area(looks, seed > 0)
            taken |= area
            kind = _described(area, lab).kind() if area.mean() > MIN_SHARE else ""
            if kind and (kind not in largest or largest[kind].sum() < area.sum()):
                largest[kind] = area
    yield from largest.items()


def _described(area: Mask, lab: Floats) -> _Area:
    """Return what tells an area from others."""
    height, width = area.shape
    inner = cv2.erode(area.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    across, down = (cv2.Scharr(lab[..., 0], cv2.CV_32F, *order)[inner] / 16 for order in ((1, 0), (0, 1)))
    energy = [float((slope**2).sum()) / max(1, inner.sum()) for slope in (across, down)]
    rows, columns = np.nonzero(area)
    lightness, a, b = (float(value) for value in lab[area].mean(axis=0))
    return _Area(
        share=float(area.mean()),
        top=rows.min() / height,
        middle=rows.mean() / height,
        width=float(np.ptp(columns)) / width,
        height=float(np.ptp(rows)) / height,
        colour=(lightness, a, b),
        detail=sum(energy) ** 0.5,
        streaks=(energy[1] - energy[0]) / (sum(energy) + 1e-6),
    )


def _flames(lab: Floats) -> Iterator[tuple[str, Mask]]:
    """Yield the largest fire: orange around glowing yellow, in the dark."""
    lightness, a, b = (lab[..., channel] for channel in range(3))
    glow = (lightness > 180) & (b > 40)
    count, labels, sizes, _ = cv2.connectedComponentsWithStats(
        ((lightness > 90) & (a > 12) & (b > 45) | glow).astype(np.uint8)
    )
    for label in sorted(range(1, count), key=lambda label: -sizes[label, cv2.CC_STAT_AREA]):
        area = labels == label
        around = (cv2.dilate(area.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0) & ~area
        shines = around.any() and lightness[area].mean() > np.median(lightness[around]) + 45
        flickers = lightness[area].std() > 20 and 0.05 < glow[area].mean() < 0.8 and a[area].mean() > 15
        if shines and flickers and 0.01 < area.mean() < 0.2:
            yield "fire", area
            return


def _arrow(kind: str, area: Mask) -> Flow | None:
    """Return an arrow through the middle of the broadest place of an area, None where there is no room for it."""
    direction, speed, moves = SUGGESTIONS[kind]
    inside = np.pad(area.astype(np.uint8), 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    half = min(float(depth.max()) * 0.9, MAX_LENGTH / 2 * max(area.shape))
    size = np.array(area.shape[::-1])
    ends = [tuple((np.array([x, y]) + 0.5 + sign * half * np.array(direction)) / size) for sign in (-1, 1)]
    try:
        return Flow(start=ends[0], end=ends[1], speed=speed, kind=moves)
    except ValueError:
        return None
