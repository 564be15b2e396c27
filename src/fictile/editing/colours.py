"""The colours of an edit, matched to those around it."""

import torch
from jaxtyping import Float
from scipy.ndimage import distance_transform_edt
from torch import Tensor

REACH = 48  # pixels around an edit that are compared
FEWEST = 64  # pixels that say something


def match_colours(
    edited: Float[Tensor, "3 h w"], given: Float[Tensor, "3 h w"], opacity: Float[Tensor, "h w"]
) -> Float[Tensor, "3 h w"]:
    """The edited pixels, moved by what the trip through the latent space did to the colours of the surroundings.

    Around the mask, edited and given pixels show the same thing: how red, green and blue differ there on average is the
    autoencoder's doing, and it does the same inside. Only that difference is taken back; contrast is the edit's own.
    Pixels up to `REACH` from where `opacity` is above 0 count; where there are too few of them, nothing is done.
    """
    distance = torch.from_numpy(distance_transform_edt((opacity == 0).numpy()))
    around = (distance > 0) & (distance <= REACH)
    if int(around.sum()) < FEWEST:
        return edited
    shift = (given - edited)[:, around].mean(dim=1)
    return (edited + shift[:, None, None]).clamp(-1, 1)
