"""A photo that comes to life without a driving clip."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from xdyna.animate import place_again, prepare
from xdyna.config import AnimationSettings
from xdyna.photo import crop_to_aspect
from xdyna.preprocess.live_photo import sway_matrices, to_and_fro
from xdyna.preprocess.pose import NOSE
from xdyna.schema import Conditions, Pose, Video
from xdyna.video import write_video

SETTINGS = AnimationSettings(height=224, width=128, num_frames=8, fps=4, sway=1.0)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "astronaut.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    return path


@pytest.fixture(scope="module")
def swaying(photo: Path) -> Conditions:
    return found(photo, None)


def found(photo: Path, clip: Path | None, **changes: object) -> Conditions:
    *_, last = prepare(photo, clip, replace(SETTINGS, **changes))  # type: ignore[arg-type]
    assert isinstance(last, Conditions)
    return last


def test_it_begins_as_the_photo_and_never_goes_far(swaying: Conditions) -> None:
    assert swaying.num_frames == SETTINGS.num_frames and swaying.fps == SETTINGS.fps
    assert swaying.alignment == pytest.approx(np.eye(2, 3), abs=0.02)
    assert swaying.pose.body[0] == pytest.approx(swaying.reference_pose.body[0], abs=0.05, nan_ok=True)
    assert np.array_equal(
        swaying.driving_frames[0], crop_to_aspect(swaying.reference_image, swaying.size, swaying.photo_box)
    )
    moved = np.nanmax(np.abs(swaying.pose.body - swaying.reference_pose.body))
    assert 2 < moved < 0.08 * SETTINGS.height


def test_the_face_is_the_photos_own_and_moves_with_the_head(swaying: Conditions) -> None:
    assert np.isfinite(swaying.face_landmarks).all()
    head = swaying.pose.body[:, NOSE] - swaying.pose.body[0, NOSE]
    face = (swaying.face_landmarks - swaying.face_landmarks[0]).mean(axis=1)
    assert face == pytest.approx(head, abs=0.5)


def test_the_place_stands_still(swaying: Conditions) -> None:
    corner = swaying.driving_frames[:, :20, :10]  # far from the person
    assert (corner == corner[0]).all()


def test_no_sway_holds_the_pose(photo: Path) -> None:
    still = found(photo, None, sway=0.0)
    assert np.ptp(still.pose.body, axis=0)[np.isfinite(still.pose.body[0])] == pytest.approx(0, abs=1e-4)
    assert (still.driving_frames == still.driving_frames[0]).all()


@pytest.mark.parametrize(("num_frames", "fps"), [(16, 8.0), (37, 16.0), (100, 24.0), (2, 30.0)])
def test_the_end_leads_back_to_the_beginning(num_frames: int, fps: float) -> None:
    body = np.full((1, 18, 2), 50, np.float32)
    still = Pose(
        body=body,
        body_scores=np.ones((1, 18), np.float32),
        hands=np.full((1, 2, 21, 2), np.nan, np.float32),
        hand_scores=np.zeros((1, 2, 21), np.float32),
    )
    matrices = sway_matrices(still, (100, 100), num_frames, fps, 1.0)
    assert matrices[0] == pytest.approx(np.eye(2, 3))
    steps = np.abs(np.diff(np.concatenate([matrices, matrices[:1]]), axis=0)).max(axis=(1, 2))
    assert steps[-1] <= steps.max() + 1e-9


@pytest.mark.parametrize(
    ("length", "num_frames", "order"),
    [(3, 7, [0, 1, 2, 1, 0, 1, 2]), (1, 3, [0, 0, 0]), (5, 3, [0, 1, 2]), (2, 4, [0, 1, 0, 1])],
)
def test_a_short_expression_goes_to_and_fro(length: int, num_frames: int, order: list[int]) -> None:
    assert to_and_fro(length, num_frames).tolist() == order


def test_a_clip_gives_the_expression_and_the_photo_the_pose(photo: Path, swaying: Conditions, tmp_path: Path) -> None:
    walking = np.stack([np.roll(skimage.data.astronaut(), 20 * k, axis=1) for k in range(4)])
    write_video(tmp_path / "clip.mp4", Video(frames=walking, fps=SETTINGS.fps))
    both = found(photo, tmp_path / "clip.mp4", live_photo=True)
    assert both.num_frames == SETTINGS.num_frames  # twice as many as the clip has
    assert np.array_equal(both.pose.body, swaying.pose.body, equal_nan=True)
    heads = both.face_landmarks.mean(axis=1) - swaying.face_landmarks.mean(axis=1)
    assert np.abs(heads).max() < 2  # the driver walks, his face stays on the photo's head


def test_it_can_be_placed_again(swaying: Conditions) -> None:
    nudged = place_again(swaying, replace(SETTINGS, nudge_x=0.1))
    moved = nudged.pose.body[..., 0] - swaying.pose.body[..., 0]
    assert moved[np.isfinite(moved)] == pytest.approx(12.8, abs=0.1)
