"""A process that reads whatever it is given, so that a crash, a hang or greed of a decoder can be seen from outside.

Run as a program it answers one line of JSON on its output for every line of JSON on its input.
"""

import json
import os
import select
import subprocess
import sys
import time
import traceback
from pathlib import Path

STATUS = Path("/proc/self/status")
PATIENCE_S = 300.0  # for an answer of any kind, on a machine that is busy with something else


class ReadingProcess:
    """The process, seen from the test."""

    def __init__(self, temporary: Path):
        self._temporary = temporary
        temporary.mkdir(exist_ok=True)
        self._errors = (temporary.parent / "stderr.txt").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parent.parent)},
        )
        self.read("nothing", "")  # its imports are not part of anyone's time

    def read(self, kind, path):
        """Reads a "photo", a "clip" or the "sound" of a clip.

        Returns:
            `shape`, or `message` of an InputError; `seconds` of processor time, which other work does not prolong;
            and `peak_mb`, the memory of the process at its highest meanwhile (0 where that is unknown).
        """
        self._process.stdin.write(json.dumps({"kind": kind, "path": str(path)}).encode() + b"\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE_S)
        assert ready, f"no answer within {PATIENCE_S} s"
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise AssertionError(f"the process died ({self._process.wait()}): {self._errors.read()[-2000:]}")
        answer = json.loads(line)
        assert "crash" not in answer, answer["crash"]
        return answer

    def close(self):
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def leftovers(self):
        """Names of what lies in its folder for temporary files."""
        return sorted(path.name for path in self._temporary.rglob("*"))


def _answer(kind, path):
    from xdyna.photo import read_photo
    from xdyna.schema import InputError
    from xdyna.video import read_sound, read_video

    _forget_peak()
    began = time.process_time()
    try:
        if kind == "photo":
            answer = {"shape": read_photo(Path(path)).shape}
        elif kind == "clip":
            answer = {"shape": read_video(Path(path), fps=8, num_frames=600).frames.shape}
        elif kind == "sound":
            answer = {"shape": [len(read_sound(Path(path), duration_s=5) or b"")]}
        else:
            answer = {}
    except InputError as error:
        answer = {"message": str(error)}
    except BaseException:
        answer = {"crash": traceback.format_exc()}
    return answer | {"seconds": time.process_time() - began, "peak_mb": _peak_mb()}


def _forget_peak():
    if STATUS.exists():
        STATUS.with_name("clear_refs").write_text("5")


def _peak_mb():
    """Linux' own count. `ru_maxrss` will not do: a process begins with the peak of the one that started it."""
    if not STATUS.exists():
        return 0
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    for request in sys.stdin:
        sys.stdout.write(json.dumps(_answer(**json.loads(request))) + "\n")
        sys.stdout.flush()
