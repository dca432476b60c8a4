"""The folder of the Space, and the image for own servers: complete, and nothing but what is needed."""

import ast
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from xdyna.weights import OFFICIAL_FILES, wanted_files

ROOT = Path(__file__).parents[1]
KINDS = ("small", "official")
ZERO_GPU_PYTHONS = {"3.12.12", "3.10.13"}
ZERO_GPU_TORCHES = {"2.8.0", "2.9.1", "2.10.0", "2.11.0"}
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}

# ZeroGPU's stand-in for CUDA needs a PyTorch that was built for CUDA. Where PyTorch is hidden from it while it is
# imported, all else of it is real: the wrapped function, the report at the start, the other process.
BORROW = """
import sys
sys.modules["torch"] = None
import spaces
del sys.modules["torch"]
"""


def assemble(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "space.assemble", str(folder), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("space")
    for kind in KINDS:
        done = assemble(base / kind, *(["--official"] if kind == "official" else []))
        assert done.returncode == 0, done.stderr
    return {kind: base / kind for kind in KINDS}


@pytest.fixture(params=KINDS)
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


def front_matter(folder: Path) -> dict[str, object]:
    _, head, body = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert body.lstrip().startswith("# X-Dyna")
    return yaml.safe_load(head)


def pins(folder: Path) -> dict[str, str]:
    text = (folder / "requirements.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w-]+)==(\S+)", text, re.MULTILINE))


def test_the_front_matter_is_what_a_zero_gpu_space_takes(folder: Path) -> None:
    head = front_matter(folder)
    assert head["sdk"] == "gradio" and head["sdk_version"] == pins(folder)["gradio"]
    assert head["python_version"] in ZERO_GPU_PYTHONS
    assert {head["colorFrom"], head["colorTo"]} <= COLOURS
    assert (folder / str(head["app_file"])).is_file()
    assert len(str(head["short_description"])) <= 60
    assert head["license"] == "apache-2.0" and "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")


def test_only_torch_and_torchvision_are_pinned_otherwise(folder: Path) -> None:
    ours, theirs = pins(ROOT), pins(folder)
    assert theirs["torch"] in ZERO_GPU_TORCHES
    assert {name for name in ours | theirs if ours.get(name) != theirs.get(name)} == {"torch", "torchvision"}


def test_only_the_official_space_preloads(folders: dict[str, Path]) -> None:
    assert "preload_from_hub" not in front_matter(folders["small"])
    official = front_matter(folders["official"])
    preloaded = {line.split()[0]: line.split()[1:] for line in official["preload_from_hub"]}  # type: ignore[attr-defined]
    assert list(preloaded) == official["models"]
    for file in OFFICIAL_FILES:
        names = preloaded[file.repository]
        assert not names or wanted_files(names[0].split(","), file.name), f"{file.name} is fetched at every start"


def test_imports_resolve_inside_the_folder(folder: Path) -> None:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                if module and module.split(".")[0] in ("xdyna", "space", "tests"):
                    place = folder.joinpath(*module.split("."))
                    assert place.is_dir() or place.with_suffix(".py").is_file(), f"{path} imports {module}"


def test_examples_styles_and_weights_are_there_and_nothing_else(folder: Path) -> None:
    code = (
        "from xdyna.ui.examples import load_examples as e; from xdyna.ui.theme import STYLES;"
        "from xdyna.weights import BUNDLED_MINI, is_ready; import xdyna;"
        "files = [p for x in e() for p in (x.photo, x.clip, x.result, x.recipe)];"
        "print(xdyna.__file__, BUNDLED_MINI, *files, *STYLES, sep='\\n');"
        "assert e() and STYLES and is_ready('xdyna-mini')"
    )
    isolated = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=isolated, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.split():
        assert Path(line).exists() and Path(line).is_relative_to(folder)
    files = [path for path in folder.rglob("*") if path.is_file() or path.is_symlink()]
    assert not [path for path in files if path.is_symlink() or path.suffix in (".pyc", ".pyi", ".ckpt")]
    assert {path.name for path in folder.iterdir()} == {
        *("README.md", "LICENSE", "requirements.txt", "packages.txt"),
        *("app.py", "xdyna", "assets", "examples"),
    }
    assert sum(path.stat().st_size for path in files) < 100e6


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = assemble(tmp_path)
    assert done.returncode == 2 and "is not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.fixture
def scheduler() -> Iterator[tuple[str, list[str]]]:
    """What lends GPUs on a ZeroGPU Space, as far as a start needs it; and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_the_page_starts_as_on_zero_gpu(
    folders: dict[str, Path], scheduler: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, asked = scheduler
    code = BORROW + (
        "import urllib.request\n"
        "from xdyna.ui.demo import launch\n"
        "from xdyna.ui.gpu import run_on_gpu\n"
        "assert hasattr(run_on_gpu, 'zerogpu'), 'not wrapped'\n"
        "demo = launch(host='127.0.0.1', block=False)\n"
        "assert b'X-Dyna' in urllib.request.urlopen(demo.local_url).read()\n"
        "import xdyna; print(xdyna.__file__)\n"
        "demo.close()\n"
    )
    environment = os.environ | {
        "SPACES_ZERO_GPU": "true",
        "SPACES_ZERO_DEVICE_API_URL": url,
        "ZEROGPU_OFFLOAD_DIR": str(tmp_path / "tensors"),
        "GRADIO_TEMP_DIR": str(tmp_path / "uploads"),
        "XDYNA_WEIGHTS": str(tmp_path / "none"),
        "PYTHONPATH": str(folders["small"]),
    }
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folders["small"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(folders["small"] / "xdyna" / "__init__.py") in done.stdout.splitlines()
    assert asked == ["/startup-report"]


def test_the_image_gets_what_it_copies_and_no_more() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)


@pytest.mark.parametrize(
    ("variable", "value"), [("XDYNA_KEEP_S", "two hours"), ("XDYNA_ALLOWED_HOSTS", "http://demo.example.org")]
)
def test_a_setting_that_cannot_be_read_is_told_in_one_line(variable: str, value: str) -> None:
    told = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=os.environ | {variable: value}, capture_output=True, text=True
    )
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1].startswith(f"xdyna: {variable} ") and "Traceback" not in told.stderr
