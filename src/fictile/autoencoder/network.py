"""The kinds of networks that an autoencoder can be made of.

Each has a `spec`, `encode` (pixels in [-1, 1] to the mean and the log-variance of a raw latent) and `decode` (a raw
latent to pixels), and is otherwise a plain torch module.
"""

from collections.abc import Mapping

from fictile.autoencoder.dc import DC
from fictile.autoencoder.kl import KL
from fictile.autoencoder.spec import DCSpec, KLSpec, Spec, TinySpec, WanSpec
from fictile.autoencoder.tiny import Tiny
from fictile.autoencoder.wan import Wan

Network = KL | DC | Wan | Tiny

KINDS: Mapping[str, type[Spec]] = {"kl": KLSpec, "dc": DCSpec, "wan": WanSpec, "tiny": TinySpec}


def make_network(spec: Spec) -> Network:
    """An untrained network of this spec."""
    match spec:
        case KLSpec():
            return KL(spec)
        case DCSpec():
            return DC(spec)
        case WanSpec():
            return Wan(spec)
        case TinySpec():
            return Tiny(spec)


def kind_of(spec: Spec) -> str:
    """What the spec's kind is called in files: a key of `KINDS`."""
    return next(kind for kind, one in KINDS.items() if one is type(spec))
