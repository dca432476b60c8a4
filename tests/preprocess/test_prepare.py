import json
import math
import os
import pickle
import threading
from dataclasses import replace

import cv2
import numpy as np
import PIL.Image
import pytest
import skimage.data

from xdyna.animate import place_again, prepare
from xdyna.config import AnimationSettings
from xdyna.preprocess.controls import draw_controls
from xdyna.preprocess.draw import draw_pose
from xdyna.preprocess.face import face_patches
from xdyna.preprocess.motion_file import SUFFIX, save_motion
from xdyna.preprocess.pose import LEFT_SHOULDER, NOSE, RIGHT_SHOULDER
from xdyna.schema import Conditions, InputError, Progress, Video
from xdyna.video import write_video

SMALL = AnimationSettings(height=224, width=128, num_frames=6, fps=8)


def save_photo(path, rgb):
    PIL.Image.fromarray(rgb).save(path, format="PNG")
    return path


def save_clip(path, matrices, size=(480, 640), picture=None):
    """The astronaut (or another picture) moved by one (2, 3) matrix a frame, 8 frames a second."""
    picture = skimage.data.astronaut() if picture is None else picture
    frames = np.stack([cv2.warpAffine(picture, np.asarray(matrix, np.float64), size[::-1]) for matrix in matrices])
    write_video(path, Video(frames=frames, fps=8.0))
    return path


def swaying(num_frames=6, scale=0.7):
    return [[[scale, 0, 120 + 12 * math.sin(k)], [0, scale, 60]] for k in range(num_frames)]


AWAY = [[1, 0, 5000], [0, 1, 0]]


