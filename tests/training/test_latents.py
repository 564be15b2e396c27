"""The cache of encoded pictures."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fictile.autoencoder import KLAutoencoder, Normalisation, as_kl
from fictile.checkpoint import load_autoencoder
from fictile.errors import FictileError, RequestError
from fictile.picture import save_picture
from fictile.training.folder import Entry, Pictures
from fictile.training.latents import LatentCache

from .tiny_runs import SIZE


@pytest.fixture
def autoencoder(vae: Path) -> KLAutoencoder:
    """One that was trained a little."""
    return as_kl(load_autoencoder(vae))


@pytest.fixture
def entries(tmp_path: Path) -> Sequence[Entry]:
    """Two pictures of noise."""
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        save_picture(2 * torch.rand(3, SIZE, SIZE) - 1, path)
    return [Entry(path, ("",)) for path in paths]


def filled(folder: Path, autoencoder: KLAutoencoder, pictures: Pictures, *, flip: bool = False) -> LatentCache:
    """A cache with every picture in it."""
    cache = LatentCache(folder, autoencoder, pictures, flip=flip)
    cache.fill()
    return cache


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_cached_posterior_is_the_encoders(
    mirrored: bool, tmp_path: Path, autoencoder: KLAutoencoder, entries: Sequence[Entry]
) -> None:
    pictures = Pictures(entries, SIZE)
    cache = filled(tmp_path / "latents", autoencoder, pictures, flip=mirrored)
    cached = cache.posterior([1, 0], torch.tensor([True, True]) if mirrored else None)
    pixels = pictures.batch([1, 0])
    fresh = autoencoder.encode(pixels.flip(-1) if mirrored else pixels)
    assert cached.space == fresh.space
    torch.testing.assert_close(cached.mean, fresh.mean, rtol=2**-10, atol=1e-3)
    torch.testing.assert_close(cached.logvar, fresh.logvar, rtol=2**-10, atol=1e-3)


def test_what_must_not_be_mirrored_is_encoded_once_and_as_it_is(
    tmp_path: Path, autoencoder: KLAutoencoder, entries: Sequence[Entry]
) -> None:
    pictures = Pictures([entries[0], replace(entries[1], flip=False)], SIZE)
    cache = filled(tmp_path / "latents", autoencoder, pictures, flip=True)
    assert len(list((tmp_path / "latents").iterdir())) == 3
    both = cache.posterior([0, 0, 1, 1], torch.tensor([False, True, False, True])).mean
    assert not torch.equal(both[0], both[1])
    assert torch.equal(both[2], both[3])
    assert not pictures.mirrored([1] * 64, torch.Generator().manual_seed(0)).any()
    assert 16 < pictures.mirrored([0] * 64, torch.Generator().manual_seed(0)).sum() < 48


def test_the_key_is_made_of_all_that_shapes_the_latent(
    tmp_path: Path, autoencoder: KLAutoencoder, entries: Sequence[Entry]
) -> None:
    def key(vae: KLAutoencoder = autoencoder, size: int = SIZE, *, mirrored: bool = False) -> Path:
        return LatentCache(tmp_path, vae, Pictures(entries, size), flip=True).paths[len(entries) * mirrored]

    channels = autoencoder.space.channels
    another = KLAutoencoder(autoencoder.network, Normalisation.identity(channels), autoencoder.name)
    original = key()
    assert key() == original
    keys = {original, key(another), key(size=2 * SIZE), key(mirrored=True)}
    save_picture(torch.zeros(3, SIZE, SIZE), entries[0].path)
    assert len(keys | {key()}) == 5


def test_a_file_tells_its_vae_and_a_label_does_not(
    tmp_path: Path, autoencoder: KLAutoencoder, entries: Sequence[Entry]
) -> None:
    """Two files of one label, such as "sd1", may hold different encoders."""

    def key(content_hash: str | None) -> Path:
        labelled = KLAutoencoder(
            autoencoder.network, autoencoder.normalisation, "vae", autoencoder.space, content_hash=content_hash
        )
        return LatentCache(tmp_path, labelled, Pictures(entries, SIZE)).paths[0]

    assert len({key("one"), key("two"), key(None)}) == 3
    of_weights = key(None)
    with torch.no_grad():
        autoencoder.network.encoder.conv_in.weight[0, 0, 0, 0] += 1e-6  # less than float16 can tell
    assert key(None) != of_weights


def test_a_picture_that_cannot_be_read_is_one_sentence(tmp_path: Path, autoencoder: KLAutoencoder) -> None:
    with pytest.raises(RequestError, match=r"gone\.png cannot be read \(No such file"):
        LatentCache(tmp_path, autoencoder, Pictures([Entry(tmp_path / "gone.png", ("",))], SIZE))


def test_the_key_is_not_made_of_names(tmp_path: Path, autoencoder: KLAutoencoder, entries: Sequence[Entry]) -> None:
    before = LatentCache(tmp_path, autoencoder, Pictures(entries, SIZE)).paths
    moved = entries[0].path.rename(tmp_path / "moved.png")
    assert LatentCache(tmp_path, autoencoder, Pictures([replace(entries[0], path=moved)], SIZE)).paths == before[:1]


def test_only_a_replaced_picture_is_encoded_again(
    tmp_path: Path, autoencoder: KLAutoencoder, entries: Sequence[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = filled(tmp_path / "latents", autoencoder, Pictures(entries, SIZE)).posterior([0, 1]).mean
    save_picture(torch.zeros(3, SIZE, SIZE), entries[0].path)
    encoded = list[torch.Tensor]()
    encode = autoencoder.encode
    monkeypatch.setattr(autoencoder, "encode", lambda pixels: (encoded.append(pixels), encode(pixels))[1])  # pyright: ignore[reportUnknownLambdaType]
    after = filled(tmp_path / "latents", autoencoder, Pictures(entries, SIZE)).posterior([0, 1]).mean
    assert len(encoded) == 1
    assert not torch.equal(after[0], before[0])
    assert torch.equal(after[1], before[1])
    assert not list((tmp_path / "latents").glob(".*"))  # no half-written file


def test_a_latent_that_is_not_finite_names_its_picture(
    tmp_path: Path, autoencoder: KLAutoencoder, entries: Sequence[Entry]
) -> None:
    broken = KLAutoencoder(autoencoder.network, Normalisation.scalar(1e9, 0.0, autoencoder.space.channels), "broken")
    with pytest.raises(FictileError, match=r"The VAE makes latents of .*a\.png that are not finite"):
        filled(tmp_path / "latents", broken, Pictures(entries, SIZE))
    assert not list((tmp_path / "latents").iterdir())
