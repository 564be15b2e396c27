"""A program that decodes with a limit on the addresses of its process: `decode_within.py TILING RESULT`."""

import resource
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from fictile.autoencoder import AnyAutoencoder, KLSpec, Normalisation, NormalisedAutoencoder, make_network
from fictile.codec import AutoencoderCodec
from fictile.engine import choose_runtime
from fictile.latent import Latent

SPEC = KLSpec(widths=(16, 32), layers=1, groups=8, mid_attention=False)
SIDE = 1024  # an untiled decode holds three maps of 32 channels of this size, 384 MiB
MORE = 370 * 2**20  # bytes of addresses that the process may take when everything is loaded


def autoencoder() -> AnyAutoencoder:
    """The same in every process."""
    torch.manual_seed(0)
    return NormalisedAutoencoder(make_network(SPEC), Normalisation.identity(SPEC.channels), "test")


def latent(one: AnyAutoencoder) -> Latent:
    """With a gradient from top to bottom."""
    cells = SIDE // SPEC.factor
    noise = torch.randn(1, SPEC.channels, cells, cells, generator=torch.Generator().manual_seed(1))
    return Latent(noise + torch.linspace(-3, 3, cells)[:, None], one.space)


def main(tiling: str, path: Path) -> None:
    """Leaves the pixels in a file."""
    one = autoencoder()
    given, codec = latent(one), AutoencoderCodec(one, choose_runtime("cpu", "float32"))
    codec.decode(Latent(given.data[:, :, :8, :8], one.space), tiling="on")  # loads what is loaded late
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MORE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    save_file({"pixels": codec.decode(given, tiling=tiling).pixels}, path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1], Path(sys.argv[2]))
