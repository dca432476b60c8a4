"""What holds for every entry of `BACKENDS`: facts, plan, previews, run, stop."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from backends.tiny_backends import FPS, HEIGHT, NUM_FRAMES, WIDTH, WRITERS, tiny_conditions

from xdyna.animate import plan, prepare
from xdyna.backends import BACKENDS, PHOTO_POSE, Backend, Model
from xdyna.backends.interface import COMMON
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, InputError, Progress

FIELDS = [item.name for item in fields(AnimationSettings)]
STEPS = 2
CONDITIONS = tiny_conditions()
PHOTO = Path(__file__).parents[2] / "examples" / "sea_photo.png"
every_backend = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)


def tiny_settings(backend: Backend) -> AnimationSettings:
    """The smallest run, of the size of `CONDITIONS`."""
    frames = backend.limits_of("num_frames").nearest(NUM_FRAMES)
    steps = replace(backend.defaults, height=HEIGHT, width=WIDTH, num_frames=frames, fps=FPS)
    return replace(steps, num_inference_steps=STEPS, prompt="a person")


@pytest.fixture(scope="module", params=BACKENDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backend, Model]]:
    """Loaded from tiny weights in the real layout."""
    folder = tmp_path_factory.mktemp("weights")
    WRITERS[request.param](folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDYNA_WEIGHTS", str(folder))
        yield BACKENDS[request.param], BACKENDS[request.param].load("cpu")


def finished(backend: Backend, model: Model, settings: AnimationSettings | None = None) -> Animation:
    *_, last = model.run(CONDITIONS, settings or tiny_settings(backend))
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
    more = plan(replace(backend.defaults, num_inference_steps=made.num_steps + 1), backend.name)
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
    settings = tiny_settings(backend)
    num_frames = backend.plan(settings, NUM_FRAMES).num_frames
    for name, frames in backend.prepare(CONDITIONS, settings).items():
        assert frames.dtype == np.uint8 and frames.ndim == 4 and len(frames) == num_frames, name
        assert frames.any(), name
        assert name not in ("pose", "clip") or frames.shape[1:3] == (HEIGHT, WIDTH)
    driven_by = backend.driven_by(CONDITIONS, settings)
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
    if backend.name == "xdyna-mini":
        assert backend.lacking() == ""  # comes with xdyna and runs anywhere
        return
    assert "xdyna weights pull" in backend.lacking()
    with pytest.raises(InputError, match="xdyna weights pull"):
        backend.load()


def test_a_run_makes_what_its_plan_says(model: tuple[Backend, Model]) -> None:
    backend, loaded = model
    made, expected = finished(backend, loaded), backend.plan(tiny_settings(backend), NUM_FRAMES)
    assert made.video.frames.shape == (expected.num_frames, HEIGHT, WIDTH, 3)
    assert made.video.fps == FPS
    assert made.source_index == expected.source_index
    assert made.model == backend.name and len(made.revision) == 12
    assert not made.stopped
    assert made.video.frames.std() > 0


def test_the_same_seed_gives_the_same_video(model: tuple[Backend, Model]) -> None:
    first, again = finished(*model), finished(*model)
    assert np.array_equal(first.video.frames, again.video.frames)
    other = finished(*model, replace(tiny_settings(model[0]), seed=1))
    assert not np.array_equal(first.video.frames, other.video.frames)


def test_every_step_is_reported(model: tuple[Backend, Model]) -> None:
    backend, loaded = model
    *progress, last = loaded.run(CONDITIONS, tiny_settings(backend))
    assert isinstance(last, Animation)
    assert all(isinstance(event, Progress) for event in progress)
    denoising = [event for event in progress if isinstance(event, Progress) and event.phase == "Denoising"]
    expected = backend.plan(tiny_settings(backend), NUM_FRAMES).num_steps
    assert [event.step for event in denoising] == list(range(1, expected + 1))
    assert all(event.total == expected for event in denoising)


def test_a_stop_ends_the_run_with_the_step(model: tuple[Backend, Model]) -> None:
    backend, loaded = model
    seen: list[Progress] = []
    settings = replace(tiny_settings(backend), num_inference_steps=9)
    for event in loaded.run(CONDITIONS, settings, stop=lambda: bool(seen)):
        if isinstance(event, Progress) and event.phase == "Denoising":
            seen.append(event)
    assert len(seen) == 1
    assert isinstance(event, Animation) and event.stopped
    assert len(event.video) == backend.plan(settings, NUM_FRAMES).num_frames


def test_closing_a_run_frees_the_model(model: tuple[Backend, Model]) -> None:
    backend, loaded = model
    events = loaded.run(CONDITIONS, tiny_settings(backend))
    next(events), next(events)
    events.close()  # type: ignore[attr-defined]
    assert len(finished(backend, loaded).video) > 0
