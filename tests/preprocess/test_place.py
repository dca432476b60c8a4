"""Laying a motion onto a photo: what follows from poses that are known already."""

from dataclasses import replace

import numpy as np
import pytest
from preprocess.skeletons import standing

from xdyna.config import AnimationSettings
from xdyna.preprocess.find import Subject
from xdyna.preprocess.place import place, place_again
from xdyna.preprocess.pose import LEFT_KNEE, LEFT_WRIST, NECK, NOSE, RIGHT_KNEE, concatenate
from xdyna.schema import Motion, Person

SETTINGS = AnimationSettings(height=224, width=128, num_frames=8, fps=8)
PHOTO = np.full((448, 256, 3), 90, np.uint8)
ANNA = Person(id=1, box=(0, 0, 256, 448), score=1)


def subject():
    return Subject(pose=standing(448, 256), people=(ANNA,), person=1)


def motion(num_frames=8, **changes):
    """Somebody of the photo's proportions, half as large again, who sways; the face is a spot at the nose."""
    matrices = [np.array([[1.5, 0, 100 + 10 * np.sin(k)], [0, 1.5, 40]]) for k in range(num_frames)]
    pose = concatenate([standing(448, 256).transformed(matrix) for matrix in matrices])
    faces = np.repeat(pose.body[:, [NOSE]], 68, axis=1)
    boxes = np.concatenate([pose.body.min(axis=1), pose.body.max(axis=1)], axis=1)
    facts = {
        "pose": pose,
        "face_landmarks": faces,
        "boxes": boxes,
        "frame_size": (720, 640),
        "picture": (0, 0, 640, 720),
        "fps": 8.0,
    }
    return Motion(**(facts | {"people": (ANNA,), "person": 1} | changes))


def placed(settings=SETTINGS, **changes):
    return place(PHOTO, subject(), motion(**changes), settings)


def ids(conditions):
    return [check.id for check in conditions.checks]


def test_body_face_and_box_land_on_the_photos_person():
    conditions = placed()
    assert conditions.alignment[0, 0] == pytest.approx(1 / 3, rel=0.01)  # photo to canvas 1/2, driver 1.5 times larger
    frame = 0
    assert conditions.pose.body[frame, NECK] == pytest.approx(conditions.reference_pose.body[0, NECK], abs=3)
    assert conditions.face_landmarks[frame, 30] == pytest.approx(conditions.pose.body[frame, NOSE], abs=0.01)
    body = conditions.pose.body[frame]
    assert conditions.boxes[frame] == pytest.approx([*body.min(axis=0), *body.max(axis=0)], abs=0.01)


def test_masks_are_coarse_and_lie_on_the_bodies():
    conditions = placed()
    assert conditions.person_masks.shape == (8, 28, 16) and conditions.reference_person_mask.shape == (28, 16)
    for mask, body in (
        (conditions.person_masks[0], conditions.pose.body[0]),
        (conditions.reference_person_mask, None),
    ):
        x, y = ((conditions.reference_pose.body[0] if body is None else body)[NECK] / 8).astype(int)
        assert mask[y, x] > 0.9
        assert mask[0, 0] < 0.1


def test_nothing_is_said_about_a_pair_that_fits():
    assert ids(placed()) == []


@pytest.mark.parametrize(
    ("settings", "moved"),
    [
        ({"nudge_x": 0.1}, lambda points: points + np.array([12.8, 0])),
        ({"nudge_y": -0.25}, lambda points: points + np.array([0, -56])),
        ({"nudge_zoom": 1.5}, lambda points: 1.5 * (points - [63.5, 111.5]) + [63.5, 111.5]),
    ],
)
def test_a_nudge_moves_body_hands_and_face_together(settings, moved):
    plain, nudged = placed(), placed(replace(SETTINGS, **settings))
    for name in ("body", "hands"):
        assert getattr(nudged.pose, name) == pytest.approx(moved(getattr(plain.pose, name)), abs=0.05)
    assert nudged.face_landmarks == pytest.approx(moved(plain.face_landmarks), abs=0.05)
    assert np.array_equal(nudged.reference_pose.body, plain.reference_pose.body)


@pytest.mark.parametrize("change", [{"nudge_x": 0.2, "nudge_zoom": 0.8}, {"retarget": True}, {}])
def test_placing_again_is_placing(change):
    settings = replace(SETTINGS, **change)
    again, anew = place_again(placed(), settings), placed(settings)
    assert again.pose.body == pytest.approx(anew.pose.body, abs=0.01)
    assert again.alignment == pytest.approx(anew.alignment, abs=1e-3)
    assert ids(again) == ids(anew)


