"""Trains the texture network, tells how often it is right on clips it has not seen, and what its distance rewards."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from xdyna.benchmark.texture_data import (
    CYCLE,
    TEST_SEEDS,
    TRAIN_SEEDS,
    UNKNOWN,
    RenderedClip,
    View,
    can_play,
    draw_view,
    pick_times,
    rendered,
)
from xdyna.benchmark.texture_net import TEMPOS, TextureNet, Textures, prepare
from xdyna.evaluation.frechet import frechet_distance
from xdyna.evaluation.metrics import filled_outside
from xdyna.schema import Frames, Progress
from xdyna.world import SCENES

BATCH = 24
LOG_EVERY = 25


@dataclass(frozen=True, kw_only=True)
class TextureSettings:
    """How the network is trained.

    Attributes:
        train_clips: rendered once, before training.
        test_clips: rendered for the held-out numbers.
        steps: optimiser steps of 24 views.
        learning_rate: peak; rises and falls along a cosine.
        seed: of weights and views.
    """

    train_clips: int = 768
    test_clips: int = 192
    steps: int = 600
    learning_rate: float = 3e-3
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class TextureReport:
    """What the trained network can do on clips from seeds it has not seen.

    Attributes:
        settings: of the training.
        seconds: by the clock, for rendering and training; other work on the machine counts too.
        scene_accuracy: share of clips whose scene it names, of 12; whole clips with and without a person.
        masked_accuracy: the same for clips with the person cut out.
        tempo_accuracy: share of tempos it names, of 5, mean over tempos.
        distances: Fréchet distance from the true clips to clips changed in one way, with everybody's person cut out.
        sha256: of the weights' file.
    """

    settings: TextureSettings
    seconds: float
    scene_accuracy: float
    masked_accuracy: float
    tempo_accuracy: float
    distances: dict[str, float]
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def train_textures(output: Path, settings: TextureSettings) -> Iterator[Progress | TextureReport]:
    """Renders clips, trains, writes half-precision weights and measures them.

    Args:
        output: safetensors file to write.
        settings: how.

    Yields:
        `Progress`, then one `TextureReport`.
    """
    started = time.monotonic()
    clips: list[RenderedClip] = []
    for number in range(settings.train_clips):
        clips.append(rendered(TRAIN_SEEDS, number))
        if number % 100 == 99:
            yield Progress(phase="Rendering", step=number + 1, total=settings.train_clips)
    torch.manual_seed(settings.seed)
    network = TextureNet()
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.steps, pct_start=0.15
    )
    for step, (pixels, scenes, tempos) in enumerate(_batches(clips, settings), start=1):
        with torch.autocast("cpu", torch.bfloat16):
            _, scene, tempo = network(pixels)
        loss = F.cross_entropy(scene.float(), scenes, ignore_index=UNKNOWN) + F.cross_entropy(tempo.float(), tempos)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % LOG_EVERY == 0:
            yield Progress(phase=f"Training, loss {loss.item():.2f}", step=step, total=settings.steps)
    output.parent.mkdir(parents=True, exist_ok=True)
    state = network.state_dict()
    save_file({key: value.half() if value.is_floating_point() else value for key, value in state.items()}, output)
    seconds = time.monotonic() - started
    yield measure_textures(output, settings, seconds)


def measure_textures(weights: Path, settings: TextureSettings, seconds: float) -> TextureReport:
    """Measures stored weights on held-out clips.

    Args:
        weights: safetensors file.
        settings: says how many clips, and what to note in the report.
        seconds: that training took by the clock, for the report.
    """
    textures = Textures(weights)
    clips = [rendered(TEST_SEEDS, number) for number in range(settings.test_clips)]
    plain = [_played(clip, "as rendered") for clip in clips]
    scenes = [SCENES[clip.scene] for clip in clips]
    cut = [(_cut(clip, "as rendered"), SCENES[clip.scene]) for clip in clips if clip.person.any()]
    tempos = []
    for tempo in TEMPOS:
        views = [_played(clip, tempo) for clip in clips if can_play(clip.fast, tempo)]
        tempos.append(_share(textures.predict(views)[1], [tempo] * len(views)))
    return TextureReport(
        settings=settings,
        seconds=seconds,
        scene_accuracy=_share(textures.predict(plain)[0], scenes),
        masked_accuracy=_share(textures.predict([view for view, _ in cut])[0], [scene for _, scene in cut]),
        tempo_accuracy=float(np.mean(tempos)),
        distances=_distances(textures, clips),
        sha256=textures.sha256,
    )


def _batches(clips: list[RenderedClip], settings: TextureSettings) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    rng = np.random.default_rng(settings.seed)
    people = [clip.person for clip in clips if clip.person.any()]
    for _ in range(settings.steps):
        views: list[View] = []
        for number in rng.choice(len(clips), BATCH, replace=False):
            views.append(draw_view(rng, clips[number], people[rng.integers(len(people))]))
        pixels = prepare(torch.stack([torch.from_numpy(view.frames) for view in views]))
        yield pixels, torch.tensor([v.scene for v in views]), torch.tensor([v.tempo for v in views])


def _played(clip: RenderedClip, tempo: str) -> Frames:
    return clip.frames[pick_times(np.random.default_rng(0), clip.fast, tempo)]


def _cut(clip: RenderedClip, tempo: str) -> Frames:
    times = pick_times(np.random.default_rng(0), clip.fast, tempo)
    return filled_outside(clip.frames[times], ~clip.person[pick_times(np.random.default_rng(0), clip.fast, TEMPOS[0])])


def _share(found: list[str], wanted: list[str]) -> float:
    return float(np.mean([a == b for a, b in zip(found, wanted, strict=True)]))


def _distances(textures: Textures, clips: list[RenderedClip]) -> dict[str, float]:
    """From one half of the clips to the other half, changed; both hold every scene equally often."""
    views = [_cut(clip, "as rendered") for clip in clips]
    true, other = ([view for k, view in enumerate(views) if k // CYCLE % 2 == half] for half in (0, 1))
    rng = np.random.default_rng(1)

    def still(clip: Frames) -> Frames:
        return np.broadcast_to(clip[:1], clip.shape).copy()

    def blended(clip: Frames, share: float) -> Frames:
        return np.round((1 - share) * clip + share * clip[:1]).astype(np.uint8)

    def noisy(clip: Frames) -> Frames:
        return np.clip(clip + 12.75 * rng.standard_normal(clip.shape), 0, 255).astype(np.uint8)

    changes = {
        "nothing (other clips)": other,
        "50 % static": [blended(clip, 0.5) for clip in other],
        "90 % static": [blended(clip, 0.9) for clip in other],
        "frozen": [still(clip) for clip in other],
        "reversed": [clip[::-1].copy() for clip in other],
        "shuffled": [clip[rng.permutation(len(clip))] for clip in other],
        "noise of 5 %": [noisy(clip) for clip in other],
    }
    reference = textures(true)
    return {name: frechet_distance(reference, textures(made)) for name, made in changes.items()}
