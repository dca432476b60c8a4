"""Motion files: the driver's movement without any picture of the driver, to be used instead of a clip.

A motion file is a safetensors file: plain numbers that cannot run code and never unpack to more than the file. It
holds neither picture, sound nor file names.
"""

import json
import math
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from xdyna.schema import Floats, InputError, Motion, Person, Pose

SUFFIX = ".xdyna-motion"
VERSION = 1
MAX_BYTES = 32 * 2**20
MAX_FRAMES = 20_000
MAX_PEOPLE = 100
MAX_COORDINATE_PX = 1e5
SIZE_RANGE_PX = (16, 16384)
FPS_RANGE = (0.1, 240.0)
MAX_START_S = 24 * 3600.0
TIME_TOLERANCE = 1e-3  # of a frame

POINTS = ("body", "hands", "face_landmarks", "boxes")
SCORES = ("body_scores", "hand_scores")


def is_motion_file(path: Path) -> bool:
    """Whether a file's name says that it is a motion file."""
    return path.suffix.lower() == SUFFIX


def save_motion(path: Path, motion: Motion) -> None:
    """Writes a motion file; it is complete or not there."""
    facts = {
        "version": VERSION,
        "frame_size": list(motion.frame_size),
        "picture": list(motion.picture),
        "fps": motion.fps,
        "start_s": motion.start_s,
        "people": [asdict(person) for person in motion.people],
        "person": motion.person,
        "cuts": list(motion.cuts),
        "camera_speed": motion.camera_speed,
    }
    tensors = {
        "body": motion.pose.body,
        "body_scores": motion.pose.body_scores,
        "hands": motion.pose.hands,
        "hand_scores": motion.pose.hand_scores,
        "face_landmarks": motion.face_landmarks,
        "boxes": motion.boxes,
    }
    contiguous = {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in tensors.items()}
    partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    try:
        partial.write_bytes(save(contiguous, metadata={"xdyna_motion": json.dumps(facts)}))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_motion(path: Path) -> Motion:
    """Reads what `save_motion` wrote, trusting nothing in it.

    Raises:
        InputError: the file is not a motion file, is damaged, holds impossible numbers, or a newer xdyna wrote it.
    """
    try:
        num_bytes = path.stat().st_size
        if num_bytes > MAX_BYTES:
            raise InputError(
                f"The motion file has {num_bytes / 2**20:.0f} MB; the limit is {MAX_BYTES // 2**20} MB. "
                "Prepare a shorter part of the clip."
            )
        with safe_open(path, framework="np") as content:
            facts = json.loads((content.metadata() or {})["xdyna_motion"])
            if facts["version"] != VERSION:
                raise InputError(
                    f"The motion file has version {facts['version']!r}; this xdyna reads version {VERSION}. "
                    "Update xdyna, or prepare the clip again."
                )
            tensors = {name: content.get_tensor(name) for name in (*POINTS, *SCORES)}
        return _checked(tensors, facts)
    except InputError:
        raise
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(
            f"This is not a motion file that can be read, or it is damaged. Accepted: {SUFFIX} files that "
            "`xdyna prepare` wrote. Prepare the clip again."
        ) from error


def excerpt(motion: Motion, *, fps: float, start_s: float, num_frames: int) -> Motion:
    """The part of a motion that is asked for, as if it were read from a clip.

    Frame k is what the motion shows at `start_s + k / fps`.

    Args:
        motion: of any length and rate.
        fps: frames per second to take.
        start_s: seconds from the beginning of the motion.
        num_frames: how many at most.

    Raises:
        InputError: the motion has fewer than 2 frames there.
    """
    times = start_s + np.arange(num_frames) / fps
    indices = np.floor(times * motion.fps + TIME_TOLERANCE).astype(int)
    indices = indices[indices < len(motion)]
    if len(indices) < 2:
        length = len(motion) / motion.fps
        raise InputError(
            f"The motion file has {length:.1f} s, which leaves {len(indices)} frames from {start_s:.1f} s on; 2 are "
            "needed. Start earlier."
        )
    places = {int(old): new for new, old in reversed(list(enumerate(indices)))}
    pose = motion.pose
    return replace(
        motion,
        pose=Pose(
            body=pose.body[indices],
            body_scores=pose.body_scores[indices],
            hands=pose.hands[indices],
            hand_scores=pose.hand_scores[indices],
        ),
        face_landmarks=motion.face_landmarks[indices],
        boxes=motion.boxes[indices],
        fps=fps,
        start_s=motion.start_s + start_s,
        cuts=tuple(k for k in (_first_at(indices, cut) for cut in motion.cuts) if k),
        people=tuple(replace(person, frame=places.get(person.frame, 0)) for person in motion.people),
    )


