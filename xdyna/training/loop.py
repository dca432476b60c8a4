"""One readable training loop over the stages, resumable by running it again."""

import json
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader

from xdyna.models import PatchAutoencoder
from xdyna.models.motion_module import ReferenceMotionModule
from xdyna.pipelines import XDynaPipeline
from xdyna.pipelines.latents import normalise_clip
from xdyna.training.data import WorldClips
from xdyna.training.mini import build_pipeline
from xdyna.training.stages import Stage

logger = logging.getLogger(__name__)

COMPONENTS = ("unet", "controlnet_pose", "controlnet_face", "resampler", "image_encoder")
PERSON_WEIGHT = 2.0  # added to the loss where the person is: the background is larger and easier
HIGH_NOISE_SHARE = 0.15  # of timesteps, drawn from the noisiest HIGH_NOISE steps: layout and pose are decided there
HIGH_NOISE = 400
IMAGE_DROPOUT = 0.1  # share of clips whose image tokens are those of no picture, for guidance
EMA_DECAY = 0.9985


@dataclass
class TrainingState:
    """Where a run stands. `stage` and `step` count what is finished."""

    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    frames: int = 0


def train(folder: Path, stages: tuple[Stage, ...], save_every_s: float = 300.0, seed: int = 0) -> XDynaPipeline:
    """Trains xdyna-mini. Killed at any point, it goes on from the last checkpoint when called again.

    Args:
        folder: holds `vae/`, the trained autoencoder; gets `checkpoint.pt` for resuming and `snapshot/`, the averaged
            weights as a pipeline, for using.
        stages: what to do, in order.
        save_every_s: seconds between checkpoints.
        seed: of weights, data and noise.
    """
    torch.manual_seed(seed)
    pipeline = build_pipeline(PatchAutoencoder.from_pretrained(folder / "vae"))
    initialise(pipeline)
    modules = nn.ModuleDict({name: getattr(pipeline, name) for name in COMPONENTS})
    average = _fresh_average(modules)
    state, optimizer_state = TrainingState(), None
    if (folder / "checkpoint.pt").exists():
        state, optimizer_state = _resume(folder, modules, average)
    while state.stage < len(stages):
        _run_stage(folder, pipeline, modules, average, stages[state.stage], state, optimizer_state, save_every_s, seed)
        state.stage, state.step, optimizer_state = state.stage + 1, 0, None
        # What a stage trains for the first time must not be averaged with what it was before.
        average.copy_to(modules.parameters())
        average = _fresh_average(modules)
        _save(folder, pipeline, modules, average, None, state)
    return pipeline


def export(folder: Path, output: Path) -> None:
    """Writes the last snapshot in half precision, as it ships."""
    pipeline = XDynaPipeline.from_pretrained(folder / "snapshot", dtype=torch.float16)
    pipeline.save_pretrained(output)
    for path in output.rglob("*.json"):  # where it was trained is nobody's business
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("_name_or_path", None):
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def initialise(pipeline: XDynaPipeline) -> None:
    """Starting values that differ from the modules' own.

    The adapter's output projectors start small instead of zero: from scratch there is no prior behaviour to protect,
    and zero would make the query projectors wait. Motion modules start at zero effect, as AnimateDiff's do.
    """
    for layer in pipeline.unet.dynamics_adapters():
        nn.init.normal_(layer.to_out_ff.weight, std=0.02)
    for module in pipeline.unet.modules():
        if isinstance(module, ReferenceMotionModule):
            nn.init.zeros_(module.proj_out.weight)
            nn.init.zeros_(module.proj_out.bias)


def _fresh_average(modules: nn.ModuleDict) -> EMAModel:
    return EMAModel(modules.parameters(), decay=EMA_DECAY, use_ema_warmup=True, power=0.75)


def _run_stage(
    folder: Path,
    pipeline: XDynaPipeline,
    modules: nn.ModuleDict,
    average: EMAModel,
    stage: Stage,
    state: TrainingState,
    optimizer_state: dict[str, Any] | None,
    save_every_s: float,
    seed: int,
) -> None:
    parameters = prepare_stage(pipeline, stage)
    optimizer = torch.optim.AdamW(parameters, stage.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    if optimizer_state is not None:
        optimizer.load_state_dict(optimizer_state)
    # A resumed run must not see the same samples again, so the finished steps are part of the seed.
    data_seed = hash((seed, state.stage, state.step)) % 2**31
    data = WorldClips(data_seed, stage.num_frames, stage.scene_fraction, ordered=stage.motion, face=stage.face)
    loader = iter(DataLoader(data, batch_size=stage.batch_size, num_workers=1, prefetch_factor=3))
    started = saved = time.monotonic()
    first, seconds, running = state.step, state.seconds, None
    while state.step < stage.steps:
        for group in optimizer.param_groups:
            group["lr"] = stage.learning_rate * min(1.0, (state.step + 1) / stage.warmup_steps)
        loss = training_loss(pipeline, next(loader), stage)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"loss became {loss.item()} in stage {stage.name}, step {state.step}")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        average.step(modules.parameters())
        state.step += 1
        state.frames += stage.batch_size * stage.num_frames
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        now = time.monotonic()
        state.seconds = seconds + now - started
        if state.step % 25 == 0:
            left = (stage.steps - state.step) * (now - started) / (state.step - first)
            logger.info("%s step %d/%d, loss %.4f, %.0f s left", stage.name, state.step, stage.steps, running, left)
        if now - saved > save_every_s:
            _save(folder, pipeline, modules, average, optimizer, state)
            saved = now


