"""Scores of Puppet on held-out pairs of the drawn world, where the truth is known, beside the photo left as it is.

    python benchmarks/puppet.py --pairs 20

The photo is the first frame of a clip, the truth are its next eight frames, and the driver is another character who
does the same from the photo's moment on. Everything but the detectors is the product's own: alignment, proportions,
expression. The frames per second are those of expression, meshes, swing and drawing, by processor time on one core.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from xdyna.backends import BACKENDS
from xdyna.benchmark.methods import FPS, NUM_FRAMES, Setup, benchmark_clip, driver_clip
from xdyna.benchmark.scores import score_clip
from xdyna.preprocess.find import Subject
from xdyna.preprocess.place import place
from xdyna.puppet.face import expression_offsets
from xdyna.puppet.figure import build_figure
from xdyna.puppet.motion import follow, rest_skeleton
from xdyna.schema import Animation, Conditions, Frames, Mask, Motion, Person
from xdyna.world import WorldClip

RESULT = Path(__file__).parent / "results" / "puppet.json"
SHOWN = ("person PSNR", "background PSNR", "face PSNR", "pose retrieval", "expression retrieval", "PSNR")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--size", default="256x448", help="WIDTHxHEIGHT")
    parser.add_argument("--sheet", type=Path, help="a PNG: photo and truth above the result")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    setup, model = Setup(height=height, width=width), BACKENDS["puppet"].load()
    settings = replace(BACKENDS["puppet"].defaults, height=height, width=width, num_frames=NUM_FRAMES + 1, fps=FPS)
    scores: dict[str, list[dict[str, float]]] = {"copy": [], "puppet": []}
    seconds, rows = [], []
    for number in range(options.pairs):
        clip = benchmark_clip(number, True, setup)
        conditions = pair(clip, driver_clip(number, setup), settings)
        started = time.process_time()
        *_, made = model.run(conditions, settings)
        seconds.append(time.process_time() - started)
        assert isinstance(made, Animation)
        frames_made = made.video.frames[1:]
        copy = np.repeat(clip.frames[:1], NUM_FRAMES, axis=0)
        for name, frames in (("copy", copy), ("puppet", frames_made)):
            scores[name].append(score_clip(frames, clip) | {"sharpness": sharpness(frames, clip)})
        rows.append(np.concatenate([*clip.frames, clip.frames[0], *frames_made], axis=1))
        print(number, {name: round(rows_[-1]["person PSNR"], 2) for name, rows_ in scores.items()}, flush=True)
    table = {
        name: {score: round(float(np.nanmean([row[score] for row in rows_])), 3) for score in (*SHOWN, "sharpness")}
        for name, rows_ in scores.items()
    }
    cost = {"cpu_s": round(float(np.median(seconds)), 2), "frames per second at 512x896": round(drawing_rate())}
    found = {"pairs": options.pairs, "size": options.size, **cost, **table}
    print(json.dumps(found, indent=2))
    RESULT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if options.sheet:
        cv2.imwrite(str(options.sheet), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))


def pair(clip: WorldClip, driver: WorldClip, settings: object) -> Conditions:
    """What the product would know of photo and driver."""
    size = clip.frames.shape[1], clip.frames.shape[2]
    pose, points = driver.pose, driver.face_landmarks
    boxes = np.concatenate([np.nanmin(pose.body, axis=1), np.nanmax(pose.body, axis=1)], axis=-1)
    body = clip.pose.body[0]
    person = Person(id=1, box=(*map(float, body.min(axis=0)), *map(float, body.max(axis=0))), score=1.0)  # type: ignore[arg-type]
    motion = Motion(
        pose=pose, face_landmarks=points, boxes=boxes, frame_size=size, picture=(0, 0, size[1], size[0]), fps=FPS
    )
    return place(clip.frames[0], Subject(pose=clip.pose[slice(1)], people=(person,), person=1), motion, settings)  # type: ignore[arg-type]


def drawing_rate(number: int = 8, rounds: int = 8) -> float:
    """Frames drawn per second of processor time at 512 x 896, the median over rounds."""
    setup = Setup(height=896, width=512)
    settings = replace(BACKENDS["puppet"].defaults, height=896, width=512, num_frames=NUM_FRAMES + 1, fps=FPS)
    clip, driver = benchmark_clip(number, True, setup), driver_clip(number, setup)
    conditions = pair(clip, driver, settings)
    rest = rest_skeleton(conditions.reference_pose, conditions.pose, conditions.size)
    skeletons = follow(conditions.reference_pose, conditions.pose, rest, FPS)
    offsets = expression_offsets(conditions.face_landmarks)
    stages = build_figure(clip.frames[0], conditions.reference_pose, rest, lambda: clip.face_landmarks[0])
    while True:
        try:
            next(stages)
        except StopIteration as end:
            figure = end.value
            break
    rates, swing = [], figure.swing(FPS, wind=0.5)
    for _ in range(rounds):
        started = time.process_time()
        for k, skeleton in enumerate(skeletons):
            figure.draw(skeleton, None if offsets is None else offsets[k], swing=swing)
        rates.append(len(skeletons) / (time.process_time() - started))
    return float(np.median(rates))


def sharpness(frames: Frames, clip: WorldClip) -> float:
    """Gradient energy of the person in the clip, beside the person's in the photo."""
    still = energy(clip.frames[0], clip.person_mask[0])
    moving = [energy(frame, mask) for frame, mask in zip(frames, clip.person_mask[1:], strict=True)]
    return float(np.mean(moving) / still)


def energy(frame: np.ndarray, mask: Mask) -> float:
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float64)
    down, across = np.gradient(gray)
    return float((down**2 + across**2)[mask].mean())


if __name__ == "__main__":
    main()
