"""Runs a model over the benchmark's clips."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from xdyna import __version__
from xdyna.backends import BACKENDS
from xdyna.benchmark.methods import (
    BASELINES,
    COPY,
    FPS,
    MEAN_PICTURE_CLIPS,
    NUM_FRAMES,
    PUPPET,
    Setup,
    animate_clip,
    baseline_clips,
    benchmark_clip,
    mean_picture,
    puppet_clip,
)
from xdyna.benchmark.outcome import PEOPLE, SCENERY, TRUTH, Outcome
from xdyna.benchmark.scores import background_spectrum, cut_clips, score_clip
from xdyna.benchmark.summary import NUM_RESAMPLES, Bar, Row, measured_bars, summarise
from xdyna.benchmark.texture_net import Textures
from xdyna.pipelines import XDynaPipeline
from xdyna.pipelines.schedulers import with_sampler
from xdyna.schema import Frames, Image, InputError, Progress, Video
from xdyna.training.data import HELD_OUT_SEEDS
from xdyna.video import write_video
from xdyna.weights import locate, revision
from xdyna.world import WorldClip

DEFAULT_CLIPS, DEFAULT_SCENES = 100, 40
MIN_CLIPS = 3
SHEET_CLIPS = 8


@dataclass(frozen=True, kw_only=True)
class BenchmarkPlan:
    """What to run.

    Attributes:
        model: "xdyna-mini", "xdyna", or the folder of a pipeline.
        clips: with a person.
        scenes: clips without one.
        setup: how the model is run.
        num_resamples: bootstrap draws of set scores.
        with_puppet: whether Puppet stands beside the model, on the clips with a person.
        videos: a folder that gets every clip of every method, a folder each, for `xdyna evaluate`; None keeps none.

    Raises:
        InputError: too few clips for intervals.
    """

    model: str
    clips: int = DEFAULT_CLIPS
    scenes: int = DEFAULT_SCENES
    setup: Setup = field(default_factory=Setup)
    num_resamples: int = NUM_RESAMPLES
    with_puppet: bool = True
    videos: Path | None = None

    def __post_init__(self) -> None:
        for name, count in (("--clips", self.clips), ("--scenes", self.scenes)):
            if count < MIN_CLIPS:
                raise InputError(f"{name} must be at least {MIN_CLIPS}, for an interval, got {count}.")
        if self.setup.strength < 1 and not self.with_puppet:
            raise InputError("A strength below 1 begins from Puppet's frames. Leave Puppet in.")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A finished run.

    Attributes:
        rows: the table.
        bars: what xdyna-mini should reach, and whether this model does.
        outcomes: all measurements by kind of clips.
        settings: everything that defines the numbers.
        sheet: `(h, w, 3)` uint8, truth above result for the first eight clips, the photo at the left.
    """

    rows: list[Row]
    bars: list[Bar]
    outcomes: dict[str, Outcome]
    settings: dict[str, object]
    sheet: Image


def benchmark(plan: BenchmarkPlan) -> Iterator[Progress | Benchmark]:
    """Renders the clips, animates them and scores everything.

    Yields:
        `Progress` after each clip, then one `Benchmark`.

    Raises:
        InputError: the model is not there, or the texture network is not.
    """
    started = time.monotonic()
    folder = model_folder(plan.model)
    textures = Textures()
    pipeline = XDynaPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.to("cuda" if torch.cuda.is_available() else "cpu")
    pipeline.scheduler = with_sampler(pipeline.scheduler, plan.setup.scheduler)
    pipeline.set_progress_bar_config(disable=True)
    name = plan.model if is_shipped(plan.model) else Path(plan.model).resolve().name
    mean = mean_picture(plan.setup)
    beside = (PUPPET, *BASELINES) if plan.with_puppet else BASELINES
    outcomes = {
        PEOPLE: _Collector((name, *beside), textures),
        SCENERY: _Collector((name, *BASELINES), textures),
    }
    puppet, refused = BACKENDS[PUPPET].load(), 0
    sheet: list[Image] = []
    total = plan.clips + plan.scenes
    for number in range(total):
        person = number < plan.clips
        clip = benchmark_clip(number, person, plan.setup)
        moved: Frames | None = None
        if person and plan.with_puppet:
            try:
                moved = puppet_clip(puppet, clip, number, plan.setup)
            except InputError:
                refused += 1
        made = animate_clip(pipeline, clip, number, plan.setup, moved if plan.setup.strength < 1 else None)
        all_made = {name: made, **baseline_clips(pipeline, clip, mean)}
        if person and plan.with_puppet:
            all_made[PUPPET] = all_made[COPY] if moved is None else moved
        outcomes[PEOPLE if person else SCENERY].add(clip, all_made)
        if plan.videos is not None:
            _write_videos(plan.videos, number, {**all_made, TRUTH: clip.frames[1:]})
        if len(sheet) < SHEET_CLIPS:
            sheet.append(_sheet_rows(clip, made))
        left = (time.monotonic() - started) / (number + 1) * (total - number - 1)
        yield Progress(phase="Clips", step=number + 1, total=total, seconds_left=left)
    measured = {kind: collector.outcome() for kind, collector in outcomes.items()}
    yield Benchmark(
        rows=summarise(measured, plan.num_resamples),
        bars=measured_bars(measured[PEOPLE], measured[SCENERY]),
        outcomes=measured,
        settings=_settings(plan, folder, textures, refused, time.monotonic() - started),
        sheet=np.concatenate(sheet),
    )


