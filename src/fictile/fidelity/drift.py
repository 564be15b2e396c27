"""What further trips through the latent space will do, foretold from the first.

The errors of repeated passes neither cancel nor simply add up: part of each repeats the one before (a tint, a change of
contrast), part is new. Five numbers for each pass describe that, fitted on the still pictures of scikit-image with two
autoencoders as unlike as can be (`tools/fidelity/fit_drift.py`): the packaged one, which learnt emoji and is far from
home with photographs, and the tiny one of FLUX.2. A forecast is a middle and a band that nine of ten fitted pictures
lie in; it is a warning of what is coming and no measurement.
"""

import math
from dataclasses import dataclass

REFERENCE = 25.0  # decibels that the slope turns about


@dataclass(frozen=True, kw_only=True)
class Law:
    """How one later pass follows from the first."""

    loss: float  # decibels of PSNR lost since the first pass, for a picture that it left at REFERENCE
    slope: float  # and for each decibel above that
    spread: float  # decibels; half the band
    growth: float  # the mean colour shift, as a multiple of that of the first pass
    colour_spread: float  # half the band, as a multiple of the first pass's root mean square error


# Of passes 2, 3, 4 and 5.
LAWS = (
    Law(loss=2.55, slope=0.116, spread=1.3, growth=1.46, colour_spread=0.3),
    Law(loss=4.27, slope=0.202, spread=1.9, growth=1.78, colour_spread=0.62),
    Law(loss=5.55, slope=0.27, spread=2.3, growth=2.05, colour_spread=0.9),
    Law(loss=6.57, slope=0.324, spread=2.2, growth=2.3, colour_spread=1.21),
)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What one later pass is expected to leave."""

    number: int  # of the pass: 2, 3 ...
    psnr: float  # decibels
    psnr_spread: float  # nine of ten pictures lie within this of it
    rgb: tuple[float, float, float]  # mean shift of red, green and blue since the original, in 8-bit steps
    rgb_spread: float


def forecast(psnr: float, rgb: tuple[float, float, float]) -> tuple[Forecast, ...]:
    """Passes 2 to 5 from the PSNR in decibels and the mean colour shift, in 8-bit steps, of the first.

    A picture that came back exactly will do so again.
    """
    if math.isinf(psnr):
        return tuple(
            Forecast(number=number, psnr=psnr, psnr_spread=0.0, rgb=rgb, rgb_spread=0.0)
            for number in range(2, len(LAWS) + 2)
        )
    error = 255 * 10 ** (-psnr / 20)
    red, green, blue = rgb
    return tuple(
        Forecast(
            number=number,
            psnr=psnr - law.loss - law.slope * (psnr - REFERENCE),
            psnr_spread=law.spread,
            rgb=(law.growth * red, law.growth * green, law.growth * blue),
            rgb_spread=law.colour_spread * error,
        )
        for number, law in enumerate(LAWS, start=2)
    )
