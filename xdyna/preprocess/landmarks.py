"""The 68 face points of the person whose body is known."""

from contextlib import ExitStack
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.checks import MIN_HEAD_PX
from xdyna.preprocess.graph import Graph
from xdyna.preprocess.pose import (
    LEFT_EAR,
    LEFT_EYE,
    LEFT_SHOULDER,
    NECK,
    NOSE,
    RIGHT_EAR,
    RIGHT_EYE,
    RIGHT_SHOULDER,
    person_found,
)
from xdyna.schema import NUM_FACE_LANDMARKS, Floats, Image, Pose

HEAD_CROP_PX = 384
HEAD = (NOSE, RIGHT_EYE, LEFT_EYE, RIGHT_EAR, LEFT_EAR)

# The point of MediaPipe's 468-point mesh nearest to each of the 68 points, in their order.
FROM_MESH = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),  # jaw
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),  # brows
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
)


class FaceLandmarker:
    """MediaPipe FaceMesh on a crop around the head, which the pose places or, failing that, a face detector.

    On whole frames FaceMesh misses the small faces of full-body clips. Use it as a context manager: the detectors are
    opened once and closed at the end.

    Args:
        tracking: frames are of one person and follow one another closely; otherwise each is searched afresh.
    """

    def __init__(self, *, tracking: bool = False) -> None:
        self.tracking = tracking

    def __enter__(self) -> "FaceLandmarker":
        with ExitStack() as stack:
            self._mesh = stack.enter_context(
                Graph(
                    "face_mesh",
                    "FaceMesh",
                    static_image_mode=not self.tracking,
                    max_num_faces=1,
                    refine_landmarks=True,
                )
            )
            self._detector = stack.enter_context(
                Graph("face_detection", "FaceDetection", model_selection=1, min_detection_confidence=0.4)
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, frame: Image, pose: Pose, box: NDArray[np.floating] | None = None) -> Floats:
        """Finds the face of the person with a pose.

        Args:
            frame: `(height, width, 3)` uint8 RGB.
            pose: the person in this frame, one frame.
            box: left, top, right, bottom of the person in pixels, used where the pose shows no head; NaN or None
                where unknown.

        Returns:
            `(68, 2)` float32 x, y in pixels of the frame; NaN where no face was found.
        """
        frame = np.ascontiguousarray(frame)
        square = head_square(pose.body[0])
        if square is not None:
            landmarks = _mesh_in_square(self._mesh, frame, *square)
            if landmarks is not None:
                return landmarks
        elif box is not None and np.isfinite(box).all():
            square = _upper_square(box)
        if square is None:
            return np.full((NUM_FACE_LANDMARKS, 2), np.nan, np.float32)
        return self._detected(frame, *square)

    def _detected(self, frame: Image, centre: NDArray[np.float64], half: float) -> Floats:
        """`(68, 2)` landmarks of a face that the face detector sees about the place where the head should be."""
        for face in self._detector(_crop(frame, centre, 2 * half)).detections or ():
            box = face.location_data.relative_bounding_box
            place = centre + 4 * half * (np.array([box.xmin + box.width / 2, box.ymin + box.height / 2]) - 0.5)
            if np.abs(place - centre).max() > 1.5 * half:  # somebody else's
                continue
            landmarks = _mesh_in_square(self._mesh, frame, place, 3 * half * max(box.width, box.height))
            if landmarks is not None:
                return landmarks
        return np.full((NUM_FACE_LANDMARKS, 2), np.nan, np.float32)


@dataclass(frozen=True, kw_only=True)
class MissingFaces:
    """Frames, counted from 0, that show the person but no face, by the likely reason.

    Attributes:
        turned_away: the head is seen from behind or from the side.
        too_small: the head is smaller than the detectors can read.
        not_found: anything else: motion blur, a mask, a hand, or a drawn face the detectors do not take for one.
    """

    turned_away: tuple[int, ...] = ()
    too_small: tuple[int, ...] = ()
    not_found: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.turned_away) + len(self.too_small) + len(self.not_found)


