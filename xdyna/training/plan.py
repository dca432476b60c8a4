"""What a recipe will train and need, worked out without memory or weights."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from xdyna.models import PatchAutoencoder, Resampler, XDynaUNet
from xdyna.pipelines.convert import Shapes
from xdyna.schema import InputError
from xdyna.training.mini import build_pipeline
from xdyna.training.recipe import Recipe
from xdyna.training.stages import COMPONENTS, Stage, select_parameters

GB = 1e9
NUM_TEXT_TOKENS = 77


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """Numbers of one stage, memory in bytes per device.

    Attributes:
        trained: parameters by part of the pipeline: the adapter, motion modules, image-token projectors and rest of
            the UNet, and every other component.
        weights: all parameters, float32.
        gradients: of what is trained, float32.
        optimizer: AdamW's two moments, float32.
        average: the exponential average, float32.
        activations: what autograd keeps of UNet and ControlNets for the backward pass of one forward pass, plus the
            largest part that gradient checkpointing computes again. Found by running them on tensors that have
            shapes but no memory; the autoencoder, which runs without gradients, and the allocator's slack are left
            out.
    """

    trained: dict[str, int]
    weights: int
    gradients: int
    optimizer: int
    average: int
    activations: int

    @property
    def memory(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.average + self.activations


def describe(recipe: Recipe, num_processes: int) -> str:
    """The text of a dry run: every value of the recipe, what each stage trains, memory and disk.

    Raises:
        InputError: the recipe does not fit together.
    """
    lines = [
        f"{item.name} = {getattr(recipe, item.name)!r}" for item in fields(recipe) if item.name not in ("stages",)
    ]
    everything: set[str] = set()
    largest = 0
    with FakeTensorMode():
        modules = blank_modules(recipe)
        for number, stage in enumerate(recipe.runs()):
            plan = plan_stage(recipe, stage, modules)
            accumulation = stage.accumulation(num_processes)
            everything |= set(select_parameters(_trainable(modules), stage, recipe.reference_mode))
            largest = max(largest, plan.optimizer + plan.average)
            lines += ["", *_stage_lines(number, stage, plan, accumulation, num_processes)]
        sizes = {n: p.numel() for c, m in _trainable(modules).items() for n, p in m.named_parameters(prefix=c)}
        checkpoint = 4 * sum(sizes[name] for name in everything) + largest
        snapshot = sum(_bytes(module) for module in modules.values())
    lines += ["", f"disk: checkpoint {_gb(checkpoint)} and snapshot {_gb(snapshot)}, each twice while it is replaced"]
    return "\n".join(lines)


def plan_stage(recipe: Recipe, stage: Stage, modules: dict[str, nn.Module]) -> StagePlan:
    """Numbers of one stage.

    Args:
        recipe: says size, precision and reference mode.
        stage: the stage.
        modules: see `blank_modules`; the same `FakeTensorMode` must be on.
    """
    chosen = select_parameters(_trainable(modules), stage, recipe.reference_mode)
    trained: dict[str, int] = {}
    for name, parameter in chosen.items():
        part = _part(name)
        trained[part] = trained.get(part, 0) + parameter.numel()
    size = 4 * sum(trained.values())
    return StagePlan(
        trained=trained,
        weights=sum(_bytes(module) for module in modules.values()),
        gradients=size,
        optimizer=2 * size,
        average=size,
        activations=_activations(recipe, stage, modules),
    )


def blank_modules(recipe: Recipe) -> dict[str, nn.Module]:
    """Every network of the recipe's model, by component; call it under `FakeTensorMode`.

    Raises:
        InputError: the recipe's folder holds no pipeline.
    """
    if recipe.model == "xdyna-mini":
        pipeline = build_pipeline(PatchAutoencoder())
        return {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}
    if recipe.model == "xdyna":
        return _official_modules()
    folder = Path(recipe.model)
    if not (folder / "model_index.json").is_file():
        raise InputError(f"{folder} is not a pipeline folder: it has no model_index.json.")
    modules: dict[str, nn.Module] = {
        "unet": XDynaUNet.from_config(XDynaUNet.load_config(folder / "unet")),
        "controlnet_pose": ControlNetModel.from_config(ControlNetModel.load_config(folder / "controlnet_pose")),
        "controlnet_face": ControlNetModel.from_config(ControlNetModel.load_config(folder / "controlnet_face")),
        "resampler": Resampler.from_config(Resampler.load_config(folder / "resampler")),
        "image_encoder": CLIPVisionModelWithProjection(CLIPVisionConfig.from_pretrained(folder / "image_encoder")),
    }
    kind = AutoencoderKL.load_config(folder / "vae")["_class_name"]
    autoencoder = PatchAutoencoder if kind == PatchAutoencoder.__name__ else AutoencoderKL
    modules["vae"] = autoencoder.from_config(autoencoder.load_config(folder / "vae"))
    if (folder / "text_encoder").is_dir():
        modules["text_encoder"] = CLIPTextModel(CLIPTextConfig.from_pretrained(folder / "text_encoder"))
    return modules


def _official_modules() -> dict[str, nn.Module]:
    shapes = Shapes()
    return {
        "unet": XDynaUNet(**shapes.unet),
        "controlnet_pose": ControlNetModel(**shapes.controlnet_pose),
        "controlnet_face": ControlNetModel(**shapes.controlnet_face),
        "resampler": Resampler(**shapes.resampler),
        "vae": AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
        ),
        "text_encoder": CLIPTextModel(
            CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
        ),
        "image_encoder": CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=1280,
                intermediate_size=5120,
                num_hidden_layers=32,
                num_attention_heads=16,
                patch_size=14,
                projection_dim=1024,
            )
        ),
    }


def _trainable(modules: dict[str, nn.Module]) -> dict[str, nn.Module]:
    return {name: modules[name] for name in COMPONENTS}


def _part(name: str) -> str:
    component = name.split(".")[0]
    if component != "unet":
        return component
    if "motion_modules" in name:
        return "motion_modules"
    if "_ff." in name and "attn1" in name:
        return "dynamics_adapter"
    return "image_token_projectors" if "_ip." in name else "backbone"


def _bytes(module: nn.Module) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())


def _activations(recipe: Recipe, stage: Stage, modules: dict[str, nn.Module]) -> int:
    unet: Any = modules["unet"]
    clips, height, width = stage.clips_per_device, recipe.height // 8, recipe.width // 8
    counted = {name: modules[name] for name in ("unet", "controlnet_pose", "controlnet_face")}
    text = torch.zeros(clips, NUM_TEXT_TOKENS, unet.config.cross_attention_dim)
    tokens = torch.zeros(clips, NUM_TEXT_TOKENS + unet.config.num_image_tokens, unet.config.cross_attention_dim)
    noisy = torch.zeros(clips, unet.config.in_channels, stage.num_frames, height, width)
    half = recipe.precision != "float32"
    dtype = torch.float16 if recipe.precision == "float16" else torch.bfloat16
    with torch.autocast("cpu", dtype, enabled=half), _counted(counted, recipe.gradient_checkpointing) as kept:
        controls = ["controlnet_pose", "controlnet_face"] if stage.face else ["controlnet_pose"]
        total: list[Tensor] = []
        for name in controls:
            controlnet: Any = modules[name]
            down, middle = controlnet(
                noisy.transpose(1, 2).flatten(0, 1),
                torch.tensor(1),
                encoder_hidden_states=text.repeat_interleave(stage.num_frames, dim=0),
                controlnet_cond=torch.zeros(
                    clips * stage.num_frames, controlnet.config.conditioning_channels, recipe.height, recipe.width
                ),
                return_dict=False,
            )
            residuals = [*down, middle]
            total = [a + b for a, b in zip(total, residuals, strict=True)] if total else residuals
        unet(
            torch.cat([noisy[:, :, :1], noisy], dim=2),
            torch.tensor(1),
            encoder_hidden_states=tokens,
            down_block_additional_residuals=tuple(total[:-1]),
            mid_block_additional_residual=total[-1],
            reference_mode=recipe.reference_mode,
        )
    return kept()


@contextmanager
def _counted(modules: dict[str, nn.Module], checkpointing: bool) -> Iterator[Callable[[], int]]:
    """Counts the bytes that autograd keeps of what runs inside; the result is known at the end."""
    weights = {p.untyped_storage()._cdata for module in modules.values() for p in module.parameters()}
    kept: dict[int, Tensor] = {}
    largest = 0

    def keep(store: dict[int, Tensor], tensor: Tensor) -> Tensor:
        store[tensor.untyped_storage()._cdata] = tensor
        return tensor

    def count(store: dict[int, Tensor]) -> int:
        return sum(tensor.untyped_storage().nbytes() for key, tensor in store.items() if key not in weights)

    def recomputed(run: Callable[..., Any], *inputs: Any) -> Any:
        nonlocal largest
        own: dict[int, Tensor] = {}
        for value in inputs:
            if isinstance(value, Tensor):
                keep(kept, value)
        with saved_tensors_hooks(lambda tensor: keep(own, tensor), lambda tensor: tensor):
            output = run(*inputs)
        largest = max(largest, count(own))
        return output

    networks: list[Any] = [*modules.values()]
    for module in networks:
        if checkpointing:
            module.enable_gradient_checkpointing(recomputed)
    with saved_tensors_hooks(lambda tensor: keep(kept, tensor), lambda tensor: tensor):
        yield lambda: count(kept) + largest


def _stage_lines(number: int, stage: Stage, plan: StagePlan, accumulation: int, num_processes: int) -> list[str]:
    length = f"{stage.steps} steps" if stage.steps else f"{stage.epochs:g} epochs"
    parts = ", ".join(f"{name} {count:,}" for name, count in plan.trained.items())
    memory = ", ".join(
        f"{name} {_gb(getattr(plan, name))}"
        for name in ("weights", "gradients", "optimizer", "average", "activations")
    )
    return [
        f"stage {number} {stage.name}: {length} of {stage.batch_size} clips ({stage.clips_per_device} at once x "
        f"{num_processes} device(s) x {accumulation} accumulated), {stage.num_frames} frames, learning rate "
        f"{stage.learning_rate:g}, motion {'on' if stage.motion else 'off'}, S-Face {'on' if stage.face else 'off'}",
        f"  trains {sum(plan.trained.values()):,} parameters: {parts}",
        f"  memory per device about {_gb(plan.memory)}: {memory}",
    ]


def _gb(count: int) -> str:
    return f"{count / GB:.2f} GB"
