"""A camera moves the photo: who may, which pictures are taken, what is kept, and that nothing else is."""

import asyncio
import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import PIL.Image
import pytest
from clock import Clock
from starlette.applications import Starlette
from starlette.testclient import TestClient
from ui.conftest import own_store

from xdyna.animate import prepare
from xdyna.backends.live_puppet import LivePuppet, build_live_puppet, live_size
from xdyna.backends.matte import photo_matte
from xdyna.config import AnimationSettings
from xdyna.recipe import read_recipe
from xdyna.schema import Conditions, Image, InputError
from xdyna.ui.fair_queue import FairQueue, Visitor
from xdyna.ui.handlers import mirror as handlers
from xdyna.ui.jobs import analysis_inputs
from xdyna.ui.mirror import (
    FIRST_PICTURE_S,
    KEPT_S,
    MAX_IN_WORK,
    MAX_KEPT_FPS,
    MAX_PICTURE_BYTES,
    MIRRORS,
    NEXT_PICTURE_S,
    ROUTES,
    STATE_HEADER,
    Mirror,
    MirrorBusyError,
    read_picture,
)
from xdyna.ui.server_settings import ServerSettings
from xdyna.ui.session import Analysis
from xdyna.ui.store import STORE
from xdyna.video import read_frames, read_video

if TYPE_CHECKING:
    pass

EXAMPLES = Path(__file__).parents[2] / "examples"
PHOTO, CLIP = str(EXAMPLES / "sea_photo.png"), EXAMPLES / "sea_clip.mp4"
SETTINGS = replace(AnimationSettings(), height=224, width=128, num_frames=2, live_photo=True)
VIEW = handlers.JOB.index("view")


@pytest.fixture(scope="module")
def conditions() -> Conditions:
    return next(event for event in prepare(Path(PHOTO), None, SETTINGS) if isinstance(event, Conditions))


@pytest.fixture(scope="module")
def analysis(conditions: Conditions) -> Analysis:
    return Analysis(inputs=analysis_inputs(PHOTO, None, SETTINGS), settings=SETTINGS, conditions=conditions)


@pytest.fixture(scope="module")
def puppet(conditions: Conditions) -> LivePuppet:
    return built(conditions)


def built(conditions: Conditions) -> LivePuppet:
    building = build_live_puppet(conditions)
    while True:
        try:
            next(building)
        except StopIteration as end:
            puppet: LivePuppet = end.value
            return puppet


@pytest.fixture(scope="module")
def camera() -> list[bytes]:
    """What a camera sends: the driver of an example, and at its begin at rest."""
    frames = list(read_frames(CLIP, fps=8, start_s=0, num_frames=6))
    return [jpeg(frame) for frame in [frames[0]] * 14 + frames]


def progressive(picture: Image) -> bytes:
    content = io.BytesIO()
    PIL.Image.fromarray(picture).save(content, "JPEG", progressive=True)
    return content.getvalue()


def jpeg(picture: Image, format: str = "JPEG") -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(picture).save(file, format)
    return file.getvalue()


def black(width: int, height: int) -> Image:
    return np.zeros((height, width, 3), np.uint8)


@pytest.fixture
def mirror(puppet: LivePuppet) -> Iterator[tuple[Mirror, Clock]]:
    clock = Clock()
    mirror = Mirror(puppet, 100.0, clock.monotonic)
    puppet.align_again()
    yield mirror, clock
    mirror.close()


