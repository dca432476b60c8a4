"""What a clip starts from."""

import numpy as np
import pytest
import torch

from xdyna.pipelines.latents import blurred, downgraded, normalise_clip


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([0, 51, 255], [0.0, 0.2, 1.0], id="full range"),
        pytest.param([100, 150, 200], [0.0, 0.5, 1.0], id="stretched by the darkest and brightest of the clip"),
        pytest.param([0, 0, 0], [0.0, 0.0, 0.0], id="black carries no control"),
        pytest.param([200, 200, 200], [0.0, 0.0, 0.0], id="constant carries no control"),
    ],
)
def test_normalise_clip(values: list[int], expected: list[float]) -> None:
    frames = np.array(values, np.uint8)[:, None, None, None].repeat(3, axis=-1)
    assert normalise_clip(frames)[:, 0, 0, 0].tolist() == pytest.approx(expected, abs=1e-6)


def test_blur_keeps_a_constant_and_flattens_noise() -> None:
    constant = torch.full((1, 4, 2, 9, 7), 3.0)
    assert torch.allclose(blurred(constant), constant)
    noise = torch.randn(1, 4, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    assert blurred(noise).std() < 0.2 * noise.std()


def test_downgraded_keeps_what_the_draw_says() -> None:
    reference = torch.randn(1, 4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(downgraded(reference, torch.ones(1, 4, 3, 8, 8)), reference.expand(1, 4, 3, 8, 8))
    assert torch.equal(downgraded(reference, torch.zeros(1, 4, 3, 8, 8)), blurred(reference).expand(1, 4, 3, 8, 8))
