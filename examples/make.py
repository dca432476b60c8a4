"""Makes the shipped examples: drawn people, clips of other drawn people, and what the default model makes of them.

    python examples/make.py

Everything is rendered by `xdyna.world` from the seeds below, which training never draws.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from xdyna.animate import animate, prepare
from xdyna.backends import BACKENDS
from xdyna.recipe import save_animation
from xdyna.schema import Video
from xdyna.training.data import HELD_OUT_SEEDS
from xdyna.video import write_video
from xdyna.world import render_clip

FOLDER = Path(__file__).parent
HEIGHT, WIDTH, FPS, NUM_FRAMES = 896, 512, 8.0, 32
CREDIT = "Rendered by xdyna's procedural world; Apache-2.0 like the code."
# name, title, seed of the photo, its scene, seed of the clip, its scene
PAIRS = (
    ("waterfall", "By the waterfall", 28, "waterfall", 12, "clouds"),
    ("fireworks", "Under fireworks", 21, "fireworks", 14, "grass"),
    ("sea", "At the sea", 29, "sea", 24, "clouds"),
    ("meadow", "In the meadow", 38, "grass", 18, "river"),
)


def main() -> None:
    entries, rows = [], []
    for name, title, photo_seed, photo_scene, clip_seed, clip_scene in PAIRS:
        photo, clip, result = (f"{name}_photo.png", f"{name}_clip.mp4", f"{name}_result.mp4")
        still = render_clip(
            HELD_OUT_SEEDS + photo_seed, num_frames=1, height=HEIGHT, width=WIDTH, scene_name=photo_scene
        )
        Image.fromarray(still.frames[0]).save(FOLDER / photo)
        moving = render_clip(
            HELD_OUT_SEEDS + clip_seed,
            num_frames=NUM_FRAMES,
            height=HEIGHT,
            width=WIDTH,
            fps=FPS,
            scene_name=clip_scene,
        )
        write_video(FOLDER / clip, Video(frames=np.ascontiguousarray(moving.frames), fps=FPS))
        settings = BACKENDS["xdyna-mini"].defaults
        *_, conditions = prepare(FOLDER / photo, FOLDER / clip, settings)
        *_, animation = animate(conditions, settings, "xdyna-mini")
        save_animation(FOLDER / result, animation, settings, conditions.sound)
        rows.append(showcase_row(still.frames[0], conditions.driving_frames, animation.video.frames))
        entries.append(
            {"name": name, "title": title, "photo": photo, "clip": clip, "result": result, "credit": CREDIT}
        )
    (FOLDER / "examples.json").write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    Image.fromarray(np.concatenate(rows)).save(FOLDER.parent / "assets" / "showcase.png", optimize=True)


def showcase_row(photo: np.ndarray, driving: np.ndarray, result: np.ndarray) -> np.ndarray:
    """The photo, then moments of the clip, each above what was made of it."""
    height, width = result.shape[1:3]
    small = np.asarray(Image.fromarray(photo).resize((width, height), Image.Resampling.LANCZOS))
    moments = np.linspace(0, len(result) - 1, 6).round().astype(int)
    blank = np.full_like(small, 255)
    upper = np.concatenate([small, *driving[moments]], axis=1)
    lower = np.concatenate([blank, *result[moments]], axis=1)
    return np.concatenate([upper, lower])


if __name__ == "__main__":
    main()
