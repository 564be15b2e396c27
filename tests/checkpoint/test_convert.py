"""Folder of diffusers -> single file -> folder: the same tensors, the same bytes, and diffusers opens both."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.checkpoint.pipelines import CLIP_VOCABULARY, Predicted, Shape, write_pipeline
from torch import Tensor
from transformers import CLIPTokenizer

from fictile.checkpoint import convert, load_published, open_checkpoint
from fictile.checkpoint.write import HASH
from fictile.errors import RequestError
from fictile.text import TEXT_FAMILIES, clip_tokenizer

COMPONENTS = ("unet", "vae", "text_encoder", "text_encoder_2")
SHAPES: Mapping[Shape, Predicted] = {"sd1": "epsilon", "sd2": "v_prediction", "sdxl": "epsilon"}


@dataclass(frozen=True)
class Trip:
    """A folder that diffusers wrote, the single file of it, and the folder of that."""

    shape: Shape
    folder: Path
    single: Path
    back: Path


@pytest.fixture(scope="module", params=SHAPES)
def trip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trip:
    shape: Shape = request.param
    place = tmp_path_factory.mktemp(shape)
    made = Trip(shape, place / "folder", place / "single.safetensors", place / "back")
    write_pipeline(made.folder, shape, prediction=SHAPES[shape], vocabulary=CLIP_VOCABULARY)
    assert convert(open_checkpoint(made.folder), made.single).notes == ()
    assert convert(open_checkpoint(made.single), made.back).notes == ()
    return made


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose text encoder knows 60 tokens."""
    return write_pipeline(tmp_path_factory.mktemp("small"), "sd1")


