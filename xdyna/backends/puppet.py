"""Puppet: moves the pixels of the photo's person by the driver's pose, before a still background. No weights."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.backends.cost import Work, rates
from xdyna.backends.interface import Backend, Helpers, Plan, Stop
from xdyna.backends.matte import photo_matte
from xdyna.backends.run import Run
from xdyna.config import AnimationSettings
from xdyna.flows import parse_flows
from xdyna.schema import Animation, Conditions, Floats, Frames, Image, Pose, Progress
from xdyna.weights import locate, revision

if TYPE_CHECKING:
    from xdyna.puppet.living_plate import LivingPlate

MOVING_BACKGROUND, DRAWING = "Setting the background in motion", "Drawing"
QUICK_HOLE_PX = 2000
PREVIEW_EVERY, PREVIEW_SIDE_PX = 8, 224
MASK_PX, NOISE = 8, 2  # pixels of the video per pixel of its masks; levels
WRISTS = (4, 7)


class Puppet(Backend):
    """A training-free method: matte, background plate, layers, as-rigid-as-possible meshes."""

    def plan(
        self, settings: AnimationSettings, num_driving_frames: int | None = None, gpu_gb: float | None = None
    ) -> Plan:
        """See `Backend.plan`. A step is a frame."""
        num_frames, known = num_driving_frames or settings.num_frames, rates(self.name)
        work = Work(
            height=settings.height,
            width=settings.width,
            num_frames=num_frames,
            frames_at_once=1,
            num_windows=1,
            num_steps=1,
            guided=False,
        )
        return Plan(
            height=settings.height,
            width=settings.width,
            fps=settings.fps,
            source_index=tuple(range(num_frames)),
            num_windows=1,
            num_steps=num_frames,
            seconds=work.seconds(known),
            memory_gb=work.memory_gb(known),
            device=known.device,
            measured=known.measured,
        )

    def prepare(self, conditions: Conditions, settings: AnimationSettings) -> dict[str, Frames]:
        """The driver's pose with the photo's proportions."""
        from xdyna.preprocess.draw import draw_pose

        _, skeletons = _skeletons(conditions)
        body = skeletons[:, :18].astype(np.float32)
        hands = conditions.pose.hands + (body - conditions.pose.body)[:, WRISTS, None]
        scores = np.isfinite(body[..., 0]).astype(np.float32)
        pose = Pose(body=body, body_scores=scores, hands=hands, hand_scores=conditions.pose.hand_scores)
        return {"pose": draw_pose(pose, conditions.size)}

    def load(self, device: str | None = None) -> "PuppetModel":
        """See `Backend.load`. There is nothing to load."""
        return PuppetModel(self)


class PuppetModel:
    """The method, ready to run.

    Args:
        backend: What it belongs to.
        quick: Whether the background is filled coarsely, in a fraction of the time.
    """

    def __init__(self, backend: Puppet, quick: bool = False) -> None:
        self.backend, self.quick = backend, quick
        self.revision = revision(locate(backend.name))
        self.lock = Lock()

    def run(
        self,
        conditions: Conditions,
        settings: AnimationSettings,
        stop: Stop | None = None,
        unfinished: Path | None = None,
        helpers: Helpers | None = None,
    ) -> Iterator[Progress | Animation]:
        """Yields a `Progress` per stage and per frame, then one `Animation` of the frames that are drawn."""
        from xdyna.photo import crop_to_aspect
        from xdyna.preprocess.live_photo import photo_landmarks
        from xdyna.puppet.face import calm_eye_opening, expression_offsets
        from xdyna.puppet.figure import STAGES, build_figure
        from xdyna.puppet.plate import WORKING_HOLE_PX

        run = Run(self.backend.name, self.revision)
        yield run.progress(STAGES[0], 0, 1, timed=False)
        rest, skeletons = _skeletons(conditions)
        seen = self.backend.prepare(conditions, settings)
        stages = build_figure(
            crop_to_aspect(conditions.reference_image, conditions.size, conditions.photo_box),
            conditions.reference_pose,
            rest,
            lambda: photo_landmarks(conditions),
            calm_eye_opening(conditions.face_landmarks),
            QUICK_HOLE_PX if self.quick else WORKING_HOLE_PX,
            photo_matte(conditions),
        )
        while True:
            try:
                yield run.progress(next(stages), 1, 1, timed=False)
            except StopIteration as end:
                figure = end.value
                break
        living = None
        if settings.flows:
            living = _living_plate(figure.plate, conditions, settings, len(skeletons))
            yield run.progress(MOVING_BACKGROUND, 1, 1, timed=False)
        offsets = expression_offsets(conditions.face_landmarks)
        swing = figure.swing(conditions.fps, settings.wind)
        frames = np.empty((len(skeletons), *conditions.size, 3), np.uint8)
        small: list[NDArray[np.uint8]] = []
        masks: list[Floats] = []
        for k, skeleton in enumerate(skeletons):
            expression = None if offsets is None else offsets[k]
            plate = living.frame(k) if living else figure.plate
            frames[k] = figure.draw(skeleton, expression, settings.controlnet_face_scale, plate, swing)
            small.append(_small(frames[k]))
            masks.append(_covered(frames[k], plate))
            shown = np.stack(small) if len(small) % PREVIEW_EVERY == 0 or len(small) == len(frames) else None
            yield run.progress(DRAWING, len(small), len(frames), shown)
            if stop is not None and stop():
                break
        done = len(small)
        made = {name: clip[:done] for name, clip in seen.items()}
        steps, stopped = tuple(range(done)), done < len(frames)
        ended = run.animation(frames[:done], conditions, made, steps, stopped, uses_matte=True)
        yield replace(ended, person_masks=np.stack(masks))


def _living_plate(plate: Image, conditions: Conditions, settings: AnimationSettings, num_frames: int) -> "LivingPlate":
    """Return the background, which moves along the arrows of the settings or along those that it suggests."""
    from xdyna.photo import crop_box
    from xdyna.puppet.living_plate import LivingPlate
    from xdyna.puppet.suggestions import suggest_flows

    flows, (height, width) = parse_flows(settings.flows), conditions.reference_image.shape[:2]
    if flows is None:
        return LivingPlate(plate, suggest_flows(plate), conditions.fps, num_frames)
    left, top, right, bottom = crop_box((height, width), conditions.size, conditions.photo_box)
    view = left / width, top / height, right / width, bottom / height
    return LivingPlate(plate, flows, conditions.fps, num_frames, view)


def _skeletons(conditions: Conditions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The photo's skeleton and the puppet's over the clip.

    Raises:
        InputError: photo or clip shows no body.
    """
    from xdyna.puppet.motion import follow, rest_skeleton

    rest = rest_skeleton(conditions.reference_pose, conditions.pose, conditions.size)
    return rest, follow(conditions.reference_pose, conditions.pose, rest, conditions.fps)


def _covered(frame: Image, plate: Image) -> Floats:
    """Return where the person covers the background, `(height / 8, width / 8)` float32, 1 where any pixel differs."""
    differs = (cv2.absdiff(frame, plate).max(axis=-1) > NOISE).astype(np.uint8)
    wide = cv2.dilate(differs, np.ones((MASK_PX, MASK_PX), np.uint8))
    return wide[MASK_PX // 2 :: MASK_PX, MASK_PX // 2 :: MASK_PX].astype(np.float32)


def _small(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    zoom = min(1.0, PREVIEW_SIDE_PX / max(frame.shape))
    return cv2.resize(frame, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA).astype(np.uint8)


PUPPET = Puppet(
    name="puppet",
    title="Puppet",
    notice=(
        "Warps your photo: its own pixels follow the clip, in seconds, on any CPU. The background stands still unless "
        "you set it in motion, clothes stretch, and what the photo hides is only guessed."
    ),
    sees="The driver's pose with the proportions of the photo's person.",
    defaults=replace(AnimationSettings(), num_frames=32, retarget=True),
    needs=frozenset({"pose", "face"}),
    options=("retarget", "nudge_x", "nudge_y", "controlnet_face_scale", "wind", "flows"),
)
