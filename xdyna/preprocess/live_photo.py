"""A photo that comes to life without a driving clip: its own pose, held or gently swaying (paper figure 1).

The driver is made of the photo itself. Its motion is periodic over the clip, so that the result can be played in a
loop.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.config import AnimationSettings
from xdyna.photo import crop_to_aspect, read_photo
from xdyna.preprocess.align import inverse, photo_matrix
from xdyna.preprocess.find import find_subject
from xdyna.preprocess.landmarks import FaceLandmarker
from xdyna.preprocess.masks import person_masks
from xdyna.preprocess.place import place
from xdyna.preprocess.pose import LEFT_HIP, NOSE, RIGHT_HIP, PoseEstimator, concatenate
from xdyna.preprocess.prepare import READING_PHOTO, prepare_conditions
from xdyna.schema import Conditions, Floats, Frames, Image, Motion, Pose, Progress

MAX_LEAN_DEG, MAX_BREATH = 2.5, 0.006  # at a sway of 1; breath stretches and shrinks the body by that share
PERIOD_S = 4.0
SWAYING = "Letting the photo sway"

Matrices = NDArray[np.float64]
"""`(num_frames, 2, 3)` float64 affine maps of canvas pixels."""


def prepare_live_photo(
    photo: Path, clip: Path | None, settings: AnimationSettings, *, photo_estimator: PoseEstimator | None = None
) -> Iterator[Progress | Conditions]:
    """`Conditions` in which the photo's own pose drives.

    Args:
        photo: an image file.
        clip: a video whose expression is taken, played to and fro until the last frame; None keeps the photo's own.
        settings: uses the size, `num_frames`, `fps`, `sway` and the person of the photo; with a clip also its part.
        photo_estimator: finds the pose in the photo; MediaPipe by default.

    Yields:
        `Progress` while working, then one `Conditions`, as `prepare_conditions` does.

    Raises:
        InputError: a file cannot be used, or shows no person; the message says why and what to do.
    """
    if clip is None:
        yield from _from_photo(photo, settings, photo_estimator)
        return
    with closing(prepare_conditions(photo, clip, settings)) as events:  # type: ignore[type-var]
        for event in events:
            yield _with_expression(event, settings) if isinstance(event, Conditions) else event


def sway_matrices(pose: Pose, size: tuple[int, int], num_frames: int, fps: float, sway: float) -> Matrices:
    """How a standing person moves: a slow lean to and fro about the feet, and breath.

    Args:
        pose: of the photo, one frame, in canvas pixels.
        size: `(height, width)` of the canvas.
        num_frames: of the clip; a whole number of periods fits into it.
        fps: of the clip.
        sway: 0 (still) to 1.

    Returns:
        Maps of the photo's canvas to each frame; the first is the identity.
    """
    cycles = max(1, round(num_frames / fps / PERIOD_S))
    phase = 2 * np.pi * cycles * np.arange(num_frames) / num_frames
    lean, stretch = np.radians(sway * MAX_LEAN_DEG) * np.sin(phase), 1 + sway * MAX_BREATH * np.sin(2 * phase)
    x, y = _foot(pose, size)
    cos, sin = np.cos(lean), np.sin(lean)
    linear = np.stack([np.stack([cos, -sin * stretch], -1), np.stack([sin, cos * stretch], -1)], axis=1)
    return np.concatenate([linear, (np.array([x, y]) - linear @ [x, y])[..., None]], axis=-1)


def to_and_fro(length: int, num_frames: int) -> NDArray[np.int64]:
    """`(num_frames,)` indices that play a clip of `length` frames forwards and backwards until enough are there."""
    period = max(1, 2 * (length - 1))
    steps = np.arange(num_frames) % period
    return np.minimum(steps, period - steps) if length > 1 else np.zeros(num_frames, np.int64)


def photo_landmarks(conditions: Conditions) -> Floats:
    """`(68, 2)` float32 face points of the photo's person in canvas pixels; NaN where no face is found."""
    photo = conditions.reference_image
    to_canvas = photo_matrix(photo, conditions.size, conditions.photo_box)
    with FaceLandmarker() as find_face:
        points = find_face(photo, conditions.reference_pose.transformed(inverse(to_canvas)))
    return (points @ to_canvas[:, :2].T + to_canvas[:, 2]).astype(np.float32)


