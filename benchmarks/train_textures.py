"""Trains the network behind the benchmark's texture distance and writes its weights and held-out numbers.

    python benchmarks/train_textures.py [-o assets/textures/textures.safetensors] [--steps 600] [--clips 768]

Minutes on an idle CPU core; `OMP_NUM_THREADS=1` where others use the machine. The numbers go to `report.json` and
into the model card, `README.md`, beside the weights.
"""

import argparse
import json
from pathlib import Path

from xdyna.benchmark.texture_net import BUNDLED_TEXTURES, TEMPOS, TextureNet
from xdyna.benchmark.texture_training import TextureReport, TextureSettings, train_textures
from xdyna.world import SCENES

SHIPPED = TextureSettings()


CARD = """---
license: apache-2.0
---

# Texture network of the offline benchmark

The backbone of DTFD, FG-DTFD and BG-DTFD in `xdyna benchmark` ([protocol](../../docs/benchmark.md)): (2+1)D
convolutions, {parameters:,} parameters, half precision. It sees 8 frames of 64 x 112 pixels, a quarter of a second
apart, and has 64 features and two heads: the scene, one of {num_scenes}, and the tempo ({tempos}). The tempo head is
why the features look at motion: single frames already tell the scene, and features that only know scenes take noise
for worse than a standstill.

**Data.** {train_clips} clips of the procedural world (`xdyna/world`), half of them with a person; views with the
person or the background black, silhouettes cut out of scenes, other palettes, contrast, grain, crops, mirror images.
**Training.** {steps} steps, {seconds:.0f} s by the clock on one CPU thread: `python benchmarks/train_textures.py`.
**Licence.** Apache-2.0; trained on nothing but this project's own renderings.

Right on {test_clips} clips from seeds it has not seen:

| | share | chance |
| --- | --- | --- |
| scene | {scene_accuracy:.2f} | {scene_chance:.2f} |
| scene, the person cut out | {masked_accuracy:.2f} | {scene_chance:.2f} |
| tempo | {tempo_accuracy:.2f} | {tempo_chance:.2f} |

Fréchet distance from half of them to the other half, changed in one way (everybody's person cut out):

| change | distance |
| --- | --- |
{distances}

A distance hardly above that of "nothing" means that the network does not see the change: read it beside the motion
spectrum. It is a yardstick for drawn scenes, not for films.
"""


def card(report: TextureReport) -> str:
    distances = "\n".join(f"| {change} | {distance:.2f} |" for change, distance in report.distances.items())
    return CARD.format(
        **report.to_dict()["settings"],
        **{name: getattr(report, name) for name in ("scene_accuracy", "masked_accuracy", "tempo_accuracy", "seconds")},
        parameters=sum(parameter.numel() for parameter in TextureNet().parameters()),
        num_scenes=len(SCENES),
        tempos=", ".join(TEMPOS),
        scene_chance=1 / len(SCENES),
        tempo_chance=1 / len(TEMPOS),
        distances=distances,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=BUNDLED_TEXTURES)
    parser.add_argument("--steps", type=int, default=SHIPPED.steps)
    parser.add_argument("--clips", type=int, default=SHIPPED.train_clips)
    parser.add_argument("--test-clips", type=int, default=SHIPPED.test_clips)
    arguments = parser.parse_args()
    settings = TextureSettings(train_clips=arguments.clips, test_clips=arguments.test_clips, steps=arguments.steps)
    for event in train_textures(arguments.output, settings):
        if isinstance(event, TextureReport):
            text = json.dumps(event.to_dict(), indent=1)
            arguments.output.with_name("report.json").write_text(text + "\n")
            arguments.output.with_name("README.md").write_text(card(event))
            print(text)
        else:
            print(f"{event.phase} {event.step}/{event.total}", flush=True)


if __name__ == "__main__":
    main()
