"""Several clips in one picture."""

import itertools

import numpy as np

from xdyna.schema import Video
from xdyna.video import side_by_side


def clip(value: int, num_frames: int = 3, height: int = 400, width: int = 300, fps: float = 8) -> Video:
    return Video(frames=np.full((num_frames, height, width, 3), value, np.uint8), fps=fps)


def test_side_by_side_keeps_every_pixel_and_names_every_column() -> None:
    made = side_by_side([clip(100, 3), clip(200, 5)], ["one", "a label that is far too long for its narrow column"])
    assert len(made) == 3
    height, width = made.frames.shape[1:3]
    assert width == 300 + 4 + 300
    bar = height - 400
    assert (made.frames[:, bar:, :300] == 100).all()
    assert (made.frames[:, bar:, -300:] == 200).all()
    for column in (made.frames[0, :bar, :300], made.frames[0, :bar, -300:]):
        assert column.max() > 150  # ink
        assert (column[:, [0, -1]] < 60).all()  # which does not run over the edge


def test_small_videos_are_enlarged_for_the_sake_of_the_labels() -> None:
    small = np.random.default_rng(0).integers(0, 256, (2, 224, 128, 3), np.uint8)
    made = side_by_side([Video(frames=small, fps=8)] * 2, ["a", "b"])
    assert np.array_equal(made.frames[:, -448::2, :256:2], small)


def test_letters_beyond_ascii_are_drawn() -> None:
    bars = [side_by_side([clip(0)], [label]).frames[0, :22] for label in ("é", "ü", "Ж")]
    assert all((a != b).any() for a, b in itertools.combinations(bars, 2))


def test_four_wide_videos_make_two_rows() -> None:
    made = side_by_side([clip(value, height=400, width=600) for value in (10, 60, 110, 160)], list("abcd"))
    height, width = made.frames.shape[1:3]
    assert width == 2 * 600 + 4
    quarter = (height - 4) // 2
    corners = [made.frames[0, y, x].max() for y in (quarter - 1, height - 1) for x in (0, width - 1)]
    assert corners == [10, 60, 110, 160]


def test_other_sizes_and_rates_are_fitted() -> None:
    slow = Video(frames=np.stack([np.full((200, 150, 3), value, np.uint8) for value in (50, 100, 150)]), fps=4)
    made = side_by_side([clip(10, num_frames=8), slow], ["a", "b"])
    assert made.fps == 8
    assert made.frames.shape[2] == 300 + 4 + 300  # twice its size
    assert made.frames[:, -1, -1, 0].tolist() == [50, 50, 100, 100, 150, 150]
