"""Comparisons: same inputs, seed and noise; only what a variant names differs."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xdyna.animate import animate, prepare
from xdyna.backends import BACKENDS
from xdyna.compare.grid import read_comparison, save_comparison
from xdyna.compare.measure import measure, motion_energy
from xdyna.compare.run import compare
from xdyna.compare.take import Refusal, Take, takes_of_files
from xdyna.compare.variants import AXES, MAX_VARIANTS, Variant, differences, read_variant, read_variants
from xdyna.config import AnimationSettings
from xdyna.recipe import labelled, read_recipe, save_animation
from xdyna.schema import Animation, Conditions, InputError, Progress, Video
from xdyna.video import read_video, write_video

EXAMPLES = Path(__file__).parent.parent / "examples"
SETTINGS = replace(BACKENDS["xdyna-mini"].defaults, num_frames=3, num_inference_steps=1)
FROZEN, LIVING, WARPED = (variant.label for variant in AXES["background"].variants)


@pytest.fixture(scope="module")
def conditions() -> Conditions:
    *_, last = prepare(EXAMPLES / "sea_photo.png", EXAMPLES / "sea_clip.mp4", SETTINGS)
    assert isinstance(last, Conditions)
    return last


@pytest.fixture(scope="module")
def events(conditions: Conditions) -> list[Progress | Take]:
    return list(compare(conditions, SETTINGS, AXES["background"].variants, "xdyna-mini"))


@pytest.fixture(scope="module")
def takes(events: list[Progress | Take]) -> list[Take]:
    return [event for event in events if isinstance(event, Take)]


# Variants


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize(
    "common",
    [
        AnimationSettings(),
        AnimationSettings(
            static_background=True, controlnet_face_scale=0.0, reference_mode="image_tokens", adapter_strength=0.3
        ),
    ],
    ids=["defaults", "already changed"],
)
def test_every_axis_has_two_to_four_different_valid_variants(name: str, common: AnimationSettings) -> None:
    assert 2 <= len(AXES[name].variants) <= MAX_VARIANTS
    variants = [variant for variant in AXES[name].variants if variant.backend is None]  # others have other settings
    settings = {variant.settings(common) for variant in variants}
    assert 2 <= len(settings) == len(variants)
    assert len({variant.label for variant in AXES[name].variants}) == len(AXES[name].variants)
    assert len(differences([each.to_dict() for each in settings])) == 1


def test_what_is_only_imitated_says_so() -> None:
    labels = {variant.label for axis in AXES.values() for variant in axis.variants}
    assert {label for label in labels if "imitation" in label or "approx" in label} == {
        "Frozen background (imitation)",
        "Reference attention (approx.)",
        "Image tokens only (approx.)",
    }
    assert "grey and noisy" in AXES["reference"].cautions["xdyna-mini"]


@pytest.mark.parametrize(
    ("text", "label", "changes"),
    [
        ("Soft: adapter_strength=0.5", "Soft", {"adapter_strength": 0.5}),
        (" Four : num_inference_steps = 4 , seed=7", "Four", {"num_inference_steps": 4, "seed": 7}),
        ("Still: static_background=YES", "Still", {"static_background": True}),
        ("Sea: background_adapter_strength=0.2", "Sea", {"background_adapter_strength": 0.2}),
        ("As it is:", "As it is", {}),
    ],
)
def test_a_variant_can_be_written_down(text: str, label: str, changes: dict[str, object]) -> None:
    variant = read_variant(text)
    assert (variant.label, dict(variant.changes)) == (label, changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adapter_strength=0.5", "a label of at most 40 letters, a colon"),
        (": seed=1", "a label of at most"),
        ("x" * 41 + ": seed=1", "a label of at most"),
        ("Two\nlines: seed=1", "a label of at most"),
        ("Odd: sede=1", "no setting “sede”"),
        ("Odd: seed", "seed takes a whole number, got “”"),
        ("Odd: seed=1.5", "seed takes a whole number, got “1.5”"),
        ("Odd: static_background=2", "static_background takes true or false"),
        ("Odd: adapter_strength=9", "adapter_strength must be between 0 and 2, got 9"),
        ("Odd: reference_mode=magic", "reference_mode must be one of"),
    ],
)
def test_a_variant_that_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_variant(text)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["A: seed=1"], "2 to 4 variants, got 1"),
        (["A: seed=1", "", "A: seed=2"], "Two variants are called “A”"),
        (["what is no variant"] * 100_000, "2 to 4 variants, got 100000"),
        (["A: seed=1", f"B: prompt={'x' * 2000}"], "may have 2000 letters together, got 2019. Shorten"),
    ],
    ids=["too few", "same name", "too many lines", "too long"],
)
def test_written_variants_are_two_to_four_with_names_of_their_own(texts: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_variants(texts)
    assert len(read_variants(["A: seed=1", "B: seed=2"])) == 2


def test_a_variant_that_does_not_fit_the_common_settings_is_refused() -> None:
    with pytest.raises(InputError, match="Variant “Few”: context_overlap must be below"):
        read_variant("Few: context_frames=8").settings(AnimationSettings(context_overlap=12))


def test_differences_name_only_what_differs() -> None:
    settings = [{"seed": 1, "fps": 8.0}, {"seed": 2, "fps": 8.0}, {"seed": 1, "fps": 8.0, "new": True}]
    assert differences(settings) == {"seed": (1, 2, 1), "new": (None, None, True)}


# Runs


def test_each_variant_equals_a_run_of_its_own(conditions: Conditions, takes: list[Take]) -> None:
    variants = AXES["background"].variants
    assert [take.label for take in takes] == [FROZEN, LIVING, WARPED]
    for variant, take in zip(variants, takes, strict=True):
        *_, alone = animate(conditions, variant.settings(SETTINGS, "xdyna-mini"), variant.backend or "xdyna-mini")
        assert isinstance(alone, Animation)
        assert np.array_equal(take.video.frames, labelled(alone.video.frames))
        assert take.recipe.settings == variant.settings(SETTINGS, "xdyna-mini").to_dict()
    assert [take.recipe.model for take in takes] == ["xdyna-mini", "xdyna-mini", "puppet"]
    assert not np.array_equal(takes[0].video.frames, takes[1].video.frames)


def test_a_frozen_background_moves_less(takes: list[Take]) -> None:
    frozen, living, warped = (take.measures for take in takes)
    assert frozen.dynamics and living.dynamics and warped.dynamics
    assert warped.dynamics.background_motion < frozen.dynamics.background_motion  # told by its own person's masks
    assert frozen.dynamics.background_motion < living.dynamics.background_motion
    assert (frozen.background_energy < living.background_energy).all()
    assert frozen.background_energy.shape == frozen.subject_energy.shape == (SETTINGS.num_frames - 1,)


def test_progress_names_the_variant_and_counts_the_whole_time(events: list[Progress | Take]) -> None:
    progress = [event for event in events if isinstance(event, Progress)]
    assert progress[0].phase.startswith(f"{FROZEN} (1 of 3): ")
    assert progress[-1].phase.startswith(f"{WARPED} (3 of 3): ")


def refusing(*labels: str) -> Callable[..., Iterator[Animation]]:
    """Runs in which some variants, told by their seed, cannot be made of the inputs."""

    def animate(conditions: Conditions, settings: AnimationSettings, model: str) -> Iterator[Animation]:
        if str(settings.seed) in labels:
            raise InputError(f"No {settings.seed}.")
        yield Animation(
            video=Video(frames=conditions.driving_frames, fps=8.0), controls={}, model=model, revision="0", seconds=1.0
        )

    return animate


@pytest.mark.parametrize("at_once", [1, 2])
@pytest.mark.parametrize("refused", [("1",), ("3",), ("1", "3")], ids="+".join)
def test_a_variant_that_cannot_be_made_says_so_and_the_others_come(
    conditions: Conditions, refused: tuple[str, ...], at_once: int
) -> None:
    variants = [Variant(label=str(k), changes={"seed": k}) for k in (1, 2, 3)]
    made = list(compare(conditions, SETTINGS, variants, "xdyna-mini", animate=refusing(*refused), at_once=at_once))
    assert [event.label for event in made if isinstance(event, Take | Refusal)] == ["1", "2", "3"]
    said = [str(event) for event in made if isinstance(event, Refusal)]
    assert said == [f"“{label}” was left out. No {label}." for label in refused]


def test_a_comparison_of_which_nothing_can_be_made_is_refused(conditions: Conditions) -> None:
    variants = [Variant(label=str(k), changes={"seed": k}) for k in (1, 2)]
    with pytest.raises(InputError, match=r"^No 1\.$"):
        list(compare(conditions, SETTINGS, variants, "xdyna-mini", animate=refusing("1", "2")))


def test_the_time_left_includes_the_variants_that_follow(conditions: Conditions) -> None:
    def slow(*_: object) -> Iterator[Progress]:
        yield Progress(phase="Denoising", step=1, total=4, seconds_left=30.0)

    variants = AXES["strength"].variants
    left = [event.seconds_left for event in compare(conditions, SETTINGS, variants, "xdyna-mini", animate=slow)]
    assert left == pytest.approx([120.0, 90.0, 60.0, 30.0], abs=1)


def test_closing_stops_the_variant_that_runs(conditions: Conditions) -> None:
    closed = []

    def endless(*_: object) -> Iterator[Progress]:
        try:
            while True:
                yield Progress(phase="Denoising", step=1, total=4)
        finally:
            closed.append(True)

    running = compare(conditions, SETTINGS, AXES["face"].variants, "xdyna-mini", animate=endless)
    next(running)
    running.close()
    assert closed == [True]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_other_numbers_of_variants_are_refused(conditions: Conditions, count: int) -> None:
    variants = [Variant(label=str(k), changes={"seed": k}) for k in range(count)]
    with pytest.raises(InputError, match=f"2 to 4 variants, got {count}"):
        next(compare(conditions, SETTINGS, variants, "xdyna-mini"))


def test_past_runs_are_read_with_their_recipes(conditions: Conditions, tmp_path: Path) -> None:
    paths = []
    for strength in (0.5, 1.0):
        settings = replace(SETTINGS, adapter_strength=strength)
        *_, made = animate(conditions, settings, "xdyna-mini")
        paths.append(tmp_path / f"{strength}.mp4")
        save_animation(paths[-1], made, settings)
    takes = takes_of_files(paths)
    assert [take.label for take in takes] == ["adapter strength 0.5", "adapter strength 1.0"]
    assert [take.recipe for take in takes] == [read_recipe(path) for path in paths]
    assert [len(take.video) for take in takes] == [3, 3]
    assert [take.label for take in takes_of_files([paths[0]] * 2)] == ["Run 1", "Run 2"]


def test_a_video_of_somebody_else_is_no_past_run() -> None:
    with pytest.raises(InputError, match=r"sea_clip\.mp4 carries no recipe of xdyna"):
        takes_of_files([EXAMPLES / "sea_clip.mp4"])


# Measures


def blinking(levels: list[int], person_level: int = 90) -> tuple[Video, np.ndarray]:
    """A background that is lit as `levels` say, and a person in the middle who does not change."""
    frames = np.ones((len(levels), 64, 48, 3), np.uint8) * np.array(levels, np.uint8)[:, None, None, None]
    mask = np.zeros(frames.shape[:3], bool)
    mask[:, 16:48, 12:36] = True
    frames[mask] = person_level
    return Video(frames=frames, fps=8), mask


def test_energy_is_the_change_between_frames_where_it_happens() -> None:
    video, mask = blinking([100, 100, 104, 101])
    background, subject = motion_energy(video.frames, mask)
    assert background == pytest.approx([0, 4, 3], abs=0.2)  # the blur carries a little over the edge
    assert (subject < background.max() / 3).all()
    everything, nobody = motion_energy(video.frames, np.zeros_like(mask))
    assert np.isfinite(everything).all() and np.isnan(nobody).all()


@pytest.mark.parametrize(("num_frames", "known"), [(2, False), (3, True)])
def test_a_video_of_two_frames_is_too_short_for_its_dynamics(num_frames: int, known: bool) -> None:
    video, mask = blinking([100] * num_frames)
    assert (measure(video, mask).dynamics is not None) is known


def test_without_its_network_there_is_no_likeness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDYNA_BACKBONES", str(tmp_path))
    video, mask = blinking([100] * 3)
    assert measure(video, mask, video.frames[0]).likeness is None


# Grid


def test_the_grid_carries_label_and_recipes(takes: list[Take], tmp_path: Path) -> None:
    beside = save_comparison(tmp_path / "grid.mp4", takes)
    assert read_comparison(tmp_path / "grid.mp4") == {take.label: take.recipe for take in takes}
    assert "does not show a real event" in beside.read_text(encoding="utf-8")
    grid = read_video(tmp_path / "grid.mp4", fps=SETTINGS.fps, num_frames=9)
    assert len(grid) == SETTINGS.num_frames
    for take, left in zip(takes, (0, 256 + 4, 2 * (256 + 4)), strict=True):
        shown = grid.frames[:, -448::2, left : left + 256 : 2].astype(float)
        assert np.abs(shown - take.video.frames).mean() < 6  # the same pictures, AI label and all, but for compression


def test_a_recipe_that_was_not_wanted_is_not_written(takes: list[Take], tmp_path: Path) -> None:
    private = replace(
        takes[0], recipe=replace(takes[0].recipe, settings=takes[0].recipe.settings | {"save_recipe": False})
    )
    save_comparison(tmp_path / "grid.mp4", [private, takes[1]])
    assert list(read_comparison(tmp_path / "grid.mp4")) == [LIVING]


def test_the_label_is_left_out_where_the_settings_say_so(conditions: Conditions) -> None:
    variants = [read_variant("With: ai_label=true"), read_variant("Without: ai_label=false")]
    with_label, without = (
        event for event in compare(conditions, SETTINGS, variants, "xdyna-mini") if isinstance(event, Take)
    )
    assert np.array_equal(with_label.video.frames, labelled(without.video.frames))
    assert not np.array_equal(with_label.video.frames, without.video.frames)
    assert np.array_equal(with_label.measures.background_energy, without.measures.background_energy)


def test_other_videos_are_no_comparison() -> None:
    with pytest.raises(InputError, match="not a comparison"):
        read_comparison(EXAMPLES / "sea_result.mp4")


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "[" * 100_000,
        "[]",
        '{"comparison": 3}',
        '{"comparison": [3]}',
        '{"comparison": [{"label": 1, "recipe": {}}]}',
        '{"comparison": [{"label": "A"}]}',
        '{"comparison": [{"label": "A", "recipe": []}]}',
        json.dumps({"comparison": [{"label": "A", "recipe": {}}] * 5}),
    ],
    ids=lambda text: text[:50],
)
def test_a_comparison_that_others_wrote_is_refused(comment: str, tmp_path: Path) -> None:
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    write_video(tmp_path / "grid.mp4", Video(frames=frames, fps=8), metadata={"comment": comment})
    with pytest.raises(InputError, match=r"not a comparison|not an xdyna recipe"):
        read_comparison(tmp_path / "grid.mp4")


def test_takes_of_two_models_line_up_by_driving_frame(conditions: Conditions) -> None:
    """DynamiCtrl's first frame shows the photo's own pose: it follows no frame of the clip."""
    asked: dict[str, AnimationSettings] = {}

    def draw_frame_numbers(conditions: Conditions, settings: AnimationSettings, backend: str) -> Iterator[Animation]:
        asked[backend] = settings
        following = (-1, 0, 1, 2) if backend == "dynamictrl" else (0, 1, 2)
        frames = np.stack([np.full((64, 64, 3), 50 * (k + 1), np.uint8) for k in following])
        yield Animation(
            video=Video(frames=frames, fps=conditions.fps),
            controls={},
            model=backend,
            revision="0",
            seconds=1.0,
            source_index=following,
        )

    variants = read_variants(["Mini: guidance_scale=2", "DynamiCtrl: backend=dynamictrl, memory_mode=full"])
    common = replace(SETTINGS, seed=7, prompt="rain", ai_label=False, num_frames=14)
    mini, dynamictrl = compare(conditions, common, variants, "xdyna-mini", animate=draw_frame_numbers)
    assert isinstance(mini, Take) and isinstance(dynamictrl, Take)
    assert np.array_equal(mini.video.frames, dynamictrl.video.frames)
    assert (mini.recipe.model, dynamictrl.recipe.model) == ("xdyna-mini", "dynamictrl")
    taken = asked["dynamictrl"]
    assert (taken.seed, taken.prompt, taken.num_inference_steps, taken.num_frames) == (7, "rain", 25, 13)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Other: backend=sora", "There is no model “sora”. There are xdyna, xdyna-mini, puppet, dynamictrl"),
        ("Other: backend=dynamictrl, adapter_strength=0.5", "DynamiCtrl has no setting adapter_strength"),
    ],
)
def test_a_variant_asks_for_a_model_and_settings_that_exist(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_variant(text).settings(SETTINGS, "xdyna-mini")
