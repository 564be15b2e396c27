"""The U-Net of the Stable Diffusion family."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fictile.denoiser.blocks import DownBlock, MidBlock, ResBlock, Shifts, UpBlock
from fictile.denoiser.conditioning import Added
from fictile.denoiser.embedding import EmbeddingMLP, sinusoid
from fictile.denoiser.spec import UNetSpec
from fictile.denoiser.transformer import Attention, Reading, TransformerBlock, spread
from fictile.errors import RequestError
from fictile.groupnorm import GroupNorm
from fictile.inplace import silu


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
        self.conv_norm_out = GroupNorm(spec.groups, spec.widths[0])
        self.conv_out = nn.Conv2d(spec.widths[0], spec.out_channels, 3, padding=1)

    def forward(
        self,
        x: Float[Tensor, "b i h w"],
        time: Float[Tensor, " b"] | Shifts,
        context: Float[Tensor, "b n d"] | Reading,
        added: Added | None = None,
    ) -> Float[Tensor, "b o h w"]:
        """What the network predicts of `x`.

        `time` runs from 0 (clean) to 999 or 1000 (noise) and may be fractional; `added` is for a spec that has an
        `added_width`. In the place of `time` (and `added`) may stand the `shifts` that were made of them, in that of
        `context` what was `read` of it: neither depends on x, so that one makes them once for many steps. A row of
        these stands for one of x, or for several in a row, the same number each.

        Raises RequestError for a size that is not a multiple of `spec.multiple`, for channels or a context that are
        not the spec's, and for an added part that is missing or not asked for.
        """
        self._check(x)
        shifts = self.shifts(time, added) if isinstance(time, Tensor) else time
        text = self.read(context) if isinstance(context, Tensor) else context
        return self.step(x, *spread_rows(shifts, text, len(x)))

    def step(self, x: Float[Tensor, "b i h w"], shifts: Shifts, text: Reading) -> Float[Tensor, "b o h w"]:
        """`forward` without its checks, and with one row for each of x, or one for all in `shifts`."""
        layers = self.spec.layers + 1
        skips = self.descend(x, shifts, text)
        return self.ascend(self.deep(skips, shifts, text, layers), skips, shifts, text)

    def descend(
        self, x: Float[Tensor, "b i h w"], shifts: Shifts, text: Reading, layers: int | None = None
    ) -> list[Tensor]:
        """What the way down makes for the way up; with `layers`, only what `ascend` needs for so many."""
        skips: list[Tensor] = [self.conv_in(x.contiguous(memory_format=torch.channels_last))]
        if layers is not None:
            return skips + self.down_blocks[0](skips[-1], shifts, text, layers - 1)
        for block in self.down_blocks:
            skips += block(skips[-1], shifts, text)
        return skips

    def deep(self, skips: list[Tensor], shifts: Shifts, text: Reading, layers: int) -> Float[Tensor, "b d h w"]:
        """The middle and the way up, except for its last `layers` residual blocks. Takes what it reads off `skips`."""
        *coarse, finest = self.up_blocks
        x = self.mid_block(skips[-1], shifts, text)
        for block in coarse:
            x = block(x, [skips.pop() for _ in range(self.spec.layers + 1)], shifts, text)
        return finest(x, [skips.pop() for _ in range(self.spec.layers + 1 - layers)], shifts, text)

    def ascend(
        self, x: Float[Tensor, "b d h w"], skips: Sequence[Tensor], shifts: Shifts, text: Reading
    ) -> Float[Tensor, "b o h w"]:
        """The rest of the way up: as many residual blocks as there are skips."""
        finest = self.up_blocks[-1]
        x = finest(x, skips[::-1], shifts, text, self.spec.layers + 1 - len(skips))
        return self.conv_out(silu(self.conv_norm_out(x)))

    def shifts(self, time: Float[Tensor, " b"], added: Added | None = None) -> Shifts:
        """What the residual blocks add at each of these times, one row per time; raises RequestError as `forward`.

        An added part has a row for each time.
        """
        self._check_added(added)
        embedding = silu(self._embed(time, added, self.conv_in.weight.dtype))
        return {block: block.time_emb_proj(embedding) for block in self.residual_blocks}

    def read(self, context: Float[Tensor, "b n d"]) -> Reading:
        """The keys and values of the text in every attention to it; raises RequestError as `forward`."""
        self._check_context(context)
        return {attention: attention.read(context) for attention in self.readers}

    @property
    def residual_blocks(self) -> list[ResBlock]:
        """All that the time is told to, in the order in which they run."""
        return [block for block in self.modules() if isinstance(block, ResBlock)]

    @property
    def readers(self) -> list[Attention]:
        """Every attention to the text, in the order in which they run."""
        return [block.attn2 for block in self.modules() if isinstance(block, TransformerBlock)]

    def _embed(self, time: Float[Tensor, " b"], added: Added | None, dtype: torch.dtype) -> Float[Tensor, "b e"]:
        embedding = self.time_embedding(sinusoid(time, self.spec.widths[0]).to(dtype))
        if added is None or self.spec.added_time_width is None:
            return embedding
        sizes = sinusoid(added.sizes, self.spec.added_time_width).flatten(1)
        return embedding + self.add_embedding(torch.cat([added.pooled.to(dtype), sizes.to(dtype)], dim=1))

    def _check(self, x: Float[Tensor, "b i h w"]) -> None:
        channels, height, width = x.shape[1:]
        if channels != self.spec.in_channels:
            raise RequestError(
                f"The latent has {channels} channels and this U-Net takes {self.spec.in_channels}; "
                "use one of its space."
            )
        if height % self.spec.multiple or width % self.spec.multiple:
            raise RequestError(
                f"The latent is {width}x{height} cells and this U-Net takes multiples of {self.spec.multiple}; "
                "choose another picture size."
            )

    def _check_context(self, context: Float[Tensor, "b n d"]) -> None:
        if context.shape[-1] != self.spec.context_width:
            raise RequestError(
                f"The text has {context.shape[-1]} features per token and this U-Net takes {self.spec.context_width}; "
                "use the text encoder that it was trained with."
            )

    def _check_added(self, added: Added | None) -> None:
        if (added is None) != (self.spec.added_width is None):
            raise RequestError(
                f"This U-Net takes {'no' if self.spec.added_width is None else 'an'} added conditioning and was given "
                f"{'none' if added is None else 'one'}; build the conditioning for this model."
            )


def spread_rows(shifts: Shifts, text: Reading, count: int) -> tuple[Shifts, Reading]:
    """Both with as many rows as there are latents; a single row of shifts is added to all of them anyway."""
    return (
        {block: shift if len(shift) == 1 else spread(shift, count) for block, shift in shifts.items()},
        {part: (spread(keys, count), spread(values, count)) for part, (keys, values) in text.items()},
    )
