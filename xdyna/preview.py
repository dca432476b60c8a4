"""Pictures that show a person what the model will see."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from xdyna.photo import crop_to_aspect
from xdyna.preprocess.controls import draw_controls
from xdyna.preprocess.draw import draw_pose
from xdyna.preprocess.face import face_box
from xdyna.preprocess.motion_file import SUFFIX, save_motion
from xdyna.preprocess.pose import person_found
from xdyna.schema import Conditions, Frames, Image, Mask, Pose, Video
from xdyna.video import write_video

SHOWN_HEIGHT_PX = 672
TILE_PX = 112
STRIP_TILES = 8
FACE_PATCHES = ("face_global", "face_local")
BACKGROUND, MISSING = 24, 60


def pose_over_photo(conditions: Conditions, frame: int, opacity: float = 0.85) -> Image:
    """The cropped photo with the aligned skeleton of one driving frame drawn over it.

    Args:
        conditions: from `prepare`.
        frame: driving frame, 0..num_frames - 1.
        opacity: of the skeleton, 0..1.

    Returns:
        `(about 672, in proportion, 3)` uint8 RGB; larger than a small model's canvas, so that it can be judged.
    """
    zoom = max(1, round(SHOWN_HEIGHT_PX / conditions.size[0]))
    size = conditions.size[0] * zoom, conditions.size[1] * zoom
    photo = crop_to_aspect(conditions.reference_image, size, conditions.photo_box)
    drawn = draw_pose(_scaled(conditions.pose[frame : frame + 1], zoom), size)[0]
    covered = drawn.any(axis=-1, keepdims=True) * opacity
    return (photo * (1 - covered) + drawn * covered).round().astype(np.uint8)


def sight_clip(conditions: Conditions, seen: Mapping[str, Frames], driven_by: NDArray[np.int64]) -> Video:
    """The aligned driving frames and, at their right, the pose drawn for them; or the clip that is seen instead.

    Args:
        conditions: from `prepare`.
        seen: what a model sees, from `Backend.prepare`.
        driven_by: `(num_frames,)` from `Backend.driven_by`.
    """
    pose = seen.get("pose")
    frames = seen["clip"] if pose is None else np.concatenate([conditions.driving_frames[driven_by], pose], axis=2)
    zoom = max(1, round(SHOWN_HEIGHT_PX / 2 / conditions.size[0]))
    frames = frames.repeat(zoom, axis=1).repeat(zoom, axis=2)
    return Video(frames=frames, fps=conditions.fps)


def sight_strip(conditions: Conditions, seen: Mapping[str, Frames], driven_by: NDArray[np.int64]) -> Image | None:
    """Up to eight moments of what a model sees beside pose or clip, a row each in the order of their names.

    Of X-Dyna these are the head and, below, eyes and mouth. Faces are hatched where none was found.

    Args:
        conditions: from `prepare`.
        seen: what a model sees, from `Backend.prepare`.
        driven_by: `(num_frames,)` from `Backend.driven_by`.

    Returns:
        `(rows * 112, tiles * 112, 3)` uint8 RGB; None where there is nothing else.
    """
    names = sorted(set(seen) - {"pose", "clip"})
    if not names:
        return None
    moments = np.linspace(0, len(driven_by) - 1, min(STRIP_TILES, len(driven_by))).round().astype(int)
    rows = [[_sight_tile(conditions, name, seen[name][k], int(driven_by[k])) for k in moments] for name in names]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def write_previews(
    conditions: Conditions,
    folder: Path,
    seen: Mapping[str, Frames] | None = None,
    driven_by: NDArray[np.int64] | None = None,
) -> list[Path]:
    """Writes what was found, and what a model sees of it.

    Args:
        conditions: from `prepare`.
        folder: to write into.
        seen: clips by name, from `Backend.prepare`, each of which is written too; by default what X-Dyna sees.
        driven_by: `(num_frames,)` from `Backend.driven_by`; by default they are in step with the driving frames.

    Returns:
        The files: `overlay.png`, those of `write_sight` and of `write_found`, and `sees-NAME.mp4` of each in `seen`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "overlay.png"]
    PILImage.fromarray(pose_over_photo(conditions, 0)).save(files[0])
    driven_by = np.arange(conditions.num_frames) if driven_by is None else driven_by
    files += write_sight(conditions, folder, seen or vars(draw_controls(conditions)), driven_by)
    files += write_found(conditions, folder)
    for name, frames in (seen or {}).items():
        files.append(folder / f"sees-{name.replace('_', '-')}.mp4")
        write_video(files[-1], Video(frames=frames, fps=conditions.fps))
    return files


