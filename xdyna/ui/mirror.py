"""Mirrors: a visitor's camera drives their photo, picture by picture, in memory.

The page posts each picture of the camera as JPEG and gets the drawn one back. Gradio's own stream would do, but it
writes a file for every picture that it answers, sends pictures as text inside JSON, and never has two on their way.
"""

import asyncio
import io
import os
import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import PIL.Image
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from xdyna.photo.read import JPEG_SCAN
from xdyna.schema import Image, InputError, Video
from xdyna.ui.fair_queue import FairQueue
from xdyna.ui.server_settings import server_settings

if TYPE_CHECKING:
    from xdyna.backends.live_puppet import Eyes, LivePuppet, Sight, State

PATH = "/xdyna/mirror/{ticket}"
STATE_HEADER = "X-Mirror-State"
MAX_PICTURE_SCANS = 3  # one for each channel; each costs a pass over all pixels
MAX_PICTURE_BYTES, MAX_PICTURE_PIXELS, MIN_PICTURE_SIDE_PX = 512 * 2**10, 1280 * 720, 64
MAX_IN_WORK = 2
"""Pictures of one mirror: one is looked at while the one before it is drawn."""
QUALITY = 85
KEPT_S, MAX_KEPT_FPS = 10.0, 16
FIRST_PICTURE_S, NEXT_PICTURE_S = 60.0, 10.0
"""How long a mirror waits for its first picture, which the visitor has to allow, and for each one after it."""
FORGET_S = 60.0
"""How long the last seconds can still be kept once a mirror has ended."""
NICENESS = 5
"""A mirror takes what time on the processor others leave."""

