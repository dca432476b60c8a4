"""Holds xdyna against tensors that the official code produced.

    python tests/parity.py DIR

runs every kind of fixture found in DIR and prints a table. Module shapes come from DIR's own `tiny_configs.json`,
those of DynamiCtrl from each of its fixtures.
Exit code 1 if anything present fails, 2 if nothing was found.
"""

import xdyna.models  # noqa: F401  (its torchvision guard must run before diffusers is imported)

# isort: split
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderKLCogVideoX, CogVideoXDPMScheduler, ControlNetModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from xdyna.models import DynamiCtrlTransformer, Resampler, XDynaUNet
from xdyna.models.checkpoint import load_official, official_motion_names
from xdyna.models.dynamics_adapter import add_dynamics_adapter, add_image_tokens
from xdyna.models.motion_module import ClipGroupNorm, ReferenceMotionModule, copy_norm
from xdyna.photo import crop_to_aspect
from xdyna.pipelines import DynamiCtrlOutput, DynamiCtrlPipeline, XDynaOutput, XDynaPipeline
from xdyna.pipelines.context import context_windows
from xdyna.pipelines.controls import Control
from xdyna.pipelines.denoiser import Denoiser
from xdyna.pipelines.latents import blurred, downgraded, normalise_clip
from xdyna.pipelines.schedulers import official_scheduler
from xdyna.preprocess.align import driving_crop_box
from xdyna.preprocess.draw_dynamictrl import draw_dynamictrl
from xdyna.preprocess.face import enlarged_box, face_patches
from xdyna.schema import Pose
from xdyna.video import resize_frames


class Absolute(float):
    """A tolerance of max |got - expected| itself; a plain float is one of its ratio to std(expected)."""


LAYER, CONTROLNET, UNET, PREDICTION, LATENTS, VIDEO = 2e-5, 1e-4, 1e-4, 1e-3, 3e-4, 1e-3
EXACT = Absolute(0.0)
ONE_LEVEL = Absolute(1.0)  # of a picture's 255
DYNAMICTRL_LAYER, DYNAMICTRL_BFLOAT16, DYNAMICTRL_SAMPLING = Absolute(2e-5), Absolute(3e-2), Absolute(1e-4)
FAR_PIXELS, MEAN_LEVELS = Absolute(0.005), Absolute(0.5)

Comparison = tuple[str, Any, Any, float]
"""What is compared, what we got, what the official code gave, the tolerance."""


@dataclass(frozen=True)
class Row:
    """One line of the table. `error` is max |got - expected| / std(expected), or without it (see `Absolute`)."""

    fixture: str
    what: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance


def run(folder: Path) -> tuple[list[Row], list[str]]:
    """All rows of the fixtures found in a folder, and the names of those that are absent."""
    rows, absent = [], []
    for pattern, check in FIXTURES.items():
        names = sorted(path.name for path in folder.glob(pattern))
        absent += [] if names else [pattern]
        for name in names:
            with torch.no_grad():
                for what, got, expected, tolerance in check(folder, name):
                    rows.append(Row(name, what, _error(got, expected, tolerance), tolerance))
    return rows, absent


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    rows, absent = run(Path(arguments[0]))
    print(f"{'fixture':<42} {'compared':<38} {'error':>9} {'limit':>9}")
    for row in rows:
        verdict = "pass" if row.passed else "FAIL"
        print(f"{row.fixture:<42} {row.what:<38} {row.error:9.1e} {row.tolerance:9.1e} {verdict}")
    for name in absent:
        print(f"{name:<42} absent")
    failed = sum(not row.passed for row in rows)
    print(f"{len(rows) - failed} passed, {failed} failed, {len(absent)} kinds absent")
    return 2 if not rows else int(failed > 0)


def _error(got: Any, expected: Any, tolerance: float) -> float:
    got, expected = torch.as_tensor(got), torch.as_tensor(expected)
    if got.shape != expected.shape:
        return float("inf")
    difference = (got.double() - expected.double()).abs()
    if not torch.isfinite(difference).all():
        return float("inf")
    largest = difference.max().item() if difference.numel() else 0.0
    return largest if isinstance(tolerance, Absolute) else largest / expected.double().std().item()


