"""The living background on screen 3: arrows that a visitor draws, tunes, removes, or has suggested."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import gradio as gr
import numpy as np
import pytest

from xdyna.flows import MAX_FLOWS
from xdyna.ui import fragments
from xdyna.ui.handlers.living import ADD_PHOTO, ANALYSE_FIRST, Backdrop, edit, show, suggest, tune
from xdyna.world import render_clip

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from xdyna.schema import Conditions

EXAMPLES = Path(__file__).parents[2] / "examples"
ONE = "0.1,0.2,0.5,0.2,0.06,flow"


def event(**data: Any) -> gr.EventData:
    return gr.EventData(None, data)


def backdrop(text: str = "") -> Backdrop:
    """What the editor of a photo that was not analysed yet keeps."""
    kept, *_ = show(str(EXAMPLES / "sea_photo.png"), None, "puppet", text, None)
    assert isinstance(kept, Backdrop)
    return kept


def is_skipped(answer: Any) -> bool:
    return bool(answer == gr.skip())


def test_what_is_drawn_becomes_an_arrow_and_can_be_tuned_and_removed() -> None:
    one = edit("", 0.06, "flow", None, event(start=[0.1, 0.2], end=[0.5, 0.2]))
    assert one == ONE
    two = edit(one, 0.02, "sway", None, event(start=[0, 1], end=[1, 1]))
    assert two == f"{ONE}; 0,1,1,1,0.02,sway"
    assert tune(two, 0.1, "flow", None) == f"{ONE}; 0,1,1,1,0.1,flow"
    assert edit(two, 0.06, "flow", None, event(remove=1)) == "0,1,1,1,0.02,sway"
    assert is_skipped(tune("", 0.1, "flow", None))


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"start": [0.5, 0.5], "end": [0.5, 0.5]},  # a click, and no way
        {"start": [0.5, 0.5], "end": [0.9, 2]},
        {"start": [0.5, 0.5], "end": [0.9, "nan"]},
        {"start": [0.5, 0.5], "end": None},
        {"start": "ab", "end": {"x": 1, "y": 2}},
        {"start": [0.5, [0.5]], "end": [0.9, 0.5, 0.1]},
        {"remove": 2},
        {"remove": 0},
        {"remove": "all"},
    ],
)
def test_what_is_no_arrow_changes_nothing(data: dict[str, Any]) -> None:
    assert is_skipped(edit(ONE, 0.06, "flow", None, event(**data)))


def test_there_are_at_most_eight() -> None:
    full = "; ".join([ONE] * MAX_FLOWS)
    assert edit(full, 0.06, "flow", None, event(start=[0, 0], end=[1, 1])) == full
    shown = show(str(EXAMPLES / "sea_photo.png"), None, "puppet", full, None)[1]
    assert "data-free" not in shown and "remove one to draw another" in shown


def test_the_editor_shows_the_photo_with_an_arrow_and_a_button_for_each() -> None:
    text = f"{ONE}; 0.1,0.6,0.5,0.6,0.06,sway"
    kept, shown, panel, _ = show(str(EXAMPLES / "sea_photo.png"), None, "puppet", text, None)
    assert panel["visible"] is True
    assert len(re.findall(r'<line class="flow-arrow (flow|sway)"', shown)) == 2
    assert re.findall(r'data-remove="(\d)"', shown) == ["1", "2"]
    again = show(str(EXAMPLES / "sea_photo.png"), None, "puppet", ONE, kept)
    assert again[0] is kept  # the photo is not read anew for every arrow


@pytest.mark.parametrize("is_drawn", [True, False])
def test_arrows_go_with_the_photo_they_were_drawn_on_and_those_of_a_recipe_stay(is_drawn: bool) -> None:
    kept = backdrop()
    if is_drawn:
        edit("", 0.06, "flow", kept, event(start=[0.1, 0.2], end=[0.5, 0.2]))
    assert is_skipped(show(kept.photo, None, "puppet", ONE, kept)[3])
    setting = show(str(EXAMPLES / "meadow_photo.png"), None, "puppet", ONE, kept)[3]
    assert setting == "" if is_drawn else is_skipped(setting)


@pytest.mark.parametrize(
    ("photo", "model", "text", "said", "visible"),
    [
        ("sea_photo.png", "xdyna-mini", ONE, "", fragments.HIDDEN),
        (None, "puppet", "", ADD_PHOTO, True),
        ("sea_clip.mp4", "puppet", "", ADD_PHOTO, True),
        ("sea_photo.png", "puppet", "up", "flows must be suggested, or arrows", True),
    ],
)
def test_where_there_is_nothing_to_draw_on_it_says_so(
    photo: str | None, model: str, text: str, said: str, visible: bool | str
) -> None:
    _, shown, panel, _ = show(photo and str(EXAMPLES / photo), None, model, text, None)
    assert said in shown and panel["visible"] == visible


def test_suggestions_wait_for_the_analysis_and_leave_alone_what_moves_already() -> None:
    assert ANALYSE_FIRST in suggest("", backdrop())[1]
    assert ADD_PHOTO in suggest("", None)[1]
    sea = render_clip(3, num_frames=1, height=224, width=128, scene_name="sea", person=False).frames[0]
    nobody, anything = np.zeros(sea.shape[:2], bool), cast("Conditions", object())
    found = Backdrop(photo="", conditions=anything, picture=sea, scenery=sea, person=nobody, crop=(0, 0, 128, 224))
    text, said = suggest("", found)
    assert len(text.split(";")) == 2 and not said  # sea and sky
    again, said = suggest(text, found)
    assert is_skipped(again) and "Nothing here" in said


@pytest.mark.browser
def test_an_arrow_drawn_on_the_photo_moves_the_background_and_is_in_the_recipe(
    url: str, visit: "Callable[..., Page]", tmp_path: Path
) -> None:
    from playwright.sync_api import expect
    from ui.visitor import choose_example, expect_text, go, set_number

    from xdyna.recipe import read_recipe
    from xdyna.video import read_video

    page = visit(url)
    choose_example(page)
    go(page, "generate")
    expect(page.locator("#living")).to_be_hidden()
    page.locator("#model input").click()
    page.get_by_role("option", name="Puppet").click()
    picture = page.locator(".flow-picture")
    picture.locator("img").wait_for()
    go(page, "inputs")
    page.get_by_text("Frame rate and size of the video").click()
    page.locator("#setting-height input[type=range]").wait_for()
    for name, value in {"num_frames": 2, "width": 256, "height": 448}.items():
        set_number(page, name, value)
    go(page, "generate")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    assert box is not None
    for share in (0.1, 0.3):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 0.6 * box["height"])
        (page.mouse.down if share < 0.2 else page.mouse.up)()
    expect(page.locator(".flow-list li")).to_have_count(1)
    page.locator("#generate").click()
    expect_text(page, "#run-status", "Done: 2 frames")
    with page.expect_download() as download:
        page.locator("#download-video").click()
    download.value.save_as(tmp_path / "made.mp4")
    assert re.fullmatch(
        r"0\.1\d*,0\.[56]\d*,0\.3\d*,0\.[56]\d*,0\.06,flow", read_recipe(tmp_path / "made.mp4").settings["flows"]
    )
    frames = read_video(tmp_path / "made.mp4", fps=8, num_frames=2).frames.astype(np.float32)
    changed = np.abs(frames[1] - frames[0]).mean(axis=-1) > 8
    height, width = changed.shape
    assert changed[height // 2 : 3 * height // 5, : width // 4].mean() > 0.2, "the sea does not flow"
    assert changed[: height // 4, : width // 4].mean() < 0.02, "the sky moves"

    page.locator("[data-remove='1']").click()
    expect(page.locator(".flow-list li")).to_have_count(0)
    expect(page.locator("#setting-flows :is(input, textarea)")).to_have_value("")
