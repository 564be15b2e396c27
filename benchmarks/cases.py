"""What is measured: the packaged model from prompt to pixels, and the two costly networks of Stable Diffusion 1.5."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import fictile
from benchmarks.contest import Contest
from benchmarks.peer import Pipeline, diffusers_autoencoder, diffusers_unet, in_each_layout, placed
from fictile.autoencoder import KL, KLSpec, as_kl
from fictile.denoiser import SD15, Guidance, UNet, UNetSpec
from fictile.engine import PRECISIONS
from fictile.errors import RequestError
from fictile.model import Model
from fictile.schedule import Flow

PROMPT = "a red fox"
GUIDANCE = 5.0
BOTH_BRANCHES = 2  # guidance runs the network on a batch of two


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the jobs are."""

    steps: int
    unet: UNetSpec
    autoencoder: KLSpec
    cells: int  # along one side of the latent
    tokens: int  # of the text


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


def sd15_unet(precision: str, scale: Scale, _: Path | None) -> Contest:
    """One step of a U-Net of Stable Diffusion 1.5's shape, with random weights, as all but the first of a picture are:
    the text is read and the time embedded before. diffusers does both in every step.
    """
    torch.manual_seed(0)
    dtype, side = PRECISIONS[precision], scale.cells
    network = UNet(scale.unet)
    original = diffusers_unet(network)
    network = placed(network, dtype, torch.channels_last)
    x = torch.randn(BOTH_BRANCHES, scale.unet.in_channels, side, side).to(dtype)
    context = torch.randn(BOTH_BRANCHES, scale.tokens, scale.unet.context_width).to(dtype)
    time = torch.full((BOTH_BRANCHES,), 500.0)
    with torch.inference_mode():
        shifts, text = network.shifts(time[:1]), network.read(context)

    def theirs(layout: torch.memory_format) -> Callable[[], Tensor]:
        peer = placed(original, dtype, layout)
        return lambda: peer(x, time, encoder_hidden_states=context, return_dict=False)[0]

    return Contest(
        case="sd15-unet",
        precision=precision,
        job=f"U-Net of SD1.5, one step: latent {side}x{side}, batch {BOTH_BRANCHES}, {scale.tokens} tokens",
        fictile=lambda: network(x, shifts, text),
        peers=in_each_layout(theirs),
    )


def sd15_vae(precision: str, scale: Scale, _: Path | None) -> Contest:
    """One decode by an autoencoder of Stable Diffusion 1's shape, with random weights."""
    torch.manual_seed(0)
    dtype, side = PRECISIONS[precision], scale.cells
    network = KL(scale.autoencoder)
    original = diffusers_autoencoder(network)
    network = placed(network, dtype, torch.channels_last)
    z = torch.randn(1, scale.autoencoder.channels, side, side).to(dtype)

    def theirs(layout: torch.memory_format) -> Callable[[], Tensor]:
        peer = placed(original, dtype, layout)
        return lambda: peer.decode(z, return_dict=False)[0]  # pyright: ignore[reportArgumentType, reportReturnType]

    pixels = side * scale.autoencoder.factor
    return Contest(
        case="sd15-vae",
        precision=precision,
        job=f"VAE of SD1, decode: picture {pixels}x{pixels}, batch 1",
        fictile=lambda: network.decode(z),
        peers=in_each_layout(theirs),
    )


CASES: dict[str, Callable[[str, Scale, Path | None], Contest]] = {
    "packaged": packaged,
    "sd15-unet": sd15_unet,
    "sd15-vae": sd15_vae,
}