# ---- Modules at the sizes that a folder states


@cache
def _configs(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "tiny_configs.json").read_text())


@cache
def unet(folder: Path) -> XDynaUNet:
    config = dict(_configs(folder)["unet"])
    kinds = {
        f"{side}_block_types": [k.replace("3D", "Motion") for k in config[f"{side}_block_types"]]
        for side in ("down", "up")
    }
    motion = _configs(folder)["unet_additional_kwargs"]["motion_module_kwargs"]
    model = XDynaUNet(
        **{key: config[key] for key in _SHARED_KEYS if key in config},
        **kinds,
        sample_size=config["sample_size"],
        out_channels=config["out_channels"],
        num_attention_heads=config["attention_head_dim"],
        motion_num_attention_heads=motion["num_attention_heads"],
        motion_max_seq_length=motion["temporal_position_encoding_max_len"],
        num_image_tokens=_configs(folder).get("resampler", {}).get("num_queries", 16),
    )
    return _loaded(model, folder / "tiny_weights_unet.safetensors")


@cache
def controlnet(folder: Path, name: str) -> ControlNetModel:
    model = ControlNetModel(**_configs(folder)[name])
    return _loaded(model, folder / f"tiny_weights_{name}.safetensors")


@cache
def resampler(folder: Path) -> Resampler:
    return _loaded(Resampler(**_configs(folder)["resampler"]), folder / "tiny_weights_resampler.safetensors")


@cache
def autoencoder(folder: Path) -> AutoencoderKL:
    model = AutoencoderKL(**_configs(folder)["vae"], scaling_factor=0.18215)
    model.load_state_dict(load_file(folder / "tiny_weights_vae.safetensors"))
    return model.eval()


def pipeline(folder: Path) -> XDynaPipeline:
    return XDynaPipeline(
        vae=autoencoder(folder),
        unet=unet(folder),
        controlnet_pose=controlnet(folder, "controlnet_pose"),
        controlnet_face=controlnet(folder, "controlnet_face"),
        scheduler=official_scheduler(),
        resampler=resampler(folder),
        image_encoder=None,
        feature_extractor=None,
    )


_SHARED_KEYS = (
    "in_channels",
    "block_out_channels",
    "layers_per_block",
    "downsample_padding",
    "mid_block_scale_factor",
    "act_fn",
    "norm_num_groups",
    "norm_eps",
    "cross_attention_dim",
)


def _loaded(model: nn.Module, path: Path) -> Any:
    load_official(model, load_file(path), path.name)
    return model.eval()


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return file.metadata() or {}


def _weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix("weights."): value for key, value in tensors.items() if key.startswith("weights.")}


def _frames(video: Tensor) -> Tensor:
    """`(b, c, f, h, w)` to `(b * f, c, h, w)`."""
    return video.transpose(1, 2).flatten(0, 1)


def _video(frames: Tensor, num_frames: int) -> Tensor:
    return frames.unflatten(0, (-1, num_frames)).transpose(1, 2)


# ---- a to g: networks and layers


def check_unet(folder: Path, name: str) -> Iterator[Comparison]:
    t = load_file(folder / name)
    residuals = sorted(key for key in t if key.startswith("res_down"))
    kwargs: dict[str, Any] = {}
    if residuals:
        kwargs["down_block_additional_residuals"] = tuple(_frames(t[key][:, :, 1:]) for key in residuals)
        kwargs["mid_block_additional_residual"] = _frames(t["res_mid"][:, :, 1:])
    model = unet(folder)
    inner = folder / name.replace("unet_with_residuals", "intermediates")
    places = _intermediate_places(model) if residuals and inner.exists() else {}
    seen: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, key=key: seen.__setitem__(key, _first(out)))
        for key, module in places.items()
    ]
    output = model(t["sample"], t["timestep"], t["encoder_hidden_states"], **kwargs).sample
    for hook in hooks:
        hook.remove()
    yield "output", output, t["output"], UNET
    if places:
        expected = load_file(inner)
        for key in places:
            got = seen[key] if expected[key].ndim == 2 else _video(seen[key], t["sample"].shape[2])
            yield f"intermediate {key}", got, expected[key], UNET


