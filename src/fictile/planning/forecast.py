"""Peak memory and time of one way to run a request, phase by phase, from counted tensors and operations."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from math import ceil
from typing import TypeVar

import torch
from torch import Tensor, nn

from fictile.autoencoder import Spec, make_network, tiling
from fictile.checkpoint import Parts
from fictile.codec import MARGIN
from fictile.convolution import KERNELS, fast_convolutions
from fictile.engine import Rates, Work, count
from fictile.engine.counting import GAPS
from fictile.planning.denoising import denoising
from fictile.planning.request import Request
from fictile.planning.way import Way

N = TypeVar("N", bound=nn.Module)

MIB = 2**20
STARTING = 40 * MIB  # bytes that the first run of anything adds: oneDNN's code, tokenizer, picture formats
LATENTS = 6  # of all pictures, in float32, that a sampler and its guidance keep
SAVING = 3  # pictures, in float32, that writing one takes beside itself
# Of the greatest width: maps of a U-Net at the size of the latent, for each branch of guidance, and of an autoencoder
# at the size of the picture. None holds as many.
MOST_MAPS, MOST_DECODED = 16, 8
# For each byte of weights in float32: bytes that the system gives anew, as they are read and as they are laid. For each
# tensor: calls, of the modules that hold it too (seen: 17 and 18). For each number: bytes in the file, as Fictile and
# most others store it.
GIVEN, CALLS, STORED = 2, 18, 2


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One part of a run."""

    name: str
    memory: int  # bytes of the process at the largest
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run takes, from a started process to finished pictures."""

    way: Way
    phases: tuple[Phase, ...]  # in order
    weights: int  # bytes of all networks once they are loaded

    @property
    def peak(self) -> Phase:
        """The phase that takes the most memory, the first of several."""
        return max(self.phases, key=lambda phase: phase.memory)

    @property
    def seconds(self) -> float:
        """Of all phases."""
        return sum(phase.seconds for phase in self.phases)


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """The rates of both precisions that a run has."""

    networks: Rates  # of text encoder and denoiser
    autoencoder: Rates


def forecast(parts: Parts, request: Request, way: Way, speeds: Speeds, *, process: int, room: int) -> Forecast:
    """What a request takes in one way; `parts` are on the meta device, and `process` bytes are held already, of `room`
    that there are.

    Raises RequestError for a request that the model cannot be asked.
    """
    with way.runtime.limited():  # networks count what they will do in a run
        return _forecast(parts, request, way, speeds, process, room)


def _forecast(parts: Parts, request: Request, way: Way, speeds: Speeds, process: int, room: int) -> Forecast:
    loading, resident = _weights(parts, way)
    base = process + STARTING
    pixels = 3 * request.size[0] * request.size[1] * 4
    phases = [Phase(name="load the model", memory=base + loading, seconds=speeds.networks.seconds(_reading(parts)))]

    held = resident

    def add(name: str, memory: int, seconds: float) -> None:
        phases.append(Phase(name=name, memory=base + held + memory, seconds=seconds))

    def bands() -> int:
        return max(int((room - base - held) / MARGIN), 0)

    if request.from_picture:
        encoding = _autoencoding(parts, request, way, bands(), encode=True)
        add("encode", encoding.memory + pixels, speeds.autoencoder.seconds(encoding))
    text, context = _text(parts, request, way)
    add("read the prompt", text.memory, speeds.networks.seconds(text))
    if way.once:
        held -= sum(map(_numbers, parts.text.networks)) * way.runtime.dtype.itemsize
    latents = LATENTS * request.count * 4 * _cells(parts, request)
    placed = replace(parts.denoiser, network=_placed(parts.denoiser.network, way.runtime.dtype))
    steps = denoising(parts, placed, request, way.group, context)
    seconds = speeds.networks.seconds(steps.work)
    add(f"denoise, {steps.evaluations} evaluations", steps.work.memory + latents, seconds)
    if way.once:
        held -= _numbers(parts.denoiser.network) * way.runtime.dtype.itemsize
    decoding = _autoencoding(parts, request, way, bands(), encode=False)
    made = request.count * pixels
    add(
        "decode",
        max(decoding.memory + made, made + SAVING * pixels),
        speeds.autoencoder.seconds(decoding * request.count),
    )
    return Forecast(way=way, phases=tuple(phases), weights=resident)


def at_most(parts: Parts, request: Request) -> int:
    """Bytes beside what the process holds that no way of running a request exceeds, without counting."""
    channels, high, wide = request.latent(parts)
    spec = parts.denoiser.network.spec
    maps = MOST_MAPS * 3 * request.count * max(*spec.widths, channels) * high * wide * 4
    pixels = 3 * request.size[0] * request.size[1] * 4
    decoded = MOST_DECODED * _widest(parts.autoencoder.spec) * pixels // 3
    weights = 3 * 4 * sum(map(_numbers, _networks(parts)))
    return STARTING + weights + KERNELS + int(GAPS * (maps + decoded)) + (request.count + SAVING) * pixels


def _widest(spec: Spec) -> int:
    """The channels that an autoencoder has at most."""
    given = (getattr(spec, name, None) for name in ("widths", "decoder_widths"))
    return max(*(width for widths in given for width in widths or ()), getattr(spec, "width", 0))


def _weights(parts: Parts, way: Way) -> tuple[int, int]:
    """Bytes of weights while they are loaded, at the largest, and once they are.

    Each tensor is read in the precision it will run in, and laid channels last by itself. Of the autoencoder the one in
    float32 stays, for what overflows.
    """
    autoencoder, others = _networks(parts)[0], _networks(parts)[1:]
    dtype, decode_dtype = way.runtime.dtype, way.runtime.decode_dtype
    resident = _numbers(autoencoder) * 4 + sum(map(_numbers, others)) * dtype.itemsize
    if decode_dtype != torch.float32:
        resident += _numbers(autoencoder) * decode_dtype.itemsize
    largest = max(parameter.numel() * 4 for network in (autoencoder, *others) for parameter in network.parameters())
    return resident + largest, resident


def _networks(parts: Parts) -> tuple[nn.Module, ...]:
    """The autoencoder's first."""
    return (parts.autoencoder.network, parts.denoiser.network, *parts.text.networks)


