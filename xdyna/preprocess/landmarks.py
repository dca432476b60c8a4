"""The 68 face points of the person whose body is known."""

from collections.abc import Iterator
from contextlib import ExitStack

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.graph import Graph
from xdyna.preprocess.pose import LEFT_EAR, LEFT_EYE, LEFT_SHOULDER, NECK, NOSE, RIGHT_EAR, RIGHT_EYE, RIGHT_SHOULDER
from xdyna.schema import NUM_FACE_LANDMARKS, Floats, Frames, Image, Pose

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

    On whole frames FaceMesh misses the small faces of full-body clips.
    """

    def __call__(self, frames: Frames, pose: Pose) -> Iterator[Floats]:
        """Yields the landmarks of one frame after another.

        Args:
            frames: `(num_frames, height, width, 3)` uint8 RGB.
            pose: the person in these frames.

        Yields:
            `(68, 2)` float32 x, y in pixels of the frame; NaN where no face was found. Closing the iterator releases
            the detectors.
        """
        with ExitStack() as stack:
            mesh = stack.enter_context(
                Graph("face_mesh", "FaceMesh", static_image_mode=True, max_num_faces=1, refine_landmarks=True)
            )
            detector = stack.enter_context(
                Graph("face_detection", "FaceDetection", model_selection=1, min_detection_confidence=0.4)
            )
            for frame, body in zip(frames, pose.body, strict=True):
                yield _find_face(mesh, detector, np.ascontiguousarray(frame), body)


def count_faces(image: Image) -> int:
    """How many faces a `(height, width, 3)` uint8 RGB picture plainly shows."""
    with Graph("face_detection", "FaceDetection", model_selection=1, min_detection_confidence=0.6) as detector:
        return len(detector(np.ascontiguousarray(image)).detections or ())


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


def _find_face(mesh: Graph, detector: Graph, frame: Image, body: Floats) -> Floats:
    """`(68, 2)` landmarks: first where the pose has its head, then where the face detector sees one there."""
    missing = np.full((NUM_FACE_LANDMARKS, 2), np.nan, np.float32)
    square = head_square(body)
    if square is None:
        return missing
    landmarks = _mesh_in_square(mesh, frame, *square)
    if landmarks is not None:
        return landmarks
    centre, half = square
    for face in detector(_crop(frame, centre, 2 * half)).detections or ():
        box = face.location_data.relative_bounding_box
        place = centre + 4 * half * (np.array([box.xmin + box.width / 2, box.ymin + box.height / 2]) - 0.5)
        landmarks = _mesh_in_square(mesh, frame, place, 3 * half * max(box.width, box.height))
        if landmarks is not None:
            return landmarks
    return missing


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
