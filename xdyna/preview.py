"""Pictures that show a person what the model will see."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PILImage

from xdyna.photo import crop_to_aspect
from xdyna.preprocess.controls import draw_controls
from xdyna.preprocess.draw import draw_pose
from xdyna.preprocess.face import face_box
from xdyna.preprocess.motion_file import SUFFIX, save_motion
from xdyna.preprocess.pose import person_found
from xdyna.schema import Conditions, Controls, Frames, Image, Mask, Pose, Video
from xdyna.video import write_video

SHOWN_HEIGHT_PX = 672
TILE_PX = 112
STRIP_TILES = 8
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


def pose_beside_clip(conditions: Conditions, pose: Frames) -> Video:
    """The aligned driving frames and, at their right, the pose drawn for them."""
    frames = np.concatenate([conditions.driving_frames, pose], axis=2)
    zoom = max(1, round(SHOWN_HEIGHT_PX / 2 / conditions.size[0]))
    frames = frames.repeat(zoom, axis=1).repeat(zoom, axis=2)
    return Video(frames=frames, fps=conditions.fps)


def face_strip(conditions: Conditions, controls: Controls) -> Image:
    """Up to eight moments: the head patch above, the eyes-and-mouth patch below, hatched where no face was found.

    Returns:
        `(2 * 112, tiles * 112, 3)` uint8 RGB.
    """
    moments = np.linspace(0, conditions.num_frames - 1, min(STRIP_TILES, conditions.num_frames)).round().astype(int)
    columns = []
    for k in moments:
        box = face_box(conditions.face_landmarks[k], conditions.size)
        if box is None:
            columns.append(np.concatenate([_hatched()] * 2))
            continue
        tiles = [
            _tile(patches[k, box[1] : box[3], box[0] : box[2]])
            for patches in (controls.face_global, controls.face_local)
        ]
        columns.append(np.concatenate(tiles))
    return np.concatenate(columns, axis=1)


def write_previews(conditions: Conditions, folder: Path, seen: Mapping[str, Frames] | None = None) -> list[Path]:
    """Writes overlay, pose clip, face strip and a report.

    Args:
        conditions: from `prepare`.
        folder: to write into.
        seen: clips by name that a certain model sees, from `Backend.prepare`; each is written too.

    Returns:
        The files: `overlay.png`, `pose.mp4`, `face.png`, `report.json` and, where the clip's motion is known,
        `motion.xdyna-motion`, which can be used instead of the clip.
    """
    folder.mkdir(parents=True, exist_ok=True)
    controls = draw_controls(conditions)
    PILImage.fromarray(pose_over_photo(conditions, 0)).save(folder / "overlay.png")
    PILImage.fromarray(face_strip(conditions, controls)).save(folder / "face.png")
    write_video(folder / "pose.mp4", pose_beside_clip(conditions, controls.pose))
    (folder / "report.json").write_text(json.dumps(report(conditions), indent=2) + "\n", encoding="utf-8")
    names = ["overlay.png", "pose.mp4", "face.png", "report.json"]
    for name, frames in (seen or {}).items():
        names.append(f"sees-{name.replace('_', '-')}.mp4")
        write_video(folder / names[-1], Video(frames=frames, fps=conditions.fps))
    if conditions.motion:
        names.append(f"motion{SUFFIX}")
        save_motion(folder / names[-1], conditions.motion)
    return [folder / name for name in names]


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
