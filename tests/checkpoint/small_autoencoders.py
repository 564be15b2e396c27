"""Small random autoencoders of each kind, and the classes of diffusers that they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import AutoencoderKLQwenImage
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from tests.autoencoder.twins import diffusers_twin, random_network

from fictile.autoencoder import DCSpec, KLSpec, Network, TinySpec, WanSpec


@dataclass(frozen=True, kw_only=True)
class Small:
    """A spec, its class of diffusers, and what its config.json says of its units."""

    spec: Any
    kind: Any
    config: Mapping[str, object] = field(default_factory=dict[str, object])

    def network(self) -> Network:
        """Ours, with every number random."""
        return random_network(self.spec)

    def twin(self, *, weights: bool = True) -> Any:
        """diffusers', with the same numbers."""
        flux2, qwen = self.kind is AutoencoderKLFlux2, self.kind is AutoencoderKLQwenImage
        made = diffusers_twin(self.network(), flux2=flux2, qwen=qwen, weights=weights)
        if flux2 and weights:
            made.bn.running_mean.copy_(torch.linspace(-1, 1, len(made.bn.running_mean)))
            made.bn.running_var.copy_(torch.linspace(0.5, 2, len(made.bn.running_var)))
        made.register_to_config(**self.config)
        return made


_KL = KLSpec(widths=(8, 16), layers=1, groups=4)
_SIXTEEN = KLSpec(widths=(8, 16), layers=1, groups=4, channels=16, quant=False)
_WAN = WanSpec(channels=16, widths=(8, 16, 32, 32))

SMALL: Mapping[str, Small] = {
    "sd1": Small(spec=_KL, kind=AutoencoderKL, config={"scaling_factor": 0.18215}),
    "sdxl": Small(spec=_KL, kind=AutoencoderKL, config={"scaling_factor": 0.13025}),
    "playground": Small(
        spec=_KL,
        kind=AutoencoderKL,
        config={"scaling_factor": 1.0, "latents_mean": [-1.5, 2, -1.25, 2.5], "latents_std": [8, 4, 2, 16]},
    ),
    "sd3": Small(spec=_SIXTEEN, kind=AutoencoderKL, config={"scaling_factor": 1.5305, "shift_factor": 0.0609}),
    "flux1": Small(spec=_SIXTEEN, kind=AutoencoderKL, config={"scaling_factor": 0.3611, "shift_factor": 0.1159}),
    "flux2": Small(
        spec=KLSpec(widths=(8, 16), layers=1, groups=4, channels=8, decoder_widths=(8, 8)), kind=AutoencoderKLFlux2
    ),
    "dc": Small(
        spec=DCSpec(
            channels=4,
            widths=(8, 16, 32),
            encoder_layers=(1, 1, 2),
            decoder_layers=(1, 1, 1),
            residual_levels=2,
            head_width=8,
        ),
        kind=AutoencoderDC,
        config={"scaling_factor": 0.41407},
    ),
    "dc, folded": Small(
        spec=DCSpec(
            channels=8,
            widths=(8, 16, 32),
            encoder_layers=(0, 1, 2),
            decoder_layers=(0, 1, 1),
            residual_levels=2,
            head_width=8,
            kernels=(),
            fold=True,
            batch_norm=True,
        ),
        kind=AutoencoderDC,
        config={"scaling_factor": 0.2889},
    ),
    "wan": Small(spec=_WAN, kind=AutoencoderKLWan),
    "qwen-image": Small(spec=_WAN, kind=AutoencoderKLQwenImage),
    "tiny": Small(
        spec=TinySpec(channels=4, width=8, decoder_widths=(8,) * 4),
        kind=AutoencoderTiny,
        config={"scaling_factor": 1.0},
    ),
}
