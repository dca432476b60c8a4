"""Kill `xdyna animate` (SIGKILL) at random moments and look at what is left and what the same command then makes.

    python tools/soak_kills.py [--denoising 20] [--finishing 5] [--saving 50] [--seed 0]

Three places: while the model denoises; from the last step on, while it decodes and saves; and, many times in little
time, while a video is saved. After a kill the same command must end with the frames of an undisturbed run and leave
nothing else behind, and no file under an output's name may ever be half-written.
"""

import argparse
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import numpy as np
import torch

import xdyna.pipelines  # with all that a run imports, once for all of them
import xdyna.preprocess.prepare  # noqa: F401
from xdyna.cli import main as main_of_xdyna
from xdyna.files import write_files
from xdyna.schema import Frames
from xdyna.video import probe, read_video

ROOT = Path(__file__).parents[1]
PHOTO, CLIP = ROOT / "examples" / "sea_photo.png", ROOT / "examples" / "sea_clip.mp4"
STEPS = 10
SETTINGS = ("--frames", "4", "--steps", str(STEPS), "--context-frames", "3", "--context-overlap", "1")
WHOLE = {"out.mp4", "out.json"}
LIMIT_S = 600  # a run of seconds that takes this long hangs

SIZE = 20_000_000  # bytes of a saved video
SAVE = """
import sys
from pathlib import Path

from xdyna.files import write_files

for k in range(10**9):
    print("saving", flush=True)
    write_files(Path(sys.argv[1]), {"out.mp4": bytes([k % 256]) * int(sys.argv[2]), "out.json": b"[%d]" % k})
"""


@dataclass(frozen=True)
class Kill:
    """What a kill met and what came of it.

    Attributes:
        place: what was being done.
        after_s: seconds after the step, the decoding or the saving began.
        finished_steps: denoising steps that the checkpoint held.
        left: names of the files that the killed run left, hidden ones too.
        problem: what is wrong, or "".
    """

    place: str
    after_s: float
    finished_steps: int
    left: tuple[str, ...]
    problem: str


def kill_runs(folder: Path, denoising: int, finishing: int, seed: int) -> list[Kill]:
    """Kill runs of `xdyna animate` and run the same command again.

    Args:
        folder: an empty folder to work in.
        denoising: kills while the model denoises.
        finishing: kills while it decodes and saves.
        seed: of the moments.
    """
    rng, times = random.Random(seed), list[float]()
    for name in ("first", "second"):  # the second finds warm file caches, as all that follow
        (folder / name).mkdir()
        times = _run(folder / name)
    expected, (begin, decoding, end) = _frames(folder / "second"), times
    # By the step, not by the clock: how fast a run is depends on what else the machine does.
    moments = [(rng.randrange(STEPS), rng.uniform(0, (decoding - begin) / STEPS)) for _ in range(denoising)]
    moments += [(STEPS, rng.uniform(0, end - decoding)) for _ in range(finishing)]
    found = []
    for k, (step, after_s) in enumerate(moments):
        found.append(_kill_and_repeat(folder / str(k), step, after_s, expected))
        print(found[-1], file=sys.stderr, flush=True)
    return found


def kill_saving(folder: Path, kills: int, seed: int) -> list[Kill]:
    """Kill a program that saves a video and its recipe again and again, at any moment of it.

    Args:
        folder: an empty folder to work in.
        kills: how many.
        seed: of the moments.
    """
    rng, found = random.Random(seed), list[Kill]()
    for k in range(kills):
        place = folder / str(k)
        place.mkdir()
        found.append(_kill_saving(place, rng))
    return found


