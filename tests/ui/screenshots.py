"""Takes the pictures of the page: all screens with a shipped example and results of xdyna-mini.

Those that README shows, and every screen on desktop and phone, light and dark, to look at:

    PYTHONPATH=tests python -m ui.screenshots docs
    PYTHONPATH=tests python -m ui.screenshots --all FOLDER
"""

import argparse
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from ui.conftest import CHROMIUM, FLAGS, free_port, served
from ui.visitor import choose_example, expect_text, go

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
README = {
    "studio-inputs": ("inputs-example", "desktop", "light"),
    "studio-check": ("check", "desktop", "light"),
    "studio-generate": ("generate-result", "desktop", "dark"),
    "studio-compare": ("compare-result", "desktop", "light"),
}
PHONE = ("inputs-example", "check", "generate-result", "compare-result")
"""Side by side in `studio-phone`, light and dark in turn, cut to one height."""
PHONES, PHONE_HEIGHT_PX, GAP_PX = "studio-phone.webp", 1400, 16
MAX_BYTES = 250_000
PATIENCE_MS = 300_000
EXAMPLE = "sea"


def tour(page: Page) -> Iterator[str]:
    """Goes through the page as a visitor; stops wherever there is something to see, and says what."""
    yield "inputs-empty"
    for name in ("check", "generate", "compare", "runs"):
        go(page, name)
        yield f"{name}-empty"
    choose_example(page, EXAMPLE)
    expect_text(page, "#checks", "16 frames")
    yield "inputs-example"
    go(page, "check")
    for place in ("#overlay", "#faces"):
        page.locator(place).scroll_into_view_if_needed()  # pictures are loaded when they come into view
        page.locator(f"{place} img").wait_for()
    yield "check"
    go(page, "generate")
    page.locator("#generate").click()
    expect_text(page, "#run-status", "Done: 16 frames")
    expect(page.locator("#download-beside")).to_be_enabled()
    yield "generate-result"
    go(page, "compare")
    page.locator("#compare").click()
    expect_text(page, "#compare-status", "Done: 3 videos")
    expect(page.locator("#compare-table table").first.locator("tbody tr")).to_have_count(2)
    page.locator("#player-1 video").wait_for()
    page.get_by_role("slider", name="Frame", exact=True).fill("8")
    expect_text(page, "#players-bar [data-part=place]", "9 / 16")
    page.locator("#wipe img").first.wait_for()
    yield "compare-result"
    go(page, "runs")
    yield "runs"
    go(page, "inputs")
    page.locator("#consent input").uncheck()
    go(page, "generate")
    page.locator("#generate").click()
    page.locator("#run-status [role=alert]").wait_for()
    yield "generate-error"


def look(page: Page, scheme: str) -> Image.Image:
    """The whole page, once its videos show something."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement?.blur()")
    page.wait_for_function("dark => document.body.classList.contains('dark') === dark", arg=scheme == "dark")
    page.wait_for_function(
        """() => [...document.querySelectorAll("video, img")]
            .filter(media => media.checkVisibility())
            .every(media => media.tagName === "IMG" ? media.complete : media.readyState >= 2 || !media.currentSrc)"""
    )
    page.wait_for_timeout(400)  # transitions of colours
    return Image.open(BytesIO(page.screenshot(full_page=True))).convert("RGB")


def save(picture: Image.Image, path: Path) -> None:
    picture.save(path, "WEBP", quality=85, method=6)
    if path.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{path} has {path.stat().st_size} bytes, more than {MAX_BYTES}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true", help="every state in every size and scheme")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE_MS)
    taken: dict[tuple[str, str, str], Image.Image] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        served(free_port(), Path(folder)) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        for size, (width, height) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
            page.set_default_timeout(PATIENCE_MS)
            page.goto(server.url)
            page.locator("#analyse").wait_for()
            for state in tour(page):
                for scheme in SCHEMES:
                    if options.all or state in PHONE:
                        taken[state, size, scheme] = look(page, scheme)
                        if options.all:
                            save(taken[state, size, scheme], options.folder / f"{state}-{size}-{scheme}.webp")
            page.close()
        browser.close()
    if not options.all:
        for name, shown in README.items():
            save(taken[shown], options.folder / f"{name}.webp")
        save(phones([taken[state, "phone", SCHEMES[k % 2]] for k, state in enumerate(PHONE)]), options.folder / PHONES)


def phones(pictures: list[Image.Image]) -> Image.Image:
    """Several phones beside each other."""
    width = SIZES["phone"][0]
    row = Image.new("RGB", (len(pictures) * (width + GAP_PX) - GAP_PX, PHONE_HEIGHT_PX), "white")
    for k, picture in enumerate(pictures):
        row.paste(picture.crop((0, 0, width, min(PHONE_HEIGHT_PX, picture.height))), (k * (width + GAP_PX), 0))
    return row


if __name__ == "__main__":
    main()
