"""Which latent space a latent lives in, and the published ones."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LatentSpace:
    """The identity of a latent space: latents of one space fit every decoder and denoiser of that space, and no other.

    A trained VAE has a name and a hash of its encoder and normalisation as id, so that a fine-tuned decoder keeps it.
    """

    id: str
    channels: int  # of the latent as the denoiser sees it
    factor: int  # pixels per latent cell, along one side

    def __str__(self) -> str:
        return f"{self.id} ({self.channels} channels, 1/{self.factor})"


# The published spaces. What brings an autoencoder's own latents into them, and from where that is known, stands in
# `autoencoder/known.py`; who speaks them, in docs/autoencoders.md.
SPACES: Mapping[str, LatentSpace] = {
    name: LatentSpace(id=name, channels=channels, factor=factor)
    for name, channels, factor in (
        ("sd1", 4, 8),  # Stable Diffusion 1 and 2 (arXiv 2112.10752)
        ("sdxl", 4, 8),  # Stable Diffusion XL (arXiv 2307.01952)
        ("playground-2.5", 4, 8),  # SDXL's autoencoder, with its own scale and shift per channel (arXiv 2402.17245)
        ("sd3", 16, 8),  # Stable Diffusion 3 and 3.5 (arXiv 2403.03206)
        ("flux1", 16, 8),  # github.com/black-forest-labs/flux
        ("flux2", 128, 16),  # github.com/black-forest-labs/flux2: 32 channels at 1/8, folded by 2x2
        ("wan21", 16, 8),  # Wan 2.1 (arXiv 2503.20314), Qwen-Image (arXiv 2508.02324)
        ("sana", 32, 32),  # Sana (arXiv 2410.10629): its DC-AE f32c32
        ("dc-ae-f32c32-in", 32, 32),  # DC-AE (arXiv 2410.10733), trained on ImageNet ...
        ("dc-ae-f32c32-mix", 32, 32),  # ... or on a mixture
        ("dc-ae-f64c128-in", 128, 64),
        ("dc-ae-f64c128-mix", 128, 64),
        ("dc-ae-f128c512-in", 512, 128),
        ("dc-ae-f128c512-mix", 512, 128),
    )
}
