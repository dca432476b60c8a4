"""Who is where in a clip: every person followed from frame to frame."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.blazepose import SHOULDERS, Region, Sighting
from xdyna.preprocess.people import Box, PeopleDetector, Seen, prominence, same_person, torso
from xdyna.preprocess.shots import BarFinder, CutDetector
from xdyna.schema import Floats, Image, Person

LOOKS_PER_S = 4.0
SEARCH_EVERY_S = 4.0  # for small people who come in; large ones are seen at every look
BUSY_SEARCH_EVERY_S = 1.0  # as long as there is nobody, or somebody small
SMALL = 0.6  # of the picture's longer side: a region that the search of whole pictures may miss
NUM_TILE_SIZES = 2
MAX_PEOPLE = 8
MAX_HIDDEN_S = 2.0
MIN_LOOKS = 3  # false alarms flicker, people stay
UNSURE_LOOKS = 4  # followed without being detected anew, before a closer look
REACH = 0.35  # how far from where they were expected people may be, in sides of their region
MAX_COLOUR_DISTANCE = 60.0  # in CIELAB


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """One person through a clip.

    Attributes:
        person: `frame` and `box` say where the person is seen best.
        boxes: `(num_frames, 4)` float32 left, top, right, bottom in pixels; NaN where the person is not seen.
    """

    person: Person
    boxes: Floats


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Everybody in a clip.

    Attributes:
        tracks: the most prominent over the whole clip first.
        picture: left, top, right, bottom in pixels of the part of the frames between black bars.
        cuts: frames, counted from 0, that begin another shot. Nobody is followed across a cut.
        num_frames: of the clip.
    """

    tracks: tuple[Track, ...]
    picture: tuple[int, int, int, int]
    cuts: tuple[int, ...]
    num_frames: int

    @property
    def people(self) -> tuple[Person, ...]:
        return tuple(track.person for track in self.tracks)

    def track(self, id: int) -> Track:
        """The track of one of `people`."""
        return next(track for track in self.tracks if track.person.id == id)


@dataclass
class _Follower:
    """What is known of one person so far."""

    boxes: dict[int, Box]
    region: Region
    colour: NDArray[np.float64]
    frame: int
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))  # px per frame
    looks_unsure: int = 0
    total_prominence: float = 0.0
    best_prominence: float = 0.0
    best_frame: int = 0
    score: float = 0.0

    def expected(self, frame: int) -> Region:
        passed = frame - self.frame
        return self.region.moved(*(self.velocity * passed))

    def update(self, frame: int, seen: Seen, colour: NDArray[np.float64], weight: float) -> None:
        passed = frame - self.frame
        if passed:
            region = seen.body.region
            moved = np.array([region.x - self.region.x, region.y - self.region.y]) / passed
            self.velocity = 0.5 * self.velocity + 0.5 * moved
        self.boxes[frame], self.region, self.frame = seen.box, seen.body.region, frame
        self.colour = 0.8 * self.colour + 0.2 * colour
        self.score = max(self.score, seen.score)
        self.total_prominence += weight
        if weight > self.best_prominence:
            self.best_prominence, self.best_frame = weight, frame


