"""Looks at a photo and at a clip: who is there, and how do they stand and move? In pixels of the pictures as read."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby, tee

import numpy as np

from xdyna.preprocess.camera import CameraWatcher
from xdyna.preprocess.landmarks import FaceLandmarker
from xdyna.preprocess.people import choose, find_people, smallest_person_px
from xdyna.preprocess.pose import MediaPipePose, PoseEstimator, concatenate, empty_pose, person_found
from xdyna.preprocess.smoothing import steady
from xdyna.preprocess.tracks import Cast, PeopleTracker
from xdyna.schema import Image, InputError, Mask, Motion, Person, Pose, Progress
from xdyna.video import FrameReader

MIN_RUN = 3  # frames; a detector's false alarms flicker, people stay
MIN_VISIBLE_SHARE = 0.25
FINDING, FOLLOWING = "Finding people", "Body and hands, face"


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """The person of the photo, without the photo.

    Attributes:
        pose: one frame, in pixels of the uncropped photo.
        people: who was found in the photo.
        person: id of the one that `pose` belongs to.
    """

    pose: Pose
    people: tuple[Person, ...]
    person: int

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the person in pixels of the photo."""
        return next(person.box for person in self.people if person.id == self.person)


def find_subject(photo: Image, choice: str = "auto", estimator: PoseEstimator | None = None) -> Subject:
    """Finds the person of a photo.

    Args:
        photo: `(any height, any width, 3)` uint8 RGB.
        choice: as `AnimationSettings.photo_person`.
        estimator: MediaPipe by default.

    Raises:
        InputError: nobody is there, or nobody fits the choice.
    """
    people = find_people(photo)
    if not people:
        raise _nobody_in_photo(photo)
    person = choose(people, choice)
    poses = (estimator or MediaPipePose(tracking=False))([photo], np.array([person.box], np.float32))
    with closing(poses):  # type: ignore[type-var]  # generators, typed as the iterators they are used as
        pose = next(poses)
    if not person_found(pose)[0]:
        raise _nobody_in_photo(photo)
    return Subject(pose=pose, people=people, person=person.id)


def find_motion(
    frames: FrameReader, choice: str = "auto", estimator: PoseEstimator | None = None
) -> Generator[Progress, None, Motion]:
    """Finds the driver of a clip and how it moves, in two passes: who is there, and how the chosen one moves.

    Args:
        frames: the part of the clip to look at; no more than three pictures are held at a time.
        choice: as `AnimationSettings.clip_person`.
        estimator: MediaPipe by default.

    Yields:
        `Progress` before and after every frame of each pass. Closing the generator frees the detectors.

    Raises:
        InputError: nobody is there, or for too short, or nobody fits the choice.
    """
    cast = yield from _find_cast(frames)
    if not cast.tracks:
        raise _nobody_in_clip(0, cast.num_frames)
    track = cast.track(choose(cast.people, choice).id)
    poses, faces, camera = [], [], CameraWatcher(frames.fps)
    yield Progress(phase=FOLLOWING, step=0, total=cast.num_frames)
    with closing(iter(frames)) as pictures, FaceLandmarker() as find_face:
        first, second = tee(pictures)
        work = (estimator or MediaPipePose(tracking=True))(first, track.boxes, cast.picture)
        with closing(work):  # type: ignore[type-var]
            for frame, pose, box in zip(second, work, track.boxes, strict=False):
                poses.append(pose)
                faces.append(find_face(frame, pose, box))
                camera.add(frame, box)
                yield Progress(phase=FOLLOWING, step=len(poses), total=cast.num_frames)
    pose, visible = _without_ghosts(steady(concatenate(poses), frames.fps, cast.cuts))
    if visible.mean() < MIN_VISIBLE_SHARE:
        raise _nobody_in_clip(int(visible.sum()), len(pose))
    return Motion(
        pose=pose,
        face_landmarks=np.where(visible[:, None, None], np.stack(faces), np.nan).astype(np.float32),
        boxes=track.boxes,
        frame_size=frames.size,
        picture=cast.picture,
        fps=frames.fps,
        start_s=frames.start_s,
        people=cast.people,
        person=track.person.id,
        cuts=cast.cuts,
        camera_speed=camera.speed(),
        clip_s=frames.info.duration_s,
    )


def _find_cast(frames: FrameReader) -> Generator[Progress, None, Cast]:
    """Who is in the clip, and the frames that begin another shot."""
    total = frames.expected_frames
    yield Progress(phase=FINDING, step=0, total=total)
    with closing(iter(frames)) as pictures, PeopleTracker(frames.fps) as tracker:
        for k, frame in enumerate(pictures, start=1):
            tracker.add(frame)
            yield Progress(phase=FINDING, step=k, total=max(k, total))
        return tracker.cast()


def _nobody_in_photo(photo: Image) -> InputError:
    height, width = photo.shape[:2]
    return InputError(
        "No person found in the photo. Either nobody is in it, or the person is too small (less than about "
        f"{smallest_person_px(photo)} pixels high in these {width} x {height}), upside down, or hidden: head and "
        "shoulders must be visible. Use a photo taken nearer."
    )


def _nobody_in_clip(num_visible: int, num_frames: int) -> InputError:
    return InputError(
        f"No person found in the clip, or in too little of it ({num_visible} of {num_frames} frames). Head and "
        "shoulders should be visible: choose another part of it or another clip."
    )


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
