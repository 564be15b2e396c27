"""The autoencoders people already own, each as data. All read pixels in [-1, 1] and shrink the sides by 8."""

from dataclasses import dataclass

from fictile.autoencoder.normalisation import Normalisation
from fictile.autoencoder.spec import KLSpec
from fictile.latent import LatentSpace


@dataclass(frozen=True, kw_only=True)
class Known:
    """A published autoencoder: its network, its normalisation and the space it defines."""

    spec: KLSpec
    normalisation: Normalisation
    space: LatentSpace


def known(name: str, spec: KLSpec, *, scale: float, shift: float = 0.0) -> Known:
    """A published autoencoder whose normalisation is one scale and one shift."""
    return Known(
        spec=spec,
        normalisation=Normalisation.scalar(scale, shift, spec.channels),
        space=LatentSpace(id=name, channels=spec.channels, factor=spec.factor),
    )


SIXTEEN_CHANNELS = KLSpec(channels=16, quant=False)

# github.com/CompVis/stable-diffusion, configs/stable-diffusion/v1-inference.yaml; also Stable Diffusion 2
SD1 = known("sd1", KLSpec(), scale=0.18215)

# github.com/Stability-AI/generative-models, configs/inference/sd_xl_base.yaml
SDXL = known("sdxl", KLSpec(), scale=0.13025)

# github.com/Stability-AI/sd3.5, sd3_impls.py; also Stable Diffusion 3.5
SD3 = known("sd3", SIXTEEN_CHANNELS, scale=1.5305, shift=0.0609)

# github.com/black-forest-labs/flux, src/flux/util.py
FLUX1 = known("flux1", SIXTEEN_CHANNELS, scale=0.3611, shift=0.1159)

KNOWN = {entry.space.id: entry for entry in (SD1, SDXL, SD3, FLUX1)}
