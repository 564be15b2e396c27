"""A prompt becomes a picture: with a tiny model whose weights are random and whose behaviour is not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.tiny_model import EXACT, tiny_folder, tiny_parts
from torch import Tensor

from fictile.autoencoder import PrecisionMemory, as_kl
from fictile.denoiser import Guidance
from fictile.engine import Runtime
from fictile.errors import FictileError, RequestError, SpaceMismatch
from fictile.latent import Latent, LatentSpace
from fictile.loading import load
from fictile.model import Model
from fictile.picture import to_uint8
from fictile.sampling import SAMPLERS
from fictile.schedule import Flow, Level

CPU = torch.device("cpu")


@pytest.fixture
def model() -> Model:
    return Model(tiny_parts(), EXACT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_folder(tmp_path / "tiny")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """30x21 pixels (width x height): no multiple of anything."""
    path = tmp_path / "photo.png"
    Image.radial_gradient("L").resize((30, 21)).convert("RGB").save(path)
    return path


def levels_apart(a: Tensor, b: Tensor) -> int:
    """The largest difference of two pictures, of 255."""
    return int(abs(to_uint8(a).astype(int) - to_uint8(b).astype(int)).max())


def test_a_prompt_becomes_pictures_of_the_models_size(model: Model) -> None:
    pictures = model.generate("a red fox", seed=5, count=2)
    assert [picture.pixels.shape for picture in pictures] == [(3, 32, 32)] * 2
    assert [(picture.recipe.seed, picture.recipe.index) for picture in pictures] == [(5, 0), (6, 1)]
    assert all(picture.pixels.abs().max() <= 1 for picture in pictures)
    assert levels_apart(pictures[0].pixels, pictures[1].pixels) > 0
    assert pictures[0].latent.space == model.space


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("flow", [False, True])
def test_a_batch_of_four_equals_four_single_runs(sampler: str, flow: bool) -> None:
    parts = tiny_parts(schedule=Flow(), prediction="flow") if flow else tiny_parts(prediction="v")
    model = Model(parts, EXACT)
    together = model.generate("a red fox", negative="blue", seed=3, count=4, steps=3, sampler=sampler)
    for index, picture in enumerate(together):
        (alone,) = model.generate("a red fox", negative="blue", seed=3 + index, steps=3, sampler=sampler)
        torch.testing.assert_close(picture.latent.data, alone.latent.data, rtol=0, atol=1e-4)
        assert levels_apart(picture.pixels, alone.pixels) <= 1


def test_the_prompt_the_negative_and_the_guidance_all_matter(model: Model) -> None:
    def latent(prompt: str, **options: Any) -> Tensor:
        return model.generate(prompt, seed=1, steps=2, **options)[0].latent.data

    plain = latent("a red fox")
    assert torch.equal(plain, latent("a red fox"))
    for other in (latent("a house"), latent("a red fox", negative="red"), latent("a red fox", guidance=1.5)):
        assert not torch.equal(plain, other)
    limited = Guidance(scale=3.0, interval=(0.2, 0.4))
    assert not torch.equal(plain, latent("a red fox", guidance=limited))
    assert model.generate("a red fox", guidance=limited, steps=1)[0].recipe.guidance_interval == (0.2, 0.4)


def test_a_seed_that_is_not_given_is_drawn_and_recorded(model: Model) -> None:
    (first,) = model.generate("a red fox", steps=1)
    (second,) = model.generate("a red fox", steps=1)
    assert first.recipe.seed != second.recipe.seed
    assert torch.equal(model.generate("a red fox", steps=1, seed=first.recipe.seed)[0].pixels, first.pixels)


def test_names_of_other_tools_are_taken(model: Model) -> None:
    (picture,) = model.generate("a red fox", steps=1, sampler="DPM++ 2M SDE Exponential")
    assert (picture.recipe.sampler, picture.recipe.schedule) == ("dpmpp_2m_sde", "exponential")
    (picture,) = model.generate("a red fox", steps=1, schedule="Automatic")
    assert picture.recipe.schedule == model.defaults.schedule


def test_a_prompt_that_no_file_can_hold_is_saved_as_the_tokenizer_read_it(folder: Path, tmp_path: Path) -> None:
    model = load(folder, runtime=EXACT)
    (picture,) = model.generate("a fox\udc80", negative="\udcff", steps=1)
    picture.save(tmp_path / "fox.png")
    assert (picture.recipe.prompt, picture.recipe.negative) == ("a fox?", "?")
    assert torch.equal(model.replay(tmp_path / "fox.png").pixels, picture.pixels)


def test_brackets_weight_words_unless_they_are_to_be_text(model: Model) -> None:
    for network in model.text.networks:  # a mean of 0 could not be restored
        network.text_model.final_layer_norm.bias.fill_(0.5)

    def latent(prompt: str, **options: Any) -> Tensor:
        return model.generate(prompt, seed=1, steps=1, **options)[0].latent.data

    plain = latent("a red fox")
    assert torch.equal(latent("a (red:1) fox"), plain)
    assert torch.equal(latent("a red fox", weighting="none"), plain)
    weighted = latent("a (red:1.5) fox")
    assert not torch.equal(weighted, plain)
    assert not torch.equal(latent("a (red:1.5) fox", weighting="no_norm"), weighted)
    assert torch.equal(latent("(fox)", weighting="none"), latent(r"\(fox\)"))
    assert not torch.equal(latent("a fox BREAK a leaf"), latent("a fox a leaf"))


def test_tokens_are_counted_as_the_model_reads_them(model: Model) -> None:
    read = model.count_tokens("a (red:1.5) fox")
    assert (read.tokens, len(read.chunks), read.room) == (model.count_tokens("a red fox").tokens, 1, 12)
    assert [(segment.text, segment.weight) for segment in read.weighted] == [("red", 1.5)]
    assert model.count_tokens("a (red:1.5) fox", weighting="none").tokens > read.tokens
    with pytest.raises(RequestError, match=r"The prompt has \d+ tokens, this model takes 12"):
        model.count_tokens("fox " * 50)


BAD_ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"prompt": " \n"}, "The prompt is empty"),
    ({"prompt": "fox " * 50}, r"The prompt has \d+ tokens, this model takes 12"),
    ({"negative": "fox " * 50}, r"The prompt has \d+ tokens"),
    ({"size": (36, 32)}, "is 32x36, but tiny makes multiples of 8; choose 32x32 or 32x40"),
    ({"size": (0, 32)}, "choose 32x8"),
    ({"steps": 0}, "0 steps"),
    ({"steps": -3}, "-3 steps"),
    ({"count": 0}, "0 pictures"),
    ({"guidance": float("nan")}, "guidance is nan"),
    ({"sampler": "eulr"}, "nearest is 'euler'"),
    ({"schedule": "caras"}, "nearest is 'karras'"),
    ({"weighting": "a111"}, "Weighting 'a111' is unknown: choose a1111, no_norm, none; the nearest is 'a1111'"),
    ({"clip_skip": 0}, "Clip skip 0 is out of range: give 1"),
    ({"clip_skip": 2}, "Clip skip 2 is out of range: give 1 .* to 1 "),
    ({"prompt": "a fox BREAK " + "fox " * 50}, r"The prompt has \d+ tokens, this model takes 12"),
    ({"seed": -1}, "Seed -1"),
    ({"seed": 2**63 - 1, "count": 2}, "is out of range"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD_ARGUMENTS)
def test_a_bad_argument_is_refused_before_anything_is_computed(
    model: Model, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], sentence: str
) -> None:
    def fail(*_: object) -> None:
        pytest.fail("something was computed")

    for network in (model.denoiser.network, *model.text.networks, model.autoencoder.network):
        monkeypatch.setattr(network, "forward", fail)
    defaults: dict[str, Any] = {"prompt": "a red fox"}
    with pytest.raises(RequestError, match=sentence) as refused:
        model.generate(**defaults | arguments)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_a_strength_out_of_range_is_refused(model: Model, photo: Path, strength: float) -> None:
    with pytest.raises(RequestError, match="Strength"):
        model.generate("a red fox", init=photo, strength=strength)


def test_a_picture_to_start_from_keeps_its_size_and_shortens_the_way(model: Model, photo: Path) -> None:
    seen: list[Level] = []

    def note(_index: int, level: Level, _x: Tensor, _x0: Tensor) -> None:
        seen.append(level)

    (picture,) = model.generate("a red fox", init=photo, strength=0.5, seed=1, steps=8, sampler="euler", callback=note)
    assert picture.pixels.shape == (3, 21, 30)
    assert len(seen) == 4
    assert seen[0].alpha > 0.1
    with pytest.raises(RequestError, match="The size is 32x32, but the picture to start from is 30x21"):
        model.generate("a red fox", init=photo, size=(32, 32))


def test_less_strength_stays_closer_to_the_picture(photo: Path) -> None:
    model = Model(tiny_parts(schedule=Flow(), prediction="flow"), EXACT)
    original = model.encode(photo).data
    distances = [
        (model.generate("a fox", init=photo, strength=s, seed=1, steps=10)[0].latent.data[..., :6, :8] - original)
        .square()
        .mean()
        .item()
        for s in (0.1, 0.5, 1.0)
    ]
    assert distances == sorted(distances)


def test_pictures_of_any_size_go_through_the_latent_space(model: Model, photo: Path) -> None:
    latent = model.encode(photo)
    assert (latent.data.shape, latent.size) == ((1, 4, 6, 8), (21, 30))
    assert latent.data.dtype == torch.float32
    picture = model.decode(latent)
    assert (picture.height, picture.width) == (21, 30)
    free = Latent(latent.data, latent.space)
    assert model.decode(free).pixels.shape == (3, 24, 32)


def test_a_latent_says_which_autoencoder_made_it(folder: Path, photo: Path) -> None:
    model = load(folder, runtime=EXACT)
    assert model.hashes
    assert model.encode(photo).vae == model.hashes.vae
    assert model.generate("a red fox", steps=1)[0].latent.vae == model.hashes.vae


def test_a_latent_that_cannot_be_decoded_is_refused(model: Model) -> None:
    zeros = torch.zeros(1, 4, 4, 4)
    with pytest.raises(SpaceMismatch, match="lives in other"):
        model.decode(Latent(zeros, LatentSpace(id="other", channels=4, factor=4)))
    with pytest.raises(RequestError, match="holds 2 pictures"):
        model.decode(Latent(zeros.repeat(2, 1, 1, 1), model.space))
    with pytest.raises(RequestError, match="not finite"):
        model.decode(Latent(zeros * float("nan"), model.space))


def overflowing(bias: float) -> Callable[[Runtime], Model]:
    """A model whose decoder passes a value through that float16 (up to 65504) may not hold."""

    def make(runtime: Runtime) -> Model:
        parts = tiny_parts()
        with torch.no_grad():
            as_kl(parts.autoencoder).network.decoder.get_parameter("conv_in.bias")[0] = bias
        return Model(parts, runtime)

    return make


def test_a_decode_that_overflows_is_done_again_one_step_wider_and_recorded() -> None:
    model = overflowing(1e6)(replace(EXACT, decode_dtype=torch.float16))
    (picture,) = model.generate("a red fox", steps=1, seed=0)
    assert picture.recipe.notes == ("decoded in bf16, because fp16 overflowed",)
    wider = overflowing(1e6)(replace(EXACT, decode_dtype=torch.bfloat16)).decode(picture.latent)
    assert torch.equal(picture.pixels, wider.pixels)


def test_an_overflow_is_said_once_and_remembered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory = PrecisionMemory(tmp_path / "precision.json")
    parts = tiny_parts()
    with torch.no_grad():
        as_kl(parts.autoencoder).network.decoder.get_parameter("conv_in.bias")[0] = 1e6
    parts.autoencoder.content_hash = "f00d"
    half = replace(EXACT, decode_dtype=torch.float16)
    model = Model(parts, half, memory=memory)
    latent = Latent(torch.zeros(1, 4, 8, 8), model.space, (32, 32))
    model.decode(latent)
    assert caplog.messages == ["The picture was decoded in bf16, because fp16 overflowed."]
    model.decode(latent)
    pictures = model.generate("a red fox", steps=1, seed=0, count=2)
    assert len(caplog.messages) == 1
    assert [(picture.recipe.decode_precision, picture.recipe.notes) for picture in pictures] == [("bf16", ())] * 2
    for again, dtype in ((Model(parts, half, memory=memory), torch.bfloat16), (Model(parts, half), torch.float16)):
        assert next(again.autoencoder.network.parameters()).dtype == dtype


def test_pictures_made_together_begin_in_one_precision(tmp_path: Path) -> None:
    parts = tiny_parts()
    with torch.no_grad():
        as_kl(parts.autoencoder).network.decoder.get_parameter("conv_in.bias")[0] = 1e6
    parts.autoencoder.content_hash = "f00d"
    half = replace(EXACT, decode_dtype=torch.float16)
    model = Model(parts, half, memory=PrecisionMemory(tmp_path / "precision.json"))
    pictures = model.generate("a red fox", steps=1, seed=0, count=2)
    noted = ("decoded in bf16, because fp16 overflowed",)
    assert [(picture.recipe.decode_precision, picture.recipe.notes) for picture in pictures] == [("fp16", noted)] * 2


def test_a_decode_that_overflows_even_so_is_a_failure() -> None:
    with pytest.raises(FictileError, match="overflows even in float32"):
        overflowing(float("inf"))(EXACT).generate("a red fox", steps=1)


@pytest.mark.parametrize(("dtype", "advice"), [(torch.bfloat16, "precision float32"), (torch.float32, "lower the")])
def test_a_latent_that_is_not_finite_is_a_failure(dtype: torch.dtype, advice: str) -> None:
    model = Model(tiny_parts(), replace(EXACT, dtype=dtype))
    with torch.no_grad():
        model.denoiser.network.get_parameter("conv_out.bias")[0] = float("nan")
    with pytest.raises(FictileError, match=advice) as failed:
        model.generate("a red fox", steps=1)
    assert not isinstance(failed.value, RequestError)


def test_a_model_leaves_the_networks_it_was_made_of_alone() -> None:
    parts = tiny_parts()
    model = Model(parts, replace(EXACT, dtype=torch.bfloat16, decode_dtype=torch.bfloat16))
    assert model.denoiser.network.conv_in.weight.dtype == torch.bfloat16
    for network in (parts.denoiser.network, *parts.text.networks, parts.autoencoder.network):
        assert {(weight.dtype, weight.requires_grad) for weight in network.parameters()} == {(torch.float32, True)}


def test_threads_are_those_of_the_runtime_and_given_back() -> None:
    before = torch.get_num_threads()
    model = Model(tiny_parts(), replace(EXACT, threads=before + 1))
    seen: list[int] = []

    def note(*_: object) -> None:
        seen.append(torch.get_num_threads())

    model.generate("a red fox", steps=1, callback=note)
    assert (seen, torch.get_num_threads()) == ([before + 1], before)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"is no model folder"):
        load(tmp_path)
    with pytest.raises(RequestError, match="o device 'abacus'"):
        load(tmp_path, device="abacus")
