"""Encodes and decodes under a limit on the addresses of the process: `within.py FOLDER`.

For each half and each tiling a fork of this process may take `MORE` bytes beside what is loaded. It leaves its answer
in `HALF-TILING` of the folder, or the reason why there is none in `HALF-TILING.txt`.
"""

import os
import resource
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from fictile.autoencoder import KLSpec, Normalisation, NormalisedAutoencoder, make_network
from fictile.codec import AutoencoderCodec
from fictile.engine import choose_runtime
from fictile.latent import Latent, LatentSpace
from fictile.picture import Picture

SPEC = KLSpec(widths=(8, 16), layers=1, groups=4, mid_attention=False)
HALVES, TILINGS = ("encode", "decode"), ("off", "auto")
SIDE = 1024  # an untiled run holds three maps of 16 channels (decode) or of 8 (encode) at this size: 192 and 96 MiB
MORE = {"encode": 95 * 2**20, "decode": 125 * 2**20}


def codec() -> AutoencoderCodec:
    """The same in every process."""
    torch.manual_seed(0)
    one = NormalisedAutoencoder(make_network(SPEC), Normalisation.identity(SPEC.channels), "test")
    return AutoencoderCodec(one, choose_runtime("cpu", "float32"))


def given(space: LatentSpace, half: str, side: int = SIDE) -> Picture | Latent:
    """Noise with a gradient from top to bottom."""
    channels, high = (3, side) if half == "encode" else (SPEC.channels, side // SPEC.factor)
    noise = torch.rand(channels, high, high, generator=torch.Generator().manual_seed(1)) / 4
    ramp = noise + torch.linspace(-1, 0.75, high)[:, None]
    return Picture(ramp) if half == "encode" else Latent(ramp[None], space)


def answer(one: AutoencoderCodec, what: Picture | Latent, tiling: str) -> Tensor:
    """The latent of a picture, or the pixels of a latent."""
    if isinstance(what, Picture):
        return one.encode(what, tiling=tiling).data
    return one.decode(what, tiling=tiling).pixels


def limited(one: AutoencoderCodec, half: str, tiling: str, folder: Path) -> None:
    """One run, in a process that it may leave unusable."""
    what = given(one.space, half)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MORE[half]
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        made = answer(one, what, tiling)
    except RuntimeError as error:
        (folder / f"{half}-{tiling}.txt").write_text(str(error))
    else:
        save_file({"answer": made.contiguous()}, folder / f"{half}-{tiling}")


def main(folder: Path) -> None:
    """All of them, one after another."""
    torch.set_num_threads(1)
    one = codec()
    for half in HALVES:
        answer(one, given(one.space, half, side=64), "on")  # what is loaded late is loaded
        for tiling in TILINGS:
            if (child := os.fork()) == 0:
                limited(one, half, tiling, folder)
                os._exit(0)
            os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
