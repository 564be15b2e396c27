"""The published figures: what others measured of the real autoencoders, twice and apart from each other."""

import pytest
import torch
from tools.matching.independent import INVOKEAI
from tools.matching.variants import rotation
from torch import Tensor

from fictile.autoencoder import KNOWN
from fictile.checkpoint.released_files import RELEASED
from fictile.latent import SPACES
from fictile.matching.colours import ACCEPT, ACCEPT_FOUR, REFUSE
from fictile.matching.references import COMFYUI, STABLE_DIFFUSION_CPP, reference


def cosine(a: Tensor, b: Tensor) -> float:
    return ((a * b).sum() / (a.norm() * b.norm())).item()


@pytest.mark.parametrize("space", COMFYUI)
def test_every_map_has_a_row_for_each_channel_and_the_two_sources_agree(space: str) -> None:
    first, second = torch.tensor(COMFYUI[space]), torch.tensor(STABLE_DIFFUSION_CPP[space])
    channels = {known.spec.channels for known in KNOWN.values() if known.space.id == space}
    assert {len(first), len(second)} == channels
    assert cosine(first, second) > 0.78  # least of wan21; the others have 0.88 and more
    found = reference(space)
    assert found is not None
    assert cosine(found, first) == pytest.approx(cosine(found, second), abs=1e-5)
    assert found.norm() == pytest.approx(first.norm().item(), rel=1e-5)


def test_the_threshold_lies_between_sources_of_one_space_and_maps_of_two() -> None:
    for space, third in INVOKEAI.items():
        own = reference(space)
        assert own is not None
        assert cosine(own, third) > ACCEPT
        for other in INVOKEAI:
            foreign = reference(other)
            if other != space and foreign is not None and len(foreign) == len(third):
                assert cosine(foreign, third) < REFUSE


@pytest.mark.parametrize("space", COMFYUI)
def test_a_random_rotation_hardly_ever_agrees(space: str) -> None:
    """Of four channels one in a thousand does, and one in twenty leaves it open."""
    own = reference(space)
    assert own is not None
    few = len(own) == 4
    found = [cosine(rotation(len(own), seed) @ own, own) for seed in range(500)]
    assert sum(figure > (ACCEPT_FOUR if few else ACCEPT) for figure in found) <= (2 if few else 0)
    assert sum(figure > REFUSE for figure in found) <= (40 if few else 1)


def test_a_space_without_published_colours_has_no_reference() -> None:
    assert reference("sana") is None


def test_hashes_are_of_known_spaces() -> None:
    assert all(len(digest) == 64 and int(digest, 16) for digest in RELEASED)
    assert {released.space for released in RELEASED.values()} <= SPACES.keys()
