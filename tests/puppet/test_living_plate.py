"""Tests of the background that moves along arrows."""

from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
import pytest
from puppet.drawn import overlap

from xdyna.flows import Flow, Kind
from xdyna.puppet.living_plate import LivingPlate
from xdyna.puppet.region import grow_region
from xdyna.puppet.suggestions import suggest_flows
from xdyna.schema import Frames, Image, Mask
from xdyna.world import render_clip

HEIGHT, WIDTH, FPS, NUM_FRAMES = 224, 128, 8.0, 16


@lru_cache(maxsize=16)
def scene(name: str, seed: int = 3) -> tuple[Image, Mask]:
    """A drawn background without a person, and where it moves, with the gaps between waves and blades."""
    clip = render_clip(seed, num_frames=8, height=HEIGHT, width=WIDTH, fps=2.0, scene_name=name, person=False).frames
    moving = (clip.astype(np.float32).std(axis=0).max(axis=-1) > 2).astype(np.uint8)
    return clip[0], cv2.morphologyEx(moving, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)) > 0


def noise() -> Image:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def arrow(x0: float, y0: float, x1: float, y1: float, speed: float = 0.06, kind: Kind = "flow") -> Flow:
    return Flow(start=(x0, y0), end=(x1, y1), speed=speed, kind=kind)


def loop(plate: Image, *flows: Flow, num_frames: int = NUM_FRAMES) -> Frames:
    living = LivingPlate(plate, flows, FPS, num_frames)
    return np.stack([living.frame(k) for k in range(num_frames)])


def change(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(np.float32) - other).mean())


IN_SEA, IN_SKY = arrow(0.2, 0.6, 0.8, 0.65), arrow(0.2, 0.2, 0.8, 0.2)
IN_GRASS = arrow(0.2, 0.8, 0.7, 0.8, 0.03, "sway")


@pytest.mark.parametrize("num_frames", [2, 7, 16])
@pytest.mark.parametrize(
    ("plate", "flows"),
    [
        (scene("sea")[0], (IN_SEA, IN_SKY)),
        (scene("grass")[0], (IN_GRASS, IN_SKY)),
        (noise(), (arrow(0.3, 0.3, 0.6, 0.7, 0.1),)),
        (noise(), (arrow(0.3, 0.3, 0.6, 0.7, 0.1, "sway"),)),
    ],
    ids=["sea", "grass", "noise", "noise that sways"],
)
def test_the_last_frame_leads_to_the_first_as_each_to_the_next(
    plate: Image, flows: tuple[Flow, ...], num_frames: int
) -> None:
    frames = loop(plate, *flows, num_frames=num_frames)
    steps = [change(*pair) for pair in pairwise(frames)]
    assert min(steps) > 0.05
    assert change(frames[-1], frames[0]) <= 1.1 * max(steps)


def test_without_arrows_it_stands_still() -> None:
    frames = loop(scene("sea")[0])
    assert (frames == scene("sea")[0]).all()


@pytest.mark.parametrize(
    ("name", "flow"),
    [
        ("sea", IN_SEA),
        ("river", arrow(0.2, 0.55, 0.8, 0.6)),
        ("waterfall", arrow(0.5, 0.2, 0.5, 0.7)),
        ("clouds", IN_SKY),
        ("grass", IN_GRASS),
        ("campfire", arrow(0.68, 0.75, 0.66, 0.55)),
    ],
)
def test_only_what_is_under_the_arrow_moves(name: str, flow: Flow) -> None:
    plate, moving = scene(name)
    size = np.array([WIDTH, HEIGHT])
    area = grow_region(plate, np.array(flow.start) * size, np.array(flow.end) * size) > 0.5
    assert (area & moving).sum() > 0.75 * area.sum(), "it leaks into what stands still"
    assert area.mean() > 0.02
    frames = loop(plate, flow)
    far = np.ones(area.shape, bool)
    far[max(0, np.nonzero(area)[0].min() - 12) : np.nonzero(area)[0].max() + 13] = False
    assert (frames[:, far] == plate[far]).all()


@pytest.mark.parametrize("direction", [(1, 0), (0, 1), (-1, 0)])
def test_water_flows_along_its_arrow_as_fast_as_that_says(direction: tuple[int, int]) -> None:
    (across, down), plate = direction, cv2.GaussianBlur(noise(), (0, 0), 2)
    flow = arrow(0.5 - 0.1 * across, 0.5 - 0.1 * down, 0.5 + 0.1 * across, 0.5 + 0.1 * down, 16 / HEIGHT)
    one, other = loop(plate, flow)[4:6].astype(np.float32)
    shifts = range(-4, 5)
    differences = [change(np.roll(one, (shift * down, shift * across), (0, 1)), other) for shift in shifts]
    assert shifts[int(np.argmin(differences))] == 2  # 16 pixels in 8 frames


def test_an_arrow_stays_at_its_place_of_the_photo_when_the_video_shows_a_part_of_it() -> None:
    plate = scene("sea")[0]
    top = HEIGHT // 4
    whole = LivingPlate(plate, [IN_SEA], FPS, NUM_FRAMES)
    part = LivingPlate(plate[top:], [IN_SEA], FPS, NUM_FRAMES, view=(0.0, 0.25, 1.0, 1.0))
    moved = [(living.frame(2) != living.frame(3)).any(axis=-1) for living in (whole, part)]
    assert overlap(moved[0][top:], moved[1]) > 0.9
    beyond = LivingPlate(plate[top:], [arrow(0.1, 0.05, 0.4, 0.05)], FPS, NUM_FRAMES, view=(0.0, 0.25, 1.0, 1.0))
    assert (beyond.frame(3) == plate[top:]).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sea", {"flow": 2}),
        ("waterfall", {"flow": 1}),
        ("grass", {"flow": 1, "sway": 1}),
        ("campfire", {"flow": 1}),
        ("rain", {}),
    ],
)
def test_what_moves_is_suggested(name: str, expected: dict[str, int]) -> None:
    plate, moving = scene(name)
    flows = suggest_flows(plate)
    kinds = [flow.kind for flow in flows]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == expected
    for flow in flows:
        area = grow_region(plate, np.array(flow.start) * (WIDTH, HEIGHT), np.array(flow.end) * (WIDTH, HEIGHT)) > 0.5
        assert (area & moving).sum() > 0.5 * area.sum()


def test_nothing_is_suggested_where_nothing_is_seen_to_move() -> None:
    assert not suggest_flows(noise())
    assert not suggest_flows(np.full((64, 48, 3), 200, np.uint8))
