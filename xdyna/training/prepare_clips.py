"""The user's own clips, looked at once: cut, cropped around the person, with pose and face, into a cache of shards."""

import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice, pairwise
from math import ceil
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from xdyna.preprocess.align import Matrix, crop_matrix, driving_crop_box
from xdyna.preprocess.face import Box
from xdyna.preprocess.find import find_motion
from xdyna.preprocess.pose import person_found
from xdyna.preprocess.shots import CutDetector
from xdyna.schema import Floats, Frames, InputError
from xdyna.training.shards import CacheSettings, ClipEntry, ShardWriter, StoredTake
from xdyna.video import FrameReader, ReadLimits, read_frames, resize_frames

logger = logging.getLogger(__name__)

Found = TypeVar("Found")

SUFFIXES = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".gif", ".webp")
TAKE_FRAMES = 64  # a take is no longer, and no more is held in memory
MIN_PERSON_SHARE = 0.75  # of a take's frames
READ_SIDE_RANGE_PX = (896, 1920)
LIMITS = ReadLimits(max_duration_s=24 * 3600, max_frames=10**7, max_read_s=24 * 3600)
# Around the box of all joints, in its longer sides: hair, fingers and feet reach beyond the last joints.
MARGIN, MARGIN_TOP = 0.1, 0.2


def prepare_clips(
    human: Path | None, scenes: Path | None, output: Path, settings: CacheSettings
) -> Iterator[ClipEntry]:
    """Prepares two folders of clips for training; subfolders count.

    Constant memory. Killed at any point, it goes on where it was when called again: clips that are in the cache and
    have not changed since are not looked at again.

    Args:
        human: folder of clips of one person each, or None.
        scenes: folder of clips without people (harmonic data fusion, paper section 3.4), or None.
        output: folder of the cache.
        settings: size, rate and shortest length.

    Yields:
        One entry for each clip as it is finished, those from earlier calls first. `problem` says what was left out.

    Raises:
        InputError: no clips found, none of them usable, the cache has other settings, or the disk is full.
    """
    sources = {f"human/{name}": path for name, path in _find(human).items()}
    sources |= {f"scene/{name}": path for name, path in _find(scenes).items()}
    if not sources:
        where = " or ".join(str(folder) for folder in (human, scenes) if folder)
        raise InputError(
            f"No clips found in {where or 'any folder'}. Accepted: {', '.join(SUFFIXES)}, in subfolders too."
        )
    num_takes, problem = 0, ""
    with ShardWriter(output, settings) as writer:
        for gone in set(writer.finished) - set(sources):
            writer.finish_clip(replace(writer.finished[gone], takes=(), problem="The file is gone."))
        done = {name for name, path in sources.items() if _is_done(writer, name, path)}
        for name in sorted(sources, key=lambda name: (name not in done, name)):
            entry = writer.finished[name] if name in done else _prepare_clip(writer, name, sources[name], settings)
            if name not in done:
                writer.finish_clip(entry)
            num_takes, problem = num_takes + len(entry.takes), problem or f"{name}: {entry.problem}"
            yield entry
    if not num_takes:
        raise InputError(f"None of the {len(sources)} clips can be used. The first one, {problem}")


def _find(folder: Path | None) -> dict[str, Path]:
    if folder is None:
        return {}
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in paths if not path.name.startswith(".")}


def _is_done(writer: ShardWriter, name: str, path: Path) -> bool:
    return name in writer.finished and writer.finished[name].stamp == _stamp(path)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _prepare_clip(writer: ShardWriter, name: str, path: Path, settings: CacheSettings) -> ClipEntry:
    stamp, takes, problem = _stamp(path), [], ""
    low, high = READ_SIDE_RANGE_PX
    limits = replace(LIMITS, max_read_side_px=min(max(low, 2 * max(settings.height, settings.width)), high))
    find_takes = human_takes if name.startswith("human/") else scene_takes
    try:
        reader = read_frames(path, fps=settings.fps, num_frames=limits.max_frames, limits=limits)
        takes = [writer.add_take(take) for take in find_takes(reader, settings)]
        if not takes:
            shortest = f"{settings.min_frames} frames at {settings.fps:g} frames per second"
            problem = f"No part without a cut has {shortest} or more" + (
                " that show a person." if find_takes is human_takes else "."
            )
    except InputError as error:
        takes, problem = [], str(error)
    logger.info("%s: %d takes. %s", name, len(takes), problem)
    return ClipEntry(path=name, stamp=stamp, takes=tuple(takes), problem=problem)


