"""Previews: what they look like, what they refuse, and that they leave the picture alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from benchmarks.previews import FLUX2, measure_flux2, measure_packaged
from tests.tiny_model import tiny_autoencoder, tiny_parts
from torch import Tensor

import fictile
from fictile.autoencoder import Normalisation, NormalisedAutoencoder, Tiny, TinySpec, as_kl
from fictile.checkpoint import save_autoencoder
from fictile.codec import AutoencoderCodec
from fictile.engine import Runtime
from fictile.errors import RequestError, SpaceMismatch
from fictile.latent import SPACES, Latent
from fictile.matching import open_preview
from fictile.matching.references import COMFYUI, OFFSETS
from fictile.model import Model

EXACT = Runtime(device=torch.device("cpu"), dtype=torch.float32, decode_dtype=torch.float32, threads=1)


@pytest.fixture
def model() -> Model:
    return Model(tiny_parts(), EXACT)


def test_watching_changes_no_bit_of_the_picture(model: Model, tmp_path: Path) -> None:
    save_autoencoder(tiny_parts().autoencoder, tmp_path / "vae.safetensors")
    looks: list[Tensor] = []

    def watch(index: int, level: object, x: Tensor, x0: Tensor) -> None:
        before = x0.clone()
        looks.extend(model.preview(x0, vae=vae).pixels for vae in (None, tmp_path / "vae.safetensors"))
        assert torch.equal(x0, before)

    unwatched = Model(tiny_parts(), EXACT).generate("a red fox", seed=3, count=2, sampler="euler_ancestral")
    watched = model.generate("a red fox", seed=3, count=2, sampler="euler_ancestral", callback=watch)
    assert len(looks) == 2 * model.defaults.steps
    for one, other in zip(watched, unwatched, strict=True):
        assert torch.equal(one.pixels, other.pixels)
        assert one.recipe == other.recipe


def test_a_decoder_shows_what_will_be_decoded(model: Model, tmp_path: Path) -> None:
    save_autoencoder(tiny_parts().autoencoder, tmp_path / "vae.safetensors")
    latent = Latent(torch.randn(1, 4, 6, 10), model.space, (21, 40))
    shown = model.preview(latent, vae=tmp_path / "vae.safetensors")
    assert shown.pixels.shape == (3, 21, 40)
    torch.testing.assert_close(shown.pixels, model.decode(latent).pixels, rtol=0, atol=1e-2)  # its file is in float16


def test_several_stand_on_one_sheet(model: Model) -> None:
    latents = torch.randn(3, 4, 6, 10)
    sheet = model.preview(latents).pixels
    assert sheet.shape == (3, 48, 80)
    for index, (row, column) in enumerate([(0, 0), (0, 1), (1, 0)]):
        place = sheet[:, row * 24 : row * 24 + 24, column * 40 : column * 40 + 40]
        torch.testing.assert_close(place, model.preview(latents[index : index + 1]).pixels)
    assert sheet[:, 24:, 40:].eq(1).all()


def test_what_is_too_large_to_look_at_is_shrunk(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fictile.matching.preview.LONGEST", 40)
    assert model.preview(torch.randn(4, 4, 8, 16)).pixels.shape == (3, 20, 40)


def test_refused(model: Model, tmp_path: Path) -> None:
    foreign = Latent(torch.zeros(1, 4, 8, 8), SPACES["sd1"])
    with pytest.raises(SpaceMismatch, match="sd1"):
        model.preview(foreign)
    with pytest.raises(RequestError, match="4, height, width"):
        model.preview(torch.zeros(1, 3, 8, 8))
    with pytest.raises(RequestError, match="not finite"):
        model.preview(torch.full((1, 4, 8, 8), torch.nan))
    save_autoencoder(tiny_autoencoder(stem=2), tmp_path / "other.safetensors")
    with pytest.raises(SpaceMismatch, match=r"other\.safetensors"):
        model.preview(torch.zeros(1, 4, 8, 8), vae=tmp_path / "other.safetensors")


def test_published_spaces_are_shown_by_what_is_published() -> None:
    """Without an encoder there is nothing to fit to, and nothing is needed."""
    assert set(OFFSETS) == set(COMFYUI) - {"sd1"}
    decoder = Tiny(TinySpec(encodes=False))
    codec = AutoencoderCodec(NormalisedAutoencoder(decoder, Normalisation.identity(4), "taesd", SPACES["sd1"]), EXACT)
    look = open_preview(codec)
    assert (look.r2, look.how) == (None, "by the colours that are published of sd1")
    latents = torch.zeros(1, 4, 3, 2)
    latents[0, 0] = 1.0
    shown = look(latents).pixels.mean((1, 2))
    assert torch.nn.functional.cosine_similarity(shown, torch.tensor(COMFYUI["sd1"][0]), dim=0) > 0.95
    own = AutoencoderCodec(NormalisedAutoencoder(decoder, Normalisation.identity(4), "mine"), EXACT)
    with pytest.raises(RequestError, match="Only the decoder"):
        open_preview(own)


def test_a_fit_in_a_precision_that_overflows_is_made_in_float32() -> None:
    """And the codec does not remember it: its pictures are decoded as they would have been."""
    parts = tiny_parts()
    with torch.no_grad():
        as_kl(parts.autoencoder).network.encoder.conv_in.weight *= 1e5
    codec = AutoencoderCodec(parts.autoencoder, replace(EXACT, decode_dtype=torch.float16))
    look = open_preview(codec)
    assert look(torch.randn(1, 4, 2, 2)).pixels.isfinite().all()
    assert codec.dtype == torch.float16


def test_the_packaged_model_is_recognised_in_a_preview() -> None:
    """The figures of docs/latents.md, measured again."""
    [found] = measure_packaged(fictile.load(device="cpu", precision="float32"), prompts=("a red fox",), steps=4)
    assert found.r2 == pytest.approx(0.89, abs=0.01)
    assert found.median > 19


@pytest.mark.skipif(not FLUX2.is_dir(), reason="needs taesd's weights in ../shared, beside the repository")
def test_flux2_is_recognised_in_a_preview() -> None:
    by_colours, tiny = measure_flux2(names=("dogs",), side=256, repeats=1)
    assert by_colours.median == pytest.approx(18.1, abs=0.2)
    assert tiny.median > 60
