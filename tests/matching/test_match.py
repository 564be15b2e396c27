"""Pairs of a denoiser and an autoencoder: the matrix of docs/matching.md at a small size."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from tests.tiny_model import tiny_parts
from tools.matching.matrix import linear, mark, packaged
from tools.matching.variants import fine_tuned, mixed_kl, permutation, rotation, scaling

from fictile.autoencoder import as_kl
from fictile.latent import SPACES
from fictile.matching import DenoiserSubject, VaeSubject, Verdict, match
from fictile.matching.judge import REFERENCES


@cache
def emoji() -> tuple[DenoiserSubject, VaeSubject]:
    """The packaged model, and its autoencoder without a word of what it is."""
    parts = packaged()
    network = as_kl(parts.autoencoder).network
    return DenoiserSubject.of(parts), VaeSubject(
        name="vae", network=network, normalisation=parts.autoencoder.normalisation
    )


def against_emoji(network: torch.nn.Module) -> Verdict:
    """By the denoiser alone, as if the model had come without an autoencoder."""
    model, own = emoji()
    return match(replace(model, autoencoder=None), replace(own, network=network))


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
    model, own = emoji()
    assert isinstance(own.network, type(mixed_kl(own.network, torch.eye(16))))  # pyright: ignore[reportArgumentType]
    for network in (own.network, fine_tuned(as_kl(packaged().autoencoder).network, 0.1, 0)):
        verdict = match(model, replace(own, network=network))
        assert verdict.kind == "belongs"
        assert verdict.vae_space == model.space
        assert {evidence.source for evidence in verdict.evidence} == {"latents", "denoiser"}


@pytest.mark.parametrize(
    "matrix",
    [rotation(16, 0), permutation(16, 0), scaling(16, 2.0), scaling(16, 0.6)],
    ids=["rotated", "permuted", "larger", "smaller"],
)
def test_and_refuses_another_space_of_the_same_shape(matrix: torch.Tensor) -> None:
    model, own = emoji()
    verdict = match(model, replace(own, network=mixed_kl(as_kl(packaged().autoencoder).network, matrix)))
    assert verdict.kind == "foreign"
    assert "give an autoencoder of emoji-5768f860" in verdict.sentence()


def test_its_denoiser_alone_can_tell() -> None:
    network = as_kl(packaged().autoencoder).network
    assert against_emoji(network).kind == "belongs"
    two = torch.eye(16)[[0, 9, 2, 3, 4, 5, 6, 7, 8, 1, *range(10, 16)]]
    for matrix in (rotation(16, 1), two, scaling(16, 1.5)):
        assert against_emoji(mixed_kl(network, matrix)).kind == "foreign"


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


def test_another_shape_is_foreign_at_once() -> None:
    model = DenoiserSubject(name="model", space=SPACES["sd1"])
    verdict = match(model, emoji()[1])
    assert (verdict.kind, verdict.confidence) == ("foreign", 1.0)
    assert verdict.evidence[-1].source == "shape"


def test_a_false_name_is_not_believed() -> None:
    model, own = emoji()
    network = mixed_kl(as_kl(packaged().autoencoder).network, rotation(16, 2))
    verdict = match(model, replace(own, network=network, space=model.space, told="metadata"))
    assert verdict.kind == "foreign"
    assert "not believed" in verdict.evidence[0].says
