"""One readable training loop over the stages of a recipe."""

import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from diffusers.training_utils import EMAModel
from PIL import Image as PILImage
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader

from xdyna.pipelines import XDynaPipeline
from xdyna.schema import InputError, Progress
from xdyna.training.checkpoint import Position, load_checkpoint, save_checkpoint, save_snapshot
from xdyna.training.dataset import Clips, batch_indices, open_clips
from xdyna.training.losses import TrainingModel
from xdyna.training.recipe import PRECISIONS, Recipe
from xdyna.training.sheet import draw_sheet
from xdyna.training.stages import Stage, select_parameters, trainable_components
from xdyna.training.start import starting_pipeline

logger = logging.getLogger(__name__)

LOG_FOLDER, SHEET_FOLDER = "logs", "sheets"
SHEET_CLIPS = 3
PATIENCE = timedelta(hours=6)  # of the other processes while the first trains the autoencoder or draws a sheet


@dataclass(frozen=True, kw_only=True)
class TrainingProgress(Progress):
    """A line of progress.

    Attributes:
        loss: of the last step, averaged over its clips.
        clips_per_s: since this start of the run.
    """

    loss: float
    clips_per_s: float


@dataclass
class _Run:
    """What the stages of a run share."""

    recipe: Recipe
    folder: Path
    accelerator: Accelerator
    pipeline: XDynaPipeline
    position: Position
    trained: dict[str, nn.Parameter]  # all that any stage so far has trained
    finished_steps: int = 0  # of earlier stages


def train(recipe: Recipe, folder: Path, cpu: bool = False) -> Iterator[TrainingProgress]:
    """Trains. Killed at any point, it goes on from the last checkpoint when called again with the same arguments.

    Under a launcher of several processes (`torchrun`, `accelerate launch`) each calls this; the clips of a batch are
    shared out among them, and only the first writes and reports.

    Args:
        recipe: what to do.
        folder: of the run: gets `checkpoint.pt` for going on, `snapshot/`, the averaged weights as a pipeline for
            using, `sheets/` and `logs/` for looking.
        cpu: stay off the GPU.

    Yields:
        Progress every `recipe.log_every` steps, on the first process.

    Raises:
        InputError: recipe, data, weights and folder do not fit together; the disk is full; the loss is no number.
    """
    stages = recipe.runs()
    whole = any({"unet", "image_encoder"} & {*stage.trains} for stage in stages)
    AcceleratorState._reset_state()  # a run in this process before may have had another precision
    accelerator = Accelerator(
        cpu=cpu or not torch.accelerator.is_available(),
        mixed_precision=PRECISIONS[recipe.precision],
        log_with="tensorboard" if find_spec("tensorboard") else None,
        project_dir=folder,
        kwargs_handlers=[
            # The image encoder's last layer is never read, and each reference mode leaves layers of the UNet unused.
            DistributedDataParallelKwargs(find_unused_parameters=whole),
            InitProcessGroupKwargs(timeout=PATIENCE),
        ],
    )
    if accelerator.device.type == "cpu" and recipe.cpu_threads:
        torch.set_num_threads(recipe.cpu_threads)
    for stage in stages:  # before the work of loading
        stage.accumulation(accelerator.num_processes)
    folder.mkdir(parents=True, exist_ok=True)
    saved = load_checkpoint(folder, recipe)
    with accelerator.main_process_first():
        pipeline = starting_pipeline(recipe, folder, accelerator.device)
    position = Position(**saved["position"]) if saved else Position()
    run = _Run(recipe, folder, accelerator, pipeline, position, {})
    for number, stage in enumerate(stages):
        clips = open_clips(recipe, stage)
        total = stage.total_steps(clips.epoch)
        run.trained |= select_parameters(trainable_components(pipeline), stage, recipe.reference_mode)
        if saved and position.stage <= number:
            _load_weights(run.trained, saved["weights"])
        if position.stage <= number:
            yield from _run_stage(run, number, stage, clips, total, saved["state"] if saved else {})
            saved = None
        run.finished_steps += total
    accelerator.end_training()


