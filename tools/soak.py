"""Load, faults and hostile clients against a page of this checkout's own, on loopback: the table of docs/load.md.

    python tools/soak.py                    # all rows, about 20 minutes on two cores
    python tools/soak.py generate_50 upload # some of them

Every row starts a server of its own in a temporary folder, ends it, and is bounded in time. It needs `gradio_client`
and `psutil`, which the package brings, and touches no other machine.
"""

import argparse
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket

import httpx
import numpy as np
import psutil
from gradio_client import Client, handle_file
from PIL import Image

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
RUN = {"consent": True, "num_frames": 8, "num_inference_steps": 3}
ANALYSIS = {"consent": True, "num_frames": 8}
PATIENCE_S = 600.0
SAMPLE_S = 0.1


@dataclass
class Watch:
    """What a server used at most, sampled ten times a second."""

    process: psutil.Process
    idle_mb: float = 0.0
    peak_mb: float = 0.0
    threads: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        self.idle_mb = self.memory_mb()
        threading.Thread(target=self._sample, daemon=True).start()

    def memory_mb(self) -> float:
        return self.process.memory_info().rss / 1e6

    def _sample(self) -> None:
        while not self.stop.wait(SAMPLE_S):
            try:
                self.peak_mb = max(self.peak_mb, self.memory_mb())
                self.threads = max(self.threads, self.process.num_threads())
            except psutil.NoSuchProcess:
                return

    def __str__(self) -> str:
        return f"memory {self.idle_mb:.0f} -> {self.peak_mb:.0f} MB, at most {self.threads} threads"


@dataclass
class Server:
    url: str
    process: subprocess.Popen
    folder: Path
    watch: Watch

    def client(self) -> Client:
        return Client(self.url, verbose=False, download_files=str(self.folder / "downloads"))

    def files(self) -> list[Path]:
        found = (self.folder / "results").rglob("*")
        return [path for path in found if path.is_file() and path.suffix != ".lock"]


