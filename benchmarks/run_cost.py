"""Measures how long a run of a model takes on this machine and writes the rates that the page predicts from.

    python benchmarks/run_cost.py --device "2 cores of a Xeon at 2.5 GHz"

Three short runs tell start, step and decoding apart; process time is used on a CPU, which may be busy with other work.
`run_memory.py` does the same for memory.
"""

import argparse
import json
import time
from contextlib import suppress
from dataclasses import replace

import numpy as np
import torch
from run_memory import CLIP, PHOTO

from xdyna.animate import prepare
from xdyna.backends import BACKENDS, load
from xdyna.backends.cost import MEASUREMENTS
from xdyna.config import AnimationSettings
from xdyna.schema import Conditions

FEW, MANY, REPEATS = 2, 6, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=BACKENDS, default="xdyna-mini")
    parser.add_argument("--device", required=True, help="its name, as people know it")
    options = parser.parse_args()
    settings = BACKENDS[options.model].defaults
    *_, conditions = prepare(PHOTO, CLIP, settings)
    assert isinstance(conditions, Conditions)
    backend = load(options.model)
    run(backend, conditions, settings)  # the first run warms up
    few, many = (
        np.median([run(backend, conditions, replace(settings, num_inference_steps=n)) for _ in range(REPEATS)], 0)
        for n in (FEW, MANY)
    )
    work = conditions.num_frames * settings.height * settings.width / 1e6
    passes = 2 if settings.guidance_scale > 1 else 1
    entries = json.loads(MEASUREMENTS.read_text(encoding="utf-8"))
    entries[options.model] |= {
        "device": options.device,
        "measured": True,
        "source": f"benchmarks/run_cost.py, torch {torch.__version__}, threads: {torch.get_num_threads()}",
        "start_s": round(float(few[0]), 3),
        "step_s": round(float((many[1] - few[1]) / ((MANY - FEW) * work * passes)), 4),
        "decode_s": round(float(few[2] / work), 4),
    }
    MEASUREMENTS.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(entries[options.model], indent=2))


def run(backend: object, conditions: Conditions, settings: AnimationSettings) -> tuple[float, ...]:
    """Seconds before the first step ended less one step, of all steps, and of decoding."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
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