def _intermediate_places(model: XDynaUNet) -> dict[str, nn.Module]:
    first = model.down_blocks[0]
    return {
        "time_embedding": model.time_embedding,
        "conv_in": model.conv_in,
        "down0_resnet0": first.resnets[0],
        "down0_attention0": first.attentions[0],
        "down0_motion0": first.motion_modules[0],
        **{f"down_block_{i}": block for i, block in enumerate(model.down_blocks)},
        "mid_block_before_residual": model.mid_block,
        **{f"up_block_{i}": block for i, block in enumerate(model.up_blocks)},
        "conv_norm_out": model.conv_norm_out,
    }


def _first(output: Any) -> Tensor:
    while isinstance(output, tuple):
        output = output[0]
    return output if isinstance(output, Tensor) else output.sample


def check_controlnet(folder: Path, name: str, module: str) -> Iterator[Comparison]:
    t = load_file(folder / name)
    rows = len(t["sample"]) // len(t["controlnet_cond_per_frame"])
    down, middle = controlnet(folder, module)(
        t["sample"],
        t["timestep"],
        encoder_hidden_states=t["encoder_hidden_states"],
        controlnet_cond=torch.cat([t["controlnet_cond_per_frame"]] * rows),
        return_dict=False,
    )
    for i, residual in enumerate(down):
        yield f"down residual {i}", residual, t[f"out_down_{i:02d}"], CONTROLNET
    yield "mid residual", middle, t["out_mid"], CONTROLNET


def check_resampler(folder: Path, name: str) -> Iterator[Comparison]:
    t = load_file(folder / name)
    yield "image tokens", resampler(folder)(t["input"]), t["output"], LAYER


