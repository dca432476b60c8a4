"""Frames a second and delay of the mirror: the real page in Chromium, with a clip in the place of a camera.

    python benchmarks/mirror.py --seconds 20

Chromium, the page's server and this script share the machine. The delay goes from the moment when the browser took a
picture from the camera until what was made of it is drawn on the page. Store and temporary folder are counted before
and after.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from socket import socket

import cv2
import psutil
from playwright.sync_api import Page, sync_playwright

from xdyna.video import read_frames

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
CAMERA_SIZE, CAMERA_FPS = (640, 480), 30
PATIENCE_MS = 120_000
FLAGS = ("--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
WATCH = """() => {
    window.told = [];
    const rate = document.querySelector('#mirror [data-part=rate]');
    new MutationObserver(() => window.told.push(rate.textContent)).observe(rate, {childList: true});
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", type=Path, default=EXAMPLES / "sea_photo.png")
    parser.add_argument("--clip", type=Path, default=EXAMPLES / "waterfall_clip.mp4", help="shown to the camera")
    parser.add_argument("--size", default="512x896", help="WIDTHxHEIGHT of what is drawn")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--picture", type=Path, help="a PNG of the panel at the end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_camera(folder / "camera.y4m", options.clip)
        print(json.dumps(measure(folder, options), indent=2))


def write_camera(path: Path, clip: Path) -> None:
    """Write a clip as a camera's raw pictures, padded to the camera's shape; Chromium plays them over and over."""
    width, height = CAMERA_SIZE
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{CAMERA_FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in read_frames(clip, fps=CAMERA_FPS, start_s=0, num_frames=10 * CAMERA_FPS):
            zoom = min(width / frame.shape[1], height / frame.shape[0])
            small = cv2.resize(frame, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
            left, top = (width - small.shape[1]) // 2, (height - small.shape[0]) // 2
            right, bottom = width - small.shape[1] - left, height - small.shape[0] - top
            whole = cv2.copyMakeBorder(small, top, bottom, left, right, cv2.BORDER_REPLICATE)
            file.write(b"FRAME\n" + cv2.cvtColor(whole, cv2.COLOR_RGB2YUV_I420).tobytes())


def measure(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """Return what was measured, by name."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(folder / "store")}
    server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment)
    try:
        url = f"http://127.0.0.1:{port}/"
        while True:
            with suppress(urllib.error.URLError), urllib.request.urlopen(url):
                break
            time.sleep(0.2)
        with sync_playwright() as playwright:
            flags = [*FLAGS, f"--use-file-for-fake-video-capture={folder / 'camera.y4m'}"]
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
            page = browser.new_context(permissions=["camera"], reduced_motion="reduce").new_page()
            page.set_default_timeout(PATIENCE_MS)
            return visit(page, url, folder / "store", psutil.Process(server.pid), options)
    finally:
        server.terminate()
        server.wait()


def visit(
    page: Page, url: str, store: Path, server: psutil.Process, options: argparse.Namespace
) -> dict[str, object]:
    """Use the mirror for a while."""
    page.goto(url)
    page.locator("#example-sea").click()
    page.locator("#photo img").wait_for()
    page.locator("#clip video").wait_for()
    if options.photo != EXAMPLES / "sea_photo.png":
        page.locator("#photo").get_by_label("Clear").or_(page.locator("#photo").get_by_label("Remove Image")).click()
        page.locator("#photo input[type=file]").set_input_files(options.photo)
        page.locator("#photo img").wait_for()
    page.get_by_text("Frame rate and size of the video").click()
    for name, value in zip(("width", "height"), options.size.split("x"), strict=True):
        field = page.locator(f"#setting-{name} input[type=number]")
        field.fill(value)
        field.press("Enter")
    page.locator("#consent input").check()
    page.locator("#analyse:enabled").click()
    page.locator("#checks .checks").wait_for()
    started = time.monotonic()
    page.locator("#mirror-start").click()
    page.locator("#mirror [data-state=following]").wait_for()
    until_following = time.monotonic() - started
    page.wait_for_timeout(2000)
    before, used, files = cpu_seconds(server), page.evaluate(WATCH), count(store)
    page.wait_for_timeout(1000 * options.seconds)
    seconds, told = cpu_seconds(server) - before, page.evaluate("window.told")
    left, load = count(store) - files, os.getloadavg()[0]
    if options.picture:
        page.locator(".mirror").screenshot(path=options.picture)
    del used
    page.locator("#mirror-stop").click()
    rates, delays = zip(*((float(a.split()[0]), float(b.split()[0])) for a, b in (t.split(" · ") for t in told)), strict=True)
    rate = statistics.mean(rates)
    return {
        "frames/s": round(rate, 1),
        "ms behind, median": statistics.median(delays),
        "ms behind, worst second's median": max(delays),
        "server ms of processor time a frame": round(1000 * seconds / (rate * options.seconds), 1),
        "s from Start to following": round(until_following, 1),
        "files left": left,
        "load": round(load, 1),
        "size": page.locator("#mirror canvas").evaluate("canvas => `${canvas.width}x${canvas.height}`"),
    }


def cpu_seconds(process: psutil.Process) -> float:
    """Return the processor time that a process has used, in seconds."""
    used = process.cpu_times()
    return float(used.user + used.system)


def count(folder: Path) -> int:
    """Return how many files are in a folder and all within."""
    return sum(path.is_file() for path in folder.rglob("*"))


if __name__ == "__main__":
    main()
