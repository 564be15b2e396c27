"""What the trip through the latent space cost: metrics and round trips."""

from fictile.fidelity.metrics import ColourShift, colour_shift, psnr, ssim
from fictile.fidelity.mismatch import Cell, mismatch
from fictile.fidelity.roundtrip import Codec, RoundTrip, roundtrip

__all__ = ["Cell", "Codec", "ColourShift", "RoundTrip", "colour_shift", "mismatch", "psnr", "roundtrip", "ssim"]
