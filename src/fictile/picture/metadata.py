"""What a file says beside its samples."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fictile.picture.exif import erased_thumbnail


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What is kept of it, and written again."""

    orientation: int = 1  # EXIF: how the stored picture is turned to stand upright
    exif: bytes | None = None  # a TIFF structure, without "Exif\0\0" before it
    xmp: bytes | None = None  # the packet, without what Fictile wrote into it
    text: Mapping[str, str] = field(default_factory=dict)  # of a PNG; elsewhere what Fictile wrote into the XMP
    dpi: tuple[float, float] | None = None  # horizontal and vertical, as stored

    def stripped(self) -> "Metadata":
        """Without all that could say who, where, when or with what: only the orientation stays."""
        return Metadata(orientation=self.orientation)

    def without_thumbnail(self) -> "Metadata":
        """Without the small picture that cameras put into EXIF: it shows what was there before the paint."""
        return self if self.exif is None else replace(self, exif=erased_thumbnail(self.exif))

    def exif_block(self) -> bytes | None:
        """What to write as EXIF: the block that was read, or one that says only how the picture is turned."""
        if self.exif is not None or self.orientation == 1:
            return self.exif
        # Big-endian TIFF: one directory at 8 with one entry, tag 0x0112 of one short, and no directory after it.
        return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, self.orientation, 0, 0)
