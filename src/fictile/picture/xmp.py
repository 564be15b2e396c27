"""Text in an XMP packet (ISO 16684-1), which TIFF, JPEG, WebP and AVIF carry: what iTXt is to a PNG."""

import re
from collections.abc import Mapping
from html import unescape
from xml.sax.saxutils import escape

XMP_LIMIT_JPEG = 65_502  # bytes: what one APP1 segment holds beside its name (XMP part 3, 1.1.3)

_NAMESPACE = "urn:fictile:text"
_BEGIN = f'<rdf:Description rdf:about="" xmlns:fictile="{_NAMESPACE}">'
_END = "</rdf:Description>"
_OURS = re.compile(re.escape(_BEGIN) + "(.*?)" + re.escape(_END), re.DOTALL)
_ENTRY = re.compile("<fictile:key>(.*?)</fictile:key><fictile:value>(.*?)</fictile:value>", re.DOTALL)
_CLOSING = "</rdf:RDF>"
_EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    f'{_CLOSING}</x:xmpmeta><?xpacket end="w"?>'
)


def packet(xmp: bytes | None, text: Mapping[str, str]) -> bytes | None:
    """A packet with the text in it: the given one, or a new one. None where there is nothing to say.

    Of a packet that is no RDF in UTF-8 only the text is left.
    """
    if not text:
        return xmp
    there = _EMPTY if xmp is None else xmp.decode(errors="replace")
    if there.count(_CLOSING) != 1:
        there = _EMPTY
    entries = "".join(
        f'<rdf:li rdf:parseType="Resource"><fictile:key>{_escaped(key)}</fictile:key>'
        f"<fictile:value>{_escaped(value)}</fictile:value></rdf:li>"
        for key, value in text.items()
    )
    ours = f"{_BEGIN}<fictile:text><rdf:Bag>{entries}</rdf:Bag></fictile:text>{_END}"
    return there.replace(_CLOSING, ours + _CLOSING).encode()


def split(packet: bytes | None) -> tuple[bytes | None, dict[str, str]]:
    """Undo `packet`: what others said, and the text. A packet that held nothing else is none."""
    there = (packet or b"").decode(errors="replace")
    ours = _OURS.search(there)
    if ours is None:
        return packet, {}
    text = {unescape(key): unescape(value) for key, value in _ENTRY.findall(ours[1])}
    rest = _OURS.sub("", there)
    return (None if rest == _EMPTY else rest.encode()), text


def _escaped(text: str) -> str:
    """Line ends as numbers too: an XML parser would turn them all into the same."""
    return escape(text, {"\r": "&#13;", "\n": "&#10;"})
