"""Files to samples and metadata: by Pillow where it gives all bits, else by imagecodecs and tifffile."""

import io
import logging
import struct
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from fictile.errors import RequestError
from fictile.picture import avif, cicp, png, tiff
from fictile.picture.cicp import HDR_TRANSFERS
from fictile.picture.colour import is_hdr, profile_fits
from fictile.picture.metadata import Metadata
from fictile.picture.orientation import TAG, as_stored, known
from fictile.picture.samples import CHANNELS, Colours, Samples, check_size
from fictile.picture.xmp import split

# What Pillow raises for a damaged file: OSError where it is truncated, SyntaxError for broken PNG chunks, RuntimeError
# from its AVIF decoder (and from imagecodecs), the others from parsers that run off the end of their data.
_DAMAGED = (OSError, SyntaxError, RuntimeError, ValueError, EOFError, IndexError, struct.error)

# Modes of Pillow that hold samples as they are, those promoted to one of them, and those with a transparent colour.
_KINDS: dict[str, tuple[Colours, bool]] = {
    "L": ("grey", False),
    "LA": ("grey", True),
    "RGB": ("rgb", False),
    "RGBA": ("rgb", True),
    "CMYK": ("cmyk", False),
}
_PROMOTED = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"}
_WITH_ALPHA = {"1": "LA", "L": "LA", "P": "RGBA", "RGB": "RGBA"}

_HDR_MAGIC = (b"\x76\x2f\x31\x01", b"#?RADIANCE", b"#?RGBE")  # OpenEXR, and Radiance

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file says before its pixels."""

    format: str  # Pillow's name: "PNG", "JPEG", "TIFF", ...
    size: tuple[int, int]  # height and width, as stored
    frames: int
    metadata: Metadata


def read_header(path: str | Path) -> Header:
    """Read no pixels. Raises RequestError for what is missing, no picture, damaged, or a decompression bomb."""
    with _one_sentence(path):
        if tiff.is_tiff(path):
            with tiff.opened(path) as file:
                return Header(
                    format="TIFF", size=tiff.size(file), frames=len(file.pages), metadata=tiff.read_metadata(file)
                )
        with Image.open(path) as image:
            return _header(image)


def decode(path: str | Path) -> tuple[Header, Samples]:
    """Read the first frame of a file. Raises RequestError as `open_source` does."""
    with _one_sentence(path):
        header = read_header(path)
        if header.frames > 1:
            _log.warning("%s has %d frames: the first is taken.", path, header.frames)
        if header.format == "TIFF":
            samples = tiff.read_samples(path) or _simple_tiff(Path(path), header.metadata.orientation)
        else:
            with Image.open(path) as image:
                samples = _deep(image, Path(path)) or _samples(image, Path(path))
        return header, _with_known_colours(samples, path)


@contextmanager
def _one_sentence(path: str | Path) -> Generator[None]:
    """Whatever goes wrong with a file inside the block becomes one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except FileNotFoundError as error:
        raise RequestError(f"There is no file {path}: give the path of a picture.") from error
    except IsADirectoryError as error:
        raise RequestError(f"{path} is a folder: give the path of one picture.") from error
    except PermissionError as error:
        raise RequestError(f"{path} may not be read: change its permissions or give another picture.") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise RequestError(f"{path} has more than {limit} million pixels: scale it down first.") from error
    except UnidentifiedImageError as error:
        with Path(path).open("rb") as file:
            if file.read(10).startswith(_HDR_MAGIC):
                raise _too_bright(path) from error
        raise RequestError(f"{path} is no picture of a known kind: give a PNG, JPEG, WebP, AVIF or TIFF.") from error
    except _DAMAGED as error:
        reason = str(error).partition("\n")[0]
        raise RequestError(f"{path} is a damaged picture ({reason}): give another copy of it.") from error


