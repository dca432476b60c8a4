"""Rendered clips for the texture network, and the views of them that it is trained and tested on."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.benchmark.texture_net import HEIGHT, NUM_FRAMES, TEMPOS, WIDTH
from xdyna.evaluation.metrics import filled_outside
from xdyna.schema import Frames, Mask
from xdyna.world import SCENES, render_clip

FPS = 4.0
RENDERED_FRAMES = 2 * NUM_FRAMES - 1  # enough for every second frame
TRAIN_SEEDS = 600_000_000
TEST_SEEDS = 1_600_000_000
"""Held out, like the benchmark's clips, and not among them."""
WHOLE, PERSON, SCENE = VIEWS = ("whole", "foreground", "background")
UNKNOWN = -1
CYCLE = 4 * len(SCENES)
"""Clips after which every scene was shown with and without a person, at both frame rates."""

Rng = np.random.Generator


@dataclass(frozen=True)
class RenderedClip:
    """A clip to draw views from.

    Attributes:
        frames: `(RENDERED_FRAMES, HEIGHT, WIDTH, 3)` uint8 RGB.
        person: `(RENDERED_FRAMES, HEIGHT, WIDTH)` bool.
        scene: index in `SCENES`.
        fast: rendered at twice `FPS`, so that neighbours make half speed; else every second frame makes double speed.
    """

    frames: Frames
    person: Mask
    scene: int
    fast: bool


@dataclass(frozen=True)
class View:
    """What the network sees, and what it should say.

    Attributes:
        frames: `(NUM_FRAMES, HEIGHT, WIDTH, 3)` uint8 RGB.
        scene: index in `SCENES`; `UNKNOWN` where no background is to be seen.
        tempo: index in `TEMPOS`.
    """

    frames: Frames
    scene: int
    tempo: int


def rendered(seed: int, number: int) -> RenderedClip:
    """Clip `number` of a sequence: the scenes take turns, every other round has a person in it."""
    fast, person = number // (2 * len(SCENES)) % 2 == 0, number // len(SCENES) % 2 == 0
    scene = number % len(SCENES)
    clip = render_clip(
        seed + number,
        num_frames=RENDERED_FRAMES,
        height=HEIGHT,
        width=WIDTH,
        fps=2 * FPS if fast else FPS,
        scene_name=SCENES[scene],
        person=person,
    )
    return RenderedClip(clip.frames, clip.person_mask, scene, fast)


def draw_view(rng: Rng, clip: RenderedClip, silhouette: Mask) -> View:
    """A random view for training: tempo, region, colours, position and noise.

    Args:
        rng: decides.
        clip: what to look at.
        silhouette: `(RENDERED_FRAMES, HEIGHT, WIDTH)`, somebody's mask, cut out of scenes at times, so that a hole
            tells nothing about the scene.
    """
    tempo = int(rng.choice(len(TEMPOS), p=(0.4, 0.15, 0.15, 0.15, 0.15)))
    if tempo >= 3:  # only one of the two can be had from this clip
        tempo = 3 if clip.fast else 4
    times = pick_times(rng, clip.fast, TEMPOS[tempo])
    frames, person, scene = clip.frames[times], clip.person[times], clip.scene
    kind = VIEWS[int(rng.choice(len(VIEWS), p=(0.4, 0.2, 0.4)))]
    if person.any() and kind != WHOLE:
        frames = filled_outside(frames, person if kind == PERSON else ~person)
        scene = UNKNOWN if kind == PERSON else scene
    elif kind == SCENE:
        frames = filled_outside(frames, ~silhouette[times])
    return View(_recoloured(rng, _moved(rng, frames)), scene, tempo)


def can_play(fast: bool, tempo: str) -> bool:
    """Whether a clip, rendered at twice `FPS` or at `FPS`, can be played at a tempo."""
    return tempo not in ("half speed", "double speed") or fast == (tempo == "half speed")


def pick_times(rng: Rng, fast: bool, tempo: str) -> NDArray[np.int64]:
    """`(NUM_FRAMES,)` indices into a rendered clip that play it at a tempo.

    Raises:
        ValueError: half speed of a clip at `FPS`, or double speed of a faster one.
    """
    if not can_play(fast, tempo):
        raise ValueError(f"{tempo} cannot be had from a clip at {8 if fast else 4} frames per second")
    dense = tempo == "half speed" or (not fast and tempo != "double speed")
    first = int(rng.integers(NUM_FRAMES)) if dense else 0
    times = first + np.arange(NUM_FRAMES) * (1 if dense else 2)
    if tempo == "frozen":
        return np.full(NUM_FRAMES, rng.choice(times))
    return rng.permutation(times) if tempo == "shuffled" else times


def _moved(rng: Rng, frames: Frames) -> Frames:
    """Mirrored or not, and enlarged about a random point."""
    if rng.random() < 0.5:
        frames = frames[:, :, ::-1]
    zoom = rng.uniform(1, 1.35)
    height, width = round(HEIGHT / zoom), round(WIDTH / zoom)
    top, left = int(rng.integers(HEIGHT - height + 1)), int(rng.integers(WIDTH - width + 1))
    crop = frames[:, top : top + height, left : left + width]
    return np.stack([cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR) for frame in crop])


def _recoloured(rng: Rng, frames: Frames) -> Frames:
    """Other colours, contrast and a little noise: palette and grain must not stand in for motion."""
    pixels = frames[..., rng.permutation(3)].astype(np.float32) / 255
    if rng.random() < 0.3:
        pixels = np.repeat(pixels.mean(axis=-1, keepdims=True), 3, axis=-1)
    seen = pixels.max(axis=-1, keepdims=True) > 0
    if rng.random() < 0.2:
        pixels = np.where(seen, 1 - pixels, 0)
    pixels = pixels * rng.uniform(0.6, 1.2, 3) + rng.uniform(-0.1, 0.1) * seen
    if rng.random() < 0.7:
        pixels = pixels + rng.uniform(0, 0.08) * rng.standard_normal(pixels.shape, np.float32)
    return (np.clip(pixels, 0, 1) * 255).astype(np.uint8)
