"""Skeletons to test with: one made up, and those of the official example clips."""

import av
import cv2
import numpy as np

from xdyna.preprocess.draw import COLOURS
from xdyna.preprocess.pose import LEFT_HIP, LEFT_KNEE, empty_pose

CLIPS = {1: 113, 2: 97}


def standing(height, width):
    """Somebody facing us with the arms out and both hands spread."""
    pose = empty_pose(1)
    x = [50, 50, 35, 25, 12, 65, 75, 88, 42, 41, 40, 58, 59, 60, 48, 52, 45, 55]
    y = [15, 25, 25, 35, 45, 25, 35, 45, 52, 70, 90, 52, 70, 90, 13, 13, 14, 14]
    scale = np.array([width, height]) / 100
    pose.body[0] = np.stack([x, y], axis=1) * scale
    pose.body_scores[:] = 1
    angles, lengths = np.radians([-60, -30, 0, 30, 60]), np.array([3, 5, 7, 9])
    for side, wrist in enumerate(pose.body[0, [4, 7]]):
        spread = np.stack([np.outer(np.sin(angles), lengths), np.outer(np.cos(angles), lengths)], axis=-1)
        fingers = wrist + spread.reshape(-1, 2) * width / 100
        pose.hands[0, side] = [wrist, *fingers]
    pose.hand_scores[:] = 1
    return pose


def official_frames(test_data, number, kind, indices):
    """`(len(indices), 896, 512, 3)` uint8 RGB of the "driving" or "pose" clip."""
    path = test_data / "real" / "xdyna" / f"example_{number}_{kind}_{number}_{CLIPS[number]}f.mp4"
    with av.open(path) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack([frames[k] for k in indices])


def joints_by_colour(frames):
    """`(num_frames, 18, 2)` float32 centres of the joint discs; NaN where hidden or not drawn."""
    joints = np.full((len(frames), 18, 2), np.nan, np.float32)
    for found, frame in zip(joints, frames, strict=True):
        for joint, colour in enumerate(COLOURS):
            mask = (np.abs(frame.astype(int) - colour).max(axis=-1) < 40).astype(np.uint8)
            _, _, stats, centres = cv2.connectedComponentsWithStats(mask)
            discs = [k for k in range(1, len(stats)) if 25 <= stats[k, 4] <= 90 and max(stats[k, 2:4]) <= 13]
            if joint == LEFT_KNEE:  # hand points have its colour
                discs = [k for k in discs if centres[k, 1] > found[LEFT_HIP, 1] + 25]
            if discs:
                found[joint] = centres[min(discs, key=lambda k, areas=stats[:, 4]: abs(areas[k] - 57))]
    return joints
