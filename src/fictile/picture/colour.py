"""Stored colours to sRGB and back, and what is done to sRGB in between.

Colours pass through LittleCMS in floating point, without its optimised tables: those of 16 bit are off by thousands of
code values for a plain matrix profile. Nothing is clipped on the way, so that a colour outside sRGB comes back.
"""

import io
from dataclasses import replace
from functools import lru_cache

import imagecodecs
import numpy as np
from jaxtyping import Float, Int32, UInt8
from PIL import ImageCms

from fictile.errors import RequestError
from fictile.picture.cicp import HDR_TRANSFERS
from fictile.picture.samples import Samples

Values = Float[np.ndarray, "h w c"]
RGB = Float[np.ndarray, "h w 3"]
Plane = Float[np.ndarray, "h w 1"]

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear sRGB: ITU-R BT.709, 3.2
_LARGE = 1 << 18  # pixels of a picture in which looking for equal colours pays
_INK = 100  # LittleCMS counts ink in percent, everything else from 0 to 1
_SPACES = {
    "grey": ("GRAY", "gray"),
    "rgb": ("RGB ", "rgb"),
    "cmyk": ("CMYK", "cmyk"),
}  # names in ICC and in imagecodecs


def to_srgb(samples: Samples) -> RGB:
    """The colours as sRGB, where 0 is black and 1 is full; beyond them where the profile reaches beyond sRGB."""
    height, width, _ = samples.array.shape
    if height * width > _LARGE and samples.colours == "rgb" and samples.bits == 8 and samples.profile is not None:
        distinct, places = _distinct(colours(samples))
        if len(distinct) < places.size // 2:  # as in photographs: converting is the slow part
            few = replace(samples, array=distinct[None], alpha=False)
            return _converted(few)[0][places]
    return _converted(samples)


def _converted(samples: Samples) -> RGB:
    values = colours(samples) / np.float32(samples.top)
    profile = samples.profile
    if samples.colours == "grey" and (profile is None or _space(profile) == "RGB "):
        values = values.repeat(3, axis=2)
    if profile is None or _is_srgb(profile):
        return values
    return _transformed(values, profile, _srgb(), _named(profile), "rgb")


def from_srgb(rgb: RGB, like: Samples) -> Values:
    """sRGB to the colours of `like`, from 0 to 1, clipped to what they can hold. Grey takes the luminance."""
    if like.colours == "grey" and (like.profile is None or _space(like.profile) == "RGB "):
        rgb = encoded((linear(rgb) @ _LUMINANCE)[..., None]).repeat(3, axis=2)
    if like.profile is not None and not _is_srgb(like.profile):
        rgb = _transformed(rgb, _srgb(), like.profile, "rgb", _named(like.profile))
    return np.clip(rgb[..., : colours(like).shape[2]], 0, 1)


def colours(samples: Samples) -> np.ndarray:
    """The channels without alpha, as they are."""
    return samples.array[..., : samples.array.shape[2] - samples.alpha]


def alpha(samples: Samples) -> Plane:
    """How opaque each pixel is, from 0 to 1."""
    if not samples.alpha:
        return np.ones((*samples.array.shape[:2], 1), np.float32)
    return samples.array[..., -1:] / np.float32(samples.top)


def quantised(values: Values, dtype: np.dtype) -> np.ndarray:
    """0..1 to the nearest integer of `dtype`."""
    return np.rint(values.astype(np.float64) * np.iinfo(dtype).max).astype(dtype)


def over_white(rgb: RGB, opacity: Plane) -> RGB:
    """What a transparent picture looks like on white paper; mixed in sRGB values, as every viewer does."""
    return rgb * opacity + (1 - opacity)


def off_white(seen: RGB, opacity: Plane) -> RGB:
    """Undo `over_white`, clipped to 0..1; what is fully transparent keeps the seen colour."""
    behind = np.divide(seen - (1 - opacity), opacity, out=seen.copy(), where=opacity > 0)
    return np.where(opacity < 1, np.clip(behind, 0, 1), seen)


def linear(values: Values) -> Values:
    """sRGB values to linear light (IEC 61966-2-1); the straight part goes on below 0."""
    return np.where(values <= 0.04045, values / 12.92, ((np.maximum(values, 0) + 0.055) / 1.055) ** 2.4)


