"""The page in a real browser, with the real model."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from playwright.sync_api import Browser, Page, expect
from ui.visitor import (
    EXAMPLES,
    choose_example,
    clear,
    expect_playing,
    expect_ready,
    expect_text,
    make_fast,
    remember,
    remembered,
    set_number,
    source,
    upload,
)

from xdyna.recipe import read_recipe
from xdyna.schema import Video
from xdyna.video import probe, write_video

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]


def test_the_page_is_there_at_once(server: object, record_property: Callable[[str, object], None]) -> None:
    record_property("seconds_to_page", server.seconds_to_page)
    assert server.seconds_to_page < 30  # about 3 on a quiet machine; this one may be busy


def test_nothing_is_fetched_from_elsewhere(url: str, visit: Visit) -> None:
    page = visit(url)
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.reload()
    page.locator("#generate").wait_for()
    choose_example(page)
    assert len(requested) > 5
    assert [address for address in requested if not address.startswith((url, "data:", "blob:"))] == []


def test_an_example_becomes_a_playable_video(url: str, visit: Visit, tmp_path: Path) -> None:
    page = visit(url)
    choose_example(page)
    expect_playing(page, "#result")  # the finished result that ships with it
    expect_text(page, "#caption", "AI-generated.*made earlier")
    shipped = source(page, "#result")
    make_fast(page)

    page.locator("#analyse").click()
    expect_text(page, "#checks", "4 frames at 8 per second, 128 x 224 px.*Face found in every frame")
    expect_playing(page, "#pose-clip")
    first = source(page, "#overlay")
    field = page.locator("#frame input[type=number]")
    field.fill("4")
    field.press("Enter")
    expect(page.locator("#overlay img")).not_to_have_attribute("src", first)
    expect(page.locator("#faces img")).to_be_visible()
    expect_ready(page)

    remember(page, "#run-status")
    page.locator("#generate").click()
    expect_text(page, "#run-status", "Done: 4 frames")
    for step in ("1 of 2 · 50 % · about", "2 of 2 · 100 %"):
        assert re.search(f"Denoising\\s+step {step}", remembered(page))
    expect_text(page, "#caption", "AI-generated.*xdyna-mini, seed 42, 2 steps")
    assert source(page, "#result") != shipped
    expect_playing(page, "#result")
    expect_ready(page)

    for button, suffix in (("#download-video", ".mp4"), ("#download-recipe", ".json")):
        with page.expect_download() as download:
            page.locator(button).click()
        path = tmp_path / f"result{suffix}"
        download.value.save_as(path)
        recipe = read_recipe(path)
        assert (recipe.model, recipe.num_frames) == ("xdyna-mini", 4)
        assert recipe.settings["num_inference_steps"] == 2
    assert (probe(tmp_path / "result.mp4").width, probe(tmp_path / "result.mp4").height) == (128, 224)


def test_generate_analyses_first_where_needed(url: str, visit: Visit) -> None:
    page = visit(url)
    choose_example(page)
    make_fast(page)
    remember(page, "#run-status")
    page.locator("#generate").click()
    expect_text(page, "#run-status", "Done: 4 frames")
    assert re.search("Body and hands.*Denoising", remembered(page), re.DOTALL)
    expect_text(page, "#checks", "4 frames")
    assert page.locator("#faces img").is_visible()


@pytest.fixture(scope="module")
def stage(browser: Browser, url: str) -> Iterator[Page]:
    """One visitor who makes every mistake in a row."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    make_fast(page)
    yield page
    page.close()


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    gray = np.full((6, 160, 120, 3), 128, np.uint8)
    Image.fromarray(gray[0]).save(folder / "gray.png")
    write_video(folder / "gray.mp4", Video(frames=gray, fps=8.0))
    for suffix, whole in ((".png", "sea_photo.png"), (".mp4", "sea_clip.mp4")):
        (folder / f"empty{suffix}").touch()
        (folder / f"cut{suffix}").write_bytes((EXAMPLES / whole).read_bytes()[:20_000])
        (folder / f"text{suffix}").write_text("not what its name says")
    return folder


@pytest.mark.parametrize(
    ("slot", "name", "message"),
    [
        pytest.param("photo", "empty.png", "empty file", id="photo of 0 bytes"),
        pytest.param("photo", "cut.png", "damaged or incomplete", id="truncated photo"),
        pytest.param("photo", "text.png", "not a picture", id="text as photo"),
        pytest.param("photo", "gray.png", "No person found in the photo", id="photo without a person"),
        pytest.param("clip", "empty.mp4", "empty file", id="clip of 0 bytes"),
        pytest.param("clip", "cut.mp4", "incomplete or damaged", id="truncated clip"),
        pytest.param("clip", "text.mp4", "not a video file", id="text as clip"),
        pytest.param("clip", "gray.mp4", "No person found in the clip", id="clip without a person"),
    ],
)
def test_a_bad_file_is_explained(stage: Page, bad_files: Path, slot: str, name: str, message: str) -> None:
    choose_example(stage)
    upload(stage, slot, bad_files / name)
    if "gray" not in name:
        expect_text(stage, f"#{slot}-note", message)  # before any button is pressed
    stage.locator("#analyse").click()
    expect(stage.locator("#check-status [role=alert]")).to_contain_text(message)
    expect_ready(stage)


def test_after_bad_files_a_good_pair_works(stage: Page, bad_files: Path) -> None:
    choose_example(stage)
    upload(stage, "photo", bad_files / "cut.png")
    stage.locator("#generate").click()
    expect(stage.locator("#run-status [role=alert]")).to_contain_text("damaged or incomplete")
    expect(stage.locator("#result video")).to_be_visible()  # what was there before is kept
    choose_example(stage)
    stage.locator("#generate").click()
    expect_text(stage, "#run-status", "Done: 4 frames")


@pytest.mark.parametrize(
    ("lacking", "message"), [("photo", "no photo yet"), ("clip", "no driving clip yet"), ("consent", "right to use")]
)
def test_what_is_missing_is_asked_for(url: str, visit: Visit, lacking: str, message: str) -> None:
    page = visit(url)
    expect(page.locator("#overlay")).to_be_hidden()  # nothing empty is shown
    expect(page.locator("#result")).to_be_hidden()
    choose_example(page)
    if lacking == "consent":
        page.locator("#consent input").uncheck()
    else:
        clear(page, lacking)
    page.locator("#generate").click()
    expect(page.locator("#run-status [role=alert]")).to_contain_text(message)
    expect_ready(page)


def test_a_setting_out_of_range_is_explained(url: str, visit: Visit) -> None:
    page = visit(url)
    choose_example(page)
    set_number(page, "seed", 2.0**40)
    page.locator("#generate").click()
    expect(page.locator("#run-status [role=alert]")).to_contain_text("outside its range")
    expect_ready(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_one_column_without_sideways_scrolling(url: str, visit: Visit, scheme: str) -> None:
    page = visit(url, width=390, height=844, color_scheme=scheme)
    choose_example(page)
    make_fast(page)
    page.locator("#analyse").click()
    expect_text(page, "#checks", "4 frames")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    left = [page.locator(place).bounding_box()["x"] for place in ("#analyse", "#checks", "#generate", "#caption")]
    assert max(left) - min(left) < 2
