"""Random text transformers, and the same ones as transformers builds them."""

from typing import Any

import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from fictile.text import TextSpec, TextTransformer


def random_text(spec: TextSpec, seed: int = 0) -> TextTransformer:
    """Every parameter is random, the biases and norms too."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = TextTransformer(spec).eval().requires_grad_(False)
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def text_twin(network: TextTransformer) -> Any:
    """transformers' model with the same weights."""
    spec = network.spec
    config = CLIPTextConfig(
        vocab_size=spec.vocabulary,
        hidden_size=spec.width,
        intermediate_size=4 * spec.width,
        projection_dim=spec.projection or 512,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        hidden_act=spec.activation,
        eos_token_id=spec.end,
    )
    twin: Any = (CLIPTextModelWithProjection if spec.projection else CLIPTextModel)(config).eval()
    # transformers 5 names a text model without projection without its prefix, transformers 4 and every file with it
    prefixed = any(name.startswith("text_model.") for name in twin.state_dict())
    state = network.state_dict()
    twin.load_state_dict({name if prefixed else name.removeprefix("text_model."): state[name] for name in state})
    return twin
