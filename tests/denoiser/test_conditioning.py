import pytest
import torch

from fictile.denoiser import Added, Conditioning


def test_cat_keeps_the_order_and_the_added_part() -> None:
    one = Conditioning(torch.zeros(1, 5, 6), Added(torch.zeros(1, 3), torch.zeros(1, 2)))
    two = Conditioning(torch.ones(2, 5, 6), Added(torch.ones(2, 3), torch.ones(2, 2)))
    both = Conditioning.cat([one, two])
    assert len(both) == 3
    assert both.context[:, 0, 0].tolist() == [0, 1, 1]
    assert both.added is not None
    assert both.added.pooled[:, 0].tolist() == both.added.sizes[:, 0].tolist() == [0, 1, 1]


def test_cat_refuses_a_mixture() -> None:
    plain = Conditioning(torch.zeros(1, 5, 6))
    with pytest.raises(ValueError, match="1 of 2 conditionings have an added part"):
        Conditioning.cat([plain, Conditioning(plain.context, Added(torch.zeros(1, 3), torch.zeros(1, 2)))])


def test_repeat_is_for_a_batch() -> None:
    repeated = Conditioning(torch.randn(1, 5, 6)).repeat(3)
    assert repeated.context.shape == (3, 5, 6)
    assert repeated.added is None
