"""The command line: animate, compare, prepare, weights, convert, train, train-data, evaluate, benchmark, app."""

import argparse
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from xdyna.backends import BACKENDS, all_devices
from xdyna.compare.variants import AXES, EXAMPLE, MIN_VARIANTS, read_variants
from xdyna.config import AnimationSettings, value_type
from xdyna.files import UnsavedResultError
from xdyna.output import claimed_file, claimed_folder
from xdyna.rescue import rescue
from xdyna.schema import Animation, Conditions, InputError, Progress
from xdyna.weights import RELEASES

if TYPE_CHECKING:
    from xdyna.compare.take import Take
    from xdyna.recipe import Recipe

EXIT_INPUT, EXIT_INTERRUPTED = 2, 130
VIDEOS = "videos"
ALIASES = {
    "num_inference_steps": "--steps",
    "guidance_scale": "--guidance",
    "num_frames": "--frames",
    "flows": "--flow",
}
REPEATABLE = {"flows": "; "}
"""Settings whose flag may be given several times, and what stands between their parts."""

Result = TypeVar("Result")


def main(arguments: list[str] | None = None) -> int:
    """Runs one command. Returns the exit code: 0 done, 2 the input cannot be used, 130 interrupted."""
    options = build_parser().parse_args(arguments)
    options.arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.ERROR,
        format=("\n" if sys.stderr.isatty() else "") + "%(levelname)s: %(message)s",  # after the line of progress
    )
    # Our own warnings are for the user; those of libraries are for programmers.
    logging.getLogger("xdyna").setLevel(logging.INFO if options.verbose else logging.WARNING)
    if not options.verbose:
        warnings.simplefilter("ignore", FutureWarning)  # one library warning another is not for the user
    try:
        with _claimed_output(options):
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
        resumable = options.command in ("train", "train-data") or getattr(options, "ablations", False)
        kept = "run the same command again to go on" if resumable else "nothing was written"
        if options.command == "compare":
            kept = "what is finished is in its folder"
        print(f"\nxdyna: stopped; {kept}.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def build_parser() -> argparse.ArgumentParser:
    """All commands; the flags of `animate` come from `AnimationSettings`."""
    parser = argparse.ArgumentParser(prog="xdyna", description="Animate one photo of a person with a driving clip.")
    parser.add_argument("-v", "--verbose", action="store_true", help="log what happens, show tracebacks")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    job = argparse.ArgumentParser(add_help=False)
    job.add_argument("photo", type=Path, help="picture of one person")
    job.add_argument(
        "clip", type=Path, nargs="?", help="driving video, or a motion file; without one the photo's own pose sways"
    )
    job.add_argument(
        "--backend", "--model", dest="model", choices=BACKENDS, help="default: the best that can run here"
    )
    job.add_argument(
        "--like", type=Path, metavar="RESULT", help="begin with model and settings of a video or recipe by xdyna"
    )
    _add_settings(job)

    animate = commands.add_parser("animate", parents=[job], help="make a video")
    animate.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="MP4 to write; its recipe goes beside it. After a kill the same command goes on where the run was",
    )
    prepare = commands.add_parser("prepare", parents=[job], help="write what the model will see, without a model")
    prepare.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    compare = commands.add_parser("compare", parents=[job], help="make videos that differ in one thing, side by side")
    compare.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="folder to write")
    compare.add_argument(
        "--axis",
        choices=(*AXES, VIDEOS),
        default=next(iter(AXES)),
        help="what differs (default %(default)s); videos: give two finished videos instead of photo and clip",
    )
    compare.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="TEXT",
        help=f"a variant of your own, such as {EXAMPLE!r}; give two to four instead of --axis",
    )
    for command in (animate, prepare, compare):
        command.add_argument("--force", action="store_true", help="overwrite an existing output")
        command.add_argument(
            "--matte",
            type=Path,
            metavar="PNG",
            help="corrected mask.png of `xdyna prepare`: the photo's person in white",
        )

    weights = commands.add_parser("weights", help="show or fetch the models' weights")
    weights.add_argument("action", choices=("status", "pull"))
    weights.add_argument("model", nargs="?", choices=tuple(RELEASES), default="xdyna", help="default: %(default)s")
    convert = commands.add_parser("convert", help="convert the official checkpoint files by hand")
    for name in ("unet", "controlnet-pose", "controlnet-face", "resampler"):
        convert.add_argument(f"--{name}", type=Path, required=True, metavar="FILE")
    for name in ("image-encoder", "stable-diffusion"):
        convert.add_argument(f"--{name}", type=Path, required=True, metavar="FOLDER")
    convert.add_argument("--unet-initialisation", type=Path, metavar="FILE", help="for keys the UNet file lacks")
    convert.add_argument("-o", "--output", type=Path, help="default: where `--model xdyna` looks")

    train = commands.add_parser("train", help="train a model, or go on where a killed run was saved")
    train.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="of the run; default: runs/RECIPE")
    train.add_argument("--recipe", default="mini", help="name of a shipped recipe, or a TOML or JSON file")
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a value of the recipe")
    train.add_argument("--processes", type=int, default=0, metavar="N", help="default: one per GPU")
    train.add_argument("--cpu", action="store_true", help="stay off the GPU")
    train.add_argument("--dry-run", action="store_true", help="show recipe, trained parameters and memory, then stop")
    train.add_argument("--export", type=Path, metavar="FOLDER", help="only write the run's weights there, to ship")

    data = commands.add_parser("train-data", help="prepare folders of your own clips for training")
    data.add_argument("human", type=Path, metavar="HUMAN_DIR", help="clips of one person each")
    data.add_argument("scenes", type=Path, metavar="SCENE_DIR", nargs="?", help="clips without people, to mix in")
    data.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="of the prepared clips")
    data.add_argument("--height", type=int, default=896, help="of the prepared pictures (default %(default)s)")
    data.add_argument("--width", type=int, default=512, help="likewise (default %(default)s)")
    data.add_argument("--fps", type=float, default=8.0, help="frames taken per second (default %(default)g)")
    data.add_argument("--min-frames", type=int, default=16, help="leave shorter parts out (default %(default)s)")

    _add_evaluate(commands)

    bench = commands.add_parser("benchmark", help="score a small model on rendered clips whose truth is known")
    bench.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for the table")
    bench.add_argument("--model", metavar="NAME|FOLDER", help="xdyna-mini (the default), xdyna, or a pipeline folder")
    bench.add_argument("--clips", type=int, metavar="N", help="clips with a person (default 100)")
    bench.add_argument("--scenes", type=int, metavar="N", help="clips without one (default 40)")
    bench.add_argument("--steps", type=int, metavar="N", help="of the sampler (default 3)")
    bench.add_argument("--strength", type=float, metavar="X", help="below 1 begin from Puppet's frames (default 1)")
    bench.add_argument("--videos", action="store_true", help="keep every clip in OUT/videos, for `xdyna evaluate`")
    bench.add_argument("--size", metavar="WIDTHxHEIGHT", help="of the clips (default 128x224)")
    bench.add_argument(
        "--ablations", action="store_true", help="train and score the ablations of table 4 at small scale; resumable"
    )

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
        if item.name in REPEATABLE:
            group.add_argument(*names, action="append", metavar="X0,Y0,X1,Y1[,SPEED[,sway]]", help=bounds["help"])
            continue
        limits = "" if bounds["low"] is None else f" {bounds['low']:g} to {bounds['high']:g}."
        group.add_argument(
            *names,
            type=value_type(item),
            choices=bounds["choices"],
            metavar=None if bounds["choices"] else value_type(item).__name__.upper(),
            help=(bounds["help"] + limits).replace("%", "%%"),
        )


