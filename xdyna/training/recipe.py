"""A training run as data: one TOML or JSON file, read strictly."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from xdyna.config import REFERENCE_MODES, setting
from xdyna.schema import InputError
from xdyna.training.samples import FACE_CONTROLS, SampleOptions
from xdyna.training.stages import Stage

SHIPPED = Path(__file__).parent / "recipes"
PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}  # accelerate's words
WEIGHTINGS = ("equal", "min_snr")
RESETTABLE = ("dynamics_adapter", "controlnet_pose", "controlnet_face")

Settings = TypeVar("Settings", "Recipe", Stage)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a training run. The same recipe on the same machine gives the same weights.

    Raises:
        InputError: a value is outside its range, or values do not fit together.
    """

    model: str = setting("xdyna-mini", "xdyna-mini, untrained; or xdyna, the official weights; or a pipeline folder.")
    start: str = setting("", "Pipeline folder that lends xdyna-mini its weights; layers it lacks start at no effect.")
    reset: tuple[str, ...] = setting(
        (), f"Parts put back to how the paper starts them, copied from the backbone: {', '.join(RESETTABLE)}."
    )
    motion_adapter: str = setting("", "Folder of a diffusers MotionAdapter (AnimateDiff v1) to start motion from.")
    data: str = setting("world", "world, the procedural clips; or a folder of prepared clips.")
    reenact: str = setting("", "package.module:function that swaps the identity of faces in the folder's clips.")
    height: int = setting(224, "Height of the clips in pixels, a multiple of 8.", low=40, high=2048)
    width: int = setting(128, "Width of the clips in pixels, a multiple of 8.", low=40, high=2048)
    stages: tuple[Stage, ...] = setting((), "What to do, in order.")
    # Ablations (paper table 4)
    reference_mode: str = setting(
        "dynamics_adapter", "How attention reads the photo; stages' part reference trains it.", choices=REFERENCE_MODES
    )
    face_control: str = setting(
        "s-face", "S-Face; or landmarks drawn into the pose instead; or none.", choices=FACE_CONTROLS
    )
    scene_fraction: float = setting(
        0.15, "Harmonic data fusion: share of clips without a person, whose controls are blank.", low=0, high=1
    )
    # Loss
    weighting: str = setting("equal", "Weight of timesteps: equal, or min-SNR with gamma 5.", choices=WEIGHTINGS)
    person_weight: float = setting(0.0, "Added to the loss's weight, 1, where the person is.", low=0, high=100)
    face_weight: float = setting(0.0, "Added to it in the box around the face.", low=0, high=100)
    image_dropout: float = setting(0.0, "Share of clips whose image tokens are those of no picture.", low=0, high=1)
    high_noise_share: float = setting(0.0, "Share of timesteps drawn from the 400 noisiest only.", low=0, high=1)
    sampler_share: float = setting(0.0, "Share of timesteps drawn from the sampler's own only.", low=0, high=1)
    num_inference_steps: int = setting(25, "Steps of the sampler, for that share and for sheets.", low=1, high=1000)
    # Optimiser
    beta2: float = setting(0.999, "AdamW's second decay.", low=0, high=1)
    weight_decay: float = setting(0.01, "AdamW's.", low=0, high=1)
    max_gradient_norm: float = setting(1.0, "Longer gradients are shortened to this.", low=0, high=10**6)
    ema_decay: float = setting(
        0.9999, "Of the averaged weights, which snapshots hold; 0 is no averaging.", low=0, high=1
    )
    # Machine
    precision: str = setting("float32", "Mixed precision of the forward pass.", choices=tuple(PRECISIONS))
    gradient_checkpointing: bool = setting(False, "Trade a third more work for far less memory.")
    compile: bool = setting(False, "Compile the UNet; minutes once, then faster.")
    workers: int = setting(1, "Processes that make samples, per device.", low=0, high=256)
    cpu_threads: int = setting(0, "Threads where the CPU trains; 0 is torch's choice.", low=0, high=256)
    seed: int = setting(0, "Of weights, data and noise.", low=0, high=2**31 - 1)
    autoencoder_steps: int = setting(
        1500, "Steps of xdyna-mini's autoencoder, if it starts from nothing.", low=1, high=10**6
    )
    log_every: int = setting(25, "Steps between lines of progress.", low=1, high=10**6)
    save_every_s: float = setting(600.0, "Seconds between checkpoints.", low=0, high=10**6)
    sheet_every: int = setting(1000, "Steps between sample sheets and snapshots.", low=1, high=10**9)

    def __post_init__(self) -> None:
        if not self.stages:
            raise InputError("The recipe has no stages.")
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise InputError(f"Stages need different names, got {', '.join(names)}.")
        for name in ("height", "width"):
            if getattr(self, name) % 8:
                raise InputError(f"{name} must be a multiple of 8, got {getattr(self, name)}.")
        for part in self.reset:
            if part not in RESETTABLE:
                raise InputError(f"reset must be some of {', '.join(RESETTABLE)}, got {part!r}.")
        if self.start and self.model != "xdyna-mini":
            raise InputError("start is for model xdyna-mini; give the folder as model instead.")

    def runs(self) -> tuple[Stage, ...]:
        """The stages as the ablation switches leave them: without S-Face its part and its own stages go."""
        if self.face_control == "s-face":
            return self.stages
        kept = []
        for stage in self.stages:
            trains = tuple(part for part in stage.trains if part != "controlnet_face")
            if trains:
                kept.append(replace(stage, trains=trains, face=False))
        return tuple(kept)

    def sample_options(self, stage: Stage) -> SampleOptions:
        """What the samples of a stage hold."""
        face = "none" if self.face_control == "s-face" and not stage.face else self.face_control
        return SampleOptions(
            num_frames=stage.num_frames,
            ordered=stage.motion,
            scene_fraction=self.scene_fraction if stage.scenes else 0.0,
            face=face,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as written beside the checkpoints."""
        return json.loads(json.dumps(asdict(self)))


def shipped_recipes() -> list[str]:
    """Names that `load_recipe` knows."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load_recipe(name: str, changes: Iterable[str] = ()) -> Recipe:
    """Reads a recipe.

    Args:
        name: a shipped recipe's name or the path of a TOML or JSON file. A file may name another in `base` and then
            says only what differs.
        changes: `key=value` with a TOML value, applied last; `stages.0.steps=10` reaches into a stage.

    Raises:
        InputError: no such recipe, unreadable file, unknown key, wrong type or value.
    """
    values = _read(name, Path(), ())
    for change in changes:
        _apply(values, change)
    return recipe_from(values, f"recipe {name}")


def recipe_from(values: Mapping[str, Any], where: str) -> Recipe:
    """A recipe from plain values.

    Raises:
        InputError: unknown key, wrong type or value; the message begins with `where`.
    """
    try:
        stages = values.get("stages", ())
        if not isinstance(stages, (list, tuple)) or not all(isinstance(stage, Mapping) for stage in stages):
            raise InputError("stages must be a list of tables ([[stages]]).")
        built = tuple(_build(Stage, stage) for stage in stages)
        return _build(Recipe, {**values, "stages": built})
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _build(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    known = {item.name: item for item in fields(kind)}
    checked: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f". Known are: {', '.join(known)}."
            raise InputError(f"unknown key {key!r}{hint}")
        default, limits = known[key].default, known[key].metadata
        if isinstance(default, tuple) and isinstance(value, list):
            value = tuple(value)
        if isinstance(default, float) and type(value) is int:
            value = float(value)
        if type(value) is not type(default):
            raise InputError(f"{key} must be a {type(default).__name__}, got {value!r}.")
        if limits["low"] is not None and not limits["low"] <= value <= limits["high"]:
            raise InputError(f"{key} must be between {limits['low']:g} and {limits['high']:g}, got {value:g}.")
        if limits["choices"] and value not in limits["choices"]:
            raise InputError(f"{key} must be one of {', '.join(limits['choices'])}, got {value!r}.")
        checked[key] = value
    return kind(**checked)


def _read(name: str, folder: Path, readers: tuple[Path, ...]) -> dict[str, Any]:
    shipped = SHIPPED / f"{name}.toml"
    path = shipped if shipped.is_file() else folder / name
    if not path.is_file():
        raise InputError(
            f"There is no recipe {name!r}. Give one of {', '.join(shipped_recipes())}, or the path of a file."
        )
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise InputError(f"{path.name} cannot be read: {error}") from error
    base = values.pop("base", None)
    if base and path in readers:
        raise InputError(f"{path.name} is its own base.")
    return {**_read(str(base), path.parent, (*readers, path)), **values} if base else values


def _apply(values: dict[str, Any], change: str) -> None:
    key, separator, text = change.partition("=")
    if not separator:
        raise InputError(f"A change is key=value, got {change!r}.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is a string
    *path, last = key.strip().split(".")
    target: Any = values
    try:
        for step in path:
            target = target[int(step)] if isinstance(target, list) else target[step]
        target[int(last) if isinstance(target, list) else last] = value
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise InputError(f"The recipe has no {key!r} to change.") from error
