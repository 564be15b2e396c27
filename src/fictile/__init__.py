"""Latent diffusion on the machine you have, with latents that know their space.

The names below are imported when they are first used: `import fictile` costs nothing, and torch is loaded by the first
name that needs it.

torch is asked for large pages (see docs/speed.md), unless THP_MEM_ALLOC_ENABLE says otherwise. It reads that once, when
it makes its first tensor.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

from fictile.errors import FictileError, RequestError, SpaceMismatch

if TYPE_CHECKING:
    from fictile.denoiser import Guidance
    from fictile.fidelity import compare, roundtrip
    from fictile.latent import Latent, LatentSpace, mix
    from fictile.loading import load
    from fictile.model import Model
    from fictile.picture import Picture
    from fictile.recipe import Recipe

__version__ = "0.1.0"

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

__all__ = [
    "FictileError",
    "Guidance",
    "Latent",
    "LatentSpace",
    "Model",
    "Picture",
    "Recipe",
    "RequestError",
    "SpaceMismatch",
    "__version__",
    "compare",
    "load",
    "mix",
    "roundtrip",
]

_HOME = {
    "Guidance": "fictile.denoiser",
    "Latent": "fictile.latent",
    "LatentSpace": "fictile.latent",
    "Model": "fictile.model",
    "Picture": "fictile.picture",
    "Recipe": "fictile.recipe",
    "compare": "fictile.fidelity",
    "load": "fictile.loading",
    "mix": "fictile.latent",
    "roundtrip": "fictile.fidelity",
}


def __getattr__(name: str) -> object:
    """Import a public name from its home at first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
