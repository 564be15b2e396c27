"""Pictures for tests: noise, sources made of arrays, and PNGs put together by hand."""

import struct
import zlib

import numpy as np
from PIL import Image

from fictile.picture import Source
from fictile.picture.metadata import Metadata
from fictile.picture.samples import Colours, Samples

DICE = np.random.default_rng(0)
BYTES = DICE.integers(0, 256, (6, 10, 3), dtype=np.uint8)
DEEP = DICE.integers(0, 65536, (6, 10, 4), dtype=np.uint16)
SECRET = "Ada of Somewhere"
FORMATS = ["png", "tif", "tiff", "webp", "jpg", "jpeg", "avif"]


def source(array: np.ndarray, colours: Colours = "rgb", **of_samples: object) -> Source:
    samples = Samples(array=array, colours=colours, **of_samples)  # pyright: ignore[reportArgumentType]
    return Source(samples=samples, metadata=Metadata(), format="PNG", name="made.png")


def png(kind: int, depth: int, rows: bytes, width: int, height: int, *before: tuple[bytes, bytes]) -> bytes:
    """A PNG put together by hand: of what no library here writes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, depth, kind, 0, 0, 0))
    middle = b"".join(chunk(*each) for each in before)
    return b"\x89PNG\r\n\x1a\n" + header + middle + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def private() -> Metadata:
    """Of a picture that stands on its side: a name in every place where there is one."""
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, SECRET
    exif.get_ifd(0x8825)[1] = "N"
    return Metadata(
        orientation=6,
        exif=exif.tobytes().removeprefix(b"Exif\0\0"),
        xmp=f"<rdf:RDF>{SECRET}</rdf:RDF>".encode(),
        text={"author": SECRET},
        dpi=(300.0, 300.0),
    )
