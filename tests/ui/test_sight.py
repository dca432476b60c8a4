"""What the screen Check shows of the chosen model, and when it is drawn."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from backends.tiny_backends import FPS, HEIGHT, NUM_FRAMES, WIDTH, tiny_conditions

from xdyna.backends import BACKENDS
from xdyna.schema import Person
from xdyna.ui import fragments
from xdyna.ui.handlers.check import SHOWN, Shown, show
from xdyna.ui.session import Analysis, analysis_inputs
from xdyna.video import probe

FILES = ("photo.png", "clip.mp4")
NOTHING = Shown()


def analysis(model: str, **changes: Any) -> Analysis:
    """Of the tiny conditions, made with the model's own settings."""
    backend = BACKENDS[model]
    frames = backend.limits_of("num_frames").nearest(NUM_FRAMES)
    settings = replace(backend.defaults, height=HEIGHT, width=WIDTH, fps=FPS, num_frames=frames, **changes)
    someone = (Person(id=1, box=(0.0, 0.0, WIDTH, HEIGHT), score=0.9),)
    conditions = replace(tiny_conditions(), photo_people=someone, photo_person=1)
    return Analysis(inputs=analysis_inputs(*FILES, settings), settings=settings, conditions=conditions)


def steps(
    found: Analysis, model: str, shown: Shown = NOTHING, screen: str = "check", **form: Any
) -> list[dict[str, Any]]:
    """What each update changes, with the size of every video while its file is there."""
    settings = found.settings.to_dict() | form
    made = []
    for update in show(*FILES, None, True, found, model, screen, shown, 0.8, **settings):
        changes = {
            name: value
            for name, value in zip(SHOWN, update, strict=True)
            if not (isinstance(value, dict) and value.get("__type__") == "update" and len(value) == 1)
        }
        if changes.get("pose_clip", {}).get("value"):
            info = probe(changes["pose_clip"]["value"])
            changes["size"] = info.height, info.width
        made.append(changes)
    return [changes for changes in made if changes]


@pytest.mark.parametrize(
    ("model", "columns", "strip"), [("xdyna-mini", 2, True), ("dynamictrl", 2, False), ("wan-animate-2", 1, False)]
)
def test_the_chosen_model_draws_what_it_sees(model: str, columns: int, strip: bool) -> None:
    found, drawing, sight = steps(analysis(model), model)
    title = BACKENDS[model].title
    assert {"overlay", "checks", "people", "report"} <= set(found) and "size" not in found  # at once
    assert f"Drawing what {title} sees" in drawing["sight"]
    assert title in sight["sight"] and BACKENDS[model].sees.partition("'")[0] in sight["sight"]
    assert sight["size"] == (4 * HEIGHT, 4 * columns * WIDTH)
    assert sight["faces"]["visible"] == (True if strip else fragments.HIDDEN)
    assert bool(sight["faces"]["value"]) == strip
    assert sight["shown"] == Shown(found["shown"].inputs, model)


def test_nothing_is_drawn_before_the_visitor_looks_nor_twice() -> None:
    given = analysis("xdyna-mini")
    (found,) = steps(given, "xdyna-mini", screen="generate")
    *_, sight = steps(given, "xdyna-mini", found["shown"])
    assert "overlay" not in sight  # that was there
    assert steps(given, "xdyna-mini", sight["shown"]) == []


def test_another_model_of_the_same_size_draws_its_own() -> None:
    given = analysis("wan-animate-2")
    *_, sight = steps(given, "wan-animate-2-distilled", Shown(given.inputs, "wan-animate-2"))
    assert "Wan-Animate-2 Distilled" in sight["sight"] and sight["shown"].model == "wan-animate-2-distilled"


def test_what_will_be_analysed_anew_is_not_drawn() -> None:
    given = analysis("xdyna-mini")
    assert steps(given, "dynamictrl", Shown(given.inputs, "xdyna-mini"), num_frames=37) == []


def test_a_model_that_cannot_use_the_input_says_why() -> None:
    given = analysis("wan-animate-2")
    dark = np.zeros_like(given.conditions.driving_frames)
    *_, sight = steps(replace(given, conditions=replace(given.conditions, driving_frames=dark)), "wan-animate-2")
    assert "a motion file has no pictures" in sight["sight"]
    assert sight["pose_clip"]["value"] is None and "size" not in sight


def test_without_an_analysis_nothing_changes() -> None:
    settings = BACKENDS["xdyna-mini"].defaults.to_dict()
    (update,) = show(None, None, None, False, None, "xdyna-mini", "check", Shown(), 0.8, **settings)
    assert all(value == update[0] for value in update) and len(update) == len(SHOWN)
