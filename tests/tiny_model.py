"""A whole model, tiny and untrained: what tests generate, encode and decode with in milliseconds."""

from pathlib import Path

import torch

from fictile.autoencoder import KL, KLAutoencoder, KLSpec, Normalisation
from fictile.checkpoint import Defaults, Parts, save_model
from fictile.denoiser import Denoiser, UNet, UNetSpec
from fictile.engine import Runtime
from fictile.latent import LatentSpace
from fictile.schedule import DDPM, Prediction, Schedule
from fictile.text import TextEncoder, TextSpec, TextTransformer, Tokenizer

EXACT = Runtime(device=torch.device("cpu"), dtype=torch.float32, decode_dtype=torch.float32, threads=1)
CAPTIONS = ("a red fox", "a fox wearing a crown", "a green leaf", "a house under a blue sky")
NORMALISATION = Normalisation((0.5, 2.0, 1.5, 4.0), (0.1, -0.2, 0.3, 0.0))  # of the four channels, none like another


def tiny_autoencoder(*, stem: int = 1, quant: bool = True, attention: bool = True) -> KLAutoencoder:
    """Pixels to latents of 4 channels at 1/4 of the size (1/8 with stem 2)."""
    spec = KLSpec(widths=(8, 8, 16), layers=1, groups=4, stem=stem, quant=quant, mid_attention=attention)
    return KLAutoencoder(KL(spec).eval(), NORMALISATION, "tiny")


def tiny_unet() -> UNet:
    """Two levels, attention in the deeper."""
    spec = UNetSpec(widths=(8, 16), layers=1, depth=(0, 1), heads=(1, 2), groups=4, context_width=16)
    return UNet(spec).eval()


def tiny_text(*, width: int = 16) -> TextEncoder:
    """One layer, a dozen tokens."""
    tokenizer = Tokenizer.train(CAPTIONS, vocabulary=280, context=14)
    spec = TextSpec(
        vocabulary=tokenizer.vocabulary,
        width=width,
        layers=1,
        heads=2,
        context=tokenizer.context,
        begin=tokenizer.begin,
        end=tokenizer.end,
        pad=tokenizer.pad,
    )
    return TextEncoder(tokenizer, TextTransformer(spec).eval())


def tiny_parts(
    *, schedule: Schedule | None = None, prediction: Prediction = "eps", space: LatentSpace | None = None
) -> Parts:
    """A model that makes pictures of 32x32 pixels in multiples of 8; always the same weights.

    `space` is the denoiser's, for models that do not fit together.
    """
    with torch.random.fork_rng():
        torch.manual_seed(7)
        autoencoder = tiny_autoencoder()
        return Parts(
            name="tiny",
            autoencoder=autoencoder,
            text=tiny_text(),
            denoiser=Denoiser(tiny_unet(), schedule or DDPM(), prediction, space or autoencoder.space),
            defaults=Defaults(size=(32, 32), steps=4, guidance=3.0),
        )


def tiny_folder(folder: Path) -> Path:
    """The folder, with the model of `tiny_parts` written into it."""
    save_model(tiny_parts(), folder, card="# tiny\n\nUntrained; for tests.\n")
    return folder
