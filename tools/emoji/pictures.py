"""Emoji art as pictures over white: finished WebP files, and icons that are drawn from their SVG."""

from collections.abc import Mapping, Set
from io import BytesIO
from typing import Any, Protocol

from concepts import normal_code
from PIL import Image


class Art(Protocol):
    """One style of emoji art."""

    @property
    def codes(self) -> Set[str]:
        """The emoji that it has."""
        ...

    def draw(self, code: str, size: int) -> Image.Image:
        """One emoji as RGBA with straight alpha, at the given size where the art has no size of its own."""
        ...


def over_white(picture: Image.Image, size: int) -> Image.Image:
    """A picture with transparency over white, as RGB, ``size`` pixels in both directions.

    Compositing comes before resizing: colours are then weighted by their alpha, and whatever colour the transparent
    pixels carry cannot leave a dark fringe along an edge.
    """
    rgba = picture.convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return flat if flat.size == (size, size) else flat.resize((size, size), Image.Resampling.LANCZOS)


class Files:
    """Art that comes as picture files named by code points."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = {normal_code(name): content for name, content in files.items()}

    @property
    def codes(self) -> Set[str]:
        return self._files.keys()

    def draw(self, code: str, size: int) -> Image.Image:
        return Image.open(BytesIO(self._files[code])).convert("RGBA")


class Icons:
    """Art that comes as an Iconify icon set: SVG bodies by name, and names by code points."""

    def __init__(self, icons: Mapping[str, Any], names: Mapping[str, str]) -> None:
        self._set = icons
        self._names = {normal_code(code): name for code, name in names.items()}

    @property
    def codes(self) -> Set[str]:
        return self._names.keys()

    def svg(self, code: str) -> str:
        """One emoji as a complete SVG document. An alias names its parent, and may mirror it."""
        name, mirrored, upside_down = self._names[code], False, False
        while name not in self._set["icons"]:
            alias = self._set["aliases"][name]
            name = alias["parent"]
            mirrored ^= alias.get("hFlip", False)
            upside_down ^= alias.get("vFlip", False)
        icon = self._set["icons"][name]
        left, top, width, height = (
            icon.get(key, self._set.get(key, default))
            for key, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
        )
        body = icon["body"]
        if mirrored or upside_down:
            x, y = (2 * left + width, -1) if mirrored else (0, 1), (2 * top + height, -1) if upside_down else (0, 1)
            body = f'<g transform="translate({x[0]} {y[0]}) scale({x[1]} {y[1]})">{body}</g>'
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{left} {top} {width} {height}">{body}</svg>'
        )

    def draw(self, code: str, size: int) -> Image.Image:
        import resvg_py

        png = resvg_py.svg_to_bytes(svg_string=self.svg(code), width=size, height=size, skip_system_fonts=True)
        return Image.open(BytesIO(bytes(png))).convert("RGBA")
