"""Each check on both sides of its threshold."""

import numpy as np
import pytest

from xdyna.config import AnimationSettings
from xdyna.preprocess import checks, checks_posture
from xdyna.schema import Person

BESIDE, BEFORE = (Person(id=2, box=(x, 0, x + 9, 9), score=1) for x in (7, 6))
ANNA, BERT = (Person(id=k, box=(0, 0, 9, 9), score=1) for k in (1, 2))


def seen(text):
    """`(num_frames,)` bool from a drawing: x where somebody is seen."""
    return np.array([letter == "x" for letter in text])


QUIET = [
    pytest.param(checks.several_people("photo", [ANNA], 1), id="one person"),
    pytest.param(checks.several_people("clip", [ANNA, BERT], None), id="people were not counted"),
    pytest.param(checks.hidden_head(True), id="head in the photo"),
    pytest.param(checks.unsure("photo", 0.7), id="sure enough"),
    pytest.param(checks.small_head(28.0), id="head large enough"),
    pytest.param(checks.small_head(float("nan")), id="head hidden"),
    pytest.param(checks.coverage(True, 1.0), id="legs in both"),
    pytest.param(checks.coverage(False, 0.0), id="legs in neither"),
    pytest.param(checks.coverage(False, 0.5), id="legs in half of the clip"),
    pytest.param(checks.coverage(True, 0.1), id="legs in a tenth of the clip"),
    pytest.param(checks.nothing_in_common(True), id="aligned"),
    pytest.param(checks.small_in_clip(3.0), id="magnified 3 times"),
    pytest.param(checks.small_photo(2.0), id="photo magnified twice"),
    pytest.param(checks.rotation(20.0), id="leans 20 degrees"),
    pytest.param(checks.rotation(-20.0), id="leans 20 degrees the other way"),
    pytest.param(checks.rotation(float("nan")), id="lean unknown"),
    pytest.param(checks_posture.lying(50.0, 90.0), id="bows"),
    pytest.param(checks_posture.lying(90.0, 20.0), id="both lie"),
    pytest.param(checks_posture.lying(float("nan"), float("nan")), id="torso hidden"),
    pytest.param(checks_posture.from_behind(False, False), id="both from the front"),
    pytest.param(checks_posture.from_behind(True, True), id="both from behind"),
    pytest.param(checks_posture.entangled([ANNA], 1), id="alone"),
    pytest.param(checks_posture.entangled([ANNA, BERT], None), id="photo's people were not counted"),
    pytest.param(checks_posture.entangled([ANNA, BESIDE], 1), id="shoulder to shoulder"),
    pytest.param(checks.proportions({"thigh": 1.33, "forearm": 0.75}, False), id="limbs nearly alike"),
    pytest.param(checks.proportions({"thigh": 1.34}, True), id="retargeted already"),
    pytest.param(checks.proportions({"shoulder": 0.5}, False), id="turned shoulders"),
    pytest.param(checks.proportions({}, False), id="no limbs"),
    pytest.param(checks.better_start(0.29, 0, 9, 8.0, 0.0), id="hardly better start"),
    pytest.param(checks.better_start(0.9, 1, 3, 8.0, 0.0), id="better start at once"),
    pytest.param(checks.better_start(0.9, None, None, 8.0, 0.0), id="start unknown"),
    pytest.param(checks.missing_faces(0, 0, 0, 16), id="all faces"),
    pytest.param(checks.lost_pose(seen("xxxx"), 8.0, 0.0), id="seen throughout"),
    pytest.param(checks.cuts((), 16, 8.0, 0.0), id="one shot"),
    pytest.param(checks.moving_camera(0.03), id="camera hardly moves"),
    pytest.param(checks.short_clip(16, 16), id="all frames asked for"),
    pytest.param(checks.long_clip(2.5, 2.0, 0.0, 8.0, 600), id="a little longer"),
    pytest.param(checks.long_clip(None, 2.0, 0.0, 8.0, 600), id="length unknown"),
    pytest.param(checks.long_clip(12.5, 2.0, 10.0, 8.0, 600), id="rest after a late start"),
    pytest.param(checks.leaves_picture(0, 16), id="stays in the picture"),
    pytest.param(checks.no_pictures(False), id="a clip"),
]


