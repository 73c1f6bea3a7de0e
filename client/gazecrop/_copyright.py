"""Who made a photo, and whose it is: the metadata that may go on with it."""

import html
import io
import re
import struct
from collections.abc import Callable

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from gazecrop._source import Photo, picture, read

ARTIST, COPYRIGHT = int(ExifTags.Base.Artist), int(ExifTags.Base.Copyright)
IPTC = {(2, 80): ARTIST, (2, 116): COPYRIGHT}  # by-line and copyright notice
XMP = {b"creator": ARTIST, b"rights": COPYRIGHT}  # of Dublin Core
IN_XMP = re.compile(
    rb"<dc:(creator|rights)>\s*<rdf:(?:Seq|Alt|Bag)>\s*<rdf:li[^>]*>([^<]*)</rdf:li>"
)
ASCII, LONGEST = 2, 10_000  # EXIF's type of text, in practice UTF-8; bytes
HEADER = b"Exif\0\0MM\0*\0\0\0\x08"


def copyright_of(photo: Photo) -> bytes:
    """EXIF with the photo's artist and copyright alone, as its EXIF, IPTC or XMP tells them.

    It is empty where they tell neither.

    Raises:
        InvalidArgument: this is no photo, or its file cannot be read.
    """
    image = picture(photo)
    file = io.BytesIO(b"" if image else read(photo))
    told: dict[int, bytes] = {}
    for tell in (_by_exif, _by_iptc, _by_xmp):
        told = {**_told(tell, image or file), **told}
    return _exif({tag: text for tag in (ARTIST, COPYRIGHT) if (text := told.get(tag, b"").strip())})


def _told(
    tell: Callable[[Image.Image], dict[int, bytes]], photo: Image.Image | io.BytesIO
) -> dict[int, bytes]:
    try:
        return tell(photo if isinstance(photo, Image.Image) else Image.open(photo))
    except Exception:  # malformed metadata, of whatever kind, is no reason to withhold a picture
        return {}


def _by_exif(image: Image.Image) -> dict[int, bytes]:
    exif = image.getexif()
    texts = {tag: exif.get(tag) for tag in (ARTIST, COPYRIGHT)}
    # Pillow reads a character for each byte.
    return {tag: text.encode("latin-1") for tag, text in texts.items() if isinstance(text, str)}


def _by_iptc(image: Image.Image) -> dict[int, bytes]:
    of_file = image if isinstance(image, ImageFile.ImageFile) else None
    texts = (of_file and IptcImagePlugin.getiptcinfo(of_file)) or {}
    return {IPTC[key]: text for key, text in texts.items() if key in IPTC and type(text) is bytes}


def _by_xmp(image: Image.Image) -> dict[int, bytes]:
    xmp = image.info.get("xmp", b"")
    return {
        XMP[name]: html.unescape(text.decode("utf-8")).encode()
        for name, text in IN_XMP.findall(xmp)
    }


def _exif(texts: dict[int, bytes]) -> bytes:
    """A block of EXIF with these texts, as Pillow writes it but for characters beyond ASCII."""
    if not texts:
        return b""
    entries, values = struct.pack(">H", len(texts)), b""
    start = len(HEADER) - len(b"Exif\0\0") + 2 + 12 * len(texts) + 4
    for tag, text in sorted(texts.items()):
        value = text[:LONGEST] + b"\0"
        place = struct.pack(">I", start + len(values)) if len(value) > 4 else value.ljust(4, b"\0")
        entries += struct.pack(">HHI", tag, ASCII, len(value)) + place
        values += value if len(value) > 4 else b""
    return HEADER + entries + bytes(4) + values