def check_self_attention(folder: Path, name: str) -> Iterator[Comparison]:
    t, meta = load_file(folder / name), _metadata(folder / name)
    heads, width = int(meta["heads"]), t["hidden_states"].shape[-1]
    layer = Attention(width, heads=heads, dim_head=width // heads)
    add_dynamics_adapter(layer)
    layer.load_state_dict(_weights(t))
    num_frames = int(meta["video_length"])
    plain = layer(t["hidden_states"], num_frames=num_frames, adapter_strength=0.0)
    yield "self-attention", plain, t["self_attention_after_to_out"], LAYER
    both = layer(t["hidden_states"], num_frames=num_frames)
    yield "reference residual", both - plain, t["reference_attention_after_to_out_ff"], LAYER
    yield "output", both, t["output"], LAYER


def check_cross_attention(folder: Path, name: str) -> Iterator[Comparison]:
    t, heads = load_file(folder / name), int(_metadata(folder / name)["heads"])
    weights = _weights(t)
    layer = Attention(
        weights["to_q.weight"].shape[1],
        cross_attention_dim=weights["to_k.weight"].shape[1],
        heads=heads,
        dim_head=weights["to_q.weight"].shape[0] // heads,
    )
    add_image_tokens(layer)
    layer.load_state_dict(weights)
    yield "output", layer(t["hidden_states"], _tokens(t)), t["output"], LAYER


def _tokens(t: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    text, image = t["encoder_hidden_states"].split([77, t["encoder_hidden_states"].shape[1] - 77], dim=1)
    return text, image


def check_resnet(folder: Path, name: str) -> Iterator[Comparison]:
    t, meta = load_file(folder / name), _metadata(folder / name)
    weights = _weights(t)
    block = ResnetBlock2D(
        in_channels=weights["conv1.weight"].shape[1],
        out_channels=weights["conv1.weight"].shape[0],
        temb_channels=weights["time_emb_proj.weight"].shape[1],
        groups=int(meta["groups"]),
        eps=float(meta["eps"]),
    )
    block.norm1, block.norm2 = copy_norm(block.norm1, ClipGroupNorm), copy_norm(block.norm2, ClipGroupNorm)
    block.load_state_dict(weights)
    frames = t["input"].shape[2]
    block.norm1.num_frames = block.norm2.num_frames = frames
    temb = t["temb"].repeat_interleave(frames, dim=0)
    yield "norm1", _video(block.norm1(_frames(t["input"])), frames), t["norm1_output"], LAYER
    yield "output", _video(block(_frames(t["input"]), temb), frames), t["output"], LAYER
    yield "output of a small input", _video(block(_frames(t["small_input"]), temb), frames), t["small_output"], LAYER


def check_spatial_transformer(folder: Path, name: str) -> Iterator[Comparison]:
    t, heads = load_file(folder / name), int(_metadata(folder / name)["heads"])
    width = t["input"].shape[1]
    model = Transformer2DModel(
        heads, width // heads, in_channels=width, cross_attention_dim=t["encoder_hidden_states"].shape[-1]
    )
    for block in model.modules():
        if isinstance(block, BasicTransformerBlock):
            add_dynamics_adapter(block.attn1)
            add_image_tokens(block.attn2)
    model.load_state_dict(_weights(t))
    frames = t["input"].shape[2]
    for given, expected in (("input", "output"), ("small_input", "small_output")):
        got = model(
            _frames(t[given]),
            encoder_hidden_states=_tokens(t),
            cross_attention_kwargs={"num_frames": frames, "adapter_strength": 1.0, "ip_adapter_scale": 1.0},
        ).sample
        yield expected, _video(got, frames), t[expected], LAYER


def check_motion_module(folder: Path, name: str) -> Iterator[Comparison]:
    t, heads = load_file(folder / name), int(_metadata(folder / name)["heads"])
    weights = _weights(t)
    width = t["input"].shape[1]
    table = next(value for key, value in weights.items() if key.endswith("pos_encoder.pe"))
    module = AnimateDiffTransformer3D(
        heads,
        width // heads,
        in_channels=width,
        positional_embeddings="sinusoidal",
        num_positional_embeddings=table.shape[1],
    )
    ReferenceMotionModule.convert(module)
    prefix = "motion_modules.0."
    names = {key: official_motion_names(prefix + key)[0].removeprefix(prefix) for key in module.state_dict()}
    module.load_state_dict({key: weights[name] for key, name in names.items()})
    frames = t["input"].shape[2]
    for given, expected in (("input", "output"), ("small_input", "small_output")):
        yield expected, _video(module(_frames(t[given]), num_frames=frames), frames), t[expected], LAYER


# ---- h to j: sampling


def check_ddim(folder: Path, name: str) -> Iterator[Comparison]:
    t = load_file(folder / name)
    scheduler = official_scheduler()
    yield "betas", scheduler.betas, t["betas"], LAYER
    yield "alphas_cumprod", scheduler.alphas_cumprod, t["alphas_cumprod"], LAYER
    yield "final_alpha_cumprod", scheduler.final_alpha_cumprod.reshape(1), t["final_alpha_cumprod"], EXACT
    for key in sorted(key for key in t if key.startswith("timesteps_")):
        scheduler.set_timesteps(int(key.removeprefix("timesteps_")))
        yield key, scheduler.timesteps, t[key], EXACT
    scheduler.set_timesteps(25)
    for key in sorted(key for key in t if key.startswith("step_prev_sample_t")):
        timestep = int(key.removeprefix("step_prev_sample_t"))
        got = scheduler.step(t["step_model_output"], timestep, t["step_sample"]).prev_sample
        yield key, got, t[key], LAYER


def check_noise_init(folder: Path, name: str) -> Iterator[Comparison]:
    t = load_file(folder / name)
    reference = t["ref_latent"]
    # The driving frames only: the official code then puts the clean reference back into frame 0.
    draw, noise, restored = (t[key][:, :, 1:] for key in ("uniform_draw", "noise", "downgraded_latents"))
    yield "blur", blurred(reference).expand_as(draw), t["blurred_latents"][:, :, 1:], LAYER
    yield "downgraded", downgraded(reference, draw), restored, LAYER
    noisy = official_scheduler().add_noise(downgraded(reference, draw), noise, t["timestep"])
    yield "noisy", noisy, t["noisy_latents"][:, :, 1:], LAYER


def check_pipeline(folder: Path, name: str) -> Iterator[Comparison]:
    t, meta = load_file(folder / name), _metadata(folder / name)
    pipe = pipeline(folder)
    steps, guidance = int(meta["steps"]), float(meta["guidance_scale"])
    offsets = t["offsets"].tolist()

    pose, local, face = (t[f"{key}_frames"].numpy() for key in ("pose", "face_local", "face_global"))
    yield "pose condition", normalise_clip(pose), t["cond_pose"], LAYER
    conditions = torch.cat([normalise_clip(local), normalise_clip(face)], dim=1)
    yield "face condition", conditions, t["cond_face"], LAYER

    pixels = t["ref_image_uint8"].permute(2, 0, 1)[None].float() / 127.5 - 1
    posterior = pipe.vae.encode(pixels).latent_dist
    yield "posterior mean", posterior.mean, t["vae_posterior_mean"], UNET
    yield "posterior std", posterior.std, t["vae_posterior_std"], UNET
    sample = t["vae_posterior_mean"] + t["vae_posterior_std"] * t["vae_posterior_noise"]
    yield "reference latent", pipe.scale_latents(sample), t["ref_latent"], LAYER
    for half in ("uncond", "cond"):
        tokens = pipe.resampler(t[f"clip_features_{half}"])
        yield f"{half} image tokens", tokens, t[f"{half}_image_embeds"], LAYER

    pipe.scheduler.set_timesteps(steps)
    yield "timesteps", pipe.scheduler.timesteps, t["timesteps"], EXACT
    start = pipe.prepare_latents(
        t["ref_latent"], t["init_mask"][:, :, 1:], t["init_noise"][:, :, 1:], pipe.scheduler.timesteps[0]
    )
    yield "first latents", start, t["init_noisy_latents"][:, :, 1:], LAYER

    num_frames = len(pose)
    windows = [context_windows(num_frames, 16, 4, offset) for offset in offsets]
    yield "windows", windows, json.loads(meta["windows"]), EXACT

    text = torch.cat([t["uncond_text_embeds"], t["cond_text_embeds"]])
    image = torch.cat([t["uncond_image_embeds"], t["cond_image_embeds"]])
    controls = [
        Control(pipe.controlnet_pose, [pose], 1.0, start.device, pipe.cache),
        Control(pipe.controlnet_face, [local, face], 1.0, start.device, pipe.cache),
    ]
    denoiser = Denoiser(pipe.unet, pipe.scheduler.timesteps, t["ref_latent"], text, image, controls)
    for k, (_, got) in enumerate(denoiser.predict(0, start, windows[0])):
        expected = t[f"unet_out_step0_win{k}"][:, :, 1:]  # frame 0, the reference, carries no meaning
        yield f"UNet, step 0, window {k}", got[:, 0], expected, UNET

    events = pipe.stream(
        image=t["ref_image_uint8"].numpy(),
        pose_frames=pose,
        face_local_frames=local,
        face_global_frames=face,
        num_inference_steps=steps,
        guidance_scale=guidance,
        prompt_embeds=text,
        image_embeds=image,
        reference_latents=t["ref_latent"],
        latents=start,
        window_offsets=offsets,
    )
    last = None
    for event in events:
        if isinstance(event, XDynaOutput):
            video = torch.from_numpy(event.frames).permute(3, 0, 1, 2)[None]
            yield "final latents", last, t["final_latents"], LATENTS
            yield "video", video, t["video"], VIDEO
        elif event.ends_denoising_step:
            k, last = event.denoising_step, event.latents
            yield f"guided prediction, step {k}", event.noise_prediction, t[f"model_output_step{k}"], PREDICTION
            yield f"latents, step {k}", last, t[f"latents_step{k}"], PREDICTION


def check_windows(folder: Path, name: str) -> Iterator[Comparison]:
    cases = json.loads((folder / name).read_text())["cases"]
    wrong = 0
    for case in cases:
        windows = context_windows(case["num_frames"], 16, 4, case["offset"])
        covered = np.bincount(np.concatenate(windows), minlength=case["num_frames"]).tolist()
        wrong += windows != case["windows"] or covered != case["times_each_frame_is_covered"]
    yield f"wrong ones of {len(cases)} window lists", wrong, 0, EXACT


# ---- k: pictures


def check_normalisation(folder: Path, name: str) -> Iterator[Comparison]:
    t = np.load(folder / name)
    yield "clip", normalise_clip(t["frames"]), t["prepared_uncond_then_cond"][: len(t["frames"])], LAYER
    # The official code divides 0 by 0 here and spoils the whole video; ours sees no control.
    yield (
        "black clip stays finite",
        normalise_clip(np.zeros_like(t["frames"])),
        np.zeros_like(t["after_preprocess"]),
        EXACT,
    )


def check_photo_crop(folder: Path, name: str) -> Iterator[Comparison]:
    for key, expected in np.load(folder / name).items():
        stem, size = key.split("__")
        height, width = (int(v) for v in size.split("x"))
        picture = np.asarray(Image.open(folder / "k_images" / f"{stem}.png").convert("RGB"))
        yield key, crop_to_aspect(picture, (height, width)), expected, ONE_LEVEL


def check_face_patches(folder: Path, name: str) -> Iterator[Comparison]:
    t = np.load(folder / name)
    local, head = face_patches(t["cropped_frames"], t["landmarks"], parity=True)
    yield "local patches", local, t["local"], EXACT
    yield "global patches", head, t["global"], EXACT


def check_boxes(folder: Path, name: str) -> Iterator[Comparison]:
    content = json.loads((folder / name).read_text())
    crops = content["crop2ratio"]
    got = [driving_crop_box(tuple(case["frame_hw"]), tuple(case["resolution_hw"])) for case in crops]
    corners = [(c["start_w"], c["start_h"], c["start_w"] + c["target_w"], c["start_h"] + c["target_h"]) for c in crops]
    yield f"{len(crops)} crops of driving frames", got, corners, EXACT
    boxes = content["compute_increased_bbox"]["cases"]
    got = [enlarged_box(*case["bbox"]) for case in boxes]
    yield f"{len(boxes)} enlarged face boxes", got, [case["increased"] for case in boxes], EXACT


def check_clip_resize(folder: Path, name: str) -> Iterator[Comparison]:
    t = np.load(folder / name)
    for key in (key for key in t if key.startswith("output_h")):
        height, width = (int(part[1:]) for part in key.split("_")[1:])
        yield key, resize_frames(t["input"], (height, width)), t[key], ONE_LEVEL


# ---- DynamiCtrl


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def check_dynamictrl(folder: Path, name: str) -> Iterator[Comparison]:
    t, meta = load_file(folder / name), _metadata(folder / name)
    model = DynamiCtrlTransformer(**json.loads(meta["config"])).eval()
    model.load_state_dict(_named(t, "sd."))

    num_frames, height, width = (t["in.hidden_states"].shape[k] for k in (1, 3, 4))
    for key, table in zip(("rope_cos", "rope_sin"), model.rotary_embedding(num_frames, height, width), strict=True):
        yield key, table, t[f"in.{key}"], DYNAMICTRL_LAYER

    seen: dict[str, Any] = {}
    places = {"temb": model.time_embedding, "ofs_emb": model.ofs_embedding, "patch": model.patch_embed}
    places |= {f"block{i}": block for i, block in enumerate(model.transformer_blocks)}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, key=key: seen.__setitem__(key, out))
        for key, module in places.items()
    ]
    inputs = [_named(t, "in.")[key] for key in ("hidden_states", "encoder_hidden_states", "timestep")]
    pose = t["in.control_hidden_states"]
    output = model(*inputs, pose, ofs=t["in.ofs"], image_rotary_emb=(t["in.rope_cos"], t["in.rope_sin"])).sample
    for hook in hooks:
        hook.remove()

    num_text, num_video = inputs[1].shape[1], len(t["in.rope_cos"])
    embedded = seen.pop("patch").split([num_text, num_video, num_video], dim=1)
    seen |= {f"patch_{kind}": part for kind, part in zip(("text", "video", "control"), embedded, strict=True)}
    for i in range(len(model.transformer_blocks)):
        tokens, text = seen.pop(f"block{i}")
        video, control = tokens.split(num_video, dim=1)
        seen |= {f"block{i}.video": video, f"block{i}.text": text, f"block{i}.control": control}
    for key in _named(t, "mid."):
        yield key, seen[key], t[f"mid.{key}"], DYNAMICTRL_LAYER
    yield "output", output, t["out.sample"], DYNAMICTRL_LAYER

    model.bfloat16()
    half = model(*(x.bfloat16() if x.is_floating_point() else x for x in inputs), pose.bfloat16()).sample.float()
    distance = (half - t["out.sample"]).norm() / t["out.sample"].norm()
    yield "output in bfloat16, relative distance", distance, 0.0, DYNAMICTRL_BFLOAT16


