"""Everybody can use the page: axe-core finds nothing serious on any screen, and a keyboard is enough."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
pytest.importorskip("axe_playwright_python", reason="axe is missing: it is in requirements-test.txt")
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from ui.visitor import choose_example, expect_text, go, make_fast, press, reveal, upload

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
SCREENS = ("inputs", "check", "generate", "compare", "runs")
WCAG = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
COLOURLESS = WCAG | {"rules": {"color-contrast": {"enabled": False}}}
RULES = {"light": WCAG, "dark": CONTRAST, "phone": COLOURLESS}
"""In the dark the same elements have other colours; on a phone the same colours have another layout."""
GRAVE = ("serious", "critical")
EXEMPT = {("target-size", "a[download=")}
"""Gradio puts a button into each download link, and axe counts only what the button leaves of the link."""
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"
"""Colours halfway through a transition are nobody's."""


class Inspector:
    """Looks at one screen after another with each set of rules, and keeps what is wrong."""

    def __init__(self, page: Page, views: tuple[str, ...]) -> None:
        self.page, self.views, self.found = page, views, dict[str, str]()
        page.add_style_tag(content=STILL)

    def look(self, state: str, place: str) -> None:
        """Leaves out the screens that are not shown and stops the videos, which would only take time."""
        self.page.evaluate("document.querySelectorAll('video').forEach(video => video.pause())")
        for view in self.views:
            self.page.emulate_media(color_scheme="dark" if view == "dark" else "light")
            self.page.wait_for_function(
                "dark => document.body.classList.contains('dark') === dark", arg=view == "dark"
            )
            for violation in Axe().run(self.page, context=place, options=RULES[view]).response["violations"]:
                for node in violation["nodes"]:
                    (where, *_) = node["target"]
                    exempt = any(violation["id"] == rule and where.startswith(start) for rule, start in EXEMPT)
                    if violation["impact"] in GRAVE and not exempt:
                        self.found[f"{state}, {view}: {violation['id']} at {where}"] = node["failureSummary"]

    def look_at_all(self, state: str) -> None:
        for name in SCREENS:
            go(self.page, name)
            self.look(f"{name}, {state}", f"#screen-{name}")


@pytest.mark.parametrize(
    ("width", "views"),
    [pytest.param(1280, ("light", "dark"), id="desktop"), pytest.param(390, ("phone",), id="phone")],
)
def test_axe_finds_nothing_serious_from_the_empty_page_to_the_comparison(
    url: str, visit: Visit, width: int, views: tuple[str, ...], tmp_path: Path
) -> None:
    page = visit(url, width=width, height=900)
    inspector = Inspector(page, views)
    inspector.look("page", "body")
    inspector.look_at_all("empty")

    choose_example(page)
    page.get_by_text("Use a GIF, a WebP or a motion file").click()
    make_fast(page)  # opens the panels with all settings
    press(page, "#generate")
    expect_text(page, "#run-status", "Done: 4 frames")
    press(page, "#compare")
    expect_text(page, "#compare-status", "Done: 3 videos")
    expect(page.locator("#compare-table table")).to_have_count(2)
    reveal(page, "#checks")
    page.get_by_text("Place the driver by hand").click()
    inspector.look_at_all("with a result")

    (tmp_path / "no.png").write_text("not what its name says")
    upload(page, "photo", tmp_path / "no.png")
    expect(page.locator("#photo-note [role=alert]")).to_be_visible()
    inspector.look("a file that cannot be read", "#screen-inputs")
    press(page, "#generate")
    expect(page.locator("#run-status [role=alert]")).to_be_visible()
    inspector.look("a run that failed", "#screen-generate")
    assert not inspector.found, inspector.found


def tab_to(page: Page, place: str, key: str = "Tab") -> None:
    """Moves the focus to something as a person without a mouse does, and looks whether they see where it is."""
    target = page.locator(place)
    target.wait_for(state="visible")
    for _ in range(150):
        page.keyboard.press(key)
        if target.evaluate("element => element === document.activeElement"):
            marked = target.evaluate(
                """element => {
                    const shown = getComputedStyle(element);
                    return shown.outlineStyle !== "none" || shown.boxShadow !== "none";
                }"""
            )
            assert marked, f"{place} has the focus and does not show it"
            return
    raise AssertionError(f"{place} is not reached with {key}")


def test_a_keyboard_is_enough_from_the_example_to_the_video(url: str, visit: Visit) -> None:
    page = visit(url)
    tab_to(page, "#example-sea")
    page.keyboard.press("Enter")
    page.locator("#example-result video").wait_for()
    tab_to(page, "#setting-start_s input[type=range]")
    page.keyboard.press("ArrowRight")
    expect_text(page, "#part", r"2\.0 s → 16 frames")
    tab_to(page, "#consent input")
    page.keyboard.press("Space")
    expect(page.locator("#analyse")).to_be_enabled()
    tab_to(page, "#analyse")
    page.keyboard.press("Enter")
    expect_text(page, "#checks", "16 frames")

    tab_to(page, "[data-fix=long]")
    tab_to(page, "[data-where=photo][data-person='1']")
    tab_to(page, "#check-onward")
    page.keyboard.press("Enter")
    expect(page.locator("#screen-generate")).to_be_visible()
    expect(page.locator("[data-step=generate]")).to_be_focused()  # not lost with the button that was pressed
    tab_to(page, "#preset input:checked")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#preset input:checked")).to_have_value("fast")
    tab_to(page, "#generate")
    page.keyboard.press("Enter")
    expect_text(page, "#run-status", "Done: 16 frames")
    expect_text(page, "#caption", "seed 42, 2 steps")
    tab_to(page, "#download-video")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "xdyna.mp4"