def _add_evaluate(commands: Any) -> None:
    evaluate = commands.add_parser("evaluate", help="score folders of videos as the paper's tables do")
    evaluate.add_argument(
        "--protocol",
        required=True,
        choices=("tiktok", "dynamics", "cross", "study"),
        help="tiktok: Table 2. dynamics: Tables 1 and 4. cross: Table 5. study: Tables 3 and 6, from --ratings",
    )
    evaluate.add_argument("--out", type=Path, required=True, help="folder for tables, plots and features")
    inputs = evaluate.add_argument_group("clips, paired by file name")
    inputs.add_argument(
        "--generated", action="append", default=[], metavar="[NAME=]DIR", help="made by one method; may be repeated"
    )
    for role, what in {
        "truth": "the true clips",
        "driving": "the driving clips (protocol cross)",
        "reference": "the photos (protocol cross)",
        "generated-mask": "mask videos of the generated clips, white where the person is",
        "truth-mask": "mask videos of the true clips",
    }.items():
        inputs.add_argument(f"--{role}", type=Path, metavar="DIR", help=what)
    inputs.add_argument("--pairs", type=Path, metavar="CSV", help="columns generated, truth, ... instead of folders")
    inputs.add_argument("--ratings", type=Path, metavar="CSV", help="columns user, case, method, one per criterion")
    rules = evaluate.add_argument_group("policies; without one, clips that differ are an error")
    rules.add_argument("--frames", type=int, metavar="N", help="frames of each clip (default: the protocol's)")
    rules.add_argument("--fps", default="native", metavar="native|lowest|N", help="resample to the lower, or to N")
    rules.add_argument("--length", choices=("error", "shortest"), default="error", help="cut the longer clip")
    rules.add_argument(
        "--size", default="error", metavar="error|truth|WIDTHxHEIGHT", help="stretch the generated clip, or both"
    )
    networks = evaluate.add_argument_group("networks (docs/evaluation.md lists them)")
    networks.add_argument("--backbone", action="append", default=[], metavar="NAME=FILE", help="may be repeated")
    networks.add_argument("--fetch", action="store_true", help="download missing networks that have an address")
    networks.add_argument("--device", default="cpu", help="of the networks, e.g. cuda")
    networks.add_argument("--resamples", type=int, metavar="N", help="bootstrap draws of set scores (default 100)")


