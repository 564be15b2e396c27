"""U-Nets that people have weights of."""

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
