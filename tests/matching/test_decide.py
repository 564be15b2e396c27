"""Which space an autoencoder speaks, on made-up autoencoders whose truth is known."""

from dataclasses import replace

import pytest
import torch
from tests.tiny_model import tiny_autoencoder
from tools.matching.independent import INVOKEAI
from tools.matching.variants import Linear, rotation

from fictile.autoencoder import FLUX1, SD1, SD3, SDXL, KLSpec, Known
from fictile.checkpoint.released_files import RELEASED
from fictile.latent import SPACES
from fictile.matching import THRESHOLD, VaeSubject, decide_space
from fictile.matching.colours import Agreement, agreement, observe
from fictile.matching.references import reference


def made_up(known: Known, *, turned: int | None = None, factor: float = 1.0, swapped: bool = False) -> VaeSubject:
    """An autoencoder with the colours that a third source gives for the space."""
    assert isinstance(known.spec, KLSpec)
    assert known.normalisation is not None
    colours = INVOKEAI[known.space.id]
    if turned is not None:
        colours = rotation(len(colours), turned) @ colours
    if swapped:
        colours = colours[[1, 0, *range(2, len(colours))]]
    return VaeSubject(
        name=f"made up {known.space.id}",
        network=Linear(colours, known.spec, known.normalisation.scale[0] / factor, known.normalisation.shift[0]),
    )


@pytest.mark.parametrize("known", [SD1, SDXL, SD3, FLUX1], ids=lambda known: known.name)
def test_the_space_of_a_published_map_is_found_or_left_open_and_never_another(known: Known) -> None:
    found = decide_space(made_up(known))
    assert found.space == known.space or found.candidates[0] == known.space.id
    assert all(evidence.source == "colours" for evidence in found.evidence)


@pytest.mark.parametrize("known", [SD1, SDXL, SD3, FLUX1], ids=lambda known: known.name)
@pytest.mark.parametrize("seed", range(3))
def test_a_rotated_one_is_none_of_them(known: Known, seed: int) -> None:
    assert decide_space(made_up(known, turned=seed)).space is None


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_one_of_another_size_is_none_of_them(factor: float) -> None:
    assert decide_space(made_up(SD3, factor=factor)).space is None


def test_two_swapped_channels_that_look_alike_are_not_called_the_space() -> None:
    """SD1's first two channels mean nearly one thing: swapped, they agree by more than the threshold asks."""
    vae = made_up(SD1, swapped=True)
    published = reference("sd1")
    assert published is not None
    assert SD1.normalisation is not None
    found = agreement(observe(vae.network), SD1.normalisation, published)
    assert found.swap > 0.02
    assert found.confidence <= 0.5
    assert decide_space(vae).space is None


def test_latents_that_no_linear_map_reads_say_nothing_for_or_against() -> None:
    """Neither by their colours nor by their size, which is measured by these colours."""
    seen = Agreement(channels=4, colours=0.1, response=0.2, swap=0.0, scale=9.0, readable=0.3)
    assert (seen.mute, seen.shape, seen.size, seen.confidence) == (True, 0.5, 0.5, 0.5)
    assert replace(seen, readable=0.9).confidence < 0.01


def test_a_hash_of_a_released_file_decides_before_anything_is_computed() -> None:
    digest = next(digest for digest, released in RELEASED.items() if released.space == "sdxl")
    found = decide_space(replace(made_up(SD1), hashes=(digest,)))
    assert found.space == SPACES["sdxl"]
    assert [evidence.source for evidence in found.evidence] == ["hash"]


def test_the_name_of_a_trained_space_is_believed_with_its_encoder_only() -> None:
    own = tiny_autoencoder()
    subject = VaeSubject.of(own)
    found = decide_space(subject)
    assert (found.space, found.confidence > THRESHOLD) == (own.space, True)
    with torch.no_grad():
        own.network.encoder.conv_in.weight.mul_(1.5)
    changed = decide_space(subject)
    assert changed.space is None
    assert "not believed" in changed.evidence[0].says


def test_a_published_name_is_believed_unless_colours_deny_it() -> None:
    """A claim and a denial that is sure leave it open."""
    said = replace(made_up(SD3), space=SPACES["sd3"], told="metadata")
    assert decide_space(said).space == SPACES["sd3"]
    lying = replace(made_up(SD3, turned=0), space=SPACES["sd3"], told="bundle")
    assert decide_space(lying).space is None
