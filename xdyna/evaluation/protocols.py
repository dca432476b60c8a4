"""The published tables: their columns, and how each column is scored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from xdyna.evaluation.clips import Pair
from xdyna.evaluation.dynamics import Dynamics
from xdyna.evaluation.faces import Faces, align_face, expression_error, find_faces
from xdyna.evaluation.features import WINDOW
from xdyna.evaluation.metrics import filled_outside, frame_psnr, gray_ssim, l1_per_area
from xdyna.schema import Floats, Frames

WHOLE, FOREGROUND, BACKGROUND = "whole", "foreground", "background"
STILL = 0.5


@dataclass(frozen=True)
class Tools:
    """Loaded networks of the per-clip scores, by the name of their backbone."""

    loaded: Mapping[str, Callable[..., Floats]] = field(default_factory=dict)


ClipScore = Callable[[Pair, Tools], float]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One column.

    Attributes:
        title: its heading.
        better: "lower", "higher" or "" where neither is.
        backbone: the network it needs, or "".
        region: the pixels it sees; the others are black.
        clip: the score of one pair; None for a score of whole sets of clips.
        ddof: of the covariance of a set score.
        percent: show 0..1 as percent.
        scientific: show as 7.15e-05.
    """

    title: str
    better: str
    backbone: str = ""
    region: str = WHOLE
    clip: ClipScore | None = None
    ddof: int = 1
    percent: bool = False
    scientific: bool = False

    @property
    def heading(self) -> str:
        """Title with the arrow of the published tables."""
        return self.title + {"lower": " ↓", "higher": " ↑", "": ""}[self.better]

    def shown(self, value: float) -> str:
        """A value as the tables print it."""
        if not np.isfinite(value):
            return "n/a"
        return f"{100 * value:.1f} %" if self.percent else f"{value:.2e}" if self.scientific else f"{value:.3f}"


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One table.

    Attributes:
        title: what it is.
        against: role of the clip that each generated one is paired with.
        metrics: its columns by name.
        num_frames: frames of each clip; None for all.
        min_frames: a shorter clip is skipped.
    """

    title: str
    against: str
    metrics: Mapping[str, Metric]
    num_frames: int | None
    min_frames: int


def in_region(clip: Frames, mask: Callable[[], np.ndarray], region: str) -> Frames:
    """The clip with everything outside the region black; `mask` is asked for the person only where needed."""
    if region == WHOLE:
        return clip
    return filled_outside(clip, mask() if region == FOREGROUND else ~mask())


def _pixels(score: Callable[[Frames, Frames], float], region: str, pair: Pair, _: Tools) -> float:
    """Both clips are cut along the true person."""
    if region != WHOLE and not pair.other_mask.any():
        return float("nan")
    return score(*(in_region(clip, lambda: pair.other_mask, region) for clip in (pair.generated, pair.other)))


def _lpips(region: str, low: float, pair: Pair, tools: Tools) -> float:
    return _pixels(lambda a, b: float(tools.loaded["vgg16"](a, b, low=low).mean()), region, pair, tools)


def _face_rate(pair: Pair, _: Tools) -> float:
    return float(pair.generated_faces.found.mean())


def _true_face_rate(pair: Pair, _: Tools) -> float:
    return float(pair.other_faces.found.mean())


def _face_cosine(pair: Pair, tools: Tools) -> float:
    """Frame by frame with the true clip, over frames that show a face in both."""
    both = pair.generated_faces.found & pair.other_faces.found
    if not both.any():
        return float("nan")
    embed = tools.loaded["adaface"]
    made = embed(_aligned(pair.generated, pair.generated_faces, both))
    true = embed(_aligned(pair.other, pair.other_faces, both))
    return float((made * true).sum(axis=1).mean())


def _aligned(clip: Frames, faces: Faces, chosen: np.ndarray) -> Frames:
    return np.stack([align_face(clip[k], faces.five_points[k]) for k in np.flatnonzero(chosen)])


def _reference_cosine(pair: Pair, tools: Tools) -> float:
    """With the photo, for clips whose driver is somebody else."""
    if pair.reference is None or not pair.generated_faces.found.any():
        return float("nan")
    photo = find_faces(pair.reference)
    if not photo.found.any():
        return float("nan")
    embed = tools.loaded["adaface"]
    made = embed(_aligned(pair.generated, pair.generated_faces, pair.generated_faces.found))
    return float((made @ embed(_aligned(pair.reference, photo, photo.found))[0]).mean())


def _face_expression(pair: Pair, _: Tools) -> float:
    return expression_error(pair.generated_faces, pair.other_faces)


def _dynamics(read: Callable[[Dynamics], float], pair: Pair, _: Tools) -> float:
    return read(pair.generated_dynamics)


def _motion_ratio(pair: Pair, _: Tools) -> float:
    """Background motion relative to the true clip's; NaN where that stands still."""
    true = pair.other_dynamics.background_motion
    return pair.generated_dynamics.background_motion / true if true > STILL else float("nan")


