"""What only Wan-Animate does: segments, replacing a person, and refusing what has no pictures."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends.tiny_backends import HEIGHT, NUM_FRAMES, WIDTH, WRITERS, tiny_conditions

from xdyna.animate import prepare
from xdyna.backends import BACKENDS
from xdyna.backends.wan import WanBackend, WanModel, num_segments, segment_length
from xdyna.backends.wan_animate import WAN_ANIMATE
from xdyna.schema import Animation, InputError, Progress

SETTINGS = replace(WAN_ANIMATE.defaults, height=HEIGHT, width=WIDTH, num_inference_steps=2)
LONG = 11  # frames, in segments of 5 that share one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    WRITERS["wan-animate"](folder)
    return folder / "wan-animate"


def run(model: WanModel, num_frames: int, stop: Any = None, **changes: Any) -> tuple[list[Progress], Animation]:
    *progress, last = model.run(tiny_conditions(num_frames), replace(SETTINGS, **changes), stop)
    assert isinstance(last, Animation)
    return [event for event in progress if isinstance(event, Progress) and event.phase == "Denoising"], last


@pytest.mark.parametrize(
    ("num_frames", "length", "segments"), [(2, 5, 1), (5, 5, 1), (6, 9, 1), (77, 77, 1), (78, 77, 2), (153, 77, 2)]
)
def test_a_short_clip_is_one_segment_of_its_own_length(num_frames: int, length: int, segments: int) -> None:
    assert segment_length(num_frames, 77) == length
    assert num_segments(num_frames, length) == segments
    plan = WAN_ANIMATE.plan(WAN_ANIMATE.defaults, num_frames)
    assert (plan.num_windows, plan.num_steps, plan.num_frames) == (segments, 20 * segments, num_frames)


def test_a_long_clip_is_made_in_segments_and_counted_as_a_whole(folder: Path) -> None:
    model = WanModel(replace(WAN_ANIMATE, segment_frames=5), folder, "cpu")
    steps, made = run(model, LONG)
    assert [event.step for event in steps] == list(range(1, 7))  # three segments of two steps
    assert len(made.video) == LONG and not made.stopped


def test_a_stop_keeps_finished_segments_and_a_draft_of_the_next(folder: Path) -> None:
    model = WanModel(replace(WAN_ANIMATE, segment_frames=5), folder, "cpu")
    whole = run(model, LONG, num_inference_steps=2)[1].video.frames
    seen: list[int] = []

    def stop() -> bool:
        seen.append(1)
        return len(seen) == 3  # in the first step of the second segment

    steps, made = run(model, LONG, stop)
    assert len(steps) == 3 and made.stopped
    assert len(made.video) == len(made.source_index) == 9
    assert np.array_equal(made.video.frames[:5], whole[:5])
    assert not np.array_equal(made.video.frames[5:], whole[5:9])


def test_replacing_sees_the_clip_without_its_person(folder: Path) -> None:
    seen = WAN_ANIMATE.prepare(tiny_conditions(), replace(SETTINGS, mode="replace"))
    assert set(seen) == {"pose", "face", "background", "mask"}
    assert not seen["background"][seen["mask"] > 0].any()
    model = WanModel(WAN_ANIMATE, folder, "cpu")
    replaced, animated = (run(model, NUM_FRAMES, mode=mode)[1].video.frames for mode in ("replace", "animate"))
    assert not np.array_equal(replaced, animated)


@pytest.mark.parametrize(("name", "mode"), [("wan-animate", "replace"), ("wan-animate-2", "animate")])
def test_what_needs_the_clip_refuses_a_motion_file(name: str, mode: str) -> None:
    conditions = tiny_conditions()
    blind = replace(conditions, driving_frames=np.zeros_like(conditions.driving_frames))
    with pytest.raises(InputError, match="motion file has no pictures"):
        BACKENDS[name].prepare(blind, replace(BACKENDS[name].defaults, mode=mode))


@pytest.mark.parametrize(("name", "small_gb"), [("wan-animate", 24), ("wan-animate-2", 48), ("dynamictrl", 24)])
def test_a_gpu_that_is_too_small_is_told_what_to_do(name: str, small_gb: float) -> None:
    backend = BACKENDS[name]
    assert backend.plan(backend.defaults, gpu_gb=140).memory_mode == "full"
    assert backend.plan(backend.defaults, gpu_gb=small_gb).memory_mode != "full"
    with pytest.raises(InputError, match=r"of GPU memory.* even in .*smallest.* Choose a smaller size"):
        backend.plan(backend.defaults, gpu_gb=4)


def test_without_a_gpu_it_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDYNA_WEIGHTS", str(folder.parent))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("xdyna.backends.interface.has_gpu", lambda: False)
    assert "needs an NVIDIA GPU" in WAN_ANIMATE.lacking()
    with pytest.raises(InputError, match="needs an NVIDIA GPU"):
        WAN_ANIMATE.load()


def test_the_distilled_weights_get_their_bias() -> None:
    scales = {name: BACKENDS[name].log_scale for name in ("wan-animate-2", "wan-animate-2-distilled")}
    assert scales == {"wan-animate-2": 0.0, "wan-animate-2-distilled": -1.3}
    assert all(isinstance(BACKENDS[name], WanBackend) for name in scales)


def test_replacing_keeps_the_clips_own_framing() -> None:
    examples = Path(__file__).parents[2] / "examples"
    settings = replace(WAN_ANIMATE.defaults, height=224, width=128, num_frames=2, fps=8.0)
    *_, animated = prepare(examples / "sea_photo.png", examples / "meadow_clip.mp4", settings)
    *_, replaced = prepare(examples / "sea_photo.png", examples / "meadow_clip.mp4", replace(settings, mode="replace"))
    assert replaced.alignment != pytest.approx(animated.alignment, abs=0.5)
    assert replaced.driving_frames[:, :3].any(axis=(-1, -2, -3)).all()  # no black bar: the clip fills the picture
