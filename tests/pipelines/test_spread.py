"""The windows of a step on several devices give what one device gives."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_pipeline
from torch import Tensor

from xdyna.pipelines import XDynaOutput, XDynaPipeline
from xdyna.pipelines.memory import MemoryMode
from xdyna.pipelines.spread import split

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (64, 48, 3), dtype=np.uint8)
POSE, FACE_LOCAL, FACE_GLOBAL = RNG.integers(0, 256, (3, 10, 64, 48, 3), dtype=np.uint8)
MASKS = np.linspace(0, 1, 10 * 8 * 6, dtype=np.float32).reshape(10, 8, 6)
STEPS, WINDOWS, PATIENCE_S = 3, 4, 60.0
CLOSE = {"atol": 1e-4, "rtol": 1e-4}  # other frames share a batch
ARGUMENTS: dict[str, Any] = {
    "face_local_frames": FACE_LOCAL,
    "face_global_frames": FACE_GLOBAL,
    "prompt": "water",
    "negative_prompt": "fire",
    "num_inference_steps": STEPS,
    "context_frames": 4,
    "context_overlap": 1,
    "output_type": "latent",
}


@pytest.fixture(scope="module")
def pipelines() -> list[XDynaPipeline]:
    """Three with the same weights, as on three devices."""
    return [tiny_pipeline() for _ in range(3)]


def run(pipeline: XDynaPipeline, **changes: Any) -> Tensor:
    pipeline.cache.clear()
    generator = torch.Generator().manual_seed(7)
    *_, last = pipeline.stream(IMAGE, POSE, **ARGUMENTS | {"generator": generator} | changes)
    assert isinstance(last, XDynaOutput)
    return last.frames


@pytest.fixture
def calls(pipelines: list[XDynaPipeline]) -> Iterator[list[int]]:
    """How often each UNet runs."""
    counts = [0] * len(pipelines)

    def counting(number: int) -> Callable[..., None]:
        def count(*_: Any) -> None:
            counts[number] += 1

        return count

    hooks = [p.unet.register_forward_pre_hook(counting(k)) for k, p in enumerate(pipelines)]
    yield counts
    for hook in hooks:
        hook.remove()


def test_neighbouring_windows_stay_together() -> None:
    windows = [[k] for k in range(7)]
    assert split(windows, 1) == [windows]
    assert split(windows, 3) == [windows[:2], windows[2:4], windows[4:]]
    assert split(windows, 3, at_once=2) == [windows[:2], windows[2:4], windows[4:]]
    assert split(windows[:2], 3) == [windows[:1], windows[1:2]]
    assert split(windows[:3], 2, at_once=4) == [windows[:3]]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"guidance_scale": 1.0},
        {"window_schedule": "open"},
        {"reference_cache": True},
        {"person_masks": MASKS, "background_adapter_strength": 0.5, "controls_on_person_only": True},
    ],
    ids=lambda changes: ", ".join(changes) or "plain",
)
def test_two_devices_give_what_one_gives_and_share_the_windows(
    pipelines: list[XDynaPipeline], calls: list[int], changes: dict[str, Any]
) -> None:
    main, helper, _ = pipelines
    expected, alone = run(main, **changes), calls[0]
    shared = run(main, helpers=lambda at_most: [helper], **changes)
    torch.testing.assert_close(shared, expected, **CLOSE)
    of_main, of_helper = calls[0] - alone, calls[1]
    recorded = STEPS if changes.get("reference_cache") else 0  # both compute the reference by itself
    assert of_main + of_helper == alone + recorded
    assert of_helper >= STEPS * WINDOWS // 2


def test_they_compute_at_the_same_time(pipelines: list[XDynaPipeline]) -> None:
    main, helper, _ = pipelines
    together = threading.Barrier(2)  # neither UNet goes on before the other has begun

    def meet(*_: object) -> None:
        together.wait(PATIENCE_S)

    hooks = [pipeline.unet.register_forward_pre_hook(meet) for pipeline in (main, helper)]
    run(main, helpers=lambda at_most: [helper])
    for hook in hooks:
        hook.remove()


def test_helpers_are_asked_for_at_every_step_and_may_come_and_go(
    pipelines: list[XDynaPipeline], calls: list[int]
) -> None:
    main, *others = pipelines
    asked: list[int] = []

    def helpers(at_most: int) -> list[XDynaPipeline]:
        asked.append(at_most)
        return [[], others, others[1:]][len(asked) - 1]

    expected = run(main)
    alone = calls[0]
    shared = run(main, helpers=helpers)
    assert asked == [WINDOWS - 1] * STEPS
    assert [calls[0] - alone, *calls[1:]] == [WINDOWS + 1 + 2, 1, 2 + 2]
    torch.testing.assert_close(shared, expected, **CLOSE)


def test_a_clip_of_one_window_needs_nobody(pipelines: list[XDynaPipeline], calls: list[int]) -> None:
    run(pipelines[0], helpers=lambda at_most: pipelines[1:][:at_most], context_frames=10)
    assert calls[1:] == [0, 0]


def test_a_feature_cache_stays_on_one_device(pipelines: list[XDynaPipeline], calls: list[int]) -> None:
    run(pipelines[0], helpers=lambda at_most: pipelines[1:], feature_cache_interval=2)
    assert calls[1:] == [0, 0]


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_killed_run_goes_on_with_helpers(
    pipelines: list[XDynaPipeline], calls: list[int], at_once: int, tmp_path: Path
) -> None:
    main, helper, _ = pipelines
    expected = run(main)
    main.memory = MemoryMode(windows_at_once=at_once)
    changes = {"generator": torch.Generator().manual_seed(7), "unfinished": tmp_path}
    stream = main.stream(IMAGE, POSE, **ARGUMENTS | changes)
    for _ in range(WINDOWS + 3):
        next(stream)
    stream.close()
    calls[:] = [0, 0, 0]
    shared = run(main, helpers=lambda at_most: [helper], unfinished=tmp_path)
    main.memory = MemoryMode()
    assert sum(calls) == ((STEPS - 1) * WINDOWS - 2) // at_once - (1 if at_once == 1 else 0)
    torch.testing.assert_close(shared, expected, **CLOSE)


def test_what_fails_on_a_helper_ends_the_run(pipelines: list[XDynaPipeline]) -> None:
    main, helper, _ = pipelines

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    hook = helper.unet.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        run(main, helpers=lambda at_most: [helper])
    hook.remove()
