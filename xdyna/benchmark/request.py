"""What the command line asks of the benchmark."""

from argparse import Namespace

from xdyna.backends import BACKENDS
from xdyna.benchmark.methods import Setup
from xdyna.benchmark.run import DEFAULT_CLIPS, DEFAULT_SCENES, BenchmarkPlan
from xdyna.schema import InputError

DEFAULTS = BACKENDS["xdyna-mini"].defaults


def check_ablations(options: Namespace) -> None:
    """Raises an InputError for an option that the ablations' plan, fixed beforehand, leaves no room for."""
    names = ("model", "clips", "scenes", "steps", "strength", "size", "videos")
    given = [name for name in names if getattr(options, name) not in (None, False)]
    if given:
        raise InputError(f"--{given[0]} does not go with --ablations, whose plan is fixed: docs/benchmark.md.")


def parse_benchmark(options: Namespace) -> BenchmarkPlan:
    """A plan from the options of `xdyna benchmark`.

    Raises:
        InputError: an option is no number or outside its range.
    """
    height, width = (DEFAULTS.height, DEFAULTS.width) if options.size is None else _size(options.size)
    steps = DEFAULTS.num_inference_steps if options.steps is None else options.steps
    if not 1 <= steps <= 1000:
        raise InputError(f"--steps must be between 1 and 1000, got {steps}.")
    strength = 1.0 if options.strength is None else options.strength
    if not 0 < strength <= 1 or int(steps * strength) < 1:
        raise InputError(
            f"--strength must be at most 1 and leave one of the {steps} steps, so at least {1 / steps:.2g}, got "
            f"{strength:g}."
        )
    return BenchmarkPlan(
        model=options.model or "xdyna-mini",
        clips=DEFAULT_CLIPS if options.clips is None else options.clips,
        scenes=DEFAULT_SCENES if options.scenes is None else options.scenes,
        setup=Setup(height=height, width=width, num_inference_steps=steps, strength=strength),
        videos=options.out / "videos" if options.videos else None,
    )


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise InputError(f"--size must be WIDTHxHEIGHT, such as 128x224, got {text!r}.")
    size = int(height), int(width)
    if any(side % 8 or not 64 <= side <= 1024 for side in size):
        raise InputError(f"--size must be two multiples of 8 between 64 and 1024, got {text}.")
    return size
