"""The U-Net of the Stable Diffusion family."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from fictile.denoiser.blocks import DownBlock, MidBlock, UpBlock
from fictile.denoiser.conditioning import Added
from fictile.denoiser.embedding import EmbeddingMLP, sinusoid
from fictile.denoiser.spec import UNetSpec
from fictile.errors import RequestError


class UNet(nn.Module):
    """Noisy latent, time and text to a prediction of the same height and width (arXiv 2112.10752, section 3.3).

    Every part is described by the spec; parameters are named as in diffusers' `UNet2DConditionModel`. Activations lie
    channels last; on a GPU put the weights there too, with `network.to(memory_format=torch.channels_last)`.
    """

    def __init__(self, spec: UNetSpec) -> None:
        super().__init__()
        self.spec = spec
        levels = range(len(spec.widths))
        self.conv_in = nn.Conv2d(spec.in_channels, spec.widths[0], 3, padding=1)
        self.time_embedding = EmbeddingMLP(spec.widths[0], spec.embedding_width)
        if spec.added_width is not None:
            self.add_embedding = EmbeddingMLP(spec.added_width, spec.embedding_width)
        self.down_blocks = nn.ModuleList(DownBlock(spec, level) for level in levels)
        self.mid_block = MidBlock(spec)
        self.up_blocks = nn.ModuleList(UpBlock(spec, level) for level in reversed(levels))
        self.conv_norm_out = nn.GroupNorm(spec.groups, spec.widths[0])
        self.conv_out = nn.Conv2d(spec.widths[0], spec.out_channels, 3, padding=1)

    def forward(
        self,
        x: Float[Tensor, "b i h w"],
        time: Float[Tensor, " b"],
        context: Float[Tensor, "b n d"],
        added: Added | None = None,
    ) -> Float[Tensor, "b o h w"]:
        """What the network predicts of `x`.

        `time` runs from 0 (clean) to 999 or 1000 (noise) and may be fractional; `added` is for a spec that has an
        `added_width`. Raises RequestError for a size that is not a multiple of `spec.multiple`, for channels or a
        context that are not the spec's, and for an added part that is missing or not asked for.
        """
        self._check(x, context, added)
        embedding = silu(self._embed(time, added, x.dtype))
        x = self.conv_in(x.contiguous(memory_format=torch.channels_last))
        skips = [x]
        for block in self.down_blocks:
            skips += block(skips[-1], embedding, context)
        x = self.mid_block(skips[-1], embedding, context)
        for block in self.up_blocks:
            x = block(x, [skips.pop() for _ in range(self.spec.layers + 1)], embedding, context)
        return self.conv_out(silu(self.conv_norm_out(x)))

    def _embed(self, time: Float[Tensor, " b"], added: Added | None, dtype: torch.dtype) -> Float[Tensor, "b e"]:
        embedding = self.time_embedding(sinusoid(time, self.spec.widths[0]).to(dtype))
        if added is None or self.spec.added_time_width is None:
            return embedding
        sizes = sinusoid(added.sizes, self.spec.added_time_width).flatten(1)
        return embedding + self.add_embedding(torch.cat([added.pooled.to(dtype), sizes.to(dtype)], dim=1))

    def _check(self, x: Float[Tensor, "b i h w"], context: Float[Tensor, "b n d"], added: Added | None) -> None:
        spec = self.spec
        channels, height, width = x.shape[1:]
        if channels != spec.in_channels:
            raise RequestError(
                f"The latent has {channels} channels and this U-Net takes {spec.in_channels}; use one of its space."
            )
        if height % spec.multiple or width % spec.multiple:
            raise RequestError(
                f"The latent is {width}x{height} cells and this U-Net takes multiples of {spec.multiple}; "
                "choose another picture size."
            )
        if context.shape[-1] != spec.context_width:
            raise RequestError(
                f"The text has {context.shape[-1]} features per token and this U-Net takes {spec.context_width}; "
                "use the text encoder that it was trained with."
            )
        if (added is None) != (spec.added_width is None):
            raise RequestError(
                f"This U-Net takes {'no' if spec.added_width is None else 'an'} added conditioning and was given "
                f"{'none' if added is None else 'one'}; build the conditioning for this model."
            )