def open_files():
    """How many files this process holds open; 0 where the system does not tell."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def ids(conditions):
    return [check.id for check in conditions.checks]


def message(conditions, name):
    (found,) = (check.message for check in conditions.checks if check.id == name)
    return found


def run(photo, clip, settings=SMALL):
    *progress, conditions = prepare(photo, clip, settings)
    assert isinstance(conditions, Conditions)
    return progress, conditions


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("prepare")


@pytest.fixture(scope="module")
def photo(folder):
    return save_photo(folder / "photo.png", skimage.data.astronaut())


@pytest.fixture(scope="module")
def prepared(folder, photo):
    return run(photo, save_clip(folder / "clip.mp4", swaying()))


def test_conditions_have_the_settings_size_and_rate(prepared):
    _, conditions = prepared
    assert conditions.driving_frames.shape == (6, 224, 128, 3)
    assert (conditions.num_frames, conditions.fps, conditions.size) == (6, 8.0, (224, 128))
    assert conditions.reference_image.shape == (512, 512, 3)
    assert len(conditions.reference_pose) == 1
    assert len(conditions.pose) == len(conditions.face_landmarks) == 6
    assert ids(conditions) == ["camera"]  # the whole picture sways


def test_the_clip_can_be_read_again_whole_by_whoever_wants_it(prepared):
    _, conditions = prepared
    for _ in range(2):
        assert [frame.shape for frame in conditions.clip] == [(480, 640, 3)] * 6
    assert place_again(conditions, replace(SMALL, nudge_x=0.1)).clip is conditions.clip
    assert len(list(pickle.loads(pickle.dumps(conditions)).clip)) == 6  # a borrowed GPU is another process


def test_the_driver_lies_on_the_person_of_the_photo(prepared):
    """Photo and clip show the same person: moved to the canvas, both coincide in the aligned frame."""
    _, conditions = prepared
    expected_scale = 224 / 512 / 0.7
    assert conditions.alignment[0, 0] == pytest.approx(expected_scale, rel=0.06)
    assert conditions.alignment[0, 1] == conditions.alignment[1, 0] == 0
    distance = np.linalg.norm(conditions.pose.body - conditions.reference_pose.body, axis=-1)
    joints = [NOSE, RIGHT_SHOULDER, LEFT_SHOULDER]
    assert distance[:, joints].mean(axis=1).min() < 4


def test_the_face_is_found_on_the_frames_as_read_not_on_the_canvas(prepared):
    _, conditions = prepared
    assert np.isfinite(conditions.face_landmarks).all()
    nose = conditions.face_landmarks[:, 30]
    assert np.linalg.norm(nose - conditions.pose.body[:, NOSE], axis=-1).max() < 6
    local, head = face_patches(conditions.driving_frames, conditions.face_landmarks)
    assert all(frame.any() for clip in (local, head) for frame in clip)
    assert all(frame.any() for frame in draw_pose(conditions.pose, conditions.size))


def test_progress_names_its_phases_and_counts(prepared):
    progress, _ = prepared
    assert all(isinstance(event, Progress) and 0 <= event.step <= event.total for event in progress)
    phases = list(dict.fromkeys(event.phase for event in progress))
    assert phases == [
        "Reading the photo",
        "Reading the clip",
        "Finding people",
        "Body and hands, face",
        "Laying the clip on the photo",
    ]
    for phase in phases[2:]:
        steps = [(event.step, event.total) for event in progress if event.phase == phase]
        assert steps == [(k, 6) for k in range(7)]


def test_what_was_found_is_not_looked_for_again(folder, photo, prepared):
    """Another nudge of the same files moves the pose and skips the detectors; a renamed copy is the same file."""
    copy = folder / "renamed.mp4"
    copy.write_bytes((folder / "clip.mp4").read_bytes())
    progress, nudged = run(photo, copy, replace(SMALL, nudge_x=0.25))
    assert {event.phase for event in progress}.isdisjoint({"Finding people", "Body and hands, face"})
    _, plain = prepared
    assert nudged.pose.body == pytest.approx(plain.pose.body + np.array([32, 0]), abs=0.01, nan_ok=True)
    moved, before = nudged.driving_frames[:, :, 32:], plain.driving_frames[:, :, :-32]
    assert np.abs(moved.astype(int) - before).mean() < 1


def test_another_part_of_the_clip_is_looked_at(folder, photo, prepared):
    progress, conditions = run(photo, folder / "clip.mp4", replace(SMALL, start_s=0.25, num_frames=4))
    assert "Finding people" in {event.phase for event in progress}
    assert conditions.motion.start_s == 0.25


def test_a_motion_file_drives_like_its_clip_without_the_face_pictures(folder, photo, prepared):
    _, from_clip = prepared
    path = folder / f"sway{SUFFIX}"
    save_motion(path, from_clip.motion)
    _, conditions = run(photo, path)
    assert np.array_equal(conditions.pose.body, from_clip.pose.body, equal_nan=True)
    assert np.array_equal(conditions.face_landmarks, from_clip.face_landmarks, equal_nan=True)
    assert not conditions.driving_frames.any()
    controls = draw_controls(conditions)
    assert controls.pose.any() and not controls.face_local.any() and not controls.face_global.any()
    assert ids(conditions) == ["camera", "motion-file"]


def test_a_damaged_motion_file_is_refused(folder, photo):
    path = folder / f"damaged{SUFFIX}"
    path.write_bytes(b"not a motion")
    with pytest.raises(InputError, match="not a motion file"):
        run(photo, path)


def test_how_long_each_stage_took_is_told(prepared):
    progress, conditions = prepared
    phases = dict.fromkeys(event.phase for event in progress)
    assert list(conditions.seconds) == [phase for phase in phases if phase != "Reading the clip"]
    assert all(spent > 0 for spent in conditions.seconds.values())


def test_a_short_clip_is_used_and_told(folder, photo, prepared):
    settings = AnimationSettings(height=224, width=128, num_frames=16, fps=8)
    _, conditions = run(photo, folder / "clip.mp4", settings)
    assert "The clip gives 6 of the 16 frames asked for" in message(conditions, "short")


def test_a_person_who_leaves_leaves_no_ghost(folder, photo):
    clip = save_clip(folder / "leaves.mp4", [*swaying(4), AWAY, AWAY, AWAY])
    _, conditions = run(photo, clip, AnimationSettings(height=224, width=128, num_frames=7, fps=8))
    assert "Nobody is visible in the clip from 0.5 s on (3 of 7 frames)" in message(conditions, "pose-lost")
    assert not draw_pose(conditions.pose, conditions.size)[4:].any()
    assert np.isnan(conditions.face_landmarks[4:]).all()


def test_a_hidden_face_is_told(folder, photo):
    hidden = skimage.data.astronaut().copy()
    hidden[60:200, 160:290] = (120, 90, 80)
    frames = np.stack([skimage.data.astronaut()] * 4 + [hidden] * 2)
    write_video(folder / "hidden.mp4", Video(frames=frames, fps=8.0))
    _, conditions = run(photo, folder / "hidden.mp4")
    assert "Face not found in 2 of 6 frames" in message(conditions, "face-missing")
    assert conditions.frames_without_face.tolist() == [4, 5]
    assert np.isfinite(conditions.face_landmarks[:4]).all()
    assert np.isnan(conditions.face_landmarks[4:]).all()


def test_several_people_are_told(folder, prepared):
    one = skimage.data.astronaut()[:, 60:400]
    photo = save_photo(folder / "three.png", np.hstack([one, one, one]))
    wide = replace(SMALL, width=432, height=216)
    _, conditions = run(photo, folder / "clip.mp4", wide)
    assert len(conditions.photo_people) == 3
    assert "3 people found in the photo; number 1 is animated." in message(conditions, "people-photo")
    (fix,) = (check.fix for check in conditions.checks if check.id == "people-photo")
    _, other = run(photo, folder / "clip.mp4", replace(wide, **fix.settings))
    assert (conditions.photo_person, other.photo_person) == (1, 2)
    assert abs(other.reference_pose.body[0, NOSE, 0] - conditions.reference_pose.body[0, NOSE, 0]) > 100


def test_whoever_is_chosen_is_shown_whole_in_a_video_of_another_shape(folder, prepared):
    photo = folder / "three.png"
    for person in (1, 2, 3):
        _, conditions = run(photo, folder / "clip.mp4", replace(SMALL, photo_person=str(person)))
        assert len(conditions.photo_people) == 3
        assert "3 people found in the photo" in message(conditions, "people-photo")
        assert 40 < conditions.reference_pose.body[0, NOSE, 0] < 88  # of 128


def test_a_person_at_the_side_of_a_wide_photo(folder, prepared):
    side = np.hstack([np.full((512, 1500, 3), 90, np.uint8), skimage.data.astronaut()])
    _, conditions = run(save_photo(folder / "side.png", side), folder / "clip.mp4")
    assert np.isfinite(conditions.reference_pose.body[0, NOSE]).all()
    assert 30 < conditions.reference_pose.body[0, NOSE, 0] < 98


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        pytest.param(skimage.data.coffee(), r"less than about \d+ pixels high in these 600 x 400", id="coffee"),
        pytest.param(skimage.data.chelsea(), "No person found in the photo", id="cat"),
    ],
)
def test_photos_without_a_usable_person_are_refused(folder, prepared, picture, message):
    photo = save_photo(folder / "refused.png", picture)
    with pytest.raises(InputError, match=message):
        run(photo, folder / "clip.mp4")


@pytest.mark.parametrize("num_visible", [0, 1])
def test_clips_without_a_person_are_refused(folder, photo, num_visible):
    clip = save_clip(folder / "nobody.mp4", [*swaying(num_visible), *[AWAY] * (6 - num_visible)])
    with pytest.raises(InputError, match="No person found in the clip"):
        run(photo, clip)


@pytest.mark.parametrize(
    "phase", ["Reading the clip", "Finding people", "Body and hands, face", "Laying the clip on the photo"]
)
def test_closing_stops_and_leaves_nothing(folder, photo, prepared, phase):
    threads, files = threading.active_count(), open_files()
    work = prepare(photo, folder / "clip.mp4", SMALL)
    for event in work:
        if isinstance(event, Progress) and event.phase == phase:
            break
    work.close()
    with pytest.raises(StopIteration):
        next(work)
    assert threading.active_count() <= threads
    assert open_files() <= files


def test_collection_of_odd_inputs(test_data, photo, tmp_path):
    """Every clip and photo of the collection ends in conditions or in plain words; nobody is invented."""
    bad = test_data / "bad"
    for entry in json.loads((bad / "manifest.json").read_text())["entries"]:
        if "upload_as" in entry:
            continue
        path, is_clip = bad / entry["file"], entry["slot"] == "driving_video"
        try:
            run(photo if is_clip else path, path if is_clip else bad / "names" / "base.mp4", SMALL)
        except InputError as error:
            assert not entry["expect"].startswith("accept"), (path.name, error)
        else:
            assert entry["expect"] != "reject", path.name
