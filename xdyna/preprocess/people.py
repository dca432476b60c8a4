"""Every person in a picture, and the choice of one of them."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.config import parse_person
from xdyna.preprocess.blazepose import SHOULDERS, Body, BodyLandmarker, PersonDetector, Region, Sighting
from xdyna.schema import Image, InputError, Person

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""

# In MediaPipe's order of landmarks.
HEAD, HIPS = slice(0, 11), (23, 24)
BODY = slice(0, 29)  # to the ankles, feet excepted
MIN_VISIBILITY = 0.5

TILE_RATIO = 1.6  # from one size of search tile to the next
NUM_TILE_SIZES = 4
MIN_TILE_PX = 120
MIN_PERSON_SHARE = 0.4  # of the smallest tile's side; half as much is found with luck
MIN_TILE_SCORE = 0.6  # many small looks give more false alarms than one look at everything
MIN_CONFIRMED_SCORE = 0.6
SAME_OVERLAP = 0.45
SAME_HEAD = 0.12  # of a torso: those of two people who kiss are 0.2 apart
MIN_FACING = 0.35  # visibility of the head below which somebody counts as seen from behind
BOX_MARGIN = 0.15  # around the joints, in lengths of the torso


@dataclass(frozen=True)
class Seen:
    """Somebody in one picture.

    Attributes:
        box: around the whole visible body, in pixels.
        score: how sure the detector is, 0..1.
        body: the joints.
    """

    box: Box
    score: float
    body: Body


class PeopleDetector:
    """Finds people of any size. Use it as a context manager; the networks are opened once."""

    def __enter__(self) -> "PeopleDetector":
        with ExitStack() as stack:
            self._detector = stack.enter_context(PersonDetector())
            self._landmarker = stack.enter_context(BodyLandmarker())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def everybody(self, image: Image, num_tile_sizes: int = NUM_TILE_SIZES) -> list[Seen]:
        """Finds people of every size.

        The picture is searched as a whole and in overlapping tiles. Who is found in a tile must be found again in a
        close-up.

        Args:
            image: `(height, width, 3)` uint8 RGB.
            num_tile_sizes: how many sizes of tiles to try. People may be smaller by a factor of 1.6 with each, and
                the search takes two to three times as long.
        """
        found = self.large(image)
        for side in tile_sides(image)[:num_tile_sizes]:
            for left, top, right, bottom in tiles(image, side):
                for sighting in self._detector.people_in(image[top:bottom, left:right]):
                    region = sighting.region.moved(left, top)
                    if sighting.score < MIN_TILE_SCORE or any(_covers(seen, region) for seen in found):
                        continue
                    confirmed = self.confirmed(image, region)
                    if confirmed is not None:
                        found = _merged([*found, confirmed])
        return found

    def large(self, image: Image) -> list[Seen]:
        """Finds the people who fill at least a quarter of `(height, width, 3)` uint8 RGB."""
        seen = (self.at(image, sighting) for sighting in self._detector.people_in(image))
        return _merged([person for person in seen if person is not None])

    def at(self, image: Image, sighting: Sighting) -> Seen | None:
        """The person in a region, or None."""
        body = self._landmarker.body_in(image, sighting.region)
        if body is None or not _plausible(body, sighting.region):
            return None
        body = self._landmarker.whole(image, body)
        box = body_box(body, image)
        return None if box is None else Seen(box, sighting.score, body)

    def confirmed(self, image: Image, region: Region) -> Seen | None:
        """The person in a region if a closer look finds one there."""
        crop, scale, shift = close_up(image, region)
        for sighting in self._detector.people_in(crop):
            close = sighting.region
            there = Region(close.x / scale + shift[0], close.y / scale + shift[1], close.side / scale, close.angle)
            near = np.hypot(there.x - region.x, there.y - region.y) < 0.25 * region.side
            if near and 0.5 < there.side / region.side < 2 and sighting.score >= MIN_CONFIRMED_SCORE:
                return self.at(image, Sighting(there, sighting.score))
        return None


def find_people(image: Image) -> tuple[Person, ...]:
    """Finds everybody in `(height, width, 3)` uint8 RGB, the most prominent first."""
    with PeopleDetector() as detector:
        seen = detector.everybody(image)
    seen.sort(key=lambda person: -prominence(person, (image.shape[0], image.shape[1])))
    return tuple(Person(id=k, box=person.box, score=person.score) for k, person in enumerate(seen, 1))


def choose(people: Sequence[Person], choice: str) -> Person:
    """Picks one person.

    Args:
        people: the most prominent first.
        choice: "auto" for the most prominent, an id such as "2", or "left,top,right,bottom" in pixels for the person
            whose box fits best.

    Raises:
        InputError: there is nobody like that; the message says who there is.
    """
    if not people:
        raise InputError("No person was found to choose from. Use a picture that shows head and shoulders.")
    try:
        wanted = parse_person(choice)
    except ValueError as error:
        raise InputError(f"The person {error}. {_who_is_there(people)}") from error
    if wanted is None:
        return people[0]
    if isinstance(wanted, int):
        for person in people:
            if person.id == wanted:
                return person
        raise InputError(f"There is no person {wanted}. {_who_is_there(people)}")
    best = max(people, key=lambda person: overlap(person.box, wanted))
    if overlap(best.box, wanted) == 0:
        raise InputError(f"There is nobody in the box {choice}. {_who_is_there(people)}")
    return best


def _who_is_there(people: Sequence[Person]) -> str:
    places = "; ".join(f"{person.id} at {','.join(f'{edge:.0f}' for edge in person.box)}" for person in people)
    return f"Choose auto, one of these numbers, or a box that touches one of them: {places}."


def prominence(person: Seen, size: tuple[int, int]) -> float:
    """How likely somebody is the subject of a picture of `(height, width)`: large, in the middle, facing us."""
    height, width = size
    left, top, right, bottom = person.box
    large = np.sqrt((right - left) * (bottom - top) / (width * height))
    off_centre = min(1.0, abs((left + right) / width - 1))
    facing = float(person.body.landmarks[HEAD, 2].mean()) > MIN_FACING
    return float(large * (1 - 0.5 * off_centre) * (1 if facing else 0.6))


def overlap(a: Sequence[float] | NDArray[np.floating], b: Sequence[float] | NDArray[np.floating]) -> float:
    """Intersection over union of two boxes; 0 where one is NaN."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if not (width > 0 and height > 0):
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return float(width * height / (sum(areas) - width * height))


