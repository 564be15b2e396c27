"""One guided step of SDXL's U-Net, by Fictile and by diffusers, on the same random weights.

There are 2.6 billion of them: both sides share the tensors, so that the whole fits into 12 GiB in bf16. They lie
channels last, which is the faster layout for both in bf16.

    python -m benchmarks.sdxl --rounds 3
"""

from dataclasses import replace
from typing import Annotated, Any

import torch
import typer
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor

from benchmarks.contest import Contest, hold
from benchmarks.machine import this_machine
from benchmarks.networks import BOTH_BRANCHES, as_for_users
from benchmarks.report import show
from fictile.checkpoint.diffusers import unet_config
from fictile.denoiser import SDXL, Added, UNet, UNetSpec
from fictile.engine import PRECISIONS

TOKENS, SIZES = 77, 6  # of the text; numbers that say the picture's size and crop
QUICK = replace(SDXL, widths=(32, 64, 64), depth=(0, 1, 2), mid_depth=2, heads=(2, 2, 2), context_width=64)


def random_unet(spec: UNetSpec, dtype: torch.dtype) -> UNet:
    """Weights that keep the strength of a signal, made where they stay."""
    torch.manual_seed(0)
    with torch.device("meta"):
        network = UNet(spec).requires_grad_(False).eval().to(dtype)
    network = network.to_empty(device="cpu").to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=parameter[0].numel() ** -0.5)
        else:
            parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
    return network


def contest(spec: UNetSpec, cells: int, precision: str) -> Contest:
    """A step on a latent of this side: Fictile's as all but the first of a picture are (see `networks.unet`)."""
    dtype = PRECISIONS[precision]
    network = random_unet(spec, dtype)
    assert spec.added_width, "SDXL is told the text as a whole"
    assert spec.added_time_width, "and sizes"
    with torch.device("meta"):
        theirs: Any = UNet2DConditionModel.from_config(unet_config(spec))
    theirs.load_state_dict(network.state_dict(), assign=True)
    theirs.requires_grad_(False).eval()
    x = torch.randn(BOTH_BRANCHES, spec.in_channels, cells, cells, dtype=dtype)
    context = torch.randn(BOTH_BRANCHES, TOKENS, spec.context_width, dtype=dtype)
    time = torch.full((BOTH_BRANCHES,), 500.0)
    pooled = torch.randn(BOTH_BRANCHES, spec.added_width - SIZES * spec.added_time_width, dtype=dtype)
    sizes = torch.tensor([[8.0 * cells, 8.0 * cells, 0.0, 0.0, 8.0 * cells, 8.0 * cells]]).repeat(BOTH_BRANCHES, 1)
    with torch.inference_mode():
        shifts, text = network.shifts(time, Added(pooled, sizes)), network.read(context)
    more = {"text_embeds": pooled, "time_ids": sizes}

    def step() -> Tensor:
        return network(x, shifts, text)

    def their_step() -> Tensor:
        return theirs(x, time, context, added_cond_kwargs=more, return_dict=False)[0]

    return Contest(
        case=f"sdxl-unet-{8 * cells}",
        precision=precision,
        job=f"U-Net of SDXL, one step: latent {cells}x{cells}, batch {BOTH_BRANCHES}, {TOKENS} tokens",
        fictile=as_for_users(step, precision),
        peers={"diffusers, channels last": their_step},
    )


def main(
    precision: Annotated[str, typer.Option(help="bf16, or float32 in twice the memory.")] = "bf16",
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    sizes: Annotated[str, typer.Option(help="Heights and widths of the pictures, with commas.")] = "512,1024",
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A tiny network, to see that all runs.")] = False,
) -> None:
    """Measure a step of SDXL at these sizes."""
    if threads is not None:
        torch.set_num_threads(threads)
    machine = this_machine()
    spec = QUICK if quick else SDXL
    show(machine, [hold(contest(spec, int(size) // 8, precision), rounds) for size in sizes.split(",")])


if __name__ == "__main__":
    typer.run(main)
