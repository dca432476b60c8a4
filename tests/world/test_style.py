"""Art styles: another look for the same clip."""

import numpy as np
import pytest

from xdyna.world import STYLES, render_clip
from xdyna.world.style import stylise

DRAWN = [style for style in STYLES if style != "shaded"]
SHADED = render_clip(7, num_frames=4, scene_name="grass")


@pytest.mark.parametrize("style", DRAWN)
def test_a_style_changes_the_pictures_and_nothing_else(style):
    clip = render_clip(7, num_frames=4, scene_name="grass", style=style)
    assert np.abs(clip.frames.astype(int) - SHADED.frames).mean() > 8
    for name in ("face_landmarks", "expression", "person_mask", "face_boxes"):
        assert np.array_equal(getattr(clip, name), getattr(SHADED, name))
    assert np.array_equal(clip.pose.body, SHADED.pose.body)


def test_shaded_is_the_worlds_own_way():
    assert np.array_equal(stylise(SHADED.frames, "shaded"), SHADED.frames)


@pytest.mark.parametrize("style", DRAWN)
def test_what_stands_still_does_not_flicker(style):
    still = np.repeat(SHADED.frames[:1], 3, axis=0)
    drawn = stylise(still, style)
    assert np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize("style", DRAWN)
def test_faces_stay_readable(style):
    """The eyes are darker than the skin around them, and an open mouth differs from a closed one."""
    clip = render_clip(7, num_frames=16, height=448, width=256, style=style)
    contrasts = []
    for frame, marks in zip(clip.frames, clip.face_landmarks, strict=True):
        gray = frame.mean(axis=-1)
        eye, cheek = marks[36:42].mean(axis=0), (marks[31] + marks[3]) / 2
        at = [gray[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] for x, y in (eye, cheek)]
        contrasts.append(at[1].mean() - at[0].min())
    assert np.median(contrasts) > 25


@pytest.mark.parametrize("style", DRAWN)
def test_twice_the_size_is_nearly_the_same_picture(style):
    small = render_clip(7, num_frames=1, style=style).frames[0].astype(float)
    large = render_clip(7, num_frames=1, style=style, height=448, width=256).frames[0]
    assert np.abs(large.reshape(224, 2, 128, 2, 3).mean(axis=(1, 3)) - small).mean() < 12


def test_an_unknown_style():
    with pytest.raises(ValueError, match=r"style must be one of .*'oil'"):
        render_clip(0, style="oil")
