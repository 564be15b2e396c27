"""U-Nets that people have weights of."""

from dataclasses import replace

from fictile.denoiser.spec import UNetSpec, heads_of_width

SD15 = UNetSpec()
"""Stable Diffusion 1.x (unet/config.json of stable-diffusion-v1-5): 859,520,964 parameters."""

SD21 = UNetSpec(heads=heads_of_width((320, 640, 1280, 1280), 64), context_width=1024, linear_projection=True)
"""Stable Diffusion 2.x (unet/config.json of stabilityai/stable-diffusion-2-1): 865,910,724 parameters."""

SDXL = UNetSpec(
    widths=(320, 640, 1280),
    depth=(0, 2, 10),
    mid_depth=10,
    heads=heads_of_width((320, 640, 1280), 64),
    context_width=2048,
    linear_projection=True,
    added_time_width=256,
    added_width=2816,
)
"""SDXL (unet/config.json of stabilityai/stable-diffusion-xl-base-1.0): 2,567,463,684 parameters."""

REFINER = UNetSpec(
    widths=(384, 768, 1536, 1536),
    depth=(0, 4, 4, 0),
    mid_depth=4,
    heads=heads_of_width((384, 768, 1536, 1536), 64),
    context_width=1280,
    linear_projection=True,
    added_time_width=256,
    added_width=2560,
)
"""SDXL's refiner (unet/config.json of stabilityai/stable-diffusion-xl-refiner-1.0)."""

SSD_1B = replace(SDXL, depth=(0, 2, 4), mid_depth=0, up_depth=((), (2, 1, 1), (4, 4, 10)))
"""SDXL with blocks left out (unet/config.json of segmind/SSD-1B; arXiv 2401.02677)."""

VEGA = replace(SDXL, depth=(0, 1, 2), mid_depth=0)
"""More of them left out (unet/config.json of segmind/Segmind-Vega; arXiv 2401.02677)."""
