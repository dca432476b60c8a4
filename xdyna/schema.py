"""The nouns that the rooms of xdyna hand to one another. NumPy only."""

from dataclasses import dataclass

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
class Conditions:
    """Everything a model may look at, already in the frame of the picture it will make.

    Keypoints, not drawn skeletons: each model draws its own style.

    Attributes:
        reference_image: `(any height, any width, 3)` uint8 RGB, the upright photo, uncropped.
        reference_pose: the photo's own pose, one frame, in the `height x width` canvas (photo after its aspect crop).
        driving_frames: `(num_frames, height, width, 3)` uint8 RGB, the clip moved onto the photo, black outside.
        pose: the driver's pose in that canvas.
        face_landmarks: `(num_frames, 68, 2)` float32 in that canvas; NaN rows where no face was found.
        alignment: `(2, 3)` float64, clip pixels -> canvas pixels.
        fps: frame rate of the driving frames.
        notices: plain sentences about what is unusual (missing faces, short clip), for the user to read.
    """

    reference_image: Image
    reference_pose: Pose
    driving_frames: Frames
    pose: Pose
    face_landmarks: Floats
    alignment: NDArray[np.float64]
    fps: float
    notices: tuple[str, ...] = ()

    @property
    def num_frames(self) -> int:
        return len(self.driving_frames)

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` of the canvas."""
        return self.driving_frames.shape[1], self.driving_frames.shape[2]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One event of a running job.

    Attributes:
        phase: what is being done, in words for the user ("Denoising").
        step: finished steps of this phase, 0..total.
        total: steps of this phase, >= 1.
        seconds_left: estimate for the whole job, or None while unknown.
    """

    phase: str
    step: int
    total: int
    seconds_left: float | None = None


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
        controls: what the model saw.
        model: name of the model that ran, e.g. "xdyna-mini".
        revision: revision of its weights.
        seconds: wall time of the run.
    """

    video: Video
    controls: Controls
    model: str
    revision: str
    seconds: float
