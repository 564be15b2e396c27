"""What a weight does to the features."""

import pytest
import torch

from fictile.errors import RequestError
from fictile.text.prompt import Segment
from fictile.text.weighting import segments, weigh

FEATURES = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0)) + 0.5
WEIGHTS = [[1.0, 1.5, 0.5, 1.0], [1.0, 1.0, 1.0, 1.0]]


def test_without_norm_a_tokens_features_are_multiplied_and_nothing_else() -> None:
    weighted = weigh(FEATURES, WEIGHTS, "no_norm")
    assert torch.equal(weighted[0, 1], 1.5 * FEATURES[0, 1])
    assert torch.equal(weighted[0, 2], 0.5 * FEATURES[0, 2])
    assert torch.equal(weighted[0, ::3], FEATURES[0, ::3])
    assert torch.equal(weighted[1], FEATURES[1])


def test_the_web_uis_emphasis_keeps_the_mean_of_each_row() -> None:
    weighted = weigh(FEATURES, WEIGHTS, "a1111")
    torch.testing.assert_close(weighted.mean((1, 2)), FEATURES.mean((1, 2)))
    torch.testing.assert_close(weighted[1], FEATURES[1])
    ratio = weighted / weigh(FEATURES, WEIGHTS, "no_norm")
    torch.testing.assert_close(ratio[0], ratio[0, 0, 0].expand(4, 8))
    assert abs(ratio[0, 0, 0].item() - 1) > 1e-3


@pytest.mark.parametrize("weighting", ["a1111", "no_norm", "none"])
def test_weights_of_1_change_no_bit(weighting: str) -> None:
    assert weigh(FEATURES, [[1.0] * 4] * 2, weighting) is FEATURES


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_weighted_in_float32(dtype: torch.dtype) -> None:
    low = FEATURES.to(dtype)
    weighted = weigh(low, WEIGHTS, "a1111")
    assert weighted.dtype == dtype
    torch.testing.assert_close(weighted, weigh(low.float(), WEIGHTS, "a1111").to(dtype), rtol=0, atol=0)


def test_without_weighting_the_syntax_is_text() -> None:
    assert segments("a (red:1.3) BREAK [fox]", "none") == [[Segment("a (red:1.3) BREAK [fox]")]]
    assert len(segments("a (red:1.3) BREAK [fox]", "no_norm")) == 2


def test_an_unknown_weighting_is_refused() -> None:
    with pytest.raises(RequestError, match="Weighting 'a111' is unknown: choose a1111, no_norm, none; the nearest is"):
        segments("a fox", "a111")
