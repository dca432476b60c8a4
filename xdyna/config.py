"""The settings of one run. Each field states its default, range and help once; sliders and flags are built from it."""

from dataclasses import Field, asdict, dataclass, field, fields
from math import inf
from numbers import Integral, Real
from typing import Any

from xdyna.flows import parse_flows

Box = tuple[float, float, float, float]
SCHEDULERS = ("ddim", "dpm++", "unipc", "euler", "lcm")
WINDOW_SCHEDULES = ("loop", "open")
REFERENCE_MODES = ("dynamics_adapter", "reference_attention", "image_tokens")
MODES = ("animate", "replace")
MEMORY_MODES = ("auto", "full", "model_offload", "sequential_offload")
WEIGHT_STORAGES = ("full", "float8")
DECODERS = ("full", "tiny")
PROMPT_LETTERS, PERSON_LETTERS, FLOWS_LETTERS, SHOWN_LETTERS = 500, 100, 500, 40
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
"""What a value of each type is called before a user."""


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    choices: tuple[str, ...] | None = None,
    max_length: int | None = None,
) -> Any:
    """Return a dataclass field whose metadata carries help text, range, choices, and the letters of a text at most."""
    metadata = {"help": help, "low": low, "high": high, "step": step, "choices": choices, "max_length": max_length}
    return field(default=default, metadata=metadata)


def check_type(item: Field[Any], value: object) -> None:
    """Check the type of one setting.

    Args:
        item: a field of `AnimationSettings`.
        value: what it is to be.

    Raises:
        ValueError: the value is of another type; the message begins with "must be".
    """
    kind = value_type(item)
    accepted = {int: Integral, float: Real}.get(kind, kind)
    fits = isinstance(value, accepted) and (kind is bool or not isinstance(value, bool))
    if not fits or (isinstance(value, str) and not is_unicode(value)):
        raise ValueError(f"must be {KINDS[kind]}, got {shown(value)}")


def _check_bounds(item: Field[Any], value: Any) -> None:
    low, high, choices, max_length = (item.metadata[name] for name in ("low", "high", "choices", "max_length"))
    if low is not None and not low <= value <= high:
        raise ValueError(f"must be between {low:g} and {high:g}, got {shown(value)}")
    if choices and value not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}, got {shown(value)}")
    if max_length is not None and len(value) > max_length:
        raise ValueError(f"must be at most {max_length} letters long, got {len(value)}")


def shown(value: object) -> str:
    """Return a value as error messages show it: short, for anything may come out of a file."""
    if isinstance(value, float):
        return f"{value:g}"
    plain = value is None or isinstance(value, (bool, Integral, str))
    return repr(value)[:SHOWN_LETTERS] if plain else type(value).__name__


