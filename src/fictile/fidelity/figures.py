"""All that is measured about one picture after it came back."""

from dataclasses import asdict, dataclass
from math import isfinite

from fictile.fidelity.colour import Colour, colour
from fictile.fidelity.detail import Band, detail
from fictile.fidelity.metrics import MS_SSIM_SIDE, SSIM_WINDOW, ms_ssim, psnr, ssim
from fictile.fidelity.perceptual import has_perceptual, perceptual_distance
from fictile.picture import Picture


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How far a picture is from the one that set out; docs/fidelity.md says what each number means."""

    psnr: float  # decibels; infinite for equal pictures
    ssim: float | None  # None of a picture with a side below 11 pixels
    ms_ssim: float | None  # None of a picture with a side below 176 pixels
    perceptual: float | None  # None without the extra fictile[perceptual]
    colour: Colour
    detail: tuple[Band, ...]  # finest first

    def as_json(self) -> dict[str, object]:
        """Plain JSON values; an infinite PSNR, which JSON cannot write, is None."""
        colour = asdict(self.colour)
        return {
            "psnr": self.psnr if isfinite(self.psnr) else None,
            "ssim": self.ssim,
            "ms_ssim": self.ms_ssim,
            "perceptual": self.perceptual,
            "delta_e": colour["delta_e"],
            "delta_e_95": colour["delta_e_95"],
            "rgb_shift": list(colour["rgb"]),
            "contrast": colour["contrast"],
            "saturation": colour["saturation"],
            "detail": [asdict(band) for band in self.detail],
        }


def measure(before: Picture, after: Picture) -> Figures:
    """Compare a picture with the one it was.

    Raises:
        RequestError: The sizes differ.
    """
    pair = before.pixels, after.pixels
    side = min(before.height, before.width)
    return Figures(
        psnr=psnr(*pair),
        ssim=ssim(*pair) if side >= SSIM_WINDOW else None,
        ms_ssim=ms_ssim(*pair) if side >= MS_SSIM_SIDE else None,
        perceptual=perceptual_distance(*pair) if has_perceptual() else None,
        colour=colour(*pair),
        detail=detail(*pair),
    )
