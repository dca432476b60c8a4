"""The Content-Security-Policy in a real browser: the page does all it can under it, and other sites can do nothing."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from playwright.sync_api import Browser, Page, expect
from ui.conftest import PATIENCE_MS
from ui.visitor import EXAMPLES, choose_example, expect_playing, expect_text, go, make_fast, press, upload

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
REPORT = """addEventListener("securitypolicyviolation", event =>
    console.error(`Content Security Policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));"""


def watch(page: Page) -> list[str]:
    """What the browser says it has blocked, from now on."""
    blocked: list[str] = []
    page.on("console", lambda said: blocked.append(said.text) if "Content Security Policy" in said.text else None)
    page.add_init_script(REPORT)
    page.reload()
    page.locator("#analyse").wait_for()
    return blocked


def expect_loaded(page: Page, videos: str, count: int) -> None:
    """So many videos are there, and the browser can show them."""
    page.wait_for_function(
        """([videos, count]) => {
            const all = [...document.querySelectorAll(videos)];
            return all.length === count && all.every(video => !video.error && video.videoWidth > 0);
        }""",
        arg=[videos, count],
    )


def test_nothing_that_the_page_does_is_blocked(url: str, visit: Visit) -> None:
    page = visit(url)
    blocked = watch(page)
    choose_example(page)
    expect_loaded(page, "#example-result video", 1)
    upload(page, "photo", EXAMPLES / "sea_photo.png")
    upload(page, "clip", EXAMPLES / "sea_clip.mp4")
    expect_loaded(page, "#clip video", 1)
    make_fast(page)
    press(page, "#analyse")
    expect_text(page, "#checks", "4 frames")
    expect_loaded(page, "#pose-clip video", 1)

    go(page, "generate")
    page.locator("#generate").click()
    expect_text(page, "#run-status", "Done: 4 frames")
    expect_playing(page, "#result")
    with page.expect_download():
        page.locator("#download-video").click()

    go(page, "compare")
    page.locator("#compare").click()
    expect_text(page, "#compare-status", "Done: 3 videos")
    expect_loaded(page, ".compare-players video", 2)
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    page.locator("#wipe img").nth(1).wait_for()

    go(page, "runs")
    page.locator("#runs img").first.wait_for()
    page.get_by_role("button", name="Use via API").click()
    page.locator(".api-docs").wait_for()
    assert blocked == []


def test_a_violation_would_be_seen(url: str, visit: Visit) -> None:
    page = visit(url)
    blocked = watch(page)
    with page.expect_console_message(lambda said: "img-src" in said.text):
        page.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://other.example/x.png'}))")
    assert blocked


def test_a_photo_can_be_taken_with_the_camera(url: str, visit: Visit) -> None:
    page = visit(url)
    page.context.grant_permissions(["camera", "microphone"])
    blocked = watch(page)
    photo = page.locator("#photo")
    photo.get_by_label("Capture from camera").click()
    photo.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("() => document.querySelector('#photo video')?.currentTime > 0")
    photo.locator(".button-wrap button").first.click()
    photo.locator("[data-testid=webcam-video]").wait_for(state="detached")
    photo.locator("img").wait_for()
    assert blocked == []


def test_the_page_itself_may_ask_for_the_camera_and_nothing_else(url: str, visit: Visit) -> None:
    allowed = visit(url).evaluate("document.featurePolicy.allowedFeatures()")
    assert {"camera", "microphone"} <= set(allowed)
    assert not {"geolocation", "payment", "usb"} & set(allowed)


@pytest.fixture(scope="module")
def elsewhere(url: str) -> Iterator[str]:
    """A page of another origin, which shows ours in a frame."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f"<!doctype html><title>elsewhere</title><iframe src='{url}'></iframe>".encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def other_site(browser: Browser, elsewhere: str) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(elsewhere)
    yield page
    page.close()


def test_another_site_cannot_frame_the_page(other_site: Page, url: str) -> None:
    frame = other_site.frames[1]
    assert frame.url == "chrome-error://chromewebdata/"
    assert frame.locator("gradio-app").count() == 0


def test_another_site_can_neither_post_nor_read(other_site: Page, url: str) -> None:
    refused: list[int] = []
    other_site.on(
        "response", lambda answer: refused.append(answer.status) if answer.request.method == "POST" else None
    )
    post = """async url => {
        const body = new FormData();
        body.append("files", new Blob(["x"]), "a.png");
        const mode = "no-cors";  // asks for no permission first, as a plain form
        return (await fetch(`${url}gradio_api/upload`, {method: "POST", mode, body})).type;
    }"""
    assert other_site.evaluate(post, url) == "opaque"
    assert refused == [403]
    for method in ("GET", "POST"):
        read = f"url => fetch(`${{url}}config`, {{method: '{method}'}}).then(() => 'read', () => 'refused')"
        assert other_site.evaluate(read, url) == "refused"
