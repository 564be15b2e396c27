"""The text transformer of CLIP (arXiv 2103.00020, section 2.4).

Parameters are named as in transformers' `CLIPTextModelWithProjection`, so that published weights load as they are.
(transformers 5 writes a `CLIPTextModel`, the one without a projection, without the prefix `text_model.`.)
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import gelu

from fictile.attention import attend
from fictile.text.spec import TextSpec


@dataclass(frozen=True, kw_only=True)
class TextOutput:
    """What the transformer makes of a batch of token ids."""

    hidden_states: tuple[Float[Tensor, "b n d"], ...]  # the embedding, then every layer's output; none is normed
    last: Float[Tensor, "b n d"]  # the last of them after the final norm
    pooled: Float[Tensor, "b p"]  # `last` at the first end token, projected when there is a projection


class TextTransformer(nn.Module):
    """Token ids -> features. A token sees only itself and the ones before it."""

    def __init__(self, spec: TextSpec) -> None:
        super().__init__()
        self.spec = spec
        self.text_model = _Tower(spec)
        self.text_projection = (
            _linear(spec.width, spec.projection, std=spec.width**-0.5, bias=False) if spec.projection else None
        )

    def forward(self, ids: Int64[Tensor, "b n"]) -> TextOutput:
        """Read token ids, at most `spec.context` of them per row, each row with an end token.

        CLIP pools at the largest id of a row, which in its vocabulary is the end token, and of equal ones at the
        first. The first end token is the same place, and stays right for vocabularies that end otherwise.
        """
        hidden_states, last = self.text_model(ids)
        first_end = (ids == self.spec.end).int().argmax(dim=1)
        pooled = last[torch.arange(len(ids), device=ids.device), first_end]
        if self.text_projection is not None:
            pooled = self.text_projection(pooled)
        return TextOutput(hidden_states=hidden_states, last=last, pooled=pooled)


class _Tower(nn.Module):
    def __init__(self, spec: TextSpec) -> None:
        super().__init__()
        self.embeddings = _Embeddings(spec)
        self.encoder = _Encoder(spec)
        self.final_layer_norm = nn.LayerNorm(spec.width)

    def forward(self, ids: Int64[Tensor, "b n"]) -> tuple[tuple[Float[Tensor, "b n d"], ...], Float[Tensor, "b n d"]]:
        hidden_states = self.encoder(self.embeddings(ids))
        return hidden_states, self.final_layer_norm(hidden_states[-1])


class _Embeddings(nn.Module):
    def __init__(self, spec: TextSpec) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(spec.vocabulary, spec.width)
        self.position_embedding = nn.Embedding(spec.context, spec.width)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.position_embedding.weight, std=0.01)

    def forward(self, ids: Int64[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        return self.token_embedding(ids) + self.position_embedding.weight[: ids.shape[1]]


class _Encoder(nn.Module):
    def __init__(self, spec: TextSpec) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(spec) for _ in range(spec.layers))

    def forward(self, x: Float[Tensor, "b n d"]) -> tuple[Float[Tensor, "b n d"], ...]:
        hidden_states = [x]
        for layer in self.layers:
            hidden_states.append(layer(hidden_states[-1]))
        return tuple(hidden_states)


class _Layer(nn.Module):
    def __init__(self, spec: TextSpec) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(spec.width)
        self.self_attn = _Attention(spec)
        self.layer_norm2 = nn.LayerNorm(spec.width)
        self.mlp = _MLP(spec)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class _Attention(nn.Module):
    def __init__(self, spec: TextSpec) -> None:
        super().__init__()
        self.heads = spec.heads
        self.q_proj, self.k_proj, self.v_proj = (
            _linear(spec.width, spec.width, std=spec.width**-0.5) for _ in range(3)
        )
        self.out_proj = _linear(spec.width, spec.width, std=_residual_std(spec))

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        q, k, v = (self._per_head(project(x)) for project in (self.q_proj, self.k_proj, self.v_proj))
        attended = attend(q, k, v, causal=True)
        return self.out_proj(attended.transpose(1, 2).flatten(2))

    def _per_head(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b heads n k"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class _MLP(nn.Module):
    def __init__(self, spec: TextSpec) -> None:
        super().__init__()
        self.activation = _quick_gelu if spec.activation == "quick_gelu" else gelu
        self.fc1 = _linear(spec.width, 4 * spec.width, std=(2 * spec.width) ** -0.5)
        self.fc2 = _linear(4 * spec.width, spec.width, std=_residual_std(spec))

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        return self.fc2(self.activation(self.fc1(x)))


def _quick_gelu(x: Tensor) -> Tensor:
    """The sigmoid approximation of GELU (arXiv 1606.08415, section 2)."""
    return x * torch.sigmoid(1.702 * x)


def _residual_std(spec: TextSpec) -> float:
    """The deeper the network, the less each of its 2 * layers branches adds to the residual stream (GPT-2)."""
    return (spec.width * 2 * spec.layers) ** -0.5


def _linear(inputs: int, outputs: int, *, std: float, bias: bool = True) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.normal_(layer.weight, std=std)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
