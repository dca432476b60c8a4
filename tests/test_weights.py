"""Where weights are looked for, and what is said when they are not there."""

import subprocess
import sys
from pathlib import Path

import pytest

from xdyna import weights
from xdyna.schema import InputError


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDYNA_WEIGHTS", str(tmp_path))


def test_the_small_model_and_what_needs_no_weights_are_always_here() -> None:
    assert weights.is_ready("xdyna-mini") and weights.is_ready("puppet")
    assert weights.default_model() == "xdyna-mini"


def test_choosing_a_model_does_not_import_torch(tmp_path: Path) -> None:
    (tmp_path / "xdyna").mkdir()
    (tmp_path / "xdyna" / "model_index.json").write_text("{}")
    code = "import sys, xdyna.weights as w; w.default_model(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_agrees_with_torch_about_the_gpu() -> None:
    torch = pytest.importorskip("torch")
    assert weights.has_gpu() == torch.cuda.is_available()


def test_a_space_with_gpus_to_lend_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert weights.has_gpu()


def test_missing_weights_give_the_command_that_fetches_them() -> None:
    with pytest.raises(InputError, match="xdyna weights pull"):
        weights.locate("xdyna")


def test_status_follows_the_files(tmp_path: Path) -> None:
    shipped = dict.fromkeys(weights.RELEASES, False) | {"xdyna-mini": True, "puppet": True}
    assert {s.name: s.ready for s in weights.status()} == shipped
    (tmp_path / "xdyna").mkdir()
    (tmp_path / "xdyna" / "model_index.json").write_text("{}")
    assert {s.name: s.ready for s in weights.status()} == shipped | {"xdyna": True}


def test_pull_without_a_connection_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"could not be downloaded from .* run `xdyna weights pull` again"):
        weights.pull()


def test_revision_tells_weights_apart(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"a": 1}')
    (tmp_path / "weights.safetensors").write_bytes(b"one")
    first = weights.revision(tmp_path)
    assert first == weights.revision(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"two")
    assert weights.revision(tmp_path) != first


def test_the_shipped_model_is_small_and_says_nothing_of_where_it_was_made() -> None:
    files = [path for path in weights.BUNDLED_MINI.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 60e6
    assert not any("_name_or_path" in path.read_text() for path in files if path.suffix == ".json")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("unet.ckpt", ["unet/unet.ckpt"], id="a file is found in whatever folder it lies"),
        pytest.param("vae/*", ["vae/config.json", "vae/model.safetensors"], id="of a folder one format"),
        pytest.param("absent.bin", [], id="a file that is gone"),
    ],
)
def test_only_what_is_needed_is_downloaded(name: str, expected: list[str]) -> None:
    listed = [
        "unet/unet.ckpt",
        "vae/config.json",
        "vae/model.bin",
        "vae/model.safetensors",
        "vae/model.fp16.safetensors",
        "other/config.json",
    ]
    assert weights.wanted_files(listed, name) == expected
