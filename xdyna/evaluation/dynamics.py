"""How much a clip moves, judged from the clip alone: background, subject, flicker and camera."""

from dataclasses import asdict, dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.schema import Floats, Frames, Mask

WORK_SIDE_PX = 192
WORK_FPS = 8.0
MAX_FRAMES = 64
MIN_BACKGROUND = 0.05
BORDER = 0.06
MIN_DEVIATION = 2.0
GAUGE_SCALE = 8.0
FARNEBACK = {
    "pyr_scale": 0.5,
    "levels": 3,
    "winsize": 15,
    "iterations": 3,
    "poly_n": 5,
    "poly_sigma": 1.2,
    "flags": 0,
}
FLOW_FLOOR_PX = 0.1  # Farnebäck's answer on identical frames is up to 0.08 px
FLICKER_SHARE = 0.5
NO_CAMERA = np.array([[1.0, 0, 0], [0, 1.0, 0]])


@dataclass(frozen=True, kw_only=True)
class Dynamics:
    """Motion of one clip. NaN where there is too little background, or no person.

    Speeds are in percent of the picture's shorter side per second, so they do not depend on size or frame rate.

    Attributes:
        background_motion: temporal standard deviation of the background's brightness without noise, camera and
            common flicker, 0..255. The primary number.
        background_gauge: the same as 0..100, `100 (1 - exp(-background_motion / 8))`, for display.
        moving_area: share of the background that changes visibly, 0..1.
        static_background: share that stands still, 1 - moving_area.
        background_speed: optical flow of the fastest 5 % of the background. Rain, fire and water defeat flow: read it
            beside `background_motion` only.
        subject_speed: optical flow of the person, root mean square.
        flicker: brightness that the whole background gains and loses from frame to frame, 0..255.
        high_frequency: share of the background's change at a quarter of the frame rate and above, 0..1.
        camera_speed: motion of the whole background, which was removed first.
        warning: a sentence where the numbers look like noise rather than motion, else "".
    """

    background_motion: float
    background_gauge: float
    moving_area: float
    static_background: float
    background_speed: float
    subject_speed: float
    flicker: float
    high_frequency: float
    camera_speed: float
    warning: str

    def to_dict(self) -> dict[str, float | str]:
        """Plain values."""
        return asdict(self)


