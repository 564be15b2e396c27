"""What happened to the colours of a picture, as the eye counts them: in CIELAB, the pixels taken as sRGB under D65."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor

from fictile.fidelity.metrics import unit_pair

NO_CONTRAST = 0.5  # standard deviation of L* in percent of white: what 8 bits round is of this size
NO_COLOUR = 2.0  # mean chroma: a grey picture has no saturation to keep


@dataclass(frozen=True, kw_only=True)
class Colour:
    """How the colours of a whole picture moved."""

    delta_e: float  # mean CIEDE2000 difference; about 1 is the least that an eye sees side by side
    delta_e_95: float  # 95 of 100 pixels differ by less than this
    rgb: tuple[float, float, float]  # mean signed change of red, green and blue, in 8-bit steps; + is brighter
    contrast: float | None  # standard deviation of L*, after over before; None of a picture that has none
    saturation: float | None  # mean chroma C*ab, after over before; None of a grey picture


def colour(reference: Float[Tensor, "3 h w"], other: Float[Tensor, "3 _ _"]) -> Colour:
    """The colour difference as the eye sees it, where red, green and blue went, and what became of contrast and
    saturation.

    CIEDE2000 as in Sharma, Wu and Dalal 2005.

    Raises:
        RequestError: The sizes differ.
    """
    before, after = unit_pair(reference, other)
    lab_before, lab_after = rgb2lab(before), rgb2lab(after)
    differences = deltaE_ciede2000(lab_before, lab_after)
    red, green, blue = (255 * float(change) for change in np.mean(after - before, axis=(0, 1)))
    return Colour(
        delta_e=float(np.mean(differences)),
        delta_e_95=float(np.percentile(differences, 95)),
        rgb=(red, green, blue),
        contrast=_ratio(lab_before[..., 0].std(), lab_after[..., 0].std(), NO_CONTRAST),
        saturation=_ratio(_chroma(lab_before), _chroma(lab_after), NO_COLOUR),
    )


def difference_map(reference: Float[Tensor, "3 h w"], other: Float[Tensor, "3 _ _"]) -> Float[np.ndarray, "h w"]:
    """The CIEDE2000 difference of each pixel.

    Raises:
        RequestError: The sizes differ.
    """
    before, after = unit_pair(reference, other)
    return deltaE_ciede2000(rgb2lab(before), rgb2lab(after))


def _chroma(lab: Float[np.ndarray, "h w 3"]) -> float:
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


def _ratio(before: float, after: float, least: float) -> float | None:
    return float(after / before) if before >= least else None
