"""Pictures to latents and back, with one autoencoder on one machine."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.autoencoder import AnyAutoencoder, PrecisionLadder, PrecisionMemory, Ready, tiling
from fictile.engine import COMPILERS, Job, Runtime, precision_name, ran_out_of_memory
from fictile.errors import FictileError, RequestError
from fictile.latent import Latent, LatentSpace
from fictile.picture import Picture, crop, pad_to_multiple

Notes = tuple[str, ...]
"""What a run had to do otherwise than asked."""

TILINGS = ("auto", "on", "off")
MARGIN = 1.2  # between what is forecast from counted tensors and what has to be free
MIB = 2**20

T = TypeVar("T")


class AutoencoderCodec:
    """An autoencoder placed where it runs. It is a copy, in the precision of the runtime; with `own`, it is the given
    one, moved there, and copies are made for other precisions alone.

    One that overflows in it runs again in a wider one; with a `memory`, the next picture begins there, and so does the
    next codec with this autoencoder.
    """

    def __init__(
        self,
        autoencoder: AnyAutoencoder,
        runtime: Runtime,
        *,
        memory: PrecisionMemory | None = None,
        own: bool = False,
    ) -> None:
        self.runtime = runtime
        ready = partial(_ready, runtime) if runtime.backend in COMPILERS else None
        self._ladder = PrecisionLadder(autoencoder, runtime.device, own=own, ready=ready)
        self._memory = memory
        self._told: set[str] = set()
        self._ladder.at(self.dtype)  # now, not at the first picture

    @property
    def autoencoder(self) -> AnyAutoencoder:
        """The autoencoder, in the precision that its next run begins with."""
        return self._ladder.at(self.dtype)

    @property
    def dtype(self) -> torch.dtype:
        """The precision that the next run begins with."""
        wanted = self.runtime.decode_dtype
        return self._memory.start(self.content_hash, wanted) if self._memory else wanted

    @property
    def space(self) -> LatentSpace:
        """The latent space of the autoencoder."""
        return self._ladder.space

    @property
    def content_hash(self) -> str | None:
        """Of the file that the autoencoder was loaded from, if any."""
        return self._ladder.content_hash

    def encode(self, picture: Picture, *, tiling: str = "auto") -> Latent:
        """A picture of any size to its latent (the posterior's mean), on the CPU.

        The picture is mirrored beyond its lower and right edge where the autoencoder needs more; the latent remembers
        the true size. Raises FictileError when the result is not finite, and as `check_memory` does.
        """
        latent, notes = self.encoded(picture, self.space.factor, self.dtype, tiling)
        self.tell(notes)
        return latent

    def decode(self, latent: Latent, *, tiling: str = "auto") -> Picture:
        """A latent of one picture to the picture, in its true size.

        Raises SpaceMismatch for a latent of another space, RequestError for several, FictileError when the result is
        not finite, and as `check_memory` does.
        """
        latent.check(self.space)
        if len(latent) != 1:
            raise RequestError(f"The latent holds {len(latent)} pictures; decode them one by one, as latent[0].")
        if not latent.data.isfinite().all():
            raise RequestError("The latent has values that are not finite numbers; make it again.")
        pixels, notes = self.decoded(latent, self.dtype, tiling)
        self.tell(notes)
        return Picture(pixels)

    def encoded(
        self, picture: Picture, multiple: int, dtype: torch.dtype, tiling: str = "auto"
    ) -> tuple[Latent, Notes]:
        """The latent of a picture that is mirrored beyond its edge up to a multiple, begun in `dtype`."""
        pixels, size = pad_to_multiple(picture.pixels[None], multiple)
        (posterior, used), banded = self._tiled(
            lambda within: self._ladder.encode(pixels, dtype, within=within),
            (tiling, (pixels.shape[2], pixels.shape[3]), dtype),
            encode=True,
        )
        latent = Latent(posterior.mean.cpu(), self.space, size, self.content_hash)
        return latent, self._widened("encoded", dtype, used) + banded

    def decoded(self, latent: Latent, dtype: torch.dtype, tiling: str = "auto") -> tuple[Float[Tensor, "3 h w"], Notes]:
        """The pixels of one latent in their true size, in [-1, 1], begun in `dtype`."""
        size = latent.data.shape[2] * self.space.factor, latent.data.shape[3] * self.space.factor
        (pixels, used), banded = self._tiled(
            lambda within: self._ladder.decode(latent, dtype, within=within), (tiling, size, dtype), encode=False
        )
        whole = latent.size or (pixels.shape[2], pixels.shape[3])
        return crop(pixels[0].cpu(), whole).clamp(-1, 1), self._widened("decoded", dtype, used) + banded

    def check_memory(self, tiling: str, size: tuple[int, int], dtype: torch.dtype, *, encode: bool) -> None:
        """Raises RequestError for an unknown tiling, and with "auto" where not even bands fit into the free memory."""
        self._within(tiling, size, dtype, encode=encode)

    def _tiled(
        self,
        run: Callable[[int | None], T],
        asked: tuple[str, tuple[int, int], torch.dtype],
        *,
        encode: bool,
    ) -> tuple[T, Notes]:
        """What `run` makes in bands of so many bytes, or untiled of None; and a note of bands.

        An untiled run that runs out of memory is no end if the choice was left to us: bands follow.
        """
        wanted, size, dtype = asked
        done, why = "encoded" if encode else "decoded", "to save memory"
        with self.runtime.limited():
            within = self._within(wanted, size, dtype, encode=encode)
            if within is None:
                try:
                    return run(None), ()
                except (RuntimeError, MemoryError) as error:
                    if wanted != "auto" or not ran_out_of_memory(error):
                        raise
                # What it held is let go of together with the error.
                within, why = self._free(), "because memory ran out for the whole"
            try:
                return run(within), (_banded(done, why),)
            except (RuntimeError, MemoryError) as error:
                if not ran_out_of_memory(error):
                    raise
        raise FictileError(
            f"Memory ran out while the picture was {done}, even in bands of rows: close other programs, or make it "
            "smaller."
        )

    def _free(self) -> int:
        """The bytes that a run may take."""
        return int(self.runtime.room() / MARGIN)

    def _within(self, wanted: str, size: tuple[int, int], dtype: torch.dtype, *, encode: bool) -> int | None:
        """The bytes that bands may take, or None for an untiled run. Raises as `check_memory` does."""
        check_tiling(wanted)
        if wanted == "off":
            return None
        spec, free = self._ladder.spec, self._free()
        if wanted == "on":
            return free
        if tiling.is_small(spec, size, dtype, free) or tiling.untiled_memory(spec, size, dtype, encode=encode) <= free:
            return None
        least = tiling.make_plan(spec, size, dtype, encode=encode, within=free).memory
        if least > free:
            raise RequestError(
                f"A picture of {size[1]}x{size[0]} is {'encoded' if encode else 'decoded'} in {least / MIB:.0f} MiB at "
                f"least, in bands of rows, but {free / MIB:.0f} MiB can be had: close other programs, or make it "
                "smaller; --tiling on tries nonetheless."
            )
        return free

    def tell(self, notes: Notes) -> None:
        """Say, once each, what no recipe will."""
        for note in notes:
            if note not in self._told:
                self._told.add(note)
                logging.getLogger(__name__).warning("The picture was %s.", note)

    def _widened(self, done: str, asked: torch.dtype, used: torch.dtype) -> Notes:
        """A note, and a memory, of a run that needed a wider precision than was asked for."""
        if used == asked:
            return ()
        if self._memory:
            self._memory.remember(self.content_hash, used)
        return (f"{done} in {precision_name(used)}, because {precision_name(asked)} overflowed",)


def _ready(runtime: Runtime, dtype: torch.dtype) -> Ready:
    """What makes an autoencoder's graphs ready, in this precision."""
    backend = replace(runtime, dtype=dtype).runner()
    return lambda network, example, multiple: backend.ready(
        Job(network=network, example=[(example, (0, 2, 3))], multiple=multiple)
    )


def check_tiling(name: str) -> None:
    """Raises RequestError for what is no tiling."""
    if name not in TILINGS:
        raise RequestError(f"There is no tiling {name!r}: choose {', '.join(TILINGS)}.")


def _banded(done: str, why: str) -> str:
    """A note of a run in bands, which says how near its answer is to an untiled one's."""
    bound = f"{tiling.ERROR_BOUND:.1g} of the range in float32"
    return f"{done} in bands of rows {why}, exactly: at most {bound} from the picture as a whole"
