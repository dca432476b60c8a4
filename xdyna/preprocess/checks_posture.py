"""More checks in the manner of `checks`: how the photo's person stands, and who stands in the way."""

from collections.abc import Sequence

from xdyna.preprocess.checks import MAX_LEAN_DEG
from xdyna.schema import Check, Person

LYING_DEG = 50.0
ENTANGLED_SHARE = 0.3  # of the smaller of two people's boxes


def lying(photo_deg: float, difference_deg: float) -> Check | None:
    """A photo's person who lies across the picture while the clip's does not.

    Args:
        photo_deg: how far the torso leans clockwise from upright, in degrees, NaN where unknown.
        difference_deg: how far it leans from the driver's, likewise.
    """
    if not abs(photo_deg) > LYING_DEG or not abs(difference_deg) > MAX_LEAN_DEG:
        return None
    return Check(
        id="lying",
        severity="warning",
        message="The person in the photo lies across the picture, the one in the clip does not: no model can stand "
        "them up. Turn the photo until the person is upright, or use a clip of someone who lies the same way.",
    )


def from_behind(photo: bool, clip: bool) -> Check | None:
    """One of both seen from behind, the other from the front."""
    if photo == clip:
        return None
    sides = (
        "The photo shows the person from behind, the clip from the front"
        if photo
        else "The clip shows the person from behind, the photo from the front"
    )
    return Check(
        id="from-behind",
        severity="warning",
        message=f"{sides}: arms would change sides, and the face is lost or has to be invented. Use a photo and a "
        "clip taken from the same side.",
    )


def entangled(people: Sequence[Person], chosen: int | None) -> Check | None:
    """Somebody in the photo who covers much of the person chosen, or is covered; `people` are those found."""
    own = next((person.box for person in people if person.id == chosen), None)
    others = [(_shared_part(own, person.box), person.id) for person in people if person.id != chosen] if own else []
    share, nearest = max(others, default=(0.0, 0))
    if share <= ENTANGLED_SHARE:
        return None
    return Check(
        id="entangled",
        severity="warning",
        message=f"Persons {chosen} and {nearest} of the photo overlap: they may be taken for one and move together. "
        "Use a photo in which they stand apart, or crop it to one person.",
    )


def _shared_part(one: Sequence[float], other: Sequence[float]) -> float:
    """Share of the smaller of two boxes that the other covers."""
    width, height = (min(one[k + 2], other[k + 2]) - max(one[k], other[k]) for k in (0, 1))
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(0.0, width) * max(0.0, height) / max(smaller, 1e-6)