def test_retargeting_gives_the_photos_proportions():
    long_legs = motion()
    long_legs.pose.body[:, [RIGHT_KNEE, LEFT_KNEE, 10, 13], 1] += 80
    plain = place(PHOTO, subject(), long_legs, SETTINGS)
    assert "proportions" in ids(plain)
    fix = next(check.fix for check in plain.checks if check.id == "proportions")
    fitted = place_again(plain, replace(SETTINGS, **fix.settings))
    assert "proportions" not in ids(fitted)

    def thigh(pose):
        return np.linalg.norm(pose.body[0, RIGHT_KNEE] - pose.body[0, 8]).item()

    assert thigh(plain.pose) > 1.2 * thigh(plain.reference_pose)
    assert thigh(fitted.pose) == pytest.approx(thigh(fitted.reference_pose), rel=0.02)
    assert np.array_equal(fitted.pose.body[:, NOSE], plain.pose.body[:, NOSE])


@pytest.mark.parametrize(
    ("changes", "settings", "expected"),
    [
        pytest.param({"people": (ANNA, replace(ANNA, id=2))}, {}, ["people-clip"], id="somebody else in the clip"),
        pytest.param({"face_landmarks": np.full((8, 68, 2), np.nan, np.float32)}, {}, ["face-missing"], id="no face"),
        pytest.param({"people": (replace(ANNA, score=0.6),)}, {}, ["unsure-clip"], id="a cartoon"),
        pytest.param({"cuts": (3,)}, {}, ["cuts"], id="a cut"),
        pytest.param({"camera_speed": 0.2}, {}, ["camera"], id="a pan"),
        pytest.param({"clip_s": 9.0}, {}, ["long"], id="a long clip"),
        pytest.param({"has_pictures": False}, {}, ["motion-file"], id="a motion file"),
        pytest.param({}, {"num_frames": 16}, ["short"], id="a short clip"),
        pytest.param({}, {"nudge_x": 0.5, "nudge_zoom": 2.0}, ["leaves"], id="nudged out of the picture"),
        pytest.param({}, {"height": 1344, "width": 768}, ["resolution"], id="a photo of few pixels"),
    ],
)
def test_checks_look_at_the_right_numbers(changes, settings, expected):
    assert ids(placed(replace(SETTINGS, **settings), **changes)) == expected


@pytest.mark.parametrize("left", [0, 150, 600])
def test_the_crop_goes_to_the_person(left):
    """A photo wider than the video, with the person at the side: they come to lie where a photo of them alone puts
    them."""
    wide = np.full((448, 856, 3), 90, np.uint8)
    beside = np.array([[1, 0, left], [0, 1, 0]])
    person = replace(ANNA, box=(left, 0, left + 256, 448))
    found = place(
        wide, Subject(pose=standing(448, 256).transformed(beside), people=(person,), person=1), motion(), SETTINGS
    )
    assert found.reference_pose.body == pytest.approx(placed().reference_pose.body, abs=0.6)
    assert ids(found) == []
    again = place_again(found, replace(SETTINGS, nudge_x=0.1))
    assert again.reference_pose.body == pytest.approx(found.reference_pose.body, abs=0.01)


def test_warnings_come_before_remarks():
    conditions = placed(cuts=(3,), clip_s=9.0, people=(ANNA, replace(ANNA, id=2)))
    assert [check.severity for check in conditions.checks] == ["warning", "info", "info"]


def test_legs_that_only_the_clip_shows_are_told():
    half = subject()
    half.pose.body[0, [8, 9, 10, 11, 12, 13]] = np.nan
    assert "coverage" in ids(place(PHOTO, half, motion(), SETTINGS))


def test_the_hash_is_of_the_content():
    one, same, other = placed(), placed(), placed(replace(SETTINGS, nudge_x=0.01))
    assert one.content_hash == same.content_hash != other.content_hash
    assert replace(one, sound=b"la").content_hash != one.content_hash
    assert replace(one, clip=[np.zeros((2, 2, 3), np.uint8)]).content_hash != one.content_hash
    assert replace(one, checks=(), seconds={"a": 1.0}).content_hash == one.content_hash


def test_a_hand_that_is_not_seen_stays_unseen():
    changed = motion()
    changed.pose.body[2, LEFT_WRIST] = np.nan
    changed.pose.hands[2, 1] = np.nan
    assert np.isnan(place(PHOTO, subject(), changed, SETTINGS).pose.hands[2, 1]).all()