def body_box(body: Body, image: Image) -> Box | None:
    """The part of the picture that a body fills, or None where nearly nothing of it is visible."""
    points = body.landmarks[BODY]
    visible = points[points[:, 2] >= MIN_VISIBILITY, :2]
    if len(visible) < 3:
        return None
    margin = BOX_MARGIN * torso(body)
    height, width = image.shape[:2]
    left, top = np.maximum(visible.min(axis=0) - margin * np.array([1, 1.6]), 0)  # hair reaches above the eyes
    right, bottom = np.minimum(visible.max(axis=0) + margin, [width, height])
    return (float(left), float(top), float(right), float(bottom)) if right - left > 1 and bottom - top > 1 else None


def torso(body: Body) -> float:
    """Length in pixels from the middle of the shoulders to that of the hips, or the shoulders' width if greater."""
    shoulders, hips = body.landmarks[list(SHOULDERS), :2], body.landmarks[list(HIPS), :2]
    return float(max(np.linalg.norm(shoulders.mean(0) - hips.mean(0)), np.linalg.norm(shoulders[0] - shoulders[1])))


def close_up(image: Image, region: Region) -> tuple[Image, float, NDArray[np.float64]]:
    """An upright square picture of a region with room around it, `scale` times as large, from `shift` on."""
    half = 0.7 * region.side
    shift, scale = np.array([region.x, region.y]) - half, 224 / (2 * half)  # the detector's own size
    matrix = np.array([[scale, 0, -scale * shift[0]], [0, scale, -scale * shift[1]]])
    flags = cv2.INTER_LINEAR if scale > 0.5 else cv2.INTER_AREA
    return cv2.warpAffine(image, matrix, (224, 224), flags=flags).astype(np.uint8), scale, shift


def tile_sides(image: Image) -> list[int]:
    """Sides of the search tiles in pixels, the largest first."""
    longest = max(image.shape[:2])
    sides = [round(longest / TILE_RATIO ** (k + 1)) for k in range(NUM_TILE_SIZES)]
    return [side for side in sides if side >= MIN_TILE_PX]


def smallest_person_px(image: Image) -> int:
    """Height of the smallest people that the search finds for sure, in pixels."""
    return round(min([max(image.shape[:2]), *tile_sides(image)]) * MIN_PERSON_SHARE)


def tiles(image: Image, side: int) -> list[tuple[int, int, int, int]]:
    """Boxes of at most `side` pixels that cover a picture and overlap by about half."""
    height, width = image.shape[:2]
    starts = []
    for length in (height, width):
        count = 1 + int(np.ceil(max(0, length - side) / (side / 2)))
        starts.append(np.linspace(0, max(0, length - side), count).astype(int))
    return [
        (int(x), int(y), min(width, int(x) + side), min(height, int(y) + side)) for y in starts[0] for x in starts[1]
    ]


def _plausible(body: Body, region: Region) -> bool:
    """Whether the joints found are those of the person who was looked for, with shoulders or a head to be seen."""
    following = body.region
    near = np.hypot(following.x - region.x, following.y - region.y) < 0.3 * region.side
    alike = 0.5 < following.side / region.side < 2
    seen = body.landmarks[:, 2]
    return bool(near and alike and max(seen[list(SHOULDERS)].min(), seen[HEAD].mean()) >= MIN_VISIBILITY)


def _covers(seen: Seen, region: Region) -> bool:
    """Whether a region is that of somebody already seen."""
    other = seen.body.region
    near = np.hypot(other.x - region.x, other.y - region.y) < 0.15 * max(other.side, region.side)
    return bool(near and 0.5 < region.side / other.side < 2)


def same_person(a: Seen, b: Seen) -> bool:
    """Whether two sightings in one picture are of one person: the torsos or the heads lie on each other.

    Heads decide where boxes cannot: those of a couple overlap as much as two looks at one person, but two heads are
    never in one place.
    """
    heads = [body.landmarks[HEAD, :2].mean(axis=0) for body in (a.body, b.body)]
    if float(np.linalg.norm(heads[0] - heads[1])) < SAME_HEAD * max(torso(a.body), torso(b.body)):
        return True
    torsos = [body.landmarks[[*SHOULDERS, *HIPS], :2] for body in (a.body, b.body)]
    distance = float(np.linalg.norm(torsos[0] - torsos[1], axis=1).mean())
    return distance < 0.35 * max(torso(a.body), torso(b.body)) or overlap(a.box, b.box) > 1 - SAME_OVERLAP / 2


def _merged(people: list[Seen]) -> list[Seen]:
    """Without those who are somebody surer seen twice."""
    kept: list[Seen] = []
    for person in sorted(people, key=lambda one: -one.score):
        if not any(same_person(person, other) for other in kept):
            kept.append(person)
    return kept
