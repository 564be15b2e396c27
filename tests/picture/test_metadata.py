"""What a file says beside its samples: texts, EXIF, XMP, and what is left of them without all that is private."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from tests.picture import profiles
from tests.picture.made import BYTES, DEEP, FORMATS, SECRET, private, source

from fictile.errors import RequestError
from fictile.picture import open_source, read_text
from fictile.picture.exif import erased_thumbnail
from fictile.picture.metadata import Metadata


@pytest.mark.parametrize("extension", FORMATS)
def test_text_is_carried_by_every_format(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"told.{extension}"
    text = {"parameters": "a fox\nSteps: 20 <lora:a & b>\r\n", "fictile": '{"prompt": "лиса 🦊"}'}
    foreign = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description a="1"/></rdf:RDF></x:xmpmeta>'
    made = replace(source(BYTES), metadata=Metadata(xmp=foreign))
    made.save(path, text)
    assert read_text(path) == text
    back = open_source(path)
    assert back.metadata.xmp == foreign
    back.save(path, {"parameters": "another"})
    assert read_text(path) == {**text, "parameters": "another"}
    source(BYTES).save(path, text)
    assert open_source(path).metadata.xmp is None


def test_text_that_jpeg_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="JPEG holds 65502: save a PNG"):
        source(BYTES).save(tmp_path / "long.jpg", {"fictile": "x" * 70_000})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extension", FORMATS)
def test_all_that_is_private_is_kept_or_stripped(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"whose.{extension}"
    made = replace(source(BYTES, profile=profiles.ADOBE), metadata=private())
    for strip in (False, True):
        made.save(path, strip=strip)
        back = open_source(path)
        assert (SECRET.encode() in path.read_bytes()) is not strip
        assert bool(back.text) is not strip
        assert back.metadata.orientation == 6
        assert back.samples.profile == profiles.ADOBE
        assert (back.height, back.width) == (10, 6)
    assert back.metadata.dpi is None or back.metadata.dpi == (72, 72)
    assert b"GPS" not in (back.metadata.exif or b"")
    with Image.open(path) as image:
        assert 0x013B not in image.getexif()
        assert not image.getexif().get_ifd(0x8825)


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "avif", "tiff"])
def test_exif_comes_back_byte_for_byte(tmp_path: Path, extension: str) -> None:
    made = replace(source(BYTES), metadata=private())
    made.save(tmp_path / f"kept.{extension}")
    back = open_source(tmp_path / f"kept.{extension}").metadata
    assert (back.exif, back.xmp) == (private().exif, private().xmp)
    if extension not in {"webp", "avif"}:  # which have no place for it
        assert back.dpi == pytest.approx((300, 300), rel=1e-3)


def test_exif_of_a_tiff_is_read_without_what_is_about_the_file(tmp_path: Path) -> None:
    Image.fromarray(BYTES).save(tmp_path / "shot.tiff", tiffinfo={315: SECRET, 0x0112: 3}, dpi=(200, 100))
    back = open_source(tmp_path / "shot.tiff")
    assert back.metadata.orientation == 3
    assert back.metadata.dpi == (200, 100)
    assert back.losses(tmp_path / "out.tiff") == ()
    back.save(tmp_path / "shot.png")
    with Image.open(tmp_path / "shot.png") as image:
        assert dict(image.getexif()) == {315: SECRET, 0x0112: 3}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
def test_exif_of_a_photograph_lies_in_a_tiff_as_it_lay_in_it(tmp_path: Path, order: str, bits: int) -> None:
    """Maker, place, exposure, and notes of the camera's maker that only it can read, at the offset that they had."""
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F], exif[0x0110], exif[0x9C9B] = "Maker", "Model", "title".encode("utf-16-le")
    exif.get_ifd(0x8769).update({0x829A: (1, 250), 0x9003: "2026:11:24 10:00:00", 0x927C: b"notes of the maker " * 9})
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.5)})
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    made = source(BYTES if bits == 8 else DEEP[..., :3])
    replace(made, metadata=Metadata(exif=block)).save(tmp_path / "shot.tiff")

    data = (tmp_path / "shot.tiff").read_bytes()
    assert data[8 : len(block)] == block[8:]
    back = open_source(tmp_path / "shot.tiff")
    np.testing.assert_array_equal(back.samples.array, made.samples.array)
    found = Image.Exif()
    found.load(back.metadata.exif or b"")
    assert (found[0x010F], found[0x0110]) == ("Maker", "Model")
    assert found.get_ifd(0x8769)[0x927C] == b"notes of the maker " * 9
    assert found.get_ifd(0x8825)[2] == (52.0, 31.0, 12.5)
    painted = back.paste(torch.zeros(3, 6, 10), torch.ones(6, 10))
    painted.save(tmp_path / "shot.jpg")
    with Image.open(tmp_path / "shot.jpg") as image:
        assert image.getexif().get_ifd(0x8769)[0x829A] == (1, 250)
    with tifffile.TiffFile(tmp_path / "shot.tiff") as file:
        assert len(file.pages) == 1
        codes = [tag.code for tag in file.pages.first.tags]
        assert codes == sorted(codes)


def test_exif_of_a_bigtiff_is_read_as_well(tmp_path: Path) -> None:
    artist = (315, 2, 0, SECRET, True)
    plain = {"photometric": "rgb", "software": False, "metadata": None}
    tifffile.imwrite(tmp_path / "big.tiff", DEEP[..., :3], bigtiff=True, extratags=[artist], **plain)  # pyright: ignore[reportArgumentType]
    open_source(tmp_path / "big.tiff").save(tmp_path / "small.png")
    with Image.open(tmp_path / "small.png") as image:
        assert dict(image.getexif()) == {315: SECRET}


def test_exif_that_cannot_be_read_is_left_out_of_a_tiff(tmp_path: Path) -> None:
    for exif in (b"junk", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x09"):
        replace(source(BYTES), metadata=Metadata(exif=exif)).save(tmp_path / "odd.tiff")
        np.testing.assert_array_equal(open_source(tmp_path / "odd.tiff").samples.array, BYTES)


def test_the_thumbnail_of_what_was_there_is_erased_by_paint() -> None:
    thumbnail = b"\xff\xd8 a small picture \xff\xd9"
    first = struct.pack("<HHHII", 1, 0x0112, 3, 1, 1) + struct.pack("<I", 26)
    second = struct.pack("<H", 2) + b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((0x0201, 56), (0x0202, len(thumbnail)))
    )
    exif = b"II*\0" + struct.pack("<I", 8) + first + second + bytes(4) + thumbnail + b"notes"
    assert exif[56:].startswith(thumbnail)
    made = replace(source(BYTES), metadata=Metadata(exif=exif))
    painted = made.paste(torch.zeros(3, 6, 10), torch.ones(6, 10)).metadata.exif
    assert painted is not None
    assert len(painted) == len(exif)
    assert b"small" not in painted
    assert painted.endswith(b"notes")
    assert erased_thumbnail(painted) == painted


def test_a_picture_whose_exif_is_damaged_stays_upright_when_it_is_painted_on(tmp_path: Path) -> None:
    assert erased_thumbnail(b"II") is None
    made = replace(source(BYTES), metadata=Metadata(orientation=6, exif=b"II"))
    painted = made.paste(torch.zeros(3, 10, 6), torch.ones(10, 6))
    for extension in ("png", "jpg", "tiff", "webp"):
        painted.save(tmp_path / f"turned.{extension}")
        assert open_source(tmp_path / f"turned.{extension}").metadata.orientation == 6
