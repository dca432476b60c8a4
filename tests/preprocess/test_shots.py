import numpy as np
import pytest

from xdyna.preprocess.shots import CutDetector, inner_picture
from xdyna.world import render_clip


def test_black_bars_are_not_part_of_the_picture():
    frames = np.random.default_rng(0).integers(60, 255, (3, 100, 80, 3), np.uint8)
    assert inner_picture(frames) == (0, 0, 80, 100)
    frames[:, :12], frames[:, 90:], frames[:, :, 70:] = 3, 5, 0
    assert inner_picture(frames) == (0, 12, 70, 90)
    assert inner_picture(frames // 16) == (0, 0, 80, 100)  # a dark clip has no bars


def cuts_of(frames):
    """The cuts; every frame must come back once, in order, and be marked if it begins a shot."""
    frames, detector, judged = list(frames), CutDetector(8.0), []
    for frame in frames:
        judged += detector.add(frame)
    judged += detector.finish()
    assert all(back is frame for (back, _), frame in zip(judged, frames, strict=True))
    assert [k for k, (_, begins_shot) in enumerate(judged) if begins_shot] == [0, *detector.cuts]
    return detector.cuts


@pytest.fixture(scope="module")
def shots():
    """Three shots of other people in front of other scenes."""
    return [render_clip(k, num_frames=8, height=224, width=128).frames for k in (1, 2, 4)]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        pytest.param((8, 0, 0), (), id="one shot"),
        pytest.param((5, 8, 0), (5,), id="two shots"),
        pytest.param((4, 3, 6), (4, 7), id="three shots"),
        pytest.param((7, 1, 0), (7,), id="cut before the last frame"),
        pytest.param((1, 7, 0), (1,), id="cut after the first frame"),
    ],
)
def test_cuts_are_the_frames_that_begin_a_shot(shots, lengths, expected):
    assert cuts_of([frame for shot, length in zip(shots, lengths, strict=True) for frame in shot[:length]]) == expected


def test_a_lively_background_is_no_cut():
    for scene in range(4):
        assert cuts_of(render_clip(20 + scene, num_frames=16, height=224, width=128).frames) == ()


@pytest.mark.parametrize("number", [1, 2])
def test_a_dance_has_no_cuts(test_data, number):
    from preprocess.skeletons import official_frames

    assert cuts_of(official_frames(test_data, number, "driving", range(60))) == ()
