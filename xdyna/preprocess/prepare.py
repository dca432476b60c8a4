"""From two files to `Conditions`: find, place, and move the clip's pictures onto the photo."""

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from xdyna.config import AnimationSettings
from xdyna.photo import read_photo
from xdyna.preprocess.align import warp_frame
from xdyna.preprocess.cache import RecentlyUsed, file_hash
from xdyna.preprocess.find import Subject, find_motion, find_subject
from xdyna.preprocess.motion_file import excerpt, is_motion_file, load_motion
from xdyna.preprocess.place import place
from xdyna.preprocess.pose import PoseEstimator
from xdyna.schema import Conditions, Image, Motion, Progress
from xdyna.video import FrameReader, read_frames, read_sound

READING_PHOTO, READING_CLIP, PLACING = "Reading the photo", "Reading the clip", "Laying the clip on the photo"
MAX_REMEMBERED = 32  # keypoints of a few hundred frames each: some megabytes in all

_subjects: RecentlyUsed[Subject] = RecentlyUsed(MAX_REMEMBERED)
_motions: RecentlyUsed[Motion] = RecentlyUsed(MAX_REMEMBERED)

Returned = TypeVar("Returned")


def prepare_conditions(
    photo: Path,
    clip: Path,
    settings: AnimationSettings,
    *,
    photo_estimator: PoseEstimator | None = None,
    clip_estimator: PoseEstimator | None = None,
) -> Iterator[Progress | Conditions]:
    """Reads a photo and a clip and finds people, body, hands, face and alignment.

    Everything is found in the pictures as read and only then moved to the canvas, so a small canvas loses nothing.
    What was found in the same bytes before is remembered, as long as the process lives: another nudge, retargeting or
    strength does not look again. The clip is decoded once to find people, once to follow the driver and once to move
    its pictures; never are all of them held in full size.

    Args:
        photo: an image file.
        clip: a video file, or a motion file that `xdyna prepare` wrote.
        settings: uses the size, the part of the clip, the people chosen, retargeting, nudge and `keep_sound`.
        photo_estimator: finds the pose in the photo; MediaPipe by default.
        clip_estimator: finds the pose in the clip; MediaPipe by default.

    Yields:
        `Progress` while working, then one `Conditions`. Closing the iterator stops the work and frees the detectors.

    Raises:
        InputError: a file cannot be used, or shows no person; the message says why and what to do.
    """
    seconds: dict[str, float] = {}
    picture, subject = yield from _timed(seconds, _subject(photo, settings, photo_estimator))
    if is_motion_file(clip):
        part = {"fps": settings.fps, "start_s": settings.start_s, "num_frames": settings.num_frames}
        motion = excerpt(load_motion(clip), **part)  # type: ignore[arg-type]
        yield Progress(phase=READING_CLIP, step=1, total=1)
        conditions = place(picture, subject, motion, settings)
    else:
        yield Progress(phase=READING_CLIP, step=0, total=1)
        frames = read_frames(clip, fps=settings.fps, start_s=settings.start_s, num_frames=settings.num_frames)
        yield Progress(phase=READING_CLIP, step=1, total=1)
        motion = yield from _timed(seconds, _motion(clip, frames, settings, clip_estimator))
        length_s = len(motion) / motion.fps
        sound = read_sound(clip, start_s=settings.start_s, duration_s=length_s) if settings.keep_sound else None
        conditions = replace(place(picture, subject, motion, settings), sound=sound, clip=frames)
        yield from _timed(seconds, _move(frames, conditions))
    yield replace(conditions, seconds=seconds)


def _subject(
    photo: Path, settings: AnimationSettings, estimator: PoseEstimator | None
) -> Generator[Progress, None, tuple[Image, Subject]]:
    yield Progress(phase=READING_PHOTO, step=0, total=1)
    picture = read_photo(photo)
    key = file_hash(photo), settings.photo_person
    subject = None if estimator else _subjects.get(key)
    if subject is None:
        subject = find_subject(picture, settings.photo_person, estimator)
        if not estimator:
            _subjects.put(key, subject)
    yield Progress(phase=READING_PHOTO, step=1, total=1)
    return picture, subject


def _motion(
    clip: Path, frames: FrameReader, settings: AnimationSettings, estimator: PoseEstimator | None
) -> Generator[Progress, None, Motion]:
    key = file_hash(clip), settings.fps, settings.start_s, settings.num_frames, settings.clip_person
    motion = None if estimator else _motions.get(key)
    if motion is None:
        motion = yield from find_motion(frames, settings.clip_person, estimator)
        if not estimator:
            _motions.put(key, motion)
    return motion


def _move(frames: FrameReader, conditions: Conditions) -> Generator[Progress, None, None]:
    """Fills the driving frames."""
    total = conditions.num_frames
    yield Progress(phase=PLACING, step=0, total=total)
    with closing(iter(frames)) as pictures:
        for k, (frame, target) in enumerate(zip(pictures, conditions.driving_frames, strict=True), start=1):
            target[:] = warp_frame(frame, conditions.alignment, conditions.size)
            yield Progress(phase=PLACING, step=k, total=total)


def _timed(
    seconds: dict[str, float], work: Generator[Progress, None, Returned]
) -> Generator[Progress, None, Returned]:
    """Passes events on, and notes how long the work of each phase took; time at the receiver does not count."""
    with closing(work):
        phase = ""
        while True:
            started = time.monotonic()
            try:
                event = next(work)
                phase = event.phase
            except StopIteration as stop:
                result: Returned = stop.value
                return result
            finally:
                seconds[phase] = seconds.get(phase, 0.0) + time.monotonic() - started
            yield event
