"""A comparison with the real model, from a clip with sound to players that run together."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from playwright.sync_api import Page, expect
from test_recipe import a_tone
from ui.test_compare import MAX_DRIFT_S, drift_in_the_end, loaded
from ui.visitor import EXAMPLES, choose_example, expect_text, go, make_fast, upload

from xdyna.compare.grid import read_comparison
from xdyna.video import probe, read_video, write_video

pytestmark = pytest.mark.browser

FRAMES, FPS = 8, 8


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "singing.mp4"
    write_video(path, read_video(EXAMPLES / "sea_clip.mp4", fps=FPS, num_frames=12), sound=a_tone(1.5))
    assert probe(path).has_audio
    return path


def test_frozen_and_living_background_of_a_clip_with_sound(
    url: str, visit: Callable[..., Page], clip: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    page = visit(url)
    make_fast(page, num_frames=FRAMES, steps=2)
    choose_example(page)
    upload(page, "clip", clip)
    expect_text(page, "#clip-note", "with sound")
    go(page, "compare")
    page.locator("#compare").click()
    expect_text(page, "#compare-status", "Done: 3 videos")
    loaded(page, 3)

    drift = drift_in_the_end(page)
    assert len(drift)
    record_property("drift_ms", [round(1000 * float(value)) for value in (np.median(drift), drift.max())])
    assert np.quantile(drift, 0.95) < MAX_DRIFT_S
    videos = page.locator(".compare-players video")
    assert videos.evaluate_all("videos => videos.every(video => video.muted)")  # together they would sound twice

    background = page.locator("#compare-table table").first.locator("tbody td:nth-of-type(1)")
    frozen, living, warped = (float(text) for text in background.all_inner_texts())
    assert living > 2 * frozen and living > 2 * warped
    page.locator("#wipe img").nth(1).wait_for()
    left, right = (image.bounding_box() for image in page.locator("#wipe img").all())
    assert left == right  # else the wipe would compare a face with a sky
    with page.expect_download() as download:
        page.locator("#download-grid").click()
    download.value.save_as(tmp_path / "grid.mp4")
    recipes = read_comparison(tmp_path / "grid.mp4")
    assert [(recipe.model, recipe.settings["static_background"]) for recipe in recipes.values()] == [
        ("xdyna-mini", True),
        ("xdyna-mini", False),
        ("puppet", False),
    ]
    assert list(recipes)[2] == "Moved by warping, still background"
    expect_text(page, "#compare-table", r"What differs.*Static background\s*yes\s*no\s*—")
    expect(page.locator("#compare")).to_be_visible()
