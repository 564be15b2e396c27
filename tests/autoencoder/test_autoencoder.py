"""The autoencoder: normalised exactly once, and careful about what it is given."""

from collections.abc import Iterator
from dataclasses import replace

import jaxtyping
import pytest
import torch
from torch import Tensor

from fictile.autoencoder import KL, KNOWN, Autoencoder, KLAutoencoder, KLSpec, Normalisation, encoder_hash
from fictile.autoencoder.known import FLUX2_PATCH
from fictile.errors import RequestError, SpaceMismatch
from fictile.latent import SPACES, Latent, LatentSpace

SPEC = KLSpec(widths=(8, 16), layers=1, channels=3, groups=4)
NORMALISATION = Normalisation((0.5, 2.0, -3.0), (1.0, -0.25, 0.0))


@pytest.fixture
def no_shape_checker() -> Iterator[None]:
    """Users have none, so their mistakes must be caught by the code itself."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def autoencoder() -> KLAutoencoder:
    return make_autoencoder()


def make_autoencoder(
    normalisation: Normalisation = NORMALISATION, *, space: LatentSpace | None = None
) -> KLAutoencoder:
    torch.manual_seed(0)
    return KLAutoencoder(KL(SPEC), normalisation, "test", space, content_hash="abc")


def picture(height: int = 8, width: int = 6) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def per_channel(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values)[:, None, None]


def test_encode_normalises_exactly_once(autoencoder: KLAutoencoder) -> None:
    raw_mean, raw_logvar = autoencoder.network.encode(picture())
    posterior = autoencoder.encode(picture())
    scale, shift = per_channel(NORMALISATION.scale), per_channel(NORMALISATION.shift)
    torch.testing.assert_close(posterior.mean, (raw_mean - shift) * scale)
    torch.testing.assert_close(posterior.logvar.exp(), raw_logvar.exp() * scale**2)


def test_decode_undoes_it_exactly_once(autoencoder: KLAutoencoder) -> None:
    pixels = autoencoder.decode(autoencoder.encode(picture()).mode())
    torch.testing.assert_close(pixels, autoencoder.network(picture()))


def test_pictures_do_not_depend_on_the_normalisation(autoencoder: KLAutoencoder) -> None:
    plain = make_autoencoder(Normalisation.identity(3))
    expected = plain.decode(plain.encode(picture()).mode())
    torch.testing.assert_close(autoencoder.decode(autoencoder.encode(picture()).mode()), expected)


def test_latents_know_where_they_come_from(autoencoder: KLAutoencoder) -> None:
    latent = autoencoder.encode(picture()).mode()
    assert (latent.space, latent.size, latent.vae) == (autoencoder.space, (8, 6), "abc")
    assert latent.data.shape == (2, 3, 4, 3)


def test_samples_have_the_mean_and_variance_of_the_posterior(autoencoder: KLAutoencoder) -> None:
    posterior = autoencoder.encode(picture()[:1])
    means, logvars = (moment.expand(20_000, -1, -1, -1) for moment in (posterior.mean, posterior.logvar))
    many = replace(posterior, mean=means, logvar=logvars)
    data = many.sample(torch.Generator().manual_seed(0)).data
    std = (posterior.logvar[0] / 2).exp()
    torch.testing.assert_close((data.mean(0) - posterior.mean[0]) / std, torch.zeros_like(std), atol=0.04, rtol=0)
    torch.testing.assert_close(data.std(0) / std, torch.ones_like(std), atol=0.03, rtol=0)


def test_the_same_generator_draws_the_same_sample(autoencoder: KLAutoencoder) -> None:
    posterior = autoencoder.encode(picture())
    first, second, other = (posterior.sample(torch.Generator().manual_seed(seed)).data for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inside_is_float32_outside(autoencoder: KLAutoencoder, dtype: torch.dtype) -> None:
    expected = autoencoder.encode(picture()).mean
    autoencoder.network.to(dtype)
    latent = autoencoder.encode(picture()).mode()
    pixels = autoencoder.decode(latent)
    assert latent.data.dtype == pixels.dtype == torch.float32
    assert pixels.isfinite().all()
    torch.testing.assert_close(latent.data, expected, atol=0.05, rtol=0.05)


@pytest.mark.usefixtures("no_shape_checker")
@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (picture(7, 6), "6x7.*multiples of 2.*6x6"),
        (picture(1, 1), "resize it to 2x2"),
        (picture()[:, :1], r"\(2, 1, 8, 6\)"),
        (picture()[0], r"\(3, 8, 6\)"),
        (picture()[:0], r"\(0, 3, 8, 6\)"),
        (picture().byte(), "uint8"),
        (picture() / 0, "not numbers"),
        (picture().log(), "not numbers"),
    ],
)
def test_encode_refuses(autoencoder: KLAutoencoder, pixels: Tensor, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        autoencoder.encode(pixels)


@pytest.mark.parametrize(
    "other",
    [
        LatentSpace(id="sd1", channels=3, factor=2),  # fits the network, but means something else
        KNOWN["sd1"].space,
        KNOWN["flux1"].space,
    ],
)
def test_decode_refuses_another_space_before_any_compute(
    autoencoder: KLAutoencoder, other: LatentSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def computed(_: Tensor) -> Tensor:
        raise AssertionError("the network was run")

    monkeypatch.setattr(autoencoder.network, "decode", computed)
    latent = Latent(torch.zeros(1, other.channels, 2, 2), other)
    with pytest.raises(SpaceMismatch) as caught:
        autoencoder.decode(latent)
    assert str(other) in str(caught.value)
    assert str(autoencoder.space) in str(caught.value)
    assert f"decode it with the autoencoder of {other.id}" in str(caught.value)


def test_the_parts_must_fit_each_other() -> None:
    with pytest.raises(RequestError, match="2 channels"):
        make_autoencoder(Normalisation.identity(2))
    with pytest.raises(RequestError, match="sdxl"):
        make_autoencoder(space=KNOWN["sdxl"].space)


def test_a_given_space_is_kept() -> None:
    space = LatentSpace(id="mine", channels=3, factor=2)
    built: Autoencoder = make_autoencoder(space=space)
    assert built.space == space


def test_a_fine_tuned_decoder_keeps_its_space(autoencoder: KLAutoencoder) -> None:
    for parameter in (*autoencoder.network.decoder.parameters(), *autoencoder.network.post_quant_conv.parameters()):
        parameter.data.add_(1)
    assert make_autoencoder().space == KLAutoencoder(autoencoder.network, NORMALISATION, "test").space


@pytest.mark.parametrize(
    "name", ["encoder.conv_in.weight", "encoder.mid_block.attentions.0.to_q.bias", "quant_conv.bias"]
)
def test_a_changed_encoder_makes_another_space(autoencoder: KLAutoencoder, name: str) -> None:
    autoencoder.network.get_parameter(name).data.add_(0.01)
    assert make_autoencoder().space != KLAutoencoder(autoencoder.network, NORMALISATION, "test").space


def test_a_changed_normalisation_makes_another_space() -> None:
    assert make_autoencoder().space != make_autoencoder(Normalisation.identity(3)).space


def test_the_hash_survives_half_precision_and_memory_formats() -> None:
    network = make_autoencoder().network
    before = encoder_hash(network, NORMALISATION)
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # torch's stubs forget this overload
    assert encoder_hash(network.half().float(), NORMALISATION) == before
    assert len(before) == 8


def test_known_presets_are_consistent() -> None:
    for name, known in KNOWN.items():
        assert known.name == name
        assert known.space == SPACES[known.space.id]
        patch = known.normalisation.patch if known.normalisation else FLUX2_PATCH
        assert (known.space.channels, known.space.factor) == (known.spec.channels * patch**2, known.spec.factor * patch)
        assert known.normalisation is None or known.normalisation.channels == known.space.channels


def test_every_space_has_an_autoencoder() -> None:
    assert {known.space.id for known in KNOWN.values()} == set(SPACES)
