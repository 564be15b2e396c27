"""Each format with what it can hold: read as it is stored, written as it was read."""

import logging
import struct
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageOps
from tests.picture import profiles
from tests.picture.made import BYTES, DEEP, png, private, source

from fictile.errors import RequestError
from fictile.picture import Source, from_uint8, load_picture, open_source, read_picture_header, to_uint8


def test_all_sixteen_bits_count(tmp_path: Path) -> None:
    (tmp_path / "deep.png").write_bytes(png(2, 16, b"\0" + struct.pack(">3H", 0, 200, 65535), 1, 1))
    pixels = load_picture(tmp_path / "deep.png").pixels.flatten()
    torch.testing.assert_close(pixels, torch.tensor([-1, 200 / 32767.5 - 1, 1]), rtol=0, atol=1e-7)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_are_stored_in_png_and_tiff(tmp_path: Path, channels: int) -> None:
    made = source(DEEP[..., :channels], "grey" if channels < 3 else "rgb", alpha=channels in {2, 4})
    for name in ("deep.png", "deep.tiff"):
        made.save(tmp_path / name)
        back = open_source(tmp_path / name)
        np.testing.assert_array_equal(back.samples.array, DEEP[..., :channels])
        assert back.samples.alpha == made.samples.alpha
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "deep.tiff"), DEEP[..., :channels].squeeze())


def test_a_transparent_colour_of_sixteen_bits_becomes_alpha(tmp_path: Path) -> None:
    rows = b"\0" + struct.pack(">2H", 7, 9)
    (tmp_path / "key.png").write_bytes(png(0, 16, rows, 2, 1, (b"tRNS", struct.pack(">H", 7))))
    assert open_source(tmp_path / "key.png").samples.array.tolist() == [[[7, 0], [9, 65535]]]


@pytest.mark.parametrize(("bits", "step"), [(1, 255), (2, 85), (4, 17)])
def test_few_bits_are_promoted_to_eight(tmp_path: Path, bits: int, step: int) -> None:
    (tmp_path / "few.png").write_bytes(png(0, bits, b"\0" + bytes([1 << (8 - bits)]), 1, 1))
    assert open_source(tmp_path / "few.png").samples.array.tolist() == [[[step]]]


@pytest.mark.parametrize("extension", ["png", "tiff", "gif"])
def test_a_palette_is_promoted(tmp_path: Path, extension: str) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / f"few.{extension}")
    assert open_source(tmp_path / f"few.{extension}").samples.array.tolist() == [[[10, 20, 30], [40, 50, 60]]]
    if extension == "png":
        image.save(tmp_path / "few.png", transparency=b"\x40\xff")
        expected = [[[10, 20, 30, 64], [40, 50, 60, 255]]]
        assert open_source(tmp_path / "few.png").samples.array.tolist() == expected