def shown_to(mirror: Mirror, clock: Clock, pictures: list[bytes], fps: float = 10.0) -> list[Image]:
    """What a mirror answers."""

    async def show() -> list[bytes]:
        answers = []
        for picture in pictures:
            clock.now += 1 / fps
            answers.append(await mirror.answer(picture))
        return answers

    return [cv2.imdecode(np.frombuffer(answer, np.uint8), cv2.IMREAD_COLOR_RGB) for answer in asyncio.run(show())]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xd8\xff\xe0" + b"x" * 100, id="no picture"),
        pytest.param(jpeg(black(128, 128))[:300], id="half a picture"),
        pytest.param(jpeg(black(128, 128), "PNG"), id="PNG"),
        pytest.param(jpeg(black(6000, 6000)), id="many pixels in few bytes"),
        pytest.param(jpeg(black(32, 640)), id="a strip"),
        pytest.param(progressive(black(128, 128)), id="several passes over all pixels"),
    ],
)
def test_a_picture_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="A picture of the camera"):
        read_picture(content)


def test_a_camera_in_gray_is_a_camera() -> None:
    assert read_picture(jpeg(black(80, 64)[..., 0])).shape == (64, 80, 3)


@pytest.mark.parametrize(
    ("size", "live"), [((896, 512), (896, 512)), ((1536, 512), (896, 296)), ((224, 128), (224, 128))]
)
def test_a_large_video_is_drawn_smaller_live(size: tuple[int, int], live: tuple[int, int]) -> None:
    assert live_size(size) == live


