"""The nouns that the rooms of xdyna hand to one another. NumPy only."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""`(num_frames, height, width, 3)` uint8 RGB."""
Image = NDArray[np.uint8]
"""`(height, width, 3)` uint8 RGB."""
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

NUM_BODY_JOINTS = 18
NUM_HAND_JOINTS = 21
NUM_FACE_LANDMARKS = 68


class InputError(ValueError):
    """A user can fix this: the message says what we got, what we accept and what to do."""


@dataclass(frozen=True, kw_only=True)
class Video:
    """A decoded clip.

    Attributes:
        frames: `(num_frames, height, width, 3)` uint8 RGB.
        fps: frames per second, > 0.
    """

    frames: Frames
    fps: float

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8:
            raise ValueError(f"frames must be (n, h, w, 3) uint8, got {self.frames.shape} {self.frames.dtype}")
        if not self.fps > 0:
            raise ValueError(f"fps must be > 0, got {self.fps}")

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Body and hand keypoints of one person over a clip, in pixels of the frames they belong to.

    A joint that was not found is NaN with score 0.

    Attributes:
        body: `(num_frames, 18, 2)` float32 x, y in the OpenPose COCO-18 order: nose, neck, right shoulder, elbow,
            wrist, left shoulder, elbow, wrist, right hip, knee, ankle, left hip, knee, ankle, right eye, left eye,
            right ear, left ear. Right means the person's own right.
        body_scores: `(num_frames, 18)` float32 in 0..1.
        hands: `(num_frames, 2, 21, 2)` float32 x, y; right hand first, then left; MediaPipe's 21-point order.
        hand_scores: `(num_frames, 2, 21)` float32 in 0..1.
    """

    body: Floats
    body_scores: Floats
    hands: Floats
    hand_scores: Floats

    def __post_init__(self) -> None:
        n = len(self.body)
        expected = {
            "body": (n, NUM_BODY_JOINTS, 2),
            "body_scores": (n, NUM_BODY_JOINTS),
            "hands": (n, 2, NUM_HAND_JOINTS, 2),
            "hand_scores": (n, 2, NUM_HAND_JOINTS),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.body)

    def __getitem__(self, frames: slice) -> "Pose":
        return Pose(
            body=self.body[frames],
            body_scores=self.body_scores[frames],
            hands=self.hands[frames],
            hand_scores=self.hand_scores[frames],
        )

    def transformed(self, matrix: NDArray[np.floating]) -> "Pose":
        """Maps all keypoints by a `(2, 3)` affine matrix: `x' = A x + t`."""
        linear, shift = np.asarray(matrix[:, :2], np.float32), np.asarray(matrix[:, 2], np.float32)
        return Pose(
            body=self.body @ linear.T + shift,
            body_scores=self.body_scores,
            hands=self.hands @ linear.T + shift,
            hand_scores=self.hand_scores,
        )


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who was found in a photo or a clip.

    Attributes:
        id: counts from 1 within one photo or clip; the first is the one chosen by default.
        box: left, top, right, bottom in pixels of the photo or of the clip's frames as read; right and bottom are
            exclusive.
        score: how sure the detector is, 0..1.
        frame: the frame in which the person is at `box`; 0 in a photo.
    """

    id: int
    box: tuple[float, float, float, float]
    score: float
    frame: int = 0


