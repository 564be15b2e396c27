"""What the trip through the latent space cost: metrics, round trips, drift, and a page that tells."""

from fictile.fidelity.colour import Colour, colour, difference_map
from fictile.fidelity.detail import Band, detail
from fictile.fidelity.drift import Forecast, forecast
from fictile.fidelity.figures import Figures, measure
from fictile.fidelity.metrics import ms_ssim, psnr, ssim
from fictile.fidelity.mismatch import Cell, mismatch
from fictile.fidelity.perceptual import Perceptual, efficientnet, has_perceptual, perceptual_distance
from fictile.fidelity.report import Report, Trip, check_report, roundtrip
from fictile.fidelity.vae import Codec, Vae, one_pass, open_vaes
from fictile.fidelity.verdict import Average, Comparison, averages, compare, headline

__all__ = [
    "Average",
    "Band",
    "Cell",
    "Codec",
    "Colour",
    "Comparison",
    "Figures",
    "Forecast",
    "Perceptual",
    "Report",
    "Trip",
    "Vae",
    "averages",
    "check_report",
    "colour",
    "compare",
    "detail",
    "difference_map",
    "efficientnet",
    "forecast",
    "has_perceptual",
    "headline",
    "measure",
    "mismatch",
    "ms_ssim",
    "one_pass",
    "open_vaes",
    "perceptual_distance",
    "psnr",
    "roundtrip",
    "ssim",
]
