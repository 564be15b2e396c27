"""What an autoencoder is made of, as data: one spec for each kind of network."""

from dataclasses import dataclass
from itertools import pairwise

from fictile.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class KLSpec:
    """The KL autoencoder of latent diffusion (arXiv 2112.10752), in numbers.

    `widths` are the channels per level, finest first; the decoder has the same unless `decoder_widths` says otherwise.
    With `stem` > 1 the pixels are first folded into channels (space-to-depth by `stem`) and unfolded at the end, so
    that a small network skips the costly full resolution.

    Raises RequestError for a number below 1, a width that the groups do not divide, or levels that do not match.
    """

    widths: tuple[int, ...] = (128, 256, 512, 512)
    layers: int = 2  # residual blocks per encoder level; the decoder has one more
    channels: int = 4  # of the latent
    groups: int = 32  # of every group norm
    quant: bool = True  # 1x1 convolutions around the latent
    mid_attention: bool = True
    stem: int = 1
    decoder_widths: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        _check_numbers(self, "widths", self.widths, self.layers, self.channels, self.groups, self.stem)
        _check_numbers(self, "decoder widths", self.decoder_widths or self.widths)
        widths = (*self.widths, *(self.decoder_widths or ()))
        if any(width % self.groups for width in widths):
            raise RequestError(
                f"The widths {widths} do not all divide by {self.groups} groups: choose multiples of it."
            )
        _check_levels(len(self.widths), len(self.decoder_widths or self.widths))

    @property
    def factor(self) -> int:
        """Pixels per latent cell, along one side."""
        return self.stem * 2 ** (len(self.widths) - 1)


@dataclass(frozen=True, kw_only=True)
class DCSpec:
    """The deep-compression autoencoder (DC-AE, arXiv 2410.10733), in numbers; all tuples are per level, finest first.

    The first `residual_levels` are made of residual blocks, the coarser ones of EfficientViT blocks (arXiv 2205.14756),
    with attention that is linear in the number of cells. A finest level without layers is skipped: its pixels are
    folded into the next one's channels.

    Raises RequestError for a number below 1, a width that does not divide into the heads or the latent's channels, or
    levels that do not match.
    """

    channels: int = 32  # of the latent
    widths: tuple[int, ...] = (128, 256, 512, 512, 1024, 1024)
    encoder_layers: tuple[int, ...] = (2, 2, 2, 3, 3, 3)
    decoder_layers: tuple[int, ...] = (3, 3, 3, 3, 3, 3)
    residual_levels: int = 3
    head_width: int = 32  # channels of an attention head
    kernels: tuple[int, ...] = (5,)  # of the convolutions that gather queries, keys and values at more scales
    fold: bool = False  # resample by folding cells into channels, instead of a stride and repetition
    batch_norm: bool = False  # in the decoder's residual blocks, with ReLU; otherwise RMS norm and SiLU

    def __post_init__(self) -> None:
        _check_numbers(self, "widths", self.widths, self.channels, self.head_width, self.residual_levels)
        _check_numbers(self, "layers", (*self.encoder_layers[1:], *self.decoder_layers[1:]))
        _check_levels(len(self.widths), len(self.encoder_layers), len(self.decoder_layers))
        if bool(self.encoder_layers[0]) != bool(self.decoder_layers[0]):
            raise RequestError(f"{self} skips its finest level on one side only; give both layers, or neither.")
        if any(4 * fine % coarse or coarse % 4 for fine, coarse in pairwise(self.widths)):
            raise RequestError(
                f"The widths {self.widths} grow too fast, or not in fours: four cells become one, so each width must "
                "divide four times the one before, and by 4."
            )
        attention = self.widths[self.residual_levels :]
        if self.widths[-1] % self.channels or any(width % self.head_width for width in attention):
            raise RequestError(
                f"The widths {self.widths} do not divide into {self.channels} channels of the latent (the last) and "
                f"heads of {self.head_width} (those with attention); choose multiples."
            )

    @property
    def factor(self) -> int:
        """Pixels per latent cell, along one side."""
        return 2 ** (len(self.widths) - 1)


@dataclass(frozen=True, kw_only=True)
class WanSpec:
    """The causal video autoencoder of Wan 2.1 and Qwen-Image (arXiv 2503.20314, section 4.1), in numbers.

    All tuples are finest first. It is run on single frames; `temporal` says at which of the steps between levels the
    weights hold a convolution over time, which a first frame does not meet.

    Raises RequestError for a number below 1, an odd width that has to be halved, or levels that do not match.
    """

    channels: int = 16  # of the latent
    widths: tuple[int, ...] = (96, 192, 384, 384)
    layers: int = 2  # residual blocks per encoder level; the decoder has one more
    temporal: tuple[bool, ...] = (False, True, True)

    def __post_init__(self) -> None:
        _check_numbers(self, "widths", self.widths, self.channels, self.layers)
        _check_levels(len(self.widths), len(self.temporal) + 1)
        if any(width % 2 for width in self.widths[1:]):
            raise RequestError(f"The widths {self.widths} must be even from the second on: the decoder halves them.")

    @property
    def factor(self) -> int:
        """Pixels per latent cell, along one side."""
        return 2 ** (len(self.widths) - 1)


@dataclass(frozen=True, kw_only=True)
class TinySpec:
    """A distilled tiny autoencoder (github.com/madebyollin/taesd), in numbers; tuples are per level, finest first.

    With `stem_widths` the encoder begins with a strided convolution for each of them and one more.
    A file may hold one half only; the other is then not built.

    Raises RequestError for a number below 1, levels that do not match, or neither half.
    """

    channels: int = 4  # of the latent
    width: int = 64  # of the encoder
    encoder_layers: tuple[int, ...] = (1, 3, 3, 3)  # residual blocks
    decoder_layers: tuple[int, ...] = (1, 3, 3, 3)
    decoder_widths: tuple[int, ...] = (64, 64, 64, 64)
    stem_widths: tuple[int, ...] = ()
    pool: bool = False  # a branch with a group norm in the blocks of the coarsest level
    encodes: bool = True
    decodes: bool = True

    def __post_init__(self) -> None:
        _check_numbers(self, "widths", self.decoder_widths, self.channels, self.width, *self.stem_widths)
        _check_numbers(self, "layers", (*self.encoder_layers, *self.decoder_layers))
        _check_levels(len(self.decoder_widths), len(self.decoder_layers), len(self.encoder_layers) + self._stem_steps)
        if not (self.encodes or self.decodes):
            raise RequestError(f"{self} has neither an encoder nor a decoder; give one of them.")

    @property
    def factor(self) -> int:
        """Pixels per latent cell, along one side."""
        return 2 ** (len(self.decoder_widths) - 1)

    @property
    def _stem_steps(self) -> int:
        return len(self.stem_widths) + 1 if self.stem_widths else 0


Spec = KLSpec | DCSpec | WanSpec | TinySpec


def _check_numbers(spec: Spec, what: str, numbers: tuple[int, ...], *more: int) -> None:
    if not numbers or min((*numbers, *more)) < 1:
        raise RequestError(f"{spec} has a number below 1, or no {what}; give whole numbers from 1 on.")


def _check_levels(levels: int, *others: int) -> None:
    if any(other != levels for other in others):
        raise RequestError(
            f"An autoencoder with {levels} levels was given {others} elsewhere; give one value for each."
        )
