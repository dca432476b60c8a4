"""The photo with the arrows of the background, on which a visitor draws more of them."""

from collections.abc import Sequence

import numpy as np

from xdyna.flows import MAX_FLOWS, MIN_LENGTH, Flow
from xdyna.schema import Floats, Image
from xdyna.ui.pictures import data_uri

PICTURE_HEIGHT_PX = 448
STILL = 0.45  # of its brightness that is left of what stands still
NAMES = {"flow": "flows", "sway": "sways"}
DRAW = (
    f"const MIN_LENGTH = {MIN_LENGTH};"
    + """
const place = (event) => {
  const box = element.querySelector("svg").getBoundingClientRect();
  const share = (value) => Math.min(1, Math.max(0, value));
  return [share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height)];
};
let start = null;
element.addEventListener("pointerdown", (event) => {
  const picture = event.target.closest(".flow-picture[data-free]");
  if (!picture || event.button) return;
  event.preventDefault();
  picture.setPointerCapture(event.pointerId);
  start = place(event);
});
element.addEventListener("pointermove", (event) => {
  if (!start) return;
  const line = element.querySelector("svg .drawn");
  const [width, height] = line.ownerSVGElement.getAttribute("viewBox").split(" ").slice(2).map(Number);
  const [x, y] = place(event);
  Object.entries({ x1: start[0] * width, y1: start[1] * height, x2: x * width, y2: y * height })
    .forEach(([name, value]) => line.setAttribute(name, value));
});
element.addEventListener("pointerup", (event) => {
  if (!start) return;
  const end = place(event), line = element.querySelector("svg .drawn");
  if (line) ["x1", "y1", "x2", "y2"].forEach((name) => line.removeAttribute(name));
  if (Math.hypot(end[0] - start[0], end[1] - start[1]) >= MIN_LENGTH) trigger("select", { start, end });
  start = null;
});
element.addEventListener("pointercancel", () => { start = null; });
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-remove]");
  if (button) trigger("select", { remove: Number(button.dataset.remove) });
});
"""
)
"""Tells the server what was drawn, `start` and `end` in 0..1 of the photo, or the number of an arrow to `remove`."""


def editor(picture: Image, flows: Sequence[Flow], moving: Floats) -> str:
    """Return the photo with its arrows, and a button for each that removes it.

    Args:
        picture: The photo, `(height, width, 3)` uint8 RGB.
        flows: The arrows, in their order.
        moving: How far each pixel of it will move, `(height, width)` in 0..1; the rest is shown darker.
    """
    height, width = picture.shape[:2]
    light = 1 - (1 - STILL) * (1 - moving) if flows else np.ones((height, width), np.float32)
    shown = (picture * light[..., None]).astype(np.uint8)
    lines = "".join(_line(flow, width, height, "flow-arrow") for flow in flows)
    numbers = "".join(
        f'<text x="{flow.start[0] * width:.0f}" y="{flow.start[1] * height:.0f}">{k}</text>'
        for k, flow in enumerate(flows, 1)
    )
    free = "data-free" if len(flows) < MAX_FLOWS else ""
    return (
        f'<div class="flow-picture" {free}><img alt="Your photo: what will move is bright" draggable="false" '
        f'src="{data_uri(shown, PICTURE_HEIGHT_PX)}">'
        f'<svg viewBox="0 0 {width} {height}" aria-hidden="true"><defs><marker id="flow-tip" viewBox="0 0 10 10" '
        'refX="7" refY="5" markerWidth="4" markerHeight="4" orient="auto"><path d="M0 0 10 5 0 10z"/></marker></defs>'
        f'{lines}<line class="flow-arrow drawn"/>{numbers}</svg></div>'
        f'<ul class="flow-list">{"".join(_entry(k, flow) for k, flow in enumerate(flows, 1))}</ul>'
    )


def _line(flow: Flow, width: int, height: int, style: str) -> str:
    (x0, y0), (x1, y1) = flow.start, flow.end
    ends = f'x1="{x0 * width:.1f}" y1="{y0 * height:.1f}" x2="{x1 * width:.1f}" y2="{y1 * height:.1f}"'
    return f'<line class="{style} {flow.kind}" {ends}/>'


def _entry(number: int, flow: Flow) -> str:
    return (
        f"<li><span>Arrow {number}</span> <span>{NAMES[flow.kind]}</span> <span>{flow.speed:g}</span> "
        f'<button type="button" data-remove="{number}" aria-label="Remove arrow {number}">✕</button></li>'
    )
