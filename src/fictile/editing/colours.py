"""The colours of an edit, matched to those around it."""

import torch
from jaxtyping import Bool, Float
from scipy.ndimage import distance_transform_edt
from torch import Tensor

REACH = 48  # pixels around an edit that are compared
FEWEST = 64  # pixels that say something
GAIN = 1.25  # by which contrast is corrected at most


def surroundings(opacity: Float[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """The pixels up to `REACH` from where an edit is painted."""
    distance = torch.from_numpy(distance_transform_edt((opacity == 0).numpy()))
    return (distance > 0) & (distance <= REACH)


def match_colours(
    edited: Float[Tensor, "3 h w"],
    given: Float[Tensor, "3 h w"],
    round_trip: Float[Tensor, "3 h w"],
    around: Bool[Tensor, "h w"],
) -> Float[Tensor, "3 h w"]:
    """The edited pixels, less what the autoencoder did to the colours of their surroundings.

    The given picture's trip through the latent space shows there how it moves the mean and the standard deviation of
    red, green and blue; both are moved back inside, the contrast by a factor of `GAIN` at most. Where too few pixels
    are around to tell, nothing is done.
    """
    if int(around.sum()) < FEWEST:
        return edited
    before, after = given[:, around], round_trip[:, around]
    spread = after.std(dim=1)
    gain = torch.where(spread > 0, before.std(dim=1) / spread, 1.0).clamp(1 / GAIN, GAIN)
    wanted, seen = before.mean(dim=1)[:, None, None], after.mean(dim=1)[:, None, None]
    return (wanted + gain[:, None, None] * (edited - seen)).clamp(-1, 1)
