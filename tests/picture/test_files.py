"""Pictures read from files and written to them."""

import errno
import io
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fictile.errors import FictileError, RequestError
from fictile.files import check_folder, made_folder, written_whole
from fictile.picture import Picture, check_writable, from_uint8, load_picture, read_text, save_picture, to_uint8

NOISE = np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)


def test_png_comes_back_byte_for_byte_with_its_text(tmp_path: Path) -> None:
    text = {"parameters": "a fox\nSteps: 20", "fictile": '{"prompt": "лиса 🦊"}'}
    save_picture(from_uint8(NOISE), tmp_path / "fox.PNG", text)
    np.testing.assert_array_equal(to_uint8(load_picture(tmp_path / "fox.PNG").pixels), NOISE)
    assert read_text(tmp_path / "fox.PNG") == text
    assert [file.name for file in tmp_path.iterdir()] == ["fox.PNG"]


@pytest.mark.parametrize("extension", ["jpg", "jpeg", "avif"])
def test_lossy_formats_are_close(tmp_path: Path, extension: str) -> None:
    smooth = np.linspace(0, 255, 32 * 32 * 3).reshape(32, 32, 3).astype(np.uint8)
    path = tmp_path / f"smooth.{extension}"
    save_picture(from_uint8(smooth), path)
    assert np.abs(to_uint8(load_picture(path).pixels).astype(int) - smooth).mean() < 3


@pytest.mark.parametrize("extension", ["png", "tiff", "webp"])
def test_lossless_formats_are_equal(tmp_path: Path, extension: str) -> None:
    save_picture(from_uint8(NOISE), tmp_path / f"noise.{extension}")
    np.testing.assert_array_equal(to_uint8(load_picture(tmp_path / f"noise.{extension}").pixels), NOISE)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn a quarter clockwise to see it upright"
    Image.fromarray(NOISE).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(to_uint8(load_picture(tmp_path / "turned.png").pixels), np.rot90(NOISE, -1))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_turn_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.convert(mode).save(tmp_path / "clear.png")
    picture = load_picture(tmp_path / "clear.png")
    assert picture.had_alpha
    assert to_uint8(picture.pixels)[0].tolist() == [[0, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("mode", ["1", "L", "YCbCr"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (4, 3), "white").convert(mode).save(tmp_path / "white.tiff")
    picture = load_picture(tmp_path / "white.tiff")
    assert to_uint8(picture.pixels).min() >= 254
    assert not picture.had_alpha


def test_sixteen_bits_are_rounded_to_eight(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 200, 65535]], dtype=np.uint16)).save(tmp_path / "deep.png")
    assert to_uint8(load_picture(tmp_path / "deep.png").pixels)[0, :, 0].tolist() == [0, 1, 255]


def test_a_picture_saves_itself(tmp_path: Path) -> None:
    Picture(from_uint8(NOISE)).save(tmp_path / "noise.png")
    np.testing.assert_array_equal(to_uint8(load_picture(tmp_path / "noise.png").pixels), NOISE)


def test_of_an_animation_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "blink.gif", save_all=True, append_images=frames[1:])
    assert to_uint8(load_picture(tmp_path / "blink.gif").pixels)[0, 0].tolist() == [255, 0, 0]


def _no_picture(path: Path) -> None:
    path.write_text("not a picture")


def _empty(path: Path) -> None:
    path.touch()


def _truncated(path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, format="PNG")
    path.write_bytes(buffer.getvalue()[:-40])


def _floats(path: Path) -> None:
    Image.fromarray(np.zeros((2, 2), np.float32)).save(path, format="TIFF")


def _cmyk(path: Path) -> None:
    Image.new("CMYK", (2, 2)).save(path, format="JPEG")


def _half_a_jpeg(path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(NOISE.repeat(20, axis=0)).save(buffer, format="JPEG")
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])


def _missing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_no_picture, "no picture"),
        (_empty, "no picture"),
        (_truncated, "a damaged picture"),
        (_half_a_jpeg, "a damaged picture"),
        (_floats, "32-bit values"),
        (_cmyk, "CMYK without a colour profile"),
        (_missing, "no file"),
        (Path.mkdir, "a folder"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    path = tmp_path / "input.png"
    make(path)
    with pytest.raises(RequestError, match=words) as caught:
        load_picture(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("factor", [1, 3])
def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: int) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    Image.new("L", (1001, 1000 * factor)).save(tmp_path / "bomb.png")
    with pytest.raises(RequestError, match="more than 1 million pixels"):
        load_picture(tmp_path / "bomb.png")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF"]), seed=st.integers(0, 2**32 - 1))
def test_a_damaged_file_is_a_picture_or_a_request_error(tmp_path: Path, kind: str, seed: int) -> None:
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, format=kind)
    damaged, dice = bytearray(buffer.getvalue()), np.random.default_rng(seed)
    for place in dice.integers(0, len(damaged), 4):
        damaged[place] = dice.integers(256)
    path = tmp_path / "damaged"
    path.write_bytes(damaged[: dice.integers(1, 2 * len(damaged))])
    with suppress(RequestError):
        assert load_picture(path).pixels.shape[0] == 3


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fox", "no extension.*png"),
        ("fox.bmp", r"\.bmp.*\.webp.*\.avif"),
        ("nowhere/fox.png", "no folder .*nowhere"),
        ("file.png/fox.png", "no folder .*file.png"),
        ("folder.png", "is a folder"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_work(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file.png").touch()
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(RequestError, match=words):
        check_writable(tmp_path / name)
    with pytest.raises(RequestError, match=words):
        save_picture(torch.zeros(3, 2, 2), tmp_path / name)


def test_a_folder_that_takes_no_files_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(RequestError, match=r"Nothing can be written.*Read-only file system"):
        check_folder(tmp_path / "fox.latent.safetensors")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left"),
        (OSError("encoder error -2"), "encoder error"),
        (RuntimeError("PytorchStreamWriter failed\nsomewhere"), "failed"),
    ],
)
def test_what_fails_on_the_way_is_no_wrong_request(tmp_path: Path, error: Exception, words: str) -> None:
    def fail() -> None:
        with written_whole(tmp_path / "fox") as part:
            part.write_bytes(b"half")
            raise error

    with pytest.raises(FictileError, match=rf"fox could not be written \([^\n]*{words}[^\n]*$") as caught:
        fail()
    assert not isinstance(caught.value, RequestError)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    assert made_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="file cannot be made"):
        made_folder(tmp_path / "file")


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fox.png"
    path.write_bytes(b"the old one")
    with pytest.raises(FictileError):
        save_picture(torch.full((3, 2, 2), torch.nan), path)

    def interrupted(part: Path, content: bytes) -> None:
        with part.open("wb") as file:
            file.write(content[:4])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_picture(torch.zeros(3, 2, 2), path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"fox.png": b"the old one"}
