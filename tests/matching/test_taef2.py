"""The one real autoencoder of another family: FLUX.2's tiny one, told by colours that others published."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from tools.matching.variants import Matrix, MixedTiny, fine_tuned, permutation, rotation, scaling
from torch import Tensor, nn

from fictile.autoencoder import Tiny
from fictile.autoencoder.tiny import Encoder
from fictile.latent import SPACES
from fictile.matching import DenoiserSubject, VaeSubject, decide_space, match, open_vae

WEIGHTS = Path(__file__).parents[3] / "shared" / "weights" / "taesd" / "taef2_encoder.pth"

pytestmark = pytest.mark.skipif(
    not WEIGHTS.is_file(), reason="needs taesd's weights in ../shared, beside the repository"
)


class Remembered(Encoder):
    """An encoder that works once: all that is made of it here sees the same pictures."""

    def __init__(self, encoder: Encoder) -> None:
        nn.Module.__init__(self)
        self.encoder = encoder
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        for before, latents in self.seen:
            if torch.equal(before, x):
                return latents
        self.seen.append((x, self.encoder(x)))
        return self.seen[-1][1]


@cache
def taef2() -> tuple[VaeSubject, Tiny]:
    """The encoder and the decoder that lies beside it, without their hashes."""
    opened = replace(open_vae(WEIGHTS), hashes=())
    assert isinstance(opened.network, Tiny)
    assert opened.network.encoder is not None
    opened.network.encoder = Remembered(opened.network.encoder)
    return opened, opened.network


def test_its_files_are_known() -> None:
    found = decide_space(open_vae(WEIGHTS))
    assert found.space == SPACES["flux2"]
    assert "taef2_decoder.pth and taef2_encoder.pth" in found.evidence[0].says


def test_it_is_flux2_by_behaviour_and_so_it_is_with_another_decoder() -> None:
    opened, network = taef2()
    for one in (opened, replace(opened, network=fine_tuned(network, 0.1, 0))):
        found = decide_space(one)
        assert (found.space, found.confidence > 0.95) == (SPACES["flux2"], True)
        assert [evidence.source for evidence in found.evidence] == ["colours"]


@pytest.mark.parametrize(
    ("matrix", "kind"),
    [
        (rotation(32, 0), "foreign"),
        (permutation(32, 0), "foreign"),
        (scaling(32, 0.5), "foreign"),
        (scaling(32, 1.5), "cannot tell"),
    ],
    ids=["rotated", "permuted", "smaller", "larger"],
)
def test_another_space_of_its_shape_is_never_called_flux2(matrix: Matrix, kind: str) -> None:
    opened, network = taef2()
    verdict = match(
        DenoiserSubject(name="FLUX.2", space=SPACES["flux2"]), replace(opened, network=MixedTiny(network, matrix))
    )
    assert verdict.kind == kind


def test_one_half_is_enough_to_ask(tmp_path: Path) -> None:
    for half in ("encoder", "decoder"):
        alone = tmp_path / f"{half}.pth"
        alone.symlink_to(WEIGHTS.with_name(f"taef2_{half}.pth"))
        found = decide_space(replace(open_vae(alone), hashes=()))
        alone.unlink()
        assert found.space == SPACES["flux2"] or found.candidates == ("flux2",)
