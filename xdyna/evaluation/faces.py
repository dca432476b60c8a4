"""Faces of a clip: found, aligned for identity, and measured for expression."""

from contextlib import ExitStack
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.graph import Graph
from xdyna.schema import Floats, Frames, Image

DETECTOR = "MediaPipe face detection (full range, 0.5) and FaceMesh"
ALIGNED_PX = 112
MESH_CROP_PX = 256

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
"""Where ArcFace and AdaFace expect eyes, nose and mouth corners, in an image of 112 x 112, viewer's left first."""

# Points of MediaPipe's 468-point mesh. Sides are the viewer's.
LEFT_EYE, RIGHT_EYE = (33, 133, 159, 145), (362, 263, 386, 374)  # corners, then upper and lower lid
NOSE, LEFT_MOUTH, RIGHT_MOUTH, UPPER_LIP, LOWER_LIP = 4, 61, 291, 13, 14
LEFT_BROW, RIGHT_BROW = 105, 334
LEFT_CHEEK, RIGHT_CHEEK, FOREHEAD, CHIN = 234, 454, 10, 152

EXPRESSIONS = (
    "left eye open",
    "right eye open",
    "mouth open",
    "mouth width",
    "left brow",
    "right brow",
    "yaw",
    "pitch",
)


@dataclass(frozen=True, kw_only=True)
class Faces:
    """The largest face of every frame.

    Attributes:
        mesh: `(num_frames, 468, 2)` float32 x, y in pixels of the frame; NaN where no face was found.
    """

    mesh: Floats

    @property
    def found(self) -> NDArray[np.bool_]:
        """`(num_frames,)`."""
        return np.isfinite(self.mesh[:, 0, 0])

    @property
    def five_points(self) -> Floats:
        """`(num_frames, 5, 2)`: eye centres, nose, mouth corners, viewer's left first."""
        eyes = [self.mesh[:, points[:2]].mean(axis=1) for points in (LEFT_EYE, RIGHT_EYE)]
        return np.stack([*eyes, *(self.mesh[:, k] for k in (NOSE, LEFT_MOUTH, RIGHT_MOUTH))], axis=1)


def find_faces(frames: Frames) -> Faces:
    """Finds the largest face of each frame, then its mesh in that box; on whole frames the mesh misses small faces.

    Args:
        frames: `(num_frames, h, w, 3)` uint8 RGB.
    """
    with ExitStack() as stack:
        detector = stack.enter_context(
            Graph("face_detection", "FaceDetection", model_selection=1, min_detection_confidence=0.5)
        )
        mesh = stack.enter_context(Graph("face_mesh", "FaceMesh", static_image_mode=True, max_num_faces=1))
        return Faces(mesh=np.stack([_mesh(detector, mesh, np.ascontiguousarray(frame)) for frame in frames]))


def align_face(image: Image, five_points: NDArray[np.floating]) -> Image:
    """`(112, 112, 3)` uint8 RGB: the face moved onto `TEMPLATE` by the least-squares similarity."""
    return cv2.warpAffine(image, similarity(five_points, TEMPLATE), (ALIGNED_PX, ALIGNED_PX)).astype(np.uint8)


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """`(2, 3)` least-squares rotation, scale and shift from `(n, 2)` points to others (Umeyama 1991, no mirroring)."""
    a, b = (np.asarray(points, np.float64) @ (1, 1j) for points in (source, target))
    mean_a, mean_b = a.mean(), b.mean()
    turn = np.vdot(a - mean_a, b - mean_b) / np.vdot(a - mean_a, a - mean_a).real
    shift = mean_b - turn * mean_a
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def expression(faces: Faces) -> Floats:
    """Eight measures of the expression, each a ratio of distances within the face, so that size does not matter.

    Returns:
        `(num_frames, 8)` in the order of `EXPRESSIONS`; NaN where no face was found.
    """
    m = faces.mesh.astype(np.float64)

    def span(a: int, b: int) -> NDArray[np.float64]:
        return np.linalg.norm(m[:, a] - m[:, b], axis=-1)

    width, height = span(LEFT_CHEEK, RIGHT_CHEEK), span(FOREHEAD, CHIN)
    left, right = span(NOSE, LEFT_CHEEK), span(NOSE, RIGHT_CHEEK)
    up, down = span(NOSE, FOREHEAD), span(NOSE, CHIN)
    measures = [
        span(*LEFT_EYE[2:]) / span(*LEFT_EYE[:2]),
        span(*RIGHT_EYE[2:]) / span(*RIGHT_EYE[:2]),
        span(UPPER_LIP, LOWER_LIP) / height,
        span(LEFT_MOUTH, RIGHT_MOUTH) / width,
        span(LEFT_BROW, LEFT_EYE[2]) / height,
        span(RIGHT_BROW, RIGHT_EYE[2]) / height,
        (left - right) / (left + right),
        (up - down) / (up + down),
    ]
    return np.stack(measures, axis=1).astype(np.float32)


def expression_error(made: Faces, driver: Faces) -> float:
    """Mean absolute difference of the measures over frames that show a face in both clips (Face-Exp of Table 5).

    The paper does not name its extractor, so the value is not comparable with its 0.105 to 0.134. NaN without faces.
    """
    difference = np.abs(expression(made) - expression(driver))
    kept = np.isfinite(difference).all(axis=1)
    return float(difference[kept].mean()) if kept.any() else float("nan")


def _mesh(detector: Graph, mesh: Graph, image: Image) -> Floats:
    """`(468, 2)` points in pixels, NaN without a face."""
    height, width = image.shape[:2]
    boxes = [found.location_data.relative_bounding_box for found in detector(image).detections or ()]
    if boxes:
        box = max(boxes, key=lambda b: b.width * b.height)
        centre = np.array([(box.xmin + box.width / 2) * width, (box.ymin + box.height / 2) * height])
        half = max(box.width * width, box.height * height)  # the box and as much again around it
        zoom = MESH_CROP_PX / (2 * half)
        matrix = np.array([[zoom, 0, -zoom * (centre[0] - half)], [0, zoom, -zoom * (centre[1] - half)]])
        crop = cv2.warpAffine(image, matrix, (MESH_CROP_PX, MESH_CROP_PX)).astype(np.uint8)
        faces = mesh(crop).multi_face_landmarks
        if faces:
            points = np.array([(point.x, point.y) for point in faces[0].landmark])[:468]
            return (2 * half * (points - 0.5) + centre).astype(np.float32)
    return np.full((468, 2), np.nan, np.float32)
