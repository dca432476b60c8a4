"""What a user should know before time is spent: each check says what was found, what it means and what to do.

Every function is one check on plain numbers and returns None where all is well. The thresholds are the constants.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from xdyna.schema import Check, Fix, Mask, Person

LEGS_SHARE = 0.5  # of the frames must show legs for the clip to "show legs"
FEW_LEGS_SHARE = 0.1
MIN_SURE_SCORE = 0.7  # the detector gives photographs of people 0.8 and more, drawings and dolls mostly less
MIN_HEAD_PX = 28  # side of the square around it: less the face detectors cannot read
LARGE_SCALE = 3.0
LARGE_PHOTO_SCALE = 2.0
MAX_LEAN_DEG = 20.0
LIMB_RATIO_RANGE = (0.75, 1.33)
COMPARED_LIMBS = ("upper arm", "forearm", "thigh", "shin")  # shoulders and hips narrow when a body turns
BETTER_START = 0.3  # the posture at the suggested start is this much nearer to the photo's
MIN_START_GAIN = 3  # frames: an earlier one is as good as this one
FACE_OFF_SHARE = 0.5
MAX_CAMERA_SPEED = 0.03  # diagonals of the frame per second
MIN_SPAN = 8  # frames: a shorter part is not worth suggesting
LONG_CLIP = 1.25  # times the part that is used


def several_people(where: str, people: Sequence[Person], chosen: int | None) -> Check | None:
    """More than one person in the "photo" or the "clip"; `people` are those who can be chosen."""
    others = [person.id for person in people if person.id != chosen]
    if chosen is None or not others:
        return None
    role = "is animated" if where == "photo" else "drives"
    return Check(
        id=f"people-{where}",
        severity="info",
        message=f"{len(people)} people found in the {where}; number {chosen} {role}. The others stay background: "
        "choose another number if that is the wrong one.",
        fix=Fix(f"Use person {others[0]} of the {where}", {f"{where}_person": str(others[0])}),
    )


def photograph(model: str) -> Check:
    """A photograph for a model, named by its title, that knows drawn characters only."""
    return Check(
        id="photograph",
        severity="warning",
        message=f"This looks like a photograph, and {model} knows drawn characters only: it will blur the person. "
        "Choose Puppet on the Generate screen, which moves the photo's own pixels.",
    )


def hidden_head(nose_visible: bool) -> Check | None:
    """A photo without a visible head."""
    if nose_visible:
        return None
    return Check(
        id="head-photo",
        severity="warning",
        message="The head is not visible in the photo: a face will be invented. Use a photo that shows it.",
    )


def unsure(where: str, score: float) -> Check | None:
    """A person in the "photo" or the "clip" whom the detector hardly recognised; `score` is the surest, 0..1."""
    if score >= MIN_SURE_SCORE:
        return None
    return Check(
        id=f"unsure-{where}",
        severity="warning",
        message=f"The person in the {where} was recognised with only {score:.0%} confidence, as happens with "
        "drawings, masks, costumes and backs: the pose may be wrong. Look at the skeleton, and use another "
        f"{where} if it does not fit.",
    )


def small_head(side_px: float) -> Check | None:
    """A photo's head of few pixels; `side_px` is that of the square around it in the photo, NaN where it is hidden."""
    if not side_px < MIN_HEAD_PX:
        return None
    return Check(
        id="face-photo",
        severity="warning",
        message=f"The head in the photo is only {side_px:.0f} pixels wide: the face will be invented. Use a photo "
        "taken nearer.",
    )


def coverage(photo_shows_legs: bool, legs_share: float) -> Check | None:
    """Legs that only one of photo and clip shows.

    Args:
        photo_shows_legs: whether a knee of the photo's person is in the picture.
        legs_share: of the frames in which a knee of the aligned driver is in the picture.
    """
    if legs_share > LEGS_SHARE and not photo_shows_legs:
        return Check(
            id="coverage",
            severity="warning",
            message="The clip shows legs, the photo does not: legs will be invented. Use a clip of the upper body, or "
            "zoom in until the legs leave the picture.",
        )
    if legs_share < FEW_LEGS_SHARE and photo_shows_legs:
        return Check(
            id="coverage",
            severity="warning",
            message="The photo shows legs, the clip does not: nothing tells the legs how to move. Use a clip of the "
            "whole body, or crop the photo to the upper body.",
        )
    return None