def _pixel_columns(region: str, prefix: str) -> dict[str, Metric]:
    name, title = (f"{region}_", prefix) if prefix else ("", "")
    return {
        f"{name}l1": Metric(
            title=f"{title}L1",
            better="lower",
            region=region,
            scientific=True,
            clip=partial(_pixels, l1_per_area, region),
        ),
        f"{name}psnr": Metric(
            title=f"{title}PSNR", better="higher", region=region, clip=partial(_pixels, frame_psnr, region)
        ),
        f"{name}lpips": Metric(
            title=f"{title}LPIPS", better="lower", region=region, backbone="vgg16", clip=partial(_lpips, region, -1.0)
        ),
        f"{name}lpips_01": Metric(  # as DisCo's code, and so perhaps the paper's Table 2
            title=f"{title}LPIPS on 0..1",
            better="lower",
            region=region,
            backbone="vgg16",
            clip=partial(_lpips, region, 0.0),
        ),
        f"{name}ssim": Metric(
            title=f"{title}SSIM", better="higher", region=region, clip=partial(_pixels, gray_ssim, region)
        ),
    }


FACE_COS = Metric(title="Face-Cos", better="higher", backbone="adaface", clip=_face_cosine)
FACE_DET = Metric(title="Face-Det", better="higher", clip=_face_rate, percent=True)


def _set_columns(title: str, backbone: str, regions: tuple[str, ...], ddof: int) -> dict[str, Metric]:
    prefix = {WHOLE: "", FOREGROUND: "FG-", BACKGROUND: "BG-"}
    return {
        f"{region}_{backbone}": Metric(
            title=prefix[region] + title, better="lower", backbone=backbone, region=region, ddof=ddof
        )
        for region in regions
    }


PROTOCOLS: dict[str, Protocol] = {
    "tiktok": Protocol(
        title="Human video animation (Table 2)",
        against="truth",
        num_frames=None,
        min_frames=WINDOW,
        metrics={
            **_pixel_columns(FOREGROUND, "FG-"),
            "face_cos": FACE_COS,
            "face_det": FACE_DET,
            "true_face_det": Metric(title="Face-Det of truth", better="", clip=_true_face_rate, percent=True),
            **_set_columns("FID", "inception", (FOREGROUND,), 1),
            **_set_columns("cd-FVD", "videomae", (FOREGROUND,), 0),
            **_set_columns("FID", "inception", (BACKGROUND,), 1),
            **_set_columns("cd-FVD", "videomae", (BACKGROUND,), 0),
            **_set_columns("FVD", "i3d", (WHOLE,), 0),
            **_pixel_columns(WHOLE, ""),
        },
    ),
    "dynamics": Protocol(
        title="Dynamic textures (Tables 1 and 4)",
        against="truth",
        num_frames=WINDOW,
        min_frames=WINDOW,
        metrics={
            **_set_columns("DTFVD", "dti3d", (FOREGROUND, BACKGROUND, WHOLE), 1),
            "face_cos": FACE_COS,
            "background_motion": Metric(
                title="BG motion", better="", clip=partial(_dynamics, lambda d: d.background_motion)
            ),
            "motion_ratio": Metric(title="BG motion / true", better="", clip=_motion_ratio),
            "static": Metric(
                title="BG static", better="", percent=True, clip=partial(_dynamics, lambda d: d.static_background)
            ),
            "flicker": Metric(title="BG flicker", better="", clip=partial(_dynamics, lambda d: d.flicker)),
            "subject": Metric(title="Subject speed", better="", clip=partial(_dynamics, lambda d: d.subject_speed)),
        },
    ),
    "cross": Protocol(
        title="Cross-driving (Table 5)",
        against="driving",
        num_frames=None,
        min_frames=WINDOW,
        metrics={
            **_set_columns("FID", "inception", (WHOLE,), 1),
            **_set_columns("DTFVD", "dti3d", (WHOLE,), 1),
            "face_exp": Metric(title="Face-Exp", better="lower", clip=_face_expression),
            "face_det": FACE_DET,
            "reference_cos": Metric(
                title="Face-Cos to photo", better="higher", backbone="adaface", clip=_reference_cosine
            ),
        },
    ),
}
