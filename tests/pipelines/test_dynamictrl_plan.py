"""Which frames, sizes and GPUs DynamiCtrl can do with."""

import pytest

from xdyna.pipelines.dynamictrl_plan import (
    CAPTION_HINT,
    MEMORY_MODES,
    check_num_frames,
    check_size,
    largest_num_frames,
    latent_frames,
    peak_gib,
    plan,
)
from xdyna.schema import InputError

PROMPT = "The person in the image stands on a beach."


def test_every_length_of_8k_plus_5_gives_an_even_number_of_latent_frames() -> None:
    possible = list(range(5, 86, 8))
    assert [largest_num_frames(n) for n in range(5, 14)] == [5] * 8 + [13]
    assert largest_num_frames(1000) == 85
    for n in possible:
        check_num_frames(n)
        assert latent_frames(n) % 2 == 0
    assert latent_frames(37) == 10


@pytest.mark.parametrize(
    ("num_frames", "advice"),
    [(1, "Use 5"), (9, "Use 5 or 13"), (49, "Use 45 or 53"), (81, "Use 77 or 85"), (90, "Use 85"), (-3, "Use 5")],
)
def test_other_lengths_name_the_nearest(num_frames: int, advice: str) -> None:
    with pytest.raises(InputError, match=rf"8 k \+ 5 frames: 5, 13, .* got {num_frames}\. {advice}\."):
        check_num_frames(num_frames)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((770, 768), "height that is a multiple of 16 .* got 770. Use 768"),
        ((768, 8), "width .* got 8. Use 16"),
        ((768, 2416), "width .* at most 2400 pixels, got 2416. Use 2400"),
        ((0, 768), "height .* got 0. Use 16"),
    ],
)
def test_sizes(size: tuple[int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_size(*size)


def test_plan_of_the_published_command() -> None:
    published = plan(prompt=PROMPT, num_driving_frames=36)
    assert (published.width, published.height, published.num_frames) == (768, 1360, 37)
    assert published.num_driving_frames == 36
    assert published.num_latent_frames == 10
    assert published.num_video_tokens == 20_400
    assert published.memory_mode == "full"
    assert published.notices == ()


@pytest.mark.parametrize(
    ("height", "width", "measured_gib"), [(576, 1024, 24.7), (1024, 1024, 28.4), (768, 1360, 28.4), (1360, 1360, 34.8)]
)
def test_the_publishers_memory_table(height: int, width: int, measured_gib: float) -> None:
    assert peak_gib(height, width, 37, "full") == pytest.approx(measured_gib, abs=0.06)


@pytest.mark.parametrize(("gpu_gib", "mode"), [(80, "full"), (24, "model_offload"), (12, "sequential_offload")])
def test_the_fastest_mode_that_fits_is_taken(gpu_gib: float, mode: str) -> None:
    taken = plan(prompt=PROMPT, gpu_gib=gpu_gib)
    assert taken.memory_mode == mode
    assert taken.peak_gib <= gpu_gib
    assert plan(prompt=PROMPT, gpu_gib=gpu_gib, memory_mode="full").memory_mode == "full"  # the user may insist


def test_a_gpu_that_is_too_small_is_told_what_to_do() -> None:
    with pytest.raises(InputError, match=r"need about 9 GiB .* this GPU has 6\. Choose a smaller size or fewer"):
        plan(prompt=PROMPT, gpu_gib=6)


def test_less_work_needs_less_memory() -> None:
    for mode in MEMORY_MODES:
        assert peak_gib(576, 1024, 37, mode) < peak_gib(768, 1360, 37, mode) < peak_gib(768, 1360, 85, mode)
    assert [peak_gib(768, 1360, 37, mode) for mode in MEMORY_MODES] == sorted(
        (peak_gib(768, 1360, 37, mode) for mode in MEMORY_MODES), reverse=True
    )


@pytest.mark.parametrize(
    ("num_driving_frames", "advice"), [(30, "Ask for 29 frames"), (35, "Ask for 29 frames"), (3, "Use a longer clip")]
)
def test_a_clip_that_is_too_short(num_driving_frames: int, advice: str) -> None:
    with pytest.raises(InputError, match=f"need 36 frames .* it has {num_driving_frames}. {advice}"):
        plan(prompt=PROMPT, num_driving_frames=num_driving_frames)


@pytest.mark.parametrize(
    ("wish", "notice"),
    [
        ({"prompt": " "}, CAPTION_HINT),
        ({"width": 576, "height": 1024}, "best at 768 x 1360"),
        ({"num_frames": 85}, "trained on clips of 37 frames"),
    ],
    ids=["no text", "another size", "longer than trained"],
)
def test_notices(wish: dict, notice: str) -> None:
    notices = plan(**{"prompt": PROMPT} | wish).notices
    assert len(notices) == 1
    assert notice in notices[0]


def test_landscape_is_as_good_as_portrait() -> None:
    assert plan(prompt=PROMPT, height=768, width=1360).notices == ()
