"""The mirror on the page, in a real browser whose camera shows a clip."""

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from playwright.sync_api import Browser, Page, expect
from ui.conftest import CHROMIUM, FLAGS, PATIENCE_MS, Server
from ui.visitor import EXAMPLES, choose_example, expect_text, go, make_fast

from xdyna.schema import Frames, Image
from xdyna.video import read_video

pytestmark = pytest.mark.browser

FPS = 8
REMEMBER_WHAT_IS_SENT = """
const real = window.fetch;
window.fetch = (address, options) => {
    if (String(address).includes("/xdyna/mirror/")) window.sent = options.body;
    return real(address, options);
};
"""


@pytest.fixture(scope="module")
def clip() -> Frames:
    """The driver of an example, in the middle of what a camera shows."""
    frames = read_video(EXAMPLES / "sea_clip.mp4", fps=FPS, num_frames=24).frames
    wide = np.full((len(frames), 480, 640, 3), 90, np.uint8)
    for picture, frame in zip(wide, frames, strict=True):
        picture[:, 183:457] = cv2.resize(frame, (274, 480), interpolation=cv2.INTER_AREA)
    return wide


@pytest.fixture(scope="module")
def page(browser: Browser, clip: Frames, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A visitor whose files are analysed, and who allows the camera."""
    camera = tmp_path_factory.mktemp("camera") / "camera.y4m"
    height, width = clip.shape[1:3]
    with camera.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in clip:
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes())
    flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera}"]
    with browser.browser_type.launch(executable_path=str(CHROMIUM), args=flags) as own:
        page = own.new_context(permissions=["camera"], reduced_motion="reduce").new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(REMEMBER_WHAT_IS_SENT)
        page.goto(server.url)
        page.locator("#analyse").wait_for()
        make_fast(page)
        choose_example(page)
        go(page, "check")
        for last in ("#pose-clip video", "#moved video"):  # files of the analysis
            expect(page.locator(last)).to_be_visible()
        yield page


def files(server: Server) -> set[Path]:
    return {path for path in (server.log.parent / "uploads").rglob("*") if path.is_file()}


def sent(page: Page) -> Image:
    """The last picture of the camera that the page sent."""
    content = page.evaluate("async () => [...new Uint8Array(await window.sent.arrayBuffer())]")
    picture = cv2.imdecode(np.array(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return picture.astype(np.uint8)


def is_mirrored(picture: Image, clip: Frames) -> bool:
    """Whether a picture is one of the clip's the other way round."""
    apart = [np.abs(frames.astype(int) - picture).mean(axis=(1, 2, 3)).min() for frames in (clip, clip[:, :, ::-1])]
    assert min(apart) < 0.7 * max(apart)
    return apart[1] < apart[0]


def test_the_camera_moves_the_photo_leaves_no_file_and_the_last_seconds_can_be_kept(
    page: Page, server: Server, clip: Frames
) -> None:
    before, stage = files(server), page.locator("#mirror [data-part=stage]")
    expect(stage).to_have_attribute("data-state", "off")
    page.locator("#mirror-start").click()
    expect(stage).to_have_attribute("data-state", "following")
    expect(page.locator("#mirror [data-part=rate]")).to_have_text(re.compile(r"^\d+ frames/s · \d+ ms behind$"))
    expect(page.locator("#mirror canvas")).to_have_attribute("height", "224")
    assert is_mirrored(sent(page), clip)
    assert files(server) == before

    page.locator("#mirror-keep").click()
    page.wait_for_function("() => document.querySelector('#mirror-video video')?.currentTime > 0.1")
    expect_text(page, "#mirror-caption", "AI-generated.*The last .* s of the mirror")
    assert sorted(path.name for path in files(server) - before) == ["xdyna.jpg", "xdyna.json", "xdyna.mp4"]

    page.locator("#mirror [data-part=glass]").uncheck()
    expect(stage).to_have_attribute("data-state", "hold-still")  # right and left have changed places
    expect(stage).to_have_attribute("data-state", "following")
    assert not is_mirrored(sent(page), clip)

    page.locator("#mirror-stop").click()
    expect(stage).to_have_attribute("data-state", "off")
    assert page.locator("#mirror video").evaluate("video => video.srcObject === null")
    expect(page.locator("#mirror-start")).to_be_visible()
    go(page, "runs")
    expect(page.locator("#runs li")).to_have_count(1)


def test_a_camera_that_is_not_allowed_is_told_and_the_mirror_ends(page: Page) -> None:
    go(page, "check")
    page.context.clear_permissions()
    page.locator("#mirror-start").click()
    expect(page.locator("#mirror [data-for=refused]")).to_be_visible()
    expect(page.locator("#mirror-start")).to_be_visible()
