"""The screen Compare: synced players, wipe, plot and grid, on a backend whose pictures say which frame they are."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from playwright.sync_api import Browser, Page, expect
from ui.conftest import PATIENCE_MS, PATIENCE_S, free_port, own_store
from ui.visitor import EXAMPLES, choose_example, expect_text, go, remember, remembered

import xdyna.backends
from xdyna.compare.grid import read_comparison
from xdyna.config import AnimationSettings
from xdyna.preprocess.controls import draw_controls
from xdyna.recipe import read_recipe
from xdyna.schema import Animation, Conditions, InputError, Progress, Video
from xdyna.ui.demo import launch
from xdyna.video import probe

pytestmark = pytest.mark.browser

STEP_S = 0.1
REFUSED_SEED = 13
FRAMES, FPS = 16, 8
MAX_DRIFT_S = 0.05
Visit = Callable[..., Page]

STRIPES = """videos => videos.map(video => {
    // Frame k has its first k + 1 of 16 stripes lit.
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [16, 1];
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, video.videoWidth, 8, 0, 0, 16, 1);
    const {data} = context.getImageData(0, 0, 16, 1);
    return [...Array(16).keys()].filter(k => data[4 * k] > 128).length - 1;
})"""


class Counting:
    """Draws in every frame which one it is, darker where the adapter is weak."""

    def __init__(self) -> None:
        self.lock, self.seeds = threading.Lock(), []

    def run(
        self, conditions: Conditions, settings: AnimationSettings, stop: object = None
    ) -> Iterator[Progress | Animation]:
        if settings.static_background and settings.seed == REFUSED_SEED:
            raise InputError("The photo shows no person whose pose can be read. Choose a photo of one person.")
        total = 10_000 if settings.static_background else settings.num_inference_steps  # the first to be stopped
        for step in range(1, total + 1):
            time.sleep(STEP_S)
            yield Progress(phase="Denoising", step=step, total=total, seconds_left=STEP_S * (total - step))
        frames = (conditions.driving_frames * min(1, settings.adapter_strength)).astype(np.uint8)
        for k, frame in enumerate(frames):
            frame[:16] = 0
            frame[:16, : frame.shape[1] * (k + 1) // FRAMES] = 255
        self.seeds.append(settings.seed)
        yield Animation(
            video=Video(frames=frames, fps=conditions.fps),
            controls=vars(draw_controls(conditions)),
            model="xdyna-mini",
            revision="counting",
            seconds=STEP_S * total,
        )


@pytest.fixture(scope="module")
def backend() -> Counting:
    return Counting()


@pytest.fixture(scope="module")
def counting_url(tmp_path_factory: pytest.TempPathFactory, backend: Counting) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, own_store(tmp_path_factory.mktemp("files")):
        patch.setattr(xdyna.backends, "load", lambda *_: backend)
        demo = launch(host="127.0.0.1", port=free_port(), block=False)
        yield demo.local_url
        demo.close()


def ask(page: Page, question: str) -> None:
    choose_example(page)
    go(page, "compare")
    page.get_by_label(question, exact=True).check()
    page.locator("#compare").click()


def loaded(page: Page, count: int) -> None:
    page.wait_for_function(
        """count => {
            const videos = [...document.querySelectorAll(".compare-players video")];
            return videos.length === count && videos.every(video => video.readyState >= 2);
        }""",
        arg=count,
    )


def shown_frames(page: Page) -> list[int]:
    return list(page.locator(".compare-players video").evaluate_all(STRIPES))


def expect_frame(page: Page, number: int) -> None:
    """All players show this frame, counted from 1, and the bar says so."""
    expect(page.locator("#players-bar [data-part=place]")).to_contain_text(f"{number} / {FRAMES} ·")
    videos = "[...document.querySelectorAll('.compare-players video')]"
    page.wait_for_function(
        f"number => ({STRIPES})({videos}).every(k => k === number - 1)",
        arg=number,
    )


@pytest.fixture(scope="module")
def compared(browser: Browser, counting_url: str, backend: Counting) -> Iterator[Page]:
    """One visitor who has compared four strengths."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    page.goto(counting_url)
    ask(page, "Dynamics-Adapter strength")
    expect_text(page, "#compare-status", "Done: 4 videos")
    loaded(page, 4)
    yield page
    page.close()


def test_all_variants_ran_with_the_same_seed(compared: Page, backend: Counting) -> None:
    assert len(backend.seeds) >= 4
    assert len(set(backend.seeds)) == 1
    labels = compared.locator(".compare-players label").all_inner_texts()
    assert [label.strip() for label in labels] == ["Adapter 0.5", "Adapter 0.75", "Adapter 1", "Adapter 1.25"]