def _model_and_settings(options: argparse.Namespace) -> tuple[str, AnimationSettings]:
    like = _recipe(options.like) if options.like else None
    given = {item.name: getattr(options, item.name) for item in fields(AnimationSettings)}
    given = {name: value for name, value in given.items() if value is not None}
    given |= {name: between.join(given[name]) for name, between in REPEATABLE.items() if name in given}
    model = options.model or (like.model if like and like.model in BACKENDS else _default_model(options, given))
    backend = BACKENDS[model]
    if options.clip is None:
        given["live_photo"] = True
    common = backend.defaults
    if like:
        common = like.animation_settings() if like.model == model else backend.adopt(like.animation_settings())
    settings = replace(common, **given)
    backend.check(settings, given)
    return model, settings


def _default_model(options: argparse.Namespace, given: Mapping[str, object]) -> str:
    """Return the best model that can run here; a comparison's variants need one with many settings."""
    from xdyna.backends.suggest import suggest_model
    from xdyna.photo import read_photo
    from xdyna.weights import default_model

    if options.command == "compare" or not options.photo.is_file():  # the file is told about later
        return default_model()
    return suggest_model(read_photo(options.photo), given)


def _recipe(path: Path) -> "Recipe":
    from xdyna.recipe import read_recipe

    if not path.is_file():
        raise InputError(f"There is no file {path}. Check the name and the folder.")
    return read_recipe(path)


def _check_inputs(options: argparse.Namespace) -> None:
    for path in (options.photo, options.clip, options.matte):
        if path is not None and not path.is_file():
            raise InputError(f"There is no file {path}. Check the name and the folder.")


def _claimed_output(options: argparse.Namespace) -> AbstractContextManager[None]:
    """Return what holds the output of a command while it runs, and refuses one that cannot be written."""
    if options.command == "animate":
        if options.output.suffix.lower() != ".mp4":
            raise InputError(f"The output must be an .mp4 file, got {options.output.name!r}.")
        recipe = options.output.with_suffix(".json")
        return claimed_file(options.output, beside=[recipe], overwrite=options.force)
    if options.command in ("compare", "prepare"):
        return claimed_folder(options.output, overwrite=options.force)
    if options.command in ("evaluate", "benchmark"):
        return claimed_folder(options.out, overwrite=True)
    if options.command == "train-data":
        return claimed_folder(options.output, overwrite=True)
    if options.command == "convert":
        return claimed_folder(_converted(options), overwrite=True)
    # Of several processes that train together, the first writes.
    if options.command == "train" and not options.dry_run and os.environ.get("RANK", "0") == "0":
        return claimed_folder(options.export or _training_run(options), overwrite=True)
    return nullcontext()


def _rescued(unsaved: UnsavedResultError, lost: str) -> Path:
    """Return the folder that takes a result instead; see `rescue`."""
    print(f"xdyna: {unsaved}", file=sys.stderr)
    folder = rescue(unsaved, lost, input if sys.stdin.isatty() else None)
    print(f"xdyna: It is in {folder} now.", file=sys.stderr)
    return folder


