"""Training at its real shape, for a few steps."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from xdyna.models import PatchAutoencoder
from xdyna.models.motion_module import ReferenceMotionModule
from xdyna.pipelines import XDynaPipeline
from xdyna.training import loop
from xdyna.training.autoencoder import crops, train_autoencoder
from xdyna.training.mini import LATENT_CHANNELS, build_pipeline
from xdyna.training.stages import MINI_STAGES, Stage

SMALL = tuple(replace(stage, steps=2, batch_size=2, num_frames=2) for stage in MINI_STAGES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    PatchAutoencoder(latent_channels=LATENT_CHANNELS).save_pretrained(tmp_path / "vae")
    return tmp_path


def test_every_stage_runs_and_leaves_a_pipeline(folder: Path) -> None:
    loop.train(folder, SMALL)
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["state"]["stage"] == len(SMALL)
    assert XDynaPipeline.from_pretrained(folder / "snapshot").text_encoder is None


@pytest.mark.parametrize("stage", MINI_STAGES, ids=lambda stage: stage.name)
def test_a_stage_trains_what_it_names(folder: Path, stage: Stage) -> None:
    pipeline = build_pipeline(PatchAutoencoder.from_pretrained(folder / "vae"))
    trained = {id(parameter) for parameter in loop.prepare_stage(pipeline, stage)}
    motion = {id(p) for m in pipeline.unet.modules() if isinstance(m, ReferenceMotionModule) for p in m.parameters()}
    for name in loop.COMPONENTS:
        own = {id(parameter) for parameter in getattr(pipeline, name).parameters()} - motion
        assert own <= trained if name in stage.trains else not own & trained
    assert motion <= trained if stage.motion and "unet" in stage.trains else not motion & trained


def test_a_killed_run_goes_on_where_it_was_saved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = replace(SMALL[0], steps=3)
    loss, steps = loop.training_loss, []

    def killed_at_the_third(*arguments: object) -> torch.Tensor:
        if len(steps) == 2:
            raise KeyboardInterrupt
        steps.append(1)
        return loss(*arguments)

    monkeypatch.setattr(loop, "training_loss", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        loop.train(folder, (stage,), save_every_s=0)
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert saved["state"]["step"] == 2

    monkeypatch.setattr(loop, "training_loss", lambda *a: steps.append(1) or loss(*a))
    loop.train(folder, (stage,))
    assert len(steps) == 3  # one more, not three
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["state"]["frames"] == 3 * 2 * 2


def test_nan_stops_the_run_and_keeps_the_last_good_state(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop.train(folder, SMALL[:1])
    before = (folder / "checkpoint.pt").read_bytes()
    monkeypatch.setattr(loop, "training_loss", lambda *_: torch.tensor(float("nan")))
    with pytest.raises(FloatingPointError, match="stage motion, step 0"):
        loop.train(folder, SMALL)
    assert (folder / "checkpoint.pt").read_bytes() == before


def test_timesteps_lean_to_the_noisy_end() -> None:
    torch.manual_seed(0)
    steps = loop.sample_timesteps(10_000)
    assert steps.min() >= 0 and steps.max() < 1000
    assert 0.46 < (steps >= 600).float().mean() < 0.52  # 0.15 + 0.85 * 0.4


def test_principal_components_alone_already_show_the_picture(tmp_path: Path) -> None:
    vae = train_autoencoder(tmp_path, steps=20)
    with torch.no_grad():
        pixels = next(crops(seed=5))
        latents = vae.encode(pixels).latent_dist.mode()
        error = (vae.decode(latents).sample - pixels).square().mean()
    assert -10 * torch.log10(error / 4) > 21
    assert float(latents.std() * vae.config.scaling_factor) == pytest.approx(1, abs=0.15)
