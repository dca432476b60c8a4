"""No file of a visitor outlives the promise of the page, whatever happened to the job or to the server."""

import time
from pathlib import Path

import gradio as gr
import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from ui.conftest import free_port, own_store, served

from xdyna.ui.demo import launch, privacy
from xdyna.ui.server_settings import ServerSettings
from xdyna.ui.store import STORE

EXAMPLES = Path(__file__).parents[2] / "examples"
FAST = {"num_frames": 3, "num_inference_steps": 1, "consent": True}


def files_of_people(folder: Path) -> list[str]:
    """All files but the server's own log and locks."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.suffix != ".lock" and path.name != "log")


def use_every_endpoint(client: Client) -> None:
    """What makes files: every endpoint, an error after the upload, a job that is cancelled."""
    photo, clip = handle_file(EXAMPLES / "sea_photo.png"), handle_file(EXAMPLES / "sea_clip.mp4")
    for endpoint in ("/analyze", "/generate"):
        client.predict(photo=photo, clip=clip, **FAST, api_name=endpoint)
    client.predict(photo=photo, clip=clip, **FAST, axis="face", api_name="/compare")
    with pytest.raises(AppError):
        client.predict(photo=photo, clip=photo, **FAST, api_name="/generate")
    job = client.submit(photo=photo, clip=clip, **FAST | {"num_inference_steps": 100}, api_name="/generate")
    while not job.outputs():
        assert not job.done()
    assert job.cancel()


def send_half_a_photo(url: str) -> None:
    """An upload whose sender goes away."""

    def body() -> object:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="photo.png"\r\n\r\n' + b"x" * 100_000
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        httpx.post(f"{url}gradio_api/upload", content=body(), headers=headers, timeout=60)


def test_a_running_server_deletes_everything_by_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradio.networking.url_ok", lambda url: True)  # its patience of 3 s is not a busy machine's
    with own_store(tmp_path / "files"):
        page: gr.Blocks = launch(host="127.0.0.1", port=free_port(), block=False)
        client = Client(page.local_url, verbose=False, download_files=str(tmp_path / "downloads"))
        use_every_endpoint(client)
        client.close()
        page.close()
        names = {Path(name).name for name in files_of_people(tmp_path / "files")}
        assert names >= {"sea_photo.png", "sea_clip.mp4", "xdyna.mp4", "overlay.png", "pose.mp4", "comparison.mp4"}
        monkeypatch.setattr(STORE, "clock", lambda: time.time() + STORE.keep_s)
        STORE.sweep()
        assert files_of_people(tmp_path / "files") == []


def test_a_killed_server_leaves_nothing_that_its_successor_does_not_delete(tmp_path: Path) -> None:
    """The folders lie outside of the working folder, and apart from each other."""
    places = {"TMPDIR": str(tmp_path / "temporary"), "XDYNA_RESULTS": str(tmp_path / "results")}
    for place in places.values():
        Path(place).mkdir()
    downloads, port = tmp_path / "downloads", free_port()
    with served(port, tmp_path, **places) as server:
        client = Client(server.url, verbose=False, download_files=str(downloads))
        use_every_endpoint(client)
        send_half_a_photo(server.url)
        files = {"photo": handle_file(EXAMPLES / "sea_photo.png"), "clip": handle_file(EXAMPLES / "sea_clip.mp4")}
        job = client.submit(**files, **FAST | {"num_inference_steps": 100}, api_name="/generate")
        while not job.outputs():
            assert not job.done()
        server.process.kill()
        server.process.wait()
        client.close()
    assert files_of_people(tmp_path / "results")
    assert files_of_people(tmp_path / "temporary") == []
    give_up_at = time.monotonic() + 120
    with served(port, tmp_path, **places, XDYNA_KEEP_S="1"):
        while files_of_people(tmp_path / "results"):
            assert time.monotonic() < give_up_at, files_of_people(tmp_path / "results")
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("keep_s", "words"), [(7200, "within 2 hours and 10 minutes"), (1200, "within 22 minutes"), (60, "2 minutes")]
)
def test_the_page_promises_what_the_server_keeps(keep_s: int, words: str) -> None:
    settings = ServerSettings(keep_s=keep_s)
    assert words in privacy(settings)