def _header(image: Image.Image) -> Header:
    exif = image.getexif()
    raw = image.info.get("exif") or (exif.tobytes() if exif else b"")
    text = image.text if isinstance(image, PngImagePlugin.PngImageFile) else {}
    others = {str(key): str(value) for key, value in text.items() if key != png.XMP_KEY}
    packet = image.info.get("xmp") or text.get(png.XMP_KEY)
    xmp, ours = split(packet.encode() if isinstance(packet, str) else packet)
    dpi = image.info.get("dpi")
    return Header(
        format=image.format or "unknown",
        size=(image.height, image.width),
        frames=getattr(image, "n_frames", 1),
        metadata=Metadata(
            orientation=known(exif.get(TAG)),
            exif=raw.removeprefix(b"Exif\0\0") or None,
            xmp=xmp,
            text={**others, **ours},
            dpi=(float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None,
        ),
    )


def _deep(image: Image.Image, path: Path) -> Samples | None:
    """Samples of more than 8 bits, which Pillow would cut off; None where there are none."""
    if image.format == "PNG":
        data = path.read_bytes()
        array = imagecodecs.png_decode(data) if png.bit_depth(data) == 16 else None
    elif image.format == "AVIF":
        data = path.read_bytes()
        bits = avif.bit_depth(data)
        array = None if bits == 8 else avif.stretched(imagecodecs.avif_decode(data, index=0), bits)
    else:
        return None
    if array is None:
        return None
    array = array.reshape(image.height, image.width, -1)
    channels = array.shape[2]
    return Samples(
        array=array,
        colours="grey" if channels < 3 else "rgb",
        alpha=channels in {2, 4},
        profile=_profile(image, path),
    )


def _samples(image: Image.Image, path: Path) -> Samples:
    """The samples of at most 8 bits."""
    if image.mode in {"I", "F"} or image.mode.startswith("I;"):
        raise ValueError(f"its values are {image.mode}")
    profile = _profile(image, path)
    if image.has_transparency_data and image.mode in _WITH_ALPHA:
        image = image.convert(_WITH_ALPHA[image.mode])
    elif image.mode not in _KINDS:
        image = image.convert(_PROMOTED.get(image.mode, "RGB"))
    kind, alpha = _KINDS[image.mode]
    array = np.array(image).reshape(image.height, image.width, CHANNELS[kind] + alpha)
    return Samples(array=array, colours=kind, alpha=alpha, profile=profile)


def _simple_tiff(path: Path, orientation: int) -> Samples:
    """Palettes, single bits and the like. Pillow turns them upright; from memory, since it confuses mapped sides."""
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        samples = _samples(image, path)
    return replace(samples, array=np.ascontiguousarray(as_stored(samples.array, orientation)))


def _profile(image: Image.Image, path: Path) -> bytes | None:
    """The embedded profile, or what a PNG or an AVIF says about its colours in place of one. Refuses HDR."""
    embedded = image.info.get("icc_profile") or None
    grey = image.mode in {"1", "L", "LA"} or image.mode.startswith("I;")
    stated = _stated_colours(image.format, path)
    if stated is not None:
        if stated[1] in HDR_TRANSFERS:
            raise _too_bright(path)
        if embedded is None and not cicp.is_known(*stated):
            raise RequestError(
                f"{path} names its colours by numbers that are not known here (primaries {stated[0]}, transfer "
                f"{stated[1]} of ITU-T H.273): convert it to sRGB first."
            )
        return embedded or cicp.profile_of(*stated, grey=grey)
    if embedded or image.format != "PNG" or "srgb" in image.info:
        return embedded
    return png.profile_of(image.info.get("gamma"), image.info.get("chromaticity"), grey=grey)


def _stated_colours(kind: str | None, path: Path) -> tuple[int, int] | None:
    """Primaries and transfer by number, where a format states them."""
    stated = {"PNG": png.stated_colours, "AVIF": avif.stated_colours}
    return stated[kind](path.read_bytes()) if kind in stated else None


def _with_known_colours(samples: Samples, path: str | Path) -> Samples:
    """Refuse what has no agreed white or no known colours; leave out a profile that is about other colours."""
    check_size(samples)
    profile = samples.profile
    if profile is not None and is_hdr(profile):
        raise _too_bright(path)
    if profile is not None and not profile_fits(profile, samples.colours):
        _log.warning("%s has a colour profile that is damaged or about other colours: it is left out.", path)
        profile = None
    if samples.colours == "cmyk" and profile is None:
        raise RequestError(
            f"{path} is CMYK without a colour profile, so that nobody knows its colours: convert it to RGB first."
        )
    return replace(samples, profile=profile)


def _too_bright(path: str | Path) -> RequestError:
    return RequestError(
        f"{path} has a high dynamic range, whose light goes beyond white: convert it to 8 or 16 bit sRGB first."
    )
