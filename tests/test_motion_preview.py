"""See it move: the photo moved by the first seconds of what was found."""

from dataclasses import replace

import numpy as np
import pytest
from backends.tiny_backends import tiny_conditions
from puppet.drawn import drawn, still

from xdyna.backends import BACKENDS
from xdyna.motion_preview import see_it_move, small_conditions
from xdyna.preprocess.align import photo_matrix
from xdyna.preprocess.pose import concatenate
from xdyna.schema import Animation, Conditions, InputError

SETTINGS = BACKENDS["xdyna-mini"].defaults


def conditions(num_frames: int, fps: float, size: tuple[int, int], person: float = 0.8) -> Conditions:
    """Noise, and a person who is so tall, in shares of the canvas."""
    given = tiny_conditions(num_frames)
    zoom = person * size[0] / np.ptp(given.reference_pose.body[0, :, 1])
    matrix = np.array([[zoom, 0, 0], [0, zoom, 0]])
    frames = np.zeros((num_frames, *size, 3), np.uint8)
    poses = {name: getattr(given, name).transformed(matrix) for name in ("pose", "reference_pose")}
    return replace(given, fps=fps, driving_frames=frames, **poses)


@pytest.mark.parametrize(
    ("given", "fps", "num_frames"),
    [
        ((16, 8.0), 8.0, 16),  # all of a short clip
        ((40, 8.0), 8.0, 24),  # 3 s of a long one
        ((40, 12.0), 12.0, 36),
        ((80, 24.0), 12.0, 36),  # every other frame
        ((100, 30.0), 10.0, 30),
    ],
)
def test_it_takes_three_seconds_at_twelve_frames_a_second_at_most(
    given: tuple[int, float], fps: float, num_frames: int
) -> None:
    small = small_conditions(conditions(*given, (224, 128)))
    assert (small.fps, small.num_frames, len(small.pose), len(small.face_landmarks)) == (fps, *(num_frames,) * 3)


@pytest.mark.parametrize(
    ("size", "person", "shown"),
    [
        ((224, 128), 0.8, (448, 256)),  # a small model's canvas is shown larger: the photo has the pixels
        ((896, 512), 0.8, (448, 256)),
        ((512, 896), 0.8, (256, 448)),
        ((896, 512), 0.2, (640, 368)),  # a small person would be too small for Puppet otherwise
        ((896, 512), 0.05, (896, 512)),
    ],
)
def test_its_picture_has_the_shape_of_the_video(size: tuple[int, int], person: float, shown: tuple[int, int]) -> None:
    given = conditions(4, 8.0, size, person)
    small = small_conditions(given)
    assert small.size == shown
    zoom = photo_matrix(given.reference_image, shown)[0, 0] / photo_matrix(given.reference_image, size)[0, 0]
    for one, other in ((small.pose, given.pose), (small.reference_pose, given.reference_pose)):
        sizes = [np.ptp(pose.body[..., 1]) for pose in (one, other)]
        assert sizes[0] == pytest.approx(zoom * sizes[1], rel=0.02)


def test_the_photos_own_pixels_follow_the_driver() -> None:
    still_pose, shifted = still(908), np.array([[1, 0, 24], [0, 1, 0]])
    moving = concatenate(still_pose.transformed(matrix) for matrix in (np.eye(2, 3), shifted))
    photo = drawn(908).frames[0]
    given = Conditions(
        reference_image=photo,
        reference_pose=still_pose,
        driving_frames=np.zeros((2, *photo.shape), np.uint8),
        pose=moving,
        face_landmarks=np.full((2, 68, 2), np.nan, np.float32),
        alignment=np.eye(2, 3),
        fps=8.0,
        matte=drawn(908).person_mask[0].astype(np.float32),
    )
    *_, made = see_it_move(given, SETTINGS)
    assert isinstance(made, Animation) and made.video.frames.shape == (2, *photo.shape)
    assert made.matte == given.matte_hash  # the recipe says that a corrected mask was used
    person = drawn(908).person_mask[0]
    calm, moved = (np.abs(frame.astype(int) - photo)[person].mean() for frame in made.video.frames)
    assert calm <= 2 < 20 < moved
    assert np.abs(made.video.frames[1].astype(int) - np.roll(photo, 24, axis=1))[np.roll(person, 24, 1)].mean() < 12


def test_it_refuses_what_warping_cannot_show() -> None:
    with pytest.raises(InputError, match="replace mode"):
        list(see_it_move(tiny_conditions(), replace(SETTINGS, mode="replace")))
    with pytest.raises(InputError, match="pixels tall"):
        list(see_it_move(conditions(2, 8.0, (896, 512), 0.05), SETTINGS))
