"""(noisy latent, level, conditioning) -> clean latent: the U-Net, what its output means, and guidance."""

from fictile.denoiser.caching import EXACT, SPEEDS, CachedSteps, Speed, Turns, speed_of
from fictile.denoiser.conditioning import Added, Conditioning
from fictile.denoiser.denoiser import Denoiser, Sight
from fictile.denoiser.graph import UNetGraph, through
from fictile.denoiser.guidance import Guidance, guide, guide_by_picture
from fictile.denoiser.known import REFINER, SD15, SD21, SDXL, SSD_1B, VEGA
from fictile.denoiser.spec import UNetSpec, heads_of_width
from fictile.denoiser.unet import UNet

__all__ = [
    "EXACT",
    "REFINER",
    "SD15",
    "SD21",
    "SDXL",
    "SPEEDS",
    "SSD_1B",
    "VEGA",
    "Added",
    "CachedSteps",
    "Conditioning",
    "Denoiser",
    "Guidance",
    "Sight",
    "Speed",
    "Turns",
    "UNet",
    "UNetGraph",
    "UNetSpec",
    "guide",
    "guide_by_picture",
    "heads_of_width",
    "speed_of",
    "through",
]
