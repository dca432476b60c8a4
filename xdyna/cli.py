"""The command line: animate, prepare, weights, convert, app."""

import argparse
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, InputError, Progress

EXIT_INPUT, EXIT_INTERRUPTED = 2, 130
ALIASES = {"num_inference_steps": "--steps", "guidance_scale": "--guidance", "num_frames": "--frames"}

Result = TypeVar("Result", Animation, Conditions)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command. Returns the exit code: 0 done, 2 the input cannot be used, 130 interrupted."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.ERROR, format="%(name)s: %(message)s")
    if not options.verbose:
        warnings.simplefilter("ignore", FutureWarning)  # one library warning another is not for the user
    try:
        COMMANDS[options.command](options)
    except (InputError, ValueError) as error:
        if not isinstance(error, InputError) and options.verbose:
            raise
        print(f"xdyna: {error}", file=sys.stderr)
        return EXIT_INPUT
    except OSError as error:
        if options.verbose:
            raise
        print(f"xdyna: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", file=sys.stderr)
        return EXIT_INPUT
    except KeyboardInterrupt:
        print("\nxdyna: stopped; nothing was written.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def build_parser() -> argparse.ArgumentParser:
    """All commands; the flags of `animate` come from `AnimationSettings`."""
    parser = argparse.ArgumentParser(prog="xdyna", description="Animate one photo of a person with a driving clip.")
    parser.add_argument("-v", "--verbose", action="store_true", help="log what happens, show tracebacks")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    job = argparse.ArgumentParser(add_help=False)
    job.add_argument("photo", type=Path, help="picture of one person")
    job.add_argument("clip", type=Path, help="driving video")
    job.add_argument("--model", choices=BACKENDS, help="default: the best that can run here")
    _add_settings(job)

    animate = commands.add_parser("animate", parents=[job], help="make a video")
    animate.add_argument("-o", "--output", type=Path, required=True, help="MP4 to write; its recipe goes beside it")
    prepare = commands.add_parser("prepare", parents=[job], help="write what the model will see, without a model")
    prepare.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    for command in (animate, prepare):
        command.add_argument("--force", action="store_true", help="overwrite an existing output")

    weights = commands.add_parser("weights", help="show or fetch the models' weights")
    weights.add_argument("action", choices=("status", "pull"))
    convert = commands.add_parser("convert", help="convert the official checkpoint files by hand")
    for name in ("unet", "controlnet-pose", "controlnet-face", "resampler"):
        convert.add_argument(f"--{name}", type=Path, required=True, metavar="FILE")
    for name in ("image-encoder", "stable-diffusion"):
        convert.add_argument(f"--{name}", type=Path, required=True, metavar="FOLDER")
    convert.add_argument("--unet-initialisation", type=Path, metavar="FILE", help="for keys the UNet file lacks")
    convert.add_argument("-o", "--output", type=Path, help="default: where `--model xdyna` looks")

    app = commands.add_parser("app", help="open the page")
    app.add_argument("--host", default="127.0.0.1")
    app.add_argument("--port", type=int, default=7860)
    app.add_argument("--share", action="store_true", help="make a public link")
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("settings (defaults are the model's own)")
    for item in fields(AnimationSettings):
        flag, bounds = "--" + item.name.replace("_", "-"), item.metadata
        names = [flag, ALIASES[item.name]] if item.name in ALIASES else [flag]
        if isinstance(item.default, bool):
            group.add_argument(*names, action=argparse.BooleanOptionalAction, help=bounds["help"])
            continue
        limits = "" if bounds["low"] is None else f" {bounds['low']:g} to {bounds['high']:g}."
        group.add_argument(
            *names,
            type=type(item.default),
            choices=bounds["choices"],
            metavar=None if bounds["choices"] else type(item.default).__name__.upper(),
            help=(bounds["help"] + limits).replace("%", "%%"),
        )


def _model_and_settings(options: argparse.Namespace) -> tuple[str, AnimationSettings]:
    from xdyna.weights import default_model

    model = options.model or default_model()
    given = {item.name: getattr(options, item.name) for item in fields(AnimationSettings)}
    return model, replace(BACKENDS[model].defaults, **{k: v for k, v in given.items() if v is not None})


def _check_inputs(options: argparse.Namespace) -> None:
    for path in (options.photo, options.clip):
        if not path.is_file():
            raise InputError(f"There is no file {path}. Check the name and the folder.")


def _animate(options: argparse.Namespace) -> None:
    output: Path = options.output
    if output.suffix.lower() != ".mp4":
        raise InputError(f"The output must be an .mp4 file, got {output.name!r}.")
    if not output.parent.is_dir():
        raise InputError(f"The folder {output.parent} does not exist. Create it first.")
    if not options.force and (output.exists() or output.with_suffix(".json").exists()):
        raise InputError(f"{output.name} or its recipe exists. Choose another name, or add --force to overwrite.")
    model, settings = _model_and_settings(options)
    _check_inputs(options)
    print(f"{BACKENDS[model].title}: {BACKENDS[model].notice}", file=sys.stderr)
    os.environ.setdefault("TQDM_DISABLE", "1")  # read once, when the libraries are imported; we have our own line

    from xdyna.animate import animate, prepare
    from xdyna.recipe import save_animation
    from xdyna.weights import locate

    locate(model)  # before the work of looking at the inputs
    conditions = _watched(prepare(options.photo, options.clip, settings), Conditions)
    for notice in conditions.notices:
        print(f"note: {notice}", file=sys.stderr)
    animation = _watched(animate(conditions, settings, model), Animation)
    recipe = save_animation(output, animation, settings)
    print(f"{output}: {len(animation.video)} frames in {animation.seconds:.0f} s; recipe in {recipe.name}")


def _prepare(options: argparse.Namespace) -> None:
    from xdyna.animate import prepare
    from xdyna.preview import write_previews

    output: Path = options.output
    if not options.force and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} exists. Choose another folder, or add --force to write into it.")
    _, settings = _model_and_settings(options)
    _check_inputs(options)
    conditions = _watched(prepare(options.photo, options.clip, settings), Conditions)
    for path in write_previews(conditions, output):
        print(path)


