"""One latent through several decoders: its own, one of the same sizes, and one that cannot read it."""

from dataclasses import replace

import pytest
import torch
from tests.tiny_model import NORMALISATION, tiny_autoencoder

from fictile.autoencoder import KL, NormalisedAutoencoder
from fictile.codec import AutoencoderCodec
from fictile.engine import choose_runtime
from fictile.errors import RequestError
from fictile.fidelity import mismatch
from fictile.latent import LatentSpace
from fictile.picture import Picture, gallery

RUNTIME = choose_runtime("cpu", "float32")


def codec(space: str | None = None, *, stem: int = 1) -> AutoencoderCodec:
    """The tiny autoencoder; in a space of that name, if one is given."""
    torch.manual_seed(len(space or ""))
    own = tiny_autoencoder(stem=stem)
    if space is None:
        return AutoencoderCodec(own, RUNTIME)
    sizes = LatentSpace(id=space, channels=own.space.channels, factor=own.space.factor)
    other = NormalisedAutoencoder(KL(replace(own.network.spec)).eval(), NORMALISATION, space, sizes)
    return AutoencoderCodec(other, RUNTIME)


def test_each_decoder_gets_the_same_latent() -> None:
    picture = Picture(torch.rand(3, 24, 40) * 2 - 1)
    right = codec()
    given, own, foreign, smaller = mismatch(
        picture, [("own", right), ("foreign", codec("elsewhere")), ("smaller", codec("smaller", stem=2))]
    )
    assert torch.equal(given.picture.pixels if given.picture else torch.empty(0), picture.pixels)
    assert own.picture is not None
    assert foreign.picture is not None
    assert torch.equal(own.picture.pixels, right.decode(right.encode(picture)).pixels)
    assert not torch.equal(own.picture.pixels, foreign.picture.pixels)
    assert (own.says, foreign.says) == ("its own", "of elsewhere")
    assert own.line().endswith(" dB")
    assert smaller.picture is None
    assert "reads smaller (4 channels, 1/8), and cannot read this latent of tiny" in smaller.line()


def test_one_autoencoder_is_refused() -> None:
    with pytest.raises(RequestError, match="name two or more"):
        mismatch(Picture(torch.zeros(3, 24, 40)), [("own", codec())])


def test_a_gallery_has_a_cell_for_each() -> None:
    red = Picture(torch.tensor([1.0, -1.0, -1.0])[:, None, None].expand(3, 20, 40))
    sheet = gallery([(red, "a", "b"), (None, "c", "nothing here"), (red, "d", "e")], side=64, columns=2)
    assert sheet.width == 2 * (64 + 12) + 12
    cells = sheet.pixels[:, 12 + 22 : 12 + 42, 12 : 12 + 64]
    assert (cells[0] > 0.9).all()
    assert (cells[1:, :, 2:-2] < 0).float().mean() > 0.6, "the first cell shows the picture, in the middle"