def _first_at(indices: NDArray[np.int_], cut: int) -> int | None:
    """The first of rising frame indices that shows the shot beginning at `cut`; None where none does."""
    place = int(np.searchsorted(indices, cut))
    return place if place < len(indices) else None


def _checked(tensors: dict[str, Any], facts: dict[str, Any]) -> Motion:
    """Builds a motion from what was read. Raises ValueError, TypeError or KeyError for anything impossible."""
    num_frames = len(tensors["body"])
    _require(2 <= num_frames <= MAX_FRAMES, "number of frames")
    for name, tensor in tensors.items():
        _require(tensor.dtype == np.float32 and len(tensor) == num_frames, name)
        if name in SCORES:
            _require(bool(((tensor >= 0) & (tensor <= 1)).all()), name)
        else:  # a missing point is NaN in all its numbers
            known = np.isfinite(tensor).all(axis=-1)
            _require(bool((known | np.isnan(tensor).all(axis=-1)).all()), name)
            _require(bool((np.abs(tensor[known]) <= MAX_COORDINATE_PX).all()), name)
    height, width = (_whole(side, *SIZE_RANGE_PX) for side in facts["frame_size"])
    left, top, right, bottom = (_whole(edge, 0, max(height, width)) for edge in facts["picture"])
    _require(left < right <= width and top < bottom <= height, "picture")
    people = tuple(_person(entry, num_frames) for entry in facts["people"][:MAX_PEOPLE])
    person = facts["person"]
    _require(person is None or person in [known.id for known in people], "person")
    return Motion(
        pose=Pose(
            body=tensors["body"],
            body_scores=_scores_of(tensors["body"], tensors["body_scores"]),
            hands=tensors["hands"],
            hand_scores=_scores_of(tensors["hands"], tensors["hand_scores"]),
        ),
        face_landmarks=_whole_faces(tensors["face_landmarks"]),
        boxes=tensors["boxes"],
        frame_size=(height, width),
        picture=(left, top, right, bottom),
        fps=_number(facts["fps"], *FPS_RANGE),
        start_s=_number(facts["start_s"], 0.0, MAX_START_S),
        people=people,
        person=person,
        cuts=tuple(sorted({_whole(cut, 1, num_frames - 1) for cut in facts["cuts"]})),
        camera_speed=_number(facts["camera_speed"], 0.0, math.inf),
        has_pictures=False,
    )


def _person(entry: dict[str, Any], num_frames: int) -> Person:
    left, top, right, bottom = (_number(edge, -MAX_COORDINATE_PX, MAX_COORDINATE_PX) for edge in entry["box"])
    return Person(
        id=_whole(entry["id"], 1, MAX_PEOPLE),
        box=(left, top, right, bottom),
        score=_number(entry["score"], 0.0, 1.0),
        frame=_whole(entry["frame"], 0, num_frames - 1),
    )


def _scores_of(points: Floats, scores: Floats) -> Floats:
    _require(scores.shape == points.shape[:-1], "scores")
    return np.where(np.isfinite(points[..., 0]), scores, 0).astype(np.float32)


def _whole_faces(landmarks: Floats) -> Floats:
    """A face is there with all its points or not at all."""
    known = np.isfinite(landmarks).all(axis=(1, 2), keepdims=True)
    return np.where(known, landmarks, np.nan).astype(np.float32)


def _whole(value: Any, low: int, high: int) -> int:
    _require(type(value) is int and low <= value <= high, "whole number")
    return value


def _number(value: Any, low: float, high: float) -> float:
    _require(type(value) in (int, float) and math.isfinite(value) and low <= value <= high, "number")
    return float(value)


def _require(fulfilled: bool, name: str) -> None:
    if not fulfilled:
        raise ValueError(f"impossible {name} in a motion file")
