"""Who made a photo, and whose it is: the metadata that may go on with it."""

import io

from PIL import ExifTags, Image

from gazecrop._source import Photo, picture, read

KEPT = (ExifTags.Base.Artist, ExifTags.Base.Copyright)


def copyright_of(photo: Photo) -> bytes:
    """EXIF with the photo's artist and copyright alone; empty where it tells neither.

    Raises:
        InvalidArgument: this is no photo, or its file cannot be read.
    """
    image = picture(photo)
    file = io.BytesIO(b"" if image else read(photo))
    try:
        image = image or Image.open(file)
        told = image.getexif()
        kept = Image.Exif()
        kept.update({tag: told[tag] for tag in KEPT if isinstance(told.get(tag), str)})
        return kept.tobytes() if kept else b""
    except Exception:  # malformed metadata is no reason to withhold a picture; of many kinds
        return b""