def scene_takes(reader: FrameReader, settings: CacheSettings) -> Iterator[StoredTake]:
    """The parts of a clip without people, cropped to the middle.

    Raises:
        InputError: the clip is damaged.
    """
    detector, num_frames = CutDetector(reader.fps), 0
    for picture in reader:
        detector.add(picture)
        num_frames += 1
    detector.finish()
    size = settings.height, settings.width
    box = driving_crop_box(reader.size, size)
    spans = [span for span in _spans(num_frames, detector.cuts) if span[1] - span[0] >= settings.min_frames]
    for frames in _crops(reader, spans, [box] * len(spans), size):
        yield StoredTake(frames=frames)


def human_takes(reader: FrameReader, settings: CacheSettings) -> Iterator[StoredTake]:
    """The parts of a clip that show its main person, with pose and face, cropped to the whole body.

    Raises:
        InputError: the clip is damaged, or shows nobody.
    """
    motion = _result(find_motion(reader))
    visible, size = person_found(motion.pose), (settings.height, settings.width)
    spans = [
        (begin, end)
        for begin, end in _spans(len(motion), motion.cuts)
        if end - begin >= settings.min_frames and visible[begin:end].mean() >= MIN_PERSON_SHARE
    ]
    boxes = [body_box(motion.pose.body[begin:end], reader.size, size) for begin, end in spans]
    with closing(_crops(reader, spans, boxes, size)) as crops:
        for (begin, end), box, frames in zip(spans, boxes, crops, strict=True):
            to_canvas = crop_matrix(box, size)
            yield StoredTake(
                frames=frames,
                pose=motion.pose[begin:end].transformed(to_canvas),
                face_landmarks=_mapped(motion.face_landmarks[begin:end], to_canvas),
            )


def _spans(num_frames: int, cuts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First frame and end of parts without a cut, long ones divided evenly."""
    for begin, end in pairwise([0, *cuts, num_frames]):
        parts = max(1, ceil((end - begin) / TAKE_FRAMES))
        yield from pairwise(np.linspace(begin, end, parts + 1).round().astype(int).tolist())


def _crops(
    reader: FrameReader, spans: Sequence[tuple[int, int]], boxes: Sequence[Box], size: tuple[int, int]
) -> Generator[Frames, None, None]:
    """One span's pictures after another, each `(n, *size, 3)` uint8 RGB."""
    with closing(iter(reader)) as pictures:
        position = 0
        for (begin, end), (left, top, right, bottom) in zip(spans, boxes, strict=True):
            wanted = islice(pictures, begin - position, end - position)
            yield np.concatenate([resize_frames(picture[None, top:bottom, left:right], size) for picture in wanted])
            position = end


def _result(work: Generator[Any, None, Found]) -> Found:
    """Runs a job to its end, where nobody watches its progress."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            return done.value


def body_box(body: Floats, frame_size: tuple[int, int], size: tuple[int, int]) -> Box:
    """The part of a clip that shows the whole body all the time, where the frame is large enough.

    Args:
        body: `(n, 18, 2)` joints in pixels.
        frame_size: `(height, width)` of the frames.
        size: `(height, width)` of the canvas, which gives the shape; pictures are not magnified for it.

    Returns:
        Left, top, right, bottom in pixels; right and bottom are exclusive.
    """
    points = body[np.isfinite(body).all(axis=-1)]
    low, high = np.percentile(points, [1, 99], axis=0)
    longer = float((high - low).max())
    low, high = low - longer * np.array([MARGIN, MARGIN_TOP]), high + longer * MARGIN
    largest = min(frame_size[0] / size[0], frame_size[1] / size[1])
    scale = min(max((high[1] - low[1]) / size[0], (high[0] - low[0]) / size[1], 1.0), largest)
    kept = max(1, int(scale * size[1])), max(1, int(scale * size[0]))
    corner = [
        int(np.clip((low[axis] + high[axis] - kept[axis]) / 2, 0, frame_size[1 - axis] - kept[axis]))
        for axis in (0, 1)
    ]
    return corner[0], corner[1], corner[0] + kept[0], corner[1] + kept[1]


def _mapped(points: Floats, matrix: Matrix) -> Floats:
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
