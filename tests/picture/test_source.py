"""What is not painted is kept to the bit, and what is painted is what was asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.picture import profiles
from torch import Tensor

from fictile.errors import FictileError, RequestError
from fictile.picture import Source, compare_untouched, open_source
from fictile.picture.metadata import Metadata
from fictile.picture.orientation import upright
from fictile.picture.samples import CHANNELS, Colours, Samples

PROFILES: dict[Colours, list[bytes | None]] = {
    "grey": [None, profiles.GREY],
    "rgb": [None, profiles.SRGB, profiles.ADOBE, profiles.WIDE],
    "cmyk": [profiles.cmyk()],
}
ONE_CODE = 1 / 255


def noise(
    height: int = 5,
    width: int = 7,
    *,
    colours: Colours = "rgb",
    alpha: bool = False,
    bits: int = 8,
    profile: bytes | None = None,
    orientation: int = 1,
    seed: int = 0,
) -> Source:
    """Samples of noise as some file might hold them; `height` and `width` are as stored."""
    shape = (height, width, CHANNELS[colours] + alpha)
    dtype = np.uint8 if bits == 8 else np.uint16
    array = np.random.default_rng(seed).integers(0, 2**bits, shape, dtype=dtype)
    if alpha and array.size:
        array[0, 0, -1] = 0
    samples = Samples(array=array, colours=colours, alpha=alpha, profile=profile)
    return Source(samples=samples, metadata=Metadata(orientation=orientation), format="PNG", name="noise.png")


@st.composite
def sources(draw: st.DrawFn, kinds: tuple[Colours, ...] = ("grey", "rgb", "cmyk")) -> Source:
    colours = draw(st.sampled_from(kinds))
    return noise(
        draw(st.integers(1, 9)),
        draw(st.integers(1, 9)),
        colours=colours,
        alpha=colours != "cmyk" and draw(st.booleans()),
        bits=draw(st.sampled_from([8, 16])),
        profile=draw(st.sampled_from(PROFILES[colours])),
        orientation=draw(st.integers(1, 8)),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


def paint(source: Source, seed: int) -> tuple[Tensor, Tensor]:
    """Noise of its size, and an opacity of which about a third is 0 and a third 1."""
    dice = torch.Generator().manual_seed(seed)
    size = (source.height, source.width)
    return torch.rand(3, *size, generator=dice) * 2 - 1, (torch.rand(size, generator=dice) * 3 - 1).clamp(0, 1)


anywhere = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@anywhere
@given(source=sources(), seed=st.integers(0, 2**31), extension=st.sampled_from(["png", "tiff"]), cover=st.booleans())
def test_what_is_not_painted_comes_back_from_the_file_to_the_bit(
    tmp_path: Path, source: Source, seed: int, extension: str, cover: bool
) -> None:
    path = tmp_path / f"painted.{extension}"
    if source.samples.colours == "cmyk":
        path = path.with_suffix(".tiff")  # PNG has no CMYK
    pixels, opacity = paint(source, seed)
    painted = source.paste(pixels, opacity, cover=cover)
    assert painted.losses(path) == ()
    painted.save(path)
    back = open_source(path)
    np.testing.assert_array_equal(back.samples.array, painted.samples.array)
    assert (back.samples.profile, back.samples.colours, back.samples.alpha, back.metadata.orientation) == (
        source.samples.profile,
        source.samples.colours,
        source.samples.alpha,
        source.metadata.orientation,
    )
    kept = (opacity == 0).numpy()
    before, after = (upright(each.samples.array, source.metadata.orientation)[kept] for each in (source, back))
    np.testing.assert_array_equal(after, before)
    assert compare_untouched(source, back, opacity).none
    assert back.untouched_hash(opacity) == source.untouched_hash(opacity)


@pytest.mark.parametrize("extension", ["png", "tiff"])
@pytest.mark.parametrize(
    "first",
    [
        noise(16, 12),
        noise(16, 12, bits=16, profile=profiles.WIDE, orientation=6),
        noise(16, 12, alpha=True, profile=profiles.ADOBE, orientation=3),
        noise(16, 12, colours="grey", bits=16, profile=profiles.GREY, orientation=7),
    ],
    ids=["rgb", "deep", "alpha", "grey"],
)
def test_ten_edits_through_ten_files_keep_what_none_of_them_painted(
    tmp_path: Path, first: Source, extension: str
) -> None:
    source, union = first, torch.zeros(first.height, first.width)
    for step in range(10):
        pixels, opacity = paint(source, step)
        opacity[:, torch.randperm(source.width)[: source.width * 2 // 3]] = 0
        opacity[: source.height // 2] = 0
        source.paste(pixels, opacity).save(tmp_path / f"{step}.{extension}", {"step": str(step)})
        source, union = open_source(tmp_path / f"{step}.{extension}"), union.maximum(opacity)
    assert 0 < union.count_nonzero() < union.numel()
    assert compare_untouched(first, source, union).none
    assert source.untouched_hash(union) == first.untouched_hash(union)
    assert source.text == {"step": "9"}


@anywhere
@given(source=sources(), seed=st.integers(0, 2**31))
def test_a_paste_of_the_pictures_own_pixels_changes_nothing(source: Source, seed: int) -> None:
    """At most 1 code value is promised; pixels that look as they should are not even rewritten, so it is 0."""
    _, opacity = paint(source, seed)
    painted = source.paste(source.picture().pixels, opacity)
    np.testing.assert_array_equal(painted.samples.array, source.samples.array)


@anywhere
@given(source=sources(("grey", "rgb")), seed=st.integers(0, 2**31))
def test_pixels_nearly_its_own_change_no_sample_by_more_than_a_code_value(source: Source, seed: int) -> None:
    """The way through the profile and back, forced by a change too small to see; of colours that sRGB has."""
    if source.samples.alpha:
        return
    gentle = replace(source.samples, array=source.samples.array // 3 + source.samples.top // 3)
    if gentle.colours == "rgb":
        gentle = replace(gentle, array=(gentle.array // 8 + gentle.array[..., :1] // 8 * 7).astype(gentle.array.dtype))
    source = replace(source, samples=gentle)
    painted = source.paste(source.picture().pixels + 1e-5, torch.ones(source.height, source.width))
    apart = np.abs(painted.samples.array.astype(int) - source.samples.array.astype(int))
    assert apart.max() <= (1 if source.samples.bits == 8 else 3)  # 1e-5 is a third of a code value of 16 bits


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("colours", "profile"), [("rgb", None), ("rgb", profiles.WIDE), ("cmyk", profiles.cmyk())])
def test_what_was_painted_is_seen_where_it_was_painted(
    orientation: int, colours: Colours, profile: bytes | None
) -> None:
    source = noise(6, 4, colours=colours, profile=profile, orientation=orientation)
    pixels = torch.tensor([0.3, 0.1, -0.1]).reshape(3, 1, 1).expand(3, source.height, source.width).clone()
    opacity = torch.zeros(source.height, source.width)
    opacity[1, :2] = 1
    pixels[:, 1, 1] = torch.tensor([-0.2, 0.0, 0.1])
    seen = source.paste(pixels, opacity).picture().pixels
    error = (seen - pixels)[:, opacity == 1].abs().max().item()
    codes = 4 if colours == "cmyk" else 1.1  # the tables of this CMYK are coarse
    assert error < codes * 2 * ONE_CODE
    assert torch.equal(seen[:, opacity == 0], source.picture().pixels[:, opacity == 0])


def test_the_seam_is_mixed_in_linear_light() -> None:
    """Half black and half white emit half the light of white, which sRGB writes as 188 of 255."""
    black = noise(1, 1)
    black = replace(black, samples=replace(black.samples, array=np.zeros((1, 1, 3), np.uint8)))
    assert black.paste(torch.ones(3, 1, 1), torch.full((1, 1), 0.5)).samples.array.tolist() == [[[188, 188, 188]]]


def test_grey_stays_grey_and_takes_the_luminance() -> None:
    red = torch.tensor([1.0, -1.0, -1.0]).reshape(3, 1, 1)
    painted = noise(1, 1, colours="grey").paste(red, torch.ones(1, 1))
    light = 0.2126  # of red, ITU-R BT.709
    assert painted.samples.array.tolist() == [[[round(255 * (1.055 * light ** (1 / 2.4) - 0.055))]]]


def test_alpha_is_kept_and_the_paint_is_seen_on_white() -> None:
    source = noise(4, 4, alpha=True, bits=16)
    array = source.samples.array.copy()
    array[..., 3] = 40000
    array[0, 0, 3] = 0
    source = replace(source, samples=replace(source.samples, array=array))
    pixels = torch.full((3, 4, 4), 0.6)
    painted = source.paste(pixels, torch.ones(4, 4))
    np.testing.assert_array_equal(painted.samples.array[..., 3], array[..., 3])
    np.testing.assert_array_equal(painted.samples.array[0, 0], array[0, 0])
    torch.testing.assert_close(painted.picture().pixels[:, 1:], pixels[:, 1:], rtol=0, atol=1e-4)


def test_paint_that_covers_makes_opaque_what_was_transparent() -> None:
    source = noise(1, 2, alpha=True)
    array = np.array([[[10, 20, 30, 0], [10, 20, 30, 0]]], np.uint8)
    source = replace(source, samples=replace(source.samples, array=array))
    painted = source.paste(torch.ones(3, 1, 2), torch.tensor([[1.0, 0.0]]), cover=True)
    assert painted.samples.array.tolist() == [[[255, 255, 255, 255], [10, 20, 30, 0]]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_canvas_grows_on_the_sides_that_are_seen(orientation: int) -> None:
    source = noise(3, 5, alpha=True, orientation=orientation)
    grown = source.extended(left=1, top=2, right=3, bottom=4)
    assert (grown.height, grown.width) == (source.height + 6, source.width + 4)
    seen = upright(grown.samples.array, orientation)
    kept = seen[2 : 2 + source.height, 1 : 1 + source.width]
    np.testing.assert_array_equal(kept, upright(source.samples.array, orientation))
    assert seen[0].min() == seen[:, 0].min() == seen[-1].min() == seen[:, -1].min() == 255


def test_a_difference_is_found_and_measured() -> None:
    source = noise(4, 4)
    opacity = torch.zeros(4, 4)
    opacity[0] = 1
    array = source.samples.array.copy()
    array[0] += 9
    array[2, 1, 0] ^= 1
    other = replace(source, samples=replace(source.samples, array=array))
    difference = compare_untouched(source, other, opacity)
    assert (difference.pixels, difference.changed, difference.none) == (12, 1, False)
    assert difference.largest == pytest.approx(ONE_CODE)
    assert other.untouched_hash(opacity) != source.untouched_hash(opacity)


def test_colours_stored_in_different_ways_are_compared_as_they_are_seen() -> None:
    grey = np.full((2, 2, 3), 128, np.uint8)
    plain, wide = (
        replace(noise(2, 2), samples=Samples(array=grey, colours="rgb", profile=profile))
        for profile in (None, profiles.WIDE)
    )
    difference = compare_untouched(plain, wide, torch.zeros(2, 2))
    assert not difference.by_sample
    assert 0 < difference.largest < 0.1


@pytest.mark.parametrize(
    ("pixels", "opacity", "words"),
    [
        (torch.zeros(3, 2, 2), torch.zeros(5, 7), "pixels are 2x2, and noise.png is 7x5"),
        (torch.zeros(3, 5, 7), torch.zeros(2, 3), "opacity are 3x2, and noise.png is 7x5"),
        (torch.zeros(3, 5, 7), torch.full((5, 7), 1.5), "below 0, above 1"),
        (torch.zeros(3, 5, 7), torch.full((5, 7), torch.nan), "below 0, above 1"),
    ],
)
def test_what_cannot_be_pasted_is_said(pixels: Tensor, opacity: Tensor, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        noise().paste(pixels, opacity)


def test_pixels_that_are_no_numbers_are_a_failure() -> None:
    with pytest.raises(FictileError, match="not all finite"):
        noise().paste(torch.full((3, 5, 7), torch.inf), torch.ones(5, 7))


def test_a_profile_that_only_leads_out_is_refused_before_the_work() -> None:
    source = noise(profile=profiles.scanner())
    assert source.picture().pixels.shape == (3, 5, 7)
    with pytest.raises(RequestError, match=r"profile of noise.png \(test\) only leads out"):
        source.check_paintable()
    with pytest.raises(RequestError, match="only leads out"):
        source.paste(torch.zeros(3, 5, 7), torch.ones(5, 7))
    assert source.paste(torch.zeros(3, 5, 7), torch.zeros(5, 7)) is source
