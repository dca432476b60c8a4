import numpy as np
import pytest

from xdyna.preprocess.people import overlap
from xdyna.preprocess.tracks import PeopleTracker, track_people
from xdyna.world import render_clip

FPS = 8.0


@pytest.fixture(scope="module")
def couple():
    """Two people side by side for 3 s, (24, 448, 512, 3), and the boxes of their true joints."""
    clips = [render_clip(seed, num_frames=24, height=448, width=256, fps=FPS) for seed in (202, 203)]
    boxes = []
    for clip, x in zip(clips, (0, 256), strict=True):
        joints = np.clip(clip.pose.body, 0, (255, 447)) + np.array([x, 0])
        boxes.append(np.concatenate([joints.min(axis=1), joints.max(axis=1)], axis=1))
    return np.concatenate([clip.frames for clip in clips], axis=2), boxes


def test_both_are_followed_from_beginning_to_end(couple):
    frames, true_boxes = couple
    cast = track_people(frames, FPS)
    assert [person.id for person in cast.people] == [1, 2]
    assert cast.cuts == ()
    assert cast.num_frames == len(frames)
    for truth in true_boxes:
        shares = [np.mean([overlap(a, b) for a, b in zip(t.boxes, truth, strict=True)]) for t in cast.tracks]
        assert max(shares) > 0.5
        assert min(shares) < 0.3  # no hopping between the two
    for track in cast.tracks:
        assert cast.track(track.person.id) is track
        assert np.isfinite(track.boxes).all()
        assert track.boxes[track.person.frame] == pytest.approx(track.person.box, abs=0.5)


def test_who_is_hidden_for_a_moment_is_the_same_person(couple):
    frames = couple[0].copy()
    for k in range(4, 20):  # a board slides in front of one of them and back
        frames[k, 60:, 30 : 30 + 49 * min(k - 3, 20 - k, 4)] = 90
    cast = track_people(frames, FPS)
    assert len(cast.tracks) == 2


def test_a_cut_ends_a_track():
    shots = [render_clip(seed, num_frames=8, height=448, width=256, fps=FPS).frames for seed in (202, 203)]
    cast = track_people(np.concatenate(shots), FPS)
    assert cast.cuts == (8,)
    seen = sorted(np.flatnonzero(np.isfinite(track.boxes[:, 0])).tolist() for track in cast.tracks)
    assert seen == [list(range(8)), list(range(8, 16))]


def test_an_empty_stage():
    frames = render_clip(5, num_frames=6, height=448, width=256, person=False).frames
    cast = track_people(frames, FPS)
    assert cast.tracks == ()
    assert cast.picture == (0, 0, 256, 448)


def test_the_tracker_is_closed_when_its_user_leaves(couple):
    with pytest.raises(KeyboardInterrupt), PeopleTracker(FPS) as tracker:
        tracker.add(couple[0][0])
        raise KeyboardInterrupt
    with pytest.raises(ValueError):  # MediaPipe's own word for a graph that is closed
        for frame in couple[0][:8]:
            tracker.add(frame)
