"""The collection of bad inputs through the page: each file is taken, or refused in words, and the page goes on.

`test_bad_inputs.py` reads every file of it. Here one visitor uploads one of every kind in a row, and the names that
mean something to a page or a server; all other names go through the endpoint.
"""

import mimetypes
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from playwright.sync_api import Browser, Page, TimeoutError, expect
from test_bad_inputs import SAYS, entries
from ui.conftest import PATIENCE_MS, PATIENCE_S, Server
from ui.visitor import EXAMPLES, choose_example, clear, go

pytestmark = pytest.mark.browser

Entry = dict[str, Any]
SLOTS = {"reference_image": "photo", "driving_video": "clip"}
TAKEN, REFUSED, UNWANTED = "Tick that you have the right", "Use another", "Invalid file type"
TRACES = re.compile(r"Traceback|\.py\b|site-packages|Exception|Errno| object at 0x")
MEANT_FOR_PAGES = re.compile(r"[<\"\0/\n]|^$|.{256}")

# What the analysis says, by the manifest's own words for it.
OF_PEOPLE = {
    "no person was found in the driving video": "No person found in the clip",
    "no person was found in the picture": "No person found in the photo",
    "from which time on no person is visible": r"from .* s on|after .* s|leaves|not visible",
    "several people were found; which one is used": r"people found in the clip|No person found in the clip",
    "two people were found; which one is used / crop to one": r"2 people found in the photo; number \d is animated",
    "the person/face is too small": r"small|No person found in the photo",
    "how many frames it has and how many are needed": r"at least 2|2 frames",
}


def one_of_each_kind(found: list[Entry]) -> list[Entry]:
    """The first entry of every message and slot, and all names that a page could stumble over; photos first."""
    chosen: dict[object, Entry] = {}
    for entry in found:
        name = entry.get("upload_as")
        if name is None or MEANT_FOR_PAGES.search(name):
            chosen.setdefault((entry["slot"], entry["message_should_say"], name), entry)
    return sorted(chosen.values(), key=lambda entry: entry["slot"], reverse=True)