def _animate(options: argparse.Namespace) -> None:
    output: Path = options.output
    model, settings = _model_and_settings(options)
    _check_inputs(options)
    print(f"{BACKENDS[model].title}: {BACKENDS[model].notice}", file=sys.stderr)
    for warning in BACKENDS[model].plan(settings).warnings:
        print(f"warning: {warning}", file=sys.stderr)
    os.environ.setdefault("TQDM_DISABLE", "1")  # read once, when the libraries are imported; we have our own line

    from xdyna.animate import animate, prepare
    from xdyna.backends.memory import gpu_gb
    from xdyna.pipelines.unfinished import discard
    from xdyna.weights import locate

    locate(model)  # before the work of looking at the inputs
    conditions = _with_matte(_watched(prepare(options.photo, options.clip, settings), Conditions), options.matte)
    for check in conditions.checks:
        print(f"{check.severity}: {check.message}", file=sys.stderr)
    plan = BACKENDS[model].plan(settings, conditions.num_frames, gpu_gb(all_devices().names[0]))
    print(
        f"estimate: {plan.num_steps} steps, {plan.seconds:.0f} s and {plan.memory_gb:.1f} GB in memory mode "
        f"{plan.memory_mode}, {'measured' if plan.measured else 'a guess'} for {plan.device}",
        file=sys.stderr,
    )
    # Left behind only where the program is killed: the same command goes on there.
    unfinished = output.with_name(f"{output.name}.unfinished") if BACKENDS[model].resumes else None
    if unfinished and unfinished.is_dir():
        print(f"{unfinished.name}: goes on if this is the run that was cut off, else begins anew", file=sys.stderr)
    try:
        animation = _watched(animate(conditions, settings, model, unfinished=unfinished), Animation)
        resumes = unfinished is not None and unfinished.is_dir()  # a full disk may have had no room for it either
        folder = _save_animation(output, animation, settings, conditions, resumes)
    except KeyboardInterrupt:
        if unfinished:
            discard(unfinished)
        raise
    if unfinished:
        discard(unfinished)
    if folder != output.parent:
        raise InputError(f"{output} was not written. Move the result from {folder} to where you want it.")
    written = f"recipe in {output.with_suffix('.json').name}" if settings.save_recipe else "without a recipe"
    print(f"{output}: {len(animation.video)} frames in {animation.seconds:.0f} s; {written}")


def _save_animation(
    output: Path, animation: Animation, settings: AnimationSettings, conditions: Conditions, resumes: bool
) -> Path:
    """Write a result. Returns the folder that had room for it."""
    from xdyna.recipe import save_animation

    try:
        save_animation(output, animation, settings, conditions.sound)
        return output.parent
    except UnsavedResultError as unsaved:
        again = "the same command goes on from its finished steps" if resumes else "run the same command again"
        return _rescued(unsaved, f"Make room; then {again}.")


def _compare(options: argparse.Namespace) -> None:
    output: Path = options.output
    variants = read_variants(options.variant) if options.variant else getattr(AXES.get(options.axis), "variants", ())
    model, settings = _model_and_settings(options)
    _check_inputs(options)
    os.environ.setdefault("TQDM_DISABLE", "1")

    from xdyna.animate import prepare
    from xdyna.compare.run import compare
    from xdyna.compare.take import Refusal, Take, takes_of_files
    from xdyna.weights import locate

    made: Iterator[Any]
    if variants:
        for name in {variant.backend or model for variant in variants}:
            locate(name)  # before the work of looking at the inputs
        for axis in AXES.values():
            if axis.variants == variants and model in axis.cautions:
                print(axis.cautions[model], file=sys.stderr)
        conditions = _with_matte(_watched(prepare(options.photo, options.clip, settings), Conditions), options.matte)
        made = _results(compare(conditions, settings, variants, model, at_once=len(all_devices())))
    elif options.clip is None:
        raise InputError("Give two finished videos to compare.")
    else:
        made = iter(takes_of_files([options.photo, options.clip]))
    output.mkdir(parents=True, exist_ok=True)
    folder, takes = output, list[Take]()
    for take in made:
        if isinstance(take, Refusal):
            print(take, file=sys.stderr, flush=True)
            continue
        takes.append(take)
        folder = _save_finished(folder, takes, alone=bool(variants))
        dynamics = take.measures.dynamics
        moves = f"background motion {dynamics.background_gauge:.0f} of 100" if dynamics else "too short to measure"
        print(f"{take.label}: {moves}", flush=True)
    if folder != output:
        raise InputError(f"{output} is not complete. Move the rest from {folder} to where you want it.")
    if len(takes) >= MIN_VARIANTS:
        print(output / "comparison.mp4")


