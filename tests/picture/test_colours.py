"""The colours that files mean: by profiles, by numbers, in ink, in grey, and beyond white."""

import io
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms
from tests.picture import profiles
from tests.picture.made import BYTES, DEEP, DICE, png, source

from fictile.errors import RequestError
from fictile.picture import load_picture, open_source, to_uint8

P3 = [0.680, 0.320, 1.0, 0.265, 0.690, 1.0, 0.150, 0.060, 1.0]
BT2020 = [0.708, 0.292, 1.0, 0.170, 0.797, 1.0, 0.131, 0.046, 1.0]
STEPS = np.linspace(0, 1, 1024)
SRGB_CURVE = np.rint(65535 * np.where(STEPS <= 0.04045, STEPS / 12.92, ((STEPS + 0.055) / 1.055) ** 2.4)).astype(
    np.uint16
)


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


@pytest.mark.parametrize(
    ("stated", "profile"),
    [
        ((9, 8), {"primaries": BT2020, "gamma": 1.0}),
        ((9, 4), {"primaries": BT2020, "gamma": 2.2}),
        ((12, 13), {"primaries": P3, "transferfunction": SRGB_CURVE}),
        ((12, 1), {"primaries": P3, "transferfunction": SRGB_CURVE}),
    ],
)
def test_colours_that_only_numbers_name_are_those_of_a_profile(
    tmp_path: Path, stated: tuple[int, int], profile: dict[str, Any]
) -> None:
    rows = b"".join(b"\0" + row.tobytes() for row in BYTES)
    (tmp_path / "wide.png").write_bytes(png(2, 8, rows, 10, 6, (b"cICP", bytes([*stated, 0, 1]))))
    white = [0.3127, 0.3290, 1.0]
    made = source(BYTES, profile=bytes(imagecodecs.cms_profile("rgb", whitepoint=white, **profile)))
    back = open_source(tmp_path / "wide.png")
    np.testing.assert_array_equal(back.samples.array, BYTES)
    torch.testing.assert_close(back.picture().pixels, made.picture().pixels, rtol=0, atol=0.5 / 255)
    back.save(tmp_path / "again.png")
    torch.testing.assert_close(open_source(tmp_path / "again.png").picture().pixels, back.picture().pixels)
    back.check_paintable()


def test_red_of_display_p3_is_beyond_that_of_srgb(tmp_path: Path) -> None:
    """What CSS Color 4 says of color(display-p3 0.5 0.5 0.2): more saturated in sRGB."""
    row = b"\0" + bytes([128, 128, 51])
    (tmp_path / "p3.png").write_bytes(png(2, 8, row, 1, 1, (b"cICP", bytes([12, 13, 0, 1]))))
    red, green, blue = to_uint8(load_picture(tmp_path / "p3.png").pixels)[0, 0].tolist()
    assert (red, green) == (128, 128)
    assert blue < 40


@pytest.mark.parametrize("stated", [(1, 13), (1, 1), (2, 2)])
def test_numbers_that_mean_srgb_need_no_profile(tmp_path: Path, stated: tuple[int, int]) -> None:
    (tmp_path / "plain.png").write_bytes(png(0, 8, b"\0\0", 1, 1, (b"cICP", bytes([*stated, 0, 1]))))
    assert open_source(tmp_path / "plain.png").samples.profile is None


def test_grey_has_a_curve_and_no_primaries(tmp_path: Path) -> None:
    """Half the light is 188 of 255 in sRGB."""
    for stated, seen in (((9, 8), 188), ((12, 13), 128)):
        (tmp_path / "grey.png").write_bytes(png(0, 8, bytes([0, 128]), 1, 1, (b"cICP", bytes([*stated, 0, 1]))))
        assert to_uint8(load_picture(tmp_path / "grey.png").pixels).flatten().tolist() == [seen] * 3


def test_an_avif_names_its_colours_by_numbers_as_well(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), (128, 128, 51), np.uint8)).save(buffer, format="AVIF", quality=100)
    data = bytearray(buffer.getvalue())
    place = data.index(b"colrnclx")
    data[place + 8 : place + 10] = (12).to_bytes(2, "big")
    (tmp_path / "p3.avif").write_bytes(data)
    assert to_uint8(load_picture(tmp_path / "p3.avif").pixels)[4, 4, 2] < 40


@pytest.mark.parametrize("stated", [(10, 13), (1, 9), (200, 1)])
def test_numbers_that_nobody_knows_are_refused(tmp_path: Path, stated: tuple[int, int]) -> None:
    (tmp_path / "odd.png").write_bytes(png(0, 8, b"\0\0", 1, 1, (b"cICP", bytes([*stated, 0, 1]))))
    with pytest.raises(RequestError, match=rf"primaries {stated[0]}, transfer {stated[1]} .*convert it to sRGB"):
        open_source(tmp_path / "odd.png")


def test_grey_may_have_a_profile_of_rgb(tmp_path: Path) -> None:
    Image.fromarray(BYTES[..., 0] // 2 + 60).save(tmp_path / "grey.jpg", icc_profile=profiles.ADOBE, quality=100)
    made = open_source(tmp_path / "grey.jpg")
    assert made.samples.profile == profiles.ADOBE
    pixels = made.picture().pixels
    assert (pixels.amax(0) - pixels.amin(0)).max() < 1e-3
    painted = made.paste(pixels + 0.002, torch.ones(6, 10))
    assert np.abs(painted.samples.array.astype(int) - made.samples.array).max() <= 1


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
