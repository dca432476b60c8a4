"""Makes the shipped examples: drawn people, clips of other drawn people, and what Puppet or xdyna-mini make of them.

    python examples/make.py             # all, the list and both pictures of the README
    python examples/make.py fireworks   # only some

Everything is rendered by `xdyna.world` from the seeds below, which training never draws.
"""

import argparse
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
# name, title, seed of the photo, its scene, seed of the clip, its scene, model
PAIRS = (
    ("fireworks", "Under fireworks", 21, "fireworks", 14, "grass", "puppet"),
    ("waterfall", "By the waterfall", 28, "waterfall", 12, "clouds", "xdyna-mini"),
    ("sea", "At the sea", 29, "sea", 24, "clouds", "xdyna-mini"),
    ("meadow", "In the meadow", 38, "grass", 18, "river", "xdyna-mini"),
)
SHOWN_HEIGHT, SHOWN_WIDTH = 224, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a pair; default: all")
    wanted = parser.parse_args().names
    if unknown := set(wanted) - {pair[0] for pair in PAIRS}:
        parser.error(f"there is no pair {', '.join(sorted(unknown))}")
    entries = []
    rows: dict[str, list[np.ndarray]] = {"puppet": [], "xdyna-mini": []}
    for name, title, photo_seed, photo_scene, clip_seed, clip_scene, model in PAIRS:
        photo, clip, result = (f"{name}_photo.png", f"{name}_clip.mp4", f"{name}_result.mp4")
        entries.append(
            {"name": name, "title": title, "photo": photo, "clip": clip, "result": result, "credit": CREDIT}
        )
        if wanted and name not in wanted:
            continue
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
        settings = BACKENDS[model].defaults
        *_, conditions = prepare(FOLDER / photo, FOLDER / clip, settings)
        *_, animation = animate(conditions, settings, model)
        save_animation(FOLDER / result, animation, settings, conditions.sound)
        rows[model].append(showcase_row(still.frames[0], conditions.driving_frames, animation.video.frames))
    (FOLDER / "examples.json").write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    assets = FOLDER.parent / "assets"
    if rows["puppet"]:
        Image.fromarray(np.concatenate(rows["puppet"])).save(assets / "showcase-puppet.webp", quality=80)
    if not wanted:
        Image.fromarray(np.concatenate(rows["xdyna-mini"])).save(assets / "showcase.png", optimize=True)


def showcase_row(photo: np.ndarray, driving: np.ndarray, result: np.ndarray) -> np.ndarray:
    """The photo, then moments of the clip, each above what was made of it."""
    moments = np.linspace(0, len(result) - 1, 6).round().astype(int)
    upper = np.concatenate([shown(picture) for picture in (photo, *driving[moments])], axis=1)
    made = [shown(picture) for picture in result[moments]]
    lower = np.concatenate([np.full_like(made[0], 255), *made], axis=1)
    return np.concatenate([upper, lower])


def shown(picture: np.ndarray) -> np.ndarray:
    """A picture at the size of the README's."""
    return np.asarray(Image.fromarray(picture).resize((SHOWN_WIDTH, SHOWN_HEIGHT), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    main()
