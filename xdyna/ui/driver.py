"""What drives the photo, as the visitor sees it before anything is analysed: length, sound, and the part in use."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

from xdyna.backends.xdyna import num_windows
from xdyna.config import AnimationSettings
from xdyna.preprocess.motion_file import is_motion_file, load_motion
from xdyna.schema import InputError
from xdyna.ui.pictures import filmstrip
from xdyna.video import probe

MIN_FRAMES = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Driver:
    """A driving clip or motion file.

    Attributes:
        facts: size, length, rate and sound in one line; empty where there is nothing yet.
        seconds: length, or None where the file does not say.
        strip: address of a picture of eight moments, or None where there are no pictures.
        problem: why it cannot be used, or None.
    """

    facts: str = ""
    seconds: float | None = None
    strip: str | None = None
    problem: str | None = None


def open_driver(path: str | None) -> Driver:
    """Looks at the header of a clip or motion file, and at eight frames of a clip."""
    if path is None:
        return Driver()
    file = Path(path)
    try:
        if is_motion_file(file):
            motion = load_motion(file)
            length = len(motion) / motion.fps
            return Driver(facts=f"Motion file · {length:.1f} s · {motion.fps:g} fps · no pictures", seconds=length)
        info = probe(file)
        strip = filmstrip(file, info)
    except InputError as error:
        return Driver(problem=str(error))
    length_s = info.duration_s
    facts = ["length unknown" if length_s is None else f"{length_s:.1f} s", f"{info.width} x {info.height} px"]
    facts += [f"{info.fps:.4g} fps", "with sound" if info.has_audio else "no sound"]
    return Driver(facts=" · ".join(facts), seconds=length_s, strip=strip)


def part_text(driver: Driver, settings: AnimationSettings) -> str:
    """What of a clip will be used: "2.1 s → 32 frames at 15 fps → 3 windows of 16"."""
    num_frames = settings.num_frames
    if driver.seconds is not None:
        left = max(0.0, driver.seconds - settings.start_s)
        num_frames = min(num_frames, int(left * settings.fps + 0.5))
        if num_frames < MIN_FRAMES:
            return (
                f"Too short: {left:.2g} s from {settings.start_s:g} s on give {num_frames} of at least {MIN_FRAMES} "
                "frames. Start earlier, or use a longer clip."
            )
    windows = num_windows(num_frames, settings)
    window = f"{windows} window{'s' if windows > 1 else ''} of {settings.context_frames}"
    return f"{num_frames / settings.fps:.1f} s → {num_frames} frames at {settings.fps:g} fps → {window}"


def part_html(driver: Driver, settings: AnimationSettings) -> str:
    """The filmstrip with the part in use marked, and the part in words."""
    if driver.problem or not driver.facts:
        return ""
    strip = ""
    if driver.strip:
        strip = (
            '<div class="inputs-strip"><img alt="Eight moments of the clip, from its beginning to its end" '
            f'src="{driver.strip}">{_mark(driver, settings)}</div>'
        )
    return f'{strip}<p class="inputs-part" role="status">{escape(part_text(driver, settings))}</p>'


def _mark(driver: Driver, settings: AnimationSettings) -> str:
    if not driver.seconds:
        return ""
    begin = min(1.0, settings.start_s / driver.seconds)
    end = min(1.0, begin + settings.num_frames / settings.fps / driver.seconds)
    return f'<i style="left:{begin:.2%};width:{end - begin:.2%}"></i>'
