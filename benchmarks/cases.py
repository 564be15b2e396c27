"""What is measured: the packaged model from prompt to pixels, and the costly networks of Stable Diffusion 1.5."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

import fictile
from benchmarks.contest import Contest
from benchmarks.networks import BACKENDS, Scale, Work, contest, decode, encode, unet
from benchmarks.peer import Pipeline, diffusers_autoencoder, diffusers_unet, in_each_layout, placed
from fictile.autoencoder import KLSpec, as_kl
from fictile.denoiser import SD15, Guidance, UNetSpec
from fictile.engine import EAGER
from fictile.errors import RequestError
from fictile.model import Model
from fictile.schedule import Flow

PROMPT = "a red fox"
GUIDANCE = 5.0

FULL = Scale(steps=20, unet=SD15, autoencoder=KLSpec(), cells=64, tokens=77)
QUICK = Scale(
    steps=2,
    unet=UNetSpec(widths=(32, 64, 64, 64), heads=(2, 2, 2, 2), context_width=32),
    autoencoder=KLSpec(widths=(32, 32, 64)),
    cells=16,
    tokens=7,
)


def packaged(precision: str, scale: Scale, folder: Path | None) -> Contest:
    """Prompt to pixels with a warm model: text, steps with guidance, decode. No file is written.

    Raises RequestError when the model is not a flow, which is what the peer's loop steps.
    """
    model = fictile.load(folder, device="cpu", precision=precision)
    schedule = model.denoiser.schedule
    if not isinstance(schedule, Flow) or model.denoiser.prediction != "flow":
        raise RequestError(f"{model.name} is no flow model, but diffusers' side steps flows only; give another --model")
    height, width = model.defaults.size
    factor, steps = model.space.factor, scale.steps

    def ours() -> Tensor:
        pictures = model.generate(
            PROMPT, seed=0, steps=steps, guidance=Guidance(scale=GUIDANCE), sampler="euler", schedule="simple"
        )
        return pictures[0].pixels[None]

    def theirs(layout: torch.memory_format) -> Callable[[], Tensor]:
        pipeline = twin(model, schedule, layout)
        shape = (model.space.channels, height // factor, width // factor)
        return lambda: pipeline(PROMPT, seed=0, steps=steps, guidance=GUIDANCE, shape=shape)

    return Contest(
        case="packaged",
        precision=precision,
        job=f"{model.name}: one picture of {width}x{height}, {steps} Euler steps with guidance",
        fictile=ours,
        peers=in_each_layout(theirs),
    )


def twin(model: Model, schedule: Flow, layout: torch.memory_format) -> Pipeline:
    """The model made of diffusers' parts, in the model's precision."""
    autoencoder, dtype = as_kl(model.autoencoder), model.runtime.dtype
    return Pipeline(
        text=model.text,
        unet=placed(diffusers_unet(model.denoiser.network), dtype, layout),
        autoencoder=placed(diffusers_autoencoder(autoencoder.network), dtype, layout),
        normalisation=autoencoder.normalisation,
        stem=autoencoder.network.spec.stem,
        shift=schedule.shift,
    )


def network(
    work: Callable[[Scale], Work], case: str, backend: str, precision: str, scale: Scale, _: Path | None
) -> Contest:
    """One run of a network, by one of Fictile's back ends."""
    return contest(case, precision, work(scale), backend)


NETWORKS = {"sd15-unet": unet, "sd15-decode": decode, "sd15-encode": encode}
CASES: dict[str, Callable[[str, Scale, Path | None], Contest]] = {
    "packaged": packaged,
    **{
        case: partial(network, work, case, backend)
        for backend in BACKENDS
        for name, work in NETWORKS.items()
        for case in [name if backend == EAGER else f"{name}-{backend}"]
    },
}
