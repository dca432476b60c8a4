"""Scores xdyna-mini on rendered clips from seeds that training never draws, and prints one table.

    python benchmarks/mini_quality.py [--weights DIR] [--clips 50] [--sheet sheet.png]

Each clip: the photo is its first frame, the driver's pose and face come from another character doing the same, and
the eight frames to make are a quarter of a second apart.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from xdyna.backends import BACKENDS
from xdyna.evaluation.metrics import frame_retrieval, psnr, ssim, temporal_change
from xdyna.pipelines import XDynaPipeline
from xdyna.preprocess.draw import draw_pose
from xdyna.preprocess.face import face_box, face_patches
from xdyna.schema import Frames
from xdyna.training.data import HELD_OUT_SEEDS, pasted_faces
from xdyna.weights import BUNDLED_MINI
from xdyna.world import WorldClip, render_clip

NUM_FRAMES = 8
FPS = 4.0
METHODS = ("xdyna-mini", "copy the photo", "autoencoder alone")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=BUNDLED_MINI)
    parser.add_argument("--clips", type=int, default=50)
    parser.add_argument("--scenes", type=int, default=12, help="clips without a person, beside the others")
    parser.add_argument("--steps", type=int, default=BACKENDS["xdyna-mini"].defaults.num_inference_steps)
    parser.add_argument("--sheet", type=Path, help="write a picture of the first eight clips")
    arguments = parser.parse_args()
    pipeline = XDynaPipeline.from_pretrained(arguments.weights, dtype=torch.float32)
    rows: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    scene_rows: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    pictures = []
    for k in range(arguments.clips + arguments.scenes):
        person = k < arguments.clips
        clip = render_clip(HELD_OUT_SEEDS + k, num_frames=NUM_FRAMES + 1, fps=FPS, person=person)
        outputs = generate(pipeline, clip, HELD_OUT_SEEDS + k, arguments.steps)
        for method, frames in outputs.items():
            (rows if person else scene_rows)[method].append(score(frames, clip, person))
        if len(pictures) < 8:
            pictures.append(sheet_rows(clip, outputs["xdyna-mini"]))
    print_table(f"{arguments.clips} clips with a person", rows)
    if arguments.scenes:
        print_table(f"{arguments.scenes} scene clips", scene_rows)
    gain = mean(rows, "xdyna-mini", "person PSNR") - mean(rows, "copy the photo", "person PSNR")
    print(f"\nperson PSNR over copying: {gain:+.2f} dB (bar: +1.5)")
    print(f"pose retrieval: {mean(rows, 'xdyna-mini', 'pose retrieval'):.3f} (bar: 0.3, chance {1 / NUM_FRAMES})")
    if arguments.sheet:
        cv2.imwrite(str(arguments.sheet), np.concatenate(pictures)[..., ::-1])


def generate(pipeline: XDynaPipeline, clip: WorldClip, seed: int, steps: int) -> dict[str, Frames]:
    """What each method makes of the clip's first frame and its driver."""
    size = clip.frames.shape[1:3]
    truth = clip.frames[1:]
    faces: dict[str, Frames] = {}
    if clip.person_mask.any():
        driver = render_clip(seed, num_frames=NUM_FRAMES + 1, fps=FPS, character_seed=seed + HELD_OUT_SEEDS)
        moved, landmarks = pasted_faces(driver.frames[1:], driver.face_landmarks[1:], clip.face_landmarks[1:])
        faces["face_local_frames"], faces["face_global_frames"] = face_patches(moved, landmarks)
    made = pipeline(
        clip.frames[0],
        draw_pose(clip.pose[1:], size),
        **faces,
        num_inference_steps=steps,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(seed),
    ).frames
    with torch.no_grad():
        pixels = torch.from_numpy(truth).permute(0, 3, 1, 2).float() / 127.5 - 1
        decoded = pipeline.vae.decode(pipeline.vae.encode(pixels).latent_dist.mode()).sample
    decoded = ((decoded.clamp(-1, 1) + 1) * 127.5).permute(0, 2, 3, 1).round().byte().numpy()
    still = np.broadcast_to(clip.frames[0], truth.shape)
    return dict(zip(METHODS, ((made * 255).round().astype(np.uint8), still, decoded), strict=True))


def score(frames: Frames, clip: WorldClip, person: bool) -> dict[str, float]:
    truth, mask = clip.frames[1:], clip.person_mask[1:]
    true_change = temporal_change(truth, ~mask)
    row = {
        "PSNR": psnr(frames, truth),
        "SSIM": ssim(frames, truth),
        "background PSNR": psnr(frames, truth, ~mask),
        "background change / true": temporal_change(frames, ~mask) / true_change,
    }
    if person:
        row["person PSNR"] = psnr(frames, truth, mask)
        row["pose retrieval"] = frame_retrieval(frames, truth, mask.any(axis=0))
        row["expression retrieval"] = frame_retrieval(*_face_crops(frames, clip))
    return row


def _face_crops(frames: Frames, clip: WorldClip) -> tuple[Frames, Frames, np.ndarray]:
    """Faces of all frames, cut along the true face boxes and brought to one size."""
    crops: list[list[np.ndarray]] = [[], []]
    for k, landmarks in enumerate(clip.face_landmarks[1:]):
        box = face_box(landmarks, frames.shape[1:3]) or (0, 0, 8, 8)
        left, top, right, bottom = box
        for pile, source in zip(crops, (frames, clip.frames[1:]), strict=True):
            pile.append(cv2.resize(source[k, top:bottom, left:right], (32, 32), interpolation=cv2.INTER_AREA))
    region = np.zeros((32, 32), bool)
    region[8:26, 8:24] = True  # the face without hair and background
    return np.stack(crops[0]), np.stack(crops[1]), region


def mean(rows: dict[str, list[dict[str, float]]], method: str, column: str) -> float:
    return float(np.nanmean([row[column] for row in rows[method]]))


def print_table(title: str, rows: dict[str, list[dict[str, float]]]) -> None:
    columns = list(rows[METHODS[0]][0])
    print(f"\n{title}, {NUM_FRAMES} frames each\n")
    print("| | " + " | ".join(columns) + " |\n|" + " --- |" * (len(columns) + 1))
    for method in METHODS:
        print(f"| {method} | " + " | ".join(f"{mean(rows, method, column):.3f}" for column in columns) + " |")


def sheet_rows(clip: WorldClip, made: Frames) -> np.ndarray:
    """Truth above result, the photo at the left of both."""
    upper = np.concatenate([clip.frames[0], *clip.frames[1:]], axis=1)
    return np.concatenate([upper, np.concatenate([clip.frames[0], *made], axis=1)])


if __name__ == "__main__":
    main()
