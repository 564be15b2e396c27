"""The reference implementations beside our networks: diffusers' classes with the same weights."""

from typing import Any, TypeVar

import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import AutoencoderKLQwenImage
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from torch import Tensor, nn

from fictile.autoencoder import DCSpec, KLSpec, Network, Tiny, TinySpec, WanSpec, make_network

Module = TypeVar("Module", bound=nn.Module)


def relative_error(seen: Tensor, expected: Tensor) -> float:
    """The norm of the difference, as a share of what was expected."""
    return float((seen - expected).norm() / expected.norm())


def picture(height: int, width: int, count: int = 2) -> Tensor:
    """Noise of the range of pixels; always the same."""
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def randomised(network: Module, strength: float = 0.05) -> Module:
    """Every parameter moved, norms and biases included, and every running statistic; ready to run."""
    generator = torch.Generator().manual_seed(0)
    network.requires_grad_(False).eval()
    for parameter in network.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=strength)
    for name, buffer in network.named_buffers():
        if buffer.is_floating_point():
            noise = torch.randn(buffer.shape, generator=generator) * 0.2
            buffer.copy_(noise.exp() if name.endswith("running_var") else noise)
    return network


def diffusers_twin(ours: Network, *, flux2: bool = False, qwen: bool = False, weights: bool = True) -> Any:
    """The class of diffusers that our network follows, with the very weights of ours: they are held once."""
    with torch.device("meta"):
        twin = _empty_twin(ours.spec, flux2=flux2, qwen=qwen).requires_grad_(False).eval()
    if weights:
        fresh = {
            name: torch.ones(tensor.shape, dtype=tensor.dtype) if name.endswith("var") else torch.zeros(tensor.shape)
            for name, tensor in twin.state_dict().items()
            if name.startswith("bn.")
        }
        twin.load_state_dict(ours.state_dict() | fresh, assign=True)
    return twin


def _empty_twin(spec: object, *, flux2: bool, qwen: bool) -> Any:
    match spec:
        case KLSpec():
            config: dict[str, Any] = {
                "down_block_types": ("DownEncoderBlock2D",) * len(spec.widths),
                "up_block_types": ("UpDecoderBlock2D",) * len(spec.widths),
                "block_out_channels": spec.widths,
                "layers_per_block": spec.layers,
                "latent_channels": spec.channels,
                "norm_num_groups": spec.groups,
                "use_quant_conv": spec.quant,
                "use_post_quant_conv": spec.quant,
                "mid_block_add_attention": spec.mid_attention,
            }
            if flux2:
                return AutoencoderKLFlux2.from_config(config | {"decoder_block_out_channels": spec.decoder_widths})
            return AutoencoderKL.from_config(config)
        case DCSpec():
            kinds = ["ResBlock" if level < spec.residual_levels else "EfficientViTBlock" for level in range(99)]
            kernels = [spec.kernels if kind == "EfficientViTBlock" else () for kind in kinds]
            levels = len(spec.widths)
            residual = "batch_norm" if spec.batch_norm else "rms_norm"
            return AutoencoderDC.from_config(
                {
                    "latent_channels": spec.channels,
                    "attention_head_dim": spec.head_width,
                    "encoder_block_types": kinds[:levels],
                    "decoder_block_types": kinds[:levels],
                    "encoder_block_out_channels": spec.widths,
                    "decoder_block_out_channels": spec.widths,
                    "encoder_layers_per_block": spec.encoder_layers,
                    "decoder_layers_per_block": spec.decoder_layers,
                    "encoder_qkv_multiscales": kernels[:levels],
                    "decoder_qkv_multiscales": kernels[:levels],
                    "upsample_block_type": "pixel_shuffle" if spec.fold else "interpolate",
                    "downsample_block_type": "pixel_unshuffle" if spec.fold else "Conv",
                    "decoder_norm_types": [residual if kind == "ResBlock" else "rms_norm" for kind in kinds[:levels]],
                    "decoder_act_fns": [
                        "relu" if spec.batch_norm and kind == "ResBlock" else "silu" for kind in kinds[:levels]
                    ],
                }
            )
        case WanSpec():
            kind = AutoencoderKLQwenImage if qwen else AutoencoderKLWan
            base = spec.widths[0]
            return kind.from_config(
                {
                    "base_dim": base,
                    "z_dim": spec.channels,
                    "dim_mult": [width // base for width in spec.widths],
                    "num_res_blocks": spec.layers,
                    "temperal_downsample": list(spec.temporal),
                }
            )
        case TinySpec():
            assert not spec.pool
            assert not spec.stem_widths
            return AutoencoderTiny.from_config(
                {
                    "latent_channels": spec.channels,
                    "encoder_block_out_channels": (spec.width,) * len(spec.encoder_layers),
                    "decoder_block_out_channels": spec.decoder_widths[::-1],
                    "num_encoder_blocks": spec.encoder_layers,
                    "num_decoder_blocks": spec.decoder_layers[::-1],
                }
            )
        case _:
            raise AssertionError(f"no twin for {spec}")


def parity(ours: Network, twin: Any, pixels: Tensor) -> tuple[float, float]:
    """The relative errors of encoding (the mean, and the log-variance where there is one) and of decoding."""
    mean, logvar = ours.encode(pixels)
    video = ours.spec.__class__ is WanSpec
    encoded = twin.encode(pixels[:, :, None] if video else pixels)
    if hasattr(encoded, "latent_dist"):
        distribution = encoded.latent_dist
        means, logvars = distribution.mean, distribution.logvar
        expected = torch.cat([means, logvars], dim=1)
        expected = expected[:, :, 0] if video else expected
        error = relative_error(torch.cat([mean, logvar], dim=1), expected)
    else:
        assert bool((logvar == -torch.inf).all())
        expected = encoded.latents if isinstance(ours, Tiny) else encoded.latent
        error = relative_error(mean, expected)
    decoded = twin.decode(mean[:, :, None] if video else mean).sample
    if video:  # diffusers clamps what it decodes
        return error, relative_error(ours.decode(mean).clamp(-1, 1), decoded[:, :, 0])
    return error, relative_error(ours.decode(mean), decoded)


def random_network(spec: Any, strength: float = 0.05) -> Any:
    """A network of this spec with every number random; always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return randomised(make_network(spec), strength)