@dataclass(frozen=True)
class Fix:
    """What one click can do about a warning.

    Attributes:
        label: of the button: "Start at 1.5 s".
        settings: changes to `AnimationSettings`, by field name.
    """

    label: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Check:
    """Something worth knowing about a photo and a clip before time is spent on them.

    Attributes:
        id: stable name of the check: "face-missing".
        severity: "warning" where the result will suffer, else "info".
        message: plain sentences: what was found, what it means for the result, what to do.
        fix: a change of settings that helps, or None.
    """

    id: str
    severity: Literal["info", "warning"]
    message: str
    fix: Fix | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    """What is left of a driving clip when its pictures are taken away.

    Attributes:
        pose: the driver's pose in pixels of the clip's frames.
        face_landmarks: `(num_frames, 68, 2)` float32 in pixels of these frames; NaN rows where no face was found.
        boxes: `(num_frames, 4)` float32 left, top, right, bottom of the driver in these frames; NaN where not seen.
        frame_size: `(height, width)` of the clip's frames as read.
        picture: left, top, right, bottom of their part between black bars; right and bottom are exclusive.
        fps: frames per second.
        start_s: where in the clip the first frame was taken, in seconds.
        people: who was found in the clip.
        person: id of the one who drives, or None where people were not counted.
        cuts: frames, counted from 0, that begin another shot.
        camera_speed: how fast the camera moves, in diagonals of the frame per second.
        clip_s: length of the whole clip in seconds, or None where unknown.
        has_pictures: whether there is a clip to it; a motion file is all there is otherwise.
    """

    pose: Pose
    face_landmarks: Floats
    boxes: Floats
    frame_size: tuple[int, int]
    picture: tuple[int, int, int, int]
    fps: float
    start_s: float = 0.0
    people: tuple[Person, ...] = ()
    person: int | None = None
    cuts: tuple[int, ...] = ()
    camera_speed: float = 0.0
    clip_s: float | None = None
    has_pictures: bool = True

    def __post_init__(self) -> None:
        expected = {"face_landmarks": (len(self.pose), NUM_FACE_LANDMARKS, 2), "boxes": (len(self.pose), 4)}
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.pose)


