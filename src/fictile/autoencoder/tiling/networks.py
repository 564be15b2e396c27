"""Each kind of autoencoder as a list of stages: what its layers need of their neighbourhood, and nothing else.

A list is made for one picture: its barriers remember what they took.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fictile.autoencoder import dc, kl, tiny, wan
from fictile.autoencoder.network import Network
from fictile.autoencoder.tiling.stages import (
    Add,
    GlobalNorm,
    Keep,
    LinearAttention,
    Local,
    SelfAttention,
    Stage,
    convolution,
    valid,
)
from fictile.convolution import doubled, folded, pays_doubled, summed
from fictile.inplace import silu

SILU = Local(function=silu)


def encoding(network: Network) -> list[Stage]:
    """From pixels to what `network.posterior` takes."""
    match network:
        case kl.KL(encoder=half):
            stem = network.spec.stem
            folded = Local(function=lambda rows: F.pixel_unshuffle(rows, stem), stride=stem)
            parts = [half.conv_in, half.down_blocks, half.mid_block, half.conv_norm_out, SILU, half.conv_out]
            return stages(folded, *parts, network.quant_conv)
        case wan.Wan(encoder=half):
            parts = [half.conv_in, half.down_blocks, half.mid_block, half.norm_out, SILU, half.conv_out]
            return stages(*parts, network.quant_conv)
        case dc.DC(encoder=half):
            first = half.conv_in
            return stages(first, half.down_blocks, beside(half.conv_out, lambda x: dc.averaged(x, half.channels)))
        case tiny.Tiny():
            return stages(Local(function=tiny.from_pixels), network.encoding_half().layers)


def decoding(network: Network) -> list[Stage]:
    """From a raw latent to pixels."""
    match network:
        case kl.KL(decoder=half):
            stem = network.spec.stem
            unfolded = Local(function=lambda rows: F.pixel_shuffle(rows, stem), growth=stem)
            parts = [half.conv_in, half.mid_block, half.up_blocks, half.conv_norm_out, SILU, half.conv_out]
            return stages(network.post_quant_conv, *parts, unfolded)
        case wan.Wan(decoder=half):
            parts = [half.conv_in, half.mid_block, half.up_blocks, half.norm_out, SILU, half.conv_out]
            return stages(network.post_quant_conv, *parts)
        case dc.DC(decoder=half):
            width = half.conv_in.out_channels
            first = beside(half.conv_in, lambda z: dc.repeated(z, width))
            return stages(first, *reversed(half.up_blocks), half.norm_out, nn.ReLU(), half.conv_out)
        case tiny.Tiny():
            half = network.decoding_half()
            return stages(Local(function=tiny.squashed), half.layers, Local(function=tiny.to_pixels))


def stages(*layers: nn.Module | Stage) -> list[Stage]:
    """The layers, one after another, taken apart; a SiLU belongs to the convolution that follows, if one does."""
    found = list[Stage]()
    for stage in (stage for layer in layers for stage in _taken_apart(layer)):
        if found and found[-1] is SILU and isinstance(stage, Local) and not stage.activated:
            found[-1] = replace(stage, activated=True)
        else:
            found.append(stage)
    return found


def _taken_apart(layer: nn.Module | Stage) -> Iterator[Stage]:
    if not isinstance(layer, nn.Module):
        return iter([layer])
    for kind in (_plain, _of_kl_and_wan, _of_dc):
        if (found := kind(layer)) is not None:
            return iter(found)
    raise TypeError(f"nobody has said yet which rows a {type(layer).__name__} needs")


def _plain(layer: nn.Module) -> list[Stage] | None:  # noqa: PLR0911 - a table: a line for each kind of layer
    """The layers of torch, and the block of the tiny ones."""
    match layer:
        case nn.Identity():
            return []
        case nn.Sequential() | nn.ModuleList():
            return stages(*layer)
        case nn.Upsample():
            return [Local(function=layer, growth=2)]
        case nn.ReLU() | nn.SiLU() | nn.BatchNorm2d() | dc.RMSNorm() | wan.RMSNorm():
            return [Local(function=layer)]
        case nn.Conv2d():
            return [convolution(layer)]
        case nn.GroupNorm():
            return [GlobalNorm(layer)]
        case tiny.Block(pool=pool):
            before = [] if pool is None else residual(pool)
            return [*before, *residual(layer.conv), Local(function=torch.relu)]
        case _:
            return None


def _of_kl_and_wan(layer: nn.Module) -> list[Stage] | None:  # noqa: PLR0911 - a table: a line for each kind of layer
    match layer:
        case wan.CausalConv():
            return [_causal(layer)]
        case kl.Resnet() | wan.Resnet():
            branch = (layer.norm1, SILU, layer.conv1, layer.norm2, SILU, layer.conv2)
            return residual(*branch, shortcut=layer.conv_shortcut)
        case kl.Attention():
            projection = _queries_keys_values(layer)
            return residual(layer.group_norm, projection, SelfAttention(), _on_cells(layer.to_out[0]))
        case wan.Attention():
            return residual(layer.norm, layer.to_qkv, SelfAttention(), layer.proj)
        case kl.MidBlock() | wan.MidBlock():
            return stages(layer.resnets[0], *layer.attentions, layer.resnets[1])
        case kl.DownBlock():
            return stages(layer.resnets, layer.downsamplers)
        case kl.UpBlock() | wan.UpBlock():
            return stages(layer.resnets, layer.upsamplers)
        case kl.Downsample():
            return [padded_below(layer.conv)]
        case kl.Upsample():
            return [enlarged(layer.conv)]
        case wan.Downsample():
            return [padded_below(_only_convolution(layer.resample))]
        case wan.Upsample():
            return [enlarged(_only_convolution(layer.resample))]
        case _:
            return None


def _of_dc(layer: nn.Module) -> list[Stage] | None:  # noqa: PLR0911 - a table: a line for each kind of layer
    match layer:
        case dc.ResBlock():
            return residual(layer.conv1, layer.activation, layer.conv2, layer.norm)
        case dc.ViTBlock():
            return stages(layer.attn, layer.conv_out)
        case dc.LinearAttention():
            return residual(
                _queries_keys_values(layer),
                _more_scales([one for one in layer.to_qkv_multiscale if isinstance(one, dc.Gather)]),
                LinearAttention(layer.head_width, dc.ATTENTION_EPSILON),
                _on_cells(layer.to_out),
                layer.norm_out,
            )
        case dc.GatedConv():
            gate = Local(function=dc.gated)
            return residual(layer.conv_inverted, SILU, layer.conv_depth, gate, layer.conv_point, layer.norm)
        case dc.Downsample():
            return [_shortcut_down(layer)]
        case dc.Upsample():
            return [_shortcut_up(layer)]
        case _:
            return None


def residual(*branch: nn.Module | Stage, shortcut: nn.Module | None = None) -> list[Stage]:
    """A branch beside a shortcut that looks at single cells."""
    return [Keep(), *stages(*branch), Add(shortcut=None if isinstance(shortcut, nn.Identity) else shortcut)]


def _causal(conv: wan.CausalConv) -> Local:
    side = conv.weight.shape[-1] // 2

    def convolve(rows: Tensor) -> Tensor:
        return F.conv2d(rows, conv.weight[:, :, -1], conv.bias, padding=(0, side))

    return Local(function=convolve, before=side, after=side)


def beside(conv: nn.Conv2d, shortcut: Callable[[Tensor], Tensor]) -> Local:
    """A 3x3 convolution, and the sum with what the shortcut makes of the same cells."""
    return Local(function=lambda rows: valid(conv, rows) + shortcut(rows[:, :, 1:-1]), before=1, after=1)


def _only_convolution(layers: nn.Sequential) -> nn.Conv2d:
    (conv,) = (layer for layer in layers if isinstance(layer, nn.Conv2d))
    return conv


def padded_below(conv: nn.Conv2d) -> Local:
    """A 3x3 convolution of stride 2 whose zeros are at the right and the bottom only."""
    return Local(function=lambda rows: conv(F.pad(rows, (0, 1))), stride=2, after=1)


def enlarged(conv: nn.Conv2d) -> Local:
    """Every cell becomes 2x2 equal ones, and a 3x3 convolution follows."""
    return Local(function=_doubling(conv), before=1, after=1, growth=2)


def _doubling(conv: nn.Conv2d) -> Callable[[Tensor], Tensor]:
    """`doubled`, whose sums of weights are taken once for all bands."""
    kernels = cache(lambda: summed(conv.weight))

    def double(rows: Tensor) -> Tensor:
        if pays_doubled(rows, conv.weight):
            return folded(rows, kernels(), conv.bias, rows=0)
        return doubled(conv, rows, rows=0)

    return double


def _shortcut_down(layer: dc.Downsample) -> Local:
    """Both of its forms need a row above; only the one that folds needs one below."""

    def down(rows: Tensor) -> Tensor:
        y = valid(layer.conv, rows)
        y = F.pixel_unshuffle(y, 2) if layer.fold else y
        inner = rows[:, :, 1:-1] if layer.fold else rows[:, :, 1:]
        return y + dc.averaged(F.pixel_unshuffle(inner, 2), layer.outputs) if layer.shortcut else y

    return Local(function=down, before=1, after=1 if layer.fold else 0, stride=2)


def _shortcut_up(layer: dc.Upsample) -> Local:
    double = _doubling(layer.conv)

    def up(rows: Tensor) -> Tensor:
        y = F.pixel_shuffle(valid(layer.conv, rows), 2) if layer.fold else double(rows)
        inner = rows[:, :, 1:-1]
        return y + F.pixel_shuffle(dc.repeated(inner, 4 * layer.outputs), 2) if layer.shortcut else y

    return Local(function=up, before=1, after=1, growth=2)


def _queries_keys_values(layer: kl.Attention | dc.LinearAttention) -> Local:
    three = (layer.to_q, layer.to_k, layer.to_v)

    def project(rows: Tensor) -> Tensor:
        cells = rows.movedim(1, -1)
        return torch.cat([one(cells) for one in three], dim=-1).movedim(-1, 1)

    return Local(function=project)


def _more_scales(gathers: Sequence[dc.Gather]) -> Local:
    """Queries, keys and values, and beneath them what each gathering convolution makes of them."""
    halos = [int(gather.proj_in.padding[0]) for gather in gathers]
    halo = max(halos, default=0)

    def gather(rows: Tensor) -> Tensor:
        def cropped(more: int) -> Tensor:
            return rows[:, :, halo - more : rows.shape[2] - halo + more]

        scales = [one.proj_out(valid(one.proj_in, cropped(more))) for one, more in zip(gathers, halos, strict=True)]
        return torch.cat([cropped(0), *scales], dim=1)

    return Local(function=gather, before=halo, after=halo)


def _on_cells(linear: nn.Module) -> Local:
    return Local(function=lambda rows: linear(rows.movedim(1, -1)).movedim(-1, 1))
