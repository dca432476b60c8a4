"""What holds for every entry of `BACKENDS`: facts, plan, previews, run, stop."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeGuard

import numpy as np
import pytest
from backends.tiny_backends import FPS, NUM_FRAMES, WRITERS, tiny_conditions

from xdyna.animate import plan, prepare
from xdyna.backends import BACKENDS, PHOTO_POSE, Backend, Model
from xdyna.backends.interface import COMMON
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, InputError, Progress

FIELDS = [item.name for item in fields(AnimationSettings)]
STEPS = 2
SCALES = {"puppet": 2}  # a person must be large enough to be cut out
CONDITIONS = {name: tiny_conditions(scale=SCALES.get(name, 1)) for name in BACKENDS}
READY = ("xdyna-mini", "puppet")  # without any download
PHOTO = Path(__file__).parents[2] / "examples" / "sea_photo.png"
every_backend = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)


def tiny_settings(backend: Backend) -> AnimationSettings:
    """The smallest run, of the size of `CONDITIONS`."""
    frames = backend.limits_of("num_frames").nearest(NUM_FRAMES)
    height, width = CONDITIONS[backend.name].size
    return with_steps(
        backend, STEPS, replace(backend.defaults, height=height, width=width, num_frames=frames, fps=FPS)
    )


def samples(backend: Backend) -> bool:
    """Whether it denoises: others draw, and each frame is a step."""
    return backend.takes("num_inference_steps")


def with_steps(backend: Backend, steps: int, settings: AnimationSettings) -> AnimationSettings:
    return replace(settings, num_inference_steps=steps, prompt="a person") if samples(backend) else settings


@pytest.fixture(scope="module", params=BACKENDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backend, Model]]:
    """Loaded from tiny weights in the real layout."""
    folder = tmp_path_factory.mktemp("weights")
    WRITERS[request.param](folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDYNA_WEIGHTS", str(folder))
        yield BACKENDS[request.param], BACKENDS[request.param].load("cpu")


def finished(backend: Backend, model: Model, settings: AnimationSettings | None = None) -> Animation:
    *_, last = model.run(CONDITIONS[backend.name], settings or tiny_settings(backend))
    assert isinstance(last, Animation)
    return last


@every_backend
def test_facts_cost_nothing(backend: Backend) -> None:
    assert BACKENDS[backend.name] is backend
    assert backend.notice.endswith(".") and backend.sees.endswith(".")
    assert set(backend.options) <= set(FIELDS) - set(COMMON)
    assert set(backend.limits) <= set(COMMON) | set(backend.options)
    assert backend.modes[0] == "animate"
    assert "gpu" not in backend.needs or backend.min_gpu_gb > 0
    for release in backend.releases:
        assert release.licence and release.gb > 0 and release.contents
    backend.check(backend.defaults, taken_by(backend))


def taken_by(backend: Backend) -> list[str]:
    return [name for name in FIELDS if backend.takes(name)]


@every_backend
def test_a_plan_says_what_is_made_and_what_it_costs(backend: Backend) -> None:
    made = plan(backend.defaults, backend.name)
    assert (made.height, made.width, made.fps) == (
        backend.defaults.height,
        backend.defaults.width,
        backend.defaults.fps,
    )
    assert made.num_frames == backend.defaults.num_frames
    assert made.num_steps % made.num_windows == 0
    assert made.seconds > 0 and made.memory_gb > 0 and made.device
    assert all(warning.endswith(".") for warning in made.warnings)
    more_work = {"num_inference_steps" if samples(backend) else "num_frames": made.num_steps + 1}
    more = plan(replace(backend.defaults, **more_work), backend.name)
    assert more.seconds > made.seconds


@every_backend
@pytest.mark.parametrize("num_driving_frames", [5, 6, 17, 100])
def test_a_plan_tells_which_driving_frame_each_frame_follows(backend: Backend, num_driving_frames: int) -> None:
    made = backend.plan(backend.defaults, num_driving_frames)
    following = [k for k in made.source_index if k != PHOTO_POSE]
    assert following == list(range(len(following)))  # in step with the clip: so takes of two models line up
    assert 0 < len(following) <= num_driving_frames
    assert made.source_index[: made.num_frames - len(following)] == (PHOTO_POSE,) * (made.num_frames - len(following))


@every_backend
def test_a_setting_of_another_model_is_refused_by_name(backend: Backend) -> None:
    foreign = {"adapter_strength": 0.5, "memory_mode": "full", "scheduler": "unipc"}
    for name, value in foreign.items():
        changed = replace(backend.defaults, **{name: value})
        if backend.takes(name):
            backend.check(changed)
        else:
            with pytest.raises(InputError, match=f"{backend.title} has no setting {name}"):
                backend.check(changed)
            assert backend.own(changed) == backend.defaults


@every_backend
@pytest.mark.parametrize("other", BACKENDS)
def test_settings_of_any_other_model_can_be_adopted(backend: Backend, other: str) -> None:
    theirs = replace(BACKENDS[other].defaults, seed=7, prompt="rain", num_frames=30, height=200, keep_sound=False)
    adopted = backend.adopt(theirs)
    backend.check(adopted)
    assert (adopted.seed, adopted.prompt, adopted.keep_sound) == (7, "rain", False)
    assert adopted.num_inference_steps == backend.defaults.num_inference_steps


@every_backend
def test_it_draws_what_it_sees_itself(backend: Backend) -> None:
    settings, conditions = tiny_settings(backend), CONDITIONS[backend.name]
    num_frames = backend.plan(settings, NUM_FRAMES).num_frames
    for name, frames in backend.prepare(conditions, settings).items():
        assert frames.dtype == np.uint8 and frames.ndim == 4 and len(frames) == num_frames, name
        assert frames.any(), name
        assert name not in ("pose", "clip") or frames.shape[1:3] == conditions.size
    driven_by = backend.driven_by(conditions, settings)
    assert len(driven_by) == num_frames and driven_by.min() == 0 and driven_by.max() < NUM_FRAMES


@every_backend
def test_it_can_animate_a_photo_without_a_clip(backend: Backend) -> None:
    settings = replace(tiny_settings(backend), height=224, width=128, live_photo=True)
    *_, conditions = prepare(PHOTO, None, settings)
    assert isinstance(conditions, Conditions)
    for name, frames in backend.prepare(conditions, settings).items():
        assert len(frames) == backend.plan(settings, conditions.num_frames).num_frames, name
        assert frames.any() and np.abs(frames[-1].astype(int) - frames[1]).max() > 0, name  # it sways


@every_backend
def test_missing_weights_name_the_command_that_fetches_them(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDYNA_WEIGHTS", str(tmp_path))
    if backend.name in READY:
        assert backend.lacking() == ""  # runs anywhere
        return
    assert "xdyna weights pull" in backend.lacking()
    with pytest.raises(InputError, match="xdyna weights pull"):
        backend.load()


def test_a_run_makes_what_its_plan_says(model: tuple[Backend, Model]) -> None:
    backend, loaded = model
    made, expected = finished(backend, loaded), backend.plan(tiny_settings(backend), NUM_FRAMES)
    assert made.video.frames.shape == (expected.num_frames, *CONDITIONS[backend.name].size, 3)
    assert made.video.fps == FPS
    assert made.source_index == expected.source_index
    assert made.model == backend.name and len(made.revision) == 12
    assert not made.stopped
    assert made.video.frames.std() > 0


def test_the_same_seed_gives_the_same_video(model: tuple[Backend, Model]) -> None:
    first, again = finished(*model), finished(*model)
    assert np.array_equal(first.video.frames, again.video.frames)
    other = finished(*model, replace(tiny_settings(model[0]), seed=1))
    assert np.array_equal(first.video.frames, other.video.frames) != samples(model[0])


def test_every_step_is_reported(model: tuple[Backend, Model]) -> None:
    backend, loaded = model
    *progress, last = loaded.run(CONDITIONS[backend.name], tiny_settings(backend))
    assert isinstance(last, Animation)
    assert all(isinstance(event, Progress) for event in progress)
    denoising = [event for event in progress if is_step(backend, event)]
    expected = backend.plan(tiny_settings(backend), NUM_FRAMES).num_steps
    assert [event.step for event in denoising] == list(range(1, expected + 1))
    assert all(event.total == expected for event in denoising)


def is_step(backend: Backend, event: Progress | Animation) -> TypeGuard[Progress]:
    return isinstance(event, Progress) and event.phase == ("Denoising" if samples(backend) else "Drawing")


def test_a_stop_ends_the_run_with_the_step(model: tuple[Backend, Model]) -> None:
    backend, loaded = model
    seen: list[Progress] = []
    settings = with_steps(backend, 9, tiny_settings(backend))
    for event in loaded.run(CONDITIONS[backend.name], settings, stop=lambda: bool(seen)):
        if is_step(backend, event):
            seen.append(event)
    assert len(seen) == 1
    assert isinstance(event, Animation) and event.stopped
    planned = backend.plan(settings, NUM_FRAMES)
    done = planned.num_frames if samples(backend) else len(seen)  # a draft of all frames, or the first ones, finished
    assert event.source_index == planned.source_index[:done] and len(event.video) == done
    assert all(len(clip) == done for clip in event.controls.values())


def test_closing_a_run_frees_the_model(model: tuple[Backend, Model]) -> None:
    backend, loaded = model
    events = loaded.run(CONDITIONS[backend.name], tiny_settings(backend))
    next(events), next(events)
    events.close()  # type: ignore[attr-defined]
    assert len(finished(backend, loaded).video) > 0
