"""Who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "xdyna"

# A room always sees itself. A room is a folder or a file of the package.
ALLOWED: dict[str, set[str]] = {
    "schema": set(),
    "flows": set(),
    "config": {"flows"},
    "photo": {"schema"},
    "files": {"schema"},
    "output": {"files", "schema"},
    "rescue": {"files", "schema"},
    "provenance": {"schema"},
    "video": {"files", "schema"},
    "recipe": {"config", "files", "provenance", "schema", "video"},
    "models": {"schema"},
    "world": {"schema"},
    "preprocess": {"config", "models", "photo", "schema", "video"},
    "preview": {"photo", "preprocess", "schema", "video"},
    "pipelines": {"files", "models", "photo", "schema"},
    "puppet": {"flows", "preprocess", "schema"},
    "weights": {"models", "pipelines", "schema"},
    "backends": {"config", "flows", "photo", "pipelines", "preprocess", "puppet", "schema", "weights"},
    "motion_preview": {"backends", "config", "preprocess", "schema"},
    "presets": {"backends", "config"},
    "estimates": {"backends", "config"},
    "animate": {"backends", "config", "preprocess", "schema"},
    "compare": {"animate", "backends", "config", "evaluation", "files", "recipe", "schema", "video"},
    "evaluation": {"preprocess", "schema", "video"},
    "training": {"config", "models", "pipelines", "preprocess", "schema", "video", "weights", "world"},
    "benchmark": {
        *("backends", "evaluation", "models", "pipelines", "preprocess", "schema", "training", "video", "weights"),
        "world",
    },
    "ui": {
        *(
            "animate",
            "backends",
            "compare",
            "config",
            "files",
            "flows",
            "photo",
            "preprocess",
            "preview",
            "puppet",
            "recipe",
            "schema",
            "video",
        ),
        *("estimates", "motion_preview", "presets", "weights"),
    },
}
ENTRIES = {"cli", "__main__"}  # these may import everything

FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__")


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            modules.add(node.module or "")
    return {module.split(".")[1] for module in modules if module.startswith("xdyna.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_the_table_allows(path: Path) -> None:
    if room(path) not in ENTRIES:
        assert imported_rooms(path) <= ALLOWED[room(path)] | {room(path)}


def test_the_table_has_no_cycles() -> None:
    order: list[str] = []
    while len(order) < len(ALLOWED):
        free = [name for name, seen in ALLOWED.items() if name not in order and seen <= set(order)]
        assert free, f"cycle among {set(ALLOWED) - set(order)}"
        order += free


@pytest.mark.parametrize("statement", ["import xdyna", "import xdyna.cli", "import xdyna.animate, xdyna.backends"])
def test_importing_stays_light(statement: str) -> None:
    heavy = ("torch", "gradio", "diffusers", "mediapipe")
    code = f"{statement}; import sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