class _Animate:
    """A process that runs `xdyna animate`: a fork, so that the libraries need not be imported anew every time."""

    def __init__(self, folder: Path) -> None:
        reader, writer = os.pipe()
        self._process = multiprocessing.get_context("fork").Process(target=_animate, args=(folder, writer))
        self._process.start()
        os.close(writer)
        self.said = os.fdopen(reader)

    def reach(self, words: str) -> bool:
        """Read what it says up to a line that begins so. Returns whether it came."""
        return any(line.startswith(words) for line in iter(self.said.readline, ""))

    def runs(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        self._process.kill()
        self.end()

    def end(self) -> tuple[int | None, str]:
        """Wait for its end. Returns its exit code and the last line that it said."""
        lines = self.said.read().splitlines()
        self._process.join(LIMIT_S)
        self.said.close()
        return self._process.exitcode, lines[-1] if lines else ""


def _animate(folder: Path, writer: int) -> None:
    for stream in (1, 2):
        os.dup2(writer, stream)
    sys.exit(main_of_xdyna(["animate", str(PHOTO), str(CLIP), "-o", str(folder / "out.mp4"), *SETTINGS]))


def _run(folder: Path) -> list[float]:
    """Run the command to its end. Returns when it began to denoise, to decode, and when it ended."""
    process, times = _Animate(folder), []
    for words in ("Denoising", "Decoding"):
        if not process.reach(words):
            raise RuntimeError(f"the run ended without {words}")
        times.append(time.monotonic())
    process.end()
    return [*times, time.monotonic()]


def _reach(process: _Animate, folder: Path, step: int) -> bool:
    """Wait until a run has begun a step, or, after the last, to decode. Returns whether it did."""
    if step == STEPS:
        return process.reach("Decoding")
    if not process.reach("Denoising"):
        return False
    while step and process.runs():
        windows = (folder / "out.mp4.unfinished").glob("window-*.pt")
        if any(int(path.stem.split("-")[1]) >= step for path in windows):
            return True
        time.sleep(0.002)
    return process.runs()


def _kill_and_repeat(folder: Path, step: int, after_s: float, expected: Frames) -> Kill:
    folder.mkdir()
    process = _Animate(folder)
    came = _reach(process, folder, step)
    time.sleep(after_s)
    process.kill()
    left, steps = _names(folder), _finished_steps(folder)
    problem = "" if came else "ended too early"
    if not set(left) >= WHOLE:  # else the kill came too late: everything was written
        code, said = _Animate(folder).end()
        if code:
            problem = f"the same command fails: {said}"
        elif set(_names(folder)) != WHOLE:
            problem = f"left behind: {', '.join(set(_names(folder)) - WHOLE)}"
    if not problem and not np.array_equal(_frames(folder), expected):
        problem = "other frames"
    return Kill("finishing" if step == STEPS else "denoising", after_s, steps, left, problem)


def _kill_saving(folder: Path, rng: random.Random) -> Kill:
    process = subprocess.Popen(
        [sys.executable, "-c", SAVE, str(folder), str(SIZE)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    began = time.monotonic()
    process.stdout.readline()
    first = rng.random() < 0.5  # half of the kills meet no older file
    if first:
        (folder / "out.mp4").unlink()
    after_s = rng.uniform(0, 2 * (time.monotonic() - began))
    time.sleep(after_s)
    process.kill()
    process.communicate()
    left, video, recipe = _names(folder), folder / "out.mp4", folder / "out.json"
    problem = ""
    if video.exists() and video.read_bytes() != video.read_bytes()[:1] * SIZE:
        problem = "half-written video"
    elif not re.fullmatch(r"\[\d+\]", recipe.read_text()):
        problem = "half-written recipe"
    elif strange := [name for name in left if name not in WHOLE and not name.endswith(".partial")]:
        problem = f"left behind: {', '.join(strange)}"
    else:
        write_files(folder, {"out.mp4": b"", "out.json": b""})
        if set(_names(folder)) != WHOLE:
            problem = f"not cleared by the next: {', '.join(_names(folder))}"
    return Kill("saving", after_s, 0, left, problem)


def _names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.iterdir()))


def _finished_steps(folder: Path) -> int:
    state = folder / "out.mp4.unfinished" / "state.pt"
    return torch.load(state, weights_only=True)["next_step"] if state.exists() else 0


def _frames(folder: Path) -> Frames:
    return read_video(folder / "out.mp4", fps=probe(folder / "out.mp4").fps, num_frames=4).frames


def table(found: Sequence[Kill]) -> str:
    """Return a line for each place: kills, how many came to nothing bad, and what they met."""
    lines = [f"{'place':<11}{'kills':>6}{'good':>6}  after s        steps kept  left by the killed run"]
    for place in dict.fromkeys(kill.place for kill in found):
        kills = [kill for kill in found if kill.place == place]
        after, steps = [kill.after_s for kill in kills], [kill.finished_steps for kill in kills]
        left = Counter(", ".join(re.sub(r"-\d+", "-N", name) for name in kill.left) or "nothing" for kill in kills)
        good = sum(not kill.problem for kill in kills)
        lines.append(
            f"{place:<11}{len(kills):>6}{good:>6}  {min(after):.2f} to {max(after):.2f}   {min(steps)} to {max(steps)}"
            f"      {'; '.join(f'{names} ({count})' for names, count in left.most_common())}"
        )
    lines += [f"PROBLEM {kill.place}, {kill.after_s:.3f} s: {kill.problem}" for kill in found if kill.problem]
    return "\n".join(lines)


def soak(denoising: int, finishing: int, saving: int, seed: int) -> list[Kill]:
    """Kill in all three places, in folders that are removed afterwards."""
    found: list[Kill] = []
    root = Path(tempfile.mkdtemp(prefix="xdyna-kills-"))
    try:
        for name in ("runs", "saves"):
            (root / name).mkdir()
        if denoising + finishing:
            found += kill_runs(root / "runs", denoising, finishing, seed)
        found += kill_saving(root / "saves", saving, seed)
    finally:
        shutil.rmtree(root)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (("denoising", 20), ("finishing", 5), ("saving", 50)):
        parser.add_argument(f"--{name}", type=int, default=count, metavar="N", help="kills (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default %(default)s)")
    options = parser.parse_args()
    began = time.monotonic()
    found = soak(options.denoising, options.finishing, options.saving, options.seed)
    print(table(found))
    print(f"seed {options.seed}, {time.monotonic() - began:.0f} s, settings {' '.join(SETTINGS)}")
    return int(any(kill.problem for kill in found))


if __name__ == "__main__":
    sys.exit(main())
