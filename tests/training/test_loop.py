"""Whole runs of the shipped full-size recipe, at tiny size: two steps of each stage."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import tiny_pipeline

from xdyna.models import PatchAutoencoder
from xdyna.pipelines import XDynaPipeline
from xdyna.schema import InputError
from xdyna.training.checkpoint import load_checkpoint
from xdyna.training.loop import LOG_FOLDER, SHEET_FOLDER, train
from xdyna.training.mini import LATENT_CHANNELS
from xdyna.training.recipe import Recipe, load_recipe
from xdyna.training.start import starting_pipeline

Curves = dict[str, list[tuple[int, float]]]


def curves(folder: Path) -> Curves:
    """Everything TensorBoard would plot of a run, by name."""
    board = EventAccumulator(str(folder / LOG_FOLDER))
    board.Reload()
    return {name: [(event.step, event.value) for event in board.Scalars(name)] for name in board.Tags()["scalars"]}


def command(folder: Path, changes: list[str], *more: str) -> list[str]:
    settings = [f"--set={change}" for change in changes]
    return [sys.executable, "-m", "xdyna", "train", "--recipe=full", f"--output={folder}", *settings, *more]


def changed_parameters(before: XDynaPipeline, after: XDynaPipeline) -> set[str]:
    names = [name for name, part in after.components.items() if isinstance(part, torch.nn.Module)]
    states = [(name, getattr(before, name).state_dict(), getattr(after, name).state_dict()) for name in names]
    return {f"{name}.{key}" for name, old, new in states for key in new if not torch.equal(old[key], new[key])}


def test_a_run(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe()
    events = list(train(recipe, tmp_path))

    # Progress with time left
    steps = [(event.phase, event.step, event.total) for event in events]
    assert steps == [("body", 1, 2), ("body", 2, 2), ("face", 1, 2), ("face", 2, 2)]
    assert all(event.seconds_left is not None and event.loss > 0 and event.clips_per_s > 0 for event in events)
    assert events[-1].seconds_left == 0

    # TensorBoard
    logged = curves(tmp_path)
    assert set(logged) == {"loss", "learning_rate", "gradient_norm", "clips_per_s"}
    assert logged["loss"] == [(k + 1, pytest.approx(event.loss)) for k, event in enumerate(events)]
    assert logged["learning_rate"] == [(k + 1, pytest.approx(1e-3)) for k in range(4)]

    # Sheets: label, photo and two frames wide, three rows for each of three clips
    sheets = sorted((tmp_path / SHEET_FOLDER).iterdir())
    assert [sheet.name for sheet in sheets] == ["0-body-0000002.png", "1-face-0000004.png"]
    assert np.asarray(Image.open(sheets[0])).shape == (3 * 3 * (64 + 4), (46 + 4) + 3 * (48 + 4), 3)

    # The snapshot is a pipeline in which the stages have changed what they name and nothing else.
    before = starting_pipeline(recipe, tmp_path, torch.device("cpu"))
    changed = changed_parameters(before, XDynaPipeline.from_pretrained(tmp_path / "snapshot"))
    named = r"unet\..*(\.to_q_ff\.|\.to_out_ff\.|motion_modules\.)|controlnet_pose\.|controlnet_face\."
    assert all(re.match(named, name) for name in changed)
    assert {found.group(1) or found.group(0) for name in changed if (found := re.match(named, name))} == {
        *(".to_q_ff.", ".to_out_ff.", "motion_modules.", "controlnet_pose.", "controlnet_face.")
    }

    # The same command has nothing more to do.
    assert list(train(recipe, tmp_path)) == []


def test_a_snapshot_holds_the_average_of_the_weights(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    moved = []
    for decay in (0.0, 0.9999):
        recipe = tiny_recipe(f"ema_decay={decay}", "stages.0.steps=3", "face_control=none")
        folder = tmp_path / str(decay)
        assert len(list(train(recipe, folder))) == 3
        start = starting_pipeline(recipe, folder, torch.device("cpu")).unet.state_dict()
        kept = XDynaPipeline.from_pretrained(folder / "snapshot").unet.state_dict()
        moved.append(sum((kept[key] - start[key]).abs().sum().item() for key in start if "to_q_ff" in key))
    last, average = moved
    assert 0 < average < 0.9 * last  # the average trails behind


def test_compiling_needs_a_compiler(
    tmp_path: Path, tiny_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match=r"no C\+\+ compiler \(no-such-compiler\).*--set compile=false"):
        next(train(tiny_recipe("compile=true"), tmp_path))


def test_xdyna_mini_starts_from_nothing(tmp_path: Path) -> None:
    """The shipped mini recipe, in its own precision, one step of each stage around an untrained autoencoder."""
    PatchAutoencoder(latent_channels=LATENT_CHANNELS).save_pretrained(tmp_path / "vae")
    small = ["height=64", "width=48", "compile=false", "workers=0"]
    recipe = load_recipe("mini", [*small, "stages.0.steps=1", "stages.1.steps=1", "stages.1.num_frames=2"])
    events = list(train(recipe, tmp_path))
    assert [event.phase for event in events] == ["appearance", "joint"]
    assert XDynaPipeline.from_pretrained(tmp_path / "snapshot").text_encoder is None


def test_killed_it_goes_on_to_the_same_weights(
    tmp_path: Path, tiny_changes: list[str], tiny_recipe: Callable[..., Recipe]
) -> None:
    """SIGKILL in the middle of a real command; on a CPU the two curves are equal bit for bit."""
    changes = ["save_every_s=0", "stages.0.steps=4", "stages.1.steps=1", "workers=1"]
    with subprocess.Popen(
        command(tmp_path / "killed", tiny_changes + changes), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("body 3/4"):
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL

    recipe = tiny_recipe(*changes)
    left = load_checkpoint(tmp_path / "killed", recipe)
    assert left is not None and left["position"]["stage"] == 0 and left["position"]["step"] in (2, 3)
    for name in ("killed", "whole"):
        assert list(train(recipe, tmp_path / name))
    killed, whole = (curves(tmp_path / name) for name in ("killed", "whole"))
    for name in ("loss", "gradient_norm", "learning_rate"):
        assert len(whole[name]) == 5
        assert killed[name] == whole[name]
    ends = [load_checkpoint(tmp_path / name, recipe) for name in ("killed", "whole")]
    assert ends[0] is not None and ends[1] is not None
    assert all(torch.equal(ends[0]["weights"][key], value) for key, value in ends[1]["weights"].items())


def test_two_processes_train_as_one(
    tmp_path: Path, tiny_changes: list[str], tiny_recipe: Callable[..., Recipe]
) -> None:
    """The clips of a step are shared out, and the losses are those of one process."""
    changes = ["face_control=none"]
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517"}  # what a launcher tells each
    ranks = [
        subprocess.Popen(
            command(tmp_path / "two", tiny_changes + changes, "--cpu"),
            env=os.environ | group | {"RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
        )
        for rank in ("0", "1")
    ]
    list(train(tiny_recipe(*changes), tmp_path / "one"))
    said = [process.communicate()[0].decode() for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0]
    assert "finished" in said[0] and said[1] == ""
    one, two = (curves(tmp_path / name) for name in ("one", "two"))
    assert two["loss"] == [(step, pytest.approx(loss, rel=1e-4)) for step, loss in one["loss"]]
    assert two["gradient_norm"] == [(step, pytest.approx(norm, rel=1e-3)) for step, norm in one["gradient_norm"]]


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    """S-Face's weights are broken; the stage before it does not touch them."""
    pipeline = tiny_pipeline()
    torch.nn.init.constant_(pipeline.controlnet_face.conv_in.bias, float("nan"))
    pipeline.save_pretrained(tmp_path / "broken")
    recipe = tiny_recipe(f"model={tmp_path / 'broken'}", "reset=[]")
    with pytest.raises(InputError, match=r"stage 'face', step 1: the loss is nan .*, on clips 0 to 1 of the stage\."):
        list(train(recipe, tmp_path / "run"))
    kept = load_checkpoint(tmp_path / "run", recipe)
    assert kept is not None
    assert (kept["position"]["stage"], kept["position"]["step"]) == (1, 0)
    assert all(torch.isfinite(weight).all() for weight in kept["weights"].values())
