"""Frames a second and delay of the mirror: the real page in Chromium, with a clip in the place of a camera.

    python benchmarks/mirror.py --seconds 20

First the processor time of each stage is measured in this process, then the whole. Chromium, the page's server and
this script share the machine. The delay goes from the moment when the browser took a picture from the camera until
what was made of it is drawn on the page. The files of the server are counted before and after.
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from socket import socket

import cv2
import numpy as np
import psutil
from playwright.sync_api import Page, sync_playwright

from xdyna.animate import prepare
from xdyna.backends.live_puppet import Eyes, LivePuppet, build_live_puppet
from xdyna.config import AnimationSettings
from xdyna.schema import Conditions, Image
from xdyna.ui.mirror import QUALITY, read_picture
from xdyna.video import read_frames

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
CHROMIUM = "/usr/bin/chromium"
CAMERA_SIZE, CAMERA_FPS, NUM_PICTURES = (640, 480), 30, 240
PATIENCE_MS, WARM_UP_MS = 120_000, 2000
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
    print(json.dumps({"processor ms a frame": stages(options)}, indent=2), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_camera(folder / "camera.y4m", options.clip)
        print(json.dumps(measure(folder, options), indent=2))


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Return the median processor time of each stage in milliseconds, by name."""
    width, height = map(int, options.size.split("x"))
    settings = replace(AnimationSettings(), height=height, width=width, num_frames=2, live_photo=True)
    conditions = next(event for event in prepare(options.photo, None, settings) if isinstance(event, Conditions))
    puppet, spent = _built(conditions), dict[str, list[float]]()

    @contextmanager
    def timed(stage: str) -> Iterator[None]:
        began = time.process_time()
        yield
        spent.setdefault(stage, []).append(1000 * (time.process_time() - began))

    eyes = Eyes()
    for k, picture in enumerate(camera_pictures(options.clip)):
        sent = cv2.imencode(".jpg", picture[..., ::-1])[1].tobytes()
        with timed("read"):
            seen = read_picture(sent)
        with timed("pose and face"):
            sight = eyes.look(seen, k / CAMERA_FPS)
        with timed("draw"):
            drawn = puppet.draw(sight)
        with timed("write"):
            cv2.imencode(".jpg", drawn[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    eyes.close()
    return {name: round(statistics.median(each), 1) for name, each in spent.items()}


def _built(conditions: Conditions) -> LivePuppet:
    building = build_live_puppet(conditions)
    while True:
        try:
            next(building)
        except StopIteration as end:
            puppet: LivePuppet = end.value
            return puppet


def camera_pictures(clip: Path) -> Iterator[Image]:
    """Yield a clip's frames in the camera's size, one after another."""
    width, height = CAMERA_SIZE
    for frame in read_frames(clip, fps=CAMERA_FPS, start_s=0, num_frames=NUM_PICTURES):
        zoom = min(width / frame.shape[1], height / frame.shape[0])
        small = cv2.resize(frame, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        left, top = (width - small.shape[1]) // 2, (height - small.shape[0]) // 2
        picture = np.full((height, width, 3), 90, np.uint8)
        picture[top : top + small.shape[0], left : left + small.shape[1]] = small
        yield picture


def write_camera(path: Path, clip: Path) -> None:
    """Write a clip as a camera's raw pictures; Chromium plays them over and over."""
    width, height = CAMERA_SIZE
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{CAMERA_FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for picture in camera_pictures(clip):
            file.write(b"FRAME\n" + cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420).tobytes())


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
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            page = browser.new_context(permissions=["camera"], reduced_motion="reduce").new_page()
            page.set_default_timeout(PATIENCE_MS)
            return visit(page, url, folder / "store", server.pid, options)
    finally:
        server.terminate()
        server.wait()


def visit(page: Page, url: str, store: Path, server: int, options: argparse.Namespace) -> dict[str, object]:
    """Use the mirror for a while, on the page of a server's process."""
    page.goto(url)
    page.locator("#example-sea").click()
    page.locator("#photo img").wait_for()
    page.locator("#clip video").wait_for()
    if options.photo != EXAMPLES / "sea_photo.png":
        page.locator("#photo").get_by_label("Remove Image").or_(page.locator("#photo").get_by_label("Clear")).click()
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
    page.locator("[data-step=check]").click()
    for last in ("#pose-clip video", "#moved video"):  # files of the analysis
        page.locator(last).wait_for()
    files, began = count(store), time.monotonic()
    page.locator("#mirror-start").click()
    page.locator("#mirror [data-state=following]").wait_for()
    until_following = time.monotonic() - began
    page.wait_for_timeout(WARM_UP_MS)
    server_before, browser_before = processor_seconds(server), processor_seconds(os.getpid())
    page.evaluate(WATCH)
    page.wait_for_timeout(1000 * options.seconds)
    used = processor_seconds(server) - server_before
    used_by_browser = processor_seconds(os.getpid()) - browser_before - used
    told = [tuple(map(float, text.replace(" frames/s · ", " ").split()[:2])) for text in page.evaluate("window.told")]
    if options.picture:
        page.locator(".mirror").screenshot(path=options.picture)
    page.locator("#mirror-stop").click()
    rate, delays = statistics.mean(each for each, _ in told), [each for _, each in told]
    frames = rate * options.seconds
    return {
        "size": page.locator("#mirror canvas").evaluate("canvas => `${canvas.width}x${canvas.height}`"),
        "frames/s": round(rate, 1),
        "ms behind, median": statistics.median(delays),
        "ms behind, in the worst second": max(delays),
        "server's processor ms a frame": round(1000 * used / frames, 1),
        "browser's processor ms a frame": round(1000 * used_by_browser / frames, 1),
        "s from Start until the photo follows": round(until_following, 1),
        "files left": count(store) - files,
        "load": round(os.getloadavg()[0], 1),
    }


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process and those it started have used, in seconds."""
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return float(sum(used.user + used.system for used in times))


def count(folder: Path) -> int:
    """Return how many files are in a folder and all within."""
    return sum(path.is_file() for path in folder.rglob("*"))


if __name__ == "__main__":
    main()
