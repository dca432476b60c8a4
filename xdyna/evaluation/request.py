"""What a user asked for on the command line, as a plan."""

from argparse import Namespace
from pathlib import Path

from xdyna.evaluation.backbones import BACKBONES
from xdyna.evaluation.clips import MAX_FRAMES, Case, Reading, Skipped, list_folders, list_table
from xdyna.evaluation.intervals import NUM_RESAMPLES
from xdyna.evaluation.protocols import PROTOCOLS
from xdyna.evaluation.scores import Plan
from xdyna.schema import InputError

STATISTICS = "statistics"
MIN_FRAMES = 3  # motion needs as many


def parse_plan(options: Namespace) -> tuple[Plan, list[Skipped]]:
    """Turns the options of `xdyna evaluate` into a plan and the clips without counterpart.

    Raises:
        InputError: an option is missing, contradicts another, or names something unknown.
    """
    protocol = PROTOCOLS[options.protocol]
    frames = options.frames if options.frames is not None else protocol.num_frames
    if frames is not None and not MIN_FRAMES <= frames <= MAX_FRAMES:
        raise InputError(f"--frames must be between {MIN_FRAMES} and {MAX_FRAMES}, got {frames}.")
    if options.resamples is not None and options.resamples < 0:
        raise InputError(f"--resamples must be 0 or more, got {options.resamples}.")
    _check_device(options.device)
    cases, skipped = _cases(options, protocol.against)
    reading = Reading(
        num_frames=frames,
        min_frames=min(protocol.min_frames, frames or protocol.min_frames),
        fps=_rate(options.fps),
        length=options.length,
        size=_size(options.size),
    )
    plan = Plan(
        protocol=options.protocol,
        cases=cases,
        reading=reading,
        statistics=options.out / STATISTICS,
        backbones=_backbones(options.backbone),
        fetch=options.fetch,
        num_resamples=NUM_RESAMPLES if options.resamples is None else options.resamples,
        device=options.device,
    )
    return plan, skipped


def _cases(options: Namespace, against: str) -> tuple[list[Case], list[Skipped]]:
    if options.pairs is not None:
        if options.generated:
            raise InputError("Give either --pairs or --generated, not both.")
        return list_table(options.pairs), []
    folder = getattr(options, against)
    if not options.generated or folder is None:
        raise InputError(f"Protocol {options.protocol} needs --generated DIR and --{against} DIR, or --pairs CSV.")
    methods: dict[str, Path] = {}
    for given in options.generated:
        name, _, path = given.rpartition("=")
        name = name or Path(path).resolve().name
        if name in methods:
            raise InputError(f"Two methods are called {name}. Name them: --generated NAME=DIR.")
        methods[name] = Path(path)
    roles = (against, "reference", "generated_mask", "truth_mask")
    others = {role: getattr(options, role) for role in roles if getattr(options, role) is not None}
    return list_folders(methods, others)


def _check_device(name: str) -> None:
    if name == "cpu":
        return
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name} cannot be used here: {str(error).splitlines()[0]}") from error


def _rate(text: str) -> str | float:
    if text in ("native", "lowest"):
        return text
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 240:
        raise InputError(f"--fps must be native, lowest or a number up to 240, got {text!r}.")
    return rate


def _size(text: str) -> str | tuple[int, int]:
    if text in ("error", "truth"):
        return text
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and 16 <= int(width) <= 4096 and 16 <= int(height) <= 4096):
        raise InputError(f"--size must be error, truth or WIDTHxHEIGHT such as 512x512, got {text!r}.")
    return int(height), int(width)


def _backbones(given: list[str]) -> dict[str, Path]:
    files = {}
    for text in given:
        name, _, path = text.partition("=")
        if name not in BACKBONES or not path:
            raise InputError(f"--backbone must be NAME=FILE with NAME one of {', '.join(BACKBONES)}, got {text!r}.")
        files[name] = Path(path)
    return files
