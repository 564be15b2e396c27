"""The autoencoders people already own, each as data: its network, and how its latents are normalised."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fictile.autoencoder.normalisation import Normalisation
from fictile.autoencoder.spec import DCSpec, KLSpec, Spec, TinySpec, WanSpec
from fictile.latent import SPACES, LatentSpace


@dataclass(frozen=True, kw_only=True)
class Known:
    """A published autoencoder: its network, its normalisation and the space it speaks.

    The normalisation is None where every file carries its own, as those of FLUX.2 do.
    """

    name: str
    spec: Spec
    normalisation: Normalisation | None
    space: LatentSpace


def known(name: str, spec: Spec, space: str, *, scale: float = 1.0, shift: float = 0.0, patch: int = 1) -> Known:
    """A published autoencoder whose normalisation is one scale and one shift, or (as a tiny one's) none at all."""
    channels = spec.channels * patch**2
    return Known(
        name=name,
        spec=spec,
        normalisation=Normalisation.scalar(scale, shift, channels, patch),
        space=SPACES[space],
    )


SIXTEEN_CHANNELS = KLSpec(channels=16, quant=False)

# github.com/CompVis/stable-diffusion, configs/stable-diffusion/v1-inference.yaml; also Stable Diffusion 2
SD1 = known("sd1", KLSpec(), "sd1", scale=0.18215)

# github.com/Stability-AI/generative-models, configs/inference/sd_xl_base.yaml
SDXL = known("sdxl", KLSpec(), "sdxl", scale=0.13025)

# huggingface.co/playgroundai/playground-v2.5-1024px-aesthetic, vae/config.json: latents_mean, latents_std and a
# scaling_factor of 0.5, which is where the latents' standard deviation goes (EDM's sigma_data, arXiv 2206.00364)
PLAYGROUND_25 = Known(
    name="playground-2.5",
    spec=KLSpec(),
    normalisation=Normalisation(
        scale=tuple(0.5 / deviation for deviation in (8.4927, 5.9022, 6.5498, 5.2299)),
        shift=(-1.6574, 1.886, -1.383, 2.5155),
    ),
    space=SPACES["playground-2.5"],
)

# github.com/Stability-AI/sd3.5, sd3_impls.py; also Stable Diffusion 3.5
SD3 = known("sd3", SIXTEEN_CHANNELS, "sd3", scale=1.5305, shift=0.0609)

# github.com/black-forest-labs/flux, src/flux/util.py
FLUX1 = known("flux1", SIXTEEN_CHANNELS, "flux1", scale=0.3611, shift=0.1159)

# github.com/black-forest-labs/flux2, src/flux2/autoencoder.py: a batch norm over 2x2 cells, its statistics in the file
FLUX2 = Known(name="flux2", spec=KLSpec(channels=32), normalisation=None, space=SPACES["flux2"])
# huggingface.co/black-forest-labs/FLUX.2-small-decoder, config.json
FLUX2_SMALL_DECODER = Known(
    name="flux2-small-decoder",
    spec=KLSpec(channels=32, decoder_widths=(96, 192, 384, 384)),
    normalisation=None,
    space=SPACES["flux2"],
)
FLUX2_PATCH, FLUX2_EPSILON = 2, 1e-4  # the same file; the batch norm has neither gain nor bias

# github.com/Wan-Video/Wan2.1, wan/modules/vae.py; the same numbers in Qwen-Image's vae/config.json
WAN21 = Known(
    name="wan21",
    spec=WanSpec(),
    normalisation=Normalisation.of(
        mean=(
            -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
            0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
        ),
        std=(
            2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
            3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
        ),
    ),
    space=SPACES["wan21"],
)  # fmt: skip

# DC-AE, specs and scales: github.com/mit-han-lab/efficientvit, efficientvit/models/efficientvit/dc_ae.py, and
# github.com/huggingface/diffusers, scripts/convert_dcae_to_diffusers.py
SANA = known("sana", DCSpec(), "sana", scale=0.41407)
DC_F32C32 = DCSpec(
    encoder_layers=(0, 4, 8, 2, 2, 2), decoder_layers=(0, 5, 10, 2, 2, 2), kernels=(), fold=True, batch_norm=True
)
DC_F64C128 = DCSpec(
    channels=128,
    widths=(*DC_F32C32.widths, 2048),
    encoder_layers=(*DC_F32C32.encoder_layers, 2),
    decoder_layers=(*DC_F32C32.decoder_layers, 2),
    kernels=(),
    fold=True,
    batch_norm=True,
)
DC_F128C512 = DCSpec(
    channels=512,
    widths=(*DC_F64C128.widths, 2048),
    encoder_layers=(*DC_F64C128.encoder_layers, 2),
    decoder_layers=(*DC_F64C128.decoder_layers, 2),
    kernels=(),
    fold=True,
    batch_norm=True,
)
DEEP = (
    known("dc-ae-f32c32-in", DC_F32C32, "dc-ae-f32c32-in", scale=0.3189),
    known("dc-ae-f32c32-mix", DC_F32C32, "dc-ae-f32c32-mix", scale=0.4552),
    known("dc-ae-f64c128-in", DC_F64C128, "dc-ae-f64c128-in", scale=0.2889),
    known("dc-ae-f64c128-mix", DC_F64C128, "dc-ae-f64c128-mix", scale=0.4538),
    known("dc-ae-f128c512-in", DC_F128C512, "dc-ae-f128c512-in", scale=0.4883),
    known("dc-ae-f128c512-mix", DC_F128C512, "dc-ae-f128c512-mix", scale=0.3620),
)

# github.com/madebyollin/taesd, README.md and taesd.py: distilled, and in model units already. FLUX.2's speaks the
# latent after the batch norm, before its 2x2 cells are folded (github.com/IonDen/mlx-taef/pull/41 measures it).
TINY = (
    known("taesd", TinySpec(), "sd1"),
    known("taesdxl", TinySpec(), "sdxl"),
    known("taesd3", TinySpec(channels=16), "sd3"),
    known("taef1", TinySpec(channels=16), "flux1"),
    known("taef2", TinySpec(channels=32, pool=True), "flux2", patch=FLUX2_PATCH),
    known(
        "taesana",
        TinySpec(
            channels=32,
            stem_widths=(32,),
            decoder_layers=(1, 3, 3, 3, 3, 3),
            decoder_widths=(64, 64, 64, 64, 128, 256),
        ),
        "sana",
    ),
)

KNOWN: Mapping[str, Known] = {
    entry.name: entry
    for entry in (SD1, SDXL, PLAYGROUND_25, SD3, FLUX1, FLUX2, FLUX2_SMALL_DECODER, WAN21, SANA, *DEEP, *TINY)
}


def published(spec: Spec) -> tuple[Known, ...]:
    """The published autoencoders of this network; of half a tiny one, those that it can be half of."""
    whole = replace(spec, encodes=True, decodes=True) if isinstance(spec, TinySpec) else spec
    return tuple(entry for entry in KNOWN.values() if entry.spec == whole)
