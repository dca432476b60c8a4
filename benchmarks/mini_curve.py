"""Draws the learning curve of xdyna-mini, after adding a point to it if a benchmark's report is given.

python benchmarks/mini_curve.py [benchmarks/results/mini_curve.json] [-o docs/mini_curve.png]
xdyna benchmark --model runs/mini/snapshot --clips 40 --scenes 20 --out OUT
python benchmarks/mini_curve.py --add OUT/report.json --frames-seen 160000
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

RESULTS = Path(__file__).parent / "results" / "mini_curve.json"
PICTURE = Path(__file__).parent.parent / "docs" / "mini_curve.png"
TICKS = (70_000, 100_000, 200_000)
WANTED = {  # the bars of `xdyna.benchmark.summary.measured_bars`
    "person PSNR over copying, dB": (4, None),
    "PSNR over copying, dB": (2.5, None),
    "SSIM over copying": (0, None),
    "pose retrieval": (0.7, None),
    "expression retrieval": (0.4, None),
    "scene clips, PSNR over copying, dB": (-0.5, None),
    "background change / true": (0.5, 1.5),
    "scene clips, change / true": (0.5, 1.5),
    "place of background change, share of ceiling": (0.5, None),
    "clothes colour error, 0..255": (None, 6),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curve", type=Path, nargs="?", default=RESULTS)
    parser.add_argument("-o", "--output", type=Path, default=PICTURE)
    parser.add_argument("--add", type=Path, metavar="REPORT", help="report.json of `xdyna benchmark`, a new point")
    parser.add_argument("--frames-seen", type=int, help="driving frames its weights were trained on")
    arguments = parser.parse_args()
    if arguments.add:
        if arguments.frames_seen is None:
            parser.error("--add needs --frames-seen")
        add_point(arguments.curve, arguments.add, arguments.frames_seen)
    points = sorted(json.loads(arguments.curve.read_text()), key=lambda point: point["frames"])
    figure, axes = plt.subplots(2, 5, figsize=(18, 6), layout="constrained")
    for axis, (name, limits) in zip(axes.flat, WANTED.items(), strict=True):
        axis.semilogx([point["frames"] for point in points], [point[name] for point in points], "o-", color="#7c3aed")
        for limit in limits:
            if limit is not None:
                axis.axhline(limit, color="#16a34a", linestyle="--")
        axis.set_title(name, fontsize=10)
        axis.set_xticks(TICKS, [f"{tick // 1000}k" for tick in TICKS])
        axis.minorticks_off()
        axis.grid(alpha=0.3, which="both")
    figure.supxlabel("driving frames seen in training (dashed: the bar)")
    figure.savefig(arguments.output, dpi=90)


def add_point(curve: Path, report: Path, frames_seen: int) -> None:
    points = json.loads(curve.read_text()) if curve.exists() else []
    bars = json.loads(report.read_text())["bars"]
    points.append({"frames": frames_seen} | {bar["name"]: round(bar["value"], 4) for bar in bars})
    curve.write_text(json.dumps(points, indent=1) + "\n")


if __name__ == "__main__":
    main()
