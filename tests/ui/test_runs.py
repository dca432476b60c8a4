"""Screen 5: what a browser remembers, and settings out of a result."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from playwright.sync_api import Page, expect
from ui.visitor import all_answered, choose_example, customise, expect_playing, expect_text, go, make_fast, set_number

from xdyna.backends import BACKENDS
from xdyna.recipe import Recipe, save_animation
from xdyna.schema import Animation, Video
from xdyna.ui import history
from xdyna.ui.handlers.model_choice import TUNED
from xdyna.ui.handlers.runs import REMEMBERED, remembered
from xdyna.ui.history import Run, read_runs, with_run, without_run

Visit = Callable[..., Page]
SETTINGS = replace(BACKENDS["xdyna-mini"].defaults, seed=1234, num_inference_steps=5, prompt="rain", fps=12.0)

browser = pytest.mark.browser


def animation() -> Animation:
    frames = np.full((4, 224, 128, 3), 127, np.uint8)
    controls = {"pose": frames}
    video = Video(frames=frames, fps=12.0)
    return Animation(video=video, controls=controls, model="xdyna-mini", revision="abc", seconds=1.0)


def run(id: str = "a" * 32) -> Run:
    made = animation()
    return Run.of(id, Recipe.of(made, SETTINGS), made.video.frames[0])


@pytest.fixture
def result(tmp_path: Path) -> Path:
    path = tmp_path / "result.mp4"
    save_animation(path, animation(), SETTINGS)
    return path


def test_a_run_survives_the_browser() -> None:
    kept = json.loads(json.dumps(with_run([], run())))
    (read,) = read_runs(kept)
    assert (read.id, read.recipe, read.poster) == (
        run().id,
        replace(run().recipe, created=read.recipe.created),
        run().poster,
    )
    assert len(json.dumps(kept)) < 10_000  # a browser keeps little


def test_the_newest_is_first_and_the_list_is_bounded() -> None:
    kept: object = []
    for number in range(history.MAX_RUNS + 3):
        kept = with_run(kept, run(f"{number:032}"))
    ids = [item.id for item in read_runs(kept)]
    assert len(ids) == history.MAX_RUNS and ids[0] == f"{history.MAX_RUNS + 2:032}"
    assert ids[1] not in [item.id for item in read_runs(without_run(kept, ids[1]))]


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        [None],
        [{}],
        [{"id": "x", "recipe": {}, "poster": "data:image/jpeg;base64,"}],
        [run().to_dict() | {"poster": "javascript:alert(1)"}],
        [run().to_dict() | {"recipe": run().to_dict()["recipe"] | {"settings": {"seed": "<script>"}}}],
        [run().to_dict() | {"recipe": run().to_dict()["recipe"] | {"settings": {}}}],
        [run().to_dict() | {"recipe": run().to_dict()["recipe"] | {"settings": ["seed"]}}],
        [run().to_dict() | {"recipe": run().to_dict()["recipe"] | {"created": 5}}],
        [run().to_dict() | {"recipe": run().to_dict()["recipe"] | {"num_frames": "<b>"}}],
        [run().to_dict() | {"recipe": None}],
    ],
)
def test_what_is_damaged_or_of_another_version_is_left_out(value: object) -> None:
    assert read_runs(value) == []
    assert "placeholder" in history.cards(value)


def test_cards_cannot_bring_html_of_their_own() -> None:
    kept = [run().to_dict() | {"id": '"><script>'}]
    kept[0]["recipe"] |= {"model": "<b>", "created": "<i>"}
    assert "<script>" not in history.cards(kept) and "<b><" not in history.cards(kept)


def test_an_expired_video_cannot_be_opened_but_its_settings_can_be_used() -> None:
    shown = history.cards([run().to_dict()])
    assert "Video expired" in shown and 'data-action="open"' not in shown
    assert 'data-action="use"' in shown


@pytest.mark.parametrize("kept", [None, [], {"num_inference_steps": 0}, {"seed": "x"}, {"scheduler": 3}, {"fps": {}}])
def test_settings_that_fit_no_longer_are_not_restored(kept: object) -> None:
    assert all(isinstance(value, dict) for value in remembered("xdyna-mini", kept))  # `gr.skip()` each


def test_remembered_settings_come_back() -> None:
    values = {name: getattr(SETTINGS, name) for name in REMEMBERED}
    back = dict(zip(REMEMBERED, remembered("xdyna-mini", json.loads(json.dumps(values))), strict=True))
    assert back == values
    of_another = dict(zip(REMEMBERED, remembered("xdyna-mini", values | {"model": "puppet"}), strict=True))
    assert {name for name, value in of_another.items() if value != values[name]} == set(TUNED)


@browser
def test_settings_survive_a_reload(url: str, visit: Visit) -> None:
    page = visit(url)
    with all_answered(page):
        set_number(page, "seed", 77)
        set_number(page, "num_inference_steps", 9)
    page.wait_for_function("localStorage.getItem('xdyna-settings')")
    page.reload()
    page.locator("#analyse").wait_for(state="attached")
    customise(page)
    expect(page.locator("#setting-seed input")).to_have_value("77")
    expect(page.locator("#setting-num_inference_steps input[type=number]")).to_have_value("9")


@browser
def test_results_survive_a_reload_and_belong_to_one_browser(url: str, visit: Visit) -> None:
    page = visit(url)
    choose_example(page)
    make_fast(page)
    go(page, "generate")
    page.locator("#generate").click()
    expect_text(page, "#run-status", "Done: 4 frames")
    page.locator("#runs li").wait_for(state="attached")
    page.reload()
    page.locator("#analyse").wait_for(state="attached")
    go(page, "runs")
    cards = page.locator("#runs li")
    expect(cards).to_have_count(1)
    expect_text(page, "#runs", "seed 42, 2 steps.*4 frames, 128 x 224 px")
    cards.locator("[data-action=open]").click()
    expect_playing(page, "#result")
    expect_text(page, "#caption", "seed 42, 2 steps")
    with page.expect_download() as download:
        page.locator("#download-beside").click()
    assert download.value.suggested_filename == "xdyna-side-by-side.mp4"

    stranger = visit(url)
    go(stranger, "runs")
    expect_text(stranger, "#runs", "What you make appears here")

    go(page, "runs")
    cards.locator("[data-action=forget]").click()
    expect(cards).to_have_count(0)


@browser
@pytest.mark.parametrize("way", ["chosen", "dropped anywhere"])
def test_a_result_restores_its_settings(url: str, visit: Visit, result: Path, way: str) -> None:
    page = visit(url)
    customise(page)
    if way == "chosen":
        page.locator("#restore input[type=file]").set_input_files(result)
    else:
        drop(page, ".xdyna header", result)
    expect_text(page, "#runs-status", "Settings restored: xdyna-mini, seed 1234, 5 steps")
    expect(page.locator("#setting-seed input")).to_have_value("1234")
    expect(page.locator("#setting-num_inference_steps input[type=number]")).to_have_value("5")
    expect(page.locator("#setting-prompt :is(input, textarea)")).to_have_value("rain")
    expect_text(page, "#cost", "at 12 per second")
    page.locator("#restore input[type=file]").wait_for(state="attached")  # ready for the next


@browser
def test_a_file_without_a_recipe_is_explained(url: str, visit: Visit, tmp_path: Path) -> None:
    page = visit(url)
    (tmp_path / "other.json").write_text('{"a": 1}')
    drop(page, ".xdyna header", tmp_path / "other.json")
    expect(page.locator("#runs-status [role=alert]")).to_contain_text("not an xdyna recipe")
    assert re.search("runs", page.url)


def drop(page: Page, place: str, path: Path) -> None:
    """As a hand would drop a file there."""
    page.locator("#restore input[type=file]").wait_for(state="attached")  # where the page takes it to
    content = base64.b64encode(path.read_bytes()).decode()
    page.locator(place).evaluate(
        """(element, [content, name]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], name));
            for (const kind of ["dragover", "drop"])
                element.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        [content, path.name],
    )
