"""Cuts as files: their formats, and what goes with the pixels."""

import io
import resource
import struct
from collections.abc import Callable
from pathlib import Path

import gazecrop
import numpy as np
import pytest
from gazecrop._copyright import copyright_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from tests.conftest import encode

PLACE, PERSON = "50° 6′ N", "Jane Doe"
WINDOW = gazecrop.Saliency(np.ones((2, 2)), (60, 40)).crop("1:1")


def telling(format: str) -> bytes:
    """A photo whose metadata tells who made it, and where."""
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = exif[ExifTags.Base.Copyright] = PERSON
    exif[ExifTags.Base.ImageDescription] = PLACE
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSMapDatum] = PLACE
    text = PngInfo()
    text.add_text("Comment", PLACE)
    options = {"comment": PLACE} if format in ("JPEG", "GIF") else {"pnginfo": text}
    return encode(
        Image.new("RGB", (60, 40)), format, exif=exif, xmp=f"<x>{PLACE}</x>".encode(), **options
    )


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_nothing_is_told_that_is_not_asked_for(format: str, suffix: str, tmp_path: Path) -> None:
    photo, file = telling(format), tmp_path / f"cut.{suffix}"
    WINDOW.save(photo, file)
    assert not any(part.encode() in file.read_bytes() for part in (PERSON, PLACE))
    plain = io.BytesIO()
    WINDOW.pad(Image.open(io.BytesIO(photo))).save(plain, "JPEG" if suffix == "jpg" else suffix)
    assert not any(part.encode() in plain.getvalue() for part in (PERSON, PLACE))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_who_made_a_photo_is_kept_on_demand(format: str, suffix: str, tmp_path: Path) -> None:
    photo, file = telling(format), tmp_path / f"cut.{suffix}"
    for form in (photo, Image.open(io.BytesIO(photo))):
        WINDOW.save(form, file, keep_copyright=True)
        kept = Image.open(file).getexif()
        assert kept[ExifTags.Base.Artist] == kept[ExifTags.Base.Copyright] == PERSON
        assert PLACE.encode() not in file.read_bytes()
        assert ExifTags.Base.Orientation not in kept


def by_exif(artist: bytes, rights: bytes) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Copyright] = "a" * len(artist), "c" * len(rights)
    block = exif.tobytes().replace(b"a" * len(artist), artist).replace(b"c" * len(rights), rights)
    return encode(Image.new("RGB", (60, 40)), exif=block)


def by_iptc(artist: bytes, rights: bytes) -> bytes:
    texts = ((80, artist), (116, rights), (90, PLACE.encode()))
    data = b"".join(struct.pack(">BBBH", 28, 2, key, len(text)) + text for key, text in texts)
    content = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(data)) + data
    segment = b"\xff\xed" + struct.pack(">H", len(content) + 2) + content
    photo = encode(Image.new("RGB", (60, 40)))
    return photo[:2] + segment + photo[2:]


def by_xmp(artist: bytes, rights: bytes) -> bytes:
    text = f"""<rdf:Description><photoshop:City>{PLACE}</photoshop:City>
        <dc:rights><rdf:Alt><rdf:li xml:lang="x-default">%s</rdf:li></rdf:Alt></dc:rights>
        <dc:creator>
            <rdf:Seq><rdf:li>%s</rdf:li></rdf:Seq>
        </dc:creator></rdf:Description>""".encode()
    escaped = [part.replace(b"&", b"&amp;") for part in (rights, artist)]
    return encode(Image.new("RGB", (60, 40)), xmp=text % tuple(escaped))