@contextmanager
def served(folder: Path, **variables: str) -> Iterator[Server]:
    """A server that has loaded its model and made one video, and is watched from then on."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "results").mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "GRADIO_SERVER_PORT": str(port),
        "XDYNA_RESULTS": str(folder / "results"),
        "OMP_NUM_THREADS": "2",
        **variables,
    }
    with (folder / "log").open("a") as log:
        process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log)
        watch = Watch(psutil.Process(process.pid))
        url, give_up_at = f"http://127.0.0.1:{port}/", time.monotonic() + PATIENCE_S
        try:
            while True:
                try:
                    httpx.get(url, timeout=10)
                    break
                except httpx.HTTPError:
                    if process.poll() is not None or time.monotonic() > give_up_at:
                        raise RuntimeError((folder / "log").read_text()) from None
                    time.sleep(0.1)
            server = Server(url, process, folder, watch)
            call(server.client(), "/generate", *example(), seed=1)
            watch.begin()
            yield server
        finally:
            watch.stop.set()
            process.kill()
            process.wait()


def example() -> tuple[Path, Path]:
    return EXAMPLES / "sea_photo.png", EXAMPLES / "sea_clip.mp4"


def call(client: Client, endpoint: str, photo: Path, clip: Path, **changes: object) -> float:
    """Seconds until the answer, or the error, is there."""
    began = time.monotonic()
    values = {key: value for key, value in (RUN | changes).items() if endpoint != "/analyze" or "steps" not in key}
    client.predict(photo=handle_file(photo), clip=handle_file(clip), **values, api_name=endpoint)
    return time.monotonic() - began


@dataclass
class Answers:
    """How requests that were sent at the same time ended."""

    served: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    lost: int = 0

    def __str__(self) -> str:
        text = f"{len(self.served)} served"
        if self.served:
            text += f" ({min(self.served):.0f} to {max(self.served):.0f} s)"
        if self.refused:
            text += f", {len(self.refused)} refused after {min(self.refused):.2f} to {max(self.refused):.2f} s"
        return f"{text}, {self.lost} lost"


def together(server: Server, endpoint: str, pairs: list[tuple[Path, Path]]) -> Answers:
    """Send one request for each pair, all at the same moment: the files are on the server before that."""
    answers, barrier, lock = Answers(), threading.Barrier(len(pairs)), threading.Lock()
    uploads = {path: upload_file(server, path) for path in {path for pair in pairs for path in pair}}

    def ask(photo: Path, clip: Path) -> None:
        values = {"photo": uploads[photo], "clip": uploads[clip], **(RUN if endpoint != "analyze" else ANALYSIS)}
        with httpx.Client(timeout=PATIENCE_S) as client:  # made before: a client takes longer than its requests
            barrier.wait()
            began = time.monotonic()
            try:
                event, told = post(client, server, endpoint, values)
            except httpx.HTTPError as error:
                event, told = "lost", repr(error)
            spent = time.monotonic() - began
        with lock:
            if event == "complete":
                answers.served.append(spent)
            elif "come back" in told:
                answers.refused.append(spent)
                answers.words.add(json.loads(told)["error"])
            else:
                answers.lost += 1
                print("lost:", event, told[:200], file=sys.stderr)

    threads = [threading.Thread(target=ask, args=pair, daemon=True) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    return answers


def upload_file(server: Server, path: Path) -> dict[str, object]:
    answer = httpx.post(f"{server.url}gradio_api/upload", files={"files": (path.name, path.read_bytes())}, timeout=60)
    return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}


def post(client: httpx.Client, server: Server, endpoint: str, values: dict[str, object]) -> tuple[str, str]:
    """Ask as a visitor of one's own; return the last event, "complete" or "error", and what came with it."""
    address = f"{server.url}gradio_api/call"
    event = client.post(f"{address}/v2/{endpoint}", json=values).json()["event_id"]
    with client.stream("GET", f"{address}/{endpoint}/{event}") as stream:
        name = ""
        for line in stream.iter_lines():
            kind, _, content = line.partition(": ")
            name = content if kind == "event" else name
            if kind == "data" and name in ("complete", "error"):
                return name, content
    return "lost", "the stream ended"


def variants_of_photo(folder: Path, number: int) -> list[tuple[Path, Path]]:
    """Pairs that nothing can share: each photo differs in one pixel."""
    photo, clip = example()
    pixels, pairs = np.array(Image.open(photo).convert("RGB")), []
    for k in range(number):
        pixels[0, 0] = k, k, k
        path = folder / f"photo-{k}.png"
        Image.fromarray(pixels).save(path)
        pairs.append((path, clip))
    return pairs


def fifty(folder: Path, endpoint: str, *, same: bool) -> str:
    with served(folder) as server:
        late = Answers()
        timer = threading.Timer(5, lambda: late.refused.extend(together(server, endpoint, [example()]).refused))
        timer.start()
        answers = together(server, endpoint, [example()] * 50 if same else variants_of_photo(folder, 50))
        timer.join()
        alive = server.process.poll() is None
        words = next(iter(sorted(answers.words)), "")
        after = f"{late.refused[0]:.2f} s" if late.refused else "not refused"
        return (
            f"{answers}; one more, 5 s later: refused after {after}; {server.watch}; "
            f"{'alive' if alive else 'DEAD'}; a refusal: “{words}”"
        )


def generate_50(folder: Path) -> str:
    """50 clients at once on /generate, each with its own photo"""
    return fifty(folder, "generate", same=False)


def generate_50_same(folder: Path) -> str:
    """50 clients at once on /generate, all with the same files"""
    return fifty(folder, "generate", same=True)


def analyze_50(folder: Path) -> str:
    """50 clients at once on /analyze, each with its own photo"""
    return fifty(folder, "analyze", same=False)


