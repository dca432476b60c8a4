"""Measures what a run of a model costs on this machine and writes the rates that the page predicts from.

    python benchmarks/run_cost.py --device "2 cores of a Xeon at 2.5 GHz"

Three short runs tell start, step and decoding apart; process time is used on a CPU, which may be busy with other work.
"""

import argparse
import json
import resource
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from xdyna.animate import prepare
from xdyna.backends import BACKENDS, load
from xdyna.backends.cost import MEASUREMENTS, Rates
from xdyna.config import AnimationSettings
from xdyna.schema import Conditions

EXAMPLES = Path(__file__).parents[1] / "examples"
FEW, MANY, REPEATS = 2, 6, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=BACKENDS, default="xdyna-mini")
    parser.add_argument("--device", required=True, help="its name, as people know it")
    options = parser.parse_args()
    settings = BACKENDS[options.model].defaults
    *_, conditions = prepare(EXAMPLES / "sea_photo.png", EXAMPLES / "sea_clip.mp4", settings)
    backend, gpu = load(options.model), torch.cuda.is_available()
    base = memory(gpu)
    run(backend, conditions, settings, gpu)  # the first run warms up
    few, many = (
        np.median([run(backend, conditions, replace(settings, num_inference_steps=n), gpu) for _ in range(REPEATS)], 0)
        for n in (FEW, MANY)
    )
    work = conditions.num_frames * settings.height * settings.width / 1e6
    passes = 2 if settings.guidance_scale > 1 else 1
    step_s = (many[1] - few[1]) / ((MANY - FEW) * work * passes)
    rates = Rates(
        device=options.device,
        measured=True,
        source=f"benchmarks/run_cost.py, torch {torch.__version__}, {torch.get_num_threads()} threads",
        start_s=round(float(few[0]), 3),
        step_s=round(float(step_s), 4),
        decode_s=round(float(few[2] / work), 4),
        base_gb=round(base, 2),
        work_gb=round((memory(gpu) - base) / (work * passes), 3),
    )
    entries = json.loads(MEASUREMENTS.read_text()) if MEASUREMENTS.exists() else {}
    entries[options.model] = asdict(rates)
    MEASUREMENTS.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(asdict(rates), indent=2))


def memory(gpu: bool) -> float:
    """The most that was held so far, in 1e9 bytes."""
    held = torch.cuda.max_memory_allocated() if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return held / 1e9


def run(backend: object, conditions: Conditions, settings: AnimationSettings, gpu: bool) -> tuple[float, ...]:
    """Seconds before the first step ended less one step, of all steps, and of decoding."""
    clock = time.perf_counter if gpu else time.process_time
    marks, began = {"": clock()}, ""
    for event in backend.run(conditions, settings):
        with suppress(AttributeError):
            began = event.phase
        marks[began] = clock()
        if began == "Denoising" and event.step == 1:
            marks["first"] = clock()
    steps = (marks["Denoising"] - marks["first"]) / max(1, settings.num_inference_steps - 1)
    return (
        marks["first"] - marks[""] - steps,
        steps * settings.num_inference_steps,
        marks["Decoding"] - marks["Denoising"],
    )


if __name__ == "__main__":
    main()
