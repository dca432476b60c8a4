"""How much a video moves over time, and how like the photo its face stays. Indicative, not a published score."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from xdyna.evaluation.dynamics import Dynamics, measure_dynamics
from xdyna.schema import Floats, Frames, Image, InputError, Mask, Video

MIN_FRAMES = 3  # of `measure_dynamics`
WORK_SIDE_PX = 192
BLUR_PX = 1.0  # grain is not motion
MARGIN_SHARE = 0.03  # of the shorter side; soft edges of the person are not background


@dataclass(frozen=True, kw_only=True, eq=False)
class Measures:
    """Numbers of one video.

    Attributes:
        dynamics: of the whole video; None where it is too short to tell.
        background_energy: `(num_frames - 1,)` float32, from `motion_energy`.
        subject_energy: likewise.
        likeness: cosine of the face's embedding to the photo's, -1..1, mean over the frames; None where the network,
            the photo or a face is missing.
    """

    dynamics: Dynamics | None
    background_energy: Floats
    subject_energy: Floats
    likeness: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, None where there is none."""
        values: dict[str, Any] = {
            **(self.dynamics.to_dict() if self.dynamics else {}),
            "likeness": self.likeness,
            "background_energy": self.background_energy.tolist(),
            "subject_energy": self.subject_energy.tolist(),
        }
        return {name: _plain(value) for name, value in values.items()}


def measure(video: Video, person_mask: Mask, photo: Image | None = None) -> Measures:
    """Measures one video.

    Args:
        video: without any label drawn into it, where there is a choice.
        person_mask: `(num_frames, height, width)` bool.
        photo: the picture whose face should be kept, if known.
    """
    long_enough = len(video) >= MIN_FRAMES
    background, subject = motion_energy(video.frames, person_mask)
    return Measures(
        dynamics=measure_dynamics(video.frames, person_mask, fps=video.fps) if long_enough else None,
        background_energy=background,
        subject_energy=subject,
        likeness=None if photo is None else likeness(photo, video.frames),
    )


def motion_energy(frames: Frames, person_mask: Mask) -> tuple[Floats, Floats]:
    """How much changes from each frame to the next, beside the person and on it.

    Args:
        frames: `(num_frames, height, width, 3)` uint8 RGB.
        person_mask: `(num_frames, height, width)` bool.

    Returns:
        Two of `(num_frames - 1,)` float32: root mean square change of the slightly blurred brightness, in levels of
        0..255; NaN where there is no background, or no person.
    """
    zoom = min(1.0, WORK_SIDE_PX / min(frames.shape[1:3]))
    size = max(1, round(frames.shape[2] * zoom)), max(1, round(frames.shape[1] * zoom))
    grey = [cv2.resize(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA) for f in frames]
    luma = [cv2.GaussianBlur(g.astype(np.float32), (0, 0), BLUR_PX) for g in grey]
    masks = [cv2.resize(m.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) for m in person_mask]
    kernel = np.ones((2 * max(1, round(MARGIN_SHARE * min(size))) + 1,) * 2, np.uint8)
    background, subject = [], []
    for k in range(len(luma) - 1):
        change = (luma[k + 1] - luma[k]) ** 2
        on_either = masks[k] | masks[k + 1]
        subject.append(_root_mean(change[on_either > 0]))
        background.append(_root_mean(change[cv2.dilate(on_either, kernel) == 0]))
    return np.array(background, np.float32), np.array(subject, np.float32)


def likeness(photo: Image, frames: Frames) -> float | None:
    """Mean cosine of the face in each frame to the photo's, where AdaFace is installed and both show a face."""
    from xdyna.evaluation.faces import align_face, find_faces

    embed = _embedder()
    if embed is None:
        return None
    aligned = []
    for pictures in (photo[None], frames):
        faces = find_faces(pictures)
        found = np.flatnonzero(faces.found)
        aligned.append([align_face(pictures[k], faces.five_points[k]) for k in found])
    if not all(aligned):
        return None
    (original,), made = (embed(np.stack(pictures)) for pictures in aligned)
    return float((made @ original).mean())


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _root_mean(squares: Floats) -> float:
    return float(np.sqrt(squares.mean())) if squares.size else float("nan")


@lru_cache(maxsize=1)
def _embedder() -> Callable[[Frames], Floats] | None:
    from xdyna.evaluation.backbones import locate
    from xdyna.evaluation.features import load_face_embedder

    try:
        return load_face_embedder(locate("adaface"))[0]
    except InputError:
        return None
