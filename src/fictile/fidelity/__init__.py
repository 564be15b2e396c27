"""What the trip through the latent space cost: metrics and round trips."""

from fictile.fidelity.metrics import ColourShift, colour_shift, psnr, ssim
from fictile.fidelity.roundtrip import Codec, RoundTrip, roundtrip

__all__ = ["Codec", "ColourShift", "RoundTrip", "colour_shift", "psnr", "roundtrip", "ssim"]
