"""What a visitor does on the page, and what they see."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, Request, Route, expect
from ui.conftest import PATIENCE_S

EXAMPLES = Path(__file__).parents[2] / "examples"
REST_MS = 1000  # a page that asks nothing for so long has nothing to ask


def go(page: Page, name: str) -> None:
    """Opens a screen: "inputs", "check", "generate", "compare" or "runs"."""
    page.locator(f"[data-step={name}]").click()
    page.locator(f"#screen-{name}").wait_for()


def reveal(page: Page, place: str) -> None:
    """Opens the screen on which something is."""
    go(page, page.locator(place).evaluate("element => element.closest('.screen').id.replace('screen-', '')"))


def choose_example(page: Page, name: str = "sea") -> None:
    """Fills photo and clip with a shipped pair, and ticks the consent."""
    go(page, "inputs")
    page.locator(f"#example-{name}").click()
    page.locator("#photo img").wait_for()
    page.locator("#clip video").wait_for()
    page.locator("#example-result video").wait_for()
    page.locator("#consent input").check()
    expect(page.locator("#analyse")).to_be_enabled()


def press(page: Page, button: str) -> None:
    """A button, on whatever screen it is."""
    reveal(page, button)
    page.locator(button).click()


def clear(page: Page, slot: str) -> None:
    go(page, "inputs")
    button = page.locator(f"#{slot}").get_by_label(re.compile("^(Clear|Remove Image)$"))
    button.click()
    button.wait_for(state="hidden")


def upload(page: Page, slot: str, path: Path) -> None:
    """Puts a file where the photo or the clip is, or would be."""
    go(page, "inputs")
    if page.locator(f"#{slot} :is(img, video)").count():
        clear(page, slot)
    page.locator(f"#{slot} input[type=file]").set_input_files(path)


def customise(page: Page) -> None:
    """Opens the panel with all settings of a run: its inputs are not on the page before."""
    go(page, "generate")
    if not page.locator("#setting-save_recipe").count():
        page.locator("#customise > button").click()
        page.locator("#setting-save_recipe").wait_for()


def set_number(page: Page, setting: str, value: float) -> None:
    if not page.locator(f"#setting-{setting}").count():
        customise(page)
    reveal(page, f"#setting-{setting}")
    field = page.locator(f"#setting-{setting} input[type=number]")
    field.fill(str(value))
    field.press("Enter")
    if page.locator(f"#setting-{setting} input[type=range]").count():
        expect(page.locator(f"#setting-{setting} input[type=range]")).to_have_value(str(value))


def make_fast(page: Page, num_frames: int = 4, steps: int = 2) -> None:
    go(page, "inputs")
    page.get_by_text("Frame rate and size of the video").click()
    page.locator("#setting-height input[type=range]").wait_for()  # the last one: before that, input may get lost
    set_number(page, "num_inference_steps", steps)
    set_number(page, "num_frames", num_frames)


def expect_text(page: Page, place: str, pattern: str) -> None:
    expect(page.locator(place)).to_contain_text(re.compile(pattern, re.DOTALL))


def remember(page: Page, place: str) -> None:
    """From now on keeps every text of a place, however short it is shown; `remembered` gives them."""
    page.evaluate(
        """place => {
            const element = document.querySelector(place);
            window.remembered = [];
            new MutationObserver(() => window.remembered.push(element.innerText))
                .observe(element, {subtree: true, childList: true, characterData: true});
        }""",
        place,
    )


def remembered(page: Page) -> str:
    return "\n".join(page.evaluate("window.remembered"))


@contextmanager
def all_answered(page: Page) -> Iterator[None]:
    """Ends when the server has answered all that the page asked in the block, and the page asks no more."""
    unanswered, asked = set[Request](), list[Request]()

    def on_request(request: Request) -> None:
        # A heartbeat lasts as long as the page, and a video may never be read to its end.
        if "/heartbeat/" not in request.url and request.resource_type != "media":
            asked.append(request)
            unanswered.add(request)

    page.on("request", on_request)
    for ended in ("requestfinished", "requestfailed"):
        page.on(ended, lambda request: unanswered.discard(request))
    yield
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        asked.clear()
        page.wait_for_timeout(REST_MS)
        if not asked and not unanswered:
            break
        assert time.monotonic() < give_up_at, f"the page does not come to rest: {[request.url for request in asked]}"
    page.remove_listener("request", on_request)


def answer_late(route: Route, words: str = "") -> None:
    """For `page.route`: a busy browser sees an answer with these words only after messages that were sent later."""
    response = route.fetch()
    if words in response.text():
        time.sleep(3)
    route.fulfill(response=response)


def expect_ready(page: Page) -> None:
    """Both jobs can be started, and none runs."""
    for place, visible in (("#analyse-again", True), ("#analyse-stop", False), ("#generate", True), ("#stop", False)):
        reveal(page, "#analyse-again" if "analyse" in place else "#generate")
        expect(page.locator(place)).to_be_visible(visible=visible)
    for place, words in (("#analyse-again", "Analyse again"), ("#generate", "Generate")):
        expect(page.locator(place)).to_contain_text(words)  # a button that comes back can have lost them


def source(page: Page, place: str) -> str:
    """Address of the picture or video that is shown."""
    return str(page.locator(f"{place} :is(img, video)").first.get_attribute("src"))


def expect_playing(page: Page, place: str) -> None:
    reveal(page, place)
    page.locator(f"{place} video").scroll_into_view_if_needed()
    page.wait_for_function(
        """place => {
            const video = document.querySelector(`${place} video`);
            return video && !video.error && video.videoWidth > 0 && video.currentTime > 0.1;
        }""",
        arg=place,
    )
