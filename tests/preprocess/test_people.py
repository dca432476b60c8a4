import cv2
import numpy as np
import pytest
import skimage.data

from xdyna.photo import read_photo
from xdyna.preprocess.blazepose import Body, Region
from xdyna.preprocess.people import Seen, choose, find_people, overlap, same_person
from xdyna.preprocess.pose import LEFT_HIP, NECK, RIGHT_HIP, MediaPipePose
from xdyna.schema import InputError, Person
from xdyna.world import render_clip


def group(seeds, height):
    """Rendered people of a given height in one picture on grey, and the boxes of their true joints."""
    width = height * 4 // 7
    canvas = np.full((672, 672, 3), 120, np.uint8)
    boxes = []
    for k, seed in enumerate(seeds):
        clip = render_clip(seed, num_frames=1, height=height, width=width)
        x, y = 10 + k * width, 40
        canvas[y : y + height, x : x + width] = clip.frames[0]
        joints = clip.pose.body[0][clip.pose.body_scores[0] > 0] + [x, y]
        boxes.append([*joints.min(axis=0), *joints.max(axis=0)])
    return canvas, boxes


@pytest.mark.parametrize("height", [500, 220])
def test_everybody_is_found_at_any_size(height):
    picture, boxes = group((202, 203), height)
    people = find_people(picture)
    assert [person.id for person in people] == [1, 2]
    for box in boxes:
        assert max(overlap(person.box, box) for person in people) > 0.4


@pytest.mark.parametrize("picture", [skimage.data.coffee(), skimage.data.chelsea()], ids=["coffee", "cat"])
def test_nobody_is_found_where_nobody_is(picture):
    assert find_people(picture) == ()


def test_a_portrait():
    (person,) = find_people(skimage.data.astronaut())
    left, top, right, bottom = person.box
    assert left < 190 < 260 < right and top < 60 and bottom > 300
    assert 0.5 <= person.score <= 1


def test_a_couple_side_by_side_is_two_people():
    """Cut at the waist and touching: each of them once, in a box of their own that begins at the hair."""
    one = skimage.data.astronaut()[:, 60:380]
    people = find_people(np.hstack([one, one[:, ::-1]]))
    assert len(people) == 2
    for nose in ((165, 125), (475, 125)):
        (box,) = (person.box for person in people if person.box[0] < nose[0] - 60 and nose[0] + 60 < person.box[2])
        assert box[1] < nose[1] - 60


@pytest.mark.parametrize(("apart", "same"), [(0.02, True), (0.1, True), (0.2, False), (0.6, False)])
def test_two_heads_are_two_people_however_much_the_bodies_overlap(apart, same):
    """Torsos that lie 0.4 of their length apart and nearly equal boxes; only the heads tell."""

    def seen(shift, head):
        landmarks = np.ones((33, 3), np.float32)
        landmarks[:11, :2], landmarks[[11, 12], :2] = (200 + head, 60), ((150 + shift, 120), (250 + shift, 120))
        landmarks[[23, 24], :2] = (170 + shift, 320), (230 + shift, 320)
        return Seen((100 + shift, 20, 300 + shift, 420), 0.9, Body(landmarks, Region(200, 320, 700)))

    assert same_person(seen(0, 0), seen(80, 200 * apart)) == same


@pytest.mark.parametrize("number", [1, 2])
def test_hips_of_a_body_cut_at_the_waist_are_not_pulled_into_the_picture(test_data, number):
    """They are where they are in the whole photo; squeezed ones lie up to half a torso too high."""
    whole = read_photo(next((test_data / "real" / "xdyna").glob(f"example_{number}.*g")))
    upper = np.ascontiguousarray(whole[: int(0.62 * len(whole))])
    pose, cut = (next(MediaPipePose(tracking=False)([picture])).body[0] for picture in (whole, upper))
    torso = np.linalg.norm(pose[[RIGHT_HIP, LEFT_HIP]].mean(axis=0) - pose[NECK])
    for joint in (NECK, RIGHT_HIP, LEFT_HIP):
        assert np.linalg.norm(cut[joint] - pose[joint]) < 0.25 * torso


def test_the_larger_person_comes_first():
    large, _ = group((202,), 600)
    small = cv2.resize(group((203,), 600)[0][40:640, 10:352], None, fx=0.4, fy=0.4)
    large[:240, -small.shape[1] :] = small[:240]
    people = find_people(large)
    assert len(people) == 2
    assert people[0].box[3] - people[0].box[1] > 1.5 * (people[1].box[3] - people[1].box[1])


PEOPLE = (
    Person(id=1, box=(0, 0, 100, 200), score=0.9),
    Person(id=2, box=(150, 0, 250, 200), score=0.8),
)


@pytest.mark.parametrize(
    ("choice", "id"), [("auto", 1), ("1", 1), ("2", 2), ("160,20,240,190", 2), ("80, 0, 160, 200", 1)]
)
def test_choosing(choice, id):
    assert choose(PEOPLE, choice).id == id


@pytest.mark.parametrize("choice", ["3", "300,0,400,100", "left one", "0", "10,10,5,5"])
def test_a_wrong_choice_says_who_is_there(choice):
    with pytest.raises(InputError, match=r"1 at 0,0,100,200; 2 at 150,0,250,200"):
        choose(PEOPLE, choice)


def test_nobody_to_choose_from():
    with pytest.raises(InputError, match="No person"):
        choose((), "auto")


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1),
        ((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3),
        ((0, 0, 2, 2), (2, 0, 3, 2), 0),
        ((np.nan,) * 4, (0, 0, 1, 1), 0),
    ],
)
def test_overlap(a, b, share):
    assert overlap(a, b) == pytest.approx(share)
