"""Edits change what they were asked to change: with a tiny model whose weights are random."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from tests.tiny_model import tiny_folder, tiny_parts
from torch import Tensor

from fictile.drawing import NOTHING_MASKED
from fictile.editing import verify
from fictile.engine import Runtime
from fictile.errors import RequestError
from fictile.loading import load
from fictile.made import EditedPicture
from fictile.model import Model
from fictile.picture import Mask, Picture, Source, open_source
from fictile.recipe import Recipe
from fictile.schedule import Flow

EXACT = Runtime(device=torch.device("cpu"), dtype=torch.float32, decode_dtype=torch.float32, threads=1)
HEIGHT, WIDTH = 24, 40
PROMPT = "a red fox"


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(tiny_parts(), EXACT)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of 40x24 pixels in 8 bit, a size that the tiny model divides."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(np.stack([rows * 10, columns * 6, 255 - rows * 5], axis=-1).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def mask() -> Mask:
    return Mask.box((HEIGHT, WIDTH), left=12, top=6, width=11, height=9)


def soft(amount: float) -> Mask:
    return Mask.of(torch.full((HEIGHT, WIDTH), amount))


def latent(model: Model, photo: Path, **options: Any) -> Tensor:
    (made,) = model.edit(photo, PROMPT, seed=3, steps=5, **options)
    assert made.latent is not None
    return made.latent.data


def test_strength_0_is_the_trip_through_the_latent_space(model: Model, photo: Path) -> None:
    (made,) = model.edit(photo, PROMPT, strength=0.0, seed=3)
    round_trip = model.decode(model.encode(photo))
    assert torch.equal(made.pixels, (round_trip.pixels * 127.5 + 127.5).round() / 127.5 - 1)
    (again,) = model.generate(PROMPT, init=photo, strength=0.0, seed=3)
    assert torch.equal(again.pixels, round_trip.pixels)


@pytest.mark.parametrize("where", [None, Mask.everything((HEIGHT, WIDTH))], ids=["no mask", "all masked"])
def test_strength_1_is_the_picture_that_words_alone_make(model: Model, photo: Path, where: Mask | None) -> None:
    (words,) = model.generate(PROMPT, size=(HEIGHT, WIDTH), seed=3, steps=5)
    assert torch.equal(latent(model, photo, mask=where, strength=1.0), words.latent.data)
    (started,) = model.generate(PROMPT, init=photo, strength=1.0, seed=3, steps=5)
    assert torch.equal(started.latent.data, words.latent.data)


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "euler_ancestral", "heun"])
def test_a_constant_soft_mask_is_plain_image_to_image_at_that_strength(model: Model, photo: Path, sampler: str) -> None:
    amount = 102 / 255  # which 8 bit hold
    (softly,) = model.edit(photo, PROMPT, mask=soft(amount), seed=3, steps=5, sampler=sampler)
    (plain,) = model.edit(photo, PROMPT, strength=amount, seed=3, steps=5, sampler=sampler)
    (init,) = model.generate(PROMPT, init=photo, strength=amount, seed=3, steps=5, sampler=sampler)
    assert softly.latent
    assert plain.latent
    torch.testing.assert_close(softly.latent.data, plain.latent.data, rtol=0, atol=1e-6)
    torch.testing.assert_close(plain.latent.data, init.latent.data, rtol=0, atol=1e-6)
    assert (softly.pixels - plain.pixels).abs().max() <= 1.01 / 127.5  # painted whole, though the mask is faint


def test_a_mask_keeps_the_latent_outside_and_its_grey_is_strength(model: Model, photo: Path) -> None:
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[:, :16], values[:, 16:24] = 255, 60
    data, original = latent(model, photo, mask=Mask(values)), model.encode(photo).data
    moved = (data - original).abs().mean(dim=(0, 1, 2))
    assert moved[6:].max() < 1e-5
    assert moved[:4].mean() > 2 * moved[4:6].mean() > 0.01


def test_edits_of_flows_and_of_several_seeds_work_alike(photo: Path, mask: Mask) -> None:
    model = Model(tiny_parts(schedule=Flow(), prediction="flow"), EXACT)
    made = model.edit(photo, PROMPT, mask=mask, seed=3, steps=3, count=2)
    (alone,) = model.edit(photo, PROMPT, mask=mask, seed=4, steps=3)
    assert [one.recipe.seed for one in made] == [3, 4]
    assert (made[1].pixels - alone.pixels).abs().max() <= 1.01 / 127.5
    assert not torch.equal(made[0].pixels, made[1].pixels)


def test_outpainting_grows_the_canvas_and_keeps_the_picture(model: Model, photo: Path, tmp_path: Path) -> None:
    (made,) = model.edit(photo, PROMPT, outpaint=(5, 0, 7, 3), feather=2.0, seed=3, steps=2)
    assert (made.source.height, made.source.width) == (HEIGHT + 3, WIDTH + 12)
    old = open_source(photo).samples.array
    assert np.array_equal(made.source.samples.array[: HEIGHT - 2, 7 : 5 + WIDTH - 2], old[:-2, 2:-2])
    made.save(tmp_path / "wide.png")
    assert verify(open_source(tmp_path / "wide.png"), open_source(photo)).intact


def test_only_what_is_masked_is_seen_at_the_models_own_size(model: Model, tmp_path: Path) -> None:
    Image.effect_noise((200, 120), 60).convert("RGB").save(tmp_path / "large.png")
    mask = Mask.box((120, 200), left=150, top=90, width=10, height=8)
    (made,) = model.edit(
        tmp_path / "large.png", PROMPT, mask=mask, only_masked=True, padding=3, feather=2.0, seed=3, steps=2
    )
    assert made.recipe.size == (32, 32)
    changed = (made.source.samples.array != open_source(tmp_path / "large.png").samples.array).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (88, 99, 148, 161)


def test_an_empty_mask_copies_and_says_so(model: Model, photo: Path, tmp_path: Path) -> None:
    (made,) = model.edit(photo, PROMPT, mask=Mask(np.zeros((HEIGHT, WIDTH), np.uint8)))
    assert made.recipe.notes == (NOTHING_MASKED,)
    made.save(tmp_path / "copy.png")
    assert np.array_equal(open_source(tmp_path / "copy.png").samples.array, open_source(photo).samples.array)
    assert verify(open_source(tmp_path / "copy.png"), open_source(photo)).difference.pixels == HEIGHT * WIDTH


def refuse(*_: object) -> None:
    pytest.fail("something was computed")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mask": Mask.everything((2, 3))}, "The mask is 3x2 and the picture 40x24"),
        ({"strength": 1.5}, "Strength 1.5 is out of range"),
        ({"feather": -1.0}, "cannot be feathered by -1.0"),
        ({"outpaint": (0, -1, 0, 0)}, "cannot grow by 0, -1, 0, 0 pixels"),
        ({"only_masked": True}, "there is no mask"),
        ({"padding": -1}, "The padding is -1"),
        ({"steps": 0}, "0 steps"),
        ({"seed": -1}, "Seed -1"),
    ],
)
def test_a_bad_argument_is_refused_before_anything_is_computed(
    model: Model, photo: Path, mask: Mask, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], sentence: str
) -> None:
    for network in (model.denoiser.network, *model.text.networks, model.autoencoder.network):
        monkeypatch.setattr(network, "forward", refuse)
    given: dict[str, Any] = {"mask": None if options.get("only_masked") else mask} | options
    with pytest.raises(RequestError, match=sentence) as refused:
        model.edit(photo, PROMPT, **given)
    assert "\n" not in str(refused.value)


def test_an_edit_is_replayed_from_its_input_and_its_recipe(photo: Path, mask: Mask, tmp_path: Path) -> None:
    model = load(tiny_folder(tmp_path / "tiny"), runtime=EXACT)
    made = model.edit(photo, PROMPT, mask=mask, seed=3, steps=2, count=2)
    made[1].save(tmp_path / "edited.tiff")
    again = model.replay(tmp_path / "edited.tiff", init=photo)
    assert isinstance(again, EditedPicture)
    assert np.array_equal(again.source.samples.array, open_source(tmp_path / "edited.tiff").samples.array)
    assert again.recipe == Recipe.read(tmp_path / "edited.tiff")
    with pytest.raises(RequestError, match="give the file of the picture that was edited"):
        model.replay(tmp_path / "edited.tiff")
    with pytest.raises(RequestError, match="give the file of the picture that was edited"):
        model.replay(tmp_path / "edited.tiff", init=Picture(torch.zeros(3, HEIGHT, WIDTH)))
    with pytest.raises(RequestError, match="edited another picture than"):
        model.replay(tmp_path / "edited.tiff", init=tmp_path / "edited.tiff")


def test_the_recipe_tells_what_came_before(model: Model, mask: Mask, tmp_path: Path) -> None:
    (drawn,) = model.generate("a house", size=(HEIGHT, WIDTH), seed=1, steps=1)
    drawn.save(tmp_path / "0.png")
    for step in range(2):
        (made,) = model.edit(tmp_path / f"{step}.png", PROMPT, mask=mask, seed=step, steps=1)
        made.save(tmp_path / f"{step + 1}.png")
    recipe = Recipe.read(tmp_path / "2.png")
    assert [past.prompt for past in recipe.history] == ["a house", PROMPT]
    assert [past.edit is None for past in recipe.history] == [True, False]
    assert all(past.history == () for past in recipe.history)
    assert "Denoising strength: 1, Mask blur: 8" in recipe.parameters()


def test_a_stripped_edit_says_nothing(model: Model, photo: Path, mask: Mask, tmp_path: Path) -> None:
    (drawn,) = model.generate("a house", size=(HEIGHT, WIDTH), seed=1, steps=1)
    drawn.save(tmp_path / "in.png")
    (made,) = model.edit(tmp_path / "in.png", PROMPT, mask=mask, steps=1)
    made.save(tmp_path / "out.png", strip=True)
    assert open_source(tmp_path / "out.png").text == {}


def source_of(mode: str, size: tuple[int, int], seed: int, path: Path) -> Source:
    """A file of random samples: its depth and channels by `mode`, with a profile of another gamma, on its side."""
    dice = np.random.default_rng(seed)
    deep = mode.endswith("16")
    channels = {"grey": 1, "grey16": 1, "rgba": 4}.get(mode, 3)
    array = dice.integers(0, 65536 if deep else 256, (*size, channels), dtype=np.uint16 if deep else np.uint8)
    with_profile = channels > 1
    source = blank(path, array[..., 0] if channels == 1 else array[..., :3].astype(np.uint8))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if with_profile else None
    samples = replace(source.samples, array=array, alpha=mode == "rgba", profile=profile)
    source = replace(source, samples=samples, metadata=replace(source.metadata, orientation=6 if seed % 2 else 1))
    source.save(path)
    return open_source(path)


def blank(path: Path, array: np.ndarray) -> Source:
    """Any file of this size, to take a source from."""
    Image.fromarray(array.astype(np.uint8)).save(path)
    return open_source(path)


@settings(max_examples=6)
@given(
    mode=st.sampled_from(["rgb", "rgb16", "rgba", "grey", "grey16"]),
    suffix=st.sampled_from([".png", ".tiff"]),
    size=st.tuples(st.integers(9, 20), st.integers(9, 20)),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_ten_edits_in_a_chain_leave_every_sample_outside_of_them_alone(  # one test function, many files
    model: Model,
    tmp_path_factory: pytest.TempPathFactory,
    mode: str,
    suffix: str,
    size: tuple[int, int],
    seed: int,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("chain")
    first = current = source_of(mode, size, seed, folder / f"0{suffix}")
    untouched = torch.ones(first.height, first.width, dtype=torch.bool)
    for step in range(1, 11):
        left, top = data.draw(st.integers(0, first.width - 1)), data.draw(st.integers(0, first.height - 1))
        mask = Mask.box((first.height, first.width), left=left, top=top, width=3, height=2)
        feather = float(data.draw(st.integers(0, 2)))
        untouched &= mask.opacity(feather) == 0
        (made,) = model.edit(current, PROMPT, mask=mask, feather=feather, strength=0.5, seed=step, steps=1)
        made.save(folder / f"{step}{suffix}")
        current = open_source(folder / f"{step}{suffix}")
    kept = untouched.numpy()
    stored = np.rot90(kept) if first.metadata.orientation == 6 else kept  # as the file lies, on its side
    assert current.samples.array.dtype == first.samples.array.dtype
    assert np.array_equal(current.samples.array[stored], first.samples.array[stored])
    assert (current.samples.profile, current.metadata.orientation) == (
        first.samples.profile,
        first.metadata.orientation,
    )
    verdict = verify(current, first)
    assert verdict.intact
    assert (verdict.edits, verdict.difference.pixels) == (10, int(untouched.sum()))


@pytest.mark.parametrize("size", [(1, 1), (3, 900)])
def test_pictures_of_odd_sizes_keep_them(model: Model, tmp_path: Path, size: tuple[int, int]) -> None:
    Image.effect_noise((size[1], size[0]), 60).save(tmp_path / "odd.png")
    mask = Mask.box(size, left=0, top=0, width=1, height=1)
    choices: list[dict[str, Any]] = [{}, {"only_masked": True}, {"outpaint": (0, 9, 0, 0)}]
    for options in choices:
        (made,) = model.edit(tmp_path / "odd.png", PROMPT, mask=mask, steps=1, feather=0.0, **options)
        made.save(tmp_path / "out.png")
        assert verify(open_source(tmp_path / "out.png"), open_source(tmp_path / "odd.png")).intact