def test_the_mask_that_the_visitor_corrected_counts(conditions: Conditions) -> None:
    corrected = photo_matte(conditions).copy()
    corrected[: conditions.size[0] // 2] *= 0.5
    puppet = built(replace(conditions, matte=corrected))
    assert np.array_equal(puppet.matte, corrected)


def test_the_photo_rests_until_the_driver_is_known_and_then_moves(
    mirror: tuple[Mirror, Clock], camera: list[bytes], conditions: Conditions
) -> None:
    one, clock = mirror
    answers = shown_to(one, clock, camera)
    assert one.state == "following"
    assert {answer.shape for answer in answers} == {(*conditions.size, 3)}
    assert np.array_equal(answers[0], answers[1])
    assert np.abs(answers[-1].astype(int) - answers[0]).max() > 50


def test_the_last_seconds_are_kept_and_only_of_what_followed(
    mirror: tuple[Mirror, Clock], camera: list[bytes], conditions: Conditions
) -> None:
    one, clock = mirror
    shown_to(one, clock, camera[:3])
    with pytest.raises(InputError, match="nothing to keep"):
        one.clip()
    shown_to(one, clock, camera[3:] + camera[-1:] * 20, fps=2.0)
    video = one.clip()
    assert video.fps == 2 and len(video) == KEPT_S * 2
    shown_to(one, clock, camera[-1:] * 8, fps=100.0)
    assert one.clip().fps <= MAX_KEPT_FPS
    one.forget()
    with pytest.raises(InputError, match="nothing to keep"):
        one.clip()


def test_pictures_that_come_too_fast_are_left_out(mirror: tuple[Mirror, Clock], camera: list[bytes]) -> None:
    async def flood() -> list[Any]:
        return await asyncio.gather(*(mirror[0].answer(camera[0]) for _ in range(9)), return_exceptions=True)

    answers = asyncio.run(flood())
    assert sum(isinstance(answer, bytes) for answer in answers) == MAX_IN_WORK
    assert sum(isinstance(answer, MirrorBusyError) for answer in answers) == 9 - MAX_IN_WORK


def test_a_mirror_ends_with_its_time_and_without_pictures(mirror: tuple[Mirror, Clock], camera: list[bytes]) -> None:
    one, clock = mirror
    clock.now += FIRST_PICTURE_S - 1
    assert one.seconds_left() > 0
    shown_to(one, clock, camera[:1])
    clock.now += NEXT_PICTURE_S - 1
    assert one.seconds_left() > 0
    clock.now += 2
    assert one.seconds_left() == 0
    shown_to(one, clock, camera[:1])
    assert one.seconds_left() == pytest.approx(100 - FIRST_PICTURE_S - NEXT_PICTURE_S, abs=1)
    clock.now += 100
    shown_to(one, clock, camera[:1])
    assert one.seconds_left() == 0


def test_only_the_one_who_has_the_ticket_is_answered(puppet: LivePuppet, camera: list[bytes]) -> None:
    with TestClient(Starlette(routes=ROUTES)) as client:
        with MIRRORS.open(puppet, 60.0) as mirror:
            address = f"/xdyna/mirror/{mirror.ticket}"
            answer = client.post(f"{address}?again", content=camera[0])
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
            assert (answer.headers[STATE_HEADER], answer.headers["cache-control"]) == ("hold-still", "no-store")
            assert client.post(address, content=b"x").status_code == 400
            assert client.post(address, content=b"x" * (MAX_PICTURE_BYTES + 1)).status_code == 413
            assert client.post("/xdyna/mirror/x", content=camera[0]).status_code == 410
            assert client.get(address).status_code == 405
        assert client.post(address, content=camera[0]).status_code == 410


Start = tuple[str | None, bool, bool]


@pytest.mark.parametrize(
    ("start", "words"),
    [
        pytest.param((None, True, True), "There is no photo yet", id="no photo"),
        pytest.param((PHOTO, False, True), "I have the right to use this person", id="no consent"),
        pytest.param((PHOTO, True, False), "has to be analysed first", id="not analysed"),
        pytest.param((str(CLIP), True, True), "has to be analysed first", id="another photo"),
    ],
)
def test_without_photo_consent_or_analysis_there_is_no_mirror(start: Start, words: str, analysis: Analysis) -> None:
    photo, consent, is_analysed = start
    (shown,) = handlers.run(photo, consent, analysis if is_analysed else None)
    assert words in dict(zip(handlers.JOB, shown, strict=True))["status"]


def test_one_visitor_after_another(analysis: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = FairQueue(settings=ServerSettings(max_waiting=1))
    monkeypatch.setattr(handlers, "MIRROR_QUEUE", queue)
    with queue.join(Visitor(address="8.8.8.8", session="first"), 90.0):
        job = handlers.run(PHOTO, True, analysis)
        assert "You are number 1 in the queue" in str(next(job))
        (refused,) = handlers.run(PHOTO, True, analysis)
        assert "jobs wait" in str(refused)
        job.close()
    assert not queue.waiting and not queue.called


def test_the_job_has_the_mirror_on_and_off_and_what_is_kept_is_a_result_like_others(
    analysis: Analysis, camera: list[bytes], tmp_path: Path
) -> None:
    with own_store(tmp_path), TestClient(Starlette(routes=ROUTES)) as client:
        STORE.open()
        with closing(handlers.run(PHOTO, True, analysis)) as job:  # type: ignore[type-var]
            ticket = next(shown[VIEW] for shown in job if isinstance(shown[VIEW], str))
            mirror = MIRRORS.find(ticket)
            assert mirror is not None
            while mirror.state != "following":
                client.post(f"/xdyna/mirror/{ticket}", content=camera[0])
            for picture in camera[-6:]:
                client.post(f"/xdyna/mirror/{ticket}", content=picture)
        assert MIRRORS.find(ticket) is None
        before = set(tmp_path.rglob("*.*"))
        kept = dict(zip(handlers.KEPT, handlers.keep((mirror, analysis)), strict=True))
        made, run = Path(kept["video"]), kept["result"]
        assert {path.name for path in set(tmp_path.rglob("*.*")) - before} == {"xdyna.mp4", "xdyna.json", "xdyna.jpg"}
        recipe = read_recipe(made)
        video = read_video(made, fps=recipe.settings["fps"], num_frames=1000)
        assert (recipe.model, recipe.revision) == ("puppet", "mirror")
        assert recipe.note.startswith("AI-generated") and run.recipe == recipe
        assert len(video) == recipe.num_frames and len(video) / video.fps <= KEPT_S


def test_nothing_is_kept_where_nothing_was() -> None:
    assert "There is nothing to keep yet" in str(handlers.keep(None))