def _run_stage(
    run: _Run, number: int, stage: Stage, clips: Clips, total: int, saved: dict[str, Any]
) -> Iterator[TrainingProgress]:
    recipe, accelerator, position = run.recipe, run.accelerator, run.position
    device, first = accelerator.device, accelerator.is_main_process
    chosen = select_parameters(trainable_components(run.pipeline), stage, recipe.reference_mode)
    parameters = list(chosen.values())
    plain = torch.optim.AdamW(parameters, betas=(0.9, recipe.beta2), weight_decay=recipe.weight_decay)
    average = EMAModel(parameters, decay=recipe.ema_decay, use_ema_warmup=True, power=0.75)
    accelerator.gradient_accumulation_steps = stage.accumulation(accelerator.num_processes)
    model, optimizer = accelerator.prepare(TrainingModel(run.pipeline, recipe, stage, number), plain)
    if saved:
        plain.load_state_dict(saved["optimizer"])
        average.load_state_dict(saved["average"])
        average.to(device)
        if accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(saved["scaler"])
        logger.info("going on with stage %s at step %d", stage.name, position.step)
    if accelerator.log_with and not accelerator.trackers:
        purge = run.finished_steps + position.step + 1  # what a killed run logged after its checkpoint comes again
        accelerator.init_trackers(LOG_FOLDER, init_kwargs={"tensorboard": {"purge_step": purge}})
    plan = batch_indices(
        range(position.step, total),
        stage.batch_size,
        stage.clips_per_device,
        accelerator.process_index,
        accelerator.num_processes,
    )
    batches = iter(DataLoader(clips, batch_sampler=plan, num_workers=recipe.workers, pin_memory=device.type == "cuda"))
    started = last_save = time.monotonic()
    seconds, begun = position.seconds, position.step

    for step in range(position.step, total):
        rate = stage.learning_rate_at(step, total)
        for group in plain.param_groups:
            group["lr"] = rate
        torch.manual_seed(hash((recipe.seed, number, step)))  # for networks with dropout of their own
        losses: list[float] = []
        norm = torch.zeros(())
        for _ in range(accelerator.gradient_accumulation_steps):
            batch = {name: value.to(device, non_blocking=True) for name, value in next(batches).items()}
            with accelerator.accumulate(model), _attention(device):
                loss = model(batch)
                losses.append(accelerator.reduce(loss.detach(), "mean").item())
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    norm = accelerator.clip_grad_norm_(parameters, recipe.max_gradient_norm)
                # float16 overflows now and then: its scaler leaves such steps out
                bad_gradient = recipe.precision != "float16" and not isfinite(norm.item())
                if bad_gradient or not isfinite(losses[-1]):
                    raise InputError(_diverged(stage, step, losses[-1], norm.item()))
                optimizer.step()
                optimizer.zero_grad()
        average.step(parameters)
        position.step, position.clips = step + 1, position.clips + stage.batch_size
        now = time.monotonic()
        position.seconds = seconds + now - started
        mean = sum(losses) / len(losses)
        speed = (position.step - begun) * stage.batch_size / (now - started)
        overall = run.finished_steps + position.step
        values = {"loss": mean, "learning_rate": rate, "gradient_norm": norm.item(), "clips_per_s": speed}
        accelerator.log(values, step=overall)
        if first and (position.step % recipe.log_every == 0 or position.step == total):
            yield TrainingProgress(
                phase=stage.name,
                step=position.step,
                total=total,
                seconds_left=(total - position.step) * stage.batch_size / speed,
                loss=mean,
                clips_per_s=speed,
            )
        if first and position.step < total and now - last_save > recipe.save_every_s:
            state = {"optimizer": plain.state_dict(), "average": average.state_dict()}
            if accelerator.scaler is not None:
                state["scaler"] = accelerator.scaler.state_dict()
            save_checkpoint(run.folder, recipe, position, run.trained, state)
            last_save = time.monotonic()
        if first and position.step % recipe.sheet_every == 0 and position.step < total:
            average.store(parameters)
            average.copy_to(parameters)
            _show(run, number, stage, overall)
            average.restore(parameters)

    # What a later stage trains for the first time must not be averaged with what it was before.
    average.copy_to(parameters)
    position.stage, position.step = number + 1, 0
    if first:
        _show(run, number, stage, run.finished_steps + total)
        save_checkpoint(run.folder, recipe, position, run.trained, {})
    accelerator.wait_for_everyone()
    accelerator.free_memory()


def _show(run: _Run, number: int, stage: Stage, overall: int) -> None:
    """Writes the averaged weights as a snapshot, and what they make of a few clips as a picture."""
    save_snapshot(run.folder, run.pipeline)
    components = trainable_components(run.pipeline)
    for component in components.values():
        component.eval()
    # The same clips each time; of the procedural world, ones that training does not see.
    clips = open_clips(run.recipe, stage, seed=run.recipe.seed + 1)
    with run.accelerator.autocast(), torch.compiler.set_stance("force_eager"):
        picture = draw_sheet(run.pipeline, [clips[k] for k in range(SHEET_CLIPS)], run.recipe, stage)
    select_parameters(components, stage, run.recipe.reference_mode)
    target = run.folder / SHEET_FOLDER / f"{number}-{stage.name}-{overall:07d}.png"
    target.parent.mkdir(exist_ok=True)
    PILImage.fromarray(picture).save(target)
    if run.accelerator.log_with:
        board = run.accelerator.get_tracker("tensorboard")
        board.log_images({"sheet": picture[None]}, step=overall, dataformats="NHWC")


def _attention(device: torch.device) -> AbstractContextManager[None]:
    """On a CPU the fused attention kernel's backward pass is slow for the small heads of a small model."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def _load_weights(trained: dict[str, nn.Parameter], weights: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in trained.items():
            if name in weights:  # else a later stage is the first to train it
                parameter.copy_(weights[name])


def _diverged(stage: Stage, step: int, loss: float, norm: float) -> str:
    clips = range(step * stage.batch_size, (step + 1) * stage.batch_size)
    return (
        f"Training came off the rails at stage {stage.name!r}, step {step + 1}: the loss is {loss:g} and its gradient "
        f"{norm:g}, on clips {clips[0]} to {clips[-1]} of the stage. The last good state is in the run's folder. "
        "Lower learning_rate or max_gradient_norm, or set precision to float32, and start in another folder."
    )