class PeopleTracker:
    """Finds and follows everybody in a clip. Use it as a context manager; memory does not grow with the pictures.

    It looks a few times a second: at each look people are detected in the whole picture, linked to those known by
    place, size and colour of clothes, and looked for where they were expected if the detector missed them.

    Args:
        fps: frames per second of the clip.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._stride = max(1, round(fps / LOOKS_PER_S))
        self._detector = PeopleDetector()
        self._bars, self._shots = BarFinder(), CutDetector(fps)
        self._followers: list[_Follower] = []
        self._active: list[_Follower] = []
        self._num_frames = 0
        self._shot_began = 0
        self._num_looks = 0
        self._searched = 0
        self._size = (0, 0)

    def __enter__(self) -> "PeopleTracker":
        self._detector.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._detector.__exit__()

    def add(self, frame: Image) -> None:
        """Takes the next frame of the clip, `(height, width, 3)` uint8 RGB."""
        self._size = frame.shape[0], frame.shape[1]
        self._bars.add(frame)
        for judged, begins_shot in self._shots.add(frame):
            self._follow(judged, begins_shot)

    def cast(self) -> Cast:
        """Everybody found. To be called once, after the last frame."""
        for judged, begins_shot in self._shots.finish():
            self._follow(judged, begins_shot)
        needed = min(MIN_LOOKS, max(1, self._num_looks // 2))
        kept = [follower for follower in self._followers if len(follower.boxes) >= needed]
        kept.sort(key=lambda follower: -follower.total_prominence)
        cuts, picture = self._shots.cuts, self._bars.picture
        tracks = []
        for id, follower in enumerate(kept, 1):
            best = follower.best_frame
            person = Person(id=id, box=follower.boxes[best], score=follower.score, frame=best)
            tracks.append(Track(person=person, boxes=self._all_boxes(follower, cuts)))
        return Cast(tracks=tuple(tracks), picture=picture, cuts=cuts, num_frames=self._num_frames)

    def _follow(self, frame: Image, begins_shot: bool) -> None:
        index, self._num_frames = self._num_frames, self._num_frames + 1
        if begins_shot:
            self._active, self._shot_began = [], index
        if (index - self._shot_began) % self._stride == 0:
            self._look(np.ascontiguousarray(frame), index, begins_shot)

    def _look(self, frame: Image, index: int, begins_shot: bool) -> None:
        self._num_looks += 1
        self._active = [one for one in self._active if index - one.frame <= MAX_HIDDEN_S * self._fps]
        small = any(one.region.side < SMALL * max(self._size) for one in self._active)
        pause = BUSY_SEARCH_EVERY_S if small or not self._active else SEARCH_EVERY_S
        if begins_shot or index - self._searched >= pause * self._fps:
            self._searched = index
            seen = self._detector.everybody(frame, NUM_TILE_SIZES)
        else:
            seen = self._detector.large(frame)
        found: list[Seen] = []
        colours = [clothes_colour(frame, one) for one in seen]
        linked = dict(_linked(self._active, seen, colours, index))
        for follower, k in linked.items():
            follower_ = self._active[follower]
            follower_.looks_unsure = 0
            follower_.update(index, seen[k], colours[k], prominence(seen[k], self._size))
            found.append(seen[k])
        for k, follower_ in enumerate(self._active):
            if k in linked:
                continue
            where_expected = self._where_expected(frame, follower_, index)
            if where_expected is None or any(same_person(where_expected, other) for other in (*found, *seen)):
                continue
            colour = clothes_colour(frame, where_expected)
            follower_.update(index, where_expected, colour, prominence(where_expected, self._size))
            found.append(where_expected)
        for k, one in enumerate(seen):
            if k in linked.values() or len(self._active) >= MAX_PEOPLE:
                continue
            if any(same_person(one, other) for other in found):
                continue
            newcomer = _Follower({}, one.body.region, colours[k], index)
            newcomer.update(index, one, colours[k], prominence(one, self._size))
            self._active.append(newcomer)
            self._followers.append(newcomer)

    def _where_expected(self, frame: Image, follower: _Follower, index: int) -> Seen | None:
        """A person whom the detector missed, at the place where the motion so far would have taken them."""
        if index - follower.frame > self._stride:  # hidden: only the detector can tell that they are back
            region = follower.expected(index)
            return self._detector.confirmed(frame, region)
        follower.looks_unsure += 1
        if follower.looks_unsure > UNSURE_LOOKS:
            follower.looks_unsure = 0
            return self._detector.confirmed(frame, follower.expected(index))
        return self._detector.at(frame, Sighting(follower.expected(index), 0.0))

    def _all_boxes(self, follower: _Follower, cuts: tuple[int, ...]) -> Floats:
        """`(num_frames, 4)`: the boxes between the looks too, on straight lines."""
        boxes = np.full((self._num_frames, 4), np.nan, np.float32)
        known = sorted(follower.boxes)
        shots = [0, *cuts, self._num_frames]
        first = max(start for start in shots if start <= known[0])
        end = min(stop for stop in shots if stop > known[-1])
        # Somebody seen at one look was there just before and just after it too.
        span = np.arange(max(first, known[0] - self._stride + 1), min(end, known[-1] + self._stride))
        values = np.array([follower.boxes[k] for k in known])
        for edge in range(4):
            boxes[span, edge] = np.interp(span, known, values[:, edge])
        return boxes


def track_people(frames: Iterable[Image], fps: float) -> Cast:
    """Finds and follows everybody in the frames of a clip, `(height, width, 3)` uint8 RGB each."""
    with PeopleTracker(fps) as tracker:
        for frame in frames:
            tracker.add(frame)
        return tracker.cast()


def clothes_colour(frame: Image, person: Seen) -> NDArray[np.float64]:
    """`(3,)` mean CIELAB colour (8-bit scale) below the shoulders."""
    x, y = person.body.landmarks[list(SHOULDERS), :2].mean(axis=0)
    size = torso(person.body)
    left, right = int(max(0, x - 0.25 * size)), int(max(0, x + 0.25 * size)) + 1
    top, bottom = int(max(0, y + 0.15 * size)), int(max(0, y + 0.65 * size)) + 1
    patch = frame[top:bottom, left:right]
    if patch.size == 0:
        return np.full(3, np.nan)
    mean = patch.reshape(-1, 3).mean(axis=0).astype(np.uint8)
    return cv2.cvtColor(mean[None, None], cv2.COLOR_RGB2LAB)[0, 0].astype(np.float64)


def _linked(
    followers: list[_Follower], seen: list[Seen], colours: list[NDArray[np.float64]], frame: int
) -> Iterator[tuple[int, int]]:
    """Yields pairs of a known person and a sighting, each at most once, the best pairs first."""
    costs = np.array([[_cost(one, s, c, frame) for s, c in zip(seen, colours, strict=True)] for one in followers])
    while costs.size and np.isfinite(costs).any():
        follower, k = np.unravel_index(int(np.argmin(costs)), costs.shape)
        yield int(follower), int(k)
        costs[follower, :] = costs[:, k] = np.inf


def _cost(follower: _Follower, seen: Seen, colour: NDArray[np.float64], frame: int) -> float:
    """How badly a sighting fits a person; infinite where it cannot be them."""
    expected, region = follower.expected(frame), seen.body.region
    distance = float(np.hypot(region.x - expected.x, region.y - expected.y)) / max(expected.side, region.side)
    growth = abs(float(np.log(region.side / expected.side)))
    dress = float(np.nan_to_num(np.linalg.norm(colour - follower.colour))) / MAX_COLOUR_DISTANCE
    if distance > REACH or growth > np.log(2) or dress > 1:
        return np.inf
    return distance / REACH + growth + dress
