"""The `train` command before any training."""

import os
import sys

import pytest

from xdyna.cli import main
from xdyna.training.launch import is_main_process, relaunch, wanted_processes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe=fulll"], "There is no recipe 'fulll'. Give one of full, "),
        (["--set=stages.0.stpes=1"], "unknown key 'stpes'; did you mean steps?"),
        (["--dry-run", "--processes=3"], "a batch of 8 clips cannot be split over 3 device(s)"),
        (["--export=out"], "holds no snapshot yet"),
        (["--recipe=full", "--set=model=nowhere", "--dry-run"], "nowhere is not a pipeline folder"),
    ],
)
def test_what_cannot_be_done_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert main(["train", "--cpu", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_as_many_processes_as_asked_or_as_the_launcher_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert [wanted_processes(asked, cpu=True) for asked in (0, 1, 3)] == [1, 1, 3]
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert wanted_processes(0, cpu=True) == 4


@pytest.mark.parametrize(("rank", "speaks"), [(None, True), ("0", True), ("1", False)])
def test_only_the_first_process_speaks(monkeypatch: pytest.MonkeyPatch, rank: str | None, speaks: bool) -> None:
    if rank is None:
        monkeypatch.delenv("RANK", raising=False)
    else:
        monkeypatch.setenv("RANK", rank)
    assert is_main_process() is speaks


def test_several_processes_run_the_same_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process would be replaced for good, so its replacement is looked at instead."""
    replaced: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: replaced.append(words))
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    relaunch(1, ["train"])
    assert replaced == []
    relaunch(2, ["train", "--recipe", "full"])
    assert replaced[0][:3] == [sys.executable, "-m", "torch.distributed.run"]
    assert "--nproc-per-node=2" in replaced[0]
    assert replaced[0][-5:] == ["-m", "xdyna", "train", "--recipe", "full"]