def is_shipped(model: str) -> bool:
    """Whether a model is named rather than given as a folder."""
    return model in ("xdyna-mini", "xdyna")


def model_folder(model: str) -> Path:
    """Where a model's weights are.

    Raises:
        InputError: nowhere.
    """
    if is_shipped(model):
        return locate(model)
    folder = Path(model)
    if not (folder / "model_index.json").is_file():
        raise InputError(
            f"{model} is not a model: give xdyna-mini, xdyna, or a pipeline folder with a model_index.json, such as "
            "the snapshot of a training run."
        )
    return folder


class _Collector:
    """Measures all methods on one clip after another."""

    def __init__(self, methods: Sequence[str], textures: Textures) -> None:
        self._methods, self._textures = methods, textures
        self._scenes: list[str] = []
        self._scores: dict[str, list[dict[str, float]]] = {method: [] for method in self._methods}
        self._cut: dict[str, list[dict[str, np.ndarray]]] = {method: [] for method in (*self._methods, TRUTH)}
        self._spectra: dict[str, list[np.ndarray]] = {method: [] for method in (*self._methods, TRUTH)}

    def add(self, clip: WorldClip, made: dict[str, Frames]) -> None:
        self._scenes.append(clip.scene)
        for method, frames in made.items():
            self._scores[method].append(score_clip(frames, clip))
        for method, frames in {**made, TRUTH: clip.frames[1:]}.items():
            cut = cut_clips(frames, clip)
            features = self._textures(list(cut.values()))
            self._cut[method].append(dict(zip(cut, features, strict=True)))
            self._spectra[method].append(background_spectrum(frames, clip))

    def outcome(self) -> Outcome:
        return Outcome(
            scenes=self._scenes,
            scores={
                method: {name: np.array([row[name] for row in rows]) for name in rows[0]}
                for method, rows in self._scores.items()
            },
            features={
                method: {region: np.stack([row[region] for row in rows]) for region in rows[0]}
                for method, rows in self._cut.items()
            },
            spectra={method: np.stack(spectra) for method, spectra in self._spectra.items()},
        )


def _sheet_rows(clip: WorldClip, made: Frames) -> Image:
    upper = np.concatenate([clip.frames[0], *clip.frames[1:]], axis=1)
    return np.concatenate([upper, np.concatenate([clip.frames[0], *made], axis=1)])


def _write_videos(folder: Path, number: int, clips: dict[str, Frames]) -> None:
    for method, frames in clips.items():
        path = folder / method / f"{number:03d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, Video(frames=np.ascontiguousarray(frames), fps=FPS))


def _settings(
    plan: BenchmarkPlan, folder: Path, textures: Textures, refused: int, seconds: float
) -> dict[str, object]:
    beside = f"sees what the model sees; of {plan.clips} photos it refused {refused}, which count as copied"
    start = "" if plan.setup.strength == 1 else "; where it refuses, and without a person, a run has all its steps"
    return {
        "xdyna": __version__,
        "model": plan.model if is_shipped(plan.model) else folder.name,
        "weights": revision(folder),
        "run": asdict(plan.setup),
        "clips": f"{plan.clips} with a person, {plan.scenes} without, seeds from {HELD_OUT_SEEDS}, which training "
        f"never draws; photo = first frame, then {NUM_FRAMES} frames at {FPS:g} per second",
        "driver": "the clip's own true pose; the face of another character with the same expression, moved into place",
        **({PUPPET: beside + start} if plan.with_puppet else {}),
        "mean picture": f"mean of the first frames of {MEAN_PICTURE_CLIPS} other clips",
        "regions": "the true person's mask, for the generated clip too; face: the box of the 68 true landmarks",
        "DTFD": f"Fréchet distance of 64 features, texture network sha256 {textures.sha256[:16]}, one window of "
        f"{NUM_FRAMES} frames a clip, 112 x 64, black outside the region, covariance with 1/(N-1)",
        "intervals": f"95 %; means: BCa bootstrap over clips; set scores and ratios: value +- 1.96 bootstrap standard "
        f"errors over clips ({plan.num_resamples} draws)",
        "seconds": round(seconds),
        "torch": torch.__version__,
    }