def _from_photo(
    photo: Path, settings: AnimationSettings, estimator: PoseEstimator | None
) -> Iterator[Progress | Conditions]:
    yield Progress(phase=READING_PHOTO, step=0, total=1)
    picture, size = read_photo(photo), (settings.height, settings.width)
    subject = find_subject(picture, settings.photo_person, estimator)
    yield Progress(phase=READING_PHOTO, step=1, total=1)
    to_canvas = photo_matrix(picture, size, subject.box)
    reference = subject.pose.transformed(to_canvas)
    matrices = sway_matrices(reference, size, settings.num_frames, settings.fps, settings.sway)
    with FaceLandmarker() as find_face:
        points = find_face(picture, subject.pose)
    face = (points @ to_canvas[:, :2].T + to_canvas[:, 2]).astype(np.float32)
    motion = _motion(reference, face, matrices, size, settings.fps)
    conditions = place(picture, subject, motion, settings)
    yield Progress(phase=SWAYING, step=0, total=1)
    conditions.driving_frames[:] = _swaying(crop_to_aspect(picture, size, subject.box), reference, matrices)
    yield Progress(phase=SWAYING, step=1, total=1)
    yield conditions


def _motion(reference: Pose, face: Floats, matrices: Matrices, size: tuple[int, int], fps: float) -> Motion:
    """The photo's person as a driver, in canvas pixels."""
    pose = concatenate(reference.transformed(matrix) for matrix in matrices)
    seen = pose.body
    boxes = np.concatenate([np.nanmin(seen, axis=1), np.nanmax(seen, axis=1)], axis=-1)
    return Motion(
        pose=pose,
        face_landmarks=np.stack([face @ m[:, :2].T + m[:, 2] for m in matrices]).astype(np.float32),
        boxes=boxes.astype(np.float32),
        frame_size=size,
        picture=(0, 0, size[1], size[0]),
        fps=fps,
    )


def _swaying(photo: Image, reference: Pose, matrices: Matrices) -> Frames:
    """The person of the photo moved over the photo, which stays."""
    size = photo.shape[0], photo.shape[1]
    mask = person_masks(reference, size)[0]
    frames = np.empty((len(matrices), *photo.shape), np.uint8)
    for frame, matrix in zip(frames, matrices, strict=True):
        person = cv2.warpAffine(photo, matrix, size[::-1], borderMode=cv2.BORDER_REPLICATE)
        share = cv2.warpAffine(mask, matrix, size[::-1])[..., None]
        frame[:] = np.round(share * person + (1 - share) * photo)
    return frames


def _with_expression(conditions: Conditions, settings: AnimationSettings) -> Conditions:
    """The clip's face, to and fro, on the head of the photo's swaying person."""
    order = to_and_fro(conditions.num_frames, settings.num_frames)
    reference, size, fps = conditions.reference_pose, conditions.size, conditions.fps
    matrices = sway_matrices(reference, size, len(order), fps, settings.sway)
    pose = concatenate(reference.transformed(matrix) for matrix in matrices)
    faces, frames = conditions.face_landmarks[order], conditions.driving_frames[order]
    own = photo_landmarks(conditions).mean(axis=0)
    head = own if np.isfinite(own).all() else reference.body[0, NOSE]
    for k, matrix in enumerate(matrices):
        shift = matrix[:, :2] @ head + matrix[:, 2] - faces[k].mean(axis=0)
        if np.isfinite(shift).all():
            faces[k] += shift.astype(np.float32)
            frames[k] = cv2.warpAffine(frames[k], np.column_stack([np.eye(2), shift]), size[::-1])
    boxes = np.concatenate([np.nanmin(pose.body, axis=1), np.nanmax(pose.body, axis=1)], axis=-1)
    coarse = None if conditions.person_masks is None else conditions.person_masks.shape[1:]
    return replace(
        conditions,
        pose=pose,
        face_landmarks=faces,
        driving_frames=frames,
        boxes=boxes.astype(np.float32),
        person_masks=None if coarse is None else person_masks(pose, size, (coarse[0], coarse[1])),
        motion=None,
        clip=None,
        sound=None if len(order) > conditions.num_frames else conditions.sound,
    )


def _foot(pose: Pose, size: tuple[int, int]) -> tuple[float, float]:
    """The point that a person sways about: between the hips, at the lowest joint that is seen."""
    body = pose.body[0]
    hips = body[[RIGHT_HIP, LEFT_HIP], 0]
    x = hips.mean() if np.isfinite(hips).all() else np.nanmean(body[:, 0])
    return float(x), float(min(size[0], np.nanmax(body[:, 1])))