def check_dynamictrl_pipeline(folder: Path, name: str) -> Iterator[Comparison]:
    t, meta = load_file(folder / name), _metadata(folder / name)
    transformer = DynamiCtrlTransformer(**json.loads(meta["transformer_config"])).eval()
    transformer.load_state_dict(_named(t, "sd_transformer."))
    vae_config = json.loads(meta["vae_config"])
    levels = len(vae_config["block_out_channels"])
    vae = AutoencoderKLCogVideoX(
        **vae_config,
        down_block_types=("CogVideoXDownBlock3D",) * levels,
        up_block_types=("CogVideoXUpBlock3D",) * levels,
    ).eval()
    vae.load_state_dict(_named(t, "sd_vae."))
    scheduler = CogVideoXDPMScheduler(**json.loads(meta["scheduler_config"]))
    pipe = DynamiCtrlPipeline(vae=vae, transformer=transformer, scheduler=scheduler)

    call = json.loads(meta["call"])
    generator = torch.Generator().manual_seed(int(re.findall(r"manual_seed\((\d+)\)", call["generator"])[0]))
    padded = t["mid.image_latents_padded"]
    image_latents = pipe.encode_image(2 * t["in.image"] - 1, padded.shape[1], generator)
    yield "reference latents", image_latents, padded, DYNAMICTRL_SAMPLING
    pose_latents = t["mid.control_latents"]
    if "in.control_video" in t:  # the copy among our tests is without its large clips
        yield "pose latents", pipe.encode_pose(t["in.control_video"], generator), pose_latents, DYNAMICTRL_SAMPLING
    else:
        torch.randn(t["in.draw_control_posterior"].shape, generator=generator)  # what encoding would have drawn
    rope = transformer.rotary_embedding(*(padded.shape[k] for k in (1, 3, 4)))
    for key, table in zip(("rope_cos", "rope_sin"), rope, strict=True):
        yield key, table, t[f"mid.{key}"], DYNAMICTRL_SAMPLING

    events = pipe.stream(
        image=np.zeros((1, 1, 3), np.uint8),  # it and the pose are given as latents
        pose_frames=np.zeros((call["num_frames"], call["height"], call["width"], 3), np.uint8),
        num_inference_steps=call["num_inference_steps"],
        guidance_scale=call["guidance_scale"],
        generator=generator,
        prompt_embeds=t["in.prompt_embeds"],
        negative_prompt_embeds=t["in.negative_prompt_embeds"],
        image_latents=image_latents,
        pose_latents=pose_latents,
    )
    last = None
    for event in events:
        if isinstance(event, DynamiCtrlOutput):
            yield "timesteps", scheduler.timesteps, t["mid.timesteps"], EXACT
            yield "latents", last, t["out.latents"], DYNAMICTRL_SAMPLING
            if "out.video" in t:
                expected = t["out.video"]
                yield "video", pipe.decode_latents(last), expected, DYNAMICTRL_SAMPLING
                ours = torch.from_numpy(event.frames).permute(3, 0, 1, 2)[None]
                yield "video without its lag", ours, (expected / 2 + 0.5).clamp(0, 1)[:, :, 3:], DYNAMICTRL_SAMPLING
        elif event.ends_denoising_step:
            k, last = event.step - 1, event.latents
            for kind, got in zip(("uncond", "text"), event.noise_prediction.split(1), strict=True):
                yield f"{kind} prediction, step {k}", got, t[f"mid.noise_pred_{kind}{k}"], DYNAMICTRL_SAMPLING
            yield f"latents, step {k}", last, t[f"mid.latents_step{k}"], DYNAMICTRL_SAMPLING