MIRROR_QUEUE = FairQueue(
    turns=server_settings().max_mirrors,
    settings=replace(server_settings(), max_waiting=max(1, server_settings().max_waiting // 4)),
)
"""Everybody who wants a mirror. It ends after `ServerSettings.mirror_s`, and the next one has its turn."""


class MirrorBusyError(Exception):
    """More pictures came than are worked on at once; the page leaves some out."""


class Mirror:
    """One visitor's mirror. It answers pictures from the event loop's thread; anything else may be asked by any.

    Args:
        puppet: The visitor's photo.
        longest_s: The time in seconds after which it ends.
        clock: Returns seconds that only grow.
    """

    def __init__(self, puppet: "LivePuppet", longest_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.ticket = secrets.token_urlsafe(24)
        self._puppet, self._clock, self._longest_s = puppet, clock, longest_s
        self._looking = ThreadPoolExecutor(1, "mirror-look", _give_way)
        self._drawing = ThreadPoolExecutor(1, "mirror-draw", _give_way)
        self._eyes = self._looking.submit(_eyes)
        self._in_work, self._drawn = 0, deque[tuple[float, bytes]]()
        self._lock, self._over = threading.Lock(), threading.Event()
        self._started_s = self._asked_s = clock()
        self._had_picture = False

    @property
    def state(self) -> "State":
        """What the driver should know."""
        return self._puppet.state

    def seconds_left(self) -> float:
        """Return how long the mirror goes on: 0 once its time is over, or no more pictures come."""
        now, patience = self._clock(), NEXT_PICTURE_S if self._had_picture else FIRST_PICTURE_S
        is_idle = now - self._asked_s >= patience
        return 0.0 if is_idle or self._over.is_set() else max(0.0, self._started_s + self._longest_s - now)

    def wait(self, seconds: float) -> None:
        """Return after some time, or at once when the mirror is closed."""
        self._over.wait(seconds)

    async def answer(self, picture: bytes, again: bool = False) -> bytes:
        """Return the photo as the driver in a picture of the camera moves it.

        Args:
            picture: A JPEG, of anybody's making.
            again: Whether to lay the driver on the photo anew.

        Returns:
            A JPEG.

        Raises:
            MirrorBusyError: too many pictures are in work.
            InputError: the picture cannot be used.
        """
        if self._in_work >= MAX_IN_WORK:
            raise MirrorBusyError
        self._in_work += 1
        self._asked_s, self._had_picture = self._clock(), True
        loop = asyncio.get_running_loop()
        try:
            sight = await loop.run_in_executor(self._looking, self._look, picture, self._asked_s)
            return await loop.run_in_executor(self._drawing, self._draw, sight, again)
        finally:
            self._in_work -= 1

    def clip(self) -> Video:
        """Return the last seconds of what was drawn.

        Raises:
            InputError: there is nothing to keep.
        """
        with self._lock:
            drawn = list(self._drawn)
        if len(drawn) < 2 or drawn[-1][0] <= drawn[0][0]:
            raise InputError("There is nothing to keep yet. Start the mirror, move, and keep the last seconds then.")
        times = np.array([at_s for at_s, _ in drawn]) - drawn[0][0]
        fps = float(np.clip(round((len(drawn) - 1) / times[-1]), 1, MAX_KEPT_FPS))
        moments = np.arange(max(2, min(int(times[-1] * fps) + 1, round(KEPT_S * fps)))) / fps
        chosen = np.searchsorted(times, moments + 1e-6, side="right") - 1
        frames = [cv2.imdecode(np.frombuffer(drawn[k][1], np.uint8), cv2.IMREAD_COLOR_RGB) for k in chosen]
        return Video(frames=np.stack(frames).astype(np.uint8), fps=fps)

    def close(self) -> None:
        """End, and forget what was drawn a while later."""
        self._over.set()
        self._looking.submit(lambda: self._eyes.result().close())
        for pool in (self._looking, self._drawing):
            pool.shutdown(wait=False)
        forget = threading.Timer(FORGET_S, self.forget)
        forget.daemon = True
        forget.start()

    def forget(self) -> None:
        """Drop what was drawn."""
        with self._lock:
            self._drawn.clear()

    def _look(self, picture: bytes, at_s: float) -> "Sight":
        return self._eyes.result().look(read_picture(picture), at_s)

    def _draw(self, sight: "Sight", again: bool) -> bytes:
        if again:
            self._puppet.align_again()
        drawn = self._puppet.draw(sight)
        _, jpeg = cv2.imencode(".jpg", drawn[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
        content = jpeg.tobytes()
        if self._puppet.state == "following":
            with self._lock:
                self._drawn.append((sight.at_s, content))
                while sight.at_s - self._drawn[0][0] > KEPT_S:
                    self._drawn.popleft()
        return content


class Mirrors:
    """The mirrors that are on, by their tickets."""

    def __init__(self) -> None:
        self._mirrors = dict[str, Mirror]()

    @contextmanager
    def open(self, puppet: "LivePuppet", longest_s: float) -> Iterator[Mirror]:
        """Have a mirror on for the length of the block."""
        mirror = Mirror(puppet, longest_s)
        self._mirrors[mirror.ticket] = mirror
        try:
            yield mirror
        finally:
            del self._mirrors[mirror.ticket]
            mirror.close()

    def find(self, ticket: str) -> Mirror | None:
        """Return the mirror of a ticket while it is on."""
        mirror = self._mirrors.get(ticket)
        return mirror if mirror is not None and mirror.seconds_left() else None


MIRRORS = Mirrors()


def read_picture(content: bytes) -> Image:
    """Read a picture that anybody may have sent, `(height, width, 3)` uint8 RGB.

    Raises:
        InputError: it is no JPEG, or too large or too small.
    """
    try:
        with PIL.Image.open(io.BytesIO(content), formats=("JPEG",)) as picture:
            if picture.info.get("progressive") or len(JPEG_SCAN.findall(content)) > MAX_PICTURE_SCANS:
                raise InputError("A picture of the camera must be a plain JPEG, stored in one pass.")
            width, height = picture.size
            if width * height > MAX_PICTURE_PIXELS or min(width, height) < MIN_PICTURE_SIDE_PX:
                raise InputError(
                    f"A picture of the camera may have {MAX_PICTURE_PIXELS} pixels and must have "
                    f"{MIN_PICTURE_SIDE_PX} on either side, got {width} x {height}."
                )
            return np.array(picture.convert("RGB"))
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise InputError("A picture of the camera must be a JPEG.") from error


async def answer_picture(request: Request) -> Response:
    """Answer one picture of a mirror whose ticket is in the address."""
    mirror = MIRRORS.find(request.path_params["ticket"])
    if mirror is None:
        return PlainTextResponse("This mirror has ended.", 410)
    if int(request.headers.get("content-length", "0")) > MAX_PICTURE_BYTES:
        return PlainTextResponse(f"A picture may have {MAX_PICTURE_BYTES} bytes.", 413)
    try:
        drawn = await mirror.answer(await request.body(), again="again" in request.query_params)
    except MirrorBusyError:
        return PlainTextResponse("Too many pictures at once.", 429)
    except InputError as error:
        return PlainTextResponse(str(error), 400)
    except RuntimeError:  # it ended meanwhile, and its threads with it
        return PlainTextResponse("This mirror has ended.", 410)
    return Response(drawn, media_type="image/jpeg", headers={"Cache-Control": "no-store", STATE_HEADER: mirror.state})


ROUTES = [Route(PATH, answer_picture, methods=["POST"])]


def _eyes() -> "Eyes":
    from xdyna.backends.live_puppet import Eyes  # heavy, and the page comes first

    return Eyes()


def _give_way() -> None:
    """Let this thread, and those that it starts, take what time others leave."""
    if sys.platform == "linux":  # elsewhere it would hold for the whole process
        me = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, me, min(19, os.getpriority(os.PRIO_PROCESS, me) + NICENESS))