def is_unicode(text: str) -> bool:
    """Return whether a text can be written into a file; JSON can bring halves of characters, which cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def value_type(item: Field[Any]) -> type:
    """Return the type of a setting's values: its default's. A setting that may be left open (None) is a number."""
    return float if item.default is None else type(item.default)


@dataclass(frozen=True, kw_only=True)
class AnimationSettings:
    """How to animate. Defaults are those of the official X-Dyna script.

    Raises:
        ValueError: a value is of another type or outside its range; the message gives the value and the limit.
    """

    num_inference_steps: int = setting(25, "Denoising steps: more is finer and slower.", low=1, high=100, step=1)
    guidance_scale: float = setting(
        7.5, "Classifier-free guidance. 1 turns it off and halves the work.", low=1.0, high=20.0, step=0.1
    )
    strength: float = setting(
        1.0,
        "Below 1 the run begins from Puppet's frames instead of noise, and only this share of the steps runs.",
        low=0.05,
        high=1.0,
        step=0.05,
    )
    adapter_strength: float = setting(
        1.0, "Dynamics-Adapter: how strongly the photo's appearance is carried over.", low=0.0, high=2.0, step=0.05
    )
    background_adapter_strength: float | None = setting(
        None,
        "The adapter's strength outside the person, by a mask from the pose; empty is the same everywhere.",
        low=0.0,
        high=2.0,
        step=0.05,
    )
    reference_mode: str = setting(
        "dynamics_adapter",
        "How attention reads the photo. The other two imitate a ReferenceNet and an IP-Adapter with weights that were "
        "not trained for it: an approximation, for comparison.",
        choices=REFERENCE_MODES,
    )
    static_background: bool = setting(
        False, "Hold the background at the photo, as other methods show it: an imitation, for comparison."
    )
    controls_on_person_only: bool = setting(
        False, "Keep the pose and face controls from acting on the background (approximate: by a mask)."
    )
    controlnet_pose_scale: float = setting(
        1.0, "How strictly the body follows the clip.", low=0.0, high=2.0, step=0.05
    )
    controlnet_face_scale: float = setting(
        1.0, "How strictly the face follows the clip.", low=0.0, high=2.0, step=0.05
    )
    ip_adapter_scale: float = setting(1.0, "Weight of the photo's image tokens.", low=0.0, high=2.0, step=0.05)
    height: int = setting(
        896, "Height of the video in pixels, a multiple of 8 (64 is best).", low=64, high=1536, step=8
    )
    width: int = setting(512, "Width of the video in pixels, a multiple of 8 (64 is best).", low=64, high=1536, step=8)
    num_frames: int = setting(16, "Frames to make at most; a shorter clip gives fewer.", low=2, high=600, step=1)
    fps: float = setting(
        8.0, "Frames per second taken from the clip and written to the video.", low=1, high=30, step=1
    )
    start_s: float = setting(0.0, "Where in the clip to start, in seconds.", low=0.0, high=3600.0, step=0.1)
    context_frames: int = setting(16, "Frames the model sees at once.", low=2, high=24, step=1)
    context_overlap: int = setting(4, "Frames that neighbouring windows share.", low=0, high=23, step=1)
    window_schedule: str = setting(
        "loop",
        "Windows of a long clip: loop makes its end and its start neighbours, as the official script does; open fades "
        "from one window to the next and does not.",
        choices=WINDOW_SCHEDULES,
    )
    windows_at_once: int = setting(
        1,
        "Windows of a long clip that run together: faster where they leave a GPU idle, in more memory.",
        low=1,
        high=8,
        step=1,
    )
    guidance_start: float = setting(
        0.0, "Share of the steps that run before guidance begins: those cost half.", low=0.0, high=1.0, step=0.05
    )
    guidance_end: float = setting(
        1.0, "Share of the steps after which guidance ends: the rest cost half.", low=0.0, high=1.0, step=0.05
    )
    reference_cache: bool = setting(
        False, "Compute the photo's features once a step, not with every window (approximate: see docs/speed.md)."
    )
    feature_cache_interval: int = setting(
        1, "Compute all of the UNet at every n-th step only; 1 is exact, more is approximate.", low=1, high=8, step=1
    )
    seed: int = setting(42, "Same seed, same video on the same machine.", low=0, high=2**31 - 1, step=1)
    prompt: str = setting("", "Text that describes the result.", max_length=PROMPT_LETTERS)
    negative_prompt: str = setting("", "Text that describes what to avoid.", max_length=PROMPT_LETTERS)
    scheduler: str = setting("ddim", "Sampler.", choices=SCHEDULERS)
    photo_person: str = setting(
        "auto",
        "Who of the photo is animated: auto, a number from the check, or a box left,top,right,bottom in pixels.",
        max_length=PERSON_LETTERS,
    )
    clip_person: str = setting(
        "auto",
        "Who of the clip drives: auto, a number from the check, or a box left,top,right,bottom in pixels.",
        max_length=PERSON_LETTERS,
    )
    retarget: bool = setting(
        False, "Give the driver the limb lengths of the photo's person, for bodies of other proportions."
    )
    nudge_zoom: float = setting(
        1.0,
        "Makes the driver larger or smaller than found, around the middle of the picture.",
        low=0.5,
        high=2.0,
        step=0.01,
    )
    nudge_x: float = setting(
        0.0, "Moves the driver to the right, as a share of the picture's width.", low=-0.5, high=0.5, step=0.01
    )
    nudge_y: float = setting(
        0.0, "Moves the driver down, as a share of the picture's height.", low=-0.5, high=0.5, step=0.01
    )
    mode: str = setting(
        "animate",
        "animate: the photo's person and place move; replace: the person takes the driver's place.",
        choices=MODES,
    )
    memory_mode: str = setting(
        "auto", "Where weights wait for their turn: auto is the fastest that fits the GPU.", choices=MEMORY_MODES
    )
    weight_storage: str = setting(
        "full",
        "How weights are kept in memory: float8 takes half of it and rounds them (approximate: see docs/speed.md).",
        choices=WEIGHT_STORAGES,
    )
    decoder: str = setting(
        "full",
        "What turns the result into pictures: tiny is much faster and guesses fine detail, for preview and result "
        "(approximate; fetch it with xdyna weights pull taesd).",
        choices=DECODERS,
    )
    live_photo: bool = setting(
        False, "Keep the photo's own pose; a clip, if there is one, gives only the expression, to and fro."
    )
    sway: float = setting(
        0.4, "How far the person of a live photo sways and breathes; 0 holds still.", low=0.0, high=1.0, step=0.05
    )
    wind: float = setting(
        0.0, "Wind in hair and loose clothes; without it they only swing after the body.", low=0.0, high=1.0, step=0.05
    )
    flows: str = setting(
        "",
        "What moves in the background: arrows x0,y0,x1,y1,speed,flow or sway in 0 to 1 of the photo, with ; between "
        "them, or suggested. Empty holds it still.",
        max_length=FLOWS_LETTERS,
    )
    keep_sound: bool = setting(True, "Put the clip's sound under the result.")
    ai_label: bool = setting(True, "Draw a small AI-generated label into the video.")
    save_recipe: bool = setting(
        True, "Write settings and versions into the file; without them it still says that it is AI-generated."
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None and item.default is None:
                continue  # left open
            try:
                check_type(item, value)
                _check_bounds(item, value)
            except ValueError as error:
                raise ValueError(f"{item.name} {error}") from error
            if value_type(item) in (int, float):  # 1 is a number as 1.0 is: JSON and JavaScript do not tell them apart
                object.__setattr__(self, item.name, value_type(item)(value))
        for name, parse in (("photo_person", parse_person), ("clip_person", parse_person), ("flows", parse_flows)):
            try:
                parse(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"{name} {error}") from error
        for name in ("height", "width"):
            if getattr(self, name) % 8:
                raise ValueError(f"{name} must be a multiple of 8, got {getattr(self, name)}")
        if int(self.num_inference_steps * self.strength) < 1:
            raise ValueError(
                f"strength must be at least {1 / self.num_inference_steps:.2g} with num_inference_steps "
                f"{self.num_inference_steps}, so that one step runs, got {self.strength:g}"
            )
        if self.guidance_start > self.guidance_end:
            raise ValueError(
                f"guidance_start must not be above guidance_end ({self.guidance_end:g}), got {self.guidance_start:g}"
            )
        if self.context_overlap >= self.context_frames:
            raise ValueError(
                f"context_overlap must be below context_frames ({self.context_frames}), got {self.context_overlap}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as written beside every result."""
        return asdict(self)


def parse_person(text: str) -> int | Box | None:
    """Reads `photo_person` or `clip_person`.

    Returns:
        None for "auto", else the number of a person, or a box: left, top, right, bottom in pixels of the photo or of
        the clip's frames.

    Raises:
        ValueError: the text is none of these; the message starts with "must be".
    """
    words = text.strip().split(",")
    if words == ["auto"]:
        return None
    try:
        if len(words) == 1:
            number = int(words[0])
            if number >= 1:
                return number
        elif len(words) == 4:
            left, top, right, bottom = (float(word) for word in words)
            if 0 <= left < right < inf and 0 <= top < bottom < inf:
                return left, top, right, bottom
    except ValueError:  # not numbers: told below, like all else
        pass
    raise ValueError(f"must be auto, a number from 1, or a box left,top,right,bottom, got {text!r}")
