"""Files <-> pixels: the only place that knows about PNG, EXIF orientation, colour profiles, alpha and bit depth."""

from fictile.picture.encode import check_writable
from fictile.picture.gallery import gallery
from fictile.picture.mask import Mask
from fictile.picture.pad import crop, mirrored, pad_to_multiple
from fictile.picture.picture import Picture
from fictile.picture.pixels import from_uint8, to_uint8
from fictile.picture.read import PictureHeader, load_picture, read_picture_header, read_text
from fictile.picture.source import Source, compare_untouched, open_source
from fictile.picture.untouched import Difference
from fictile.picture.write import save_picture

__all__ = [
    "Difference",
    "Mask",
    "Picture",
    "PictureHeader",
    "Source",
    "check_writable",
    "compare_untouched",
    "crop",
    "from_uint8",
    "gallery",
    "load_picture",
    "mirrored",
    "open_source",
    "pad_to_multiple",
    "read_picture_header",
    "read_text",
    "save_picture",
    "to_uint8",
]
