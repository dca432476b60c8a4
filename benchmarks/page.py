"""Measures how soon the page can be used, and how long Analyse takes.

    python benchmarks/page.py --output benchmarks/results/page.json

A busy machine makes both longer, so the CPU seconds and the load are told too: on a quiet machine the seconds come
close to the CPU seconds. Needs Chromium.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
CHROMIUM, PORT = "/usr/bin/chromium", 7959
FRAMES, HEIGHT, WIDTH = 32, 896, 512
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    measured = {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "start": [start() for _ in range(options.repeats)],
        "analyse": [analyse() for _ in range(options.repeats)],
        "load_after": os.getloadavg()[0],
    }
    text = json.dumps(measured, indent=2)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


def start() -> dict[str, float]:
    """From the start of the process to the first answer, and to a page that can be clicked."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        environment = os.environ | {"GRADIO_SERVER_PORT": str(PORT), "GRADIO_TEMP_DIR": folder}
        url, began = f"http://127.0.0.1:{PORT}/", time.monotonic()
        server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        try:
            while True:
                with suppress(urllib.error.URLError), urllib.request.urlopen(url, timeout=5):
                    break
                time.sleep(0.02)
            answered, spent = time.monotonic() - began, cpu_seconds(server.pid)
            page.goto(url)
            page.locator("#analyse").wait_for()
            page.locator("[data-step=check]").click()
            page.locator("#screen-check").wait_for()
            return {"answer_s": answered, "answer_cpu_s": spent, "usable_s": time.monotonic() - began}
        finally:
            server.terminate()
            server.wait()
            browser.close()


def cpu_seconds(pid: int) -> float:
    """Spent by a process so far, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def analyse() -> dict[str, float]:
    """What stands behind Analyse, pictures included, in a server that has warmed up."""
    from xdyna.animate import prepare
    from xdyna.backends import BACKENDS
    from xdyna.preview import write_previews

    settings = replace(BACKENDS["xdyna-mini"].defaults, num_frames=FRAMES, height=HEIGHT, width=WIDTH)
    photo, clip = ROOT / "examples" / "sea_photo.png", ROOT / "examples" / "sea_clip.mp4"
    list(prepare(photo, clip, replace(settings, num_frames=2)))  # warms up
    began, used = time.monotonic(), own_cpu_seconds()
    with tempfile.TemporaryDirectory() as folder:
        *_, conditions = prepare(photo, clip, settings)
        assert conditions.num_frames == FRAMES
        write_previews(conditions, Path(folder))
    return {"seconds": time.monotonic() - began, "cpu_s": own_cpu_seconds() - used}


def own_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
