"""The text transformers that published diffusion models use."""

from fictile.text.spec import TextSpec

CLIP_L = TextSpec()
"""OpenAI's ViT-L/14, read by Stable Diffusion 1, XL and 3 and FLUX.1 (openai/clip-vit-large-patch14, config.json)."""

OPENCLIP_H = TextSpec(width=1024, layers=24, heads=16, activation="gelu", pad=0)
"""OpenCLIP's ViT-H/14 as Stable Diffusion 2 uses it: without its projection (open_clip, ViT-H-14.json)."""

OPENCLIP_G = TextSpec(width=1280, layers=32, heads=20, activation="gelu", projection=1280, pad=0)
"""OpenCLIP's ViT-bigG/14, the second encoder of Stable Diffusion XL and 3 (open_clip, ViT-bigG-14.json)."""