def _numbers(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _reading(parts: Parts) -> Work:
    numbers = sum(map(_numbers, _networks(parts)))
    tensors = sum(1 for network in _networks(parts) for _ in network.parameters())
    return Work(laid=4 * numbers, fresh=GIVEN * 4 * numbers, hashed=STORED * numbers, calls=CALLS * tensors)


def _text(parts: Parts, request: Request, way: Way) -> tuple[Work, int]:
    """Reading prompt and negative prompt, and how many vectors each of them becomes."""
    chunks = max(len(parts.text.read(text).chunks) for text in (request.prompt, request.negative))
    work = Work()
    for network in parts.text.networks:
        placed = _placed(network, way.runtime.dtype)
        ids = torch.zeros(2 * chunks, network.spec.context, dtype=torch.int64, device="meta")
        work += count(partial(placed, ids))
    return work, chunks * parts.text.networks[0].spec.context


def _autoencoding(parts: Parts, request: Request, way: Way, within: int, *, encode: bool) -> Work:
    """One picture through a half of the autoencoder, in bands of so many bytes if it goes in bands."""
    space, spec, dtype = parts.autoencoder.space, parts.autoencoder.spec, way.runtime.decode_dtype
    _, high, wide = request.latent(parts)
    size = high * space.factor, wide * space.factor
    whole = _whole(spec, size, dtype, encode, way.runtime.convolves_fast and not way.tiling)
    if not way.tiling:
        return whole
    bands = _bands(spec, size, dtype, encode, within)
    names = ("matrix", "convolution", "attention", "touched", "fresh")
    grown = {name: ceil(getattr(whole, name) * bands.effort) for name in names}
    return replace(whole, memory=bands.memory, **grown)


@lru_cache(maxsize=16)
def _whole(spec: Spec, size: tuple[int, int], dtype: torch.dtype, encode: bool, fast: bool) -> Work:
    with torch.device("meta"):
        network = make_network(spec).requires_grad_(False).eval()
    placed = _placed(network, dtype)
    height, width = size
    shape = (1, 3, height, width) if encode else (1, spec.channels, height // spec.factor, width // spec.factor)
    half: Callable[[Tensor], object] = placed.encode if encode else placed.decode
    with fast_convolutions(fast):
        return count(partial(half, torch.empty(shape, dtype=dtype, device="meta")))


@lru_cache(maxsize=16)
def _bands(spec: Spec, size: tuple[int, int], dtype: torch.dtype, encode: bool, within: int) -> tiling.Plan:
    return tiling.make_plan(spec, size, dtype, encode=encode, within=within // MIB * MIB)


def _cells(parts: Parts, request: Request) -> int:
    channels, high, wide = request.latent(parts)
    return channels * high * wide


def _placed(network: N, dtype: torch.dtype) -> N:
    """The network as it runs: in its precision, channels last."""
    placed = copy.deepcopy(network).to(dtype)
    if all(parameter.ndim <= 4 for parameter in placed.parameters()):
        placed.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - its stub lacks this form
    return placed