def _weights(options: argparse.Namespace) -> None:
    from xdyna import weights

    if options.action == "pull":
        print(f"official weights are ready in {weights.pull()}")
    for status in weights.status():
        state = "ready" if status.ready else "missing: run `xdyna weights pull`"
        print(f"{status.name:<12} {state:<40} {status.folder}")


def _convert(options: argparse.Namespace) -> None:
    from xdyna.pipelines.convert import Sources, convert
    from xdyna.weights import cache_folder

    sources = Sources(**{item.name: getattr(options, item.name) for item in fields(Sources)})
    print(convert(sources, options.output or cache_folder() / "xdyna"))


def _app(options: argparse.Namespace) -> None:
    from xdyna.ui.demo import launch

    launch(host=options.host, port=options.port, share=options.share)


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "animate": _animate,
    "prepare": _prepare,
    "weights": _weights,
    "convert": _convert,
    "app": _app,
}


def _watched(events: Iterator[Any], kind: type[Result]) -> Result:
    """Shows progress until the result comes: one rewritten line on a terminal, a line per phase elsewhere."""
    terminal, shown_phase, shown_at = sys.stderr.isatty(), "", 0.0
    with closing(events):  # type: ignore[type-var]  # our iterators are generators
        for event in events:
            if isinstance(event, kind):
                if terminal:
                    print(file=sys.stderr)
                return event
            assert isinstance(event, Progress)
            now = time.monotonic()
            if terminal and (now - shown_at > 0.1 or event.step == event.total):
                line = f"{event.phase} {event.step}/{event.total}{_eta(event)}"
                width = os.get_terminal_size(sys.stderr.fileno()).columns - 1
                print(f"\r{line[:width]:<{width}}", end="", file=sys.stderr, flush=True)
                shown_at = now
            elif not terminal and event.phase != shown_phase:
                print(f"{event.phase} ({event.total}){_eta(event)}", file=sys.stderr, flush=True)
            shown_phase = event.phase
    raise AssertionError("a job always ends with its result")


def _eta(event: Progress) -> str:
    return "" if event.seconds_left is None else f", about {event.seconds_left:.0f} s left"


if __name__ == "__main__":
    sys.exit(main())
