"""The screen "Photo and clip" in a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from playwright.sync_api import Browser, Page, expect
from ui.conftest import PATIENCE_MS
from ui.visitor import EXAMPLES, choose_example, clear, expect_text, go, set_number, upload

from xdyna.schema import Video
from xdyna.video import read_video, write_video

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def stage(browser: Browser, url: str) -> Iterator[Page]:
    """One visitor who makes every mistake in a row."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    page.locator("#analyse").wait_for()
    yield page
    page.close()


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    gray = np.full((6, 160, 120, 3), 128, np.uint8)
    Image.fromarray(gray[0]).save(folder / "gray.png")
    Image.new("RGB", (2000, 40)).save(folder / "narrow.png")
    write_video(folder / "gray.mp4", Video(frames=gray, fps=8.0))
    for suffix, whole in ((".png", "sea_photo.png"), (".mp4", "sea_clip.mp4")):
        (folder / f"empty{suffix}").touch()
        (folder / f"cut{suffix}").write_bytes((EXAMPLES / whole).read_bytes()[:20_000])
        (folder / f"text{suffix}").write_text("not what its name says")
    (folder / "text.xdyna-motion").write_text("not what its name says")
    return folder


def test_an_example_plays_its_result_and_says_that_it_was_made_before(url: str, visit: Visit) -> None:
    page = visit(url)
    expect(page.locator("#analyse")).to_be_disabled()
    expect_text(page, "#analyse-reason", "Add a photo first")
    page.locator("#example-fireworks").click()
    expect_text(page, "#example-result", r"Made earlier with puppet\. Rendered by")
    page.locator("#example-sea").click()
    expect_text(page, "#example-result", "AI-generated.*Made earlier with xdyna-mini: 3 steps, seed 42")
    page.wait_for_function("document.querySelector('#example-result video').currentTime > 0.1")
    expect_text(page, "#clip-note", r"4.0 s · 512 x 896 px · 8 fps · no sound")
    expect_text(page, "#analyse-reason", "Tick that you have the right")
    page.locator("#consent input").check()
    expect(page.locator("#analyse")).to_be_enabled()
    clear(page, "clip")
    expect_text(page, "#analyse-reason", "Add a driving clip")
    expect(page.locator("#analyse")).to_be_disabled()


def test_an_animated_picture_drives_like_a_clip(url: str, visit: Visit, tmp_path: Path) -> None:
    pictures = [
        Image.fromarray(frame) for frame in read_video(EXAMPLES / "sea_clip.mp4", fps=8.0, num_frames=8).frames
    ]
    pictures[0].save(tmp_path / "dance.gif", save_all=True, append_images=pictures[1:], duration=120)
    page = visit(url)
    choose_example(page)
    clear(page, "clip")
    page.get_by_text("Use a GIF, a WebP or a motion file").click()
    page.locator("#motion input[type=file]").set_input_files(tmp_path / "dance.gif")
    expect_text(page, "#clip-note", r"1.0 s · 512 x 896 px · 8.333 fps · no sound")
    expect(page.locator("#analyse")).to_be_enabled()
    expect(page.locator("#example-result video")).to_have_count(0)
    expect(page.locator("#consent input")).to_be_checked()  # asked once


def test_the_part_in_use_is_told_while_the_sliders_move(url: str, visit: Visit) -> None:
    page = visit(url)
    expect(page.locator("#length")).to_be_hidden()  # nothing to trim yet
    choose_example(page)
    expect_text(page, "#part", "2.0 s → 16 frames at 8 fps → 1 window of 16")
    page.get_by_text("Frame rate and size of the video").click()
    set_number(page, "fps", 15)
    length = page.locator("#length input[type=number]")
    length.fill("2.1")
    length.press("Enter")
    expect_text(page, "#part", "2.1 s → 32 frames at 15 fps → 3 windows of 16")
    start = page.locator("#setting-start_s input[type=number]")
    start.fill("3")
    start.press("Enter")
    expect_text(page, "#part", "1.0 s → 15 frames at 15 fps → 1 window")
    assert page.locator("#part i").get_attribute("style") == "left:75.00%;width:25.00%"


@pytest.mark.parametrize(
    ("slot", "name", "message"),
    [
        pytest.param("photo", "empty.png", "empty file", id="photo of 0 bytes"),
        pytest.param("photo", "cut.png", "damaged or incomplete", id="truncated photo"),
        pytest.param("photo", "text.png", "not a picture", id="text as photo"),
        pytest.param("photo", "narrow.png", "2000 x 40", id="very narrow photo"),
        pytest.param("photo", "gray.png", "No person found in the photo", id="photo without a person"),
        pytest.param("clip", "empty.mp4", "empty file", id="clip of 0 bytes"),
        pytest.param("clip", "cut.mp4", "incomplete or damaged", id="truncated clip"),
        pytest.param("clip", "text.mp4", "not a video file", id="text as clip"),
        pytest.param("clip", "gray.mp4", "No person found in the clip", id="clip without a person"),
        pytest.param("motion", "text.xdyna-motion", "not a motion file", id="text as motion file"),
    ],
)
def test_a_bad_file_is_explained_beside_it(stage: Page, bad_files: Path, slot: str, name: str, message: str) -> None:
    choose_example(stage)
    if slot == "motion":
        opener = stage.get_by_text("Use a GIF, a WebP or a motion file")
        opener.click()
        stage.locator("#motion input[type=file]").set_input_files(bad_files / name)
    else:
        upload(stage, slot, bad_files / name)
    if "gray" in name:  # a whole file: only the analysis can tell, and it starts by itself
        expect(stage.locator("#glance [role=alert]")).to_contain_text(message)
        expect(stage.locator(f"#glance .about-{slot}")).to_be_visible()
        expect(stage.locator("#analyse")).to_be_enabled()
    else:
        note = "clip" if slot == "motion" else slot
        expect(stage.locator(f"#{note}-note [role=alert]")).to_contain_text(message)
        expect(stage.locator("#analyse")).to_be_disabled()
    expect(stage.locator("#consent input")).to_be_checked()


def test_after_bad_files_a_good_pair_works(stage: Page) -> None:
    choose_example(stage)
    expect(stage.locator("#analyse")).to_be_enabled()
    stage.locator("#analyse").click()
    expect_text(stage, "#checks", "16 frames")
    go(stage, "inputs")
    expect(stage.locator("[role=alert]:visible")).to_have_count(0)
