"""A rendered clip with its ground truth."""

from dataclasses import dataclass

import numpy as np
import skia

from xdyna.schema import Floats, Frames, Mask, Pose
from xdyna.world.body import Person
from xdyna.world.brush import glow
from xdyna.world.character import Character
from xdyna.world.motion import EXPRESSION, MOTIONS, Array, Motion
from xdyna.world.scenes import SCENES, make_scene
from xdyna.world.skeleton import Skeleton, pose_skeleton
from xdyna.world.style import STYLES, stylise

_LAG = 0.16
"""Seconds by which hair and cloth trail the head."""


@dataclass(frozen=True, kw_only=True)
class WorldClip:
    """A clip and everything that was drawn in it.

    Attributes:
        frames: `(n, h, w, 3)` uint8 RGB.
        pose: true joints in pixels; score 1 inside the frame, 0 outside; NaN where there is no person.
        face_landmarks: `(n, 68, 2)` float32 in pixels, iBUG order; NaN where there is no person.
        expression: `(n, 8)` float32, the entries named by `EXPRESSION`.
        person_mask: `(n, h, w)` bool, pixels that the person covers.
        scene: name of the background, one of `SCENES`.
    """

    frames: Frames
    pose: Pose
    face_landmarks: Floats
    expression: Floats
    person_mask: Mask
    scene: str

    @property
    def face_boxes(self) -> Floats:
        """`(n, 4)` float32 left, top, right, bottom around the 68 points, in pixels; NaN where there is no person."""
        return np.concatenate([self.face_landmarks.min(axis=1), self.face_landmarks.max(axis=1)], axis=1)


def render_clip(
    seed: int,
    *,
    num_frames: int = 16,
    height: int = 224,
    width: int = 128,
    fps: float = 8.0,
    character_seed: int | None = None,
    motion_seed: int | None = None,
    scene_seed: int | None = None,
    scene_name: str | None = None,
    motion_name: str | None = None,
    style: str = "shaded",
    person: bool = True,
) -> WorldClip:
    """Renders one clip.

    The same arguments give the same pixels, and the same seeds at another size give the same picture.

    Args:
        seed: stands in for every seed that is not given.
        num_frames: frames, >= 1.
        height: pixels.
        width: pixels.
        fps: frames per second of the clip's own time.
        character_seed: who it is.
        motion_seed: what they do, their expressions and where they stand.
        scene_seed: layout, colours and (unless `scene_name` is given) class of the background.
        scene_name: one of `SCENES`.
        motion_name: one of `MOTIONS`; by default the seed draws one of the first five.
        style: one of `STYLES`.
        person: False for the background alone.

    Raises:
        ValueError: unknown scene_name, motion_name or style, or num_frames < 1.
    """
    if style not in STYLES:
        raise ValueError(f"style must be one of {tuple(STYLES)}, got {style!r}")
    if num_frames < 1:
        raise ValueError(f"num_frames must be >= 1, got {num_frames}")
    times = np.arange(num_frames) / fps
    scene = make_scene(seed if scene_seed is None else scene_seed, scene_name, width / height)
    motion = Motion(seed if motion_seed is None else motion_seed, motion_name)
    expression = motion.sample(times).expression
    actor = _cast(seed if character_seed is None else character_seed, motion, times, scene.wind(times), width / height)

    behind, layer = np.zeros((height, width, 4), np.uint8), np.zeros((height, width, 4), np.uint8)
    stage, sheet = (
        skia.Surface(pixels, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType) for pixels in (behind, layer)
    )
    scene.prepare(height, width)
    frames = np.empty((num_frames, height, width, 3), np.uint8)
    mask = np.zeros((num_frames, height, width), bool)
    with stage as canvas, sheet as cel:
        for canvas_ in (canvas, cel):
            canvas_.scale(height, height)
        for i, t in enumerate(times):
            scene.draw_behind(canvas, float(t))
            if person:
                cel.clear(0)
                actor.draw(cel, i)
                sheet.flushAndSubmit()
                mask[i] = layer[..., 3] > 127
                _draw_shadow(canvas, actor.skeleton, i, motion.placement.floor)
                canvas.save()
                canvas.resetMatrix()
                canvas.drawImage(skia.Image.fromarray(layer, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType), 0, 0)
                canvas.restore()
            scene.draw_before(canvas, float(t))
            frames[i] = behind[..., :3]
    size = (height, width)
    return WorldClip(
        frames=stylise(frames, style),
        pose=_true_pose(actor, size) if person else _no_pose(num_frames),
        face_landmarks=(
            (actor.head.landmarks * height).astype(np.float32)
            if person
            else np.full((num_frames, 68, 2), np.nan, np.float32)
        ),
        expression=(expression if person else np.zeros_like(expression)).astype(np.float32),
        person_mask=mask,
        scene=scene.name,
    )


