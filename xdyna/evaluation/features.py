"""How published networks see a clip: frames to the features, distances and embeddings that scores are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xdyna.evaluation.backbones import fill, read_checkpoint
from xdyna.schema import Floats, Frames, Image, InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

WINDOW = 16
"""Frames that the video networks see at once."""
NETWORK_PX = 224
INCEPTION_PX = 299
BATCH_FRAMES = 32


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """A loaded network that turns a clip into features.

    Attributes:
        name: key in `BACKBONES`.
        sha256: of its file.
        window: frames per feature.
        network: gives `(b, d)` features of what `prepare` gives.
        prepare: `(n, window, h, w, 3)` uint8 to the network's input.
    """

    name: str
    sha256: str
    window: int
    network: "nn.Module"
    prepare: "Callable[[Tensor], Tensor]"

    def __call__(self, frames: Frames) -> Floats:
        """`(num_windows, d)` float32 features of the whole windows of a `(num_frames, h, w, 3)` uint8 RGB clip.

        Raises:
            ValueError: the clip is shorter than one window.
        """
        import torch

        count = len(frames) // self.window
        if not count:
            raise ValueError(f"{self.name} needs {self.window} frames, got {len(frames)}")
        windows = torch.from_numpy(frames[: count * self.window]).unflatten(0, (count, self.window))
        device = next(self.network.parameters()).device
        batches = windows.split(max(1, BATCH_FRAMES // self.window))
        with torch.inference_mode():
            features = [self.network(self.prepare(batch.to(device))).float().cpu() for batch in batches]
        return torch.cat(features).numpy()


def load_extractor(name: str, path: Path, *, device: str = "cpu") -> Extractor:
    """Loads one of "inception", "videomae", "i3d", "dti3d".

    Raises:
        InputError: the file is not that checkpoint.
    """
    builders: dict[str, tuple[Callable[[], nn.Module], Callable[[Tensor], Tensor], int]] = {
        "inception": (_inception, _for_inception, 1),
        "videomae": (_videomae, _for_videomae, WINDOW),
        "i3d": (_i3d, _for_i3d, WINDOW),
        "dti3d": (_dti3d, _for_dti3d, WINDOW),
    }
    build, prepare, window = builders[name]
    state, sha256 = read_checkpoint(name, path)
    network = fill(build(), state, name, path)
    return Extractor(name=name, sha256=sha256, window=window, network=network.to(device), prepare=prepare)


def load_lpips(path: Path, *, device: str = "cpu") -> "tuple[Callable[[Frames, Frames], Floats], str]":
    """LPIPS on VGG-16, and the SHA-256 of its trunk.

    Returns:
        A function of two `(num_frames, h, w, 3)` uint8 clips that gives the distance of each frame. LPIPS was made for
        -1..1; with `low=0.0` it sees 0..1, as in DisCo's code and so perhaps in the paper's Table 2.

    Raises:
        InputError: the file is not that checkpoint, or torchmetrics is not installed.
    """
    import torch

    from xdyna.evaluation.networks.lpips import Lpips

    state, sha256 = read_checkpoint("vgg16", path)
    trunk = {key: value for key, value in state.items() if key.startswith("features.")}
    network = fill(Lpips(), trunk | _lpips_heads(), "vgg16", path).to(device)

    def distances(a: Frames, b: Frames, *, low: float = -1.0) -> Floats:
        def scaled(frame: Image) -> "Tensor":
            return _channels_first(torch.from_numpy(frame[None]).to(device)) * (1 - low) + low

        with torch.inference_mode():
            values = [network(scaled(x), scaled(y)) for x, y in zip(a, b, strict=True)]
        return torch.cat(values).cpu().numpy()

    return distances, sha256


def load_face_embedder(path: Path, *, device: str = "cpu") -> "tuple[Callable[[Frames], Floats], str]":
    """AdaFace, and the SHA-256 of its file.

    Returns:
        A function of `(n, 112, 112, 3)` uint8 RGB aligned faces that gives `(n, 512)` embeddings of length 1.

    Raises:
        InputError: the file is not that checkpoint.
    """
    import torch

    from xdyna.evaluation.networks.iresnet import IResNet50

    state, sha256 = read_checkpoint("adaface", path)
    network = fill(IResNet50(), state, "adaface", path).to(device)

    def embed(faces: Frames) -> Floats:
        with torch.inference_mode():
            bgr = torch.from_numpy(np.ascontiguousarray(faces[..., ::-1])).to(device)  # AdaFace was trained on BGR
            return network(_channels_first(bgr) * 2 - 1).cpu().numpy()

    return embed, sha256


def _lpips_heads() -> "dict[str, Tensor]":
    import importlib.util

    import torch

    found = importlib.util.find_spec("torchmetrics")
    if found is None or found.origin is None:
        raise InputError('The LPIPS heads come with torchmetrics: pip install "xdyna[eval]".')
    file = Path(found.origin).parent / "functional" / "image" / "lpips_models" / "vgg.pth"
    stored = torch.load(file, map_location="cpu", weights_only=True)
    return {f"heads.{k}": stored[f"lin{k}.model.1.weight"] for k in range(5)}


def _channels_first(frames: "Tensor") -> "Tensor":
    """`(..., h, w, 3)` uint8 to `(..., 3, h, w)` in 0..1."""
    return frames.movedim(-1, -3).float() / 255


def _resized(frames: "Tensor", size: int, *, align_corners: bool = False) -> "Tensor":
    """`(n, t, h, w, 3)` uint8 to `(n, 3, t, size, size)` in 0..1: bilinear, without keeping the shape."""
    import torch.nn.functional as F

    n, t = frames.shape[:2]
    flat = F.interpolate(
        _channels_first(frames).flatten(0, 1), (size, size), mode="bilinear", align_corners=align_corners
    )
    return flat.unflatten(0, (n, t)).transpose(1, 2)


def _inception() -> "nn.Module":
    from xdyna.evaluation.networks.inception import Inception

    return Inception()


def _videomae() -> "nn.Module":
    from xdyna.evaluation.networks.videomae import VideoMAE

    return VideoMAE()


def _i3d() -> "nn.Module":
    from xdyna.evaluation.networks.i3d import I3D

    return I3D(400, pooled=False)


def _dti3d() -> "nn.Module":
    from xdyna.evaluation.networks.i3d import I3D

    return I3D(18, pooled=True)


def _for_inception(frames: "Tensor") -> "Tensor":
    return _resized(frames, INCEPTION_PX)[:, :, 0] * 2 - 1


def _for_videomae(frames: "Tensor") -> "Tensor":
    return _resized(frames, NETWORK_PX)


def _for_i3d(frames: "Tensor") -> "Tensor":
    return _resized(frames, NETWORK_PX) * 2 - 1


def _for_dti3d(frames: "Tensor") -> "Tensor":
    return _resized(frames, NETWORK_PX, align_corners=True) * 2 - 1