@pytest.fixture(scope="module")
def stage(browser: Browser, url: str) -> Iterator[Page]:
    """One visitor; the other of the two files is always good."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    page.locator("#analyse").wait_for()
    choose_example(page)
    yield page
    context.close()


def upload_as(page: Page, entry: Entry, data: Path) -> str:
    """Puts a file into its slot under the name it had, and says which slot that is."""
    slot, file = SLOTS[entry["slot"]], data / "bad" / entry["file"]
    if page.locator(f"#{slot} :is(img, video)").count():
        clear(page, slot)
    page.evaluate("document.querySelectorAll('.toast-close').forEach(button => button.click())")
    expect(page.locator(".toast-body")).to_have_count(0)
    expect(page.locator("#analyse-reason")).to_contain_text("Add a ")
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    payload = {"name": entry.get("upload_as", file.name), "mimeType": kind, "buffer": file.read_bytes()}
    page.locator(f"#{slot} input[type=file]").set_input_files(payload)
    return slot


def is_taken(page: Page) -> bool:
    """Whether a file can be used, once the page says so; Gradio itself turns some away in a toast."""
    reason, toast = page.locator("#analyse-reason"), page.locator(".toast-body", has_text=UNWANTED)
    told = page.locator("#analyse-reason", has_text=re.compile(f"{TAKEN}|{REFUSED}"))
    told.or_(toast).first.wait_for()
    return TAKEN in reason.inner_text()


def exchange_slots(page: Page, slot: str) -> None:
    """A good file instead of the last bad one."""
    if page.locator(f"#{slot} :is(img, video)").count():
        clear(page, slot)
    page.locator("#example-sea").click()
    page.locator(f"#{slot} :is(img, video)").first.wait_for()


def test_every_kind_of_file_is_taken_or_refused_in_words(
    stage: Page, server: Server, test_data: Path, record_property: Callable[[str, object], None]
) -> None:
    dialogs, problems, last, slowest = list[str](), list[tuple[object, ...]](), "photo", 0.0
    stage.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    stage.locator("#consent input").uncheck()
    started = time.monotonic()
    for entry in one_of_each_kind(entries(test_data)):
        if SLOTS[entry["slot"]] != last:
            exchange_slots(stage, last)
        began = time.monotonic()
        last = upload_as(stage, entry, test_data)
        taken, says = is_taken(stage), entry["message_should_say"] or ""
        slowest = max(slowest, time.monotonic() - began)
        note = stage.locator(f"#{last}-note").inner_text()
        if entry["expect"].startswith("accept") and not taken:
            problems.append((entry["what"], "refused", note))
        if entry["expect"] == "reject" and taken and says not in OF_PEOPLE:
            problems.append((entry["what"], "taken", note))
        words = SAYS.get(says, ()) if entry["expect"] == "reject" and not taken else ()
        if not all(re.search(word, note) for word in words):
            problems.append((entry["what"], says, note))
        if TRACES.search(stage.locator("body").inner_text()):
            problems.append((entry["what"], "shows a traceback"))
    record_property("seconds in all, slowest", (time.monotonic() - started, slowest))
    exchange_slots(stage, last)
    assert problems == []
    assert dialogs == []
    assert "Traceback" not in server.log.read_text()


def test_who_is_in_the_picture_is_told_by_the_analysis(stage: Page, server: Server, test_data: Path) -> None:
    stage.locator("#consent input").check()
    problems, last = list[tuple[object, ...]](), "photo"
    for entry in one_of_each_kind(entries(test_data)):
        says = entry["message_should_say"] or ""
        if says not in OF_PEOPLE:
            continue
        if SLOTS[entry["slot"]] != last:
            exchange_slots(stage, last)
        last = upload_as(stage, entry, test_data)
        told = stage.locator("#glance, #checks", has_text=re.compile(OF_PEOPLE[says])).first
        try:
            told.wait_for(state="attached", timeout=PATIENCE_MS)
        except TimeoutError:
            said = stage.locator("#glance, #checks, #clip-note").all_text_contents()
            problems.append((entry["file"], says, said))
        go(stage, "inputs")
        expect(stage.locator("#analyse")).to_be_enabled()
    exchange_slots(stage, last)
    expect(stage.locator("#glance [role=alert]")).to_have_count(0)
    assert not problems, problems
    assert "Traceback" not in server.log.read_text()


def test_the_rest_of_the_files_through_the_endpoint(
    server: Server, test_data: Path, record_property: Callable[[str, object], None]
) -> None:
    client, problems, found = Client(server.url, verbose=False), list[tuple[str, str]](), entries(test_data)
    covered, started = {entry["file"] for entry in one_of_each_kind(found)}, time.monotonic()
    for entry in found:
        if entry["file"] in covered:
            continue
        good = {"photo": EXAMPLES / "sea_photo.png", "clip": EXAMPLES / "sea_clip.mp4"}
        files = good | {SLOTS[entry["slot"]]: test_data / "bad" / entry["file"]}
        sent = {slot: handle_file(path) for slot, path in files.items()}
        try:
            client.predict(**sent, consent=True, num_frames=2, api_name="/analyze")
        except AppError as error:
            if entry["expect"].startswith("accept") or TRACES.search(str(error)):
                problems.append((entry["what"], str(error)))
        else:
            if entry["expect"] == "reject":
                problems.append((entry["what"], "taken"))
    client.close()
    record_property("seconds", time.monotonic() - started)
    assert problems == []
    assert "Traceback" not in server.log.read_text()


def test_every_name_is_stored_under_one_of_the_servers_own(server: Server, test_data: Path, tmp_path: Path) -> None:
    """Straight to the server, as no browser would send some of them."""
    uploads = server.log.parent / "uploads"
    for entry in entries(test_data):
        name = entry.get("upload_as")
        if name is None:
            continue
        picture = (test_data / "bad" / "names" / "base.jpg").read_bytes()
        answer = httpx.post(f"{server.url}gradio_api/upload", files={"files": (name, picture)}, timeout=PATIENCE_S)
        assert "Traceback" not in answer.text
        if answer.status_code != 200:
            assert entry["expect"] == "either", (name, answer.status_code, answer.text)
            continue
        (path,) = (Path(stored) for stored in answer.json())
        assert path.resolve().is_relative_to(uploads.resolve())
        assert path.read_bytes() == picture
    assert not list(EXAMPLES.parent.glob("pwned"))
