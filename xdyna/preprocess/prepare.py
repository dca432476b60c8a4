"""From two files to `Conditions`, with progress and notices in plain words."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np

from xdyna.config import AnimationSettings
from xdyna.photo import crop_to_aspect, read_photo
from xdyna.preprocess.align import Alignment, align, crop_matrix, photo_matrix, warp_frames
from xdyna.preprocess.landmarks import FaceLandmarker, count_faces
from xdyna.preprocess.pose import (
    LEFT_KNEE,
    NECK,
    NOSE,
    RIGHT_KNEE,
    MediaPipePose,
    PoseEstimator,
    bridge_gaps,
    concatenate,
    empty_pose,
    person_found,
)
from xdyna.schema import Conditions, Frames, Image, InputError, Mask, Pose, Progress, Video
from xdyna.video import read_video, resize_frames

DETECTION_SIDE_PX = 896
LARGE_SCALE = 3.0
MIN_RUN = 3  # frames; a detector's false alarms flicker, people stay
MIN_VISIBLE_SHARE = 0.25

Found = TypeVar("Found")


def prepare_conditions(
    photo: Path,
    clip: Path,
    settings: AnimationSettings,
    *,
    photo_estimator: PoseEstimator | None = None,
    clip_estimator: PoseEstimator | None = None,
) -> Iterator[Progress | Conditions]:
    """Reads a photo and a clip and finds body, hands, face and alignment.

    Everything is found in the pictures as read and only then moved to the canvas, so a small canvas loses nothing.

    Args:
        photo: an image file.
        clip: a video file.
        settings: uses `height`, `width`, `num_frames`, `fps` and `start_s`.
        photo_estimator: finds the pose in the photo; MediaPipe by default.
        clip_estimator: finds the pose in the clip; MediaPipe by default.

    Yields:
        `Progress` while working, then one `Conditions`. Closing the iterator stops the work and frees the detectors.

    Raises:
        InputError: a file cannot be used, or shows no person; the message says why and what to do.
    """
    size = settings.height, settings.width
    yield Progress(phase="Reading the photo", step=0, total=1)
    reference_image = read_photo(photo)
    reference_pose = _find_reference(reference_image, size, photo_estimator or MediaPipePose(tracking=False))
    yield Progress(phase="Reading the clip", step=0, total=1)
    video = read_video(clip, fps=settings.fps, start_s=settings.start_s, num_frames=settings.num_frames)
    yield Progress(phase="Reading the clip", step=1, total=1)

    total = len(video)
    frames, zoom = _for_detection(video.frames)
    driver = concatenate(
        (yield from _watched("Body and hands", total, (clip_estimator or MediaPipePose(tracking=True))(frames)))
    )
    driver, visible = _without_ghosts(bridge_gaps(driver))
    if visible.mean() < MIN_VISIBLE_SHARE:
        raise InputError(
            f"No person found in the clip, or in too little of it ({int(visible.sum())} of {total} frames). Head and "
            "shoulders should be visible: choose another part of it or another clip."
        )
    landmarks = np.stack((yield from _watched("Face", total, FaceLandmarker()(frames, driver))))

    yield Progress(phase="Alignment", step=0, total=1)
    driver = driver.transformed(_scaling(1 / zoom))
    alignment = align(reference_pose, driver, (video.frames.shape[1], video.frames.shape[2]), size)
    pose = driver.transformed(alignment.matrix)
    conditions = Conditions(
        reference_image=reference_image,
        reference_pose=reference_pose,
        driving_frames=warp_frames(video.frames, alignment.matrix, size),
        pose=pose,
        face_landmarks=(landmarks / zoom * alignment.matrix[[0, 1], [0, 1]] + alignment.matrix[:, 2]).astype(
            np.float32
        ),
        alignment=alignment.matrix,
        fps=video.fps,
        notices=(
            *_people_notices(reference_image, reference_pose, frames[int(np.argmax(visible))]),
            *_clip_notices(video, settings, visible, np.isfinite(landmarks[:, 0, 0])),
            *_fit_notices(reference_pose, pose, alignment, size),
        ),
    )
    yield Progress(phase="Alignment", step=1, total=1)
    yield conditions


def _watched(phase: str, total: int, work: Iterator[Found]) -> Generator[Progress, None, list[Found]]:
    """Yields a `Progress` before and after every item of `work`, and returns the items."""
    yield Progress(phase=phase, step=0, total=total)
    found = []
    with closing(work):  # type: ignore[type-var]  # generators, typed as the iterators they are used as
        for item in work:
            found.append(item)
            yield Progress(phase=phase, step=len(found), total=total)
    return found


def _find_reference(photo: Image, size: tuple[int, int], estimator: PoseEstimator) -> Pose:
    """The photo's pose in canvas pixels."""
    to_canvas = photo_matrix((photo.shape[0], photo.shape[1]), size)
    whole, zoom = _for_detection(photo[None])
    in_photo = next(iter(estimator(whole))).transformed(_scaling(1 / zoom))
    pose = in_photo.transformed(to_canvas)
    if person_found(pose)[0] and _in_canvas(pose, size)[0]:
        return pose
    # A small person may be found in the part that is used.
    detail_size = _detail_size(size)
    detail = next(iter(estimator(crop_to_aspect(photo, detail_size)[None])))
    if person_found(detail)[0]:
        return detail.transformed(crop_matrix((0, 0, detail_size[1], detail_size[0]), size))
    if person_found(pose)[0]:
        raise InputError(
            f"The person stands outside the middle part of the photo that a {size[1]} x {size[0]} video shows. "
            "Crop the photo around the person, or choose another video size."
        )
    raise InputError(
        "No person found in the photo. Head and shoulders should be visible, not too small, and upright: use another "
        "photo or crop it around the person."
    )


