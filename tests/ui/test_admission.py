"""Requests over the API are admitted or refused before any work, and what they have in common is done once."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.client import Job
from gradio_client.exceptions import AppError
from ui.conftest import free_port, own_store
from ui.slow_backend import SlowBackend

import xdyna.backends
import xdyna.ui.jobs
import xdyna.ui.preparation
from xdyna.schema import Conditions, Progress
from xdyna.ui.demo import launch
from xdyna.ui.fair_queue import Visitor
from xdyna.ui.gpu import RUN_QUEUE
from xdyna.ui.jobs import ANALYSIS_QUEUE
from xdyna.ui.preparation import PREPARATIONS, Preparation
from xdyna.ui.server_settings import ServerSettings

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = {"photo": handle_file(EXAMPLES / "sea_photo.png"), "clip": handle_file(EXAMPLES / "sea_clip.mp4")}
FAST = {"num_frames": 3, "num_inference_steps": 2, "consent": True}


class Prepared:
    """Counts the preparations of a server."""

    def __init__(self) -> None:
        self.begun = 0
        self.real = xdyna.ui.jobs.prepare

    def __call__(self, *arguments: Any) -> Iterator[Progress | Conditions]:
        self.begun += 1
        return self.real(*arguments)


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> Prepared:
    prepared = Prepared()
    monkeypatch.setattr(xdyna.ui.jobs, "prepare", prepared)
    return prepared


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, own_store(tmp_path_factory.mktemp("files")):
        patch.setattr("gradio.networking.url_ok", lambda url: True)  # its patience of 3 s is not a busy machine's
        demo = launch(host="127.0.0.1", port=free_port(), block=False)
        yield demo.local_url
        demo.close()


@pytest.fixture
def client_of(url: str) -> Iterator[Callable[[], Client]]:
    clients: list[Client] = []

    def client() -> Client:
        clients.append(Client(url, verbose=False))
        return clients[-1]

    yield client
    for client in clients:
        client.close()


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen"
        time.sleep(0.02)


def somebody(name: str) -> Visitor:
    return Visitor(address=f"address of {name}", session=name)


@pytest.mark.parametrize("endpoint", ["/analyze", "/see_it_move", "/generate", "/compare"])
def test_a_full_server_refuses_before_any_work(
    client_of: Callable[[], Client], prepared: Prepared, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    client, queue = client_of(), ANALYSIS_QUEUE if endpoint in ("/analyze", "/see_it_move") else RUN_QUEUE
    monkeypatch.setattr(queue, "settings", ServerSettings(max_waiting=1))
    with ExitStack() as others:
        for name in ("first", "second", "third"):
            others.enter_context(queue.join(somebody(name), 240.0))
        words = r"The queue is full \(1\)\. You would be number \d with about \d+ min to wait\. .* back in about 4 min"
        with pytest.raises(AppError, match=words):
            client.predict(**FILES, **FAST, api_name=endpoint)
    assert prepared.begun == 0


def test_nobody_prepares_before_it_is_nearly_their_turn(
    client_of: Callable[[], Client], prepared: Prepared, backend: SlowBackend
) -> None:
    client = client_of()
    with ExitStack() as others:
        for name in ("runs", "prepares"):
            others.enter_context(RUN_QUEUE.join(somebody(name), 240.0))
        job = client.submit(**FILES, **FAST, api_name="/generate")
        until(lambda: len(RUN_QUEUE.waiting) == 1 and bool(job.outputs()))
        assert prepared.begun == 0
    job.result(timeout=120)
    assert prepared.begun == 1


def test_the_rank_that_a_client_is_told_is_that_of_the_real_queue(
    client_of: Callable[[], Client], backend: SlowBackend
) -> None:
    client = client_of()
    with ExitStack() as runs, ExitStack() as others:
        runs.enter_context(RUN_QUEUE.join(somebody("runs"), 30.0))
        for name in ("b", "c"):
            others.enter_context(RUN_QUEUE.join(somebody(name), 60.0))
        job = client.submit(**FILES, **FAST, api_name="/generate")
        until(lambda: place(job) == (2, 2))
        assert 90 < job.status().eta <= 150
        others.close()
        until(lambda: place(job) == (0, 0))
    job.result(timeout=120)


def place(job: Job) -> tuple[int | None, int | None]:
    status = job.status()
    return status.rank, status.queue_size


def test_identical_requests_in_flight_share_one_preparation(
    client_of: Callable[[], Client], prepared: Prepared, backend: SlowBackend
) -> None:
    backend.gate.clear()
    jobs = [client_of().submit(**FILES, **FAST, seed=seed, api_name="/generate") for seed in range(3)]
    until(lambda: backend.running == 1 and len(RUN_QUEUE.called) + len(RUN_QUEUE.waiting) == 3)
    client_of().predict(**FILES, **FAST, api_name="/analyze")
    backend.gate.set()
    for job in jobs:
        job.result(timeout=120)
    assert (prepared.begun, backend.runs) == (1, 3)
    client_of().predict(**FILES, **FAST, api_name="/analyze")
    assert prepared.begun == 2  # nothing of anybody's files is kept once nobody needs it


class Work:
    """A preparation that a test leads step by step."""

    def __init__(self, fails: bool = False) -> None:
        self.begun, self.closed, self.fails = 0, 0, fails
        self.gate = threading.Event()

    def __call__(self) -> Iterator[Any]:
        self.begun += 1
        try:
            while not self.gate.is_set():
                yield Progress(phase="Looking", step=1, total=2)
            if self.fails:
                raise RuntimeError("broken")
            yield "conditions"
        finally:
            self.closed += 1


def followed(preparation: Preparation) -> tuple[threading.Thread, list[object]]:
    seen: list[object] = []

    def follow() -> None:
        try:
            seen.extend(event for event in preparation.follow() if not isinstance(event, Progress))
        except RuntimeError as error:
            seen.append(str(error))

    thread = threading.Thread(target=follow)
    thread.start()
    return thread, seen


@pytest.mark.parametrize("fails", [False, True])
def test_everybody_who_follows_gets_the_result_or_the_error(fails: bool) -> None:
    work = Work(fails)
    with PREPARATIONS.share("key", work) as first, PREPARATIONS.share("key", work) as second:
        assert first is second
        threads, seen = zip(*(followed(first) for _ in range(3)), strict=True)
        until(lambda: work.begun == 1)
        work.gate.set()
        for thread in threads:
            thread.join(timeout=120)
    assert seen == (["broken"],) * 3 if fails else (["conditions"],) * 3
    with PREPARATIONS.share("key", work) as another:
        assert another is not first


def test_a_preparation_ends_when_the_last_one_leaves_and_goes_on_when_one_stays() -> None:
    work = Work()
    with PREPARATIONS.share("key", work) as preparation:
        leaving, staying = preparation.follow(), preparation.follow()
        next(leaving), next(staying)
        leaving.close()
        assert next(staying).phase == "Looking" and work.closed == 0
        staying.close()
        until(lambda: work.closed == 1)
        work.gate.set()
        assert list(preparation.follow())[-1] == "conditions"  # who comes later begins anew
        assert work.begun == 2


def test_a_result_that_somebody_has_not_read_yet_is_not_dropped_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xdyna.ui.preparation, "MAX_KEPT_BYTES", -1)
    work = Work()
    with PREPARATIONS.share("key", work) as preparation:
        slow = preparation.follow()
        next(slow)
        work.gate.set()
        until(lambda: preparation.conditions is not None)
        with PREPARATIONS.share("other key", work):
            pass
        assert next(slow) == "conditions"
        slow.close()
        with PREPARATIONS.share("other key", work):
            pass
        assert preparation.conditions is None