def _cast(character_seed: int, motion: Motion, times: Array, wind: Array, aspect: float) -> Person:
    """Puts a character into the motion."""
    character = Character.sampled(character_seed)
    moves, earlier = motion.sample(times), motion.sample(times - _LAG)
    place = motion.placement
    skeleton = pose_skeleton(character.proportions, moves).placed(place.height, aspect / 2 + place.x, place.floor)
    before = pose_skeleton(character.proportions, earlier).placed(place.height, aspect / 2 + place.x, place.floor)
    unit = character.proportions.head * place.height / 2
    sway = np.clip((before.chin - skeleton.chin)[:, 0] / unit * 0.45, -0.5, 0.5) + 0.3 * wind
    return Person(character, skeleton, moves.expression, sway)


def _draw_shadow(canvas: skia.Canvas, skeleton: Skeleton, frame: int, floor: float) -> None:
    size = skeleton.unit
    for ankle in skeleton.ankles[frame]:
        lift = max(0.0, floor - 0.035 * size - float(ankle[1])) / size
        canvas.save()
        canvas.translate(float(ankle[0]) + 0.02 * size, floor - 0.004 * size)
        canvas.scale(1.0, 0.24)
        radius = 0.125 * size
        canvas.drawCircle(0, 0, radius, glow((0.02, 0.02, 0.06), max(0.6 - 2.2 * lift, 0.15), (0, 0), radius))
        canvas.restore()


def _true_pose(actor: Person, size: tuple[int, int]) -> Pose:
    sk, marks = actor.skeleton, actor.head.landmarks
    nose = marks[:, 30]
    eyes = [marks[:, 36:42].mean(1), marks[:, 42:48].mean(1)]
    ears = [marks[:, 0], marks[:, 16]]
    limbs = [joints[:, side, :2] for side in (0, 1) for joints in (sk.shoulders, sk.elbows, sk.wrists)]
    legs = [joints[:, side, :2] for side in (0, 1) for joints in (sk.hips, sk.knees, sk.ankles)]
    body = np.stack([nose, sk.neck[..., :2], *limbs, *legs, *eyes, *ears], 1) * size[0]
    hands = sk.fingers[..., :2] * size[0]
    return Pose(
        body=body.astype(np.float32),
        body_scores=_inside(body, size),
        hands=hands.astype(np.float32),
        hand_scores=_inside(hands, size),
    )


def _inside(points: Array, size: tuple[int, int]) -> Floats:
    return ((points >= 0) & (points < np.array([size[1], size[0]]))).all(-1).astype(np.float32)


def _no_pose(n: int) -> Pose:
    return Pose(
        body=np.full((n, 18, 2), np.nan, np.float32),
        body_scores=np.zeros((n, 18), np.float32),
        hands=np.full((n, 2, 21, 2), np.nan, np.float32),
        hand_scores=np.zeros((n, 2, 21), np.float32),
    )


__all__ = ["EXPRESSION", "MOTIONS", "SCENES", "STYLES", "WorldClip", "render_clip"]
