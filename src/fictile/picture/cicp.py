"""Colours that a file names by two numbers of ITU-T H.273: PNG in cICP, AVIF in nclx."""

from functools import lru_cache
from itertools import chain

import imagecodecs
import numpy as np
from jaxtyping import Float32

HDR_TRANSFERS = {16, 18}  # PQ and HLG: table 3

_D65, _DCI = (0.3127, 0.3290), (0.314, 0.351)
_SRGB_PRIMARIES = {1, 2}  # those of sRGB, and not said
_PRIMARIES = {  # table 2: white, red, green, blue
    **dict.fromkeys(_SRGB_PRIMARIES, (_D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))),
    5: (_D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),  # PAL
    6: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),  # NTSC
    7: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # BT.2020
    11: (_DCI, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: (_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # Display P3
}

# Its own (13) and not said (2). Those of cameras (BT.709 and BT.2020: 1, 6, 14, 15) are meant to be seen on a display
# like sRGB's, and not to be undone.
_SRGB_TRANSFERS = {1, 2, 6, 13, 14, 15}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_STEPS = 4096  # of the table of a curve


def is_known(primaries: int, transfer: int) -> bool:
    """Whether `profile_of` knows these colours."""
    return primaries in _PRIMARIES and (transfer in _SRGB_TRANSFERS or transfer in _GAMMAS)


@lru_cache(maxsize=8)
def profile_of(primaries: int, transfer: int, *, grey: bool) -> bytes | None:
    """The ICC profile of colours that are known; None where they are those of sRGB."""
    white, *corners = ((x, y, 1.0) for x, y in _PRIMARIES[primaries])
    plain = transfer in _SRGB_TRANSFERS
    if plain and (grey or primaries in _SRGB_PRIMARIES):
        return None
    return bytes(
        imagecodecs.cms_profile(
            "gray" if grey else "rgb",
            whitepoint=white,
            primaries=None if grey else list(chain(*corners)),
            transferfunction=_srgb_curve() if plain else None,
            gamma=None if plain else _GAMMAS[transfer],
        )
    )


def _srgb_curve() -> Float32[np.ndarray, " n"]:
    """Light by value (IEC 61966-2-1)."""
    values = np.linspace(0, 1, _STEPS, dtype=np.float32)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)
