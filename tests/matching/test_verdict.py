"""Words of a verdict: both sides and the remedy."""

import pytest

from fictile.latent import SPACES
from fictile.matching import SpaceDecision, Verdict
from fictile.matching.confidence import confidence, of_scale
from fictile.matching.verdict import Kind


def verdict(kind: Kind, vae_space: str | None = None, candidates: tuple[str, ...] = ()) -> Verdict:
    return Verdict(
        kind=kind,
        denoiser="model.safetensors",
        vae="vae.pt",
        denoiser_space=SPACES["sd1"],
        vae_space=SPACES[vae_space] if vae_space else None,
        confidence=0.97,
        evidence=(),
        candidates=candidates,
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (verdict("belongs", "sd1"), ["vae.pt belongs to model.safetensors", "sd1 (4 channels, 1/8)"]),
        (
            verdict("foreign", "sdxl"),
            ["works in sd1", "vae.pt speaks sdxl", "give an autoencoder of sd1", "leave it out"],
        ),
        (verdict("foreign"), ["works in sd1", "vae.pt speaks another space", "give an autoencoder of sd1"]),
        (verdict("cannot tell", candidates=("sd1", "sdxl")), ["it may be sd1 or sdxl", "look at one picture"]),
    ],
)
def test_a_sentence_names_both_sides_and_the_remedy(given: Verdict, words: list[str]) -> None:
    sentence = given.sentence()
    assert all(word in sentence for word in words), sentence
    assert sentence.count(".") == sentence.count(".pt") + sentence.count(".safetensors") + 1


def test_a_decision_says_what_it_found() -> None:
    found = SpaceDecision(vae="vae.pt", space=SPACES["sd1"], confidence=0.95, evidence=())
    assert found.sentence() == "vae.pt speaks the latent space sd1 (4 channels, 1/8), with confidence 0.95."
    none = SpaceDecision(vae="vae.pt", space=None, confidence=0.0, evidence=())
    assert "none of the published ones" in none.sentence()


def test_confidence_passes_its_two_points_and_falls_when_the_points_are_turned() -> None:
    assert confidence(0.8, refuse=0.64, accept=0.8) == pytest.approx(0.9)
    assert confidence(0.64, refuse=0.64, accept=0.8) == pytest.approx(0.1)
    assert confidence(1.0, refuse=2.0, accept=1.0) == pytest.approx(0.9)
    assert confidence(1e9, refuse=2.0, accept=1.0) == pytest.approx(0.0)
    for factor in (2.0, 0.5):
        assert of_scale(factor, refuse=2.0, accept=1.2) == pytest.approx(0.1)
    assert of_scale(0.0, refuse=2.0, accept=1.2) == 0.0