def missing_faces(landmarks: Floats, pose: Pose) -> MissingFaces:
    """Tells where a face is missing, and why as far as the pose shows it.

    Args:
        landmarks: `(num_frames, 68, 2)` face points, NaN where there is none.
        pose: the person in the same frames.
    """
    away, small, others = [], [], []
    for k in np.flatnonzero(person_found(pose) & ~np.isfinite(landmarks[:, 0, 0])):
        square = head_square(pose.body[k])
        if square is not None and 2 * square[1] < MIN_HEAD_PX:
            small.append(int(k))
        elif square is None or _looks_away(pose.body[k]):
            away.append(int(k))
        else:
            others.append(int(k))
    return MissingFaces(turned_away=tuple(away), too_small=tuple(small), not_found=tuple(others))


def head_square(body: NDArray[np.floating]) -> tuple[NDArray[np.float64], float] | None:
    """The square around a head.

    Args:
        body: `(18, 2)` joints in pixels.

    Returns:
        Centre x, y and half the side, in pixels; None where the pose shows no head.
    """
    head = body[list(HEAD)].astype(np.float64)
    if not np.isfinite(head[:3, 0]).any():
        return None
    spans = [
        1.0 * _distance(body[RIGHT_EAR], body[LEFT_EAR]),
        2.0 * _distance(body[RIGHT_EYE], body[LEFT_EYE]),
        # A head seen from the side shows neither: fall back to the torso.
        0.45 * _distance(body[RIGHT_SHOULDER], body[LEFT_SHOULDER]),
        0.6 * _distance(body[NOSE], body[NECK]),
    ]
    half = 1.2 * float(np.nanmax([*spans, 8.0]))
    return np.nanmean(head, axis=0), half


def _distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    return float(np.hypot(*(a - b)))


def _upper_square(box: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Where the head of an upright person in a box is: centre and half the side in pixels."""
    left, top, right, bottom = (float(edge) for edge in box)
    half = 0.5 * min(right - left, 0.4 * (bottom - top))
    return np.array([(left + right) / 2, top + half]), max(half, 8.0)


def _looks_away(body: NDArray[np.floating]) -> bool:
    """Whether `(18, 2)` joints are those of a head from behind or from the side."""
    nose, eyes, ears = body[NOSE, 0], body[[RIGHT_EYE, LEFT_EYE], 0], body[[RIGHT_EAR, LEFT_EAR], 0]
    if not (np.isfinite(nose) and np.isfinite(eyes).all()):
        return True
    if body[RIGHT_SHOULDER, 0] > body[LEFT_SHOULDER, 0] or eyes[0] > eyes[1]:  # our view of the back
        return True
    return bool(nose < ears.min() or nose > ears.max())  # a profile; false where an ear is unknown (NaN)


def _mesh_in_square(mesh: Graph, frame: Image, centre: NDArray[np.float64], half: float) -> Floats | None:
    """`(68, 2)` landmarks in pixels of the frame from the square around `centre`, or None."""
    faces = mesh(_crop(frame, centre, half)).multi_face_landmarks
    if not faces:
        return None
    points = np.array([(faces[0].landmark[k].x, faces[0].landmark[k].y) for k in FROM_MESH])
    return (2 * half * (points - 0.5) + centre).astype(np.float32)


def _crop(frame: Image, centre: NDArray[np.float64], half: float) -> Image:
    """`(384, 384, 3)` uint8 RGB: the square around `centre`, black outside the frame."""
    zoom = HEAD_CROP_PX / (2 * half)
    matrix = np.array([[zoom, 0, -zoom * (centre[0] - half)], [0, zoom, -zoom * (centre[1] - half)]])
    return cv2.warpAffine(frame, matrix, (HEAD_CROP_PX, HEAD_CROP_PX)).astype(np.uint8)