def nothing_in_common(aligned: bool) -> Check | None:
    """No part of the body that both photo and clip show."""
    if aligned:
        return None
    return Check(
        id="alignment",
        severity="warning",
        message="Photo and clip show no common part of the body to align; the clip is only cropped. Move and zoom the "
        "pose by hand, or choose another clip.",
    )


def small_in_clip(scale: float) -> Check | None:
    """A driver who is much smaller than the photo's person; `scale` is canvas pixels per clip pixel."""
    if scale <= LARGE_SCALE:
        return None
    return Check(
        id="scale",
        severity="warning",
        message=f"The person in the clip is small and magnified {scale:.1f} times: face and hands will be blurred. "
        "Use a clip that was taken nearer.",
    )


def small_photo(scale: float) -> Check | None:
    """A photo of few pixels; `scale` is canvas pixels per photo pixel."""
    if scale <= LARGE_PHOTO_SCALE:
        return None
    return Check(
        id="resolution",
        severity="warning",
        message=f"The used part of the photo has few pixels and is magnified {scale:.1f} times: the result will look "
        "soft. Use a larger photo or a smaller video size.",
    )


def rotation(lean_deg: float) -> Check | None:
    """A torso that leans much more in one of them; degrees, NaN where unknown."""
    if not abs(lean_deg) > MAX_LEAN_DEG:
        return None
    return Check(
        id="rotation",
        severity="warning",
        message=f"The person in the photo leans {abs(lean_deg):.0f}° differently from the one in the clip: the body "
        "will straighten or bend at the start. Level the photo, or start where the postures agree.",
    )


def proportions(ratios: Mapping[str, float], retargeted: bool) -> Check | None:
    """Limbs of another length; `ratios` are those of `limb_ratios`."""
    low, high = LIMB_RATIO_RANGE
    odd = {name: ratios[name] for name in COMPARED_LIMBS if name in ratios and not low <= ratios[name] <= high}
    if not odd or retargeted:
        return None
    name, ratio = max(odd.items(), key=lambda item: abs(np.log(item[1])))
    return Check(
        id="proportions",
        severity="warning",
        message=f"The bodies are built differently: the {name} is {ratio:.0%} as long in the photo as in the clip. "
        "The person will take on the driver's shape. Retargeting keeps the photo's.",
        fix=Fix("Retarget to the photo's proportions", {"retarget": True}),
    )


def better_start(likeness: float, frame: int | None, best: int | None, fps: float, start_s: float) -> Check | None:
    """A later frame whose posture is much more like the photo's.

    Args:
        likeness: from `Alignment`.
        frame: the one that lies on the photo's person.
        best: the most similar one.
        fps: frames per second.
        start_s: of frame 0, in seconds.
    """
    if frame is None or best is None or best - frame < MIN_START_GAIN or likeness < BETTER_START:
        return None
    second = round(start_s + best / fps, 2)
    return Check(
        id="start",
        severity="info",
        message=f"At {second:g} s the posture in the clip is much more like the photo's. A start there avoids a jump "
        "of the body in the first frames.",
        fix=Fix(f"Start at {second:g} s", {"start_s": second}),
    )


def missing_faces(turned_away: int, too_small: int, not_found: int, num_frames: int) -> Check | None:
    """Frames with a person but without a face, by reason."""
    missing = turned_away + too_small + not_found
    if not missing:
        return None
    counts = ((turned_away, "turned away"), (too_small, "too small"), (not_found, "hidden, blurred or not recognised"))
    reasons = ", ".join(f"{count} {reason}" for count, reason in counts if count)
    off = Fix("Face control off", {"controlnet_face_scale": 0.0}) if missing > FACE_OFF_SHARE * num_frames else None
    return Check(
        id="face-missing",
        severity="warning" if missing > turned_away else "info",
        message=f"Face not found in {missing} of {num_frames} frames ({reasons}); expression control is off there.",
        fix=off,
    )