def tensors(folder: Path) -> dict[str, Tensor]:
    """All of a folder, with transformers' names of every version made those of version 4."""
    found: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*/*.safetensors")):
        for name, tensor in load_file(path).items():
            bare = path.parent.name.startswith("text") and not name.startswith("text_")
            if "position_ids" not in name:
                found[f"{path.parent.name}.{'text_model.' if bare else ''}{name}"] = tensor
    return found


def said(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:  # pyright: ignore[reportUnknownVariableType, reportNoUntypedCall]
        return dict(file.metadata())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and torch.equal(first[name], second[name]) for name in first
    )


def test_no_tensor_changes_on_the_way_there_and_back(trip: Trip) -> None:
    assert same(tensors(trip.folder), tensors(trip.back))


def test_the_way_back_makes_the_same_bytes(trip: Trip, tmp_path: Path) -> None:
    convert(open_checkpoint(trip.back), tmp_path / "single.safetensors")
    assert (tmp_path / "single.safetensors").read_bytes() == trip.single.read_bytes()
    convert(open_checkpoint(trip.single), tmp_path / "back")
    files = [path for path in sorted(trip.back.rglob("*")) if path.is_file()]
    assert files
    assert all(path.read_bytes() == (tmp_path / "back" / path.relative_to(trip.back)).read_bytes() for path in files)


def test_a_single_file_says_what_it_is(trip: Trip) -> None:
    about = said(trip.single)
    assert {
        name.removeprefix("modelspec."): value for name, value in about.items() if name not in (HASH, "fictile")
    } == {
        "sai_model_spec": "1.0.1",
        "architecture": {
            "sd1": "stable-diffusion-v1",
            "sd2": "stable-diffusion-v2-768-v",
            "sdxl": "stable-diffusion-xl-v1-base",
        }[trip.shape],
        "implementation": "https://github.com/Stability-AI/generative-models"
        if trip.shape == "sdxl"
        else "https://github.com/CompVis/stable-diffusion",
        "title": "single",
        "resolution": {"sd1": "512x512", "sd2": "768x768", "sdxl": "1024x1024"}[trip.shape],
        "prediction_type": "v" if trip.shape == "sd2" else "epsilon",
    }
    content = trip.single.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    assert about[HASH] == "0x" + hashlib.sha256(content[start:]).hexdigest()
    own, checkpoint = json.loads(about["fictile"]), open_checkpoint(trip.folder)
    assert (own["kind"], own["family"]) == ("checkpoint", trip.shape)
    assert own["prediction"] == ("v" if trip.shape == "sd2" else "eps")
    assert own["specs"].keys() == checkpoint.parts.keys()
    reopened = open_checkpoint(trip.single)
    assert {role: part.spec for role, part in reopened.parts.items()} == {
        role: part.spec for role, part in checkpoint.parts.items()
    }
    assert (reopened.normalisation, reopened.space) == (checkpoint.normalisation, checkpoint.space)
    assert reopened.schedule == checkpoint.schedule


def test_diffusers_opens_the_folder_of_a_single_file_whole(trip: Trip) -> None:
    kind: Any = StableDiffusionXLPipeline if trip.shape == "sdxl" else StableDiffusionPipeline
    more = {} if trip.shape == "sdxl" else {"safety_checker": None, "requires_safety_checker": False}
    pipeline = kind.from_pretrained(trip.back, local_files_only=True, **more)
    check_equal_to_the_folder(pipeline, trip)
    assert pipeline.scheduler.config.prediction_type == SHAPES[trip.shape]
    for name, pad in zip(("tokenizer", "tokenizer_2"), TEXT_FAMILIES[trip.shape].pads, strict=False):
        tokenizer = getattr(pipeline, name)
        assert isinstance(tokenizer, CLIPTokenizer)
        assert (tokenizer.pad_token_id, tokenizer.model_max_length) == (pad, 77)
        ours = clip_tokenizer().tokens("A fox, wearing a crown")
        assert tokenizer("A fox, wearing a crown").input_ids[1:-1] == ours


def test_diffusers_opens_the_single_file_offline(trip: Trip) -> None:
    kind: Any = StableDiffusionXLPipeline if trip.shape == "sdxl" else StableDiffusionPipeline
    more = {} if trip.shape == "sdxl" else {"safety_checker": None, "requires_safety_checker": False}
    pipeline = kind.from_single_file(trip.single, config=str(trip.back), local_files_only=True, **more)
    check_equal_to_the_folder(pipeline, trip)


def check_equal_to_the_folder(pipeline: Any, trip: Trip) -> None:
    expected = tensors(trip.folder)
    for role in COMPONENTS[: 4 if trip.shape == "sdxl" else 3]:
        state: dict[str, Tensor] = getattr(pipeline, role).state_dict()
        own = {
            f"{role}.{'text_model.' if role.startswith('text') and not name.startswith('text_') else ''}{name}": tensor
            for name, tensor in state.items()
            if "position_ids" not in name
        }
        assert own.keys() == {name for name in expected if name.startswith(f"{role}.")}
        assert all(torch.equal(tensor, expected[name]) for name, tensor in own.items()), role


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["half.safetensors", "half"])
def test_every_tensor_gets_the_type_asked_for(small: Path, tmp_path: Path, dtype: torch.dtype, name: str) -> None:
    made = convert(open_checkpoint(small), tmp_path / name, dtype=dtype)
    assert {tensor.dtype for path in made.files for tensor in load_file(path).values()} == {dtype}
    back = convert(open_checkpoint(tmp_path / name), tmp_path / "back")
    rounded = {key: tensor.to(dtype) for key, tensor in tensors(small).items()}
    assert same(tensors(back.path), rounded)


def test_a_value_that_the_type_cannot_hold_is_refused_and_nothing_is_left(small: Path, tmp_path: Path) -> None:
    convert(open_checkpoint(small), tmp_path / "a.safetensors")
    state = load_file(tmp_path / "a.safetensors")
    state["first_stage_model.quant_conv.bias"][0] = 1e6
    save_file(state, tmp_path / "large.safetensors")
    with pytest.raises(RequestError, match=r"quant_conv.bias has values that float16 cannot hold \(largest 1e\+06\)"):
        convert(open_checkpoint(tmp_path / "large.safetensors"), tmp_path / "half.safetensors", dtype=torch.float16)
    assert not (tmp_path / "half.safetensors").exists()
    with pytest.raises(RequestError, match="float16 cannot hold"):
        convert(open_checkpoint(tmp_path / "large.safetensors"), tmp_path / "half", dtype=torch.float16)
    assert {path.name for path in tmp_path.iterdir()} == {"a.safetensors", "large.safetensors"}


def scheduled(small: Path, folder: Path, **changes: Any) -> Path:
    """A copy of the folder whose scheduler says something else."""
    copytree(small, folder)
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def test_the_noise_that_a_model_was_trained_on_goes_along(small: Path, tmp_path: Path) -> None:
    settings = {"rescale_betas_zero_snr": True, "beta_end": 0.013, "prediction_type": "v_prediction"}
    before = open_checkpoint(scheduled(small, tmp_path / "folder", **settings))
    assert (before.schedule.zero_terminal_snr, before.schedule.beta_end) == (True, 0.013)
    convert(before, tmp_path / "single.safetensors")
    after = open_checkpoint(tmp_path / "single.safetensors")
    assert after.schedule == before.schedule
    assert (after.identity.prediction, after.identity.zero_terminal_snr) == ("v", True)


@pytest.mark.parametrize(
    "changes",
    [
        {"_class_name": "EDMDPMSolverMultistepScheduler", "sigma_data": 0.5},
        {"_class_name": "FlowMatchEulerDiscreteScheduler"},
        {"prediction_type": "flow_prediction"},
        {"prediction_type": "sample"},
    ],
)
def test_noise_of_another_kind_is_neither_converted_nor_drawn_with(
    small: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    folder = scheduled(small, tmp_path / "folder", **changes)
    with pytest.raises(RequestError, match="predicts neither eps nor v"):
        convert(open_checkpoint(folder), tmp_path / "single.safetensors")
    with pytest.raises(RequestError, match="predicts"):
        load_published(folder)


def test_no_tokenizer_is_made_for_another_vocabulary(small: Path, tmp_path: Path) -> None:
    made = convert(open_checkpoint(small), tmp_path / "folder")
    assert made.notes == ("No tokenizer was at hand; copy the folders tokenizer and tokenizer_2 of a like model.",)
    assert not (tmp_path / "folder" / "tokenizer").exists()
    assert json.loads((tmp_path / "folder" / "model_index.json").read_text())["tokenizer"] == [None, None]


def test_tokenizers_that_are_there_are_passed_on(small: Path, tmp_path: Path) -> None:
    given = tmp_path / "mine"
    given.mkdir()
    (given / "vocab.json").write_text("{}")
    made = convert(open_checkpoint(small), tmp_path / "folder", tokenizers={"tokenizer": given})
    assert made.notes == ()
    assert (tmp_path / "folder" / "tokenizer" / "vocab.json").read_text() == "{}"
    again = convert(open_checkpoint(tmp_path / "folder"), tmp_path / "again")
    assert again.notes == ()
    assert (tmp_path / "again" / "tokenizer" / "vocab.json").read_text() == "{}"


def test_the_title_of_a_single_file(small: Path, tmp_path: Path) -> None:
    convert(open_checkpoint(small), tmp_path / "a.safetensors", title="Clay")
    assert said(tmp_path / "a.safetensors")["modelspec.title"] == "Clay"


def test_what_cannot_be_converted_is_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="only whole models of Stable Diffusion 1, 2 and XL and autoencoders can be"):
        convert(open_checkpoint(small / "text_encoder"), tmp_path / "text.safetensors")
    with pytest.raises(RequestError, match="diffusers' names are for an autoencoder alone"):
        convert(open_checkpoint(small), tmp_path / "model.safetensors", names="diffusers")
    with pytest.raises(RequestError, match="of a kind that Fictile does not write"):
        convert(open_checkpoint(small), tmp_path / "model.ckpt")
    with pytest.raises(RequestError, match="is there already and not an empty folder"):
        convert(open_checkpoint(small), small)


def test_a_single_file_has_no_variants(small: Path, tmp_path: Path) -> None:
    convert(open_checkpoint(small), tmp_path / "a.safetensors")
    with pytest.raises(RequestError, match="is a single file, and variants are in folders of diffusers"):
        open_checkpoint(tmp_path / "a.safetensors", variant="fp16")
