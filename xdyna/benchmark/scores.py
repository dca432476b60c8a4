"""The scores of one generated clip against its truth."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.evaluation.metrics import (
    change_correlation,
    filled_outside,
    frame_retrieval,
    mean_absolute_error,
    psnr,
    ssim,
    temporal_change,
)
from xdyna.evaluation.spectrum import motion_spectrum
from xdyna.preprocess.face import face_box
from xdyna.schema import Floats, Frames, Mask
from xdyna.world import WorldClip

TORSO = [2, 5, 11, 8]  # shoulders and hips in the order of `Pose.body`
FACE_PX = 32
REGIONS = ("whole", "foreground", "background")
PLACE, CHANGE, COLOUR = "place of change", "background change / true", "colour error"
POSE, EXPRESSION, FACE_CORRELATION = "pose retrieval", "expression retrieval", "face correlation"


@dataclass(frozen=True)
class Column:
    """How a score reads: "higher" or "lower" is better, or it should be 1 ("one")."""

    better: str
    person: bool = False


COLUMNS = {
    "L1": Column("lower"),
    "PSNR": Column("higher"),
    "SSIM": Column("higher"),
    "background L1": Column("lower", person=True),
    "background PSNR": Column("higher", person=True),
    "background SSIM": Column("higher", person=True),
    CHANGE: Column("one"),
    PLACE: Column("higher"),
    "person L1": Column("lower", person=True),
    "person PSNR": Column("higher", person=True),
    "person SSIM": Column("higher", person=True),
    "face L1": Column("lower", person=True),
    "face PSNR": Column("higher", person=True),
    "face SSIM": Column("higher", person=True),
    FACE_CORRELATION: Column("higher", person=True),
    POSE: Column("higher", person=True),
    EXPRESSION: Column("higher", person=True),
    COLOUR: Column("lower", person=True),
}
"""The columns of means over clips; those with `person` only where somebody is."""


def score_clip(frames: Frames, clip: WorldClip) -> dict[str, float]:
    """Scores of one clip by column; NaN where a region is empty.

    Args:
        frames: `(n, h, w, 3)` uint8 RGB.
        clip: the truth, `n + 1` frames of which the first is the photo.
    """
    truth, mask = clip.frames[1:], clip.person_mask[1:]
    regions: dict[str, Mask | None] = {"": None}
    if mask.any():
        regions |= {"background ": ~mask, "person ": mask, "face ": face_region(clip)}
    row: dict[str, float] = {}
    for name, region in regions.items():
        row[f"{name}L1"] = mean_absolute_error(frames, truth, region)
        row[f"{name}PSNR"] = psnr(frames, truth, region)
        row[f"{name}SSIM"] = ssim(frames, truth, region)
    row[CHANGE] = temporal_change(frames, ~mask) / temporal_change(truth, ~mask)
    row[PLACE] = change_correlation(frames, truth, ~mask.any(axis=0))
    if mask.any():
        made, true, inside = face_crops(frames, clip)
        row[FACE_CORRELATION] = picture_correlation(made, true, inside)
        row[EXPRESSION] = frame_retrieval(made, true, inside)
        row[POSE] = frame_retrieval(frames, truth, mask.any(axis=0))
        row[COLOUR] = clothes_error(frames, clip)
    return row


def cut_clips(frames: Frames, clip: WorldClip) -> dict[str, Frames]:
    """The clip as the texture network is to see it: whole, and with person or background black, by the true mask."""
    mask = clip.person_mask[1:]
    whole = np.ascontiguousarray(frames)
    if not mask.any():
        return {"whole": whole}
    return {"whole": whole, "foreground": filled_outside(frames, mask), "background": filled_outside(frames, ~mask)}


def background_spectrum(frames: Frames, clip: WorldClip) -> NDArray[np.float64]:
    """Motion spectrum of the pixels that the person never covers."""
    return motion_spectrum(frames, ~clip.person_mask[1:].any(axis=0))


def face_region(clip: WorldClip) -> Mask:
    """`(n, h, w)` bool: the box around the 68 true points, without the photo's frame."""
    region = np.zeros(clip.person_mask[1:].shape, bool)
    for inside, box in zip(region, clip.face_boxes[1:], strict=True):
        left, top, right, bottom = (max(0, round(float(edge))) for edge in box)
        inside[top : bottom + 1, left : right + 1] = True
    return region


def face_crops(frames: Frames, clip: WorldClip) -> tuple[Frames, Frames, Mask]:
    """Faces of all frames, generated and true, cut along the true face boxes and brought to one size.

    Returns:
        Two `(n, 32, 32, 3)` uint8 clips and the `(32, 32)` pixels that show the face without hair and background.
    """
    crops: list[list[Frames]] = [[], []]
    for k, landmarks in enumerate(clip.face_landmarks[1:]):
        left, top, right, bottom = face_box(landmarks, (frames.shape[1], frames.shape[2])) or (0, 0, 8, 8)
        for pile, source in zip(crops, (frames, clip.frames[1:]), strict=True):
            face = cv2.resize(source[k, top:bottom, left:right], (FACE_PX, FACE_PX), interpolation=cv2.INTER_AREA)
            pile.append(face.astype(np.uint8))
    region = np.zeros((FACE_PX, FACE_PX), bool)
    region[8:26, 8:24] = True
    return np.stack(crops[0]), np.stack(crops[1]), region


def picture_correlation(generated: Frames, truth: Frames, region: Mask) -> float:
    """Cosine of the pixels' deviations from each frame's mean, mean over frames; 0 for a flat picture.

    Stands in for Face-Cos, which needs a network that knows people.

    Args:
        generated: `(n, h, w, 3)` uint8.
        truth: the same shape.
        region: `(h, w)`, the pixels that count.
    """
    found = []
    for a, b in zip(generated, truth, strict=True):
        made, true = (frame[region].astype(np.float64) for frame in (a, b))
        made, true = made - made.mean(axis=0), true - true.mean(axis=0)
        lengths = float(np.linalg.norm(made) * np.linalg.norm(true))
        found.append(float((made * true).sum()) / lengths if lengths else 0.0)
    return float(np.mean(found))


def clothes_error(frames: Frames, clip: WorldClip) -> float:
    """Mean distance, per channel in 0..255, of the torso's mean colour from the truth; NaN where no torso shows."""
    errors = []
    for frame, truth, body in zip(frames, clip.frames[1:], clip.pose.body[1:], strict=True):
        corners: Floats = body[TORSO]
        if not np.isfinite(corners).all():
            continue
        region = np.zeros(frame.shape[:2], np.uint8)
        cv2.fillConvexPoly(region, cv2.convexHull(corners.astype(np.int32)), (1,))
        if region.any():
            errors.append(np.abs(frame[region > 0].mean(axis=0) - truth[region > 0].mean(axis=0)).mean())
    return float(np.mean(errors)) if errors else float("nan")
