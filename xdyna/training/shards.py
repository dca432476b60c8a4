"""The cache of prepared clips on disk: shards of pictures and keypoints, and an index that only grows.

A folder holds `shard-00000.safetensors`, ... and `index.jsonl`. A shard is written whole and then renamed, and only
then do the lines of its clips follow in the index, so what the index names is there, whenever the writer was killed.
"""

import errno
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from xdyna.schema import Floats, Frames, InputError, Pose

VERSION = 1
INDEX = "index.jsonl"
SHARD_BYTES = 64 * 2**20
SAVE_EVERY_S = 120.0  # a shard is closed at this age even if it is small: that much work a kill can cost
# Full colour resolution: half of it would halve the lips of a small face.
JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
POSE_PARTS = ("body", "body_scores", "hands", "hand_scores")


@dataclass(frozen=True, kw_only=True)
class CacheSettings:
    """How the clips of a cache were prepared.

    Attributes:
        height: of the pictures in pixels.
        width: likewise.
        fps: frames per second.
        min_frames: shorter parts of clips were left out.

    Raises:
        InputError: a value is outside its range.
    """

    height: int
    width: int
    fps: float
    min_frames: int

    def __post_init__(self) -> None:
        for name, low, high in (("height", 40, 2048), ("width", 40, 2048), ("fps", 1, 60), ("min_frames", 2, 64)):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} must be between {low} and {high}, got {getattr(self, name):g}.")
        if self.height % 8 or self.width % 8:
            raise InputError(f"height and width must be multiples of 8, got {self.height} and {self.width}.")


@dataclass(frozen=True, kw_only=True)
class TakeEntry:
    """Where one take is.

    Attributes:
        shard: file name.
        key: prefix of its tensors there.
        num_frames: its length.
        num_faces: frames that show a face.
    """

    shard: str
    key: str
    num_frames: int
    num_faces: int


@dataclass(frozen=True, kw_only=True)
class ClipEntry:
    """What became of one clip.

    Attributes:
        path: `human/` or `scene/` and the path in that folder.
        stamp: size in bytes and time of change in nanoseconds, to notice another file of the same name.
        takes: its usable parts, without cuts.
        problem: why the clip, or the rest of it, was left out; empty if all is well.
    """

    path: str
    stamp: tuple[int, int]
    takes: tuple[TakeEntry, ...]
    problem: str = ""

    @property
    def human(self) -> bool:
        """Whether it came from the folder of human clips."""
        return self.path.startswith("human/")


@dataclass(frozen=True, kw_only=True)
class StoredTake:
    """A take as it is stored.

    Attributes:
        frames: `(n, height, width, 3)` uint8 RGB.
        pose: in pixels of the frames; None for a scene.
        face_landmarks: `(n, 68, 2)` float32, NaN where there is no face; None for a scene.
    """

    frames: Frames
    pose: Pose | None = None
    face_landmarks: Floats | None = None


