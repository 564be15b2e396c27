"""Autoencoders that overflow in low precision: a run is repeated one step wider until its numbers are finite.

float16 ends at 65504, which activations of SDXL's autoencoder pass. bfloat16 has the range of float32 and 8 of its 24
significant bits.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.autoencoder.autoencoder import AnyAutoencoder, Posterior
from fictile.autoencoder.graph import Graphs, Ready
from fictile.autoencoder.kl import KL
from fictile.errors import FictileError
from fictile.files import cache_folder, written_whole
from fictile.latent import Latent

LADDER = (torch.float16, torch.bfloat16, torch.float32)  # narrowest first

T = TypeVar("T")


class PrecisionLadder:
    """One autoencoder on one device, in every precision that its runs turn out to need.

    A precision's copy of the network is made when it is first needed, and kept. With `own`, the network that is given
    is moved to the device and used for its own precision. With `ready`, a compiler of graphs in each precision, that
    runs a KL network in its place wherever it is not in bands.
    """

    def __init__(
        self,
        autoencoder: AnyAutoencoder,
        device: torch.device,
        *,
        own: bool = False,
        ready: Callable[[torch.dtype], Ready] | None = None,
    ) -> None:
        self._exact, self._device, self._ready = autoencoder, device, ready
        self._copies: dict[torch.dtype, AnyAutoencoder] = {}
        if own:
            dtype = next(autoencoder.network.parameters()).dtype
            self._exact = autoencoder.placed(device, dtype, own=True)
            self._copies[dtype] = self._graphed(self._exact, dtype)
        self.spec = autoencoder.spec
        self.space = autoencoder.space
        self.content_hash = autoencoder.content_hash

    def at(self, dtype: torch.dtype) -> AnyAutoencoder:
        """The autoencoder in this precision; its answers may overflow."""
        if dtype not in self._copies:
            self._copies[dtype] = self._graphed(self._exact.placed(self._device, dtype), dtype)
        return self._copies[dtype]

    def _graphed(self, autoencoder: AnyAutoencoder, dtype: torch.dtype) -> AnyAutoencoder:
        """The autoencoder, with graphs of the exact network where there is a compiler of them; float16 overflows."""
        if self._ready and dtype != torch.float16 and isinstance(self._exact.network, KL):
            autoencoder.graphs = Graphs(self._exact.network.spec, self._exact_kl, self._ready(dtype))
        return autoencoder

    def _exact_kl(self) -> KL:
        return cast(KL, self._exact.placed(torch.device("cpu"), torch.float32).network)

    def encode(
        self, pixels: Float[Tensor, "b 3 h w"], dtype: torch.dtype, *, within: int | None = None
    ) -> tuple[Posterior, torch.dtype]:
        """The posterior in the first precision from `dtype` on that makes its mean finite, and that precision.

        With `within`, in bands that need at most so many bytes.

        Raises RequestError as the autoencoder does, FictileError when float32 overflows too.
        """
        return self._climb(
            "encoded", dtype, lambda one: one.encode(pixels, within=within), lambda posterior: posterior.mean
        )

    def decode(
        self, latent: Latent, dtype: torch.dtype, *, within: int | None = None
    ) -> tuple[Float[Tensor, "b 3 h w"], torch.dtype]:
        """The pixels in the first precision from `dtype` on that makes them finite, and that precision.

        With `within`, in bands that need at most so many bytes.

        Raises RequestError as the autoencoder does, FictileError when float32 overflows too: a black picture is no
        result.
        """
        return self._climb("decoded", dtype, lambda one: one.decode(latent, within=within), lambda pixels: pixels)

    def _climb(
        self, done: str, start: torch.dtype, run: Callable[[AnyAutoencoder], T], numbers: Callable[[T], Tensor]
    ) -> tuple[T, torch.dtype]:
        for dtype in LADDER[LADDER.index(start) :]:
            result = run(self.at(dtype))
            if numbers(result).isfinite().all():
                return result, dtype
        raise FictileError(
            f"The picture could not be {done}: the autoencoder of {self._exact.name} overflows even in float32; "
            "check its file with `fictile inspect`."
        )


class PrecisionMemory:
    """Which autoencoders, by content hash, have overflowed before, and the precision that they needed.

    It is kept in a small JSON file. A file that cannot be read or written is no failure: what it would have said is
    found out again.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_folder() / "precision.json"

    def start(self, content_hash: str | None, wanted: torch.dtype) -> torch.dtype:
        """The wanted precision, or the wider one that this autoencoder is known to need."""
        needed = _DTYPES.get(self._read().get(content_hash or "", ""), wanted)
        return max(wanted, needed, key=LADDER.index)

    def remember(self, content_hash: str | None, needed: torch.dtype) -> None:
        """Keep it for the next time. An autoencoder that never was a file has no hash, and is forgotten."""
        if content_hash and self.start(content_hash, needed) == needed:
            content = self._read() | {content_hash: _name(needed)}
            with suppress(OSError, FictileError):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with written_whole(self.path) as temporary:
                    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def _read(self) -> dict[str, str]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {key: str(value) for key, value in cast(dict[str, object], content).items()}


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


_DTYPES: Mapping[str, torch.dtype] = {_name(dtype): dtype for dtype in LADDER}