@pytest.mark.parametrize("check", QUIET)
def test_nothing_is_said_where_all_is_well(check):
    assert check is None


STRIKING = [
    pytest.param(
        checks.unsure("clip", 0.59),
        ("unsure-clip", "warning", "The person in the clip was recognised with only 59% confidence"),
        None,
        id="cartoon",
    ),
    pytest.param(
        checks.small_head(20.0),
        ("face-photo", "warning", "The head in the photo is only 20 pixels wide"),
        None,
        id="tiny head",
    ),
    pytest.param(
        checks.several_people("photo", [ANNA, BERT], 1),
        ("people-photo", "info", "2 people found in the photo; number 1 is animated."),
        {"photo_person": "2"},
        id="two in the photo",
    ),
    pytest.param(
        checks.several_people("clip", [ANNA, BERT], 2),
        ("people-clip", "info", "2 people found in the clip; number 2 drives."),
        {"clip_person": "1"},
        id="two in the clip",
    ),
    pytest.param(
        checks.hidden_head(False),
        ("head-photo", "warning", "The head is not visible in the photo"),
        None,
        id="headless",
    ),
    pytest.param(
        checks.coverage(False, 0.51),
        ("coverage", "warning", "The clip shows legs, the photo does not: legs will be invented."),
        None,
        id="legs in the clip only",
    ),
    pytest.param(
        checks.coverage(True, 0.09),
        ("coverage", "warning", "The photo shows legs, the clip does not"),
        None,
        id="legs in the photo only",
    ),
    pytest.param(
        checks.nothing_in_common(False), ("alignment", "warning", "no common part of the body"), None, id="not aligned"
    ),
    pytest.param(checks.small_in_clip(3.1), ("scale", "warning", "magnified 3.1 times"), None, id="small driver"),
    pytest.param(checks.small_photo(2.1), ("resolution", "warning", "magnified 2.1 times"), None, id="small photo"),
    pytest.param(checks.rotation(21.0), ("rotation", "warning", "leans 21°"), None, id="leans"),
    pytest.param(checks.rotation(-21.0), ("rotation", "warning", "leans 21°"), None, id="leans the other way"),
    pytest.param(
        checks_posture.lying(-51.0, -51.0),
        ("lying", "warning", "lies across the picture"),
        None,
        id="lies in the photo",
    ),
    pytest.param(
        checks_posture.from_behind(True, False),
        ("from-behind", "warning", "The photo shows the person from behind, the clip from the front"),
        None,
        id="photo from behind",
    ),
    pytest.param(
        checks_posture.from_behind(False, True),
        ("from-behind", "warning", "The clip shows the person from behind, the photo from the front"),
        None,
        id="clip from behind",
    ),
    pytest.param(
        checks_posture.entangled([ANNA, BEFORE], 1),
        ("entangled", "warning", "Persons 1 and 2 of the photo overlap"),
        None,
        id="one before the other",
    ),
    pytest.param(
        checks.proportions({"thigh": 1.34, "forearm": 0.7}, False),
        ("proportions", "warning", "the forearm is 70% as long in the photo as in the clip"),
        {"retarget": True},
        id="other limbs; the oddest is named",
    ),
    pytest.param(
        checks.better_start(0.3, 1, 4, 8.0, 1.0),
        ("start", "info", "At 1.5 s the posture in the clip is much more like the photo's."),
        {"start_s": 1.5},
        id="better start",
    ),
    pytest.param(
        checks.missing_faces(1, 0, 7, 16),
        ("face-missing", "warning", "in 8 of 16 frames (1 turned away, 7 hidden, blurred or not recognised)"),
        None,
        id="half of the faces",
    ),
    pytest.param(
        checks.missing_faces(0, 9, 0, 16),
        ("face-missing", "warning", "in 9 of 16 frames (9 too small)"),
        {"controlnet_face_scale": 0.0},
        id="most faces",
    ),
    pytest.param(
        checks.missing_faces(3, 0, 0, 16), ("face-missing", "info", "(3 turned away)"), None, id="only turned away"
    ),
    pytest.param(
        checks.lost_pose(seen("xxxxxxxx...."), 8.0, 2.0),
        ("pose-lost", "warning", "Nobody is visible in the clip from 3.0 s on (4 of 12 frames)"),
        {"start_s": 2.0, "num_frames": 8},
        id="leaves at the end",
    ),
    pytest.param(
        checks.lost_pose(seen("xx.xxxxxxxxx"), 8.0, 0.0),
        ("pose-lost", "warning", "in 1 of 12 frames"),
        {"start_s": 0.375, "num_frames": 9},
        id="lost between",
    ),
    pytest.param(
        checks.lost_pose(seen("xxx.xxxx"), 8.0, 0.0),
        ("pose-lost", "warning", "in 1 of 8 frames"),
        None,
        id="no part is long enough",
    ),
    pytest.param(
        checks.lost_pose(seen("...."), 8.0, 0.0), ("pose-lost", "warning", "4 of 4 frames"), None, id="never seen"
    ),
    pytest.param(
        checks.cuts((4,), 16, 8.0, 1.0),
        ("cuts", "warning", "cuts to another shot at 1.5 s"),
        {"start_s": 1.5, "num_frames": 12},
        id="a cut; the longest shot is offered",
    ),
    pytest.param(
        checks.cuts((2, 4, 6, 8, 10), 12, 8.0, 0.0),
        ("cuts", "warning", "at 0.2 s, 0.5 s, 0.8 s, 1.0 s, …"),
        None,
        id="many cuts",
    ),
    pytest.param(checks.moving_camera(0.031), ("camera", "warning", "The camera of the clip moves"), None, id="pan"),
    pytest.param(checks.short_clip(15, 16), ("short", "info", "15 of the 16 frames"), None, id="short"),
    pytest.param(
        checks.long_clip(14.0, 2.0, 4.0, 8.0, 600),
        ("long", "info", "The clip lasts 14.0 s; 2.0 s from 4.0 s on are used."),
        {"num_frames": 80},
        id="long",
    ),
    pytest.param(
        checks.long_clip(3600.0, 2.0, 0.0, 8.0, 600),
        ("long", "info", "The clip lasts 3600.0 s"),
        {"num_frames": 600},
        id="longer than can be made",
    ),
    pytest.param(
        checks.leaves_picture(1, 16), ("leaves", "warning", "leaves the picture in 1 of 16 frames"), None, id="leaves"
    ),
    pytest.param(
        checks.no_pictures(True),
        ("motion-file", "info", "no pictures of the driver"),
        {"controlnet_face_scale": 0.0},
        id="motion file",
    ),
]


@pytest.mark.parametrize(("check", "said", "fix"), STRIKING)
def test_a_check_says_what_was_found_and_offers_what_can_be_done(check, said, fix):
    name, severity, part = said
    assert (check.id, check.severity) == (name, severity)
    assert part in check.message
    assert (None if check.fix is None else dict(check.fix.settings)) == fix


@pytest.mark.parametrize(("check", "said", "fix"), STRIKING)
def test_a_check_is_one_or_two_full_sentences_and_its_fix_is_a_valid_setting(check, said, fix):
    assert check.message[0] == check.message[0].upper() and check.message.endswith(".")
    assert len(check.message) < 260
    if check.fix:
        AnimationSettings(**check.fix.settings)
        assert len(check.fix.label) < 45
