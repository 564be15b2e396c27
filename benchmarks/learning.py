"""What a training step takes: the packaged U-Net beside diffusers' of the same weights, and two layers by themselves.

Forward, backward and AdamW in bf16 autocast, as `fictile train` runs on processors that multiply bf16. The layers are
those that torch is slow at there, by torch alone and as Fictile asks for them.

    python -m benchmarks.learning --rounds 7
"""

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional as F

import fictile
from benchmarks.contest import alternate
from benchmarks.machine import this_machine
from benchmarks.peer import LAYOUTS, diffusers_unet, placed
from benchmarks.report import caption
from fictile.attention import attend
from fictile.groupnorm import GroupNorm

CELLS, TOKENS = 16, 32
NEAR = 0.02  # of the loss: both sides round to bf16, each at its own places
ATTENTIONS = [(16, 6, 64, 32), (4, 6, 256, 32), (2, 8, 1024, 40), (1, 8, 4096, 40)]  # pictures, heads, tokens, features
NORMS = [(16, 128, 16, 16), (16, 384, 8, 8)]

Step = Callable[[], Tensor]  # one step of learning; its loss


def learner(forward: Callable[..., Tensor], network: nn.Module, inputs: list[Tensor], wanted: Tensor) -> Step:
    """A network that learns one batch again and again."""
    network.train().requires_grad_(True)
    adam = torch.optim.AdamW(network.parameters(), lr=1e-5, fused=True)

    def step() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            output = forward(*inputs)
        loss = F.mse_loss(output.float(), wanted)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        return loss.detach()

    return step


def steps(batch: int) -> dict[str, Step]:
    """Fictile's step and diffusers', contiguous and channels last, from the same weights and the same batch."""
    model = fictile.load(device="cpu", precision="float32")
    network, space = model.denoiser.network, model.space
    torch.manual_seed(0)
    x = torch.randn(batch, space.channels, CELLS, CELLS).contiguous(memory_format=torch.channels_last)
    inputs = [x, 1000 * torch.rand(batch), torch.randn(batch, TOKENS, network.spec.context_width)]
    wanted = torch.randn_like(x)
    found = dict[str, Step]()
    ours = placed(network, torch.float32, torch.channels_last)
    found["Fictile"] = learner(ours, ours, inputs, wanted)
    for name, layout in LAYOUTS.items():
        theirs: Any = placed(diffusers_unet(network), torch.float32, layout)
        found[name] = learner(partial(_first, theirs), theirs, inputs, wanted)
    return found


def _first(network: Any, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
    return network(x, time, context, return_dict=False)[0]


def there_and_back(layer: Callable[..., Tensor], tensors: list[Tensor], gradient: Tensor) -> Callable[[], None]:
    """A layer and its gradient."""

    def run() -> None:
        for tensor in tensors:
            tensor.grad = None
        with torch.autocast("cpu", torch.bfloat16):
            answer = layer(*tensors)
        answer.backward(gradient.to(answer.dtype))

    return run


def layers() -> dict[str, dict[str, Callable[[], None]]]:
    """Each layer by torch in bf16 and as Fictile asks for it."""
    found = dict[str, dict[str, Callable[[], None]]]()
    for pictures, heads, tokens, features in ATTENTIONS:
        shape = pictures, tokens, heads, features
        tensors = [torch.randn(shape).bfloat16().transpose(1, 2).requires_grad_() for _ in range(3)]
        gradient = torch.randn(shape).transpose(1, 2)
        found[f"attention: {pictures} pictures, {heads} heads of {features}, {tokens} tokens"] = {
            "torch": there_and_back(F.scaled_dot_product_attention, tensors, gradient),
            "Fictile": there_and_back(attend, tensors, gradient),
        }
    for shape in NORMS:
        x = torch.randn(shape).bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
        gradient = torch.randn(shape).contiguous(memory_format=torch.channels_last)
        norm, plain = GroupNorm(32, shape[1]), nn.GroupNorm(32, shape[1])
        found[f"group norm: {shape[0]} pictures, {shape[1]} channels, {shape[2]}x{shape[3]}"] = {
            "torch": there_and_back(plain, [x], gradient),
            "Fictile": there_and_back(norm, [x], gradient),
        }
    return found


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 7,
    batch: Annotated[int, typer.Option(min=1, help="Pictures of a step.")] = 16,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch.")] = None,
) -> None:
    """Measure a step of learning beside diffusers, and the layers that are asked for in another way."""
    if threads is not None:
        torch.set_num_threads(threads)
    print(caption(this_machine()), end="\n\n")
    contestants = steps(batch)
    losses = {name: step().item() for name, step in contestants.items()}
    if not max(losses.values()) - min(losses.values()) < NEAR * min(losses.values()):
        raise SystemExit(f"The losses differ: {losses}; nothing was measured.")
    print(f"A step of {batch} pictures, bf16 autocast, {torch.get_num_threads()} threads:\n")
    print("| side | seconds | pictures a second | of Fictile |\n|---|---|---|---|")
    seconds = alternate(contestants, rounds)
    for name, each in seconds.items():
        ratio = median(one / ours for one, ours in zip(each, seconds["Fictile"], strict=True))
        print(f"| {name} | {median(each):.3f} | {batch / median(each):.1f} | {ratio:.2f} |")
    print("\n| layer and its gradient, bf16 | torch, ms | Fictile, ms | ratio |\n|---|---|---|---|")
    for name, runs in layers().items():
        found = alternate(runs, 3 * rounds)
        ratio = median(ours / plain for ours, plain in zip(found["Fictile"], found["torch"], strict=True))
        print(f"| {name} | {1e3 * median(found['torch']):.2f} | {1e3 * median(found['Fictile']):.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    typer.run(main)
