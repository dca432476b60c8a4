"""Puppet: what it makes of a photo, and what it refuses before anything is made."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from backends.tiny_backends import tiny_conditions
from puppet.drawn import HEIGHT, WIDTH, drawn

from xdyna.backends.puppet import PUPPET
from xdyna.preprocess.pose import empty_pose
from xdyna.schema import Animation, Conditions, InputError, Progress

NUM_FRAMES = 9
SETTINGS = replace(PUPPET.defaults, height=HEIGHT, width=WIDTH, num_frames=NUM_FRAMES)


def conditions() -> Conditions:
    """A drawn character, moved by itself."""
    clip = drawn(908, NUM_FRAMES)
    return replace(
        tiny_conditions(NUM_FRAMES),
        reference_image=clip.frames[0],
        reference_pose=clip.pose[:1],
        driving_frames=clip.frames,
        pose=clip.pose,
        face_landmarks=clip.face_landmarks,
    )


@pytest.fixture(scope="module")
def events() -> list[Progress | Animation]:
    return list(PUPPET.load().run(conditions(), SETTINGS))


def test_a_driver_who_stands_as_in_the_photo_gives_nearly_the_photo(events: list[Progress | Animation]) -> None:
    made = events[-1]
    assert isinstance(made, Animation)
    assert np.abs(made.video.frames[0].astype(int) - drawn(908, NUM_FRAMES).frames[0]).mean() < 1.5  # levels


def test_the_background_stands_still(events: list[Progress | Animation]) -> None:
    made = events[-1]
    assert isinstance(made, Animation)
    away = ~drawn(908, NUM_FRAMES).person_mask.any(axis=0)
    away[:, :16] = away[:, -16:] = False
    still = (made.video.frames == made.video.frames[:1]).all(axis=(0, 3))
    assert still[away].mean() > 0.9


def test_the_background_flows_where_an_arrow_lies(events: list[Progress | Animation]) -> None:
    """Everything else is as without it, bit for bit."""
    still = events[-1]
    given = replace(SETTINGS, flows="0.1,0.1,0.5,0.1,0.1")
    moving = list(PUPPET.load().run(conditions(), given))[-1]
    assert isinstance(still, Animation) and isinstance(moving, Animation)
    differs = (moving.video.frames != still.video.frames).any(axis=-1)
    away = ~drawn(908, NUM_FRAMES).person_mask.any(axis=0)
    assert differs[:, : HEIGHT // 4][:, away[: HEIGHT // 4]].mean() > 0.2
    assert not differs[:, -HEIGHT // 5 :].any()
    assert moving.person_masks is not None and still.person_masks is not None
    assert np.abs(moving.person_masks - still.person_masks).mean() < 0.02  # a moving background is no person


def test_previews_show_the_frames_that_are_drawn(events: list[Progress | Animation]) -> None:
    previews = [event.preview for event in events if isinstance(event, Progress) and event.preview is not None]
    assert [len(preview) for preview in previews] == [8, 9]
    assert max(previews[-1].shape[1:3]) <= 224


def test_it_shows_the_pose_that_it_will_draw() -> None:
    seen = PUPPET.prepare(conditions(), SETTINGS)
    assert set(seen) == {"pose"} and seen["pose"].shape == (NUM_FRAMES, HEIGHT, WIDTH, 3)


def test_the_face_follows_as_strongly_as_wanted() -> None:
    given = conditions()
    off, on = (
        list(PUPPET.load().run(given, replace(SETTINGS, controlnet_face_scale=scale)))[-1] for scale in (0.0, 1.0)
    )
    assert isinstance(off, Animation) and isinstance(on, Animation)
    assert not np.array_equal(off.video.frames, on.video.frames)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(
            lambda given: replace(given, reference_pose=empty_pose(1)), "photo shows no person", id="no person"
        ),
        pytest.param(lambda given: tiny_conditions(), "pixels tall in the video", id="a tiny person"),
        pytest.param(
            lambda given: replace(given, pose=empty_pose(NUM_FRAMES)), "driving clip shows no body", id="no driver"
        ),
    ],
)
def test_it_refuses_before_anything_is_made(spoil: Callable[[Conditions], Conditions], message: str) -> None:
    made = []
    with pytest.raises(InputError, match=message):
        for event in PUPPET.load().run(spoil(conditions()), SETTINGS):
            made.append(event)
    assert all(isinstance(event, Progress) and event.step == 0 for event in made)