@pytest.mark.parametrize("telling", [by_exif, by_iptc, by_xmp])
@pytest.mark.parametrize("rights", ["©", "© 2024 Jürgen & 山田", "cc0"])
def test_rights_are_kept_letter_by_letter(
    telling: Callable[[bytes, bytes], bytes], rights: str, tmp_path: Path
) -> None:
    photo = telling("Zoë".encode(), rights.encode())
    WINDOW.save(photo, tmp_path / "cut.jpg", keep_copyright=True)
    kept = Image.open(tmp_path / "cut.jpg").getexif()
    assert kept[ExifTags.Base.Artist].encode("latin-1").decode() == "Zoë"
    assert kept[ExifTags.Base.Copyright].encode("latin-1").decode() == rights
    assert len(kept) == 2


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@given(st.binary(max_size=300))
def test_malformed_metadata_keeps_nobody_from_a_picture(junk: bytes) -> None:
    photo = encode(Image.new("RGB", (60, 40)), exif=b"Exif\0\0MM\0*\0\0\0\x08" + junk, xmp=junk)
    assert isinstance(copyright_of(photo), bytes)


def test_where_nobody_is_named_nobody_is_kept(tmp_path: Path) -> None:
    WINDOW.save(encode(Image.new("RGB", (60, 40))), tmp_path / "cut.jpg", keep_copyright=True)
    assert not Image.open(tmp_path / "cut.jpg").getexif()


def test_sizes_and_qualities(tmp_path: Path, coffee: np.ndarray) -> None:
    crop = gazecrop.Saliency(np.ones((2, 2)), (600, 400)).crop("1:1")
    for suffix in ("jpg", "jpeg", "jpe", "jfif", "JPG", "webp", "avif"):
        sizes = []
        for quality in (30, 90):
            file = tmp_path / f"{quality}.{suffix}"
            crop.save(Image.fromarray(coffee), file, (200, 200), quality=quality)
            assert Image.open(file).size == (200, 200)
            sizes.append(file.stat().st_size)
        assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize(("format", "options"), [("jpeg", {"optimize_coding": True}), ("webp", {})])
@pytest.mark.parametrize("quality", [60, 80, 92])
def test_files_are_as_small_as_those_of_sharp(
    format: str, options: dict[str, bool], quality: int, coffee: np.ndarray
) -> None:
    """Which are libvips' with these options, at the same quality."""
    vips = pytest.importorskip("pyvips")
    save = getattr(vips.Image.new_from_array(coffee), f"{format}save_buffer")
    theirs = save(Q=quality, keep="none", **options)
    ours, _ = gazecrop.encode(Image.fromarray(coffee), format, quality)
    assert len(ours) < 1.01 * len(theirs)


@pytest.mark.parametrize("name", ["cut.exe", "cut", "cut.pdf", "cut.gif", ".jpg"])
def test_a_suffix_that_is_no_formats(name: str, tmp_path: Path) -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="written as avif, jpeg, png, webp, not"):
        WINDOW.save(Image.new("RGB", (60, 40)), tmp_path / name)


@pytest.mark.parametrize("quality", [0, 101, -1, 80.5, "80", "keep"])
def test_a_quality_that_is_none(quality: object) -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="from 1 to 100"):
        gazecrop.encode(Image.new("RGB", (6, 4)), "jpeg", quality)  # type: ignore[arg-type]


def test_pictures_that_are_not_decoded_yet(coffee: np.ndarray) -> None:
    file = encode(coffee, quality=95)
    assert len(gazecrop.encode(Image.open(io.BytesIO(file)), "webp", 50)[0]) < len(file)
    with pytest.raises(gazecrop.InvalidArgument, match="cannot use the picture"):
        gazecrop.encode(Image.open(io.BytesIO(file[:9000])))


def test_more_pixels_than_a_format_holds() -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="cannot write 17000×1 pixels as WEBP"):
        gazecrop.encode(Image.new("RGB", (17_000, 1)), "webp")


@pytest.mark.parametrize("name", ["file/cut.jpg", "cut\0.jpg", "a" * 300 + ".jpg"])
def test_where_no_file_can_be_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(gazecrop.InvalidArgument, match="cannot write"):
        WINDOW.save(Image.new("RGB", (60, 40)), tmp_path / name)


def test_a_file_is_whole_or_what_it_was(tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_text("before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # as a disk that is full
    try:
        with pytest.raises(gazecrop.InvalidArgument, match="File too large"):
            WINDOW.save(Image.new("RGB", (60, 40)), tmp_path / "cut.jpg")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]
