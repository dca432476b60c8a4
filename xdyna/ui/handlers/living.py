"""Events of the living background: arrows on the photo."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray

from xdyna.backends import BACKENDS
from xdyna.flows import MAX_FLOWS, Flow, flows_text, parse_flows
from xdyna.photo import crop_box, read_photo
from xdyna.preprocess.masks import person_masks
from xdyna.puppet.living_plate import continued
from xdyna.puppet.region import grow_region
from xdyna.puppet.suggestions import suggest_flows
from xdyna.schema import Conditions, Floats, Image, InputError, Mask
from xdyna.ui import fragments
from xdyna.ui.flow_editor import PICTURE_HEIGHT_PX, editor
from xdyna.ui.session import Analysis

HINT = "Draw an arrow over water, clouds, fire or grass: it moves along it and loops. Each is kept in the recipe."
ADD_PHOTO = "Add a photo first: then draw on it what moves."
ANALYSE_FIRST = "Analyse photo and clip first: suggestions leave the person out."
NOTHING_FOUND = "Nothing here surely moves. Draw an arrow where you know better."
FULL = f"These are all {MAX_FLOWS} arrows: remove one to draw another."


@dataclass(frozen=True, kw_only=True, eq=False)
class Backdrop:
    """A visitor's photo, small, as the editor shows it.

    Attributes:
        photo: The file.
        conditions: What was found in it, or None where it has not been analysed.
        picture: The photo, `(height, width, 3)` uint8 RGB.
        scenery: The same without the person, roughly.
        person: Where the person is, `(height, width)`.
        crop: The part that becomes the video: left, top, right, bottom in pixels of the picture.
        areas: How far each pixel moves by an arrow, `(height, width)` 0..255: of those that were shown last.
        drawn: The setting as the visitor made it for this photo, if they did: it goes with the photo. What came with a
            recipe stays.
        found: What is suggested for this photo, once it was asked for.
    """

    photo: str
    conditions: Conditions | None
    picture: Image
    scenery: Image
    person: Mask
    crop: tuple[int, int, int, int]
    areas: dict[tuple[tuple[float, float], ...], NDArray[np.uint8]] = field(default_factory=dict)
    drawn: list[str] = field(default_factory=list)
    found: list[list[Flow]] = field(default_factory=list)


def show(
    photo: str | None, analysis: Analysis | None, model: str, text: str, backdrop: Backdrop | None
) -> tuple[Any, Any, Any, Any]:
    """The photo with the arrows, for models that have them. Arrows that were drawn on another photo go with it.

    Returns:
        What the editor shows, kept for the next time; the editor; whether its panel is seen; and the setting.
    """
    if not BACKENDS[model].takes("flows"):
        return None, "", gr.update(visible=fragments.HIDDEN), gr.skip()
    if backdrop is not None and backdrop.photo != photo and text in backdrop.drawn:
        text, setting = "", ""
    else:
        setting = gr.skip()
    backdrop = _backdrop(photo, analysis, backdrop)
    if backdrop is None:
        return None, _hint(ADD_PHOTO), gr.update(visible=True), setting
    try:
        flows = _flows(text, backdrop)
    except ValueError as error:
        return backdrop, fragments.error(f"flows {error}."), gr.update(visible=True), setting
    hint = FULL if len(flows) == MAX_FLOWS else HINT
    shown = _hint(hint) + editor(backdrop.picture, flows, _moving(flows, backdrop))
    return backdrop, shown, gr.update(visible=True), setting


def edit(text: str, speed: float, kind: Any, backdrop: Backdrop | None, event: gr.EventData) -> Any:
    """Add the arrow that was drawn, or remove the one that was clicked away. Returns the setting."""
    flows = _readable(text, backdrop)
    try:  # anybody can send anything
        removed = getattr(event, "remove", None)
        if removed is not None:
            del flows[range(1, len(flows) + 1).index(removed)]
        else:
            (x0, y0), (x1, y1) = event.start, event.end
            start, end = (float(x0), float(y0)), (float(x1), float(y1))
            flows.append(Flow(start=start, end=end, speed=float(speed), kind=kind))
        return _drawn(flows[:MAX_FLOWS], backdrop)
    except (AttributeError, TypeError, ValueError):
        return gr.skip()


def tune(text: str, speed: float, kind: Any, backdrop: Backdrop | None) -> Any:
    """Give the newest arrow another speed or kind. Returns the setting."""
    flows = _readable(text, backdrop)
    return _drawn([*flows[:-1], replace(flows[-1], speed=float(speed), kind=kind)], backdrop) if flows else gr.skip()


def suggest(text: str, backdrop: Backdrop | None) -> tuple[Any, str]:
    """Add what is recognised. Returns the setting, and what there is to say."""
    if backdrop is None or backdrop.conditions is None:
        return gr.skip(), _hint(ADD_PHOTO if backdrop is None else ANALYSE_FIRST)
    flows = _readable(text, backdrop)
    moving = _moving(flows, backdrop)
    added = [flow for flow in _suggested(backdrop) if _value_at(moving, flow) < 0.5]
    if not added:
        return gr.skip(), _hint(NOTHING_FOUND)
    return _drawn([*flows, *added][:MAX_FLOWS], backdrop), ""


def _drawn(flows: list[Flow], backdrop: Backdrop | None) -> str:
    """Return the setting for arrows that were made for a photo, and remember that they were."""
    text = flows_text(flows)
    if backdrop is not None:
        backdrop.drawn[:] = [text]
    return text


def _backdrop(photo: str | None, analysis: Analysis | None, known: Backdrop | None) -> Backdrop | None:
    conditions = analysis.conditions if analysis is not None and analysis.inputs[0] == photo else None
    if photo is None or (known is not None and known.photo == photo and known.conditions is conditions):
        return known if photo is not None else None
    try:
        whole = read_photo(Path(photo)) if conditions is None else conditions.reference_image
    except InputError:  # told where it was given
        return None
    zoom = min(1.0, PICTURE_HEIGHT_PX / max(whole.shape))
    size = max(1, round(whole.shape[1] * zoom)), max(1, round(whole.shape[0] * zoom))
    picture = cv2.resize(whole, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    person, crop = np.zeros(picture.shape[:2], bool), (0, 0, *size)
    if conditions is not None:
        shape = (picture.shape[0], picture.shape[1])
        box = [value * zoom for value in conditions.photo_box] if conditions.photo_box else None
        left, top, right, bottom = crop = crop_box(shape, conditions.size, box)
        mask = person_masks(conditions.reference_pose, conditions.size)[0]
        person[top:bottom, left:right] = cv2.resize(mask, (right - left, bottom - top)) > 0.02
    scenery = continued(picture, ~person)
    drawn = known.drawn if known is not None and known.photo == photo else []
    return Backdrop(
        photo=photo, conditions=conditions, picture=picture, scenery=scenery, person=person, crop=crop, drawn=drawn
    )


def _flows(text: str, backdrop: Backdrop | None) -> list[Flow]:
    """Return the arrows of the setting.

    Raises:
        ValueError: it is no such text.
    """
    flows = parse_flows(text)
    if flows is None:
        return _suggested(backdrop) if backdrop is not None else []
    return list(flows)


def _readable(text: str, backdrop: Backdrop | None) -> list[Flow]:
    """Return the arrows of the setting, none where it is no such text."""
    try:
        return _flows(text, backdrop)
    except ValueError:
        return []


def _suggested(backdrop: Backdrop) -> list[Flow]:
    """Return suggestions for the part of the photo that becomes the video, in 0..1 of the photo."""
    if backdrop.found:
        return backdrop.found[0]
    left, top, right, bottom = backdrop.crop
    part = slice(top, bottom), slice(left, right)
    size = np.array(backdrop.picture.shape[1::-1])

    def on_photo(point: tuple[float, float]) -> tuple[float, float]:
        x, y = ((left, top) + np.array(point) * (right - left, bottom - top)) / size
        return float(x), float(y)

    found = suggest_flows(backdrop.scenery[part])
    backdrop.found[:] = [[replace(flow, start=on_photo(flow.start), end=on_photo(flow.end)) for flow in found]]
    return backdrop.found[0]


def _moving(flows: list[Flow], backdrop: Backdrop) -> Floats:
    """Return how far each pixel of the picture moves, 0..1."""
    size = np.array(backdrop.picture.shape[1::-1])
    known, moving = dict(backdrop.areas), np.zeros(backdrop.picture.shape[:2], np.uint8)
    backdrop.areas.clear()
    for flow in flows:
        ends = flow.start, flow.end
        area = known.get(ends)
        if area is None:
            area = (255 * grow_region(backdrop.scenery, *(np.array(end) * size for end in ends))).astype(np.uint8)
        known[ends] = backdrop.areas[ends] = area
        moving = np.maximum(moving, area)
    return (moving * ~backdrop.person / np.float32(255)).astype(np.float32)


def _value_at(moving: Floats, flow: Flow) -> float:
    """Return how far the middle of an arrow moves already."""
    x, y = (np.array(flow.start) + flow.end) / 2
    height, width = moving.shape
    return float(moving[min(height - 1, int(y * height)), min(width - 1, int(x * width))])


def _hint(text: str) -> str:
    return f'<p class="hint">{text}</p>'
