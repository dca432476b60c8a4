"""The DynamiCtrl pipeline: reproducible, interruptible, and without its lag and squashed photo."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers import CogVideoXDPMScheduler
from sentencepiece import SentencePieceTrainer
from tiny_dynamictrl import tiny_dynamictrl, tiny_transformer

from xdyna.pipelines import DynamiCtrlOutput, DynamiCtrlPipeline, DynamiCtrlStep
from xdyna.pipelines.dynamictrl_plan import MEMORY_MODES
from xdyna.pipelines.dynamictrl_release import load_release
from xdyna.schema import InputError

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (64, 48, 3), dtype=np.uint8)
POSE = RNG.integers(0, 256, (5, 64, 48, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def pipeline() -> DynamiCtrlPipeline:
    return tiny_dynamictrl()


def arguments(**changes: Any) -> dict[str, Any]:
    return {
        "image": IMAGE,
        "pose_frames": POSE,
        "prompt": "a person by the sea",
        "num_inference_steps": 2,
        "generator": torch.Generator().manual_seed(7),
    } | changes


def run(pipeline: DynamiCtrlPipeline, **changes: Any) -> np.ndarray:
    return pipeline(**arguments(**changes)).frames


@pytest.mark.parametrize("num_frames", [5, 13])
def test_output_is_as_long_as_the_pose(pipeline: DynamiCtrlPipeline, num_frames: int) -> None:
    pose = RNG.integers(0, 256, (num_frames, 64, 48, 3), dtype=np.uint8)
    frames = run(pipeline, pose_frames=pose)
    assert frames.shape == pose.shape
    assert frames.dtype == np.float32
    assert 0 <= frames.min() < frames.max() <= 1


def test_the_autoencoders_lag_of_three_frames_is_dropped(pipeline: DynamiCtrlPipeline) -> None:
    latents = run(pipeline, output_type="latent")
    assert latents.shape == (1, 2, 4, 8, 6)
    with torch.no_grad():
        decoded = pipeline.decode_latents(latents)
    assert decoded.shape == (1, 3, 8, 64, 48)
    expected = (decoded[0, :, 3:] / 2 + 0.5).clamp(0, 1).permute(1, 2, 3, 0)
    assert np.allclose(run(pipeline), expected, atol=1e-4)


def test_the_photo_is_cropped_not_squashed(pipeline: DynamiCtrlPipeline) -> None:
    wide = np.concatenate([np.zeros((64, 20, 3), np.uint8), IMAGE, np.full((64, 20, 3), 255, np.uint8)], axis=1)
    assert np.allclose(run(pipeline, image=wide), run(pipeline), atol=1e-5)


def test_same_seed_same_video_other_seed_other_video(pipeline: DynamiCtrlPipeline) -> None:
    torch.manual_seed(1)
    first = run(pipeline, num_inference_steps=3)
    torch.manual_seed(2)  # the global generator plays no part, not even in the sampler
    assert np.array_equal(first, run(pipeline, num_inference_steps=3))
    assert not np.allclose(first, run(pipeline, generator=torch.Generator().manual_seed(8)), atol=1e-3)


@pytest.mark.parametrize(
    "change",
    [
        {"image": IMAGE[::-1].copy()},
        {"pose_frames": POSE[::-1].copy()},
        {"prompt": "a dog"},
        {"negative_prompt": "blur"},
        {"guidance_scale": 1.0},
        {"guidance_scale": 6.0},
        {"num_inference_steps": 3},
        {"image_latent_scale": 0.7},
    ],
    ids=lambda change: "+".join(change),
)
def test_every_argument_matters(pipeline: DynamiCtrlPipeline, change: dict[str, Any]) -> None:
    assert not np.allclose(run(pipeline), run(pipeline, **change), atol=1e-4)


def test_guidance_of_one_is_the_conditional_half(pipeline: DynamiCtrlPipeline) -> None:
    """Skipping the unconditional half is exact, since u + 1 (c - u) = c."""
    assert np.allclose(run(pipeline, guidance_scale=1.0), run(pipeline, guidance_scale=1.0 + 1e-6), atol=1e-4)


def test_the_pose_is_there_in_both_halves(pipeline: DynamiCtrlPipeline) -> None:
    """Guidance acts on the text alone: with the same text twice it does nothing."""
    same = {"negative_prompt": arguments()["prompt"]}
    assert np.allclose(run(pipeline, **same, guidance_scale=9.0), run(pipeline, guidance_scale=1.0), atol=1e-4)


@pytest.mark.parametrize(("inverted", "scale"), [(True, 1.0), (False, 0.7)])
def test_the_autoencoder_says_how_the_photo_is_scaled(inverted: bool, scale: float) -> None:
    pipe = tiny_dynamictrl()
    pipe.vae.register_to_config(invert_scale_latents=inverted)
    pixels = torch.rand(1, 3, 64, 48) * 2 - 1
    latents, expected = (
        pipe.encode_image(pixels, 2, torch.Generator().manual_seed(0), scale=s).detach() for s in (None, scale)
    )
    assert torch.equal(latents, expected)
    assert latents[:, 0].abs().min() > 0
    assert not latents[:, 1:].any()


def test_the_callers_own_embeddings_and_latents_replace_ours(pipeline: DynamiCtrlPipeline) -> None:
    with torch.no_grad():
        generator = torch.Generator().manual_seed(7)
        embeds = {"prompt_embeds": pipeline.encode_prompt("a person by the sea")}
        embeds["negative_prompt_embeds"] = pipeline.encode_prompt("")
        pixels = (torch.from_numpy(clip).permute(0, 3, 1, 2) / 127.5 - 1 for clip in (IMAGE[None], POSE))
        embeds["image_latents"] = pipeline.encode_image(next(pixels), 2, generator)
        embeds["pose_latents"] = pipeline.encode_pose(next(pixels)[None], generator)
        embeds["latents"] = torch.randn(1, 2, 4, 8, 6, generator=generator)
    changes = embeds | {"image": IMAGE * 0, "pose_frames": POSE * 0, "prompt": "x", "generator": generator}
    assert np.allclose(run(pipeline, **changes), run(pipeline), atol=1e-5)


def test_progress_counts_up_to_its_total(pipeline: DynamiCtrlPipeline) -> None:
    *steps, last = pipeline.stream(**arguments())
    assert isinstance(last, DynamiCtrlOutput)
    assert all(isinstance(event, DynamiCtrlStep) for event in steps)
    assert [(event.phase, event.step, event.total) for event in steps] == [
        ("encode", 1, 3),
        ("encode", 2, 3),
        ("encode", 3, 3),
        ("denoise", 1, 2),
        ("denoise", 2, 2),
        ("decode", 1, 1),
    ]


def test_callback_sees_each_step_and_can_stop(pipeline: DynamiCtrlPipeline) -> None:
    seen = []

    def stop_after_two(
        pipe: DynamiCtrlPipeline, step: int, timestep: torch.Tensor, tensors: dict[str, torch.Tensor]
    ) -> dict:
        seen.append((step, int(timestep), tensors["latents"].shape[1]))
        pipe.interrupt = step == 1
        return {}

    frames = run(pipeline, num_inference_steps=5, callback_on_step_end=stop_after_two)
    assert seen == [(0, 999, 2), (1, 799, 2)]
    assert frames.shape == POSE.shape  # what was done is decoded


def test_closing_the_stream_stops_the_work(pipeline: DynamiCtrlPipeline) -> None:
    calls = []
    hook = pipeline.transformer.register_forward_hook(lambda *_: calls.append(1))
    events = pipeline.stream(**arguments(num_inference_steps=50))
    while next(events).phase == "encode":
        pass
    events.close()
    hook.remove()
    assert len(calls) == 1


@pytest.mark.parametrize("num_inference_steps", [1, 2, 7])
def test_few_steps_are_finite(pipeline: DynamiCtrlPipeline, num_inference_steps: int) -> None:
    assert np.isfinite(run(pipeline, num_inference_steps=num_inference_steps)).all()


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"pose_frames": POSE[:4]}, InputError, "8 k [+] 5 frames.* got 4. Use 5"),
        ({"pose_frames": np.concatenate([POSE] * 3)}, InputError, "got 15. Use 13 or 21"),
        ({"pose_frames": POSE[:, :56]}, InputError, "height that is a multiple of 16 .* got 56. Use 64"),
        ({"pose_frames": POSE[:, :, :40]}, InputError, "width that is a multiple of 16 .* got 40. Use 32"),
        ({"pose_frames": POSE.astype(np.float32)}, ValueError, "pose_frames must be .* uint8, got"),
        ({"image": IMAGE[..., 0]}, ValueError, "image must be .* uint8, got"),
        ({"guidance_scale": 0.5}, ValueError, "guidance_scale must be at least 1"),
        ({"num_inference_steps": 0}, ValueError, "num_inference_steps must be at least 1"),
    ],
)
def test_bad_arguments_give_value_and_limit(
    pipeline: DynamiCtrlPipeline, change: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        run(pipeline, **change)


def test_without_a_text_encoder_embeddings_are_needed(pipeline: DynamiCtrlPipeline) -> None:
    parts = {name: getattr(pipeline, name) for name in ("vae", "transformer", "scheduler")}
    bare = DynamiCtrlPipeline(**parts)
    with pytest.raises(ValueError, match="give prompt_embeds"):
        run(bare)
    embeds = torch.zeros(1, 8, pipeline.transformer.config.text_embed_dim)
    assert run(bare, prompt_embeds=embeds, negative_prompt_embeds=embeds).shape == POSE.shape


@pytest.mark.parametrize("memory_mode", MEMORY_MODES)
def test_memory_modes_change_nothing_in_the_result(pipeline: DynamiCtrlPipeline, memory_mode: str) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if (memory_mode, device) == ("sequential_offload", "cpu"):
        pytest.skip("accelerate moves single layers only to a GPU, and there is none here")
    pipe = tiny_dynamictrl()
    pipe.set_memory_mode(memory_mode, device)
    for _ in range(2):  # the hooks must survive a run
        assert np.allclose(run(pipe), run(pipeline), atol=1e-3)


@pytest.mark.parametrize(
    ("memory_mode", "message"),
    [
        ("tiny", "one of full, model_offload, sequential_offload, got 'tiny'"),
        pytest.param(
            "full",
            "needs an NVIDIA GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU"),
        ),
    ],
)
def test_memory_modes_that_cannot_be(memory_mode: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny_dynamictrl().set_memory_mode(memory_mode)


def test_save_and_load(pipeline: DynamiCtrlPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path)
    loaded = DynamiCtrlPipeline.from_pretrained(tmp_path)
    for name in ("transformer", "vae", "text_encoder"):
        saved, read = (getattr(p, name).state_dict() for p in (pipeline, loaded))
        assert saved.keys() == read.keys()
        assert all(torch.equal(saved[key], read[key]) for key in saved)
    # Not bit-equal: tensors read from a file are aligned differently in memory, so other kernels may run.
    assert np.allclose(run(pipeline), run(loaded), atol=1e-4)


@pytest.fixture(scope="module")
def releases(pipeline: DynamiCtrlPipeline, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A whole release whose sampler was stored with other timesteps, and one that is a transformer alone."""
    folder = tmp_path_factory.mktemp("releases")
    pipeline.save_pretrained(folder / "whole")
    stored = CogVideoXDPMScheduler.from_config(pipeline.scheduler.config, timestep_spacing="leading")
    stored.save_pretrained(folder / "whole" / "scheduler")
    tiny_transformer(seed=1).save_pretrained(folder / "alone")
    return {"whole": folder / "whole", "alone": folder / "alone"}


