"""The page as a whole, in a real browser, with the real model."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from playwright.sync_api import Page, expect
from ui.visitor import (
    choose_example,
    clear,
    expect_playing,
    expect_ready,
    expect_text,
    go,
    make_fast,
    press,
    remember,
    remembered,
    reveal,
    set_number,
)

from xdyna.recipe import read_recipe
from xdyna.video import probe

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
SCREENS = ("inputs", "check", "generate", "compare", "runs")


def test_the_page_is_there_at_once(server: object, record_property: Callable[[str, object], None]) -> None:
    record_property("processor_seconds", server.processor_seconds)
    assert server.processor_seconds < 20  # about 4


def test_nothing_is_fetched_from_elsewhere(url: str, visit: Visit) -> None:
    page = visit(url)
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.reload()
    page.locator("#analyse").wait_for()
    choose_example(page)
    assert len(requested) > 5
    assert [address for address in requested if not address.startswith((url, "data:", "blob:"))] == []


def test_one_screen_is_shown_at_a_time_and_back_goes_back(url: str, visit: Visit) -> None:
    page = visit(url)
    for name in SCREENS:
        go(page, name)
        assert [other for other in SCREENS if page.locator(f"#screen-{other}").is_visible()] == [name]
        expect(page.locator("[aria-current=step]")).to_have_attribute("data-step", name)
    page.go_back()
    expect(page.locator("#screen-compare")).to_be_visible()


def test_the_steps_are_reached_by_keyboard(url: str, visit: Visit) -> None:
    page = visit(url)
    page.locator("[data-step=check]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#screen-check")).to_be_visible()
    expect(page.locator("[data-step=check]")).to_be_focused()


def test_an_example_becomes_a_playable_video(url: str, visit: Visit, tmp_path: Path) -> None:
    page = visit(url)
    choose_example(page)
    make_fast(page)
    press(page, "#analyse")
    expect_text(page, "#checks", "4 frames at 8 per second, 128 x 224 px")

    go(page, "generate")
    remember(page, "#run-status")
    page.locator("#generate").click()
    expect_text(page, "#run-status", "Done: 4 frames")
    assert re.search(r"Denoising\s+step 2 of 2 · 100 %", remembered(page))
    expect_text(page, "#caption", "AI-generated.*xdyna-mini, seed 42, 2 steps")
    expect_playing(page, "#result")
    expect_ready(page)

    go(page, "generate")
    for button, suffix in (("#download-video", ".mp4"), ("#download-recipe", ".json")):
        with page.expect_download() as download:
            page.locator(button).click()
        path = tmp_path / f"result{suffix}"
        download.value.save_as(path)
        recipe = read_recipe(path)
        assert (recipe.model, recipe.num_frames) == ("xdyna-mini", 4)
        assert recipe.settings["num_inference_steps"] == 2
    assert (probe(tmp_path / "result.mp4").width, probe(tmp_path / "result.mp4").height) == (128, 224)


def test_generate_asks_for_what_is_missing(url: str, visit: Visit) -> None:
    page = visit(url)
    cases = {"all": "no photo yet", "photo": "no photo yet", "clip": "no driving clip yet", "consent": "right to use"}
    for lacking, message in cases.items():
        if lacking != "all":
            choose_example(page)
        if lacking == "consent":
            page.locator("#consent input").uncheck()
        elif lacking != "all":
            clear(page, lacking)
        press(page, "#generate")
        expect(page.locator("#run-status [role=alert]")).to_contain_text(message)
        expect(page.locator("#fix")).to_be_hidden()
        expect_ready(page)


def test_a_setting_out_of_range_is_explained(url: str, visit: Visit) -> None:
    page = visit(url)
    choose_example(page)
    set_number(page, "seed", 2.0**40)
    press(page, "#generate")
    expect(page.locator("#run-status [role=alert]")).to_contain_text("must be between 0 and 2147483647")
    expect_ready(page)


def test_a_phone_shows_one_column_without_sideways_scrolling(url: str, visit: Visit) -> None:
    page = visit(url, width=390, height=844)
    choose_example(page)
    make_fast(page)
    press(page, "#analyse")
    expect_text(page, "#checks", "4 frames")
    left = []
    for place in ("#part", "#checks", "#generate"):
        reveal(page, place)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        left.append(page.locator(place).bounding_box()["x"])
    assert max(left) - min(left) < 2
