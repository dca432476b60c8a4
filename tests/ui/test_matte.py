"""The cut-out of the photo's person: corrected with a brush or a file, and used."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import gradio as gr
import numpy as np
import pytest
from backends.tiny_backends import HEIGHT, WIDTH
from ui.test_sight import analysis

from xdyna.config import AnimationSettings
from xdyna.photo.mask import encode_mask, read_mask
from xdyna.schema import Conditions, InputError
from xdyna.ui.handlers import generate
from xdyna.ui.handlers import matte as handlers
from xdyna.ui.handlers.matte import CHANGED, SHOWN, paint, painted, read_points, show_matte, start_over, upload
from xdyna.ui.job_events import updates
from xdyna.ui.session import Analysis, with_matte_of

SQUARE = np.zeros((HEIGHT, WIDTH), np.float32)
SQUARE[20:60, 16:48] = 1


def corrected(matte: np.ndarray | None = SQUARE) -> Analysis:
    given = analysis("xdyna-mini")
    return replace(given, conditions=replace(given.conditions, matte=matte))


def stroke(*points: tuple[float, float]) -> Any:
    return SimpleNamespace(_data={"points": [list(point) for point in points]})


def changes(update: tuple[Any, ...], names: tuple[str, ...] = CHANGED) -> dict[str, Any]:
    return {name: value for name, value in zip(names, update, strict=True) if value != gr.skip()}


@pytest.mark.parametrize(
    ("adding", "points", "change"),
    [
        (True, [(0.5, 0.1)], 1),  # a dot above the square
        (True, [(0.5, 0.5)], 0),  # where the person is already
        (False, [(0.5, 0.5)], -1),
        (False, [(0.9, 0.9)], 0),
        (True, [(0.1, 0.1), (0.9, 0.1)], 1),  # a line
        (True, [(-1, -1), (2, -1)], 0),  # beside the picture
    ],
)
def test_the_brush_adds_to_the_person_or_removes(adding: bool, points: list[tuple[float, float]], change: int) -> None:
    after = painted(SQUARE, np.array(points, np.float32), adding, 4)
    assert np.sign(np.round(after.sum() - SQUARE.sum())) == change
    assert after.shape == SQUARE.shape and 0 <= after.min() <= after.max() <= 1


@pytest.mark.parametrize(
    "data",
    [
        *(None, [], {}, {"points": []}, {"points": "0.5"}, {"points": [[0.5]]}, {"points": [[0.5, "1"]]}),
        *({"points": [[math.nan, 0]]}, {"points": [[math.inf, 0]]}, {"points": [[True, 0]]}, {"points": [{}]}),
        {"points": [[0, 0]] * 4001},
    ],
)
def test_what_is_no_stroke_is_refused(data: object) -> None:
    with pytest.raises(InputError, match="stroke"):
        read_points(data)


def test_a_stroke_makes_a_new_analysis_and_leaves_the_old_one() -> None:
    given = corrected()
    made = changes(paint(given, "remove", 5.0, stroke((0.5, 0.5))))["analysis"]
    assert made.conditions.matte.sum() < SQUARE.sum() and given.conditions.matte is SQUARE
    assert made.conditions.matte_hash != given.conditions.matte_hash != ""
    assert made.conditions.content_hash != given.conditions.content_hash
    assert paint(None, "add", 5.0, stroke((0.5, 0.5))) == updates(CHANGED)


def test_a_mask_without_anybody_is_refused_and_the_old_one_kept() -> None:
    rows = [(x, y / 20) for y in range(20) for x in (0.0, 1.0)]
    assert set(changes(paint(corrected(), "remove", 10.0, stroke(*rows)))) == {"matte_status"}


def test_a_downloaded_mask_can_be_uploaded_again(tmp_path: Path) -> None:
    soft = cv2.GaussianBlur(SQUARE, (0, 0), 2)
    path = tmp_path / "mask.png"
    path.write_bytes(encode_mask(soft))
    made = changes(upload(corrected(), str(path)))["analysis"].conditions.matte
    assert np.abs(made - soft).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (encode_mask(np.ones((HEIGHT + 8, WIDTH))), rf"{WIDTH} x {HEIGHT + 8} pixels.*is {WIDTH} x {HEIGHT}\."),
        (encode_mask(np.zeros((HEIGHT, WIDTH))), "Nobody"),
        (b"not a picture", "not a picture"),
    ],
)
def test_a_file_that_is_no_such_mask_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "mask.png").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_mask(tmp_path / "mask.png", (HEIGHT, WIDTH))
    assert set(changes(upload(corrected(), str(tmp_path / "mask.png")))) == {"matte_status"}


def test_a_file_helps_where_the_program_finds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(conditions: Conditions) -> None:
        raise InputError("Nobody was found.")

    monkeypatch.setattr(handlers, "photo_matte", refuse)
    (tmp_path / "mask.png").write_bytes(encode_mask(SQUARE))
    assert changes(upload(corrected(None), str(tmp_path / "mask.png")))["analysis"].conditions.matte is not None


@pytest.mark.parametrize("is_new", [False, True])
def test_a_job_sets_the_analysis_only_where_it_made_one(is_new: bool) -> None:
    """The visitor may have corrected the mask while the job waited for its turn."""
    found = corrected()
    before = None if is_new else found
    first = next(iter(generate._run(found, before, AnimationSettings(), "xdyna-mini")))
    assert ("analysis" in changes(first, generate.JOB)) is is_new


def test_one_click_brings_back_what_the_program_found() -> None:
    assert changes(start_over(corrected()))["analysis"].conditions.matte is None
    assert start_over(corrected(None)) == updates(CHANGED)


def test_it_is_shown_once_the_visitor_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert show_matte(corrected(), False) == updates(SHOWN)
    shown = changes(show_matte(corrected(), True), SHOWN)
    assert "canvas" in shown["matte"] and handlers.CORRECTED in shown["matte_status"]
    assert np.array_equal(read_mask(Path(shown["matte_file"]["value"]), (HEIGHT, WIDTH)), SQUARE)
    refused = changes(show_matte(corrected(None), True), SHOWN)  # nobody can be cut out of noise
    assert refused["matte"] == "" and "pixels tall" in refused["matte_status"]


def test_a_correction_outlives_another_analysis_of_the_same_part_of_the_photo() -> None:
    before, fresh = corrected().conditions, corrected(None).conditions
    assert with_matte_of(before, fresh).matte is SQUARE
    for other in (
        {"driving_frames": np.zeros((2, HEIGHT, WIDTH + 8, 3), np.uint8)},
        {"reference_image": fresh.reference_image[::-1]},
        {"photo_people": ()},
    ):
        assert with_matte_of(before, replace(fresh, **other)).matte is None


@pytest.mark.browser
def test_the_brush_corrects_the_cut_out_and_the_photo_moves_again(url: str, visit: Callable[..., Any]) -> None:
    visitor = pytest.importorskip("ui.visitor")
    page = visit(url)
    visitor.make_fast(page)
    visitor.choose_example(page)
    visitor.go(page, "check")
    visitor.expect_playing(page, "#moved")
    moved = visitor.source(page, "#moved")
    page.get_by_text("Cut-out of the person").click()
    page.locator("#matte canvas").wait_for()
    visitor.expect_text(page, "#matte-status", handlers.ESTIMATED)
    tinted = visitor.source(page, "#matte")
    canvas = page.locator("#matte canvas")
    canvas.scroll_into_view_if_needed()
    page.locator("#brush-tool").get_by_text("Remove").click()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.45 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.55 * box["height"], steps=4)
    page.mouse.up()
    visitor.expect_text(page, "#matte-status", handlers.CORRECTED)
    assert visitor.source(page, "#matte") != tinted
    with page.expect_download() as download:
        page.locator("#matte-download").click()
    assert re.fullmatch(r"mask\.png", download.value.suggested_filename)
    page.wait_for_function("old => document.querySelector('#moved video')?.getAttribute('src') !== old", arg=moved)
    page.locator("#matte-clear").click()
    visitor.expect_text(page, "#matte-status", handlers.ESTIMATED)
    assert visitor.source(page, "#matte") == tinted
