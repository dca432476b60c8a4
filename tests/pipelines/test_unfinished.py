"""A run that was killed goes on where it was and ends as if nothing had happened."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_pipeline
from torch import Tensor

from xdyna.pipelines import XDynaOutput, XDynaPipeline
from xdyna.pipelines.memory import MEMORY_MODES, MemoryMode
from xdyna.pipelines.schedulers import SAMPLERS, with_sampler

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (64, 48, 3), dtype=np.uint8)
POSE = RNG.integers(0, 256, (7, 64, 48, 3), dtype=np.uint8)
STEPS, WINDOWS = 4, 3


@pytest.fixture(scope="module")
def pipeline() -> XDynaPipeline:
    return tiny_pipeline()


def events(pipeline: XDynaPipeline, **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "num_inference_steps": STEPS,
        "guidance_scale": 2.0,
        "context_frames": 4,
        "context_overlap": 1,
        "generator": torch.Generator().manual_seed(7),
        "output_type": "latent",
    }
    return pipeline.stream(IMAGE, POSE, **arguments | changes)


def run(pipeline: XDynaPipeline, **changes: Any) -> tuple[Tensor, int]:
    """The result, and how often the UNet ran."""
    calls: list[int] = []
    hook = pipeline.unet.register_forward_pre_hook(lambda *_: calls.append(1))
    *_, last = events(pipeline, **changes)
    hook.remove()
    assert isinstance(last, XDynaOutput)
    return last.frames, len(calls)


def kill_after(pipeline: XDynaPipeline, num_windows: int, **changes: Any) -> None:
    stream = events(pipeline, **changes)
    for _ in range(num_windows):
        next(stream)
    stream.close()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_any_sampler_goes_on(pipeline: XDynaPipeline, sampler: str, tmp_path: Path) -> None:
    pipeline.scheduler = with_sampler(pipeline.scheduler, sampler)
    expected, _ = run(pipeline)
    kill_after(pipeline, 2 * WINDOWS + 1, unfinished=tmp_path / "run")
    pipeline.scheduler = with_sampler(pipeline.scheduler, sampler)  # as another process would have it
    got, calls = run(pipeline, unfinished=tmp_path / "run")
    assert calls == STEPS * WINDOWS - (2 * WINDOWS + 1)
    assert torch.equal(got, expected)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("finished", [1, WINDOWS, STEPS * WINDOWS])
def test_what_is_finished_is_not_done_again(pipeline: XDynaPipeline, finished: int, tmp_path: Path) -> None:
    expected, _ = run(pipeline)
    kill_after(pipeline, finished, unfinished=tmp_path)
    got, calls = run(pipeline, unfinished=tmp_path)
    assert calls == STEPS * WINDOWS - finished
    assert torch.equal(got, expected)


@pytest.mark.parametrize("finished", [1, 2])
def test_windows_that_ran_as_one_batch_do_so_again(pipeline: XDynaPipeline, finished: int, tmp_path: Path) -> None:
    """Killed while the windows of a batch were written, one after another."""
    pipeline.memory = MemoryMode(windows_at_once=2)
    try:
        expected, _ = run(pipeline)
        kill_after(pipeline, finished, unfinished=tmp_path)
        got, calls = run(pipeline, unfinished=tmp_path)
    finally:
        pipeline.memory = MEMORY_MODES["full"]
    assert calls == STEPS * 2 - finished // 2  # batches of two windows and of one
    assert torch.equal(got, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"guidance_scale": 3.0},
        {"generator": torch.Generator().manual_seed(8)},
        {"prompt": "sea"},
        {"context_overlap": 2},
    ],
    ids=lambda change: "+".join(change),
)
def test_another_run_begins_anew(pipeline: XDynaPipeline, change: dict[str, Any], tmp_path: Path) -> None:
    kill_after(pipeline, WINDOWS + 1, unfinished=tmp_path)
    seed = change.get("generator")
    state = None if seed is None else seed.get_state()
    got, _ = run(pipeline, unfinished=tmp_path, **change)
    if seed is not None:
        seed.set_state(state)
    assert torch.equal(got, run(pipeline, **change)[0])


def test_foreign_files_stay(pipeline: XDynaPipeline, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    run(pipeline, unfinished=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_finished_steps_stay_until_the_result_is_saved(pipeline: XDynaPipeline, tmp_path: Path) -> None:
    expected, _ = run(pipeline)
    stream = events(pipeline, unfinished=tmp_path / "run")
    while not isinstance(next(stream), XDynaOutput):
        pass
    stream.close()  # killed while the result was written
    got, calls = run(pipeline, unfinished=tmp_path / "run")
    assert calls == 0
    assert torch.equal(got, expected)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"\x80\x02}q\x00.", bytes(1000)])
@pytest.mark.parametrize("name", ["state.pt", "window-1-0.pt"])
def test_a_damaged_file_costs_only_what_it_held(
    pipeline: XDynaPipeline, name: str, content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected, _ = run(pipeline)
    kill_after(pipeline, WINDOWS + 1, unfinished=tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(content)
    got, calls = run(pipeline, unfinished=tmp_path / "run")
    assert calls == STEPS * WINDOWS - (0 if name == "state.pt" else WINDOWS)
    assert torch.equal(got, expected)
    assert f"{name} is of no use" in caplog.text


class FullDisk:
    """Stands for `os.fsync`: the disk takes some files and then says that it is full, or whatever is asked."""

    def __init__(self, files: int, error: int) -> None:
        self.files, self.error = files, error

    def __call__(self, descriptor: int) -> None:
        self.files -= 1
        if self.files < 0:
            raise OSError(self.error, os.strerror(self.error))


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO], ids=errno.errorcode.get)
@pytest.mark.parametrize("files", [0, 1, WINDOWS + 2])
def test_without_room_the_run_goes_on_and_says_so_once(
    pipeline: XDynaPipeline,
    files: int,
    error: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected, _ = run(pipeline)
    monkeypatch.setattr("xdyna.files.os.fsync", FullDisk(files, error))
    left = []
    for event in events(pipeline, unfinished=tmp_path / "run"):
        got = event
        left = [*tmp_path.rglob("*")]
    assert torch.equal(got.frames, expected)
    assert left == []  # nothing half-written, and no state that nobody will use
    assert caplog.text.count("The run goes on") == 1
    assert os.strerror(error) in caplog.text


def test_a_folder_that_cannot_be_made_stops_no_run(
    pipeline: XDynaPipeline, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").write_text("a file of the user's")
    got, _ = run(pipeline, unfinished=tmp_path / "run")
    assert torch.equal(got, run(pipeline)[0])
    assert (tmp_path / "run").read_text() == "a file of the user's"
    assert caplog.text.count("cannot be written") == 1
