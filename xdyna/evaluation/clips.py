"""Which clips to score, and how they are read: folders or a CSV to pairs of equal shape."""

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import PIL.Image

from xdyna.evaluation.backbones import digest
from xdyna.evaluation.dynamics import Dynamics, measure_dynamics
from xdyna.evaluation.faces import Faces, find_faces
from xdyna.evaluation.masks import mask_from_frames, segment_person
from xdyna.schema import Frames, InputError, Mask
from xdyna.video import probe, read_video

VIDEOS = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".gif", ".webp", ".m4v")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
ROLES = ("generated", "truth", "driving", "reference", "generated_mask", "truth_mask")
MAX_FRAMES = 600
FPS_TOLERANCE = 0.01


class MismatchError(InputError):
    """Two clips of a pair differ in length, size or rate, and no policy says what to do."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One generated clip and what it is compared with.

    Attributes:
        method: who made it.
        name: file name without ending.
        files: by role.
    """

    method: str
    name: str
    files: Mapping[str, Path]


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A clip that is not in the table, and why."""

    method: str
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How pairs are brought to one shape. Without a policy a difference is an error.

    Attributes:
        num_frames: frames to use at most; None for all (up to 600).
        min_frames: a shorter clip is skipped.
        fps: "native", "lowest" of the pair, or frames per second for all.
        length: "error", or "shortest" to cut the longer clip.
        size: "error", "truth" to stretch the generated clip, or `(height, width)` for both.
    """

    num_frames: int | None = None
    min_frames: int = 3
    fps: str | float = "native"
    length: str = "error"
    size: str | tuple[int, int] = "error"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A generated clip beside its counterpart: same length and size. What is seen in them is found when asked for.

    Attributes:
        case: where they come from.
        generated: `(n, h, w, 3)` uint8 RGB.
        other: the true or driving clip, likewise.
        fps: frames per second of both.
        reference: the photo as `(1, any, any, 3)`, or None.
        fingerprints: of the file behind `generated` and `other`, and of how it was read.
    """

    case: Case
    generated: Frames
    other: Frames
    fps: float
    reference: Frames | None
    fingerprints: tuple[str, str]
    given_masks: tuple[Mask | None, Mask | None] = field(repr=False)

    @cached_property
    def generated_mask(self) -> Mask:
        """`(n, h, w)`: the generated person."""
        given = self.given_masks[0]
        return segment_person(self.generated) if given is None else given

    @cached_property
    def other_mask(self) -> Mask:
        """`(n, h, w)`: the person in the true clip."""
        given = self.given_masks[1]
        return segment_person(self.other) if given is None else given

    @cached_property
    def generated_dynamics(self) -> Dynamics:
        """Motion of the generated clip."""
        return measure_dynamics(self.generated, self.generated_mask, fps=self.fps)

    @cached_property
    def other_dynamics(self) -> Dynamics:
        """Motion of the true clip."""
        return measure_dynamics(self.other, self.other_mask, fps=self.fps)

    @cached_property
    def generated_faces(self) -> Faces:
        """Faces of the generated clip."""
        return find_faces(self.generated)

    @cached_property
    def other_faces(self) -> Faces:
        """Faces of the true clip."""
        return find_faces(self.other)


def list_folders(methods: Mapping[str, Path], others: Mapping[str, Path]) -> tuple[list[Case], list[Skipped]]:
    """Pairs files of equal name.

    Args:
        methods: folder of generated clips by method.
        others: folder by role.

    Returns:
        Cases, and clips without counterpart.

    Raises:
        InputError: a folder does not exist, holds no clip, or holds two of one name.
    """
    listed = {role: _listed(path, images=role == "reference") for role, path in others.items()}
    cases: list[Case] = []
    skipped: list[Skipped] = []
    for method, folder in methods.items():
        generated = _listed(folder)
        for name in sorted(generated.keys() | listed.get("truth", listed.get("driving", {})).keys()):
            roles = {role: files.get(name) for role, files in {"generated": generated, **listed}.items()}
            missing = [role for role, path in roles.items() if path is None]
            if missing:
                reason = f"no {missing[0].replace('_', ' ')} file of this name"
                skipped.append(Skipped(method=method, name=name, reason=reason))
            else:
                cases.append(Case(method=method, name=name, files={r: p for r, p in roles.items() if p}))
    return cases, skipped


def list_table(path: Path) -> list[Case]:
    """Reads pairs from a CSV with a column `generated` and any of the other `ROLES`, `method` and `name`.

    Paths are relative to the CSV's folder.

    Raises:
        InputError: it cannot be read, has an unknown column, or a row without a generated clip.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The list {path} cannot be read ({error}). Give a CSV file in UTF-8.") from error
    known = {*ROLES, "method", "name"}
    header = set(rows[0]) if rows else set()
    if "generated" not in header or header - known:
        raise InputError(
            f"{path.name} has the columns {', '.join(sorted(map(str, header))) or 'none'}; needed is generated, and "
            f"allowed are {', '.join(sorted(known))}."
        )
    cases: list[Case] = []
    for line, row in enumerate(rows, start=2):
        files = {role: path.parent / row[role] for role in ROLES if row.get(role)}
        if "generated" not in files:
            raise InputError(f"Line {line} of {path.name} names no generated clip.")
        name, method = row.get("name") or files["generated"].stem, row.get("method") or "generated"
        if any((case.method, case.name) == (method, name) for case in cases):
            raise InputError(f"Line {line} of {path.name} is a second {name} of {method}. Add a column name.")
        cases.append(Case(method=method, name=name, files=files))
    return cases


