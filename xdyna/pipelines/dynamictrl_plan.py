"""What DynamiCtrl can make and what it needs: frames, sizes, memory. Plain arithmetic, no weights."""

from dataclasses import dataclass

from xdyna.schema import InputError

MIN_FRAMES, MAX_FRAMES, FRAME_STEP = 5, 85, 8
SIZE_STEP_PX, MAX_SIDE_PX = 16, 2400
BEST_HEIGHT, BEST_WIDTH, BEST_FRAMES = 1360, 768, 37

CAPTION_HINT = (
    "Describe the person and the background of the photo in a sentence or two, for example: The person in the image "
    "is a young woman with short dark hair in a red coat; behind her a snowy street with warm shop windows."
)

# Peak memory of the publisher's table at 37 frames is 20.0 GiB of weights and 8.0 GiB for each megapixel. The latter
# grows with the number of tokens, so with latent frames.
GIB_PER_MEGAPIXEL = 8.0
LATENT_FRAMES_OF_TABLE = 10


@dataclass(frozen=True, kw_only=True)
class MemoryMode:
    """Where weights wait for their turn.

    Attributes:
        title: name for people.
        weights_gib: most weights that are on the GPU at one time, in bfloat16.
        notice: what it costs.
    """

    title: str
    weights_gib: float
    notice: str


MEMORY_MODES: dict[str, MemoryMode] = {
    "full": MemoryMode(
        title="Everything on the GPU", weights_gib=20.0, notice="Fastest. The estimate is the publisher's measurement."
    ),
    "model_offload": MemoryMode(
        title="One model at a time",
        weights_gib=11.0,
        notice="A little slower; needs 24 GB of main memory. The estimate is computed, not measured.",
    ),
    "sequential_offload": MemoryMode(
        title="One layer at a time",
        weights_gib=0.5,
        notice="Many times slower; needs 24 GB of main memory. The estimate is computed, not measured.",
    ),
}
"""From the fastest to the smallest."""


@dataclass(frozen=True, kw_only=True)
class DynamiCtrlPlan:
    """What a run will do.

    Attributes:
        height: of the video in pixels.
        width: of the video in pixels.
        num_frames: of the pose clip and of the video: first the photo's own pose, then the driver's.
        num_driving_frames: frames taken from the driving clip, one fewer.
        num_latent_frames: what the transformer sees of them; always even.
        num_video_tokens: attention's length beside 226 text tokens.
        memory_mode: key of `MEMORY_MODES`.
        peak_gib: estimated peak of GPU memory in GiB.
        notices: plain sentences for the user.
    """

    height: int
    width: int
    num_frames: int
    num_driving_frames: int
    num_latent_frames: int
    num_video_tokens: int
    memory_mode: str
    peak_gib: float
    notices: tuple[str, ...]


def plan(
    *,
    height: int = BEST_HEIGHT,
    width: int = BEST_WIDTH,
    num_frames: int = BEST_FRAMES,
    num_driving_frames: int | None = None,
    prompt: str = "",
    gpu_gib: float | None = None,
    memory_mode: str | None = None,
) -> DynamiCtrlPlan:
    """Checks the wishes for a run against what the model can do.

    Args:
        height: of the video in pixels, a multiple of 16.
        width: of the video in pixels, a multiple of 16.
        num_frames: of the video, 8 k + 5.
        num_driving_frames: frames that the clip has; None does not check.
        prompt: describes the photo; an empty one brings the hint how to write it.
        gpu_gib: memory of the GPU; None is unknown.
        memory_mode: key of `MEMORY_MODES`; None takes the fastest that fits, or without `gpu_gib` the fastest.

    Raises:
        InputError: size or number of frames cannot be made, or no memory mode fits the GPU.
        KeyError: the memory mode is unknown.
    """
    check_size(height, width)
    check_num_frames(num_frames)
    if num_driving_frames is not None and num_driving_frames < num_frames - 1:
        raise InputError(
            f"{num_frames} frames need {num_frames - 1} frames of the driving clip (the first shows the photo's own "
            f"pose), but it has {num_driving_frames}. {_longest_advice(num_driving_frames)}"
        )
    if memory_mode is None:
        memory_mode = fitting_memory_mode(height, width, num_frames, gpu_gib)
    notices = []
    if not prompt.strip():
        notices.append(f"DynamiCtrl reads the text closely. {CAPTION_HINT}")
    if {height, width} != {BEST_HEIGHT, BEST_WIDTH}:
        notices.append(f"Results are best at {BEST_WIDTH} x {BEST_HEIGHT} pixels or the other way round.")
    if num_frames > BEST_FRAMES:
        notices.append(f"The model was trained on clips of {BEST_FRAMES} frames; longer ones may drift.")
    num_latent_frames = latent_frames(num_frames)
    return DynamiCtrlPlan(
        height=height,
        width=width,
        num_frames=num_frames,
        num_driving_frames=num_frames - 1,
        num_latent_frames=num_latent_frames,
        num_video_tokens=num_latent_frames // 2 * (height // SIZE_STEP_PX) * (width // SIZE_STEP_PX),
        memory_mode=memory_mode,
        peak_gib=peak_gib(height, width, num_frames, memory_mode),
        notices=tuple(notices),
    )


