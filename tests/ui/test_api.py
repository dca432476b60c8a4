"""The public endpoints, called as another program would."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from xdyna.compare.grid import read_comparison
from xdyna.config import AnimationSettings
from xdyna.recipe import read_recipe
from xdyna.video import probe, read_metadata

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
FILES = {"photo": handle_file(EXAMPLES / "sea_photo.png"), "clip": handle_file(EXAMPLES / "sea_clip.mp4")}
FAST = {"num_frames": 3, "num_inference_steps": 1}


@pytest.fixture(scope="module")
def client(server: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = Client(server.url, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))
    yield client
    client.close()


def test_four_endpoints_are_public_and_take_every_setting_by_name(client: Client) -> None:
    described = client.view_api(return_format="dict", print_info=False)
    assert set(described["named_endpoints"]) == {"/analyze", "/see_it_move", "/generate", "/compare"}
    assert described["unnamed_endpoints"] == {}
    settings = [field.name for field in fields(AnimationSettings)]
    for name, endpoint in described["named_endpoints"].items():
        own = ["axis", "variants"] if name == "/compare" else []
        names = ["photo", "clip", "consent", "model", *own, *settings]
        assert [parameter["parameter_name"] for parameter in endpoint["parameters"]] == names


def test_analyze(client: Client) -> None:
    overlay, pose_clip, faces, report = client.predict(**FILES, consent=True, num_frames=3, api_name="/analyze")
    assert Path(overlay).suffix == Path(faces).suffix == ".png"
    assert probe(Path(pose_clip)).width == 4 * 128  # clip and pose side by side, twice the model's size
    assert (report["num_frames"], report["found"]["face"], report["frames_without_face"]) == (3, 1.0, [])


def test_analyze_shows_what_the_chosen_model_sees(client: Client) -> None:
    wanted = {"model": "dynamictrl", "consent": True, "num_frames": 5, "height": 224, "width": 128}
    _, pose_clip, faces, report = client.predict(**FILES, **wanted, api_name="/analyze")
    assert (faces, report["num_frames"]) == (None, 5)
    assert probe(Path(pose_clip)).width == 4 * 128


def test_see_it_move(client: Client) -> None:
    video = client.predict(**FILES, consent=True, num_frames=4, api_name="/see_it_move")
    info = probe(Path(video))
    assert (info.height, info.width) == (448, 256)  # of the model's shape, larger than its 128 x 224
    assert read_metadata(Path(video))["title"] == "AI-generated"


def test_the_example_in_the_readme_runs(server: object, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"<!-- api-example -->\n```python\n(.*?)```", readme, re.DOTALL)
    assert code
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    exec(code[1].replace("http://127.0.0.1:7860", server.url), names)
    assert read_recipe(Path(names["video"])).settings["seed"] == 7
    assert names["report"]["num_frames"] == 8
    assert len(read_comparison(Path(names["side_by_side"]))) == len(names["motion"]) >= 2


def test_generate(client: Client) -> None:
    video, recipe = client.predict(**FILES, **FAST, consent=True, seed=5, api_name="/generate")
    assert read_recipe(Path(video)) == read_recipe(Path(recipe))
    assert read_recipe(Path(video)).settings["seed"] == 5


def test_generate_makes_a_live_photo_without_a_clip(client: Client) -> None:
    given = {"photo": FILES["photo"], "clip": None, "live_photo": True, "sway": 1.0}
    video, _ = client.predict(**given, **FAST, consent=True, api_name="/generate")
    recipe = read_recipe(Path(video))
    assert (recipe.settings["live_photo"], recipe.num_frames, recipe.model) == (True, 3, "xdyna-mini")


def test_compare(client: Client) -> None:
    grid, recipes, moves = client.predict(**FILES, **FAST, consent=True, seed=5, axis="face", api_name="/compare")
    made = read_comparison(Path(grid))
    assert [(label, recipe.settings["controlnet_face_scale"]) for label, recipe in made.items()] == [
        ("Without face control", 0.0),
        ("With face control", 1.0),
    ]
    assert {recipe.settings["seed"] for recipe in made.values()} == {5}
    assert Path(recipes).suffix == ".json"
    assert all(len(moves[label]["background_energy"]) == 2 for label in made)


def test_compare_takes_variants_of_ones_own(client: Client) -> None:
    own = "A: adapter_strength=0.5\nB: adapter_strength=0.5, static_background=true"
    grid, *_ = client.predict(**FILES, **FAST, consent=True, variants=own, api_name="/compare")
    assert list(read_comparison(Path(grid))) == ["A", "B"]
    with pytest.raises(AppError, match="2 to 4 variants, got 1"):
        client.predict(**FILES, **FAST, consent=True, variants="A: seed=1", api_name="/compare")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"consent": False}, "right to use"),
        ({"height": 225}, "height must be a multiple of 8, got 225"),
        ({"context_frames": 4, "context_overlap": 4}, "context_overlap must be"),
        ({"clip": handle_file(EXAMPLES / "sea_photo.png")}, "not a video file"),
    ],
)
def test_a_refusal_says_why(client: Client, changes: dict[str, object], message: str) -> None:
    with pytest.raises(AppError, match=message):
        client.predict(**(FILES | FAST | {"consent": True} | changes), api_name="/generate")


def test_a_cancelled_job_makes_room(client: Client) -> None:
    job = client.submit(**FILES, consent=True, num_inference_steps=100, api_name="/generate")
    while not job.outputs():  # it yields at every step
        assert not job.done()
    assert job.cancel()
    video, _ = client.predict(**FILES, **FAST, consent=True, api_name="/generate")
    assert probe(Path(video)).height == 224
