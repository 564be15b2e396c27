"""Blocks of EXIF (2.32, 4.5): TIFF structures, without the word "Exif" that stands before them in some files."""

import struct
from typing import Literal, NamedTuple

Order = Literal["<", ">"]  # of bytes, in the words of `struct`

_ORDERS: dict[bytes, Order] = {b"II": "<", b"MM": ">"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # bytes of a value, by its type
_NEXT, _THUMBNAIL, _LENGTH = 2, 0x0201, 0x0202  # JPEGInterchangeFormat and its length


class Entry(NamedTuple):
    """One entry of a directory."""

    tag: int
    kind: int  # the type of its values
    many: int  # how many there are
    values: bytes  # packed in the block's byte order


class Block:
    """A block that can be read. Raises ValueError where it cannot."""

    def __init__(self, exif: bytes) -> None:
        try:
            self.order: Order = _ORDERS[exif[:2]]
            self.data = exif
            self._first = self._number(4)
            self._link = self._first + _NEXT + 12 * self._short(self._first)
            self._number(self._link)
        except (KeyError, struct.error) as error:
            raise ValueError("it is no EXIF block") from error

    def entries(self) -> list[Entry]:
        """Those of the first directory, less what points out of the block."""
        found: list[Entry] = []
        for place in range(self._first + _NEXT, self._link, 12):
            tag, kind, count = struct.unpack_from(f"{self.order}HHI", self.data, place)
            length = _SIZES.get(kind, 0) * count
            start = place + 8 if length <= 4 else self._number(place + 8)
            if 0 < length <= len(self.data) - start:
                found.append(Entry(tag, kind, count, self.data[start : start + length]))
        return found

    def without_thumbnail(self) -> bytes:
        """The block with its thumbnail (4.6.3: the second directory) overwritten with zeros and cut off.

        Every other byte stays where it is, so that notes of camera makers keep their offsets. Raises ValueError where
        the second directory cannot be read.
        """
        second = self._number(self._link)
        if second == 0:
            return self.data
        block = bytearray(self.data)
        try:
            entries = {
                self._short(place): self._number(place + 8)
                for place in range(second + _NEXT, second + _NEXT + 12 * self._short(second), 12)
            }
        except struct.error as error:
            raise ValueError("its second directory is damaged") from error
        where, length = entries.get(_THUMBNAIL, 0), entries.get(_LENGTH, 0)
        block[where : where + length] = bytes(len(block[where : where + length]))
        struct.pack_into(f"{self.order}I", block, self._link, 0)
        return bytes(block)

    def _short(self, place: int) -> int:
        return int(struct.unpack_from(f"{self.order}H", self.data, place)[0])

    def _number(self, place: int) -> int:
        return int(struct.unpack_from(f"{self.order}I", self.data, place)[0])


def erased_thumbnail(exif: bytes) -> bytes | None:
    """An EXIF block without its thumbnail; one that cannot be read is dropped, since it may have one."""
    try:
        return Block(exif).without_thumbnail()
    except ValueError:
        return None
