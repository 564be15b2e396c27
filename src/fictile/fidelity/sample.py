"""A sample of a picture, itself a picture: tiles from everywhere, beside one another as their places are.

Each tile brings a margin, so that its middle sees its own surroundings while a network works on the sample. What the
middles show is carried over to the picture by regression on what is known of all of it (Cochran 1977, "Sampling
Techniques", chapter 7: the linear regression estimator).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

INNER = 16  # pixels along a side of the middle of a tile, at least; the margin is half of it
SIGMAS = 2.0  # standard errors that a spread is wide
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Where the tiles lie in the picture."""

    places: tuple[tuple[tuple[int, int], ...], ...]  # upper left corners, row by row, as the tiles lie in the sample
    margin: int  # pixels

    @property
    def side(self) -> int:
        """Of a tile, with its margins, in pixels."""
        return 4 * self.margin

    @property
    def pixels(self) -> int:
        """Of the sample."""
        return len(self.places) * len(self.places[0]) * self.side**2

    def of(self, picture: Shaped[np.ndarray, "h w c"]) -> Shaped[np.ndarray, "_ _ c"]:
        """The tiles of a picture, as one picture."""
        rows = [[picture[top : top + self.side, left : left + self.side] for top, left in row] for row in self.places]
        return np.concatenate([np.concatenate(row, axis=1) for row in rows])

    def means(self, sample: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "tiles c"]:
        """Over the middle of each tile."""
        tiles = sample.reshape(len(self.places), self.side, len(self.places[0]), self.side, -1)
        inside = slice(self.margin, -self.margin)
        return tiles[:, inside, :, inside].mean(axis=(1, 3)).reshape(-1, sample.shape[-1])


def tile_side(factor: int) -> int:
    """In pixels, for a latent with cells of `factor` pixels."""
    return 2 * -(-INNER // factor) * factor


def draw_sample(size: tuple[int, int], factor: int, pixels: int) -> Sample:
    """Tiles of about so many pixels in all: the picture in a grid of equal parts, and from each a tile by chance.

    Tiles start on the cells of the latent (`factor` pixels), because what an autoencoder does to a pixel depends on
    where in its cell it lies. No side of the picture may be shorter than a tile's.
    """
    side = tile_side(factor)
    height, width = size
    down = min(max(round((pixels * height / width) ** 0.5 / side), 1), height // side)
    across = min(max(pixels // side**2 // down, 1), width // side)
    random = np.random.default_rng(SEED)

    def one(part: int, parts: int, length: int) -> int:
        """The start of a tile whose middle lies in this part of the length."""
        starts = np.arange(0, length - side + 1, factor)
        inside = starts[(starts + side // 2) * parts // length == part]
        return int(random.choice(inside)) if len(inside) else min(part * length // parts // factor * factor, starts[-1])

    return Sample(
        places=tuple(tuple((one(i, down, height), one(j, across, width)) for j in range(across)) for i in range(down)),
        margin=side // 4,
    )


def features(before: Float[np.ndarray, "h w 3"], after: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w k"]:
    """What is known of each pixel after a pass and bears on the next: the change, its square, the colour."""
    change = after - before
    one = np.ones_like(change[..., :1])
    return np.concatenate([one, change, (change**2).mean(axis=-1, keepdims=True), after], axis=-1)


def expected(
    seen: Float[np.ndarray, "tiles c"], terms: Float[np.ndarray, "tiles k"], population: Float[np.ndarray, " k"]
) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, " c"]]:
    """The means over the picture of what was seen of the tiles, and SIGMAS standard errors of them."""
    weights, _, rank, _ = np.linalg.lstsq(terms, seen)
    left = seen - terms @ weights
    freedom = max(len(seen) - int(rank), 1)
    error = np.sqrt((left**2).sum(axis=0) / freedom / len(seen))
    return population @ weights, SIGMAS * error