@dataclass(frozen=True, kw_only=True, eq=False)
class Conditions:
    """Everything a model may look at, already in the frame of the picture it will make.

    Keypoints, not drawn skeletons: each model draws its own style. The canvas is the picture to be made; the photo
    fills it after its aspect crop.

    Attributes:
        reference_image: `(any height, any width, 3)` uint8 RGB, the upright photo, uncropped.
        reference_pose: the photo's own pose, one frame, in the `height x width` canvas (photo after its aspect crop).
        driving_frames: `(num_frames, height, width, 3)` uint8 RGB, the clip moved onto the photo, black outside; all
            black where a motion file stands for the clip.
        pose: the driver's pose in that canvas.
        face_landmarks: `(num_frames, 68, 2)` float32 in that canvas; NaN rows where no face was found.
        alignment: `(2, 3)` float64, clip pixels -> canvas pixels, nudge included.
        fps: frame rate of the driving frames.
        boxes: `(num_frames, 4)` float32 left, top, right, bottom of the driver in that canvas; NaN where not seen.
        person_masks: `(num_frames, any height, any width)` float32 0..1 over the whole canvas, 1 on the driver, with
            soft edges; coarse, as drawn from the pose.
        reference_person_mask: `(any height, any width)` float32 0..1, likewise for the photo's person.
        matte: `(height, width)` float32 0..1 in that canvas, the photo's person as a user corrected it; None where
            nobody has: then each model that needs one estimates it.
        photo_people: who was found in the photo.
        photo_person: id of the one that is animated, or None where the photo's people were not counted.
        motion: the driver as found, in pixels of the clip; it can be saved and used instead of the clip.
        clip: the clip's frames as read, whole and in their own size, `(any height, any width, 3)` uint8 RGB, as many
            as the driving frames: each pass reads the file anew, so that they take no memory. None where a motion
            file stands for the clip, and where the driver was made from the photo.
        checks: what is unusual about photo and clip, for the user to read.
        best_start_s: where in the clip the driver's posture is most like the photo's, in seconds, or None where they
            cannot be compared.
        sound: the clip's sound for these frames as an M4A file, or None.
        seconds: how long each stage of the preparation took, by its name.
    """

    reference_image: Image
    reference_pose: Pose
    driving_frames: Frames
    pose: Pose
    face_landmarks: Floats
    alignment: NDArray[np.float64]
    fps: float
    boxes: Floats | None = None
    person_masks: Floats | None = None
    reference_person_mask: Floats | None = None
    matte: Floats | None = None
    photo_people: tuple[Person, ...] = ()
    photo_person: int | None = None
    motion: Motion | None = None
    clip: Iterable[Image] | None = field(default=None, repr=False)
    checks: tuple[Check, ...] = ()
    best_start_s: float | None = None
    sound: bytes | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def num_frames(self) -> int:
        return len(self.driving_frames)

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` of the canvas."""
        return self.driving_frames.shape[1], self.driving_frames.shape[2]

    @property
    def photo_box(self) -> tuple[float, float, float, float] | None:
        """Left, top, right, bottom of the animated person in the photo's pixels; None where nobody was looked for.

        The photo's aspect crop is laid so that it shows this box.
        """
        return next((person.box for person in self.photo_people if person.id == self.photo_person), None)

    @property
    def frames_without_face(self) -> NDArray[np.int64]:
        """Frames, counted from 0, whose face the model does not see."""
        return np.flatnonzero(~np.isfinite(self.face_landmarks[:, 0, 0]))

    @cached_property
    def matte_hash(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the corrected `matte`; empty where there is none."""
        return "" if self.matte is None else hashlib.sha256(np.ascontiguousarray(self.matte).data).hexdigest()[:16]

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of what a model looks at, as 64 hexadecimal digits. Equal hashes give equal animations."""
        digest = hashlib.sha256()
        poses = (self.reference_pose, self.pose)
        arrays: list[NDArray[Any]] = [
            part for pose in poses for part in (pose.body, pose.body_scores, pose.hands, pose.hand_scores)
        ]
        arrays += [self.reference_image, self.driving_frames, self.face_landmarks, self.alignment]
        for array in (*arrays, *(self.clip or ())):
            digest.update(f"{array.shape} {array.dtype.str};".encode())
            digest.update(np.ascontiguousarray(array).data)
        digest.update(f"{self.fps!r}".encode() + (self.sound or b"") + self.matte_hash.encode())
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One event of a running job.

    Attributes:
        phase: what is being done, in words for the user ("Denoising").
        step: finished steps of this phase, 0..total.
        total: steps of this phase, >= 1.
        seconds_left: estimate for the whole job, or None while unknown.
        preview: `(num_frames, any height, any width, 3)` uint8 RGB, a rough look at what the whole result will be, or
            None where there is nothing new to see.
    """

    phase: str
    step: int
    total: int
    seconds_left: float | None = None
    preview: Frames | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Controls:
    """What the X-Dyna ControlNets see: three drawn clips, each `(num_frames, height, width, 3)` uint8 RGB."""

    pose: Frames
    face_local: Frames
    face_global: Frames


@dataclass(frozen=True, kw_only=True)
class Animation:
    """A finished (or stopped) run.

    Attributes:
        video: the result, without any label burned in.
        controls: what the model saw, clips by name as `Backend.prepare` gives them; "pose" where it saw a drawn pose.
        model: name of the model that ran, e.g. "xdyna-mini".
        revision: revision of its weights.
        seconds: wall time of the run.
        stopped: whether it was stopped before the last step; the video is then the model's estimate at that point.
        matte: `Conditions.matte_hash` where the run looked at a corrected mask of the photo's person, else empty.
        source_index: the driving frame, counted from 0, that each frame follows, -1 where it follows none; empty where
            they are the same frames.
        person_masks: `(num_frames, any height, any width)` float32 0..1, 1 on the person of the result, with soft
            edges; None where they are those of the conditions.
    """

    video: Video
    controls: Mapping[str, Frames]
    model: str
    revision: str
    seconds: float
    stopped: bool = False
    matte: str = ""
    source_index: tuple[int, ...] = ()
    person_masks: Floats | None = field(default=None, compare=False, repr=False)

    @property
    def driven_by(self) -> NDArray[np.int64]:
        """`(num_frames,)`: the driving frame to show beside each frame, the first where it follows none."""
        return np.maximum(self.source_index or range(len(self.video)), 0)
