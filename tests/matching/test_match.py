"""Pairs of a denoiser and an autoencoder: the matrix of docs/matching.md at a small size."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from tests.matching.test_decide import made_up
from tests.tiny_model import tiny_parts
from tools.matching.matrix import linear, mark, packaged
from tools.matching.variants import fine_tuned, mixed_kl, permutation, rotation, scaling

from fictile.autoencoder import FLUX1, KL, as_kl
from fictile.latent import SPACES
from fictile.matching import DenoiserSubject, VaeSubject, Verdict, match
from fictile.matching.judge import REFERENCES


@cache
def emoji() -> tuple[DenoiserSubject, VaeSubject, KL]:
    """The packaged model, its autoencoder without a word of what it is, and the network of that."""
    parts = packaged()
    network = as_kl(parts.autoencoder).network
    vae = VaeSubject(name="vae", network=network, normalisation=parts.autoencoder.normalisation)
    return DenoiserSubject.of(parts), vae, network


def by_its_denoiser(matrix: torch.Tensor) -> Verdict:
    """As if the model had come without an autoencoder: its own one, with its latents mixed, is judged."""
    model, own, network = emoji()
    return match(replace(model, autoencoder=None), replace(own, network=mixed_kl(network, matrix)))


def by_its_autoencoder(matrix: torch.Tensor) -> Verdict:
    """As if nobody could ask the denoiser."""
    model, own, network = emoji()
    return match(replace(model, denoiser=None), replace(own, network=mixed_kl(network, matrix)))


def test_made_up_autoencoders_against_published_spaces() -> None:
    """None is wrong, and most are right."""
    cells = [
        mark(match(DenoiserSubject(name=space, space=SPACES[space]), candidate.vae), candidate.truth)
        for candidate in linear()
        for space in ("sd1", "sdxl", "sd3", "flux1", "flux2")
    ]
    assert len(cells) == 40
    assert not [cell for cell in cells if "WRONG" in cell]
    assert cells.count("open") <= 4


def test_the_packaged_model_knows_its_own_autoencoder_whatever_its_decoder() -> None:
    model, own, network = emoji()
    verdict = match(model, replace(own, network=fine_tuned(network, 0.1, 0)))
    assert verdict.kind == "belongs"
    assert verdict.vae_space == model.space
    assert {evidence.source for evidence in verdict.evidence} == {"latents", "denoiser"}


@pytest.mark.parametrize(
    "matrix",
    [rotation(16, 0), permutation(16, 0), scaling(16, 2.0), scaling(16, 0.6)],
    ids=["rotated", "permuted", "larger", "smaller"],
)
def test_its_autoencoder_alone_refuses_another_space_of_the_same_shape(matrix: torch.Tensor) -> None:
    verdict = by_its_autoencoder(matrix)
    assert (verdict.kind, [evidence.source for evidence in verdict.evidence]) == ("foreign", ["latents"])
    assert "give an autoencoder of emoji-5768f860" in verdict.sentence()


def test_its_denoiser_alone_can_tell() -> None:
    two = torch.eye(16)[[0, 9, 2, 3, 4, 5, 6, 7, 8, 1, *range(10, 16)]]
    assert by_its_denoiser(torch.eye(16)).kind == "belongs"
    for matrix in (rotation(16, 1), two, scaling(16, 1.5)):
        assert by_its_denoiser(matrix).kind == "foreign"


def test_a_denoiser_that_was_not_measured_informs_and_decides_nothing() -> None:
    parts = tiny_parts()
    model = replace(DenoiserSubject.of(parts), autoencoder=None)
    assert parts.denoiser.space.id not in REFERENCES
    own = parts.autoencoder
    verdict = match(model, VaeSubject(name="vae", network=own.network, normalisation=own.normalisation))
    assert verdict.kind == "cannot tell"
    [evidence] = verdict.evidence
    assert (evidence.source, evidence.weight) == ("denoiser", 0.0)
    assert "has not been measured" in evidence.says


def test_spaces_that_colours_deny_are_no_candidates() -> None:
    verdict = match(DenoiserSubject(name="model", space=SPACES["flux1"]), made_up(FLUX1))
    assert (verdict.kind, verdict.candidates) == ("cannot tell", ("flux1",))


def test_another_shape_is_foreign_at_once() -> None:
    model = DenoiserSubject(name="model", space=SPACES["sd1"])
    verdict = match(model, emoji()[1])
    assert (verdict.kind, verdict.confidence) == ("foreign", 1.0)
    assert verdict.evidence[-1].source == "shape"


def test_a_false_name_is_not_believed() -> None:
    model, own, network = emoji()
    turned = mixed_kl(network, rotation(16, 2))
    verdict = match(replace(model, denoiser=None), replace(own, network=turned, space=model.space, told="metadata"))
    assert verdict.kind == "foreign"
    assert "not believed" in verdict.evidence[0].says