def _save_finished(folder: Path, takes: "list[Take]", alone: bool) -> Path:
    """Write the last take, if `alone`, and the grid of all so far. Returns the folder that had room for them."""
    from xdyna.compare.grid import save_comparison, save_take

    lost = "Make room and run the same command again."
    if alone:
        try:
            save_take(folder / f"{len(takes)}.mp4", takes[-1])
        except UnsavedResultError as unsaved:
            folder = _rescued(unsaved, lost)
    if len(takes) >= MIN_VARIANTS:  # at once, so that Ctrl-C keeps what is finished
        try:
            save_comparison(folder / "comparison.mp4", takes)
        except UnsavedResultError as unsaved:
            folder = _rescued(unsaved, lost)
    return folder


def _prepare(options: argparse.Namespace) -> None:
    from xdyna.animate import prepare
    from xdyna.backends.matte import photo_matte
    from xdyna.motion_preview import see_it_move
    from xdyna.photo.mask import encode_mask
    from xdyna.preview import write_previews
    from xdyna.recipe import Recipe, write_result

    output: Path = options.output
    model, settings = _model_and_settings(options)
    _check_inputs(options)
    conditions = _with_matte(_watched(prepare(options.photo, options.clip, settings), Conditions), options.matte)
    seen = BACKENDS[model].prepare(conditions, settings)
    for path in write_previews(conditions, output, seen, BACKENDS[model].driven_by(conditions, settings)):
        print(path)
    try:
        (output / "mask.png").write_bytes(encode_mask(photo_matte(conditions)))
        print(output / "mask.png")
        moved = _watched(see_it_move(conditions, settings), Animation)
    except InputError as error:  # all else is there
        print(f"no moved.mp4: {error}", file=sys.stderr)
        return
    write_result(output / "moved.mp4", moved.video, Recipe.of(moved, replace(settings, save_recipe=False)))
    print(output / "moved.mp4")


def _with_matte(conditions: Conditions, path: Path | None) -> Conditions:
    """Return conditions with a corrected mask of the photo's person, if one is given."""
    from xdyna.photo.mask import read_mask

    return conditions if path is None else replace(conditions, matte=read_mask(path, conditions.size))


def _weights(options: argparse.Namespace) -> None:
    from xdyna import weights

    if options.action == "pull":
        print(f"the weights of {options.model} are ready in {weights.pull(options.model)}")
    for status in weights.status():
        command = "xdyna weights pull" if status.name == "xdyna" else f"xdyna weights pull {status.name}"
        state = "ready" if status.ready else f"missing: run `{command}`"
        print(f"{status.name:<24} {state:<52} {status.folder}")


def _convert(options: argparse.Namespace) -> None:
    from xdyna.pipelines.convert import Sources, convert

    sources = Sources(**{item.name: getattr(options, item.name) for item in fields(Sources)})
    print(convert(sources, _converted(options)))


def _converted(options: argparse.Namespace) -> Path:
    """Return the folder that `convert` writes."""
    from xdyna.weights import cache_folder

    return options.output or cache_folder() / "xdyna"


def _train(options: argparse.Namespace) -> None:
    os.environ.setdefault("TQDM_DISABLE", "1")

    from xdyna.training.checkpoint import export
    from xdyna.training.launch import is_main_process, relaunch, wanted_processes
    from xdyna.training.loop import train
    from xdyna.training.plan import describe
    from xdyna.training.recipe import load_recipe

    output = _training_run(options)
    if options.export:
        export(output, options.export)
        print(options.export)
        return
    recipe = load_recipe(options.recipe, options.set)
    processes = wanted_processes(options.processes, options.cpu)
    if options.dry_run:
        print(describe(recipe, processes))
        return
    relaunch(processes, options.arguments)
    for event in train(recipe, output, cpu=options.cpu):
        hours, seconds = divmod(round(event.seconds_left or 0), 3600)
        print(
            f"{event.phase} {event.step}/{event.total}, loss {event.loss:.4f}, {event.clips_per_s:.2f} clips/s, "
            f"{hours}:{seconds // 60:02d}:{seconds % 60:02d} left",
            flush=True,
        )
    if is_main_process():
        print(f"finished; the weights are in {output / 'snapshot'}")