def encoded(light: Values) -> Values:
    """Linear light to sRGB values: undoes `linear`."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)


def profile_fits(profile: bytes, kind: str) -> bool:
    """Whether an ICC profile can be read, and describes colours of this kind (grey may be described as RGB)."""
    try:
        _transformed(np.zeros((1, 1, _depth(profile)), np.float32), profile, _srgb(), _named(profile), "rgb")
    except (imagecodecs.CmsError, KeyError):
        return False
    return _space(profile) == _SPACES[kind][0] or (kind == "grey" and _space(profile) == "RGB ")


def is_hdr(profile: bytes) -> bool:
    """Whether a profile says that its light is PQ or HLG (ICC.1:2022, 9.2.17: the tenth byte of its cicp tag)."""
    count = int.from_bytes(profile[128:132], "big")
    for place in range(132, min(132 + 12 * count, len(profile) - 11), 12):
        if profile[place : place + 4] == b"cicp":
            tag = int.from_bytes(profile[place + 4 : place + 8], "big")
            return profile[tag + 9] in HDR_TRANSFERS if tag + 9 < len(profile) else False
    return False


def check_profile_takes(profile: bytes | None, name: str) -> None:
    """Raise RequestError when colours cannot be converted into the profile, as into one of a scanner."""
    if profile is None:
        return
    try:
        _transformed(np.zeros((1, 1, 3), np.float32), _srgb(), profile, "rgb", _named(profile))
    except imagecodecs.CmsError as error:
        raise RequestError(
            f"The colour profile of {name} ({_description(profile)}) only leads out of its colours, not into "
            "them, so that nothing can be painted: convert the picture to sRGB first."
        ) from error


def _transformed(
    values: Values, source: bytes, target: bytes, kind: str, target_kind: str
) -> Float[np.ndarray, "h w d"]:
    """Relative colorimetric with black point compensation, in float32 throughout."""
    if kind == "cmyk":
        values = values * _INK
    out = imagecodecs.cms_transform(
        np.ascontiguousarray(values[..., 0] if kind == "gray" else values, np.float32),
        source,
        target,
        colorspace=kind,
        outcolorspace=target_kind,
        outdtype=np.float32,
        intent=imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC,
        flags=imagecodecs.CMS.FLAGS.BLACKPOINTCOMPENSATION,
    )
    out = np.asarray(out, np.float32).reshape(*values.shape[:2], -1)
    return out / _INK if target_kind == "cmyk" else out


def _distinct(rgb: UInt8[np.ndarray, "h w 3"]) -> tuple[UInt8[np.ndarray, "n 3"], Int32[np.ndarray, "h w"]]:
    """The colours that occur, in some order, and which of them each pixel has. No sorting: colours are counted off."""
    packed = rgb.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    occurs = np.zeros(1 << 24, bool)
    occurs[packed] = True
    found = np.flatnonzero(occurs)
    rank = np.empty(1 << 24, np.int32)
    rank[found] = np.arange(len(found), dtype=np.int32)
    return np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1).astype(np.uint8), rank[packed]


@lru_cache(maxsize=1)
def _srgb() -> bytes:
    return imagecodecs.cms_profile("srgb")


@lru_cache(maxsize=8)
def _is_srgb(profile: bytes) -> bool:
    """Whether an RGB profile changes sRGB values by less than a hundredth of an 8-bit code value, on a grid."""
    if _space(profile) != "RGB ":
        return False
    steps = np.linspace(0, 1, 17, dtype=np.float32)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(17, -1, 3)
    return bool(np.abs(_transformed(grid, profile, _srgb(), "rgb", "rgb") - grid).max() < 0.01 / 255)


def _space(profile: bytes) -> str:
    """Its data colour space (ICC.1:2022, 7.2.6)."""
    return profile[16:20].decode("latin-1")


def _description(profile: bytes) -> str:
    return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip() or "unnamed"


def _named(profile: bytes) -> str:
    return dict(_SPACES.values())[_space(profile)]


def _depth(profile: bytes) -> int:
    return {"gray": 1, "rgb": 3, "cmyk": 4}[_named(profile)]
