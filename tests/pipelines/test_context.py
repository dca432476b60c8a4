"""Windows over long clips."""

import pytest

from xdyna.pipelines.context import context_windows


@pytest.mark.parametrize(
    ("num_frames", "frames", "overlap", "offset", "expected"),
    [
        pytest.param(1, 4, 1, 0, [[0]], id="one frame"),
        pytest.param(4, 4, 1, 3, [[0, 1, 2, 3]], id="a clip that fits ignores the offset"),
        pytest.param(5, 4, 1, 0, [[0, 1, 2, 3], [3, 4, 0, 1]], id="the last window wraps to the start"),
        pytest.param(5, 4, 1, 2, [[2, 3, 4, 0], [0, 1, 2, 3]], id="the offset shifts all windows"),
        pytest.param(4, 2, 0, 0, [[0, 1], [2, 3]], id="no overlap"),
    ],
)
def test_windows(num_frames: int, frames: int, overlap: int, offset: int, expected: list[list[int]]) -> None:
    assert context_windows(num_frames, frames, overlap, offset) == expected


@pytest.mark.parametrize("num_frames", range(1, 60))
def test_every_frame_is_covered(num_frames: int) -> None:
    for offset in range(16):
        windows = context_windows(num_frames, 16, 4, offset)
        assert {frame for window in windows for frame in window} == set(range(num_frames))
