"""The whole clip, as a model sees it that looks at the clip itself."""

import numpy as np
import pytest
import torch
from diffusers.modular_pipelines.wan_animate_2.video_processor import WanAnimate2VideoProcessor
from PIL import Image

from xdyna.preprocess.letterbox import letterbox

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(90, 160), (160, 90), (80, 64), (161, 64), (33, 400)])
def test_it_is_what_the_models_own_program_makes_of_the_clip(shape: tuple[int, int]) -> None:
    clip = [RNG.integers(0, 256, (*shape, 3), dtype=np.uint8) for _ in range(2)]
    pixels = WanAnimate2VideoProcessor().preprocess_video(
        [Image.fromarray(picture) for picture in clip], height=80, width=64, resize_mode="fill"
    )
    theirs = ((pixels[0].permute(1, 2, 3, 0) + 1) * 127.5).round().to(torch.uint8).numpy()
    assert np.array_equal(letterbox(iter(clip), 2, (80, 64)), theirs)


def test_nothing_is_cut_and_nothing_stretched() -> None:
    frames = letterbox([np.full((50, 200, 3), 255, np.uint8)], 1, (100, 100))
    assert frames.shape == (1, 100, 100, 3)
    assert frames[0, 38:62].min() == 255  # 25 rows in the middle
    assert not frames[0, :37].any() and not frames[0, 63:].any()