def read_pair(case: Case, against: str, reading: Reading) -> Pair:
    """Reads a case as the policies say.

    Args:
        case: what to read.
        against: role of the counterpart, "truth" or "driving".
        reading: policies.

    Raises:
        MismatchError: the clips differ and no policy covers it.
        InputError: a file is missing, unreadable or too short.
    """
    if against not in case.files:
        raise InputError(f"no {against} clip is given")
    paths = [case.files["generated"], case.files[against]]
    rates = [probe(path).fps for path in paths]
    fps = _common_rate(case, rates, reading.fps)
    wanted = reading.num_frames or MAX_FRAMES
    clips = [read_video(path, fps=rate, num_frames=wanted).frames for path, rate in zip(paths, fps, strict=True)]
    clips = _equal_length(case, clips, reading)
    if len(clips[0]) < reading.min_frames:
        raise InputError(f"too short: {len(clips[0])} frames; {reading.min_frames} are needed")
    clips = _equal_size(case, clips, reading.size)
    size, count = clips[0].shape[1:3], len(clips[0])
    masks = tuple(_mask(case.files.get(role), fps[0], size, count) for role in ("generated_mask", "truth_mask"))
    how = f"{count} {fps[0]:.6g} {size} "
    marks = [how + digest(path) + _mark(case.files.get(r)) for path, r in zip(paths, ROLES[-2:], strict=True)]
    reference = case.files.get("reference")
    return Pair(
        case=case,
        generated=clips[0],
        other=clips[1],
        fps=fps[0],
        reference=None if reference is None else _still(reference),
        fingerprints=(_short(marks[0]), _short(marks[1])),
        given_masks=(masks[0], masks[1]),
    )


def _common_rate(case: Case, rates: list[float], policy: str | float) -> list[float]:
    if isinstance(policy, float):
        return [policy, policy]
    if policy == "lowest":
        return [min(rates)] * 2
    if abs(rates[0] - rates[1]) > FPS_TOLERANCE * max(rates):
        raise MismatchError(
            f"{case.name} ({case.method}) has {rates[0]:g} frames per second, its counterpart {rates[1]:g}. "
            "Make them equal, or add --fps lowest (or a number) to resample both."
        )
    return rates


def _equal_length(case: Case, clips: list[Frames], reading: Reading) -> list[Frames]:
    lengths = [len(clip) for clip in clips]
    if lengths[0] == lengths[1]:
        return clips
    if min(lengths) < reading.min_frames:
        raise InputError(f"too short: {min(lengths)} frames; {reading.min_frames} are needed")
    if reading.length != "shortest":
        raise MismatchError(
            f"{case.name} ({case.method}) has {lengths[0]} frames, its counterpart {lengths[1]}. Make them equal, add "
            "--length shortest to cut the longer one, or --frames to use only the first frames of both."
        )
    return [clip[: min(lengths)] for clip in clips]


def _equal_size(case: Case, clips: list[Frames], policy: str | tuple[int, int]) -> list[Frames]:
    sizes = [clip.shape[1:3] for clip in clips]
    if isinstance(policy, tuple):
        return [_stretched(clip, policy) for clip in clips]
    if sizes[0] == sizes[1]:
        return clips
    if policy != "truth":
        raise MismatchError(
            f"{case.name} ({case.method}) is {sizes[0][1]} x {sizes[0][0]}, its counterpart {sizes[1][1]} x "
            f"{sizes[1][0]}. Make them equal, or add --size truth (or WIDTHxHEIGHT) to stretch."
        )
    return [_stretched(clips[0], sizes[1]), clips[1]]


def _stretched(clip: Frames, size: tuple[int, ...]) -> Frames:
    """Bilinear, as DisCo's evaluation does."""
    if clip.shape[1:3] == tuple(size):
        return clip
    return np.stack([cv2.resize(frame, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) for frame in clip])


def _mask(path: Path | None, fps: float, size: tuple[int, ...], count: int) -> Mask | None:
    if path is None:
        return None
    return mask_from_frames(read_video(path, fps=fps, num_frames=count).frames, (size[0], size[1]), count, path)


def _still(path: Path) -> Frames:
    if path.suffix.lower() in VIDEOS and path.suffix.lower() not in IMAGES:
        return read_video(path, fps=probe(path).fps, num_frames=2).frames[:1]
    try:
        with PIL.Image.open(path) as image:
            return np.asarray(image.convert("RGB"))[None]
    except (OSError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise InputError(f"the reference {path.name} is not a readable picture") from error


def _mark(path: Path | None) -> str:
    return "segmented" if path is None else digest(path)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _listed(folder: Path, *, images: bool = False) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Check the name.")
    endings = (*VIDEOS, *IMAGES) if images else VIDEOS
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in endings or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in files:
            raise InputError(f"{folder} holds {files[path.stem].name} and {path.name}; keep one file per name.")
        files[path.stem] = path
    if not files:
        raise InputError(f"{folder} holds no clip ({', '.join(endings)}).")
    return files
