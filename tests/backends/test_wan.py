"""What only Wan-Animate does: segments, replacing a person, and refusing what has no pictures."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from backends.tiny_backends import HEIGHT, NUM_FRAMES, WIDTH, WRITERS, tiny_conditions

from xdyna.animate import prepare
from xdyna.backends import BACKENDS
from xdyna.backends.interface import PLACING
from xdyna.backends.wan import WanBackend, WanModel, num_segments, segment_length
from xdyna.backends.wan_animate import WAN_ANIMATE
from xdyna.backends.wan_animate_2 import WAN_ANIMATE_2
from xdyna.preprocess.letterbox import letterbox
from xdyna.schema import Animation, Conditions, InputError, Progress
from xdyna.video import read_frames

SETTINGS = replace(WAN_ANIMATE.defaults, height=HEIGHT, width=WIDTH, num_inference_steps=2)
EXAMPLES = Path(__file__).parents[2] / "examples"
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


@pytest.mark.parametrize("name", ["dynamictrl", "wan-animate", "wan-animate-2"])
def test_a_machine_whose_main_memory_is_too_small_is_told_before_loading(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    WRITERS[name](tmp_path)
    monkeypatch.setenv("XDYNA_WEIGHTS", str(tmp_path))
    with open(tmp_path / name / "more.safetensors", "wb") as file:
        file.truncate(100 * 10**9)  # holes take no place on the disk
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=16e9))
    most = {"dynamictrl": 21, "wan-animate": 48, "wan-animate-2": 46}[name]  # in half precision
    with pytest.raises(
        InputError, match=f"needs about {most} GB of main memory to load; this machine has 16."
    ) as told:
        BACKENDS[name].load("cpu")
    assert "xdyna-mini" in str(told.value)


def test_the_distilled_weights_get_their_bias() -> None:
    scales = {name: BACKENDS[name].log_scale for name in ("wan-animate-2", "wan-animate-2-distilled")}
    assert scales == {"wan-animate-2": 0.0, "wan-animate-2-distilled": -1.3}
    assert all(isinstance(BACKENDS[name], WanBackend) for name in scales)


def looked_at(clip: str = "meadow_clip.mp4", **changes: Any) -> Conditions:
    settings = replace(WAN_ANIMATE.defaults, height=224, width=128, num_frames=2, fps=8.0, **changes)
    *_, conditions = prepare(EXAMPLES / "sea_photo.png", EXAMPLES / clip, settings)
    assert isinstance(conditions, Conditions)
    return conditions


def test_version_2_sees_the_whole_clip_wherever_the_driver_is_laid() -> None:
    plain, moved = looked_at(), looked_at(nudge_x=0.4, nudge_zoom=2.0)
    assert not np.array_equal(plain.driving_frames, moved.driving_frames)
    seen = [WAN_ANIMATE_2.prepare(conditions, WAN_ANIMATE_2.defaults)["clip"] for conditions in (plain, moved)]
    assert np.array_equal(*seen)
    assert np.array_equal(
        seen[0], letterbox(read_frames(EXAMPLES / "meadow_clip.mp4", fps=8.0, num_frames=2), 2, plain.size)
    )


def test_version_2_has_no_settings_that_lay_the_driver_elsewhere() -> None:
    for name in PLACING:
        assert not WAN_ANIMATE_2.takes(name) and WAN_ANIMATE.takes(name)
    nudged = replace(WAN_ANIMATE.defaults, nudge_x=0.2, retarget=True)
    with pytest.raises(InputError, match="Wan-Animate-2 has no setting nudge_x"):
        WAN_ANIMATE_2.check(replace(WAN_ANIMATE_2.defaults, nudge_x=0.2))
    assert WAN_ANIMATE_2.adopt(nudged).nudge_x == 0  # so that a comparison can hold both
    assert BACKENDS["dynamictrl"].adopt(nudged).nudge_x == 0.2


def test_version_2_of_a_live_photo_sees_the_photo_sway() -> None:
    settings = replace(WAN_ANIMATE_2.defaults, height=224, width=128, num_frames=2, fps=8.0, live_photo=True)
    *_, conditions = prepare(EXAMPLES / "sea_photo.png", None, settings)
    assert isinstance(conditions, Conditions)
    assert np.array_equal(WAN_ANIMATE_2.prepare(conditions, settings)["clip"], conditions.driving_frames)


def test_version_2_makes_the_size_that_was_asked_for(tmp_path: Path) -> None:
    """Its pipeline works the size out anew from area and shape, and loses 16 pixels of some by rounding down."""
    WRITERS["wan-animate-2"](tmp_path)
    conditions = replace(
        tiny_conditions(), driving_frames=np.full((NUM_FRAMES, 144, 112, 3), 90, np.uint8), person_masks=None
    )
    settings = replace(WAN_ANIMATE_2.defaults, height=144, width=112, num_inference_steps=1, prompt="a person")
    *_, made = WanModel(WAN_ANIMATE_2, tmp_path / "wan-animate-2", "cpu").run(conditions, settings)
    assert isinstance(made, Animation) and made.video.frames.shape == (NUM_FRAMES, 144, 112, 3)


def test_version_1_cuts_the_face_out_of_the_clip_as_read() -> None:
    conditions = looked_at()
    fine = WAN_ANIMATE.prepare(conditions, WAN_ANIMATE.defaults)["face"]
    coarse = WAN_ANIMATE.prepare(replace(conditions, clip=None), WAN_ANIMATE.defaults)["face"]
    assert fine.shape == coarse.shape and fine.any()
    assert not np.array_equal(fine, coarse)
    assert np.abs(fine.astype(int) - coarse).mean() < 30  # the same face


def test_replacing_keeps_the_clips_own_framing() -> None:
    animated, replaced = looked_at(), looked_at(mode="replace")
    assert replaced.alignment != pytest.approx(animated.alignment, abs=0.5)
    assert replaced.driving_frames[:, :3].any(axis=(-1, -2, -3)).all()  # no black bar: the clip fills the picture
