"""What a visitor does on the page, and what they see."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

EXAMPLES = Path(__file__).parents[2] / "examples"


def choose_example(page: Page, name: str = "sea") -> None:
    """Fills photo and clip with a shipped pair, and ticks the consent."""
    page.locator(f"#example-{name}").click()
    page.locator("#photo img").wait_for()
    page.locator("#clip video").wait_for()
    page.locator("#result video").wait_for()
    page.locator("#consent input").check()


def clear(page: Page, slot: str) -> None:
    button = page.locator(f"#{slot}").get_by_label(re.compile("^(Clear|Remove Image)$"))
    button.click()
    button.wait_for(state="hidden")


def upload(page: Page, slot: str, path: Path) -> None:
    """Replaces the photo or the clip."""
    clear(page, slot)
    page.locator(f"#{slot} input[type=file]").set_input_files(path)


def set_number(page: Page, setting: str, value: float) -> None:
    field = page.locator(f"#setting-{setting} input[type=number]")
    field.fill(str(value))
    field.press("Enter")
    if page.locator(f"#setting-{setting} input[type=range]").count():
        expect(page.locator(f"#setting-{setting} input[type=range]")).to_have_value(str(value))


def make_fast(page: Page, num_frames: int = 4, steps: int = 2) -> None:
    page.get_by_text("Part of the clip, size of the video").click()
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


def expect_ready(page: Page) -> None:
    """Both jobs can be started, and none runs."""
    expect(page.locator("#analyse")).to_be_enabled()
    expect(page.locator("#generate")).to_be_enabled()
    expect(page.locator("#stop")).to_be_hidden()
    expect(page.locator("#analyse-stop")).to_be_hidden()


def source(page: Page, place: str) -> str:
    """Address of the picture or video that is shown."""
    return str(page.locator(f"{place} :is(img, video)").first.get_attribute("src"))


def expect_playing(page: Page, place: str) -> None:
    page.locator(f"{place} video").scroll_into_view_if_needed()
    page.wait_for_function(
        """place => {
            const video = document.querySelector(`${place} video`);
            return video && !video.error && video.videoWidth > 0 && video.currentTime > 0.1;
        }""",
        arg=place,
    )
