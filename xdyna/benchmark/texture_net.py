"""A small network that knows dynamic textures: the backbone of a DTFVD-like distance that runs anywhere."""

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from xdyna.schema import Floats, Frames, InputError
from xdyna.world import SCENES

BUNDLED_TEXTURES = Path(__file__).parents[2] / "assets" / "textures" / "textures.safetensors"
NUM_FRAMES, HEIGHT, WIDTH = 8, 112, 64
TEMPOS = ("as rendered", "frozen", "shuffled", "half speed", "double speed")
FEATURE_DIM = 64
CHANNELS = (16, 32, 64, FEATURE_DIM)
BATCH_CLIPS = 16


class TextureNet(nn.Module):
    """(2+1)D convolutions with two heads: what the scene is, and whether its time was tampered with.

    The second head is why the features look at motion: single frames already tell the scene, and features learnt from
    scenes alone rank a noisy clip as worse than a frozen one (the content bias of FVD, arXiv 2404.12391).
    """

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        before = 3
        for number, width in enumerate(CHANNELS):
            kernel = 5 if number == 0 else 3
            blocks += [
                nn.Conv3d(before, width, (1, kernel, kernel), (1, 2, 2), (0, kernel // 2, kernel // 2), bias=False),
                nn.BatchNorm3d(width),
                nn.ReLU(),
                nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0), bias=False),
                nn.BatchNorm3d(width),
                nn.ReLU(),
            ]
            before = width
        self.blocks = nn.Sequential(*blocks)
        self.scene = nn.Linear(FEATURE_DIM, len(SCENES))
        self.tempo = nn.Linear(FEATURE_DIM, len(TEMPOS))

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features and logits.

        Args:
            clips: `(b, 3, NUM_FRAMES, HEIGHT, WIDTH)` in -1..1.

        Returns:
            `(b, FEATURE_DIM)` features, `(b, 12)` logits of `SCENES` and `(b, 5)` of `TEMPOS`.
        """
        features = self.blocks(clips).mean(dim=(2, 3, 4))
        return features, self.scene(features), self.tempo(features)


def prepare(clips: Tensor) -> Tensor:
    """`(b, num_frames, h, w, 3)` uint8 as the network sees it: area-averaged to 112 x 64, -1..1."""
    b, t = clips.shape[:2]
    pixels = clips.movedim(-1, 2).flatten(0, 1).float() / 127.5 - 1
    if pixels.shape[-2:] != (HEIGHT, WIDTH):
        pixels = F.interpolate(pixels, (HEIGHT, WIDTH), mode="area")
    return pixels.unflatten(0, (b, t)).transpose(1, 2)


class Textures:
    """The trained network as a function of clips.

    Args:
        path: its safetensors file.

    Raises:
        InputError: the file is missing or another network's.
    """

    def __init__(self, path: Path = BUNDLED_TEXTURES) -> None:
        if not path.is_file():
            raise InputError(f"There is no {path}. Train it: python benchmarks/train_textures.py")
        self.network = TextureNet()
        try:
            self.network.load_state_dict({key: value.float() for key, value in load_file(path).items()})
        except (SafetensorError, RuntimeError) as error:
            raise InputError(f"{path} is not the texture network: {error}") from error
        self.network.eval().requires_grad_(False)
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    def __call__(self, clips: list[Frames]) -> Floats:
        """`(len(clips), FEATURE_DIM)` float32 features of `(NUM_FRAMES, h, w, 3)` uint8 RGB clips of one size.

        Raises:
            ValueError: clips of another length.
        """
        return self._outputs(clips)[0].numpy()

    def predict(self, clips: list[Frames]) -> tuple[list[str], list[str]]:
        """The scene and the tempo that the network sees in each clip."""
        _, scenes, tempos = self._outputs(clips)
        return [SCENES[k] for k in scenes.argmax(1)], [TEMPOS[k] for k in tempos.argmax(1)]

    def _outputs(self, clips: list[Frames]) -> tuple[Tensor, Tensor, Tensor]:
        wrong = [len(clip) for clip in clips if len(clip) != NUM_FRAMES]
        if wrong:
            raise ValueError(f"the texture network sees {NUM_FRAMES} frames, got {wrong[0]}")
        parts = [clips[k : k + BATCH_CLIPS] for k in range(0, len(clips), BATCH_CLIPS)]
        with torch.inference_mode():
            found = [self.network(prepare(torch.stack([torch.from_numpy(clip) for clip in part]))) for part in parts]
        features, scenes, tempos = (torch.cat(values) for values in zip(*found, strict=True))
        return features, scenes, tempos
