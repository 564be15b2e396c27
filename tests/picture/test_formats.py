"""Each format with what it can hold: read as it is stored, written as it was read."""

import io
import logging
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms, ImageOps
from tests.picture import profiles

from fictile.errors import RequestError
from fictile.picture import Source, from_uint8, load_picture, open_source, read_picture_header, read_text, to_uint8
from fictile.picture.metadata import Metadata, erased_thumbnail
from fictile.picture.samples import Colours, Samples

DICE = np.random.default_rng(0)
BYTES = DICE.integers(0, 256, (6, 10, 3), dtype=np.uint8)
DEEP = DICE.integers(0, 65536, (6, 10, 4), dtype=np.uint16)
FORMATS = ["png", "tif", "tiff", "webp", "jpg", "jpeg", "avif"]
SECRET = "Ada of Somewhere"


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


def private() -> Metadata:
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


@pytest.mark.parametrize("extension", ["png", "jpg", "webp"])
def test_exif_comes_back_byte_for_byte(tmp_path: Path, extension: str) -> None:
    made = replace(source(BYTES), metadata=private())
    made.save(tmp_path / f"kept.{extension}")
    back = open_source(tmp_path / f"kept.{extension}").metadata
    assert (back.exif, back.xmp) == (private().exif, private().xmp)
    if extension != "webp":  # which has no place for it
        assert back.dpi == pytest.approx((300, 300), rel=1e-3)


def test_exif_of_a_tiff_is_read_without_what_is_about_the_file(tmp_path: Path) -> None:
    Image.fromarray(BYTES).save(tmp_path / "shot.tiff", tiffinfo={315: SECRET, 0x0112: 3}, dpi=(200, 100))
    back = open_source(tmp_path / "shot.tiff")
    assert back.metadata.orientation == 3
    assert back.metadata.dpi == (200, 100)
    assert "TIFF keeps of the EXIF data only how the picture is turned." in back.losses(tmp_path / "out.tiff")
    back.save(tmp_path / "shot.png")
    with Image.open(tmp_path / "shot.png") as image:
        assert dict(image.getexif()) == {315: SECRET, 0x0112: 3}


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
    assert erased_thumbnail(b"II") == b""


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


@pytest.mark.parametrize("profile", [profiles.ADOBE, profiles.WIDE, profiles.SRGB])
def test_colours_agree_with_those_of_pillow(tmp_path: Path, profile: bytes) -> None:
    """Pillow's LittleCMS computes in 8 bits: one code value apart is its rounding."""
    Image.fromarray(BYTES).save(tmp_path / "wide.png", icc_profile=profile)
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        "RGB",
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.NOOPTIMIZE,
    )
    expected = np.asarray(ImageCms.applyTransform(Image.fromarray(BYTES), transform)).astype(int)
    assert np.abs(to_uint8(load_picture(tmp_path / "wide.png").pixels) - expected).max() <= 1


def test_equal_colours_of_a_large_picture_are_converted_once_and_alike() -> None:
    few = BYTES.reshape(-1, 3)[DICE.integers(0, 60, (520, 510))]
    alpha = DICE.integers(0, 256, (520, 510, 1), dtype=np.uint8)
    whole = source(np.concatenate([few, alpha], axis=2), alpha=True, profile=profiles.WIDE)
    part = replace(whole, samples=replace(whole.samples, array=whole.samples.array[:9]))
    torch.testing.assert_close(whole.picture().pixels[:, :9], part.picture().pixels, rtol=0, atol=0)


def test_cmyk_with_a_profile_is_read_and_written(tmp_path: Path) -> None:
    made = source(DEEP.astype(np.uint8), "cmyk", profile=profiles.cmyk())
    made.save(tmp_path / "ink.tiff")
    np.testing.assert_array_equal(open_source(tmp_path / "ink.tiff").samples.array, made.samples.array)
    flat = replace(made, samples=replace(made.samples, array=np.full((16, 16, 4), 60, np.uint8)))
    flat.save(tmp_path / "ink.jpg")
    back = open_source(tmp_path / "ink.jpg")
    assert back.samples.colours == "cmyk"
    assert np.abs(back.samples.array.astype(int) - 60).max() <= 2
    none = source(np.zeros((1, 1, 4), np.uint8), "cmyk", profile=profiles.cmyk())
    assert to_uint8(none.picture().pixels).min() >= 254  # no ink is the white of the paper


