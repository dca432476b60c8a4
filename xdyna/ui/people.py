"""Who is in the photo and in the clip: pictures with a numbered button on everybody."""

from collections.abc import Iterable
from html import escape
from pathlib import Path

from xdyna.photo import crop_box
from xdyna.preprocess.motion_file import is_motion_file
from xdyna.schema import Conditions, Image, InputError, Motion, Person
from xdyna.ui.pictures import data_uri, frame_at

PICTURE_HEIGHT_PX = 480
MAX_MOMENTS = 3
CHOOSE = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-person]");
  if (button) trigger("select", { where: button.dataset.where, person: button.dataset.person });
});
"""
"""Tells the server who was clicked: `where` is "photo" or "clip", `person` a number."""


def people(conditions: Conditions, clip: Path) -> str:
    """The photo with the part that the video shows, and the clip's people where each is best seen.

    Args:
        conditions: from `prepare`.
        clip: what they were made from, a clip or a motion file.
    """
    photo = conditions.reference_image
    left, top, right, bottom = crop_box((photo.shape[0], photo.shape[1]), conditions.size, conditions.photo_box)
    used = _place("i", "", (left, top, right, bottom), photo.shape, 'title="This part becomes the video"')
    shown = _figure("photo", "Photo", photo, conditions.photo_people, conditions.photo_person, used)
    if conditions.motion and (conditions.motion.people or is_motion_file(clip)):
        shown += _moments(conditions.motion, clip)
    return f'<div class="check-people">{shown}</div>'


def _moments(motion: Motion, clip: Path) -> str:
    """One picture for every moment at which somebody is best seen."""
    if is_motion_file(clip):
        return '<p class="hint">A motion file has no pictures of the driver.</p>'
    chosen = next((person.frame for person in motion.people if person.id == motion.person), 0)
    moments = [chosen, *sorted({person.frame for person in motion.people} - {chosen})][:MAX_MOMENTS]
    figures = []
    for frame in moments:
        second = motion.start_s + frame / motion.fps
        try:
            picture = frame_at(clip, second, motion.fps)
        except InputError:  # the last frame of a clip cannot be read alone
            picture = frame_at(clip, second - 1 / motion.fps, motion.fps)
        there = [person for person in motion.people if person.frame == frame]
        figures.append(_figure("clip", f"Clip at {second:.1f} s", picture, there, motion.person))
    return "".join(figures)


def _figure(
    where: str, title: str, picture: Image, there: Iterable[Person], chosen: int | None, extra: str = ""
) -> str:
    boxes = "".join(
        _place(
            "button",
            f"<span>{person.id}</span>",
            person.box,
            picture.shape,
            f'type="button" data-where="{where}" data-person="{person.id}" '
            f'aria-pressed="{"true" if person.id == chosen else "false"}" '
            f'aria-label="Person {person.id} of the {where}"',
        )
        for person in there
    )
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<div><img alt="{escape(title)}" src="{data_uri(picture, PICTURE_HEIGHT_PX)}">{extra}{boxes}</div></figure>'
    )


def _place(tag: str, content: str, box: Iterable[float], shape: tuple[int, ...], attributes: str) -> str:
    """An element over a part of a picture; `shape` is the picture's."""
    left, top, right, bottom = box
    left, right = max(0.0, left / shape[1]), min(1.0, right / shape[1])
    top, bottom = max(0.0, top / shape[0]), min(1.0, bottom / shape[0])
    style = f"left:{left:.2%};top:{top:.2%};width:{right - left:.2%};height:{bottom - top:.2%}"
    return f'<{tag} {attributes} style="{style}">{content}</{tag}>'
