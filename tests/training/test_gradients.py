"""Every parameter learns: none is cut off from the loss."""

import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from .tiny_runs import denoiser_options, denoiser_trainee, vae_options, vae_trainee

LEAST = 1e-7  # of a parameter's gradient, in parts of its network's
STEPS = 6

# Parameters that no loss can move, by the names that match.
EXCEPTIONS = {
    r"mid_block\.attentions\.\d+\.to_k\.bias": "adds the same to all scores of a query, which softmax ignores",
    r"self_attn\.k_proj\.bias": "adds the same to all scores of a query, which softmax ignores",
}


def unmoved(network: nn.Module, step: Callable[[int], object]) -> list[str]:
    """The parameters, exceptions aside, that some steps leave without a gradient or where they were."""
    start = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    largest = dict.fromkeys(start, 0.0)
    for index in range(STEPS):
        step(index)
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        norms = {name: 0.0 if g is None else g.norm().item() for name, g in gradients.items()}
        total = sum(norm**2 for norm in norms.values()) ** 0.5
        largest = {name: max(largest[name], norm / total) for name, norm in norms.items()}
    stuck = [
        name
        for name, parameter in network.named_parameters()
        if not LEAST < largest[name] <= 1 or torch.equal(parameter, start[name])
    ]
    return [name for name in stuck if not any(re.search(pattern, name) for pattern in EXCEPTIONS)]


def test_the_whole_autoencoder_and_its_discriminator_learn(data: Path, tmp_path: Path) -> None:
    options = vae_options(data, tmp_path, weight_decay=0.0, gan=1.0, gan_start=0.0, learning_rate=1e-2, warmup=1)
    trainee = vae_trainee(options)
    assert trainee.discriminator is not None
    networks = nn.ModuleList([trainee.network, trainee.discriminator])
    for network in networks:  # each has its own norm; the second call goes on where the first ended
        assert unmoved(network, trainee.step) == []


def test_the_u_net_and_the_text_transformer_learn(data: Path, vae: Path, tmp_path: Path) -> None:
    options = denoiser_options(data, tmp_path, vae, weight_decay=0.0, caption_dropout=0.0)
    trainee = denoiser_trainee(options)
    assert unmoved(trainee.unet, trainee.step) == []
    assert unmoved(trainee.text, trainee.step) == []


def test_every_token_and_position_that_occurs_learns(data: Path, vae: Path, tmp_path: Path) -> None:
    """Of the token embeddings only the rows of tokens in the batch can have a gradient."""
    options = denoiser_options(data, tmp_path, vae, weight_decay=0.0, caption_dropout=0.0, batch=64, clip=1e9)
    trainee = denoiser_trainee(options)
    trainee.step(0)
    captions = [caption for entry in trainee.train.entries for caption in entry.captions]
    occurring = trainee.tokenizer.encode(captions).unique()
    tables = dict(trainee.text.named_parameters())
    for name, rows in (("token", occurring), ("position", torch.arange(options.text.context))):
        gradient = tables[f"text_model.embeddings.{name}_embedding.weight"].grad
        assert gradient is not None
        assert (gradient[rows].norm(dim=1) > LEAST * gradient.norm()).all()