def test_gamma_of_a_png_counts_where_it_has_no_profile(tmp_path: Path) -> None:
    """Half the light is 188 of 255 in sRGB."""
    for kind, row in ((0, bytes([0, 128])), (2, bytes([0, 128, 128, 128]))):
        (tmp_path / "linear.png").write_bytes(png(kind, 8, row, 1, 1, (b"gAMA", struct.pack(">I", 100_000))))
        assert to_uint8(load_picture(tmp_path / "linear.png").pixels).flatten().tolist() == [188] * 3
    (tmp_path / "srgb.png").write_bytes(png(0, 8, bytes([0, 128]), 1, 1, (b"gAMA", struct.pack(">I", 45_455))))
    assert open_source(tmp_path / "srgb.png").samples.profile is None


@pytest.mark.parametrize("profile", [b"no profile", profiles.cmyk(), profiles.GREY])
def test_a_profile_of_other_colours_is_left_out_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, profile: bytes
) -> None:
    Image.fromarray(BYTES).save(tmp_path / "odd.png", icc_profile=profile)
    assert open_source(tmp_path / "odd.png").samples.profile is None
    assert "is damaged or about other colours" in caplog.text


def test_primaries_that_only_a_number_names_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for primaries, told in ((1, False), (12, True)):  # of sRGB, and of Display P3
        caplog.clear()
        (tmp_path / "wide.png").write_bytes(png(0, 8, b"\0\0", 1, 1, (b"cICP", bytes([primaries, 13, 0, 1]))))
        assert open_source(tmp_path / "wide.png").samples.array.tolist() == [[[0]]]
        assert ("other primaries than those of sRGB" in caplog.text) is told


def test_grey_may_have_a_profile_of_rgb(tmp_path: Path) -> None:
    Image.fromarray(BYTES[..., 0] // 2 + 60).save(tmp_path / "grey.jpg", icc_profile=profiles.ADOBE, quality=100)
    made = open_source(tmp_path / "grey.jpg")
    assert made.samples.profile == profiles.ADOBE
    pixels = made.picture().pixels
    assert (pixels.amax(0) - pixels.amin(0)).max() < 1e-3
    painted = made.paste(pixels + 0.002, torch.ones(6, 10))
    assert np.abs(painted.samples.array.astype(int) - made.samples.array).max() <= 1


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


def _avif_pq(path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(BYTES).save(buffer, format="AVIF")
    data = bytearray(buffer.getvalue())
    place = data.index(b"colrnclx")
    data[place + 10 : place + 12] = (16).to_bytes(2, "big")
    path.write_bytes(data)


def _png_hlg(path: Path) -> None:
    path.write_bytes(png(0, 8, b"\0\0", 1, 1, (b"cICP", bytes([9, 18, 0, 1]))))


def _icc_pq(path: Path) -> None:
    Image.fromarray(BYTES).save(path, format="PNG", icc_profile=profiles.with_pq(profiles.WIDE))


def _exr(path: Path) -> None:
    path.write_bytes(b"\x76\x2f\x31\x01" + bytes(100))


def _radiance(path: Path) -> None:
    path.write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n")


def _float_tiff(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((2, 2, 3), np.float32), photometric="rgb")


def _half_tiff(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((2, 2, 3), np.float16), photometric="rgb")


def _long_tiff(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((2, 2), np.uint32), photometric="minisblack")


@pytest.mark.parametrize("make", [_avif_pq, _png_hlg, _icc_pq, _exr, _radiance, _float_tiff, _half_tiff, _long_tiff])
def test_high_dynamic_range_is_refused_by_its_name(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "sun")
    with pytest.raises(RequestError, match=r"sun has .*high dynamic range.*convert it") as caught:
        open_source(tmp_path / "sun")
    assert "\n" not in str(caught.value)


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