def check_any_dynamictrl(folder: Path, name: str) -> Iterator[Comparison]:
    whole = "transformer_config" in _metadata(folder / name)
    yield from (check_dynamictrl_pipeline if whole else check_dynamictrl)(folder, name)


def check_pose_drawing(folder: Path, name: str) -> Iterator[Comparison]:
    path = folder / name
    t = dict(np.load(path)) if path.suffix == ".npz" else {key: v.numpy() for key, v in load_file(path).items()}
    expected = t["out.dynamictrl_rgb"]
    size = expected.shape[:2]
    scale = np.array(size[::-1])
    pose = Pose(  # ours has the right hand first
        body=t["in.body18_xy_norm"][None] * scale,
        body_scores=t["in.body18_conf"][None],
        hands=t["in.hands_xy_norm"][None, ::-1] * scale,
        hand_scores=t["in.hands_conf"][None, ::-1],
    )
    drawn = draw_dynamictrl(pose, t["in.faces_xy_norm"] * scale, size, t["in.faces_conf"])[0]
    distance = np.abs(drawn.astype(int) - expected)
    yield "share of pixels off by over 8 levels", (distance > 8).any(axis=-1).mean(), 0.0, FAR_PIXELS
    yield "mean distance in levels", distance.mean(), 0.0, MEAN_LEVELS


