"""Files <-> pixels: the only place that knows about PNG, EXIF orientation, alpha and bit depth."""

from fictile.picture.pad import crop, pad_to_multiple
from fictile.picture.picture import Picture
from fictile.picture.pixels import from_uint8, to_uint8
from fictile.picture.read import PictureHeader, load_picture, read_picture_header, read_text
from fictile.picture.write import check_writable, save_picture

__all__ = [
    "Picture",
    "PictureHeader",
    "check_writable",
    "crop",
    "from_uint8",
    "load_picture",
    "pad_to_multiple",
    "read_picture_header",
    "read_text",
    "save_picture",
    "to_uint8",
]
