"""Lays a driver onto the person of a photo. Pure arithmetic: milliseconds, so that it can follow a slider."""

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from xdyna.config import AnimationSettings
from xdyna.preprocess import checks, checks_posture
from xdyna.preprocess.align import (
    Alignment,
    align,
    compose,
    crop_matrix,
    driving_crop_box,
    inverse,
    nudge_matrix,
    photo_matrix,
    uncut,
)
from xdyna.preprocess.find import Subject
from xdyna.preprocess.landmarks import head_square, missing_faces
from xdyna.preprocess.masks import person_masks
from xdyna.preprocess.pose import LEFT_KNEE, NECK, NOSE, RIGHT_KNEE, person_found
from xdyna.preprocess.posture import lean_deg, seen_from_behind
from xdyna.preprocess.retarget import limb_ratios, retarget
from xdyna.schema import Check, Conditions, Floats, Image, Mask, Motion, Person, Pose

LATENT_PX = 8  # pixels of the canvas per pixel of the latents that the masks are for
KNEES = [RIGHT_KNEE, LEFT_KNEE]
MAX_NUM_FRAMES = next(int(item.metadata["high"]) for item in fields(AnimationSettings) if item.name == "num_frames")


def place(photo: Image, subject: Subject, motion: Motion, settings: AnimationSettings) -> Conditions:
    """Aligns, retargets and nudges a motion that was found before, and checks what comes out.

    Args:
        photo: `(any height, any width, 3)` uint8 RGB.
        subject: the photo's person.
        motion: the driver.
        settings: uses the size, `num_frames`, `mode`, `retarget` and the nudge; `start_s` for the suggestions.

    Returns:
        `Conditions` with black driving frames; `Conditions.alignment` says how to warp the clip's.
    """
    size = settings.height, settings.width
    reference = subject.pose.transformed(photo_matrix(photo, size, subject.box))
    if settings.mode == "replace":  # the clip stays as it is, and the photo's person comes into it
        alignment = Alignment(crop_matrix(driving_crop_box(motion.frame_size, size), size), None)
    else:
        alignment = align(reference, motion.pose, motion.frame_size, size, motion.picture)
    aligned = motion.pose.transformed(alignment.matrix)
    ratios = limb_ratios(
        uncut(reference, (0, 0, size[1], size[0])), uncut(motion.pose, motion.picture).transformed(alignment.matrix)
    )
    nudge = nudge_matrix(settings.nudge_zoom, settings.nudge_x, settings.nudge_y, size)
    pose = (retarget(aligned, ratios) if settings.retarget else aligned).transformed(nudge)
    matrix = compose(nudge, alignment.matrix)
    coarse = max(1, size[0] // LATENT_PX), max(1, size[1] // LATENT_PX)
    return Conditions(
        reference_image=photo,
        reference_pose=reference,
        driving_frames=np.zeros((len(motion), *size, 3), np.uint8),
        pose=pose,
        face_landmarks=_moved(motion.face_landmarks, matrix),
        alignment=matrix,
        fps=motion.fps,
        boxes=_moved(motion.boxes.reshape(-1, 2, 2), matrix).reshape(-1, 4),
        person_masks=person_masks(pose, size, coarse),
        reference_person_mask=person_masks(reference, size, coarse)[0],
        photo_people=subject.people,
        photo_person=subject.person,
        motion=motion,
        checks=_checks(photo, subject, motion, settings, reference, pose, alignment, ratios),
        best_start_s=None if alignment.best_frame is None else settings.start_s + alignment.best_frame / motion.fps,
    )


def place_again(conditions: Conditions, settings: AnimationSettings) -> Conditions:
    """Another nudge, or retargeting, of what was found before.

    Args:
        conditions: from `place` or `prepare`.
        settings: of the same photo, clip and size.

    Returns:
        As from `place`: the driving frames are black until the clip is prepared anew, which then looks at nothing
        twice.

    Raises:
        ValueError: the conditions do not say what was found in the clip.
    """
    photo, motion = conditions.reference_image, conditions.motion
    if motion is None or conditions.photo_person is None:
        raise ValueError("these conditions were not made by `place`")
    to_canvas = photo_matrix(photo, conditions.size, conditions.photo_box)
    subject = Subject(
        pose=conditions.reference_pose.transformed(inverse(to_canvas)),
        people=conditions.photo_people,
        person=conditions.photo_person,
    )
    return replace(
        place(photo, subject, motion, settings), sound=conditions.sound, clip=conditions.clip, matte=conditions.matte
    )


def _moved(points: Floats, matrix: np.ndarray) -> Floats:
    """`(..., 2)` points under a `(2, 3)` map."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def _checks(
    photo: Image,
    subject: Subject,
    motion: Motion,
    settings: AnimationSettings,
    reference: Pose,
    pose: Pose,
    alignment: Alignment,
    ratios: dict[str, float],
) -> tuple[Check, ...]:
    """All checks that strike, warnings first."""
    size, fps, start_s = (settings.height, settings.width), motion.fps, settings.start_s
    visible = person_found(pose)
    faces = missing_faces(motion.face_landmarks, motion.pose)
    knees_seen = np.isfinite(uncut(motion.pose, motion.picture).body[:, KNEES, 0])
    head = head_square(subject.pose.body[0])
    legs = knees_seen & (pose.body[:, KNEES, 1] < size[0])
    found = (
        checks.several_people("photo", subject.people, subject.person),
        checks_posture.entangled(subject.people, subject.person),
        checks.several_people("clip", motion.people, motion.person),
        checks.hidden_head(bool(np.isfinite(reference.body[0, NOSE, 0]))),
        checks.small_head(np.nan if head is None else 2 * head[1]),
        checks.unsure("photo", _score(subject.people, subject.person)),
        checks.unsure("clip", _score(motion.people, motion.person)),
        checks.nothing_in_common(alignment.frame is not None or settings.mode == "replace"),
        checks.coverage(
            bool(np.isfinite(uncut(reference, (0, 0, size[1], size[0])).body[0, KNEES, 0]).any()),
            float(legs[visible].any(axis=1).mean()) if visible.any() else 0.0,
        ),
        checks.small_in_clip(alignment.scale),
        checks.small_photo(float(photo_matrix(photo, size, subject.box)[0, 0])),
        checks.rotation(alignment.lean_deg),
        checks_posture.lying(lean_deg(subject.pose.body), alignment.lean_deg),
        checks_posture.from_behind(seen_from_behind(subject.pose.body), seen_from_behind(motion.pose.body)),
        checks.proportions(ratios, settings.retarget),
        checks.lost_pose(visible, fps, start_s),
        checks.missing_faces(len(faces.turned_away), len(faces.too_small), len(faces.not_found), len(motion)),
        checks.cuts(motion.cuts, len(motion), fps, start_s),
        checks.moving_camera(motion.camera_speed),
        checks.leaves_picture(int((visible & ~_in_canvas(pose, size)).sum()), len(pose)),
        checks.better_start(alignment.likeness, alignment.frame, alignment.best_frame, fps, start_s),
        checks.short_clip(len(motion), settings.num_frames),
        checks.long_clip(motion.clip_s, len(motion) / fps, start_s, fps, MAX_NUM_FRAMES),
        checks.no_pictures(not motion.has_pictures),
    )
    return tuple(sorted((check for check in found if check), key=lambda check: check.severity != "warning"))


def _score(people: Sequence[Person], chosen: int | None) -> float:
    """How sure the detector is of the person chosen; 1 where people were not counted."""
    return next((person.score for person in people if person.id == chosen), 1.0)


def _in_canvas(pose: Pose, size: tuple[int, int]) -> Mask:
    """`(num_frames,)`: whether neck or nose lies in the picture."""
    points = pose.body[:, [NECK, NOSE]]
    return ((points >= 0) & (points < size[::-1])).all(axis=-1).any(axis=-1)