class ShardWriter:
    """Adds clips to a cache. Use it as a context manager; it keeps finished clips also when it is interrupted.

    Args:
        folder: of the cache; made if missing.
        settings: must be those of the clips that are there already.

    Raises:
        InputError: the folder holds a cache with other settings, or the disk is full.
    """

    def __init__(self, folder: Path, settings: CacheSettings) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.finished: dict[str, ClipEntry] = {}
        if (folder / INDEX).exists():
            found, self.finished = read_index(folder)
            os.truncate(folder / INDEX, (folder / INDEX).read_bytes().rfind(b"\n") + 1)  # a line that a kill cut off
            if found != settings:
                raise InputError(
                    f"{folder} holds clips prepared with {_words(found)}, not {_words(settings)}. "
                    "Use the same settings, or another folder."
                )
        else:
            header = {"version": VERSION, "settings": asdict(settings)}
            _write(folder / INDEX, (json.dumps(header) + "\n").encode())
        numbers = [int(path.stem.removeprefix("shard-")) for path in folder.glob("shard-*.safetensors")]
        self._number = max(numbers, default=-1) + 1
        self._tensors: dict[str, NDArray[Any]] = {}
        self._pending: list[ClipEntry] = []
        self._bytes, self._since = 0, time.monotonic()

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or not issubclass(kind, Exception):  # done, or stopped by the user
            self.flush()

    def add_take(self, take: StoredTake) -> TakeEntry:
        """Stores a take; the clip it belongs to counts only after `finish_clip`."""
        if self._bytes >= SHARD_BYTES:
            self.flush()
        key = f"{len(self._tensors):06d}"
        coded = [_jpeg(frame) for frame in take.frames]
        tensors: dict[str, NDArray[Any]] = {
            "jpeg": np.concatenate(coded),
            "ends": np.cumsum([len(code) for code in coded], dtype=np.int64),
        }
        num_faces = 0
        if take.pose is not None and take.face_landmarks is not None:
            tensors |= {name: getattr(take.pose, name) for name in POSE_PARTS}
            tensors["face_landmarks"] = take.face_landmarks
            num_faces = int(np.isfinite(take.face_landmarks[:, 0, 0]).sum())
        self._tensors |= {f"{key}.{name}": np.ascontiguousarray(value) for name, value in tensors.items()}
        self._bytes += sum(value.nbytes for value in tensors.values())
        return TakeEntry(shard=self._shard, key=key, num_frames=len(take.frames), num_faces=num_faces)

    def finish_clip(self, entry: ClipEntry) -> None:
        """Notes that all takes of a clip have been added."""
        self._pending.append(entry)
        if self._bytes >= SHARD_BYTES or time.monotonic() - self._since > SAVE_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Closes the shard and writes the lines of the finished clips."""
        if self._tensors:
            _write(self._folder / self._shard, save(self._tensors))
            self._tensors, self._bytes, self._number = {}, 0, self._number + 1
        if self._pending:
            lines = "".join(json.dumps(asdict(entry)) + "\n" for entry in self._pending)
            _append(self._folder / INDEX, lines.encode())
            self.finished |= {entry.path: entry for entry in self._pending}
            self._pending = []
        self._since = time.monotonic()

    @property
    def _shard(self) -> str:
        return f"shard-{self._number:05d}.safetensors"


def read_index(folder: Path) -> tuple[CacheSettings, dict[str, ClipEntry]]:
    """Reads what a cache holds.

    Returns:
        Its settings, and the latest entry of each clip by its path. A last line that was cut off by a kill is ignored.

    Raises:
        InputError: the folder is no cache of this version.
    """
    path = folder / INDEX
    try:
        header, *lines = path.read_bytes().splitlines(keepends=True)
        first = json.loads(header)
        if first["version"] != VERSION:
            raise InputError(f"{folder} was prepared by another version of xdyna. Prepare the clips again.")
        entries = [_entry(json.loads(line)) for line in lines if line.endswith(b"\n")]
        return CacheSettings(**first["settings"]), {entry.path: entry for entry in entries}
    except OSError as error:
        raise InputError(
            f"{folder} holds no prepared clips ({error.strerror}). Prepare them with `xdyna train-data`."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged. Delete the folder and prepare the clips again.") from error


def read_take(folder: Path, entry: TakeEntry, picked: Sequence[int] | NDArray[np.integer]) -> StoredTake:
    """Reads the picked frames of a take, and only these.

    Raises:
        InputError: the shard is missing or damaged.
    """
    try:
        with safe_open(folder / entry.shard, framework="np") as shard:
            ends = shard.get_tensor(f"{entry.key}.ends")
            starts, data = np.concatenate([[0], ends[:-1]]), shard.get_slice(f"{entry.key}.jpeg")
            frames = np.stack([_picture(data[int(starts[k]) : int(ends[k])]) for k in picked])
            if f"{entry.key}.body" not in shard.keys():  # noqa: SIM118 - a file, not a dict
                return StoredTake(frames=frames)
            parts = {name: shard.get_tensor(f"{entry.key}.{name}")[picked] for name in POSE_PARTS}
            landmarks = shard.get_tensor(f"{entry.key}.face_landmarks")[picked]
    except (OSError, SafetensorError, cv2.error) as error:
        raise InputError(f"{folder / entry.shard} is missing or damaged. Prepare the clips again.") from error
    return StoredTake(frames=frames, pose=Pose(**parts), face_landmarks=landmarks)


def _jpeg(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), JPEG)[1].ravel()


def _picture(code: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.cvtColor(cv2.imdecode(code, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB).astype(np.uint8)


def _entry(values: dict[str, Any]) -> ClipEntry:
    takes = tuple(TakeEntry(**take) for take in values["takes"])
    return ClipEntry(path=values["path"], stamp=tuple(values["stamp"]), takes=takes, problem=values["problem"])


def _words(settings: CacheSettings) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in asdict(settings).items())


def _write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise _no_room(error, path, len(data)) from error


def _append(path: Path, data: bytes) -> None:
    try:
        with open(path, "ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _no_room(error, path, len(data)) from error


def _no_room(error: OSError, path: Path, size: int) -> OSError | InputError:
    if error.errno not in NO_ROOM:
        return error
    return InputError(
        f"The disk is full: {size / 1e6:.1f} MB do not fit into {path.parent}. Free some space and run the same "
        "command again; finished clips are kept."
    )
