"""Training at tiny size: the shipped full-size recipe on a model of a few thousand parameters."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tiny import tiny_pipeline

from xdyna.training.recipe import Recipe, load_recipe


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture
def tiny_changes(tiny_folder: Path) -> list[str]:
    """What makes `full` small; everything else is as shipped."""
    changes = {
        "model": tiny_folder,
        "data": "world",
        "height": 64,
        "width": 48,
        "num_inference_steps": 2,
        "precision": "float32",
        "workers": 0,
        "cpu_threads": 1,
        "log_every": 1,
    }
    for stage in (0, 1):
        changes |= {f"stages.{stage}.{key}": value for key, value in {"epochs": 0, "steps": 2}.items()}
        changes |= {f"stages.{stage}.{key}": value for key, value in {"num_frames": 2, "batch_size": 2}.items()}
        changes[f"stages.{stage}.learning_rate"] = 1e-3
    return [f"{key}={value}" for key, value in changes.items()]


@pytest.fixture
def tiny_recipe(tiny_changes: list[str]) -> Callable[..., Recipe]:
    """The tiny variant of a full-size recipe, with more changes."""
    return lambda *more, name="full": load_recipe(name, [*tiny_changes, *more])


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Training sets the number of threads for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
