"""Where windows meet, and whether it shows."""

import math

import numpy as np
import pytest

from xdyna.pipelines.context import context_windows, open_windows, taper
from xdyna.pipelines.seams import loop_closure, seam_frames, seam_visibility


@pytest.mark.parametrize("num_frames", [3, 16, 17, 24, 28, 29, 40, 96, 257])
@pytest.mark.parametrize(("frames", "overlap"), [(16, 4), (16, 8), (2, 1), (4, 0)])
def test_open_windows_cover_the_clip_without_wrapping(num_frames: int, frames: int, overlap: int) -> None:
    for offset in range(frames):
        windows = open_windows(num_frames, frames, overlap, offset)
        assert {len(window) for window in windows} == {min(num_frames, frames)}
        assert all(np.diff(window).tolist() == [1] * (len(window) - 1) for window in windows)
        assert sorted({frame for window in windows for frame in window}) == list(range(num_frames))
        assert len(windows) <= len(context_windows(num_frames, frames, overlap, 0)) + 1


def test_seams_move_between_steps() -> None:
    assert open_windows(40, 16, 4, 0) != open_windows(40, 16, 4, 5)


def test_say_rises_over_the_overlap_and_falls_again() -> None:
    assert taper(8, 3) == [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25]
    assert taper(3, 0) == [1, 1, 1]
    assert np.allclose(np.add(taper(16, 4)[-4:], taper(16, 4)[:4]), 1)  # two windows have one say together


def test_seams_lie_where_windows_begin_and_end() -> None:
    assert seam_frames([[0, 1, 2, 3], [3, 4, 5, 6]]) == [2, 3]
    assert seam_frames([[2, 3, 4, 5], [5, 6, 0, 1]]) == [1, 4, 5]  # the second wraps round the end of seven frames
    assert seam_frames([[0, 1, 2]]) == []


def moving(num_frames: int, jump_after: int | None = None, jump: float = 0.0) -> np.ndarray:
    levels = 5.0 * np.arange(num_frames)
    if jump_after is not None:
        levels[jump_after + 1 :] += jump
    return np.broadcast_to(levels[:, None, None, None], (num_frames, 4, 4, 3)).astype(np.float32)


@pytest.mark.parametrize(("jump", "expected"), [(0.0, 1.0), (5.0, 2.0), (15.0, 4.0)])
def test_visibility_is_the_change_at_seams_over_that_elsewhere(jump: float, expected: float) -> None:
    assert seam_visibility(moving(12, 5, jump), [5]) == pytest.approx(expected)


def test_without_seams_there_is_nothing_to_see() -> None:
    assert math.isnan(seam_visibility(moving(4), []))
    assert math.isnan(seam_visibility(moving(3), [0, 1]))


def test_a_loop_closes_and_a_walk_does_not() -> None:
    assert loop_closure(moving(12)) == pytest.approx(11)
    there_and_back = np.concatenate([moving(6), moving(6)[::-1]])
    assert loop_closure(there_and_back) < 0.1
