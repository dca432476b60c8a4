"""Scores how people, body, hands and face are found; prints Markdown tables.

    XDYNA_TEST_DATA=DIR python benchmarks/preprocessing_pose.py [--clips 6]

Rendered clips have known joints. The official example clips, where XDYNA_TEST_DATA holds them, have the official
poses, read back from the drawn skeletons.
"""

import argparse
import os
import resource
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from xdyna.preprocess.draw import COLOURS
from xdyna.preprocess.landmarks import FaceLandmarker
from xdyna.preprocess.people import overlap
from xdyna.preprocess.pose import LEFT_HIP, LEFT_KNEE, NECK, RIGHT_HIP, MediaPipePose, concatenate
from xdyna.preprocess.smoothing import steady
from xdyna.preprocess.tracks import track_people
from xdyna.schema import Floats, Frames, Image, Pose
from xdyna.world import WorldClip, render_clip

OFFICIAL = {1: 113, 2: 97}  # clip: frames in its file name
NUM_FRAMES = 80
FPS = 8.0
NUM_SCORED_JOINTS = 14  # eyes and ears are not drawn
SIZE = (896, 512)


@dataclass(frozen=True)
class Found:
    """What preprocessing makes of one clip: `(num_frames, ...)` pose and face, and the CPU time a frame took."""

    pose: Pose
    face: Floats
    cpu_ms_per_frame: float


def find(frames: Sequence[Image] | Frames, person: int | None = 1) -> Found:
    """Runs tracking, pose, hands, smoothing and face as the app does; person None skips the tracking."""
    began = time.process_time()
    boxes = picture = None
    cuts: tuple[int, ...] = ()
    if person is not None:
        cast = track_people(frames, FPS)
        boxes, picture, cuts = cast.track(person).boxes, cast.picture, cast.cuts
    with closing(MediaPipePose(tracking=True)(frames, boxes, picture)) as poses:
        pose = steady(concatenate(poses), FPS, cuts)
    with FaceLandmarker() as find_face:
        face = np.stack(
            [find_face(frame, pose[k : k + 1], None if boxes is None else boxes[k]) for k, frame in enumerate(frames)]
        )
    return Found(pose, face, 1000 * (time.process_time() - began) / len(frames))


def pck(pose: Pose, truth: Floats, threshold: float) -> float:
    """Percentage of the true joints found within `threshold` torsos; missed ones count as wrong.

    Args:
        pose: what was found.
        truth: `(num_frames, 18, 2)` true joints, NaN where unknown.
        threshold: in median lengths from the neck to the middle of the hips.
    """
    torso = np.linalg.norm(np.nanmean(truth[:, [RIGHT_HIP, LEFT_HIP]], axis=1) - truth[:, NECK], axis=-1)
    distance = np.linalg.norm(pose.body - truth, axis=-1)[:, :NUM_SCORED_JOINTS] / np.nanmedian(torso)
    known = np.isfinite(truth[:, :NUM_SCORED_JOINTS, 0])
    return 100 * float((distance[known] < threshold).mean())


def face_rate(face: Floats) -> float:
    return 100 * float(np.isfinite(face[:, 0, 0]).mean())


def hand_rate(pose: Pose, drawn: Floats) -> float:
    """Percentage of the `(num_frames, 2)` hands of which one is known to be there that were found."""
    found = np.isfinite(pose.hands[:, :, 0, 0])
    return 100 * float((found & (drawn > 0)).sum() / max(1, (drawn > 0).sum()))


def jitter(pose: Pose) -> float:
    """Median acceleration of the joints in thousandths of the torso per squared frame."""
    torso = np.nanmedian(
        np.linalg.norm(pose.body[:, [RIGHT_HIP, LEFT_HIP]].mean(axis=1) - pose.body[:, NECK], axis=-1)
    )
    jumps = np.linalg.norm(np.diff(pose.body[:, :NUM_SCORED_JOINTS], n=2, axis=0), axis=-1)
    return 1000 * float(np.nanmedian(jumps) / torso)


def official_clip(data: Path, number: int) -> tuple[Frames, Frames]:
    """The first frames of an official driving clip and of its pose clip."""
    folder = data / "real" / "xdyna"
    clips = []
    for kind in ("driving", "pose"):
        with av.open(folder / f"example_{number}_{kind}_{number}_{OFFICIAL[number]}f.mp4") as container:
            frames = [
                frame.to_ndarray(format="rgb24")
                for _, frame in zip(range(NUM_FRAMES), container.decode(video=0), strict=False)
            ]
        clips.append(np.stack(frames))
    return clips[0], clips[1]


