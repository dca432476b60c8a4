"""Whether xdyna-mini draws better when it begins from Puppet's frames: scores by strength and by steps that run.

    python benchmarks/init_video.py --clips 8

The protocol is that of `xdyna benchmark`, which repeats one cell: `xdyna benchmark --steps 6 --strength 0.5`. Cells in
one row cost the same: the schedule has the fewest steps of which this strength leaves as many.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from xdyna.backends import BACKENDS
from xdyna.benchmark.methods import COPY, PUPPET, Setup, animate_clip, benchmark_clip, puppet_clip
from xdyna.benchmark.scores import CHANGE, EXPRESSION, POSE, score_clip
from xdyna.pipelines import XDynaPipeline
from xdyna.weights import locate, revision

RESULT = Path(__file__).parent / "results" / "init_video.json"
STRENGTHS, STEPS = (1.0, 0.85, 0.7, 0.5, 0.3), (1, 2, 3, 4, 5, 6)
SHOWN = ("PSNR", "SSIM", "person PSNR", "person SSIM", "background PSNR", CHANGE, "face PSNR", POSE, EXPRESSION)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=8)
    options = parser.parse_args()
    pipeline = XDynaPipeline.from_pretrained(locate("xdyna-mini"), dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    puppet, setup = BACKENDS["puppet"].load(), Setup()
    rows: dict[str, list[dict[str, float]]] = {}
    for number in range(options.clips):
        started, clip = time.monotonic(), benchmark_clip(number, True, setup)
        moved = puppet_clip(puppet, clip, number, setup)
        made = {COPY: np.broadcast_to(clip.frames[0], moved.shape), PUPPET: moved}
        for strength in STRENGTHS:
            for steps in STEPS:
                own = replace(setup, num_inference_steps=schedule_of(steps, strength), strength=strength)
                made[f"{strength:g} x {steps}"] = animate_clip(pipeline, clip, number, own, moved)
        for name, frames in made.items():
            rows.setdefault(name, []).append(score_clip(frames, clip))
        table = write_table(rows)  # after every clip: what is there can be read while the rest runs
        print(f"clip {number}: {time.monotonic() - started:.0f} s", flush=True)
    for score in SHOWN:
        print(f"\n{score}: Puppet {table[PUPPET][score]}, copy {table[COPY][score]}\n")
        print("| steps that run | " + " | ".join(f"strength {s:g}" for s in STRENGTHS) + " |")
        print("| --- |" + " --- |" * len(STRENGTHS))
        for steps in STEPS:
            print(f"| {steps} | " + " | ".join(str(table[f"{s:g} x {steps}"][score]) for s in STRENGTHS) + " |")


def write_table(rows: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Write the means over the clips so far, and return them by method and score."""
    table = {
        name: {score: round(float(np.nanmean([row[score] for row in found])), 3) for score in SHOWN}
        for name, found in rows.items()
    }
    content = {"clips": len(rows[COPY]), "weights": revision(locate("xdyna-mini")), "strength x steps that run": table}
    RESULT.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return table


def schedule_of(steps: int, strength: float) -> int:
    """Return the fewest steps of a schedule of which a strength lets so many run."""
    return next(n for n in range(steps, 1000) if int(n * strength) == steps)


if __name__ == "__main__":
    main()
