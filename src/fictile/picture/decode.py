"""Files to samples and metadata: everything Pillow gives as it is stored, and the rest by other means."""

import logging
import struct
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from fictile.errors import RequestError
from fictile.picture.colour import profile_fits
from fictile.picture.metadata import Metadata
from fictile.picture.orientation import TAG, known
from fictile.picture.samples import CHANNELS, Colours, Samples

# What Pillow raises for a damaged file: OSError where it is truncated, SyntaxError for broken PNG chunks, RuntimeError
# from its AVIF decoder, the others from parsers that run off the end of their data.
_DAMAGED = (OSError, SyntaxError, RuntimeError, ValueError, EOFError, IndexError, struct.error)

# Modes of Pillow that hold samples as they are, and those that are promoted to one of them.
_KINDS: dict[str, tuple[Colours, bool]] = {
    "L": ("grey", False),
    "LA": ("grey", True),
    "RGB": ("rgb", False),
    "RGBA": ("rgb", True),
    "CMYK": ("cmyk", False),
}
_PROMOTED = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}
_WITH_ALPHA = {"L": "LA", "P": "RGBA", "RGB": "RGBA", "1": "LA"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A picture file, read."""

    samples: Samples
    metadata: Metadata
    format: str  # Pillow's name: "PNG", "JPEG", "TIFF", ...


def decode(path: Path) -> Decoded:
    """Read the first frame of a file. Raises RequestError as `open_source` does."""
    with opened(path) as image:
        if getattr(image, "n_frames", 1) > 1:
            _log.warning("%s is animated: of its %d frames the first is taken.", path, getattr(image, "n_frames", 1))
        metadata = read_metadata(image)
        samples = _samples(image, path)
        return Decoded(samples=samples, metadata=metadata, format=image.format or "unknown")


@contextmanager
def opened(path: str | Path) -> Generator[Image.Image]:
    """A picture file opened by Pillow; whatever goes wrong inside the block becomes one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                yield image
    except RequestError:
        raise
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
        raise RequestError(f"{path} is no picture of a known kind: give a PNG, JPEG or WebP.") from error
    except _DAMAGED as error:
        raise RequestError(f"{path} is a damaged picture ({error}): give another copy of it.") from error


def read_metadata(image: Image.Image) -> Metadata:
    """What the header of an opened file says. Loads no pixels."""
    exif = image.getexif()
    text = image.text if isinstance(image, PngImagePlugin.PngImageFile) else {}
    return Metadata(
        orientation=known(exif.get(TAG)),
        exif=exif.tobytes().removeprefix(b"Exif\0\0") if exif else None,
        text={str(key): str(value) for key, value in text.items()},
    )


def _samples(image: Image.Image, path: Path) -> Samples:
    if image.mode in {"I", "F"}:
        raise RequestError(f"{path} has 32-bit values, which have no agreed white: convert it to 8 or 16 bit first.")
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):
        array, colours, alpha = np.asarray(image).astype(np.uint16)[..., None], "grey", False
    else:
        if image.has_transparency_data and image.mode in _WITH_ALPHA:
            image = image.convert(_WITH_ALPHA[image.mode])
        elif image.mode not in _KINDS:
            image = image.convert(_PROMOTED.get(image.mode, "RGB"))
        colours, alpha = _KINDS[image.mode]
        array = np.asarray(image).reshape(image.height, image.width, CHANNELS[colours] + alpha).copy()
    if profile is not None and not profile_fits(profile, colours):
        _log.warning("%s has a colour profile that is damaged or of other colours: it is left out.", path)
        profile = None
    if colours == "cmyk" and profile is None:
        raise RequestError(
            f"{path} is CMYK without a colour profile, so that nobody knows its colours: convert it to RGB first."
        )
    return Samples(array=array, colours=colours, alpha=alpha, profile=profile)
