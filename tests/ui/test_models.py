"""Several models on the page: choosing one, and comparing two, in a real browser."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is missing: it is in requirements-test.txt")

# isort: split
from playwright.sync_api import Page, expect
from ui.conftest import free_port, own_store
from ui.visitor import EXAMPLES, choose_example, expect_text, go, make_fast, set_number, upload

import xdyna.backends
from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, Progress, Video
from xdyna.ui.demo import launch

pytestmark = pytest.mark.browser
Visit = Callable[..., Page]


class Echo:
    """Shows the clip, in time with what its model's plan says."""

    def __init__(self, name: str) -> None:
        self.name, self.lock = name, threading.Lock()

    def run(
        self, conditions: Conditions, settings: AnimationSettings, stop: object = None
    ) -> Iterator[Progress | Animation]:
        yield Progress(phase="Denoising", step=1, total=1)
        following = BACKENDS[self.name].plan(settings, conditions.num_frames).source_index
        yield Animation(
            video=Video(frames=conditions.driving_frames[np.maximum(following, 0)], fps=conditions.fps),
            controls=BACKENDS[self.name].prepare(conditions, settings),
            model=self.name,
            revision="echo",
            seconds=0.1,
            source_index=following,
        )


@pytest.fixture(scope="module")
def models_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, own_store(tmp_path_factory.mktemp("files")):
        patch.setattr(xdyna.backends, "load", lambda name, _: Echo(name))
        demo = launch(host="127.0.0.1", port=free_port(), block=False)
        yield demo.local_url
        demo.close()


def test_a_model_brings_its_own_settings(models_url: str, visit: Visit) -> None:
    page = visit(models_url)
    go(page, "generate")
    page.locator("#customise button").first.click()
    expect(page.locator("#setting-adapter_strength")).to_be_visible()
    page.locator("#model input").click()
    page.get_by_role("option", name="DynamiCtrl").click()
    expect_text(page, "#model-note", "Follows the pose and a text")
    expect_text(page, "#model-note", "xdyna weights pull dynamictrl")
    expect(page.locator("#setting-adapter_strength")).to_be_hidden()
    expect(page.locator("#generate")).to_be_disabled()  # its weights are not here
    expect_text(page, "#cost", "37 frames at 16 per second, 768 x 1360 px")
    expect_text(page, "#cost", "Describe the person and the background of the photo")


def choose(page: Page, title: str) -> None:
    go(page, "generate")
    page.locator("#model input").click()
    page.get_by_role("option", name=re.compile(rf"^{title}( ·|$)")).click()


def test_the_photo_brings_its_model_until_the_visitor_chooses_one(
    models_url: str, visit: Visit, tmp_path: Path
) -> None:
    drawing = cv2.imread(str(EXAMPLES / "sea_photo.png"))
    grain = np.random.default_rng(0).normal(0, 8, drawing.shape)  # a camera's
    cv2.imwrite(str(tmp_path / "photograph.png"), np.clip(drawing + grain, 0, 255).astype(np.uint8))
    page = visit(models_url)
    for title, text, path in (
        ("Puppet", "This is a photograph: Puppet will move it", tmp_path / "photograph.png"),
        ("xdyna-mini", "This is a drawing: xdyna-mini will animate it", EXAMPLES / "sea_photo.png"),
    ):
        upload(page, "photo", path)
        expect_text(page, "#model-reason", text)
        expect(page.locator("#model input")).to_have_value(title)
        expect_text(page, "header .model", f"^{title}")
        expect_text(page, "#cost", "512 x 896 px" if title == "Puppet" else "128 x 224 px")
    choose(page, "xdyna-mini")
    upload(page, "photo", tmp_path / "photograph.png")
    expect(page.locator("#model-reason .hint")).to_have_count(0)
    expect_text(page, "#photo-note", "px")
    expect(page.locator("#model input")).to_have_value("xdyna-mini")


def test_the_check_screen_shows_what_the_chosen_model_sees(models_url: str, visit: Visit) -> None:
    page = visit(models_url)
    make_fast(page)
    choose_example(page)
    for title, has_face_rows in (("Wan-Animate-2", False), ("xdyna-mini", True)):
        choose(page, title)
        expect_text(page, "#cost", "640 x 800 px" if title == "Wan-Animate-2" else "128 x 224 px")
        for name, value in {"width": 128, "height": 224, "num_frames": 4}.items():
            set_number(page, name, value)
        go(page, "check")
        expect_text(page, "#sight", f"What {title} sees")
        expect(page.locator("#pose-clip video")).to_be_visible()
        expect(page.locator("#faces img")).to_be_visible(visible=has_face_rows)


def test_two_models_are_compared_in_time(models_url: str, visit: Visit) -> None:
    page = visit(models_url)
    choose_example(page)
    go(page, "compare")
    page.get_by_label("Settings of your own", exact=True).check()
    page.locator("#compare-own textarea").fill("X-Dyna: backend=xdyna\nDynamiCtrl: backend=dynamictrl")
    page.locator("#compare").click()
    expect_text(page, "#compare-status", "Done: 2 videos")
    expect_text(page, "#compare-table", "dynamictrl")
    page.wait_for_function(
        "[...document.querySelectorAll('.compare-players video')].filter(video => video.readyState >= 2).length === 2"
    )
    lengths = page.locator(".compare-players video").evaluate_all("videos => videos.map(video => video.duration)")
    assert lengths == pytest.approx([16 / 8, 12 / 8], abs=0.1)  # 13 frames, of which the first follows none