def _with(check: Callable[..., Iterator[Comparison]], *extra: str) -> Callable[[Path, str], Iterator[Comparison]]:
    return lambda folder, name: check(folder, name, *extra)


_CHECKS: dict[str, tuple[Any, ...]] = {
    "tiny_a_unet_with_residuals.safetensors": (check_unet,),
    "tiny_b_unet_no_residuals.safetensors": (check_unet,),
    "tiny_c_controlnet_pose.safetensors": (check_controlnet, "controlnet_pose"),
    "tiny_d_controlnet_face.safetensors": (check_controlnet, "controlnet_face"),
    "tiny_e_resampler.safetensors": (check_resampler,),
    "tiny_f_mixed_attention.safetensors": (check_self_attention,),
    "tiny_f2_ip_cross_attention.safetensors": (check_cross_attention,),
    "tiny_f3_resnet_block.safetensors": (check_resnet,),
    "tiny_f4_spatial_transformer.safetensors": (check_spatial_transformer,),
    "tiny_g_motion_module.safetensors": (check_motion_module,),
    "tiny_h_ddim.safetensors": (check_ddim,),
    "tiny_i0_noise_init.safetensors": (check_noise_init,),
    "tiny_i1_pipeline_single_window.safetensors": (check_pipeline,),
    "tiny_i2_pipeline_windows.safetensors": (check_pipeline,),
    "j_context_windows.json": (check_windows,),
    "k_condition_normalisation.npz": (check_normalisation,),
    "k_imread_resize_crop.npz": (check_photo_crop,),
    "k_sface_portrait.npz": (check_face_patches,),
    "k_sface_square.npz": (check_face_patches,),
    "k_sface_landscape.npz": (check_face_patches,),
    "k_boxes.json": (check_boxes,),
    "k_control_clip_resize.npz": (check_clip_resize,),
    "dynamictrl_*.safetensors": (check_any_dynamictrl,),
    "pose_drawing_golden*": (check_pose_drawing,),
}
FIXTURES = {pattern: _with(check, *extra) for pattern, (check, *extra) in _CHECKS.items()}
"""By file name or pattern."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
