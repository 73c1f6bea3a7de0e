"""The forms in which a photo may be given, and the bytes of its file."""

import inspect
import io
import os
import stat
from typing import Any, BinaryIO, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gazecrop._errors import InvalidArgument

Photos = TypeVar("Photos")
File: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
Photo: TypeAlias = File | Image.Image | NDArray[np.uint8]


def picture(photo: Photo) -> Image.Image | None:
    """The photo as PIL has it, where it came as pixels: a PIL image or a uint8 array.

    Raises:
        InvalidArgument: an array of another kind than [h, w], [h, w, 3] or [h, w, 4].
    """
    if isinstance(photo, Image.Image):
        return photo
    if not isinstance(photo, np.ndarray):
        return None
    if photo.dtype == np.uint8 and photo.size:
        if photo.ndim == 1:  # the bytes of a file, as OpenCV's `imencode` gives them
            return None
        if photo.ndim == 2 or (photo.ndim == 3 and photo.shape[2] in (3, 4)):
            return Image.fromarray(photo)
    raise InvalidArgument(
        "an array of pixels is uint8 [height, width], or with 3 (RGB) or 4 (RGBA) channels, "
        f"not {photo.dtype} {list(photo.shape)}"
    )


def read(photo: Photo) -> bytes:
    """The bytes of a photo's file.

    A file is read from its start, wherever it stands, and stands there again afterwards; one that
    cannot be rewound is read from where it stands.

    Raises:
        InvalidArgument: this is no file of a photo, or it cannot be read.
    """
    if isinstance(photo, bytes):
        return photo
    try:
        if isinstance(photo, str | os.PathLike):
            with open(photo, "rb") as file:  # noqa: PTH123  (a path may be of bytes)
                return file.read()
        if hasattr(photo, "read"):
            return _of_file(photo)
    except InvalidArgument:
        raise
    except Exception as error:  # a file is anything with `read`, and raises what it likes
        raise InvalidArgument(f"cannot read {_name(photo)}: {_reason(error)}") from error
    try:
        return bytes(memoryview(photo))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            "a photo is a path, bytes, an open file, a PIL image or an array of pixels, "
            f"not {type(photo).__name__}"
        ) from error


def in_memory(photo: Photo) -> Photo:
    """The photo as something to use twice: pixels, or the bytes of its file.

    Raises:
        InvalidArgument: as `read` and `picture`.
    """
    return read(photo) if picture(photo) is None else photo


def is_file(photo: object) -> bool:
    """Whether it has a position, and its owner may close it."""
    return hasattr(photo, "read")


def may_stall(photo: Photo) -> bool:
    """Whether to read it may take as long as somebody else likes: a pipe, a body from a network."""
    if isinstance(photo, str | os.PathLike):
        try:
            return not stat.S_ISREG(os.stat(photo).st_mode)  # noqa: PTH116
        except (OSError, ValueError):
            return False
    if type(photo) in (io.FileIO, io.BufferedReader, io.BufferedRandom):
        try:
            return not stat.S_ISREG(os.fstat(photo.fileno()).st_mode)  # type: ignore[union-attr]
        except (OSError, ValueError):
            return True
    return is_file(photo) and type(photo) is not io.BytesIO


def parse_photos(photos: Photos) -> Photos:
    """A collection of photos, or a source of them.

    Raises:
        InvalidArgument: this is something else, perhaps one photo.
    """
    one = isinstance(photos, str | bytes | bytearray | memoryview | os.PathLike | Image.Image)
    pixels = isinstance(photos, np.ndarray) and photos.ndim < 4
    many = hasattr(photos, "__iter__") or hasattr(photos, "__aiter__")
    if one or pixels or not many or is_file(photos):
        raise InvalidArgument(f"photos are a list or another iterable, not {type(photos).__name__}")
    return photos


def _of_file(file: Any) -> bytes:
    if type(file) is io.BytesIO:
        return bytes(file.getvalue())
    if _is_asynchronous(file):
        file = getattr(file, "file", None)  # an UploadFile of Starlette or Litestar has one
        if file is None or _is_asynchronous(file):
            raise InvalidArgument("this file is read by `await`: give `await file.read()`")
    position = _rewind(file)
    try:
        data = file.read()
    finally:
        if position is not None:
            file.seek(position)
    if isinstance(data, str):
        raise InvalidArgument("the photo's file must be opened in binary mode")
    if inspect.iscoroutine(data):
        data.close()
        raise InvalidArgument("this file is read by `await`: give `await file.read()`")
    if not data and position is None:
        raise InvalidArgument(
            "the photo's file is at its end and cannot be rewound: keep its bytes to use them twice"
        )
    return bytes(memoryview(data))


def _is_asynchronous(file: object) -> bool:
    return inspect.iscoroutinefunction(getattr(file, "read", None))


def _rewind(file: Any) -> int | None:
    """Go to the start; where the file stood, or None if it cannot be rewound."""
    try:
        position = file.tell()
        file.seek(0)
    except (AttributeError, OSError, NotImplementedError):  # a pipe, an answer over HTTP
        return None
    return int(position)


def _name(photo: object) -> str:
    if not isinstance(photo, str | os.PathLike):
        return "the photo's file"
    name = str(photo)
    return name if name.isprintable() else repr(name)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