def twenty_and_one(folder: Path) -> str:
    """One client sends 20, then another 1"""
    with served(folder) as server:
        greedy, modest, photo, clip = server.client(), server.client(), *example()
        files = {"photo": handle_file(photo), "clip": handle_file(clip)}
        jobs = [greedy.submit(**files, **RUN, api_name="/generate") for _ in range(20)]
        while not any(job.outputs() for job in jobs):
            time.sleep(0.05)
        alone = call(modest, "/generate", photo, clip)
        finished_before = sum(job.done() and job.exception() is None for job in jobs)
        ended = [job.exception(timeout=PATIENCE_S) for job in jobs]
        done = sum(error is None for error in ended)
        return (
            f"the one: served after {alone:.0f} s, when {finished_before} of the 20 were done; of the 20: {done} "
            f"served, {20 - done} refused"
        )


def same_files_40(folder: Path) -> str:
    """40 runs, same files"""
    with served(folder) as server:
        client, memory = server.client(), []
        for _ in range(40):
            call(client, "/generate", *example())
            memory.append(server.watch.memory_mb())
        handles = server.watch.process.num_fds()
        return f"memory {memory[0]:.0f} -> {memory[-1]:.0f} MB (most {max(memory):.0f}), {handles} handles"


def other_files_30(folder: Path) -> str:
    """30 runs, differing files"""
    with served(folder) as server:
        client, memory = server.client(), []
        for pair in variants_of_photo(folder, 30):
            call(client, "/generate", *pair)
            memory.append(server.watch.memory_mb())
        return f"memory {memory[0]:.0f} -> {memory[-1]:.0f} MB (most {max(memory):.0f})"


def page_loads_40(folder: Path) -> str:
    """page, config and client loads x 40"""
    with served(folder) as server:
        before, handles = server.watch.memory_mb(), server.watch.process.num_fds()
        for _ in range(40):
            httpx.get(server.url, timeout=60).raise_for_status()
            httpx.get(f"{server.url}config", timeout=60).raise_for_status()
            server.client().close()
        time.sleep(5)
        after = server.watch.memory_mb()
        return f"{after - before:+.0f} MB, handles {handles} -> {server.watch.process.num_fds()}"


def sigterm(folder: Path) -> str:
    """SIGTERM idle / in the middle of a run"""
    seconds = []
    for busy in (False, True):
        with served(folder / str(busy)) as server:
            if busy:
                job = start_long_run(server)
                while not job.outputs():
                    time.sleep(0.05)
            began = time.monotonic()
            server.process.terminate()
            server.process.wait(PATIENCE_S)
            seconds.append(time.monotonic() - began)
    return f"{seconds[0]:.1f} s / {seconds[1]:.1f} s"


def start_long_run(server: Server) -> object:
    photo, clip = example()
    files = {"photo": handle_file(photo), "clip": handle_file(clip)}
    return server.client().submit(**files, **RUN | {"num_inference_steps": 100}, api_name="/generate")


def kill_9(folder: Path) -> str:
    """Kill -9 in the middle of a run, then a restart that keeps files for 20 s"""
    with served(folder) as server:
        job = start_long_run(server)
        while not job.outputs():
            time.sleep(0.05)
        server.process.send_signal(signal.SIGKILL)
        error = job.exception(timeout=PATIENCE_S)
        left = set(server.files())
    with served(folder, XDYNA_KEEP_S="20") as server:
        began = time.monotonic()
        while left & set(server.files()):
            if time.monotonic() - began > 120:
                break
            time.sleep(0.5)
        still = len(left & set(server.files()))
        return (
            f"client told: {type(error).__name__}; {len(left)} files left behind, {still} of them still there "
            f"{time.monotonic() - began:.0f} s after the restart"
        )


def upload(folder: Path) -> str:
    """A 600 MB upload"""
    with served(folder) as server:
        used = shutil.disk_usage(folder).used
        peak, stop = [used], threading.Event()

        def sample() -> None:
            while not stop.wait(0.05):
                peak.append(shutil.disk_usage(folder).used)

        threading.Thread(target=sample, daemon=True).start()
        status = post_megabytes(server, 600)
        stop.set()
        time.sleep(2)
        freed = shutil.disk_usage(folder).used - used
        return f"{status}, disk peak {(max(peak) - used) / 1e6:+.0f} MB, {freed / 1e6:+.0f} MB afterwards"