def write_found(conditions: Conditions, folder: Path) -> list[Path]:
    """Writes what was found.

    Returns:
        `report.json` and, where the clip's motion is known, `motion.xdyna-motion`, which can be used instead of the
        clip.
    """
    files = [folder / "report.json"]
    files[0].write_text(json.dumps(report(conditions), indent=2) + "\n", encoding="utf-8")
    if conditions.motion:
        files.append(folder / f"motion{SUFFIX}")
        save_motion(files[1], conditions.motion)
    return files


def write_sight(
    conditions: Conditions, folder: Path, seen: Mapping[str, Frames], driven_by: NDArray[np.int64]
) -> list[Path]:
    """Writes what a model sees; arguments as for `sight_clip`.

    Returns:
        `pose.mp4`, and `face.png` where `sight_strip` has something to show.
    """
    files, strip = [folder / "pose.mp4"], sight_strip(conditions, seen, driven_by)
    write_video(files[0], sight_clip(conditions, seen, driven_by))
    if strip is not None:
        files.append(folder / "face.png")
        PILImage.fromarray(strip).save(files[1])
    return files


def report(conditions: Conditions) -> dict[str, object]:
    """What was found, as plain values.

    Shares are of the frames, 0..1. The face's reasons and everything else for the user are under "checks"; frames are
    counted from 0.
    """
    pose, motion, total = conditions.pose, conditions.motion, conditions.num_frames
    return {
        "num_frames": conditions.num_frames,
        "fps": conditions.fps,
        "height": conditions.size[0],
        "width": conditions.size[1],
        "people": {
            "photo": [asdict(person) for person in conditions.photo_people],
            "photo_person": conditions.photo_person,
            "clip": [asdict(person) for person in motion.people] if motion else [],
            "clip_person": motion.person if motion else None,
        },
        "found": {
            "body": _share(person_found(pose), total),
            "right_hand": _share(np.isfinite(pose.hands[:, 0, 0, 0]), total),
            "left_hand": _share(np.isfinite(pose.hands[:, 1, 0, 0]), total),
            "face": _share(np.isfinite(conditions.face_landmarks[:, 0, 0]), total),
        },
        "frames_without_face": conditions.frames_without_face.tolist(),
        "frames_without_body": np.flatnonzero(~person_found(pose)).tolist(),
        "alignment": conditions.alignment.tolist(),
        "best_start_s": conditions.best_start_s,
        "seconds": {stage: round(spent, 3) for stage, spent in conditions.seconds.items()},
        "checks": [asdict(check) for check in conditions.checks],
    }


def _share(frames: Mask, total: int) -> float:
    return round(float(frames.sum()) / total, 4)


def _scaled(pose: Pose, zoom: float) -> Pose:
    return pose.transformed(np.array([[zoom, 0, 0], [0, zoom, 0]]))


def _sight_tile(conditions: Conditions, name: str, picture: Image, frame: int) -> Image:
    """A picture that a model sees; of the patches of a face, which lie in a black canvas, the patch."""
    if name.startswith("face") and not picture.any():
        return _hatched()
    box = face_box(conditions.face_landmarks[frame], conditions.size) if name in FACE_PATCHES else None
    return _tile(picture if box is None else picture[box[1] : box[3], box[0] : box[2]])


def _tile(picture: Image) -> Image:
    """A picture fitted into a square tile."""
    zoom = TILE_PX / max(picture.shape[:2])
    size = max(1, round(picture.shape[1] * zoom)), max(1, round(picture.shape[0] * zoom))
    fitted = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR if zoom > 1 else cv2.INTER_AREA)
    tile = np.full((TILE_PX, TILE_PX, 3), BACKGROUND, np.uint8)
    top, left = (TILE_PX - size[1]) // 2, (TILE_PX - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = fitted
    return tile


def _hatched() -> Image:
    rows, columns = np.indices((TILE_PX, TILE_PX))
    stripes = ((rows + columns) // 8 % 2 * (MISSING - BACKGROUND) + BACKGROUND).astype(np.uint8)
    return stripes[..., None].repeat(3, axis=-1)
