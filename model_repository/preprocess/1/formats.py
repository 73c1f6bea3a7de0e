"""What kind of file an upload is: by its first bytes, never by its name."""

import re
from collections.abc import Callable

import bmp
import gif
import heif
import jpeg
import png
import tiff
import webp
from source import Source, Unusable

READERS: dict[str, tuple[re.Pattern[bytes], Callable[[bytes], Source]]] = {
    "JPEG": (re.compile(re.escape(jpeg.SIGNATURE)), jpeg.read),
    "PNG": (re.compile(re.escape(png.SIGNATURE)), png.read),
    "WEBP": (re.compile(rb"RIFF....WEBP", re.DOTALL), webp.read),
    "AVIF": (heif.BRANDS["AVIF"], heif.read_avif),
    "HEIC": (heif.BRANDS["HEIC"], heif.read_heic),
    "GIF": (re.compile(rb"GIF8[79]a"), gif.read),
    "BMP": (re.compile(rb"BM"), bmp.read),
    "TIFF": (re.compile(b"|".join(map(re.escape, tiff.SIGNATURES))), tiff.read),
}
FORMATS = "JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP, TIFF"
# Of cameras' raw files, those that are no TIFF
RAW = re.compile(
    rb"FUJIFILMCCD-RAW|II(?:RO|RS|U\0)|MMOR|FOVb|\0MRM|....ftypcrx |II\*\0....CR", re.DOTALL
)


def read(data: bytes) -> Source:
    """Read an upload's header.

    Raises:
        Unusable: it is in no format that is accepted, or its header is damaged.
    """
    if RAW.match(data):
        raise Unusable("read: a camera's raw file; send a JPEG of it", "raw")
    for format, (signature, reader) in READERS.items():
        if signature.match(data):
            try:
                return reader(data)
            except Unusable:
                raise
            except Exception as error:  # the readers raise many kinds on malformed headers
                reason = " ".join(str(error).split()) or type(error).__name__
                message = f"read: the header of the {format} is damaged: {reason}"
                raise Unusable(message, "damaged", format) from error
    raise Unusable(f"read: not an image in {FORMATS}", "unknown format")
