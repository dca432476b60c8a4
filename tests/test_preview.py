"""Pictures of what a model sees."""

from dataclasses import replace

import numpy as np
import pytest
from backends.tiny_backends import HEIGHT, NUM_FRAMES, WIDTH, tiny_conditions

from xdyna.backends import BACKENDS
from xdyna.preview import STRIP_TILES, TILE_PX, sight_clip, sight_strip

CONDITIONS = tiny_conditions()


def sight(name: str, **changes: object) -> tuple[object, ...]:
    backend = BACKENDS[name]
    settings = replace(backend.defaults, num_frames=backend.limits_of("num_frames").nearest(NUM_FRAMES), **changes)
    return CONDITIONS, backend.prepare(CONDITIONS, settings), backend.driven_by(CONDITIONS, settings)


@pytest.mark.parametrize(
    ("name", "num_frames"), [("xdyna", NUM_FRAMES), ("dynamictrl", 5), ("wan-animate", NUM_FRAMES)]
)
def test_the_pose_is_shown_beside_the_frame_that_it_was_drawn_for(name: str, num_frames: int) -> None:
    conditions, seen, driven_by = sight(name)
    zoom = 4
    frames = sight_clip(conditions, seen, driven_by).frames[:, ::zoom, ::zoom]
    assert frames.shape == (num_frames, HEIGHT, 2 * WIDTH, 3)
    assert np.array_equal(frames[:, :, :WIDTH], CONDITIONS.driving_frames[driven_by])
    assert np.array_equal(frames[:, :, WIDTH:], seen["pose"])


def test_of_a_model_that_looks_at_the_clip_the_clip_is_shown() -> None:
    conditions, seen, driven_by = sight("wan-animate-2")
    assert np.array_equal(sight_clip(conditions, seen, driven_by).frames[:, ::4, ::4], seen["clip"])


@pytest.mark.parametrize(
    ("name", "changes", "rows"),
    [
        ("xdyna", {}, 2),
        ("dynamictrl", {}, 0),
        ("wan-animate", {}, 1),
        ("wan-animate", {"mode": "replace"}, 3),
        ("wan-animate-2", {}, 0),
    ],
)
def test_a_row_for_all_else_that_it_sees(name: str, changes: dict[str, str], rows: int) -> None:
    strip = sight_strip(*sight(name, **changes))
    shown = None if strip is None else strip.shape
    assert shown == ((rows * TILE_PX, min(STRIP_TILES, NUM_FRAMES) * TILE_PX, 3) if rows else None)


@pytest.mark.parametrize("name", ["xdyna", "wan-animate"])
def test_a_face_that_was_not_found_is_hatched(name: str) -> None:
    conditions, seen, driven_by = sight(name)
    missing = {key: frames * (np.arange(len(frames)) > 0)[:, None, None, None] for key, frames in seen.items()}
    strip = sight_strip(conditions, {key: frames.astype(np.uint8) for key, frames in missing.items()}, driven_by)
    first, second = strip[:TILE_PX, :TILE_PX], strip[:TILE_PX, TILE_PX : 2 * TILE_PX]
    assert len(np.unique(first)) == 2 and len(np.unique(second)) > 2