@pytest.mark.parametrize(
    "options",
    [
        {"byteorder": ">"},
        {"planarconfig": "separate"},
        {"tile": (16, 16), "compression": "lzw", "predictor": True},
        {"bigtiff": True},
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_may_be_laid_out_in_any_way(tmp_path: Path, options: dict[str, object], dtype: type) -> None:
    array = DEEP[..., :3].astype(dtype)
    stored = np.moveaxis(array, -1, 0) if "planarconfig" in options else array
    tifffile.imwrite(tmp_path / "any.tif", stored, photometric="rgb", **options)  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(open_source(tmp_path / "any.tif").samples.array, array)
    header = read_picture_header(tmp_path / "any.tif")
    assert (header.format, header.height, header.width) == ("TIFF", 6, 10)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_that_pillow_reads_is_turned_once(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(BYTES[..., 0] & 3)
    image.putpalette(range(12))
    image.save(tmp_path / "few.tiff", tiffinfo={0x0112: orientation})
    back = open_source(tmp_path / "few.tiff")
    assert back.metadata.orientation == orientation
    np.testing.assert_array_equal(back.samples.array[..., 0], (BYTES[..., 0] & 3) * 3)
    header = read_picture_header(tmp_path / "few.tiff")
    assert (header.height, header.width) == (back.height, back.width)


def test_a_tiff_whose_white_is_zero_is_turned_round(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "negative.tif", DEEP[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(open_source(tmp_path / "negative.tif").samples.array[..., 0], 65535 - DEEP[..., 0])


def test_alpha_that_was_multiplied_in_is_divided_out(tmp_path: Path) -> None:
    array = np.array([[[50, 100, 0, 100], [0, 0, 0, 0]]], np.uint8)
    tifffile.imwrite(tmp_path / "fog.tif", array, photometric="rgb", extrasamples=["assocalpha"])
    assert open_source(tmp_path / "fog.tif").samples.array.tolist() == [[[128, 255, 0, 100], [0, 0, 0, 0]]]


def test_avif_of_ten_bits_keeps_more_than_eight(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1023, 64 * 64).reshape(64, 64).astype(np.uint16)
    data = imagecodecs.avif_encode(np.dstack([ramp] * 3), level=100, bitspersample=10)
    (tmp_path / "ramp.avif").write_bytes(data)
    samples = open_source(tmp_path / "ramp.avif").samples
    assert samples.bits == 16
    assert np.unique(samples.array[..., 1]).size > 900
    assert np.abs(samples.array[..., 1] / 65535 - ramp / 1023).max() < 0.004


def test_pictures_of_one_pixel_and_of_a_ribbon_pass(tmp_path: Path) -> None:
    for size in ((1, 1), (10, 20_000)):
        made = source(np.full((*size, 3), 77, np.uint8))
        for name in ("a.png", "a.tiff"):
            made.save(tmp_path / name)
            back = open_source(tmp_path / name)
            assert (back.height, back.width) == size
            np.testing.assert_array_equal(back.samples.array, made.samples.array)
    with pytest.raises(RequestError, match="would be 20000x10, and WebP ends at 16383"):
        made.losses(tmp_path / "a.webp")
    with pytest.raises(RequestError, match="WebP ends at 16383"):
        made.save(tmp_path / "a.webp")
    assert not (tmp_path / "a.webp").exists()


@pytest.mark.parametrize(
    ("made", "extension", "words"),
    [
        (source(BYTES), "png", []),
        (source(BYTES), "webp", []),
        (source(BYTES[..., :1], "grey"), "webp", []),  # three times the same value is the same grey
        (source(BYTES[..., :1], "grey", profile=profiles.GREY), "webp", ["no grey: the colours are converted"]),
        (source(DEEP, alpha=True), "webp", ["the 16 of the picture are rounded"]),
        (source(DEEP, alpha=True), "jpg", ["no transparency", "16 of the picture", "ends at its encoder"]),
        (source(BYTES), "avif", ["AVIF is lossy"]),
        (source(DEEP, alpha=True), "avif", ["the 16 of the picture are rounded", "AVIF is lossy"]),
        (source(DEEP.astype(np.uint8), "cmyk", profile=profiles.cmyk()), "png", ["PNG holds no CMYK"]),
        (source(DEEP.astype(np.uint8), "cmyk", profile=profiles.cmyk()), "tiff", []),
    ],
)
def test_what_a_format_cannot_keep_is_said_and_done(
    tmp_path: Path, made: Source, extension: str, words: list[str]
) -> None:
    path = tmp_path / f"out.{extension}"
    told = made.losses(path)
    assert len(told) == len(words)
    assert all(word in sentence for word, sentence in zip(words, told, strict=True))
    made.save(path)
    seen, back = (to_uint8(each.picture().pixels).astype(int) for each in (made, open_source(path)))
    if extension not in {"avif", "jpg"}:  # noise is what they are worst at
        assert np.abs(seen - back).max() <= 1


def test_lossless_webp_keeps_the_colours_under_alpha(tmp_path: Path) -> None:
    array = np.dstack([BYTES, np.where(BYTES[..., 0] > 99, 255, 0).astype(np.uint8)])
    source(array, alpha=True).save(tmp_path / "clear.webp")
    np.testing.assert_array_equal(open_source(tmp_path / "clear.webp").samples.array, array)


def test_of_an_animation_the_first_frame_is_taken_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for extension in ("gif", "png", "webp", "avif", "tiff"):
        path = tmp_path / f"blink.{extension}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            red, green, blue = to_uint8(load_picture(path).pixels)[0, 0].tolist()
        assert red > 240
        assert max(green, blue) < 15
        assert [record.getMessage() for record in caplog.records] == [f"{path} has 2 frames: the first is taken."]


def test_bombs_of_tiff_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    source(BYTES).save(tmp_path / "bomb.tiff")
    with pytest.raises(RequestError, match="more than 0 million pixels"):
        open_source(tmp_path / "bomb.tiff")


def test_what_is_saved_opens_elsewhere(tmp_path: Path) -> None:
    """By Pillow alone, with profile, orientation and resolution."""
    made = replace(source(BYTES, profile=profiles.ADOBE), metadata=private())
    for extension in ("png", "tiff", "webp"):
        made.save(tmp_path / f"out.{extension}")
        with Image.open(tmp_path / f"out.{extension}") as image:
            assert image.info["icc_profile"] == profiles.ADOBE
            assert image.getexif()[0x0112] == 6
            np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(image)), np.rot90(BYTES, -1))


def test_pixels_of_a_plain_file_are_exactly_its_bytes(tmp_path: Path) -> None:
    Image.fromarray(BYTES).save(tmp_path / "plain.png")
    torch.testing.assert_close(load_picture(tmp_path / "plain.png").pixels, from_uint8(BYTES), rtol=0, atol=1e-6)
