"""Scaled dot-product attention, computed as the machine learns it fastest."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

FEW_TOKENS = 512  # below, torch's pass back in bf16 takes longer than in float32, the fewer the more


def attend(
    q: Float[Tensor, "b h t f"],
    k: Float[Tensor, "b h n f"],
    v: Float[Tensor, "b h n f"],
    *,
    causal: bool = False,
) -> Float[Tensor, "b h t f"]:
    """Softmax of q k' / sqrt(f), times v (arXiv 1706.03762, equation 1); `causal` lets a token see none behind it.

    With a gradient to come, a CPU multiplies few tokens in float32 that are given in bf16: at 64 of them torch's bf16
    takes some four times as long, there and back (`benchmarks.learning`), and rounds more often.
    """
    if q.is_cpu and q.dtype == torch.bfloat16 and torch.is_grad_enabled() and q.shape[-2] < FEW_TOKENS:
        with torch.autocast("cpu", enabled=False):
            attended = scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=causal)
        return attended.to(q.dtype)
    return scaled_dot_product_attention(q, k, v, is_causal=causal)
