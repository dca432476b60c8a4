"""Opening untrusted media files with FFmpeg."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from xdyna.schema import InputError
from xdyna.video.limits import ReadLimits, TimeBudget

ACCEPTED = "MP4, MOV, WebM, MKV, AVI, GIF or WebP with 2 frames or more"
# Containers only. FFmpeg also "plays" playlists, which name other files and addresses to open.
CONTAINERS = "mov,mp4,matroska,webm,avi,gif,ogg,mpegts,mpeg,asf,flv"

# Major brands of HEIF and AVIF pictures (ISO/IEC 23008-12), which FFmpeg plays as a second of standstill.
STILLS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif")

PROBED = 8  # times the largest picture accepted, so that a somewhat larger one is still refused by its size


@contextmanager
def open_container(path: Path, limits: ReadLimits, budget: TimeBudget) -> Iterator[InputContainer]:
    """Opens a container through a file object, so that no file name can be taken for an address or a pattern.

    Raises:
        InputError: the file is missing, empty, not a video, damaged, or takes too long.
    """
    head = read_head(path)
    if head[4:8] == b"ftyp" and head[8:12] in STILLS:
        raise _not_a_video()
    # FFmpeg looks into the stream while opening; its decoders must not allocate without bounds.
    options = {"format_whitelist": CONTAINERS, "max_pixels": str(PROBED * limits.max_pixels)}
    with open(path, "rb") as file:
        try:
            container = av.open(_WatchedFile(file, budget), "r", metadata_errors="replace", options=options)
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            if _looks_like_video(head):
                raise damaged() from error
            raise _not_a_video() from error
        with container:
            try:
                yield container
            except av.error.FFmpegError as error:
                raise damaged() from error


def picture_stream(container: InputContainer) -> VideoStream:
    """The stream a player shows: the default one, or else the first that is not a cover picture.

    Raises:
        InputError: there is none.
    """
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    moving = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not moving:
        what = "has sound but no picture" if container.streams.audio else "holds no picture"
        raise InputError(f"The clip {what}. Accepted: {ACCEPTED}.")
    return next((stream for stream in moving if stream.disposition & Disposition.default), moving[0])


def read_head(path: Path) -> bytes:
    """The first 16 bytes, by which kinds of files are told apart.

    Raises:
        InputError: the file is missing or empty.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(errno.EINVAL, "not a file")  # a pipe or a device may never end
        with open(path, "rb") as file:
            head = file.read(16)
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise InputError(
            f"The clip cannot be opened ({getattr(error, 'strerror', error)}). Upload it again."
        ) from error
    if not head:
        raise InputError("The clip is an empty file (0 bytes). Upload it again.")
    return head


def damaged() -> InputError:
    """The error for every file that begins like a video and then fails."""
    return InputError("The clip is incomplete or damaged. Upload it again, or convert it to MP4 (H.264).")


class _WatchedFile:
    """A file whose every read looks at the clock, so that a loop that decodes nothing ends too."""

    def __init__(self, file: BinaryIO, budget: TimeBudget) -> None:
        self._file, self._budget = file, budget
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        self._budget.check()
        return self._file.read(size)


def _not_a_video() -> InputError:
    return InputError(f"This is not a video file. Accepted: {ACCEPTED}.")


def _looks_like_video(head: bytes) -> bool:
    boxes = (b"ftyp", b"moov", b"mdat", b"wide", b"free")
    return head[4:8] in boxes or head.startswith((b"\x1aE\xdf\xa3", b"OggS", b"GIF8", b"FLV")) or head[8:12] == b"AVI "