def test_a_whole_release_loads(pipeline: DynamiCtrlPipeline, releases: dict[str, Path]) -> None:
    loaded = load_release(releases["whole"], dtype=torch.float32)
    assert np.allclose(run(loaded), run(pipeline), atol=1e-4)
    assert load_release(releases["whole"]).dtype == torch.bfloat16


def test_a_transformer_takes_the_rest_from_its_base(pipeline: DynamiCtrlPipeline, releases: dict[str, Path]) -> None:
    loaded = load_release(releases["alone"], base=releases["whole"], dtype=torch.float32)
    assert not np.allclose(run(loaded), run(pipeline), atol=1e-2)  # it is another transformer
    loaded.transformer.load_state_dict(pipeline.transformer.state_dict())
    assert np.allclose(run(loaded), run(pipeline), atol=1e-4)


def test_the_bases_tokenizer_is_read_from_its_sentencepiece_file(releases: dict[str, Path], tmp_path: Path) -> None:
    """The real one comes as `spiece.model` alone, which needs versions of sentencepiece and protobuf that agree."""
    shutil.copytree(releases["whole"], tmp_path / "base", ignore=shutil.ignore_patterns("tokenizer"))
    folder = tmp_path / "base" / "tokenizer"
    folder.mkdir()
    SentencePieceTrainer.train(
        sentence_iterator=iter(["a person by the sea"] * 9),
        model_prefix=str(folder / "spiece"),
        vocab_size=30,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "T5Tokenizer", "extra_ids": 0}')
    tokenizer = load_release(releases["alone"], base=tmp_path / "base", dtype=torch.float32).tokenizer
    ids = tokenizer("a person", padding="max_length", max_length=12, truncation=True).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a person"
    assert ids[-1] == tokenizer.pad_token_id == 0


def test_missing_parts_are_named(releases: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"has no vae folder\. .* download .*CogVideoX1\.5-5B-I2V"):
        load_release(releases["alone"])


def test_half_precision_stays_near(pipeline: DynamiCtrlPipeline, releases: dict[str, Path]) -> None:
    exact = run(pipeline, output_type="latent")
    half = run(load_release(releases["whole"]), output_type="latent")
    assert half.dtype == torch.float32  # the sampler works in single precision
    assert (half - exact).norm() / exact.norm() < 0.05
