"""An autoencoder alone, from diffusers' folder to a file and back: the same tensors, and diffusers opens both."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from safetensors.torch import load_file, save_file
from tests.autoencoder.twins import random_network
from tests.checkpoint.headers import shapes
from tests.checkpoint.small_autoencoders import SMALL
from tests.tiny_model import tiny_autoencoder
from torch import Tensor

from fictile.autoencoder import KNOWN, SD1, KLSpec, TinySpec, WanSpec
from fictile.checkpoint import (
    convert,
    inspect_file,
    load_autoencoder,
    open_autoencoder,
    open_checkpoint,
    read_autoencoder,
    save_autoencoder,
)
from fictile.checkpoint.autoencoder_names import our_names, released_name
from fictile.checkpoint.keys import ldm_kl, old_kl, plain, write_as
from fictile.errors import RequestError

WEIGHTS = "diffusion_pytorch_model.safetensors"
FROM_A_FILE = (AutoencoderKL, AutoencoderDC, AutoencoderKLWan)  # the classes that have `from_single_file`


@dataclass(frozen=True)
class Trip:
    """A folder that diffusers wrote, the file of it, and the folder of that."""

    kind: str
    folder: Path
    single: Path
    back: Path


@pytest.fixture(scope="module", params=SMALL)
def trip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trip:
    place = tmp_path_factory.mktemp("trip")
    made = Trip(request.param, place / "vae", place / "single.safetensors", place / "back")
    SMALL[made.kind].twin().save_pretrained(made.folder)
    convert(open_checkpoint(made.folder), made.single)
    convert(open_checkpoint(made.single), made.back)
    return made


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and torch.equal(first[name], second[name]) for name in first
    )


def test_no_tensor_and_no_number_changes_on_the_way_there_and_back(trip: Trip, tmp_path: Path) -> None:
    assert same(load_file(trip.back / WEIGHTS), load_file(trip.folder / WEIGHTS))
    before, single, after = (open_checkpoint(path) for path in (trip.folder, trip.single, trip.back))
    for one in (single, after):
        assert one.parts["vae"].spec == before.parts["vae"].spec
        assert one.normalisation == before.normalisation
        assert one.identity.kind == "autoencoder"
    convert(after, tmp_path / "single.safetensors")
    assert (tmp_path / "single.safetensors").read_bytes() == trip.single.read_bytes()


def test_diffusers_opens_the_folder_as_the_class_that_it_was(trip: Trip) -> None:
    first, second = (SMALL[trip.kind].kind.from_pretrained(path) for path in (trip.folder, trip.back))
    assert same(first.state_dict(), second.state_dict())
    told = {name for name in first.config if not name.startswith("_")} - {"force_upcast", "sample_size"}
    for name in told:  # no shift is a shift of 0
        assert (first.config[name] or 0) == (second.config[name] or 0), name


@pytest.mark.parametrize("names", ["released", "diffusers"])
def test_diffusers_opens_the_file_offline(trip: Trip, tmp_path: Path, names: Any) -> None:
    kind = SMALL[trip.kind].kind
    if kind not in FROM_A_FILE:
        pytest.skip(f"diffusers' {kind.__name__} has no from_single_file")
    made = convert(open_checkpoint(trip.back), tmp_path / "single.safetensors", names=names)
    found = kind.from_single_file(str(made.path), config=str(trip.back), local_files_only=True)
    assert same(found.state_dict(), load_file(trip.folder / WEIGHTS))


def test_the_names_in_a_file_are_those_that_are_asked_for(trip: Trip, tmp_path: Path) -> None:
    convert(open_checkpoint(trip.folder), tmp_path / "ours.safetensors", names="diffusers")
    assert load_file(tmp_path / "ours.safetensors").keys() == load_file(trip.folder / WEIGHTS).keys()
    mark = {
        "KL": "encoder.down.0.block.0.conv1.weight",
        "Wan": "decoder.middle.0.residual.0.gamma",
        "Tiny": "taesd_decoder.1.weight",
        "DC": "encoder.conv_in.weight" if trip.kind == "dc" else "encoder.conv_in.conv.weight",
    }[type(SMALL[trip.kind].spec).__name__.removesuffix("Spec")]
    content = load_file(trip.single)
    assert mark in content
    assert ("encoder.quant_conv.weight" in content) == (trip.kind == "flux2")
    convert(open_checkpoint(tmp_path / "ours.safetensors"), tmp_path / "released.safetensors", title="vae")
    assert (tmp_path / "released.safetensors").read_bytes() == trip.single.read_bytes()


def test_every_weight_gets_the_type_asked_for_and_units_are_not_rounded(trip: Trip, tmp_path: Path) -> None:
    made = convert(open_checkpoint(trip.folder), tmp_path / "half", dtype=torch.float16)
    for key, tensor in load_file(made.files[0]).items():
        kept = key.startswith("bn.") or key.endswith("num_batches_tracked")
        assert (tensor.dtype == torch.float16) != kept, key
    assert open_checkpoint(made.path).normalisation == open_checkpoint(trip.folder).normalisation


@pytest.mark.parametrize("name", ["taesd", "taef2", "taesana", "wan21"])
def test_the_names_of_a_release_are_those_that_are_read(name: str) -> None:
    spec = KNOWN[name].spec
    assert isinstance(spec, TinySpec | WanSpec)
    theirs = {released_name(spec, ours): ours for ours in shapes(spec, plain)}
    assert our_names(spec, theirs) == {released: (ours,) for released, ours in theirs.items()}


def written(spec: KLSpec, path: Path, *, old: bool = False) -> dict[str, Tensor]:
    """A file of somebody else's, in LDM's names or those of diffusers before 0.15; returns what is in it."""
    names = old_kl if old else ldm_kl(spec)
    state: dict[str, Tensor] = random_network(spec).state_dict()
    content = {names(name).name: write_as([tensor], names(name)) for name, tensor in state.items()}
    save_file(content, path)
    return content


def test_a_file_that_does_not_say_its_units_needs_them_for_a_folder(tmp_path: Path) -> None:
    """Stable Diffusion 1's and XL's differ in nothing else, and a wrong one would be taken for right."""
    content = written(KLSpec(widths=(32, 32), layers=1), tmp_path / "vae.safetensors")
    opened = open_checkpoint(tmp_path / "vae.safetensors")
    with pytest.raises(RequestError, match=r"does not say in which units .* write it as a \.safetensors file instead"):
        convert(opened, tmp_path / "folder")
    made = convert(opened, tmp_path / "copy.safetensors")
    assert same(load_file(tmp_path / "copy.safetensors"), content)
    assert "Nothing says its latent space" in made.notes[0]
    assert open_checkpoint(tmp_path / "copy.safetensors").normalisation is None
    known = replace(opened, normalisation=SD1.normalisation, space=SD1.space)
    assert convert(known, tmp_path / "folder").notes == ()
    assert open_autoencoder(tmp_path / "folder").space == SD1.space
    assert AutoencoderKL.from_pretrained(tmp_path / "folder").config["scaling_factor"] == 0.18215
    assert {path.name for path in tmp_path.iterdir()} == {"vae.safetensors", "copy.safetensors", "folder"}


def test_old_names_become_new_ones(tmp_path: Path) -> None:
    spec = KLSpec(widths=(32, 32), layers=1)
    content = written(spec, tmp_path / "old.safetensors", old=True)
    assert "encoder.mid_block.attentions.0.query.weight" in content
    convert(open_checkpoint(tmp_path / "old.safetensors"), tmp_path / "new.safetensors")
    assert same(load_file(tmp_path / "new.safetensors"), written(spec, tmp_path / "expected.safetensors"))


def test_a_trained_one_keeps_its_name_and_its_space(tmp_path: Path) -> None:
    own = tiny_autoencoder()
    save_autoencoder(own, tmp_path / "vae.safetensors", torch.float32)
    convert(open_checkpoint(tmp_path / "vae.safetensors"), tmp_path / "folder")
    convert(open_checkpoint(tmp_path / "folder"), tmp_path / "back.safetensors")
    for place in ("folder", "back.safetensors"):
        back = read_autoencoder(open_autoencoder(tmp_path / place))
        assert (back.name, back.space, back.normalisation) == (own.name, own.space, own.normalisation)
        assert same(back.network.state_dict(), load_autoencoder(tmp_path / "vae.safetensors").network.state_dict())
    found = inspect_file(tmp_path / "back.safetensors")
    assert (found.kind, found.space) == ("autoencoder", own.space.id)


def test_what_diffusers_has_no_class_for_stays_a_file(tmp_path: Path) -> None:
    save_autoencoder(tiny_autoencoder(stem=2), tmp_path / "vae.safetensors")
    opened = open_checkpoint(tmp_path / "vae.safetensors")
    with pytest.raises(RequestError, match=r"folds its pixels by 2 \(stem\), and diffusers has no such AutoencoderKL"):
        convert(opened, tmp_path / "folder")
    convert(opened, tmp_path / "copy.safetensors")
    assert read_autoencoder(open_autoencoder(tmp_path / "copy.safetensors")).space == opened.space


def test_a_damaged_one_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    content = written(KLSpec(widths=(32, 32), layers=1), tmp_path / "vae.safetensors")
    save_file({name: content[name] for name in list(content)[:-3]}, tmp_path / "vae.safetensors")
    with pytest.raises(RequestError, match=r"lacks 3 of \d+ tensors"):
        convert(open_checkpoint(tmp_path / "vae.safetensors"), tmp_path / "copy.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["vae.safetensors"]