def post_megabytes(server: Server, megabytes: int) -> str:
    def body() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="clip.mp4"\r\n\r\n'
        for _ in range(megabytes):
            yield b"\0" * 10**6
        yield b"\r\n--x--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    try:
        answer = httpx.post(f"{server.url}gradio_api/upload", content=body(), headers=headers, timeout=PATIENCE_S)
    except httpx.HTTPError as error:
        return f"connection closed ({type(error).__name__})"
    return f"HTTP {answer.status_code}"


def large_pictures(folder: Path) -> str:
    """Photos that are small files and huge pictures, and texts that unpack to much, through the page's endpoints"""
    files = {"20000 x 20000 px PNG": blank_png(20_000), "PNG with 50 MB of text": png_with_text(50)}
    told = []
    with served(folder) as server:
        client = server.client()
        for name, content in files.items():
            path = folder / f"{len(told)}.png"
            path.write_bytes(content)
            began, before = time.monotonic(), server.watch.memory_mb()
            server.watch.peak_mb = before
            try:
                call(client, "/analyze", path, example()[1])
                answer = "taken"
            except Exception as error:
                answer = f"refused: “{str(error)[:80]}”"
            spent, grew = time.monotonic() - began, server.watch.peak_mb - before
            told.append(f"{name} ({len(content) / 1e3:.0f} kB): {answer} in {spent:.1f} s, {grew:+.0f} MB")
        return "; ".join(told)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def blank_png(side: int) -> bytes:
    """A white picture of one bit a pixel."""
    packer, packed = zlib.compressobj(9), b""
    row = b"\0" + b"\xff" * ((side + 7) // 8)
    for _ in range(side):
        packed += packer.compress(row)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed + packer.flush()) + chunk(b"IEND", b"")
    )


def png_with_text(megabytes: int) -> bytes:
    """The example's photo with a compressed comment that unpacks to much."""
    file = io.BytesIO()
    Image.open(example()[0]).save(file, "PNG")
    content = file.getvalue()
    comment = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b" " * megabytes * 10**6, 9))
    return content[:33] + comment + content[33:]


def full_disk(folder: Path) -> str:
    """The disk is full while a result is written"""
    results = folder / "results"
    results.mkdir(parents=True)
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "xdyna-soak", str(results)], check=False
        ).returncode
    ):
        return "not measured: a small file system can be mounted by root only"
    try:
        with served(folder) as server:
            client, photo, clip = server.client(), *example()
            (results / "filler").write_bytes(b"\0" * max(0, shutil.disk_usage(results).free - 200_000))
            try:
                call(client, "/generate", photo, clip, num_frames=16)
                first = "NOT told"
            except Exception as error:
                first = f"told: “{str(error)[:160]}”"
            (results / "filler").unlink()
            spent = call(client, "/generate", photo, clip, num_frames=16)
            halves = [path.name for path in server.files() if path.name.startswith(".")]
            return f"{first}; half-written files: {len(halves)}; with room again served in {spent:.0f} s"
    finally:
        subprocess.run(["umount", "-l", str(results)], check=False)


ROWS: tuple[Callable[[Path], str], ...] = (
    *(generate_50, generate_50_same, analyze_50, twenty_and_one, same_files_40, other_files_30, page_loads_40),
    *(sigterm, kill_9, upload, large_pictures, full_disk),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[[], *(row.__name__ for row in ROWS)], metavar="ROW")
    chosen = parser.parse_args().rows
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n\n| test | result |\n|---|---|", flush=True)
    for row in ROWS:
        if not chosen or row.__name__ in chosen:
            with tempfile.TemporaryDirectory(prefix="xdyna-soak-", ignore_cleanup_errors=True) as folder:
                began = time.monotonic()
                result = row(Path(folder))
                print(f"| {row.__doc__} | {result} |", flush=True)
                print(f"{row.__name__}: {time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
