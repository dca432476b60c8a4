"""Published networks: key layouts, preprocessing and values of the original code; no checkpoint is needed."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation.closed_form import hashed_weights, wave_clip

from xdyna.evaluation import features
from xdyna.evaluation.backbones import BACKBONES, fill, locate, read_checkpoint
from xdyna.evaluation.features import Extractor, load_extractor, load_face_embedder, load_lpips
from xdyna.evaluation.frechet import frechet_distance
from xdyna.evaluation.networks.i3d import I3D
from xdyna.evaluation.networks.inception import Inception
from xdyna.evaluation.networks.iresnet import IResNet50
from xdyna.evaluation.networks.lpips import Lpips
from xdyna.evaluation.networks.videomae import Attention, VideoMAE
from xdyna.models.torchvision_guard import ensure_torchvision
from xdyna.schema import InputError

ensure_torchvision()


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("name", "classes", "first", "norm"),
    [
        ("i3d", 400, [-0.772016, -1.101930, -0.854767, -0.503595, 0.258799], 31.130779),
        ("dti3d", 18, [0.002333, 0.0, 1.209329, 0.748015, 0.0], 34.256976),
    ],
    ids=["cd-fvd's I3D", "cINN's DTFVD"],
)
def test_video_features_are_those_of_the_original_code(
    name: str, classes: int, first: list[float], norm: float
) -> None:
    made = hashed_i3d(name, classes)(wave_clip(0))
    assert made[0, :5] == pytest.approx(first, rel=2e-3, abs=1e-5)
    assert np.linalg.norm(made[0]) == pytest.approx(norm, rel=1e-4)


def test_dtfvd_is_that_of_the_original_code() -> None:
    extractor = hashed_i3d("dti3d", 18)
    made = np.concatenate([extractor(wave_clip(j)) for j in range(6)])
    assert frechet_distance(made[:3], made[3:]) == pytest.approx(49.94274850215909, rel=1e-3)


def hashed_i3d(name: str, classes: int) -> Extractor:
    network = hashed_weights(I3D(classes, pooled=name == "dti3d"))
    prepare = {"i3d": features._for_i3d, "dti3d": features._for_dti3d}[name]
    return Extractor(name=name, sha256="", window=16, network=network, prepare=prepare)


def test_inception_is_torchvisions_with_tensorflows_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import inception

    theirs = inception.inception_v3(num_classes=1008, aux_logits=False, init_weights=False, weights=None).eval()
    ours = fill(Inception(), theirs.state_dict(), "inception", Path("x.pth"))  # every key and shape

    def uncounted(x: torch.Tensor, **options: int) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(x, **options, count_include_pad=False)

    class Pools:  # what torchvision's blocks call as F
        relu, max_pool2d = torch.nn.functional.relu, torch.nn.functional.max_pool2d
        avg_pool2d = staticmethod(uncounted)

    monkeypatch.setattr(inception, "F", Pools)
    taps: dict[str, torch.Tensor] = {}
    for owner, network in (("ours", ours), ("theirs", theirs)):
        network.Mixed_7b.register_forward_hook(lambda _, __, out, owner=owner: taps.setdefault(owner, out))
    x = torch.rand(1, 3, 299, 299) * 2 - 1
    with torch.inference_mode():
        ours(x), theirs(x)
    torch.testing.assert_close(taps["ours"], taps["theirs"], rtol=1e-4, atol=1e-4)


def test_lpips_agrees_with_torchmetrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchmetrics.functional.image.lpips import _LPIPS

    theirs = _LPIPS(pretrained=True, net="vgg", pnet_rand=True).eval()  # trained heads, random trunk
    trunk = {}
    for stage in ("slice1", "slice2", "slice3", "slice4", "slice5"):
        trunk |= {f"features.{k}": v for k, v in getattr(theirs.net, stage).state_dict().items()}
    file = tmp_path / "vgg.pth"
    torch.save(trunk, file)
    allow(monkeypatch, "vgg16")
    distance, sha256 = load_lpips(file)
    a, b = wave_clip(0, 2, 64), wave_clip(1, 2, 64)
    pair = [torch.from_numpy(clip).movedim(-1, 1).float() / 127.5 - 1 for clip in (a, b)]
    with torch.inference_mode():
        expected = theirs(*pair).flatten().numpy()
    assert distance(a, b) == pytest.approx(expected, rel=1e-4)
    assert distance(a, a) == pytest.approx(np.zeros(2), abs=1e-7)
    with torch.inference_mode():
        unscaled = theirs(*((x + 1) / 2 for x in pair)).flatten().numpy()
    assert distance(a, b, low=0.0) == pytest.approx(unscaled, rel=1e-4)
    assert abs(unscaled / expected - 1).max() > 0.01  # the range matters
    assert sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_face_network_has_the_published_size_and_wants_bgr(tmp_path: Path) -> None:
    network = hashed_weights(IResNet50())
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(43.59e6, abs=5e3)
    # The authors' file is that of their training module.
    state = {f"model.{k}": v for k, v in network.state_dict().items()} | {"head.kernel": torch.zeros(2)}
    torch.save({"state_dict": state}, tmp_path / "face.ckpt")
    embed, _ = load_face_embedder(tmp_path / "face.ckpt")
    rgb = wave_clip(0, 1, 112)
    with torch.inference_mode():
        expected = network(torch.from_numpy(rgb[..., ::-1].copy()).movedim(-1, 1).float() / 127.5 - 1)
    made = embed(rgb)
    assert made == pytest.approx(expected.numpy(), abs=1e-5)
    assert np.linalg.norm(made, axis=1) == pytest.approx([1], abs=1e-5)


def test_videomae_has_the_published_keys_and_size() -> None:
    with torch.device("meta"):
        giant = VideoMAE()
    state = giant.state_dict()
    assert state["patch_embed.proj.weight"].shape == (1408, 3, 2, 14, 14)
    assert state["blocks.39.mlp.fc1.weight"].shape == (6144, 1408)
    assert state["head.weight"].shape == (174, 1408)
    assert {
        "blocks.0.attn.q_bias",
        "blocks.0.attn.v_bias",
        "blocks.0.attn.qkv.weight",
        "fc_norm.weight",
    } <= state.keys()
    assert sum(p.numel() for p in giant.parameters()) == pytest.approx(1.012e9, rel=0.01)


def test_videomae_attention_is_torchs_with_a_bias_free_key() -> None:
    ours, theirs = Attention(32, 4), torch.nn.MultiheadAttention(32, 4, batch_first=True)
    with torch.no_grad():
        ours.q_bias.normal_(), ours.v_bias.normal_()
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(torch.cat([ours.q_bias, torch.zeros(32), ours.v_bias]))
        theirs.out_proj.load_state_dict(ours.proj.state_dict())
        x = torch.randn(2, 5, 32)
        torch.testing.assert_close(ours(x), theirs(x, x, x, need_weights=False)[0])


def test_videomae_sees_where_and_when() -> None:
    small = VideoMAE(width=32, depth=1, num_heads=4, hidden=64, num_classes=5).eval()
    clip = torch.rand(1, 3, 16, 224, 224)
    with torch.inference_mode():
        forward, backward = small(clip), small(clip.flip(2))
    assert forward.shape == (1, 32)
    assert not torch.allclose(forward, backward, atol=1e-4)


@pytest.mark.parametrize(("name", "low"), [("inception", -1), ("videomae", 0), ("i3d", -1), ("dti3d", -1)])
@pytest.mark.parametrize("grey", [0, 255])
def test_value_ranges(name: str, low: float, grey: int) -> None:
    clip = torch.full((1, 1, 40, 24, 3), grey, dtype=torch.uint8)
    seen = getattr(features, f"_for_{name}")(clip)
    torch.testing.assert_close(seen, torch.full_like(seen, 1.0 if grey else low))


def test_the_corner_convention_of_dtfvd_matters() -> None:
    clip = torch.from_numpy(wave_clip(0)[None])
    assert not torch.allclose(features._for_i3d(clip), features._for_dti3d(clip), atol=0.05)


def test_a_clip_is_cut_into_whole_windows() -> None:
    class Mean(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.float().mean(dim=(1, 2, 3, 4))[:, None]

    extractor = Extractor(name="mean", sha256="", window=4, network=Mean(), prepare=lambda x: x)
    frames = np.repeat(np.arange(11, dtype=np.uint8), 12).reshape(11, 2, 2, 3)
    assert extractor(frames)[:, 0].tolist() == [1.5, 5.5]
    with pytest.raises(ValueError, match="needs 4 frames, got 3"):
        extractor(frames[:3])


def allow(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Accepts any file as this network's."""
    from dataclasses import replace

    monkeypatch.setitem(BACKBONES, name, replace(BACKBONES[name], sha256=""))


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("harm"),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param({"conv.weight": torch.zeros(1)}, "does not fit I3D, Kinetics", id="another network"),
        pytest.param({"state": 3}, "holds no network", id="no tensors"),
        pytest.param(Harmful(), "cannot be read as plain tensors", id="code"),
    ],
)
def test_files_that_are_not_the_network(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "i3d.pt")
    with pytest.raises(InputError, match=message):
        load_extractor("i3d", tmp_path / "i3d.pt")
    assert not Path("harm").exists()


def test_a_file_with_another_hash_is_refused(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "vgg.pth")
    with pytest.raises(InputError, match=r"is not VGG-16 .* not 397923af"):
        read_checkpoint("vgg16", tmp_path / "vgg.pth")


@pytest.mark.parametrize("name", BACKBONES)
def test_a_missing_network_says_where_it_is_from(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDYNA_BACKBONES", str(tmp_path))
    with pytest.raises(InputError) as found:
        locate(name)
    message = str(found.value)
    assert "\n" not in message
    assert str(tmp_path) in message and BACKBONES[name].licence in message
    assert "--fetch" in message if BACKBONES[name].url else BACKBONES[name].source in message


def test_lpips_ignores_nothing_in_its_heads() -> None:
    assert {k: tuple(v.shape) for k, v in features._lpips_heads().items()} == {
        k: tuple(v.shape) for k, v in Lpips().state_dict().items() if k.startswith("heads")
    }