def drift_in_the_end(page: Page) -> np.ndarray:
    """As `drift_while_playing`, once more and again until a busy browser has had its chance to keep up."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        drift = drift_while_playing(page)
        if (len(drift) > 5 and np.quantile(drift, 0.95) < MAX_DRIFT_S) or time.monotonic() > give_up_at:
            return drift


def drift_while_playing(page: Page, seconds: float = 3.0) -> np.ndarray:
    """Seconds between the first and the last of the players, at every frame that the browser drew."""
    page.get_by_role("button", name="Play", exact=True).click()
    pause = page.get_by_role("button", name="Pause", exact=True)
    expect(pause).to_be_visible()
    samples = page.evaluate(
        """async seconds => {
            const videos = [...document.querySelectorAll(".compare-players video")];
            const samples = [], end = performance.now() + 1000 * seconds;
            while (performance.now() < end) {
                await new Promise(requestAnimationFrame);
                if (videos.some(video => video.paused || video.seeking)) continue; // it begins anew
                samples.push(videos.map(video => video.currentTime));
            }
            return samples;
        }""",
        seconds,
    )
    pause.click()
    times = np.array(samples)
    if not len(times) or not (np.diff(times[:, 0]) > 0).mean() > 0.5:  # it did not play
        return np.empty(0)
    return times.max(axis=1) - times.min(axis=1)


def test_the_players_stay_together(compared: Page, record_property: Callable[[str, object], None]) -> None:
    drift = drift_in_the_end(compared)
    assert len(drift)
    record_property("drift_ms", [round(1000 * float(value)) for value in (np.median(drift), drift.max())])
    assert np.quantile(drift, 0.95) < MAX_DRIFT_S


def test_seek_and_step_are_exact_to_a_frame_and_work_from_the_keyboard(compared: Page) -> None:
    seek = compared.get_by_role("slider", name="Frame", exact=True)
    seek.fill("6")
    expect_frame(compared, 7)
    seek.press("ArrowRight")
    expect_frame(compared, 8)
    expect(seek).to_have_attribute("aria-valuetext", "Frame 8 of 16")
    compared.keyboard.press(",")
    compared.keyboard.press(",")
    expect_frame(compared, 6)
    compared.get_by_role("button", name="Forward one frame").click()
    expect_frame(compared, 7)
    seek.press("End")
    expect_frame(compared, FRAMES)
    compared.keyboard.press(".")
    expect_frame(compared, FRAMES)
    seek.press("Home")
    compared.get_by_role("button", name="Back one frame").click()
    expect_frame(compared, 1)


def test_speed_and_loop(compared: Page) -> None:
    compared.get_by_label("Speed", exact=True).select_option("0.25")
    loop = compared.get_by_role("button", name="Loop")
    expect(loop).to_have_attribute("aria-pressed", "true")
    loop.click()
    expect(loop).to_have_attribute("aria-pressed", "false")
    compared.get_by_role("slider", name="Frame", exact=True).focus()
    compared.keyboard.press(" ")
    expect(compared.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    rates = compared.locator(".compare-players video").evaluate_all("videos => videos.map(v => v.playbackRate)")
    assert rates == pytest.approx([0.25] * 4, rel=0.2)  # a little faster or slower to stay together
    compared.get_by_label("Speed", exact=True).select_option("2")
    expect_frame(compared, FRAMES)  # it ends there
    expect(compared.get_by_role("button", name="Play", exact=True)).to_be_visible()
    compared.get_by_label("Speed", exact=True).select_option("1")
    loop.click()


def test_the_wipe_follows_the_players(compared: Page) -> None:
    pictures = compared.locator("#wipe img")
    compared.get_by_role("slider", name="Frame", exact=True).fill("3")
    expect_frame(compared, 4)
    fourth = pictures.first.get_attribute("src")
    compared.get_by_role("slider", name="Frame", exact=True).fill("9")
    expect(pictures.first).not_to_have_attribute("src", fourth or "")


def test_plot_and_table_say_what_moves(compared: Page) -> None:
    panels = compared.locator("#motion-plot figure > svg")
    expect(panels).to_have_count(2)
    expect(panels.first).to_have_attribute("aria-label", re.compile("Background, mean change.*Adapter 0.5 [0-9.]+"))
    rows = compared.locator("#compare-table table").first.locator("tbody tr")
    expect(rows).to_have_count(4)
    for row in rows.all():
        assert re.search(r"Adapter [0-9.]+\s+[0-9.]+\s+[0-9.]+\s+[0-9.]+", row.inner_text())
    expect_text(compared, "#compare-table", r"What differs.*Adapter strength\s*0.5\s*0.75\s*1\s*1.25")


def test_the_grid_holds_all_variants_and_their_recipes(compared: Page, tmp_path: Path) -> None:
    with compared.expect_download() as download:
        compared.locator("#download-grid").click()
    download.value.save_as(tmp_path / "grid.mp4")
    recipes = read_comparison(tmp_path / "grid.mp4")
    assert [recipe.settings["adapter_strength"] for recipe in recipes.values()] == [0.5, 0.75, 1.0, 1.25]
    assert probe(tmp_path / "grid.mp4").width == 4 * 256 + 3 * 4
    with compared.expect_download() as download:
        compared.locator("#download-recipes").click()
    download.value.save_as(tmp_path / "grid.json")
    assert len(json.loads((tmp_path / "grid.json").read_text(encoding="utf-8"))["comparison"]) == 4


def test_it_fits_a_phone(compared: Page) -> None:
    compared.set_viewport_size({"width": 390, "height": 844})
    assert compared.evaluate("document.documentElement.scrollWidth") <= 390
    for place in ("#players-bar", "#motion-plot svg >> nth=0", "#download-grid"):
        box = compared.locator(place).bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390
    compared.set_viewport_size({"width": 1280, "height": 900})


def test_stop_keeps_what_is_finished(counting_url: str, visit: Visit) -> None:
    page = visit(counting_url)
    choose_example(page)
    go(page, "compare")
    page.get_by_label("Settings of your own", exact=True).check()
    page.locator("#compare-own textarea").fill("Quick: num_inference_steps=2\nEndless: static_background=true")
    expect_text(page, "#compare-about", "2 videos, one after another: about .* in all")
    remember(page, "#compare-status")
    page.locator("#compare").click()
    expect_text(page, "#compare-status", r"Endless \(2 of 2\): Denoising")
    page.locator("#compare-stop").click()
    expect_text(page, "#compare-status", "Stopped")
    assert re.search(r"Quick \(1 of 2\): Denoising.*about \d+ s left", remembered(page), re.DOTALL)
    loaded(page, 1)
    expect(page.locator("#compare")).to_be_visible()
    expect_text(page, "#compare-table", "Quick")


def test_a_variant_that_is_refused_says_why_and_the_others_come(counting_url: str, visit: Visit) -> None:
    page = visit(counting_url)
    choose_example(page)
    go(page, "compare")
    page.get_by_label("Settings of your own", exact=True).check()
    own = f"Refused: static_background=true, seed={REFUSED_SEED}\nQuick: num_inference_steps=1\nAgain: seed=2"
    page.locator("#compare-own textarea").fill(own)
    page.locator("#compare").click()
    expect_text(page, "#compare-status", "Done: 2 videos.*“Refused” was left out. The photo shows no person")
    loaded(page, 2)


def test_only_what_belongs_to_the_question_is_shown(counting_url: str, visit: Visit) -> None:
    page = visit(counting_url)
    go(page, "compare")
    page.get_by_label("How the photo is read", exact=True).check()
    expect_text(page, "#compare-about [role=note]", "grey and noisy")
    expect(page.locator("#compare-background")).to_be_hidden()
    expect(page.locator("#compare-own")).to_be_hidden()
    for box in page.locator("#compare-reference input").all()[:2]:
        box.uncheck()
    expect_text(page, "#compare-about", "needs 2 to 4 variants, got 1")
    page.get_by_label("Finished videos", exact=True).check()
    expect(page.locator("#compare")).to_be_hidden()
    expect(page.locator("#compare-reference")).to_be_hidden()


def test_finished_videos_can_be_compared(counting_url: str, visit: Visit) -> None:
    page = visit(counting_url)
    go(page, "compare")
    page.get_by_label("Finished videos", exact=True).check()
    page.locator("#compare-open").click()
    expect_text(page, "#compare-runs-status", "needs 2 to 4 variants, got 0")
    results = [EXAMPLES / "sea_result.mp4", EXAMPLES / "meadow_result.mp4"]
    page.locator("#compare-files input[type=file]").set_input_files(results)
    expect(page.locator("#compare-files .file")).to_have_count(2)
    page.locator("#compare-open").click()
    loaded(page, 2)
    expect_text(page, "#compare-table", "Run 1.*Run 2")
    assert read_recipe(results[0]).model == "xdyna-mini"
