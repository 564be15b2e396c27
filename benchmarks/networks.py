"""The networks of Stable Diffusion 1.5 with random weights, by each of Fictile's back ends and by its peers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.contest import Contest, Run
from benchmarks.peer import diffusers_autoencoder, diffusers_unet, in_each_layout, placed
from fictile.autoencoder import KL, KLSpec
from fictile.denoiser import UNet, UNetGraph, UNetSpec
from fictile.engine import EAGER, OPENVINO, PRECISIONS, Job, choose_runtime
from fictile.engine.openvino import OpenVINO

BOTH_BRANCHES = 2  # guidance runs the network on a batch of two
BACKENDS = (EAGER, OPENVINO)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the jobs are."""

    steps: int
    unet: UNetSpec
    autoencoder: KLSpec
    cells: int  # along one side of the latent
    tokens: int  # of the text


@dataclass(frozen=True, kw_only=True)
class Half:
    """A network and what it is given; all in float32."""

    network: nn.Module
    inputs: Sequence[Tensor]
    free: Sequence[Sequence[int]] = ()  # of each input the axes whose sizes a graph leaves open; none if left out


@dataclass(frozen=True, kw_only=True)
class Work:
    """The same on both sides."""

    job: str
    ours: Half
    theirs: Half


class Calling(nn.Module):
    """A network as a function of tensors: the first of what one of its methods returns."""

    def __init__(self, network: nn.Module, method: str, **options: Any) -> None:
        super().__init__()
        self.network, self.method, self.options = network, method, options

    def forward(self, *tensors: Tensor) -> Tensor:
        return self.take(getattr(self.network, self.method)(*tensors, **self.options))

    def take(self, answer: Any) -> Tensor:
        """The tensor of an answer, a posterior's mean."""
        first = answer if isinstance(answer, Tensor) else answer[0]
        return first if isinstance(first, Tensor) else first.mean


def unet(scale: Scale) -> Work:
    """One step of a U-Net, as all but the first of a picture are: the text is read and the time embedded before.
    diffusers does both in every step.
    """
    torch.manual_seed(0)
    side, network = scale.cells, UNet(scale.unet)
    x = torch.randn(BOTH_BRANCHES, scale.unet.in_channels, side, side)
    context = torch.randn(BOTH_BRANCHES, scale.tokens, scale.unet.context_width)
    time = torch.full((BOTH_BRANCHES,), 500.0)
    with torch.inference_mode():
        shifts, text = network.shifts(time[:1]), network.read(context)
    graph = UNetGraph(network)
    return Work(
        job=f"U-Net of SD1.5, one step: latent {side}x{side}, batch {BOTH_BRANCHES}, {scale.tokens} tokens",
        ours=Half(
            network=graph,
            inputs=[x, *shifts.values(), *(part for pair in text.values() for part in pair)],
            free=[free for _, free in graph.example()],
        ),
        theirs=Half(
            network=Calling(diffusers_unet(network), "forward", return_dict=False),
            inputs=[x, time, context],
        ),
    )


def decode(scale: Scale) -> Work:
    """One decode by an autoencoder of Stable Diffusion 1's shape."""
    torch.manual_seed(0)
    network, pixels = KL(scale.autoencoder), scale.cells * scale.autoencoder.factor
    z = torch.randn(1, scale.autoencoder.channels, scale.cells, scale.cells)
    return Work(
        job=f"VAE of SD1, decode: picture {pixels}x{pixels}, batch 1",
        ours=Half(network=Calling(network, "decode"), inputs=[z], free=[(0, 2, 3)]),
        theirs=Half(
            network=Calling(diffusers_autoencoder(network), "decode", return_dict=False),
            inputs=[z],
        ),
    )


def encode(scale: Scale) -> Work:
    """One encode to the posterior's mean."""
    torch.manual_seed(0)
    network, pixels = KL(scale.autoencoder), scale.cells * scale.autoencoder.factor
    x = torch.rand(1, 3, pixels, pixels) * 2 - 1
    return Work(
        job=f"VAE of SD1, encode: picture {pixels}x{pixels}, batch 1",
        ours=Half(network=Calling(network, "encode"), inputs=[x], free=[(0, 2, 3)]),
        theirs=Half(
            network=Calling(diffusers_autoencoder(network), "encode", return_dict=False),
            inputs=[x],
        ),
    )


def strong(spec: KLSpec) -> KL:
    """A random autoencoder through which a signal neither dies nor grows: weights scaled as He et al. do."""
    network = KL(spec).requires_grad_(False).eval()
    for parameter in network.parameters():
        if parameter.ndim == 4:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    return network


def contest(case: str, precision: str, work: Work, backend: str) -> Contest:
    """Fictile by one of its back ends, beside diffusers by torch and, where the back end is OpenVINO, by that too."""
    dtype = PRECISIONS[precision]
    if backend == EAGER:
        ours = as_for_users(eager(work.ours, dtype, torch.channels_last), precision)
        peers = in_each_layout(lambda layout: eager(work.theirs, dtype, layout))
    else:
        ours = graphed(work.ours, dtype)
        peers = {
            "diffusers, channels last": eager(work.theirs, dtype, torch.channels_last),
            "OpenVINO on diffusers' graph": graphed(work.theirs, dtype),
        }
    return Contest(case=case, precision=precision, job=work.job, fictile=ours, peers=peers)


def eager(half: Half, dtype: torch.dtype, layout: torch.memory_format) -> Run:
    """By torch, one operation after the other."""
    network, inputs = placed(half.network, dtype, layout), [tensor.to(dtype) for tensor in half.inputs]
    return lambda: network(*inputs)


def as_for_users(run: Run, precision: str) -> Run:
    """Inside of what a model puts around its networks."""
    runtime = choose_runtime("cpu", precision)

    def limited() -> Tensor:
        with runtime.limited():
            return run()

    return limited


def graphed(half: Half, dtype: torch.dtype) -> Run:
    """By OpenVINO. Fictile's graph leaves sizes open, as it does for users; one of diffusers' has those of the job."""
    free: Any = half.free or [()] * len(half.inputs)
    job = Job(network=half.network.eval(), example=list(zip(half.inputs, free, strict=True)))
    with TemporaryDirectory() as folder:  # what is mapped stays readable when it is gone
        backend = OpenVINO(torch.device("cpu"), dtype, torch.get_num_threads(), folder=Path(folder))
        run = backend.ready(job)
    return lambda: run(*half.inputs)