def measure_dynamics(frames: Frames, person_mask: Mask | None = None, *, fps: float = 8.0) -> Dynamics:
    """Measures a clip.

    Args:
        frames: `(num_frames, h, w, 3)` uint8 RGB, at least 3 frames; the first 64 at about 8 per second are used.
        person_mask: `(num_frames, h, w)` bool, the person's pixels; None where nobody is in the clip.
        fps: frames per second.

    Raises:
        ValueError: too few frames, or a mask of another shape.
    """
    if person_mask is not None and person_mask.shape != frames.shape[:3]:
        raise ValueError(f"the mask must be {frames.shape[:3]}, got {person_mask.shape}")
    # A short clip at a high rate keeps at least eight frames.
    step = max(1, min(round(fps / WORK_FPS), (len(frames) - 1) // 8))
    chosen = slice(0, step * MAX_FRAMES, step)
    luma, mask = _reduced(frames[chosen], None if person_mask is None else person_mask[chosen])
    if len(luma) < 3:
        raise ValueError(f"dynamics need at least 3 frames, got {len(luma)}")
    percent = 100 * (fps / step) / min(luma.shape[1:])

    outside = ~_grown(mask)
    both_outside = outside[:-1] & outside[1:]
    steps = [_camera_step(a, b, both) for a, b, both in zip(luma[:-1], luma[1:], both_outside, strict=True)]
    camera = [float(np.hypot(*_shift_of_centre(matrix, luma.shape[1:]))) for matrix in steps]
    subject = [
        flow_speed(_flow(a, b))[both] ** 2
        for a, b, both in zip(luma[:-1], luma[1:], mask[:-1] & mask[1:], strict=True)
        if both.any()
    ]

    steady, seen = _steadied(luma, steps)
    region = seen & (_steadied(outside.astype(np.float32), steps)[0].min(axis=0) > 0.999)
    values = dict.fromkeys(("motion", "area", "speed", "flicker", "high"), float("nan"))
    if region.mean() >= MIN_BACKGROUND:
        fastest = [_fastest(a, b, region) for a, b in pairwise(steady)]
        values["speed"] = percent * float(np.mean(fastest))
        level = steady[:, region].mean(axis=1)
        steady = steady - level[:, None, None]
        noise = noise_deviation(steady, region)
        deviation = temporal_deviation(steady)[region]
        values["motion"] = float(np.sqrt(max(0.0, float((deviation**2).mean()) - noise**2)))
        values["area"] = float((deviation > max(MIN_DEVIATION, 3 * noise)).mean())
        values["flicker"] = float(np.sqrt((np.diff(level, 2) ** 2).mean() / 6))
        values["high"] = high_frequency_share(steady, region)
    return Dynamics(
        background_motion=values["motion"],
        background_gauge=100 * (1 - float(np.exp(-values["motion"] / GAUGE_SCALE))),
        moving_area=values["area"],
        static_background=1 - values["area"],
        background_speed=values["speed"],
        subject_speed=percent * float(np.sqrt(np.concatenate(subject).mean())) if subject else float("nan"),
        flicker=values["flicker"],
        high_frequency=values["high"],
        camera_speed=percent * float(np.mean(camera)),
        warning=_warning(values),
    )


def temporal_deviation(luma: Floats) -> NDArray[np.float64]:
    """`(h, w)` standard deviation over time of `(num_frames, h, w)` brightness."""
    return luma.astype(np.float64).std(axis=0)


def noise_deviation(luma: Floats, region: Mask) -> float:
    """Standard deviation of the noise, from second differences in time on the flattest fifth of the region.

    Motion is smooth in time and invisible on flat ground, so what is left there is noise.

    Args:
        luma: `(num_frames, h, w)`.
        region: `(h, w)` with at least one pixel.
    """
    average = cv2.GaussianBlur(luma.mean(axis=0).astype(np.float32), (0, 0), 1)
    slope = np.hypot(cv2.Sobel(average, cv2.CV_32F, 1, 0), cv2.Sobel(average, cv2.CV_32F, 0, 1))
    flat = region & (slope <= np.quantile(slope[region], 0.2))
    # The median: a flash on flat ground is not noise.
    return float(np.sqrt(np.median((np.diff(luma[:, flat], 2, axis=0) ** 2).mean(axis=0)) / 6))


def high_frequency_share(luma: Floats, region: Mask, *, cutoff: float = 0.25) -> float:
    """Share of the temporal energy at `cutoff` cycles per frame and above; NaN where nothing changes.

    Args:
        luma: `(num_frames, h, w)`.
        region: `(h, w)`, the pixels that count.
        cutoff: cycles per frame, 0..0.5.
    """
    n = len(luma)
    series = luma[:, region].astype(np.float64)
    power = (np.abs(np.fft.rfft(series - series.mean(axis=0), axis=0)) ** 2).sum(axis=1)
    power[1 : (n + 1) // 2] *= 2  # each stands for two frequencies of the full spectrum
    total = power[1:].sum()
    return float(power[np.fft.rfftfreq(n) >= cutoff].sum() / total) if total > 1e-9 else float("nan")


def flow_speed(flow: Floats) -> Floats:
    """`(...)` length in px of a `(..., 2)` flow, 0 below the floor of the method."""
    speed = np.hypot(flow[..., 0], flow[..., 1])
    return np.where(speed > FLOW_FLOOR_PX, speed, 0).astype(np.float32)


def _reduced(frames: Frames, mask: Mask | None) -> tuple[Floats, Mask]:
    """Brightness `(n, h, w)` float32 in 0..255 and the mask, both with a shorter side of at most `WORK_SIDE_PX`."""
    scale = min(1.0, WORK_SIDE_PX / min(frames.shape[1:3]))
    size = (max(1, round(frames.shape[2] * scale)), max(1, round(frames.shape[1] * scale)))
    grey = [cv2.resize(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA) for f in frames]
    luma = np.stack(grey).astype(np.float32)
    if mask is None:
        return luma, np.zeros(luma.shape, bool)
    small = [cv2.resize(m.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.25 for m in mask]
    return luma, np.stack(small)


def _grown(mask: Mask) -> Mask:
    """The mask and its surroundings, into which soft edges and optical flow bleed."""
    radius = max(3, round(0.03 * min(mask.shape[1:])))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.stack([cv2.dilate(m.astype(np.uint8), kernel).astype(bool) for m in mask])


def _camera_step(before: Floats, after: Floats, region: Mask) -> NDArray[np.float64]:
    """`(2, 3)` similarity that most of the background follows from one frame to the next, else the identity.

    A camera moves nearly everything alike. Where less than 60 % of the tracked points agree, the scene itself moves.
    """
    first, second = before.astype(np.uint8), after.astype(np.uint8)
    points = cv2.goodFeaturesToTrack(first, 150, 0.01, 7, mask=region.astype(np.uint8))
    if points is None or len(points) < 20:
        return NO_CAMERA
    moved, found, _ = cv2.calcOpticalFlowPyrLK(first, second, points, np.empty_like(points))
    kept = found.ravel() == 1
    if kept.sum() < 20:
        return NO_CAMERA
    matrix, agree = cv2.estimateAffinePartial2D(points[kept], moved[kept], ransacReprojThreshold=0.5)
    if matrix is None or agree.mean() < 0.6 or np.hypot(*_shift_of_centre(matrix, before.shape)) < 0.2:
        return NO_CAMERA
    return matrix


def _shift_of_centre(matrix: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.float64]:
    centre = np.array([size[1] / 2, size[0] / 2])
    return matrix[:, :2] @ centre + matrix[:, 2] - centre


def _steadied(clip: Floats, steps: list[NDArray[np.float64]]) -> tuple[Floats, Mask]:
    """The clip as a camera at rest would have seen it, and the `(h, w)` pixels that it saw at all times."""
    height, width = clip.shape[1:]
    seen = np.ones((height, width), bool)
    steady, total = [clip[0]], np.eye(3)
    for frame, step in zip(clip[1:], steps, strict=True):
        total = np.vstack([step, [0, 0, 1]]) @ total
        if np.array_equal(total, np.eye(3)):
            steady.append(frame)
            continue
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        steady.append(cv2.warpAffine(frame, total[:2], (width, height), flags=flags))
        seen &= cv2.warpAffine(np.ones_like(frame), total[:2], (width, height), flags=flags) > 0.999
    return np.stack(steady), seen


def _flow(before: Floats, after: Floats) -> Floats:
    return cv2.calcOpticalFlowFarneback(before.astype(np.uint8), after.astype(np.uint8), None, **FARNEBACK)  # type: ignore[call-overload]


def _fastest(before: Floats, after: Floats, region: Mask) -> float:
    """Mean length in px of the fastest 5 % of the region's flow."""
    border = 1 + round(BORDER * min(region.shape))  # what enters there has no place of origin
    inner = np.zeros_like(region)
    inner[border:-border, border:-border] = region[border:-border, border:-border]
    if not inner.any():
        return 0.0
    # The person stands still here: optical flow spreads beyond what moves, and theirs is not the background's.
    speed = flow_speed(_flow(before, np.where(region, after, before)))[inner]
    return float(np.sort(speed)[-max(1, len(speed) // 20) :].mean())


def _warning(values: dict[str, float]) -> str:
    if values["high"] > FLICKER_SHARE and values["motion"] > MIN_DEVIATION and values["speed"] < 20:
        return "Much of the change is flicker or noise rather than motion."
    if values["flicker"] > MIN_DEVIATION:
        return "The whole background flickers, as fire and lightning do too."
    return ""
