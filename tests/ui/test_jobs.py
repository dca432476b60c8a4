"""Progress, Stop and the lock, on a backend that is slow on purpose."""

import re
import threading
import time
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from playwright.sync_api import Page, expect
from ui.conftest import free_port
from ui.visitor import choose_example, expect_ready, expect_text, make_fast, remember, remembered, set_number, source

import xdyna.backends.xdyna
from xdyna.config import AnimationSettings
from xdyna.preprocess.controls import draw_controls
from xdyna.schema import Animation, Conditions, Progress, Video
from xdyna.ui.demo import launch

pytestmark = pytest.mark.browser

STEP_S = 0.1
Visit = Callable[..., Page]


class SlowBackend:
    """Takes a tenth of a second for a step, and watches over its own use."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.runs, self.running, self.most_at_once, self.stopped_early = 0, 0, 0, 0

    def run(self, conditions: Conditions, settings: AnimationSettings) -> Iterator[Progress | Animation]:
        self.runs += 1
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        finished = False
        try:
            total = settings.num_inference_steps
            for step in range(1, total + 1):
                time.sleep(STEP_S)
                yield Progress(phase="Denoising", step=step, total=total, seconds_left=STEP_S * (total - step))
            finished = True
            yield Animation(
                video=Video(frames=conditions.driving_frames, fps=conditions.fps),
                controls=draw_controls(conditions),
                model="xdyna-mini",
                revision="slow",
                seconds=STEP_S * total,
            )
        finally:
            self.stopped_early += not finished
            self.running -= 1


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> SlowBackend:
    backend = SlowBackend()
    monkeypatch.setattr(xdyna.backends.xdyna, "load", lambda name: backend)
    return backend


@pytest.fixture(scope="module")
def slow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        patch.setattr(xdyna.backends.xdyna, "load", lambda name: SlowBackend())
        demo = launch(host="127.0.0.1", port=free_port(), block=False)
        yield demo.local_url
        demo.close()


def wait_until(condition: Callable[[], bool], page: Page, seconds: float = 10) -> None:
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        page.wait_for_timeout(20)  # lets the browser go on meanwhile


def start(page: Page, steps: int) -> None:
    choose_example(page)
    make_fast(page, steps=steps)
    page.locator("#generate").click()


def test_progress_counts_and_tells_the_time_left(backend: SlowBackend, slow_url: str, visit: Visit) -> None:
    page = visit(slow_url)
    remember(page, "#run-status")
    start(page, steps=20)
    expect(page.locator("#stop")).to_be_visible()
    expect(page.locator("#generate")).to_be_hidden()
    expect(page.locator("#analyse")).to_be_disabled()
    expect_text(page, "#run-status", "Done: 4 frames")
    expect_ready(page)
    shown = re.findall(r"Denoising\s+step (\d+) of 20 · (\d+) % · about (\d) s left", remembered(page))
    assert len(shown) > 5
    assert all(int(percent) == 5 * int(step) for step, percent, _ in shown)
    assert {left for *_, left in shown} >= {"1", "2"}


def test_stop_ends_the_work_within_a_step_and_keeps_the_result(
    backend: SlowBackend, slow_url: str, visit: Visit
) -> None:
    page = visit(slow_url)
    start(page, steps=100)
    before = source(page, "#result")
    expect_text(page, "#run-status", r"step [3-9] of 100")
    page.locator("#stop").click()
    expect_text(page, "#run-status", "Stopped")
    wait_until(lambda: backend.running == 0, page, seconds=10 * STEP_S)
    assert backend.stopped_early == 1
    assert not backend.lock.locked()
    expect_ready(page)
    assert source(page, "#result") == before
    expect_text(page, "#run-status", "Stopped")  # still: a stopped job is not a failed one

    set_number(page, "num_inference_steps", 2)
    page.locator("#generate").click()
    expect_text(page, "#run-status", "Done: 4 frames")
    assert backend.most_at_once == 1


def test_a_closed_page_ends_its_work(backend: SlowBackend, slow_url: str, visit: Visit) -> None:
    page, other = visit(slow_url), visit(slow_url)
    start(page, steps=100)
    expect_text(page, "#run-status", r"step \d of 100")
    page.close()
    wait_until(lambda: backend.running == 0, other, seconds=20)
    assert not backend.lock.locked()


def test_two_visitors_take_turns_and_see_only_their_own(backend: SlowBackend, slow_url: str, visit: Visit) -> None:
    first, second = visit(slow_url), visit(slow_url)
    for page, steps in ((first, 40), (second, 3)):
        choose_example(page)
        make_fast(page, steps=steps)
    for page in (first, second):
        remember(page, "#run-status")
        page.locator("#generate").click()
    for page in (first, second):
        expect_text(page, "#run-status", "Done: 4 frames")
    assert "of 40" in remembered(first) and "of 3 " not in remembered(first)
    assert "of 3 " in remembered(second) and "of 40" not in remembered(second)
    expect_text(first, "#caption", " 40 steps")
    expect_text(second, "#caption", " 3 steps")
    assert backend.runs == 2
    assert backend.most_at_once == 1


def test_a_crash_is_our_fault_and_keeps_the_result(
    backend: SlowBackend, slow_url: str, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visit(slow_url)
    choose_example(page)
    make_fast(page)
    before = source(page, "#result")

    def crash(conditions: Conditions, settings: AnimationSettings) -> Iterator[Progress]:
        yield Progress(phase="Denoising", step=0, total=2)
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(backend, "run", crash)
    page.locator("#generate").click()
    alert = page.locator("#run-status [role=alert]")
    expect(alert).to_contain_text("our side")
    expect(alert).not_to_contain_text("secret")
    assert source(page, "#result") == before
    expect_ready(page)
    assert not backend.lock.locked()


def test_replaced_settings_are_analysed_again(backend: SlowBackend, slow_url: str, visit: Visit) -> None:
    page = visit(slow_url)
    choose_example(page)
    make_fast(page)
    page.locator("#analyse").click()
    expect_text(page, "#checks", "4 frames")
    set_number(page, "num_frames", 6)
    page.locator("#generate").click()
    expect_text(page, "#run-status", "Done: 6 frames")
    expect_text(page, "#checks", "6 frames")