def joints_by_colour(frames: Frames) -> Floats:
    """`(num_frames, 18, 2)` centres of drawn joint discs; NaN where hidden or not drawn."""
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


def drawn_hands(frames: Frames) -> Floats:
    """`(num_frames, 2)`: 1 in both columns where a drawn skeleton has at least one hand."""
    blue = (np.abs(frames.astype(np.int16) - (0, 0, 255)).max(axis=-1) < 40).sum(axis=(1, 2))
    return np.repeat((blue > 150)[:, None], 2, axis=1).astype(np.float32)


def rendered_clip(seed: int, num_frames: int = 24) -> WorldClip:
    return render_clip(seed, num_frames=num_frames, height=SIZE[0], width=SIZE[1], fps=FPS)


def visible_joints(clip: WorldClip) -> Floats:
    return np.where(clip.pose.body_scores[..., None] > 0, clip.pose.body, np.nan).astype(np.float32)


def row(name: str, found: Found, truth: Floats, hands: Floats) -> str:
    values = (pck(found.pose, truth, 0.1), pck(found.pose, truth, 0.2), face_rate(found.face))
    columns = [*values, hand_rate(found.pose, hands), jitter(found.pose), 1000 / found.cpu_ms_per_frame]
    return f"| {name} | " + " | ".join(f"{value:.1f}" for value in columns) + " |"


def side_by_side(seeds: Sequence[int], num_frames: int, height: int, width: int) -> tuple[Frames, list[Floats]]:
    """Several rendered characters in one picture, and the true joints of each."""
    clips = [render_clip(seed, num_frames=num_frames, height=height, width=width, fps=FPS) for seed in seeds]
    joints = [visible_joints(clip) + np.array([k * width, 0], np.float32) for k, clip in enumerate(clips)]
    return np.concatenate([clip.frames for clip in clips], axis=2), joints


def print_people(seeds: Sequence[Sequence[int]]) -> None:
    """Whether each of several people is found, kept and given the right pose."""
    print("\n| several people | people | found | frames seen % | PCK@0.2 of each as chosen |\n|---|---|---|---|---|")
    for group in seeds:
        frames, truths = side_by_side(group, 24, 640, 368)
        cast = track_people(frames, FPS)
        seen = np.mean([np.isfinite(track.boxes[:, 0]).mean() for track in cast.tracks[: len(group)]])
        scores = []
        for truth in truths:
            box = [*np.nanmin(truth[0], axis=0), *np.nanmax(truth[0], axis=0)]
            track = max(cast.tracks, key=lambda track, box=box: overlap(track.boxes[0], box))
            pose = concatenate(MediaPipePose(tracking=True)(frames, track.boxes, cast.picture))
            scores.append(f"{pck(pose, truth, 0.2):.0f}")
        print(
            f"| seeds {', '.join(map(str, group))} | {len(group)} | {len(cast.tracks)} | {100 * seen:.0f} "
            f"| {', '.join(scores)} |"
        )


def memory_growth(num_frames: int = 300) -> float:
    """MiB by which the process's peak memory grows from the 30th to the last frame of a long stream."""
    clip = rendered_clip(3, 16).frames
    stream = (clip[k % 16] for k in range(num_frames))
    peak = 0
    for k, _ in enumerate(MediaPipePose(tracking=True)(stream)):
        if k == 30:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024


def main(find: Callable[[Frames], Found] = find) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=6, help="rendered clips")
    arguments = parser.parse_args()
    print(
        "| clip | PCK@0.1 | PCK@0.2 | face % | hands % | jitter | frames/s (CPU time) |\n|---|---|---|---|---|---|---|"
    )
    data = os.environ.get("XDYNA_TEST_DATA")
    for number in OFFICIAL if data else ():
        driving, drawn = official_clip(Path(data or ""), number)
        print(row(f"official {number}", find(driving), joints_by_colour(drawn), drawn_hands(drawn)))
    for seed in range(300, 300 + arguments.clips):
        clip = rendered_clip(seed)
        hands = (clip.pose.hand_scores.min(axis=2) > 0).astype(np.float32)
        print(row(f"rendered {seed}", find(clip.frames), visible_joints(clip), hands))
    print_people([(200, 201), (202, 203), (204, 205, 206)])
    print(f"\nPeak memory grows by {memory_growth():.1f} MiB over 270 frames.")


if __name__ == "__main__":
    main()
