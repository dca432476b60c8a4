"""Measures what happens before a model runs: alignment, cost and memory; prints Markdown for docs/preprocessing.md.

    XDYNA_TEST_DATA=FOLDER python benchmarks/preprocessing.py [--transforms 5] [--frames 16] [--sheet FOLDER]

Alignment: the official driving clips lie on their photos already. Each is moved away by random scales and shifts, put
into a file, prepared like any clip, and compared with where it lay.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from xdyna.animate import prepare
from xdyna.config import AnimationSettings
from xdyna.photo import read_photo
from xdyna.preprocess.align import Matrix, compose, inverse, warp_frame
from xdyna.preprocess.pose import LEFT_ANKLE, NECK, NOSE, RIGHT_ANKLE
from xdyna.preview import pose_over_photo
from xdyna.schema import Conditions, Frames, Image, Video
from xdyna.video import read_video, write_video

FILE_SIZE = 1280, 1280  # height, width of the moved clips; nothing is cut off
SCALES = 0.5, 1.4
UPPER = 0.62  # of the height, from the top, is left of a half-body picture


@dataclass(frozen=True)
class Pair:
    """A photo and a driving clip that lies on it.

    Attributes:
        name: for the table.
        photo: `(height, width, 3)` uint8 RGB.
        frames: `(num_frames, height, width, 3)` uint8 RGB.
        truth: pixels of the clip's frames -> pixels of the photo.
    """

    name: str
    photo: Image
    frames: Frames
    truth: Matrix


@dataclass(frozen=True)
class Recovery:
    """How far a recovered alignment is from the official one.

    Attributes:
        scale: of the recovered to the official scale, minus 1.
        shift: `(2,)` pixels to the right and down, at the neck, in a picture 896 px high.
        joints: mean distance of the joints in heights of the body.
        joints_level: likewise after the sideways shift is taken out.
    """

    scale: float
    shift: NDArray[np.float64]
    joints: float
    joints_level: float


def official_pairs(data: Path, num_frames: int) -> Iterator[Pair]:
    """The official examples, whole and with photo or driver cut to the upper body."""
    whole = np.eye(2, 3)
    for number in (1, 2):
        folder = data / "real" / "xdyna"
        photo = read_photo(next(folder.glob(f"example_{number}.*g")))
        frames = read_video(next(folder.glob(f"example_{number}_driving*.mp4")), fps=8, num_frames=num_frames).frames
        upper = int(UPPER * photo.shape[0])
        yield Pair(f"{number}, whole bodies", photo, frames, whole)
        yield Pair(f"{number}, half-body photo", photo[:upper], frames, whole)
        yield Pair(f"{number}, half-body driver", photo, frames[:, :upper], whole)


def random_move(rng: np.random.Generator, size: tuple[int, int]) -> Matrix:
    """A scale and a shift that keep a picture of `(height, width)` inside `FILE_SIZE`."""
    scale = np.exp(rng.uniform(*np.log(SCALES)))
    room = np.array(FILE_SIZE[::-1]) - scale * np.array(size[::-1])
    return np.column_stack([scale * np.eye(2), rng.uniform(0, 1, 2) * room])


def recover(pair: Pair, move: Matrix, settings: AnimationSettings) -> tuple[Recovery, Conditions]:
    """Prepares the moved clip and compares where each joint comes to lie."""
    with tempfile.TemporaryDirectory() as folder:
        photo, clip = Path(folder, "photo.png"), Path(folder, "clip.mp4")
        PIL.Image.fromarray(pair.photo).save(photo)
        moved = np.stack([warp_frame(frame, move, FILE_SIZE) for frame in pair.frames])
        write_video(clip, Video(frames=moved, fps=settings.fps))
        *_, conditions = prepare(photo, clip, settings)
    assert isinstance(conditions, Conditions) and conditions.motion is not None
    # A canvas as wide as the photo: the only thing between them is a scale.
    canvas = np.column_stack([settings.width / pair.photo.shape[1] * np.eye(2), np.zeros(2)])
    truth = compose(canvas, compose(pair.truth, inverse(move)))
    points = conditions.motion.pose.body.astype(np.float64)
    error = (points @ (conditions.alignment - truth)[:, :2].T + (conditions.alignment - truth)[:, 2]) / canvas[0, 0]
    height = _body_height(points) * truth[0, 0] / canvas[0, 0]
    shift = np.nanmedian(error[:, NECK], axis=0)
    recovery = Recovery(
        scale=conditions.alignment[0, 0] / truth[0, 0] - 1,
        shift=shift,
        joints=float(np.nanmean(np.linalg.norm(error, axis=-1)) / height),
        joints_level=float(np.nanmean(np.linalg.norm(error - [shift[0], 0], axis=-1)) / height),
    )
    return recovery, conditions


def _body_height(points: NDArray[np.float64]) -> float:
    """Nose to ankles in pixels, or what of that is seen; the official bodies measure twice their upper half."""
    ankles = points[:, [RIGHT_ANKLE, LEFT_ANKLE], 1]
    if np.isfinite(ankles).any():
        return float(np.nanmedian(np.nanmax(ankles, axis=1) - points[:, NOSE, 1]))
    return 2 * float(np.nanmedian(np.nanmax(points[..., 1], axis=1) - points[:, NOSE, 1]))


def alignment_table(data: Path, num_transforms: int, num_frames: int, sheet: Path | None) -> Iterator[str]:
    """One row per pair, over random moves."""
    yield "| pair | scale error | moved sideways, px | moved down, px | joints off, % of height | level, % |"
    yield "|---|---|---|---|---|---|"
    for pair in official_pairs(data, num_frames):
        rng, rows, tiles = np.random.default_rng(0), [], []
        width = 512
        height = round(width * pair.photo.shape[0] / pair.photo.shape[1] / 8) * 8
        settings = AnimationSettings(height=height, width=width, num_frames=num_frames)
        for _ in range(num_transforms):
            found, conditions = recover(pair, random_move(rng, pair.frames.shape[1:3]), settings)
            rows.append(found)
            tiles.append(pose_over_photo(conditions, 0))
        scale, joints, level = (
            100 * np.array([getattr(row, name) for row in rows]) for name in ("scale", "joints", "joints_level")
        )
        shift = np.array([row.shift for row in rows])
        yield (
            f"| {pair.name} | {scale.mean():+.1f} % (± {scale.std():.1f}) | {shift[:, 0].mean():+.0f} "
            f"(± {shift[:, 0].std():.1f}) | {shift[:, 1].mean():+.1f} (± {shift[:, 1].std():.1f}) "
            f"| {joints.mean():.1f} (± {joints.std():.1f}) | {level.mean():.1f} (± {level.std():.1f}) |"
        )
        if sheet:
            name = pair.name.replace(", ", "_").replace(" ", "_")
            cv2.imwrite(str(sheet / f"{name}.png"), np.hstack(tiles)[..., ::-1])


def checks_table(data: Path) -> Iterator[str]:
    """What the checks say about the official examples."""
    yield "| example | check | what it says |"
    yield "|---|---|---|"
    for number in (1, 2):
        folder = data / "real" / "xdyna"
        photo, clip = (next(folder.glob(f"example_{number}{end}")) for end in (".*g", "_driving*.mp4"))
        *_, conditions = prepare(photo, clip, AnimationSettings(num_frames=96))
        assert isinstance(conditions, Conditions)
        for check in conditions.checks:
            yield f"| {number} | {check.id} ({check.severity}) | {check.message} |"


def cost_table(data: Path) -> Iterator[str]:
    """Seconds and memory of one preparation, each in a process of its own."""
    yield "| clip | frames | seconds | people, frames/s | body and face, frames/s | move, frames/s | peak, MB |"
    yield "|---|---|---|---|---|---|---|"
    for number, num_frames in ((1, 16), (1, 96), (2, 96)):
        command = [sys.executable, __file__, "--cost", str(number), "--frames", str(num_frames)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        stages = list(told["seconds"].values())[-3:]
        rates = " | ".join(f"{num_frames / spent:.0f}" for spent in stages)
        total = sum(told["seconds"].values())
        yield f"| example {number}, 512 x 896 | {num_frames} | {total:.1f} | {rates} | {told['peak_mb']:.0f} |"


def cost(data: Path, number: int, num_frames: int) -> str:
    """Prepares an official example and tells what that took, as JSON."""
    folder = data / "real" / "xdyna"
    photo, clip = (next(folder.glob(f"example_{number}{end}")) for end in (".*g", "_driving*.mp4"))
    *_, conditions = prepare(photo, clip, replace(AnimationSettings(), num_frames=num_frames))
    assert isinstance(conditions, Conditions)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return json.dumps({"seconds": dict(conditions.seconds), "peak_mb": peak_mb})


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transforms", type=int, default=5, help="random moves of each pair")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--sheet", type=Path, help="folder for pictures to judge by eye")
    parser.add_argument("--cost", type=int, metavar="EXAMPLE", help="only what one preparation takes, as JSON")
    options = parser.parse_args()
    data = Path(os.environ["XDYNA_TEST_DATA"])
    if options.cost:
        print(cost(data, options.cost, options.frames))
        return
    if options.sheet:
        options.sheet.mkdir(parents=True, exist_ok=True)
    for title, rows in (
        ("Alignment", alignment_table(data, options.transforms, options.frames, options.sheet)),
        ("Checks on the official examples, 96 frames", checks_table(data)),
        ("Cost", cost_table(data)),
    ):
        print(f"\n### {title}\n")
        for row in rows:
            print(row, flush=True)


if __name__ == "__main__":
    main()
