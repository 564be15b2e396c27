"""Pictures of 1024x1024 and thereabouts in bands, to the bound that is printed. Slow: `scripts/test -m slow`."""

from pathlib import Path

import pytest
import torch
from tests.autoencoder.tiling.test_tiling import SPECS, of_range, steep
from tests.autoencoder.twins import random_network

from fictile.autoencoder import KNOWN, KLSpec, Network, tiling
from fictile.checkpoint import open_autoencoder, read_autoencoder

pytestmark = pytest.mark.slow

WEIGHTS = Path(__file__).parents[4] / "shared" / "weights" / "taesd"


def assert_within_bound(network: Network, height: int, width: int, share: float) -> None:
    """Both halves in bands, by a plan of this share of an untiled run's memory."""
    spec = network.spec
    pixels, size = steep(height, width), (height, width)
    mean, _ = network.encode(pixels)
    decoded = network.decode(mean)
    within = int(share * tiling.untiled_memory(spec, size, torch.float32, encode=False))
    plan = tiling.make_plan(spec, size, torch.float32, encode=True, within=within)
    assert of_range(tiling.encode(network, pixels, plan)[0], mean) < tiling.ERROR_BOUND
    plan = tiling.make_plan(spec, size, torch.float32, encode=False, within=within)
    assert of_range(tiling.decode(network, mean, plan), decoded) < tiling.ERROR_BOUND


@pytest.mark.parametrize("name", SPECS)
def test_every_kind_at_odd_cells(name: str) -> None:
    spec = SPECS[name]
    side = 1024 // spec.factor
    assert_within_bound(random_network(spec), (side - 1) * spec.factor, (side - 3) * spec.factor, 0.3)


def test_the_size_of_stable_diffusion() -> None:
    assert_within_bound(random_network(KLSpec(), strength=0.01), 1024, 1016, 0.3)


@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="needs taesd's weights in ../shared, beside the repository")
def test_the_tiny_one_of_flux2() -> None:
    found = open_autoencoder(WEIGHTS / "taef2_encoder.pth")
    network = read_autoencoder(found, space=KNOWN["taef2"].space).network
    assert_within_bound(network, 1008, 1024, 0.3)
