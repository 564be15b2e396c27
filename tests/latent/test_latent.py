"""A latent knows its space and mixes with no other."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fictile.errors import RequestError, SpaceMismatch
from fictile.latent import Latent, LatentSpace

SPACE = LatentSpace(id="a", channels=2, factor=8)
OTHERS = [
    LatentSpace(id="b", channels=2, factor=8),
    LatentSpace(id="a", channels=2, factor=4),
]


def latent(seed: int = 0, *, count: int = 3, space: LatentSpace = SPACE, vae: str | None = "abc") -> Latent:
    data = torch.randn(count, space.channels, 4, 5, generator=torch.Generator().manual_seed(seed))
    return Latent(data, space, (32, 40), vae)


@given(weight=st.floats(-3, 3), divisor=st.floats(0.1, 10))
def test_arithmetic_is_that_of_the_tensors(weight: float, divisor: float) -> None:
    a, b = latent(1), latent(2)
    blend = (a * weight + (1 - weight) * b - a) / divisor
    torch.testing.assert_close(blend.data, (a.data * weight + b.data * (1 - weight) - a.data) / divisor)
    assert (blend.space, blend.size, blend.vae) == (SPACE, (32, 40), "abc")


def test_one_latent_combines_with_many() -> None:
    many, one = latent(1), latent(2, count=1)
    assert torch.equal((many - one).data, many.data - one.data)
    assert torch.equal((one - many).data, one.data - many.data)


def test_a_mixture_of_two_autoencoders_claims_neither() -> None:
    assert (latent(1, vae="abc") + latent(2, vae="def")).vae is None


@pytest.mark.parametrize("other", OTHERS)
def test_spaces_do_not_mix(other: LatentSpace) -> None:
    for combine in (Latent.__add__, Latent.__sub__):
        with pytest.raises(SpaceMismatch) as caught:
            combine(latent(), latent(space=other))
        assert str(SPACE) in str(caught.value)
        assert str(other) in str(caught.value)
    with pytest.raises(SpaceMismatch):
        latent().check(other)


def test_check_accepts_its_own_space() -> None:
    latent().check(LatentSpace(id="a", channels=2, factor=8))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RequestError, match="one size"):
        _ = latent() + Latent(torch.zeros(3, 2, 4, 6), SPACE)
    with pytest.raises(RequestError, match="as many"):
        _ = latent(count=3) + latent(count=2)
    with pytest.raises(RequestError, match=r"\(1, 3, 4, 4\)"):
        Latent(torch.zeros(1, 3, 4, 4), SPACE)


def test_indexing_and_iteration_keep_the_batch() -> None:
    whole = latent()
    assert len(whole) == 3
    assert torch.equal(whole[-1].data, whole.data[2:])
    assert torch.equal(whole[1:].data, whole.data[1:])
    assert torch.equal(torch.cat([one.data for one in whole]), whole.data)
    assert all((one.space, one.size, one.vae, len(one)) == (SPACE, (32, 40), "abc", 1) for one in whole)
    with pytest.raises(IndexError):
        whole[3]


def test_to_changes_precision() -> None:
    half = latent().to("cpu", torch.float16)
    assert half.data.dtype == torch.float16
    assert half.space == SPACE