def prepare_stage(pipeline: XDynaPipeline, stage: Stage) -> list[nn.Parameter]:
    """Freezes what the stage does not train, switches the motion modules, and returns what it trains."""
    for name in COMPONENTS:
        getattr(pipeline, name).requires_grad_(name in stage.trains).train(name in stage.trains)
    for module in pipeline.unet.modules():
        if isinstance(module, ReferenceMotionModule):
            module.enabled = stage.motion
            if not stage.motion:
                module.requires_grad_(False)
    components = (getattr(pipeline, name) for name in stage.trains)
    return [p for component in components for p in component.parameters() if p.requires_grad]


def training_loss(pipeline: XDynaPipeline, batch: dict[str, Tensor], stage: Stage) -> Tensor:
    """Velocity error of the driving frames, heavier where the person is.

    Args:
        pipeline: its components in training state.
        batch: collated samples of `WorldClips`.
        stage: says whether S-Face runs.

    Returns:
        Scalar float32.
    """
    size, frames = batch["frames"].shape[:2]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        pictures = torch.cat([batch["reference"], batch["frames"].flatten(0, 1)]).float() / 127.5 - 1
        latents = pipeline.vae.encode(pictures).latent_dist.mode().float() * pipeline.vae.config.scaling_factor
    reference = latents[:size, :, None]
    clean = latents[size:].unflatten(0, (size, frames)).transpose(1, 2)
    noise = torch.randn_like(clean)
    timesteps = sample_timesteps(size)
    noisy = pipeline.scheduler.add_noise(clean, noise, timesteps)
    velocity = pipeline.scheduler.get_velocity(clean, noise, timesteps)

    # On a CPU the fused attention kernel's backward pass is slow for the small heads of a small model.
    with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
        text = pipeline.encode_prompt("").expand(size, -1, -1)
        controls = [(pipeline.controlnet_pose, _conditions(batch["pose"]))]
        if stage.face:
            face = torch.cat([_conditions(batch["face_local"]), _conditions(batch["face_global"])], dim=1)
            controls.append((pipeline.controlnet_face, face))
        down, middle = _residuals(controls, noisy, timesteps, text)
        prediction = pipeline.unet(
            torch.cat([reference, noisy], dim=2),
            timesteps,
            encoder_hidden_states=torch.cat([text, _image_tokens(pipeline, batch["reference"])], dim=1),
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample[:, :, 1:]
    person = torch.nn.functional.adaptive_avg_pool2d(batch["person"].float(), clean.shape[-2:])[:, None]
    weight = 1 + PERSON_WEIGHT * person
    return (weight * (prediction.float() - velocity).square()).mean() / weight.mean()


def sample_timesteps(count: int) -> Tensor:
    """`(count,)` int64, a share of them among the noisiest only."""
    low = torch.where(torch.rand(count) < HIGH_NOISE_SHARE, 1000 - HIGH_NOISE, 0)
    return (low + torch.rand(count) * (1000 - low)).long()


def _residuals(
    controls: list[tuple[nn.Module, Tensor]], noisy: Tensor, timesteps: Tensor, text: Tensor
) -> tuple[tuple[Tensor, ...], Tensor]:
    frames = noisy.shape[2]
    outputs = [
        controlnet(
            noisy.transpose(1, 2).flatten(0, 1),
            timesteps.repeat_interleave(frames),
            encoder_hidden_states=text.repeat_interleave(frames, dim=0),
            controlnet_cond=condition,
            return_dict=False,
        )
        for controlnet, condition in controls
    ]
    down = tuple(sum(parts) for parts in zip(*(down for down, _ in outputs), strict=True))
    return down, sum(middle for _, middle in outputs)


def _conditions(clips: Tensor) -> Tensor:
    """`(batch, num_frames, 3, h, w)` uint8 as the pipeline would normalise them, `(batch * num_frames, 3, h, w)`."""
    return torch.cat([normalise_clip(clip.permute(0, 2, 3, 1).numpy()) for clip in clips])


def _image_tokens(pipeline: XDynaPipeline, references: Tensor) -> Tensor:
    extractor = pipeline.feature_extractor
    pixels = extractor(images=list(references), return_tensors="pt").pixel_values
    pixels = pixels * (torch.rand(len(pixels), 1, 1, 1) >= IMAGE_DROPOUT)
    return pipeline.resampler(pipeline.image_encoder(pixels, output_hidden_states=True).hidden_states[-2])


def _save(
    folder: Path,
    pipeline: XDynaPipeline,
    modules: nn.ModuleDict,
    average: EMAModel,
    optimizer: torch.optim.Optimizer | None,
    state: TrainingState,
) -> None:
    """Writes the checkpoint whole or not at all, then the snapshot."""
    partial = folder / "checkpoint.partial"
    torch.save(
        {
            "state": vars(state),
            "modules": modules.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict() if optimizer else None,
        },
        partial,
    )
    os.replace(partial, folder / "checkpoint.pt")
    average.store(modules.parameters())
    average.copy_to(modules.parameters())
    pipeline.save_pretrained(folder / "snapshot")
    average.restore(modules.parameters())
    logger.info("saved after %d frames, %.0f s of training", state.frames, state.seconds)


def _resume(folder: Path, modules: nn.ModuleDict, average: EMAModel) -> tuple[TrainingState, dict[str, Any] | None]:
    checkpoint = torch.load(folder / "checkpoint.pt", weights_only=True)
    modules.load_state_dict(checkpoint["modules"])
    average.load_state_dict(checkpoint["average"])
    state = TrainingState(**checkpoint["state"])
    logger.info("resuming stage %d at step %d", state.stage, state.step)
    return state, checkpoint["optimizer"]