def _for_detection(frames: Frames) -> tuple[Frames, float]:
    """Frames with a longer side of at most 896 px, and how much smaller they became."""
    height, width = frames.shape[1:3]
    zoom = min(1.0, DETECTION_SIDE_PX / max(height, width))
    if zoom == 1:
        return frames, 1.0
    return resize_frames(frames, (round(height * zoom), round(width * zoom))), zoom


def _detail_size(size: tuple[int, int]) -> tuple[int, int]:
    """A canvas of the same shape, large enough to detect in."""
    zoom = DETECTION_SIDE_PX / max(size)
    return round(size[0] * zoom), round(size[1] * zoom)


def _scaling(factor: float) -> np.ndarray:
    return np.array([[factor, 0, 0], [0, factor, 0]], np.float64)


def _in_canvas(pose: Pose, size: tuple[int, int]) -> Mask:
    """`(num_frames,)`: whether neck or nose lies in the picture."""
    points = pose.body[:, [NECK, NOSE]]
    return ((points >= 0) & (points < size[::-1])).all(axis=-1).any(axis=-1)


def _without_ghosts(pose: Pose) -> tuple[Pose, Mask]:
    """Blanks frames with stray joints but no person who stays; also returns where one does."""
    visible = person_found(pose)
    start = 0
    for seen, run in groupby(visible.tolist()):
        end = start + len(list(run))
        if seen and end - start < min(MIN_RUN, len(pose)):
            visible[start:end] = False
        start = end
    blank = empty_pose(len(pose))
    return (
        Pose(
            body=np.where(visible[:, None, None], pose.body, blank.body),
            body_scores=pose.body_scores * visible[:, None],
            hands=np.where(visible[:, None, None, None], pose.hands, blank.hands),
            hand_scores=pose.hand_scores * visible[:, None, None],
        ),
        visible,
    )


def _people_notices(photo: Image, reference_pose: Pose, frame: Image) -> Iterable[str]:
    for name, picture in (("photo", _for_detection(photo[None])[0][0]), ("clip", frame)):
        count = count_faces(picture)
        if count > 1:
            yield f"{count} people found in the {name}; the one with the skeleton is used. Crop it to choose another."


def _clip_notices(video: Video, settings: AnimationSettings, visible: Mask, face: Mask) -> Iterable[str]:
    total = len(video)
    if total < settings.num_frames:
        yield f"The clip gives {total} of the {settings.num_frames} frames asked for."
    missing = int((~visible).sum())
    if missing:
        last = int(np.flatnonzero(visible)[-1])
        if missing == total - 1 - last:
            where = f"from {settings.start_s + (last + 1) / video.fps:.1f} s on ({missing} of {total} frames)"
        else:
            where = f"in {missing} of {total} frames"
        yield f"Nobody is visible in the clip {where}; the pose is blank there."
    faceless = int((visible & ~face).sum())
    if faceless:
        yield f"Face not found in {faceless} of {total} frames; expression control is off there."


def _fit_notices(reference_pose: Pose, pose: Pose, alignment: Alignment, size: tuple[int, int]) -> Iterable[str]:
    if alignment.frame is None:
        yield "Photo and clip show no common part of the body to align; the clip is only cropped."
    if alignment.scale > LARGE_SCALE:
        yield f"The person in the clip is small and magnified {alignment.scale:.1f} times; details will be blurred."
    outside = int((person_found(pose) & ~_in_canvas(pose, size)).sum())
    if outside:
        yield f"The person leaves the picture in {outside} of {len(pose)} frames."
    knees = [RIGHT_KNEE, LEFT_KNEE]
    shows_legs = np.isfinite(pose.body[:, knees, 0]).any(axis=1) & (pose.body[:, knees, 1] < size[0]).any(axis=1)
    if shows_legs.mean() > 0.5 and not np.isfinite(reference_pose.body[0, knees, 0]).any():
        yield "The clip shows legs, the photo does not: legs will be invented."
