"""What a piece of work would take, counted on torch's meta device, where nothing is computed and nothing is held.

The work itself runs, with tensors that have shapes and no values. Each is followed from when it is made until the last
reference to it is gone, which gives the memory that eager execution needs at its largest; each operation on the way
is counted too.
"""

import math
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import conv_flop_count

Kind = Literal["matrix", "convolution", "attention"]

HEAP, GAPS = 32 << 20, 1.5
"""glibc's malloc deals blocks up to this size out of a heap (mallopt(3), M_MMAP_THRESHOLD, which rises so far in a
process at work), and freed ones leave gaps there: runs of networks were seen to hold half as much again as they use.
"""

SOFTMAX = 16  # measured on AVX2, with 16 to 512 features to a head

_aten = torch.ops.aten
_ATTENTION = _aten._scaled_dot_product_flash_attention_for_cpu
_MATRICES = (_aten.mm, _aten.addmm, _aten.bmm, _aten.baddbmm)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a piece of work takes, beside what it was given."""

    memory: int = 0  # bytes of what is alive at once, at most, and of the gaps that malloc leaves between
    matrix: int = 0  # floating-point operations of matrix products
    convolution: int = 0  # the same of convolutions
    attention: int = 0  # and of attention
    touched: int = 0  # bytes that are read and written
    fresh: int = 0  # bytes of blocks so large that malloc has the system give them anew each time
    calls: int = 0  # operations of torch that compute something
    laid: int = 0  # bytes of weights that are read from a file, as they lie in memory
    hashed: int = 0  # bytes of files whose hash is taken

    def __add__(self, other: "Work") -> "Work":
        """One after the other."""
        sums = {name: value + getattr(other, name) for name, value in vars(self).items()}
        return Work(**{**sums, "memory": max(self.memory, other.memory)})

    def __mul__(self, times: int) -> "Work":
        """Several times, one after the other."""
        return Work(**{name: value if name == "memory" else value * times for name, value in vars(self).items()})


def attention_operations(queries: torch.Size, keys: torch.Size) -> int:
    """Of attention, with the softmax counted as so many features more, which is how long it takes."""
    *rows, features = queries
    return 4 * math.prod(rows) * keys[-2] * (features + SOFTMAX)


def taken(size: int) -> int:
    """Bytes that a block of this size takes from the system, its share of the gaps included."""
    return int(size * GAPS) if size <= HEAP else size


def count(run: Callable[[], object]) -> Work:
    """What `run` takes. It is given its tensors on the meta device; those of its result count as alive to the end."""
    with torch.inference_mode(False), torch.no_grad(), _AsOnTheDevice(), _Ledger() as ledger:
        run()
    return ledger.work()


class _AsOnTheDevice(TorchFunctionMode):
    """Two functions that torch takes apart on the meta device alone, as every device that we know computes them:
    attention never holds its scores, and a group norm leaves its input lying as it is (channels last).
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return _ATTENTION(*args[:3])[0]
        if func is F.group_norm:
            return args[0].clone()
        return func(*args, **kwargs)


class _Ledger(TorchDispatchMode):
    """Sees every operation, and every tensor that one makes."""

    def __init__(self) -> None:
        super().__init__()
        self._alive: dict[int, int] = {}  # what each tensor takes, by its storage's address
        self._held = self._most = self._touched = self._fresh = self._calls = 0
        self._operations: dict[Kind, int] = {"matrix": 0, "convolution": 0, "attention": 0}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given, made = list(_tensors(args)), list(_tensors(result))
        known = {_address(tensor) for tensor in given}
        new = [tensor for tensor in made if _address(tensor) not in known and _address(tensor) not in self._alive]
        for tensor in new:
            self._hold(tensor)
        passing = _weights_laid_anew(func, args)
        self._most = max(self._most, self._held + taken(passing))
        if new and "empty" not in str(func):
            self._calls += 1
            self._touched += sum(tensor.nbytes for tensor in (*given, *new)) + 2 * passing
            self._fresh += sum(size for size in (passing, *(tensor.nbytes for tensor in new)) if size > HEAP)
            self._count(func.overloadpacket, args, made[0])
        return result

    def work(self) -> Work:
        """What was seen."""
        return Work(
            memory=self._most,
            touched=self._touched,
            fresh=self._fresh,
            calls=self._calls,
            **self._operations,
        )

    def _hold(self, tensor: Tensor) -> None:
        storage, address = tensor.untyped_storage(), _address(tensor)
        self._alive[address] = taken(storage.nbytes())
        self._held += self._alive[address]
        weakref.finalize(storage, self._let_go, address)

    def _let_go(self, address: int) -> None:
        self._held -= self._alive.pop(address)

    def _count(self, packet: Any, args: tuple[Any, ...], made: Tensor) -> None:
        if packet is _aten.convolution:
            self._operations["convolution"] += conv_flop_count(
                *(list(tensor.shape) for tensor in (args[0], args[1], made)), transposed=args[6]
            )
        elif packet is _ATTENTION:
            self._operations["attention"] += attention_operations(args[0].shape, args[1].shape)
        elif packet in _MATRICES:
            left = args[1] if packet in (_aten.addmm, _aten.baddbmm) else args[0]
            self._operations["matrix"] += 2 * made.numel() * left.shape[-1]


def _weights_laid_anew(func: Any, args: tuple[Any, ...]) -> int:
    """Bytes of a convolution's weights, which oneDNN lays in blocks of its own at each call; 1x1 ones stay."""
    if func.overloadpacket is not _aten.convolution:
        return 0
    weight: Tensor = args[1]
    return weight.nbytes if weight[0, 0].numel() > 1 else 0


def _tensors(values: Any) -> Iterator[Tensor]:
    """All tensors among these, in lists and tuples too."""
    for value in cast(tuple[Any, ...], values) if isinstance(values, tuple | list) else (values,):
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata  # pyright: ignore[reportPrivateUsage] - it has no other identity
