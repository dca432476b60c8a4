"""Screen 3: cost, run, Stop, turns and result; on a backend that is slow on purpose, then with the real model."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import gradio as gr
import pytest

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from PIL import Image
from playwright.sync_api import Page, expect
from ui.conftest import PATIENCE_S, free_port, own_store
from ui.slow_backend import SlowBackend
from ui.visitor import (
    answer_late,
    choose_example,
    customise,
    expect_playing,
    expect_ready,
    expect_text,
    go,
    make_fast,
    remember,
    remembered,
    set_number,
    source,
)

import xdyna.backends
from xdyna.config import AnimationSettings
from xdyna.estimates import PACE
from xdyna.recipe import AI_NOTE, read_recipe
from xdyna.schema import Conditions, Progress
from xdyna.ui.demo import launch
from xdyna.ui.fair_queue import Visitor
from xdyna.ui.gpu import OUT_OF_MEMORY, RUN_QUEUE
from xdyna.ui.handlers.generate import FINISHING
from xdyna.ui.server_settings import ServerSettings
from xdyna.video import probe, read_metadata

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def slow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, own_store(tmp_path_factory.mktemp("files")):
        patch.setattr(xdyna.backends, "load", lambda *_: SlowBackend())
        patch.setattr(PACE, "_factors", {})  # what other tests ran must not change the prices
        patch.setattr("gradio.networking.url_ok", lambda url: True)  # its patience of 3 s is not a busy machine's
        demo = launch(host="127.0.0.1", port=free_port(), block=False)
        yield demo.local_url
        demo.close()


def wait_until(condition: Callable[[], bool], page: Page) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        page.wait_for_timeout(20)  # lets the browser go on meanwhile


def start(page: Page, steps: int) -> None:
    choose_example(page)
    make_fast(page, steps=steps)
    go(page, "generate")
    page.locator("#generate").click()


def expect_done(page: Page) -> None:
    expect_text(page, "#run-status", "Done: 4 frames")
    expect(page.locator("#generate")).to_be_visible()


def test_presets_say_what_they_cost_and_change_the_form(slow_url: str, visit: Visit) -> None:
    page = visit(slow_url)
    go(page, "generate")
    options = page.locator("#preset label")
    expect(options).to_have_count(3)
    for option in options.all_inner_texts():
        assert re.fullmatch(r"(Fast|Balanced|Best)\s+(\d+ min )?\d+ s · \d+\.\d GB", option)
    expect(page.locator("#preset input:checked")).to_have_value("balanced")

    options.filter(has_text="Best").click()  # while the panel is closed
    expect(page.locator("#preset input:checked")).to_have_value("best")
    customise(page)
    steps = page.locator("#setting-num_inference_steps input[type=number]")
    expect(steps).to_have_value("8")
    options.filter(has_text="Fast").click()
    expect(steps).to_have_value("2")

    set_number(page, "num_inference_steps", 100)
    expect(options).to_have_count(4)
    expect(page.locator("#preset input:checked")).to_have_value("custom")
    expect_text(page, "#generate", r"Generate · about \d+ min \d\d s")
    priced = page.locator("#generate").inner_text()
    options.filter(has_text="Balanced").click()
    expect(options).to_have_count(3)
    expect(page.locator("#generate")).not_to_have_text(priced)


def test_the_cost_follows_the_clip(slow_url: str, visit: Visit) -> None:
    page = visit(slow_url)
    make_fast(page, num_frames=160)
    expect_text(page, "#cost", "160 frames at 8 per second")


def test_an_open_number_stays_open_when_the_panel_is_opened(slow_url: str, visit: Visit) -> None:
    page = visit(slow_url)
    customise(page)
    expect(page.locator("#setting-background_adapter_strength :is(input, textarea)")).to_have_value("")


def test_progress_counts_shows_a_draft_and_tells_the_time_left(
    backend: SlowBackend, slow_url: str, visit: Visit
) -> None:
    page = visit(slow_url)
    remember(page, "#run-status")
    backend.gate.clear()
    start(page, steps=20)
    expect(page.locator("#finish")).to_be_visible()
    expect(page.locator("#generate")).to_be_hidden()
    page.locator("#live img").first.wait_for()
    assert page.locator("#live img").count() == 2
    expect_text(page, "#run-status", "step 10 of 20")  # as far as the gate lets it
    expect(page).to_have_title(re.compile(r"^\(\d+\s%\) X-Dyna$"))
    backend.gate.set()
    expect_done(page)
    expect(page.locator("#live img")).to_have_count(0)
    expect(page).to_have_title("X-Dyna")
    expect_ready(page)
    shown = re.findall(r"Denoising\s+step (\d+) of 20 · (\d+) % · about (\d) s left", remembered(page))
    assert shown
    assert all(int(percent) == 5 * int(step) for step, percent, _ in shown)


def test_stop_ends_the_work_within_a_step_and_keeps_what_is_done(
    backend: SlowBackend, slow_url: str, visit: Visit
) -> None:
    page = visit(slow_url)
    backend.gate.clear()
    start(page, steps=100)
    expect_text(page, "#run-status", r"step \d+ of 100")
    page.route("**/run/predict", lambda route: answer_late(route, FINISHING))
    page.locator("#finish").click()
    wait_until(lambda: backend.running == 0, page)
    assert (backend.stopped, backend.closed) == (1, 0)
    expect_text(page, "#run-status", "Here is the draft")
    expect_text(page, "#caption", "AI-generated.*Stopped early")
    expect_playing(page, "#result")
    expect_ready(page)
    assert not backend.lock.locked() and RUN_QUEUE.called == RUN_QUEUE.waiting == []

    backend.gate.set()
    set_number(page, "num_inference_steps", 2)
    page.locator("#generate").click()
    expect_done(page)
    assert backend.most_at_once == 1


def test_a_closed_page_ends_its_work(backend: SlowBackend, slow_url: str, visit: Visit) -> None:
    page, other = visit(slow_url), visit(slow_url)
    backend.gate.clear()
    start(page, steps=100)
    expect_text(page, "#run-status", r"step \d+ of 100")
    page.close()
    wait_until(lambda: backend.running == 0, other)
    assert backend.closed == 1
    assert not backend.lock.locked() and RUN_QUEUE.called == RUN_QUEUE.waiting == []


def test_two_visitors_take_turns_and_the_second_sees_where_they_stand(
    backend: SlowBackend, slow_url: str, visit: Visit
) -> None:
    first, second = visit(slow_url), visit(slow_url)
    backend.gate.clear()
    for page, steps in ((first, 20), (second, 3)):
        choose_example(page)
        make_fast(page, steps=steps)
        remember(page, "#run-status")
        go(page, "generate")
    first.locator("#generate").click()
    expect_text(first, "#run-status", "step")
    second.locator("#generate").click()
    expect_text(second, "#run-status", "You are number 2 in the queue: 1 run is before yours")
    backend.gate.set()
    for page in (first, second):
        expect_done(page)
    assert "of 20" in remembered(first) and "of 3 " not in remembered(first)
    assert "of 3 " in remembered(second) and "of 20" not in remembered(second)
    expect_text(first, "#caption", " 20 steps")
    expect_text(second, "#caption", " 3 steps")
    assert (backend.runs, backend.most_at_once) == (2, 1)


def test_who_waits_can_give_up(backend: SlowBackend, slow_url: str, visit: Visit) -> None:
    first, second = visit(slow_url), visit(slow_url)
    backend.gate.clear()
    start(first, steps=100)
    expect_text(first, "#run-status", "step")
    start(second, steps=3)
    expect_text(second, "#run-status", "number 2")
    second.locator("#stop").click()
    expect_text(second, "#run-status", "Stopped")
    wait_until(lambda: len(RUN_QUEUE.called) == 1, second)
    expect_ready(second)
    first.locator("#finish").click()
    expect_text(first, "#run-status", "Here is the draft")
    assert backend.runs == 1


def test_the_seed_is_kept_or_drawn_and_always_told(backend: SlowBackend, slow_url: str, visit: Visit) -> None:
    page = visit(slow_url)
    seed = page.locator("#setting-seed input")
    start(page, steps=1)
    expect_done(page)
    expect_text(page, "#caption", "seed 42,")
    page.locator("#dice").click()
    expect(seed).not_to_have_value("42")
    drawn = seed.input_value()
    page.locator("#keep-seed input").uncheck()
    page.locator("#generate").click()
    expect(seed).not_to_have_value(drawn)
    expect_text(page, "#caption", f"seed {seed.input_value()},")


@pytest.mark.parametrize(
    ("error", "says", "button"),
    [
        (RuntimeError("/secret/path"), "our side", "Try again"),
        (gr.Error("GPU task aborted"), "GPU was lost", "Try again"),
        (gr.Error(f"{OUT_OF_MEMORY} 4 frames of 128 x 224."), "not enough memory", "Try 96 x 160, same seed"),
    ],
)
def test_a_failure_keeps_the_draft_and_offers_one_click_that_helps(
    backend: SlowBackend,
    slow_url: str,
    visit: Visit,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    says: str,
    button: str,
) -> None:
    page = visit(slow_url)
    real, failed = backend.run, []

    def fail_once(conditions: Conditions, settings: AnimationSettings, stop: object = None) -> Iterator[object]:
        if failed:
            yield from real(conditions, settings, stop)
            return
        failed.append(True)
        yield Progress(phase="Denoising", step=1, total=2, preview=conditions.driving_frames)
        raise error

    monkeypatch.setattr(backend, "run", fail_once)
    start(page, steps=2)
    alert = page.locator("#run-status [role=alert]")
    expect(alert).to_contain_text(says)
    expect(alert).not_to_contain_text("secret")
    if isinstance(error, gr.Error):
        expect_text(page, "#caption", "Stopped early")  # the draft
    expect(page.locator("#fix")).to_have_text(button)
    assert not backend.lock.locked() and RUN_QUEUE.called == RUN_QUEUE.waiting == []
    page.locator("#fix").click()
    expect_done(page)
    expect(page.locator("#fix")).to_be_hidden()
    expect_text(page, "#caption", "seed 42, 2 steps")


def test_a_full_queue_says_so(
    backend: SlowBackend, slow_url: str, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RUN_QUEUE, "settings", ServerSettings(max_waiting=1))
    page = visit(slow_url)
    with ExitStack() as others:
        for name in ("runs", "prepares", "waits"):
            others.enter_context(RUN_QUEUE.join(Visitor(address="elsewhere", session=name), 240.0))
        start(page, steps=2)
        expect(page.locator("#run-status [role=alert]")).to_contain_text("The queue is full (1)")
        expect(page.locator("#fix")).to_have_text("Try again")
    page.locator("#fix").click()
    expect_done(page)


def test_the_real_model_makes_a_video_with_everything_to_take_home(url: str, visit: Visit, tmp_path: Path) -> None:
    page = visit(url)
    remember(page, "#run-status")
    start(page, steps=2)
    expect_done(page)
    assert re.search("Loading the model.*Denoising\\s+step 2 of 2 · 100 %", remembered(page), re.DOTALL)
    expect_text(page, "#caption", "AI-generated.*xdyna-mini, seed 42, 2 steps")
    expect_playing(page, "#result")
    sizes = {"video": (128, 224), "skeleton": (128, 224), "beside": (3 * 256 + 2 * 4, 448 + 24)}
    for name, size in sizes.items():
        path = download(page, f"#download-{name}", tmp_path)
        assert (probe(path).width, probe(path).height) == size
        assert read_metadata(path)["description"] == AI_NOTE
        assert read_recipe(path).settings["num_inference_steps"] == 2
    assert read_recipe(download(page, "#download-recipe", tmp_path)) == read_recipe(tmp_path / "xdyna.mp4")
    with Image.open(download(page, "#download-poster", tmp_path)) as poster:
        assert poster.size == (128, 224)
        assert poster.info["comment"] == AI_NOTE.encode()
    assert source(page, "#result")


def download(page: Page, button: str, folder: Path) -> Path:
    with page.expect_download() as event:
        page.locator(button).click()
    path = folder / event.value.suggested_filename
    event.value.save_as(path)
    return path
