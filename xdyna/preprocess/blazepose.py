"""MediaPipe's two pose networks one by one: where are people, and where are the joints of the person right here.

MediaPipe's own solution joins the two and follows whoever it saw first; apart, they find and follow everybody.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.graph import CustomGraph
from xdyna.preprocess.one_euro import OneEuro
from xdyna.schema import Floats, Image

DETECTOR = """
input_stream: "image"
output_stream: "detections"
node { calculator: "PoseDetectionCpu" input_stream: "IMAGE:image" output_stream: "DETECTIONS:detections" }
"""

LANDMARKER = """
input_stream: "image"
input_stream: "region"
input_side_packet: "model_complexity"
output_stream: "landmarks"
output_stream: "anchors"
node {
  calculator: "PoseLandmarkByRoiCpu"
  input_side_packet: "MODEL_COMPLEXITY:model_complexity"
  input_stream: "IMAGE:image"
  input_stream: "ROI:region"
  output_stream: "LANDMARKS:landmarks"
  output_stream: "AUXILIARY_LANDMARKS:anchors"
}
"""

REGION_MARGIN = 1.25  # of the circle through the outermost joint: what the landmark network was trained on

# In MediaPipe's order of landmarks.
NOSE, EARS, SHOULDERS, ANKLES = 0, (7, 8), (11, 12), (27, 28)
# Sides of the region around a standing adult, seen half from the side, in lengths that a picture cut at the waist
# shows too. Turning and nodding shorten them, so the largest result counts.
SIDES_PER_SHOULDERS, SIDES_PER_EARS, SIDES_PER_NECK = 8.5, 21.0, 12.0
SHOULDERS_TO_HIPS = 0.2  # of the side
MIN_ANKLES = (
    0.6  # mean visibility: 0.75 and more where feet are in the picture, half of it where they are only guessed
)
MIN_GROWTH, MAX_GROWTH = 1.1, 2.0  # in a region much too large the network takes in the neighbours
MAX_TIGHT = 1.4  # of the picture: a region larger than that squeezes nobody
SAME_HEAD = 0.03  # of the side


@dataclass(frozen=True)
class Region:
    """A turned square around one person.

    Attributes:
        x: centre, between the hips, in pixels.
        y: centre in pixels.
        side: in pixels.
        angle: of the spine, radians; 0 is upright, positive leans to the right.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def around(cls, hips: NDArray[np.floating], rim: NDArray[np.floating]) -> "Region":
        """The square around a person.

        Args:
            hips: `(2,)` x, y of the middle of the hips in pixels.
            rim: `(2,)` a point above the head, or below the feet of somebody upside down, on the circle that holds
                the whole person.
        """
        x, y = np.asarray(rim, np.float64) - hips
        return cls(float(hips[0]), float(hips[1]), 2 * REGION_MARGIN * float(np.hypot(x, y)), float(np.arctan2(x, -y)))

    def moved(self, x: float, y: float) -> "Region":
        return Region(self.x + x, self.y + y, self.side, self.angle)


@dataclass(frozen=True)
class Sighting:
    """Somebody, somewhere.

    Attributes:
        region: where.
        score: how sure the detector is, 0.5..1.
    """

    region: Region
    score: float


@dataclass(frozen=True)
class Body:
    """The joints of one person in one picture.

    Attributes:
        landmarks: `(33, 3)` float32 x, y in pixels and visibility 0..1, in MediaPipe's order.
        region: where to look for the person in the next picture of a clip.
    """

    landmarks: Floats
    region: Region


class CalmRegion:
    """Holds the region of one person still while they do and lets it go along when they move: a One-Euro filter.

    The landmark network sees less jitter when its crop does not shake. Strengths are those of MediaPipe's solution,
    which counts frames as if there were 30 a second.
    """

    RATE = 30.0

    def __init__(self) -> None:
        self._filter = OneEuro(min_cutoff=0.01, beta=10.0)

    def forget(self) -> None:
        """Begins anew, as where the person was lost."""
        self._filter.forget()

    def __call__(self, region: Region) -> Region:
        """The calmed region of the next frame."""
        spine = np.array([np.sin(region.angle), -np.cos(region.angle)]) * region.side / (2 * REGION_MARGIN)
        hips = np.array([region.x, region.y])
        calm = self._filter(np.stack([hips, hips + spine]), self.RATE, region.side)
        return Region.around(calm[0], calm[1])


