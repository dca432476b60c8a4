"""Measures the peak memory of a visitor's run of X-Dyna, fits what the page says before it, and writes both.

    python benchmarks/run_memory.py [--model xdyna-mini] [--lengths 1 3 9] [--scales 1 2]

The page's process reads, analyses, loads the model, and runs one guided step; one process a run, since peaks never
fall. The rates go to `measurements.json`, all runs to `results/speed_memory.json`.
"""

import argparse
import itertools
import json
import multiprocessing
import resource
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speed_setup import print_table, save

from xdyna.animate import prepare
from xdyna.backends import BACKENDS, load
from xdyna.backends.cost import MEASUREMENTS, rates
from xdyna.backends.xdyna import XDyna
from xdyna.config import MEMORY_MODES, AnimationSettings
from xdyna.schema import Conditions, Video
from xdyna.video import read_video, write_video

EXAMPLES = Path(__file__).parents[1] / "examples"
PHOTO, CLIP, CLIP_FRAMES = EXAMPLES / "sea_photo.png", EXAMPLES / "sea_clip.mp4", 16
FITTED = ("base_gb", "work_gb", "clip_gb")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("xdyna", "xdyna-mini"), default="xdyna-mini")
    parser.add_argument("--lengths", nargs="+", type=int, default=(1, 3, 9), help="of clips, in the model's own")
    parser.add_argument("--scales", nargs="+", type=int, default=(1, 2), help="of width and height, likewise")
    options = parser.parse_args()
    own = replace(BACKENDS[options.model].defaults, num_inference_steps=1, guidance_scale=2.0)
    runs, peaks = [], []
    for scale, length, mode in itertools.product(options.scales, options.lengths, MEMORY_MODES[1:]):
        size = {"height": own.height * scale, "width": own.width * scale}
        runs.append(replace(own, **size, num_frames=own.num_frames * length, memory_mode=mode))
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peaks.append(pool.apply(peak_gb, (options.model, runs[-1])))
    found, rows = fitted(options.model, runs, peaks)
    print_table(f"{options.model} {found}", rows)
    save("memory", rows, "cuda" if torch.cuda.is_available() else "cpu")
    entries = json.loads(MEASUREMENTS.read_text(encoding="utf-8"))
    entries[options.model] |= found
    MEASUREMENTS.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


def peak_gb(model: str, settings: AnimationSettings) -> float:
    """Of this process: of its GPU where there is one. In 1e9 bytes."""
    import xdyna.ui.demo  # noqa: F401  (the page's process holds it, too)

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        frames = read_video(CLIP, fps=settings.fps, num_frames=CLIP_FRAMES).frames
        looped = np.arange(settings.num_frames) % len(frames)
        write_video(clip, Video(frames=frames[looped], fps=settings.fps))
        *_, conditions = prepare(PHOTO, clip, settings)
        assert isinstance(conditions, Conditions) and conditions.num_frames == settings.num_frames
        for _ in load(model).run(conditions, settings):
            pass
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def fitted(
    model: str, runs: list[AnimationSettings], peaks: list[float]
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """The plane of `Work.memory_gb` with the least relative errors, and a row for each run."""
    units = np.array([_units(model, settings) for settings in runs])
    found, *_ = np.linalg.lstsq(units / np.array(peaks)[:, None], np.ones(len(peaks)), rcond=None)
    rows = [
        {
            "frames": settings.num_frames,
            "size": f"{settings.width}x{settings.height}",
            "mode": settings.memory_mode,
            "peak GB": peak,
            "predicted GB": float(predicted),
            "predicted / measured": float(predicted / peak),
        }
        for settings, peak, predicted in zip(runs, peaks, units @ found, strict=True)
    ]
    return dict(zip(FITTED, found.round(4).tolist(), strict=True)), rows


def _units(model: str, settings: AnimationSettings) -> list[float]:
    """What each rate alone, were it 1, would add to the prediction."""
    backend = BACKENDS[model]
    assert isinstance(backend, XDyna)
    work, none = backend.work(settings, settings.num_frames), replace(rates(model), **dict.fromkeys(FITTED, 0.0))
    return [
        backend.memory_gb(work, replace(none, **{rate: 1.0}), settings.memory_mode, settings.weight_storage)
        for rate in FITTED
    ]


if __name__ == "__main__":
    main()