def lost_pose(visible: Mask, fps: float, start_s: float) -> Check | None:
    """Frames in which nobody was found; `visible` is `(num_frames,)`."""
    missing, total = int((~visible).sum()), len(visible)
    if not missing:
        return None
    last = int(np.flatnonzero(visible)[-1]) if visible.any() else -1
    at_end = missing == total - 1 - last
    where = f"from {start_s + (last + 1) / fps:.1f} s on ({missing} of {total} frames)"
    return Check(
        id="pose-lost",
        severity="warning",
        message=f"Nobody is visible in the clip {where if at_end else f'in {missing} of {total} frames'}; the pose is "
        "blank there and the body may freeze or vanish. Use the part that shows the person.",
        fix=_use_span(*_longest_run(visible), fps, start_s),
    )


def cuts(starts: Sequence[int], num_frames: int, fps: float, start_s: float) -> Check | None:
    """Cuts to another shot; `starts` are the frames that begin one."""
    if not starts:
        return None
    times = ", ".join(f"{start_s + k / fps:.1f} s" for k in starts[:4]) + (", …" if len(starts) > 4 else "")
    edges = [0, *starts, num_frames]
    begin = max(range(len(edges) - 1), key=lambda k: edges[k + 1] - edges[k])
    return Check(
        id="cuts",
        severity="warning",
        message=f"The clip cuts to another shot at {times}: the body will jump there. Use one shot.",
        fix=_use_span(edges[begin], edges[begin + 1], fps, start_s),
    )


def moving_camera(speed: float) -> Check | None:
    """A camera that pans or zooms; diagonals of the frame per second."""
    if speed <= MAX_CAMERA_SPEED:
        return None
    return Check(
        id="camera",
        severity="warning",
        message="The camera of the clip moves: its movement goes into the body, which will drift or change size. Use "
        "a clip from a camera that stands.",
    )


def short_clip(num_frames: int, asked: int) -> Check | None:
    """Fewer frames than asked for."""
    if num_frames >= asked:
        return None
    return Check(
        id="short",
        severity="info",
        message=f"The clip gives {num_frames} of the {asked} frames asked for: the result is as short. Start earlier "
        "or use a longer clip for more.",
    )


def long_clip(duration_s: float | None, used_s: float, start_s: float, fps: float, max_frames: int) -> Check | None:
    """A clip much longer than the part that is used; `duration_s` is None where unknown."""
    if duration_s is None or duration_s - start_s <= LONG_CLIP * used_s:
        return None
    frames = min(max_frames, int((duration_s - start_s) * fps))
    return Check(
        id="long",
        severity="info",
        message=f"The clip lasts {duration_s:.1f} s; {used_s:.1f} s from {start_s:.1f} s on are used. More frames "
        "take proportionally longer.",
        fix=Fix(f"Use {frames / fps:.1f} s", {"num_frames": frames}),
    )


def leaves_picture(outside: int, num_frames: int) -> Check | None:
    """Frames in which neither head nor neck is inside the canvas."""
    if not outside:
        return None
    return Check(
        id="leaves",
        severity="warning",
        message=f"The person leaves the picture in {outside} of {num_frames} frames: there is nobody to animate then. "
        "Use another part of the clip, or a wider video.",
    )


def no_pictures(from_file: bool) -> Check | None:
    """A motion file instead of a clip."""
    if not from_file:
        return None
    return Check(
        id="motion-file",
        severity="info",
        message="A motion file has no pictures of the driver: body and hands are driven, the expression is not. Use "
        "the clip itself to drive the face.",
        fix=Fix("Face control off", {"controlnet_face_scale": 0.0}),
    )


def _longest_run(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """First frame and the one after the last of the longest run of True; 0, 0 without one."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    runs = edges.reshape(-1, 2)
    if not len(runs):
        return 0, 0
    begin, end = runs[int(np.argmax(runs[:, 1] - runs[:, 0]))]
    return int(begin), int(end)


def _use_span(begin: int, end: int, fps: float, start_s: float) -> Fix | None:
    if end - begin < MIN_SPAN:
        return None
    first, last = start_s + begin / fps, start_s + end / fps
    return Fix(f"Use {first:.1f} to {last:.1f} s", {"start_s": round(first, 3), "num_frames": end - begin})