class PersonDetector(CustomGraph):
    """Finds people of at least a quarter of the picture's longer side; smaller ones must be shown enlarged."""

    def __init__(self) -> None:
        super().__init__(DETECTOR)

    def people_in(self, image: Image) -> list[Sighting]:
        """Finds people in `(height, width, 3)` uint8 RGB, the surest first."""
        height, width = image.shape[:2]
        sightings = []
        for detection in self(np.ascontiguousarray(image)).detections or ():
            points = [(point.x * width, point.y * height) for point in detection.location_data.relative_keypoints]
            region = Region.around(np.array(points[0]), np.array(points[1]))
            if region.side > 0:
                sightings.append(Sighting(region, float(detection.score[0])))
        return sorted(sightings, key=lambda sighting: -sighting.score)


class BodyLandmarker(CustomGraph):
    """Finds the joints of the person in a region."""

    def __init__(self) -> None:
        super().__init__(LANDMARKER, model_complexity=1)

    def body_in(self, image: Image, region: Region) -> Body | None:
        """Finds the joints of the person in a region of `(height, width, 3)` uint8 RGB, or None if there is none."""
        from mediapipe.framework.formats import rect_pb2

        height, width = image.shape[:2]
        rectangle = rect_pb2.NormalizedRect(
            x_center=region.x / width,
            y_center=region.y / height,
            width=region.side / width,
            height=region.side / height,
            rotation=region.angle,
        )
        result = self(np.ascontiguousarray(image), region=rectangle)
        if result.landmarks is None or result.anchors is None:
            return None
        scale = np.array([width, height, 1])
        landmarks, anchors = (
            np.array([(point.x, point.y, point.visibility) for point in points.landmark]) * scale
            for points in (result.landmarks, result.anchors)
        )
        following = Region.around(anchors[0, :2], anchors[1, :2])
        return Body(landmarks.astype(np.float32), following) if following.side > 1 else None

    def whole(self, image: Image, body: Body) -> Body:
        """Looks again at somebody whose legs the picture cuts off.

        The detector takes what is left of a body for all of it, and in a region that small the landmark network
        squeezes the whole body into the picture: hips come out up to half a torso too high, with full confidence. In a
        region of the size that head and shoulders tell, they come out right, or unsure where they are outside.

        Args:
            image: `(height, width, 3)` uint8 RGB.
            body: from a first look.

        Returns:
            `body` itself where nothing is cut, or where the second look does not find the same head.
        """
        height, width = image.shape[:2]
        region, points = body.region, body.landmarks[:, :2].astype(np.float64)
        up = np.array([np.sin(region.angle), -np.cos(region.angle)])
        neck = points[list(SHOULDERS)].mean(axis=0)
        side = max(
            SIDES_PER_SHOULDERS * float(np.hypot(*np.subtract(*points[list(SHOULDERS)]))),
            SIDES_PER_EARS * float(np.hypot(*np.subtract(*points[list(EARS)]))),
            SIDES_PER_NECK * float(np.hypot(*(points[NOSE] - neck))),
        )
        feet_seen = body.landmarks[list(ANKLES), 2].mean() >= MIN_ANKLES
        if feet_seen or side < MIN_GROWTH * region.side or region.side > MAX_TIGHT * max(height, width):
            return body
        side = min(side, MAX_GROWTH * region.side)
        hips = neck - SHOULDERS_TO_HIPS * side * up
        again = self.body_in(image, Region(float(hips[0]), float(hips[1]), side, region.angle))
        if again is None or np.hypot(*(again.landmarks[NOSE, :2] - points[NOSE])) > SAME_HEAD * side:
            return body
        shoulders = again.landmarks[list(SHOULDERS), :2]
        # A face that fills the picture has its shoulders below the edge: there is nothing to win, only a neck to lose.
        return again if ((shoulders >= 0) & (shoulders < [width, height])).all() else body
