"""A puppet that a camera drives: what a picture shows, and the photo's person moved that way."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from xdyna.preprocess.landmarks import FaceLandmarker
from xdyna.preprocess.one_euro import OneEuro
from xdyna.preprocess.pose import MediaPipePose, person_found
from xdyna.puppet.face import calm_face, expression_offsets
from xdyna.puppet.figure import Figure
from xdyna.puppet.live_motion import Calibration, LiveMotion
from xdyna.puppet.skeleton import Array
from xdyna.schema import Floats, Image, Pose

CALM_EVERY_S, CALM_FACES = 0.25, 80  # the calm face is the median of the last 20 s
FACE_CUTOFF_HZ, FACE_BETA = 4.0, 4.0  # of the filter; speeds in distances between the eyes per second

USUAL_FPS = 16.0  # at which hair and cloth swing

State = Literal["looking", "hold-still", "following"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sight:
    """What one picture of the camera shows, in its pixels.

    Attributes:
        pose: The driver's, one frame.
        face: The driver's 68 points, `(68, 2)`, NaN where no face was found.
        frame_size: `(height, width)` of the picture.
        at_s: When it was taken, in seconds that only grow.
    """

    pose: Pose
    face: Floats
    frame_size: tuple[int, int]
    at_s: float


class Eyes:
    """Finds the driver in a camera's pictures. Use one thread at a time, and close it at the end."""

    def __init__(self) -> None:
        self._next = deque[Image]()
        self._find_face = FaceLandmarker(tracking=True).__enter__()
        self._poses: Iterator[Pose] | None = None
        self._size = (0, 0)

    def look(self, picture: Image, at_s: float) -> Sight:
        """Return what a picture shows, `(height, width, 3)` uint8 RGB."""
        size = (picture.shape[0], picture.shape[1])
        if self._poses is None or size != self._size:
            self._end_poses()
            estimate = MediaPipePose(tracking=True, find_hands=False)
            self._poses, self._size = estimate(self._pictures(), picture=(0, 0, size[1], size[0])), size
        self._next.append(picture)
        pose = next(self._poses)
        return Sight(pose=pose, face=self._find_face(picture, pose), frame_size=size, at_s=at_s)

    def close(self) -> None:
        """Release the detectors."""
        self._end_poses()
        self._find_face.__exit__(None, None, None)

    def _pictures(self) -> Iterator[Image]:
        while True:
            yield self._next.popleft()

    def _end_poses(self) -> None:
        if self._poses is not None:
            self._poses.close()  # type: ignore[attr-defined]  # a generator, typed as the iterator it is used as
            self._poses = None


class LivePuppet:
    """Draws a photo's person as a driver moves, picture by picture, without looking ahead.

    Args:
        figure: The puppet.
        reference: The photo's pose, one frame, in canvas pixels.
        rest: The photo's skeleton, from `rest_skeleton`.
    """

    def __init__(self, figure: Figure, reference: Pose, rest: Array) -> None:
        self._figure, self._reference, self._rest = figure, reference, rest
        self._size = (figure.plate.shape[0], figure.plate.shape[1])
        self.align_again()

    @property
    def matte(self) -> Floats:
        """The person's opacity in the photo, `(height, width)` in 0..1."""
        return self._figure.matte

    def align_again(self) -> None:
        """Forget the driver: whoever holds still next is laid on the photo anew."""
        self._motion: LiveMotion | None = None
        self._calibration = Calibration(self._reference, self._rest, self._size)
        self._expression, self._swing = LiveExpression(), self._figure.swing(USUAL_FPS)
        self.state: State = "looking"

    def draw(self, sight: Sight) -> Image:
        """Draw the person as the driver is seen, `(height, width, 3)` uint8 RGB; at rest until the driver is known."""
        found = bool(person_found(sight.pose)[0])
        if self._motion is None:
            self._motion = self._calibration.add(sight.pose, sight.frame_size, sight.at_s)
        self.state = "looking" if not found else "hold-still" if self._motion is None else "following"
        expression = self._expression(sight.face, sight.at_s)
        if self._motion is None:
            return self._figure.draw(self._rest)
        skeleton = self._motion.follow(sight.pose, sight.at_s)
        return self._figure.draw(skeleton, expression, swing=self._swing)


class LiveExpression:
    """The driver's expression relative to their own calm face, which is learned while they are seen."""

    def __init__(self) -> None:
        self._faces = deque[Floats](maxlen=CALM_FACES)
        self._learned_s, self._at_s = -np.inf, 0.0
        self._calm: Array | None = None
        self._filter = OneEuro(FACE_CUTOFF_HZ, FACE_BETA)
        self._offsets: Array | None = None

    def __call__(self, face: Floats, at_s: float) -> Array | None:
        """Return the offsets as `expression_offsets` does, `(68, 2)`; the last ones where no face is found.

        Args:
            face: The driver's 68 points, `(68, 2)`, NaN where no face was found.
            at_s: When they were seen, in seconds that only grow.
        """
        if not np.isfinite(face).all():
            return self._offsets
        if at_s - self._learned_s >= CALM_EVERY_S:
            self._faces.append(face)
            self._calm, self._learned_s = calm_face(np.stack(self._faces)), at_s
        offsets = expression_offsets(face[None], self._calm)
        if offsets is not None:
            self._offsets = self._filter(offsets[0], 1 / max(at_s - self._at_s, 1e-3))
        self._at_s = at_s
        return self._offsets
