"""The screen "What the model will see" in a real browser."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import cv2
import gradio as gr
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from playwright.sync_api import Page, expect
from ui.visitor import (
    EXAMPLES,
    choose_example,
    expect_playing,
    expect_text,
    go,
    make_fast,
    press,
    remember,
    remembered,
    reveal,
    source,
    upload,
)

from xdyna.backends import BACKENDS
from xdyna.ui.handlers.check import Newest, asked, due

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]


@pytest.fixture
def page(url: str, visit: Visit) -> Page:
    """A visitor who has chosen an example and made it short."""
    page = visit(url)
    make_fast(page)
    choose_example(page)
    return page


def see_all(page: Page) -> None:
    """Opens the screen and waits for the last that comes, which is what the model sees."""
    go(page, "check")
    expect(page.locator("#pose-clip video")).to_be_visible()


def type_number(page: Page, place: str, value: float) -> None:
    field = page.locator(f"{place} input[type=number]")
    field.fill(str(value))
    field.press("Enter")


def test_it_looks_at_the_files_by_itself_and_shows_all_it_found(page: Page) -> None:
    expect_text(page, "#checks", "4 frames at 8 per second, 128 x 224 px")  # no button was pressed
    go(page, "check")
    for place in ("#overlay img", "#faces img", "#people img >> nth=1", "#pose-clip video"):
        expect(page.locator(place)).to_be_visible()
    expect_playing(page, "#pose-clip")
    expect_text(page, "#checks", "One person in the photo, one in the clip.*Face found in all 4 frames")
    expect(page.locator("#analyse-stop")).to_be_hidden()


def test_sliders_draw_at_once_without_looking_again(page: Page) -> None:
    see_all(page)
    expect(page.locator("#overlay img")).to_be_visible()
    remember(page, "#check-status")
    for place, value in (("#frame", 4), ("#opacity", 0.3)):
        before = source(page, "#overlay")
        type_number(page, place, value)
        expect(page.locator("#overlay img")).not_to_have_attribute("src", before)
    page.get_by_text("Place the driver by hand").click()
    before = source(page, "#overlay")
    type_number(page, "#setting-nudge_x", 0.2)
    expect(page.locator("#overlay img")).not_to_have_attribute("src", before)
    assert "Finding people" not in remembered(page)


def test_one_click_makes_the_fix_and_analyses_again(page: Page) -> None:
    see_all(page)
    fix = page.locator("[data-fix=long]")
    expect(fix).to_have_text("Use 4.0 s")
    remember(page, "#check-status")
    fix.click()
    expect_text(page, "#checks", "32 frames at 8 per second")
    expect(page.locator("[data-fix=long]")).to_have_count(0)
    assert "Body and hands" in remembered(page)
    expect(page.locator("#setting-num_frames input[type=number]")).to_have_value("32")


def test_the_photo_moves_by_itself_and_again_for_another_alignment(page: Page) -> None:
    go(page, "check")
    expect_text(page, "#moved-note", "AI-generated.*warped by the first 3 s")
    expect_playing(page, "#moved")
    assert page.locator("#moved video").evaluate("video => [video.loop, video.videoWidth]") == [True, 256]
    before, width = source(page, "#moved"), page.locator("#overlay").bounding_box()
    page.get_by_text("Place the driver by hand").click()
    remember(page, "#moved-note")
    page.locator("#setting-retarget input").check()
    expect(page.locator("#moved video")).not_to_have_attribute("src", before)
    expect_playing(page, "#moved")
    assert "Moving your photo" in remembered(page)
    assert page.locator("#overlay").bounding_box() == width  # nothing jumps


def test_the_person_is_chosen_by_a_click(page: Page, tmp_path: Path) -> None:
    photo = cv2.imread(str(EXAMPLES / "sea_photo.png"))
    assert photo is not None
    cv2.imwrite(str(tmp_path / "two.png"), np.concatenate([photo, photo[:, ::-1]], axis=1))
    page.get_by_text("Frame rate and size of the video").scroll_into_view_if_needed()
    type_number(page, "#setting-width", 256)
    upload(page, "photo", tmp_path / "two.png")
    go(page, "check")
    expect_text(page, "#checks", "2 people found in the photo; number 1 is animated")
    page.locator("[data-where=photo][data-person='2']").click()
    expect_text(page, "#checks", "number 2 is animated")
    expect(page.locator("[data-where=photo][data-person='2']")).to_have_attribute("aria-pressed", "true")


def test_what_the_button_has_asked_for_is_not_asked_for_again_by_its_change_of_screen() -> None:
    newest, settings = Newest(), asdict(BACKENDS["xdyna-mini"].defaults)
    assert due("photo", "clip", None, True, None, newest, ("photo", "clip"), **settings) != gr.skip()
    asked("photo", "clip", None, True, None, newest, **settings)
    assert due("photo", "clip", None, True, None, newest, ("photo", "clip"), **settings) == gr.skip()
    assert due("photo", "other", None, True, None, newest, ("photo", "other"), **settings) != gr.skip()


def test_stop_ends_the_analysis_and_it_can_be_started_again(page: Page) -> None:
    go(page, "inputs")
    type_number(page, "#setting-num_frames", 32)
    for side, pixels in (("height", 1024), ("width", 1024)):  # so that there is time to stop
        type_number(page, f"#setting-{side}", pixels)
    page.locator("#analyse").click()
    page.locator("#analyse-stop").wait_for()
    page.locator("#analyse-stop").dispatch_event("click")  # at once: a click would wait for it to stand still
    expect_text(page, "#check-status", "Stopped")
    expect(page.locator("#analyse-stop")).to_be_hidden()
    press(page, "#analyse-again")
    expect_text(page, "#checks", "32 frames at 8 per second")


def test_report_and_motion_are_downloaded_and_the_motion_drives_like_the_clip(page: Page, tmp_path: Path) -> None:
    see_all(page)
    expect_text(page, "#checks", "4 frames")
    for button, name in (("#download-report", "report.json"), ("#download-motion", "motion.xdyna-motion")):
        with page.expect_download() as download:
            page.locator(button).click()
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
    assert json.loads((tmp_path / "report.json").read_text())["num_frames"] == 4
    go(page, "inputs")
    page.get_by_text("Use a GIF, a WebP or a motion file").click()
    page.locator("#motion input[type=file]").set_input_files(tmp_path / "motion.xdyna-motion")
    expect_text(page, "#clip-note", "Motion file · 0.5 s · 8 fps")
    reveal(page, "#checks")
    expect_text(page, "#checks", "A motion file has no pictures of the driver.*4 frames")


def test_a_photo_wider_than_the_video_shows_what_is_cut_off(page: Page, tmp_path: Path) -> None:
    wide = Image.new("RGB", (1200, 896), "navy")
    with Image.open(EXAMPLES / "sea_photo.png") as photo:
        wide.paste(photo, (344, 0))
    wide.save(tmp_path / "wide.png")
    upload(page, "photo", tmp_path / "wide.png")
    expect_text(page, "#photo-note", "1200 x 896 px · 43% of it, around the person, is used")
    go(page, "check")
    expect(page.locator("#people i")).to_have_attribute(
        "style", re.compile(r"left:23\.\d\d%;top:0\.00%;width:42\.67%;height:100\.00%")
    )
