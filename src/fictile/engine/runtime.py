"""The choice of device and precision."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches

import psutil
import torch

from fictile.convolution import fast_convolutions
from fictile.engine.backend import COMPILED, EAGER, OPENVINO, REFERENCE, Backend, Eager, choose_backend
from fictile.engine.machine import cpu_instructions
from fictile.engine.memory import free_memory
from fictile.errors import RequestError

PRECISIONS: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
_ALSO_KNOWN_AS = {"fp32": "float32", "bfloat16": "bf16", "float16": "fp16"}


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The machine as a model sees it."""

    device: torch.device
    dtype: torch.dtype  # of the text transformer and the denoiser
    decode_dtype: torch.dtype  # of the autoencoder
    threads: int  # of torch on the CPU; the last bits of a result depend on it
    backend: str = EAGER  # who runs the networks, by name: one of `BACKENDS`
    max_memory: int | None = None  # bytes that the process may hold; None: what is free

    @property
    def precision(self) -> str:
        """The name of `dtype`, as `choose_runtime` takes it."""
        return precision_name(self.dtype)

    @property
    def one_by_one(self) -> bool:
        """Whether pictures that are made together are sampled one after the other, so that company changes no bit."""
        return self.backend == REFERENCE

    @property
    def convolves_fast(self) -> bool:
        """Whether wide convolutions in float32 take fewer multiplications (see `fictile.convolution`)."""
        return self.backend == EAGER and self.device.type == "cpu"

    def runner(self) -> Backend:
        """The back end, ready for networks. Raises RequestError when it cannot be had, or not in this precision."""
        name = choose_backend(self.backend, self.device, self.precision)
        if name == OPENVINO:
            from fictile.engine.openvino import OpenVINO

            return OpenVINO(self.device, self.dtype, self.threads)
        if name == COMPILED:
            from fictile.engine.compiled import Compiled

            return Compiled(self.device, self.dtype, self.threads)
        return Eager()

    def room(self, held: int | None = None) -> int:
        """Bytes that the process can still take: what is free, and not more than it may. On an accelerator torch itself
        keeps to the limit (see `choose_runtime`).

        `held` is what it holds now, if that is known.
        """
        free = free_memory(self.device)
        if self.max_memory is None or self.device.type != "cpu":
            return free
        held = psutil.Process().memory_info().rss if held is None else held
        return max(min(free, self.max_memory - held), 0)

    @contextmanager
    def limited(self) -> Generator[None]:
        """torch on `threads` CPU threads inside the block, and its convolutions the fast way where that is eager."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            with fast_convolutions(self.convolves_fast):
                yield
        finally:
            torch.set_num_threads(before)


def precision_name(dtype: torch.dtype) -> str:
    """The name of a precision, as `choose_runtime` takes it."""
    return next(name for name, one in PRECISIONS.items() if one == dtype)


def choose_runtime(
    device: str = "auto", precision: str = "auto", backend: str = "auto", *, max_memory: int | None = None
) -> Runtime:
    """Where to run, in which precision, who runs it (see `choose_backend`), and in how many bytes: of the process on a
    CPU, of the device on CUDA.

    `device` is "auto" (the accelerator if there is one: CUDA, XPU or MPS, else the CPU) or a torch device such as "cpu"
    or "cuda:1". `precision` is "float32", "bf16", "fp16" or "auto", which takes

    - on a CPU bf16 if it multiplies bf16 in hardware (AMX or AVX512-BF16), else float32. oneDNN's own answer is no
      help: it supports bf16 on every AVX-512 machine, by an emulation that is slower than float32;
    - on CUDA bf16 from Ampere on, and fp16 before;
    - on XPU bf16, on MPS fp16.

    A precision given by name holds for every network, except that the autoencoder never runs in fp16, in which the
    widest of them overflow. With "auto" it runs in float32: bf16 keeps 8 significant bits, and so does a picture.

    The reference back end takes float32 for "auto".

    Raises RequestError for a device, precision or back end that is unknown or not there, and for a limit that cannot be
    kept.
    """
    where = _device(device)
    precision = _ALSO_KNOWN_AS.get(precision, precision)
    if backend == REFERENCE and precision == "auto":
        precision = "float32"
    if precision == "auto":
        dtype, decode_dtype = fast_dtype(where), torch.float32
    elif precision in PRECISIONS:
        dtype = PRECISIONS[precision]
        decode_dtype = torch.float32 if dtype == torch.float16 else dtype
    else:
        nearest = get_close_matches(precision, ["auto", *PRECISIONS], n=1, cutoff=0)[0]
        raise RequestError(
            f"There is no precision {precision!r}: choose auto, {', '.join(PRECISIONS)}; the nearest is {nearest!r}."
        )
    if max_memory is not None:
        _limit(where, max_memory)
    return Runtime(
        device=where,
        dtype=dtype,
        decode_dtype=decode_dtype,
        threads=torch.get_num_threads(),
        backend=choose_backend(backend, where, precision_name(dtype)),
        max_memory=max_memory,
    )


def _limit(device: torch.device, most: int) -> None:
    if most <= 0:
        raise RequestError(f"The memory is limited to {most} bytes; give a size such as 6GiB.")
    if device.type == "cuda":
        _, total = torch.cuda.mem_get_info(device)
        torch.cuda.set_per_process_memory_fraction(min(most / total, 1.0), device)
    elif device.type != "cpu":
        raise RequestError(f"Memory cannot be limited on {device.type}; leave the limit out.")


def _device(name: str) -> torch.device:
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    there = ["cpu"] if accelerator is None else ["cpu", accelerator.type]
    if name == "auto":
        return torch.device(there[-1])
    kind, _, index = name.partition(":")
    count = torch.accelerator.device_count() if accelerator is not None and kind == accelerator.type else 1
    if kind not in there or (index and not (index.isdecimal() and int(index) < count)):
        raise RequestError(f"There is no device {name!r} on this machine: choose auto or one of {', '.join(there)}.")
    return torch.device(name)


def fast_dtype(device: torch.device) -> torch.dtype:
    """What "auto" is on a device."""
    match device.type:
        case "cpu":
            return torch.bfloat16 if {"amx", "avx512_bf16"} & set(cpu_instructions()) else torch.float32
        case "cuda":
            return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
        case "mps":
            return torch.float16
        case _:
            return torch.bfloat16
