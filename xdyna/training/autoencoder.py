"""Trains the small autoencoder of xdyna-mini."""

import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from xdyna.models import PatchAutoencoder
from xdyna.training.data import WorldClips
from xdyna.training.mini import LATENT_CHANNELS
from xdyna.training.samples import SampleOptions

logger = logging.getLogger(__name__)

CROP_PX = 64
CROPS_PER_FRAME = 2
BATCH_FRAMES, CLIP_FRAMES = 16, 4
PRINCIPAL_BATCHES = 24
EDGE_WEIGHT = 0.5
LATENT_NOISE = 0.05  # of unit variance: a diffusion model's latents are never exact
PERSON_CROPS = 0.6  # share of crops around the person: faces and hands are the hard part


def train_autoencoder(
    output: Path, steps: int, learning_rate: float = 2e-3, seed: int = 0, device: torch.device | str = "cpu"
) -> PatchAutoencoder:
    """Fits the linear half in closed form, then trains the decoder's correction; the latents stay as fitted.

    Args:
        output: folder for `save_pretrained`; it appears whole or not at all.
        steps: optimiser steps of 32 crops of 64 x 64.
        learning_rate: peak; decays to zero along a cosine.
        seed: of weights and data.
        device: to train on.
    """
    torch.manual_seed(seed)
    device = torch.device(device)
    vae = PatchAutoencoder(latent_channels=LATENT_CHANNELS)
    batches = crops(seed)
    pixels = torch.cat([next(batches) for _ in range(PRINCIPAL_BATCHES)])
    vae.fit(pixels.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, 8, 8))
    deviation = vae.encode(pixels).latent_dist.mode().std().item()
    vae.register_to_config(scaling_factor=1 / deviation)
    vae.encoder.requires_grad_(False)
    vae.to(device)

    optimizer = torch.optim.AdamW(vae.parameters(), learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    started, average = time.monotonic(), None
    for step in range(1, steps + 1):
        pixels = next(batches).to(device)
        latents = vae.encode(pixels).latent_dist.mode()
        amount = LATENT_NOISE * deviation * torch.rand(len(latents), 1, 1, 1, device=device)
        latents = latents + amount * torch.randn_like(latents)
        with torch.autocast(device.type, torch.bfloat16):
            decoded = vae.decode(latents).sample
        error = decoded.float() - pixels
        loss = error.abs().mean() + error.square().mean() + EDGE_WEIGHT * edges(error).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        mse = error.detach().square().mean().item()
        average = mse if average is None else 0.95 * average + 0.05 * mse
        if step % 50 == 0 or step == 1:
            psnr = -10 * torch.log10(torch.tensor(average / 4)).item()
            left = (steps - step) * (time.monotonic() - started) / step
            logger.info("autoencoder step %d/%d, PSNR %.2f dB, %.0f s left", step, steps, psnr, left)
    partial = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    vae.save_pretrained(partial)
    partial.rename(output)
    return vae


def crops(seed: int) -> Iterator[Tensor]:
    """Batches `(frames * crops, 3, 64, 64)` float32 in -1..1."""
    options = SampleOptions(num_frames=CLIP_FRAMES, scene_fraction=0.25, ordered=False, face="none")
    data = WorldClips(options, seed)
    batch = BATCH_FRAMES // CLIP_FRAMES
    loader = DataLoader(data, batch_size=batch, sampler=range(len(data)), num_workers=1, prefetch_factor=4)
    for batch in loader:
        frames, person = batch["frames"].flatten(0, 1), batch["person"].flatten(0, 1)
        yield torch.stack([_crop(f, p) for f, p in zip(frames, person, strict=True) for _ in range(CROPS_PER_FRAME)])


def _crop(frame: Tensor, person: Tensor) -> Tensor:
    height, width = frame.shape[-2:]
    where = person.nonzero()
    if len(where) and torch.rand(()) < PERSON_CROPS:
        # The head and arms are above the person's middle: take the upper of two random pixels of the person.
        y, x = min(where[torch.randint(len(where), (2,))].tolist())
        top, left = y - CROP_PX // 2, x - CROP_PX // 2
    else:
        top, left = int(torch.randint(height, ())), int(torch.randint(width, ()))
    # Whole latent cells: the model always sees pictures cut at multiples of 8.
    top, left = (min(max(v, 0), limit - CROP_PX) // 8 * 8 for v, limit in ((top, height), (left, width)))
    return frame[:, top : top + CROP_PX, left : left + CROP_PX].float() / 127.5 - 1


def edges(image: Tensor) -> Tensor:
    """Differences of neighbouring pixels, `(..., h - 1, 2 * (w - 1))`."""
    down = image.diff(dim=-2)[..., :-1]
    right = image.diff(dim=-1)[..., :-1, :]
    return torch.cat([down, right], dim=-1)
