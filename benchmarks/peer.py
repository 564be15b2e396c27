"""The same networks and the same pipeline, made of diffusers' parts."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from fictile.autoencoder import KL, Normalisation
from fictile.checkpoint import export_diffusers_unet
from fictile.denoiser import UNet
from fictile.sampling import initial_noise
from fictile.text import TextConditioner

LAYOUTS = {"diffusers, contiguous": torch.contiguous_format, "diffusers, channels last": torch.channels_last}

Network = TypeVar("Network", bound=nn.Module)
Made = TypeVar("Made")


def in_each_layout(make: Callable[[torch.memory_format], Made]) -> dict[str, Made]:
    """diffusers leaves the layout of the weights to its user: one of each, under the name of the setting."""
    return {name: make(layout) for name, layout in LAYOUTS.items()}


def placed(network: Network, dtype: torch.dtype, layout: torch.memory_format) -> Network:
    """A copy for inference, in its own memory."""
    network = copy.deepcopy(network).requires_grad_(False).eval()
    nn.Module.to(network, dtype)  # diffusers' own `to` warns of modules to keep in float32, though there are none
    return network.to(memory_format=layout)  # pyright: ignore[reportCallIssue] - its stub lacks this form


def diffusers_unet(network: UNet) -> UNet2DConditionModel:
    """The U-Net as diffusers opens it from an exported folder, in float32; attention is its default (SDPA)."""
    with TemporaryDirectory() as folder:
        export_diffusers_unet(network, folder)
        opened = UNet2DConditionModel.from_pretrained(folder)
        return copy.deepcopy(opened)  # whose weights may be pages of that file


def diffusers_autoencoder(network: KL) -> AutoencoderKL:
    """The autoencoder with the same weights, in float32; it speaks raw latents.

    diffusers has no space-to-depth stem, but its first and last convolution may have any number of channels: whoever
    calls it folds and unfolds the pixels.
    """
    spec = network.spec
    make: Any = AutoencoderKL  # whose annotations ask for tuples of one
    twin: AutoencoderKL = make(
        in_channels=3 * spec.stem**2,
        out_channels=3 * spec.stem**2,
        down_block_types=("DownEncoderBlock2D",) * len(spec.widths),
        up_block_types=("UpDecoderBlock2D",) * len(spec.widths),
        block_out_channels=spec.widths,
        layers_per_block=spec.layers,
        latent_channels=spec.channels,
        norm_num_groups=spec.groups,
        mid_block_add_attention=spec.mid_attention,
        use_quant_conv=spec.quant,
        use_post_quant_conv=spec.quant,
    )
    twin.load_state_dict(network.state_dict())
    return twin


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Text to picture as diffusers' own flow pipelines do it (Stable Diffusion 3), with our text encoder.

    Latents stay float32 between the steps, as Fictile's do, so that bf16 pictures can be compared.
    """

    text: TextConditioner
    unet: UNet2DConditionModel
    autoencoder: AutoencoderKL
    normalisation: Normalisation
    stem: int
    shift: float

    def __call__(
        self, prompt: str, *, seed: int, steps: int, guidance: float, shape: tuple[int, ...]
    ) -> Float[Tensor, "1 3 h w"]:
        """The picture in [-1, 1], from a latent of this shape ("c h w")."""
        dtype = self.unet.dtype
        texts = self.text.condition(prompt, "", size=(shape[-2], shape[-1]))
        context = torch.cat([text.context for text in reversed(texts)])
        scheduler: Any = FlowMatchEulerDiscreteScheduler(shift=self.shift)
        scheduler.set_timesteps(sigmas=[1 - step / steps for step in range(steps)])
        latents = initial_noise(shape, seed, 1)
        for time in scheduler.timesteps:
            both = torch.cat([latents, latents]).to(dtype)
            output = self.unet(both, time, encoder_hidden_states=context.to(dtype), return_dict=False)[0].float()
            unwanted, wanted = output.chunk(2)
            guided = unwanted + guidance * (wanted - unwanted)
            latents = scheduler.step(guided, time, latents, return_dict=False)[0]
        raw = self.normalisation.undo(latents).to(dtype)
        folded = self.autoencoder.decode(raw, return_dict=False)[0].float()  # pyright: ignore[reportArgumentType]
        return F.pixel_shuffle(folded, self.stem).clamp(-1, 1)