def check_num_frames(num_frames: int) -> None:
    """Raises an `InputError` that names the nearest possible lengths if the model cannot make this one."""
    if MIN_FRAMES <= num_frames <= MAX_FRAMES and num_frames % FRAME_STEP == MIN_FRAMES % FRAME_STEP:
        return
    below = largest_num_frames(min(max(num_frames, MIN_FRAMES), MAX_FRAMES))
    nearest = [n for n in (below, below + FRAME_STEP) if n <= MAX_FRAMES] if num_frames > MIN_FRAMES else [MIN_FRAMES]
    raise InputError(
        f"DynamiCtrl makes clips of 8 k + 5 frames: 5, 13, 21, 29, 37 and so on up to {MAX_FRAMES}; got {num_frames}. "
        f"Use {' or '.join(map(str, nearest))}."
    )


def largest_num_frames(limit: int) -> int:
    """The longest possible clip of at most `limit` frames.

    Raises:
        InputError: `limit` is below the shortest one.
    """
    if limit < MIN_FRAMES:
        raise InputError(
            f"DynamiCtrl needs at least {MIN_FRAMES} frames: the photo's pose and {MIN_FRAMES - 1} frames of the "
            f"clip; only {limit} are there. Use a longer clip or a higher frame rate."
        )
    return (min(limit, MAX_FRAMES) - MIN_FRAMES) // FRAME_STEP * FRAME_STEP + MIN_FRAMES


def check_size(height: int, width: int) -> None:
    """Raises an `InputError` that names the nearest possible sizes if the model cannot make this one."""
    for name, value in (("height", height), ("width", width)):
        if value % SIZE_STEP_PX or not SIZE_STEP_PX <= value <= MAX_SIDE_PX:
            nearest = min(max(round(value / SIZE_STEP_PX), 1) * SIZE_STEP_PX, MAX_SIDE_PX)
            raise InputError(
                f"DynamiCtrl needs a {name} that is a multiple of {SIZE_STEP_PX} and at most {MAX_SIDE_PX} pixels, "
                f"got {value}. Use {nearest}."
            )


def latent_frames(num_frames: int) -> int:
    """Latent frames of a clip: the first frame alone, then four at a time."""
    return (num_frames - 1) // 4 + 1


def peak_gib(height: int, width: int, num_frames: int, memory_mode: str) -> float:
    """Estimated peak of GPU memory in GiB, with guidance and a tiled autoencoder."""
    activations = GIB_PER_MEGAPIXEL * height * width / 1e6 * latent_frames(num_frames) / LATENT_FRAMES_OF_TABLE
    return MEMORY_MODES[memory_mode].weights_gib + activations


def fitting_memory_mode(height: int, width: int, num_frames: int, gpu_gib: float | None) -> str:
    """The fastest memory mode that fits a GPU.

    Args:
        height: of the video in pixels.
        width: of the video in pixels.
        num_frames: of the video.
        gpu_gib: memory of the GPU; None is unknown and takes the fastest.

    Raises:
        InputError: even the smallest does not fit.
    """
    needs = {mode: peak_gib(height, width, num_frames, mode) for mode in MEMORY_MODES}
    for mode, need in needs.items():
        if gpu_gib is None or need <= gpu_gib:
            return mode
    raise InputError(
        f"{width} x {height} pixels and {num_frames} frames need about {min(needs.values()):.0f} GiB of GPU memory "
        f"even in the smallest mode; this GPU has {gpu_gib:.0f}. Choose a smaller size or fewer frames."
    )


def _longest_advice(num_driving_frames: int) -> str:
    if num_driving_frames + 1 < MIN_FRAMES:
        return "Use a longer clip or a higher frame rate."
    return f"Ask for {largest_num_frames(num_driving_frames + 1)} frames, or use a longer clip."