def _training_run(options: argparse.Namespace) -> Path:
    """Return the folder of a training run."""
    return options.output or Path("runs") / Path(options.recipe).stem


def _train_data(options: argparse.Namespace) -> None:
    from xdyna.training.prepare_clips import prepare_clips
    from xdyna.training.shards import CacheSettings

    names = ("height", "width", "fps", "min_frames")
    settings = CacheSettings(**{name: getattr(options, name) for name in names})
    takes, frames, left_out = 0, 0, 0
    for clip in prepare_clips(options.human, options.scenes, options.output, settings):
        clip_frames = sum(take.num_frames for take in clip.takes)
        print(f"{clip.path}: {f'left out. {clip.problem}' if clip.problem else f'{clip_frames} frames'}", flush=True)
        takes, frames, left_out = takes + len(clip.takes), frames + clip_frames, left_out + bool(clip.problem)
    print(f"{options.output}: {takes} takes, {frames} frames; {left_out} clips left out")


def _evaluate(options: argparse.Namespace) -> None:
    from xdyna.evaluation.report import markdown, write_evaluation, write_study
    from xdyna.evaluation.request import parse_plan
    from xdyna.evaluation.scores import Evaluation, evaluate
    from xdyna.evaluation.study import read_ratings

    if options.protocol == "study":
        if options.ratings is None:
            raise InputError("Protocol study needs --ratings CSV.")
        files = write_study(read_ratings(options.ratings), options.out)
        print(files[0].read_text(encoding="utf-8"))
    else:
        plan, skipped = parse_plan(options)
        evaluation = _watched(evaluate(plan, skipped), Evaluation)
        files = write_evaluation(evaluation, options.out)
        print(markdown(evaluation))
    print("\n".join(map(str, files)), file=sys.stderr)


def _benchmark(options: argparse.Namespace) -> None:
    os.environ.setdefault("TQDM_DISABLE", "1")

    from xdyna.benchmark.ablations import run_ablations
    from xdyna.benchmark.report import markdown, write_benchmark
    from xdyna.benchmark.request import check_ablations, parse_benchmark
    from xdyna.benchmark.run import Benchmark, benchmark
    from xdyna.benchmark.verdicts import Ablations

    if options.ablations:
        check_ablations(options)
        print(_watched(run_ablations(options.out), Ablations).text)
        return
    found = _watched(benchmark(parse_benchmark(options)), Benchmark)
    files = write_benchmark(found, options.out)
    print(markdown(found))
    print("\n".join(map(str, files)), file=sys.stderr)


def _app(options: argparse.Namespace) -> None:
    from xdyna.ui.demo import launch

    launch(host=options.host, port=options.port, share=options.share)


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "animate": _animate,
    "compare": _compare,
    "prepare": _prepare,
    "weights": _weights,
    "convert": _convert,
    "train": _train,
    "train-data": _train_data,
    "evaluate": _evaluate,
    "benchmark": _benchmark,
    "app": _app,
}


def _watched(events: Iterator[Any], kind: type[Result]) -> Result:
    """Shows progress until the one result comes."""
    for result in _results(events):
        assert isinstance(result, kind)
        return result
    raise AssertionError("a job always ends with its result")


def _results(events: Iterator[Any]) -> Iterator[Any]:
    """Passes results on and shows progress: one rewritten line on a terminal, a line per phase elsewhere."""
    terminal, shown_phases, shown_at = sys.stderr.isatty(), set[str](), 0.0
    with closing(events):  # type: ignore[type-var]  # our iterators are generators
        for event in events:
            if not isinstance(event, Progress):
                if terminal:
                    print(file=sys.stderr)
                yield event
                continue
            now = time.monotonic()
            if terminal and (now - shown_at > 0.1 or event.step == event.total):
                line = f"{event.phase} {event.step}/{event.total}{_eta(event)}"
                width = os.get_terminal_size(sys.stderr.fileno()).columns - 1
                print(f"\r{line[:width]:<{width}}", end="", file=sys.stderr, flush=True)
                shown_at = now
            elif not terminal and event.phase not in shown_phases:
                print(f"{event.phase} ({event.total}){_eta(event)}", file=sys.stderr, flush=True)
            shown_phases.add(event.phase)


def _eta(event: Progress) -> str:
    return "" if event.seconds_left is None else f", about {event.seconds_left:.0f} s left"


if __name__ == "__main__":
    sys.exit(main())
