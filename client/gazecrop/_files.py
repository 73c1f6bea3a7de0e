"""Files: photos to find, crops to write beside each other."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from gazecrop._errors import InvalidArgument
from gazecrop._save import encode, write

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
MAGIC = re.compile(r"[*?[]")  # of glob patterns
STANDARD = "-"  # input or output, where a file's name is expected


@dataclass(frozen=True)
class Source:
    """A photo, and what its crops are called: a path below the output folder, without suffix."""

    path: Path | None  # None is standard input
    name: Path

    def __str__(self) -> str:
        return str(self.path or "standard input")

    def read(self) -> bytes | Path:
        return self.path or sys.stdin.buffer.read()


def find_photos(arguments: Sequence[str]) -> list[Source]:
    """Photos by name, in folders (with all below them) and by glob pattern.

    Raises:
        InvalidArgument: a folder or pattern holds no photo, or the crops of two photos would
            share a name.
    """
    sources = [source for argument in arguments for source in _expanded(argument)]
    names: dict[Path, Source] = {}
    for source in sources:
        if (other := names.setdefault(source.name, source)) is not source:
            raise InvalidArgument(f"{other} and {source} would share the crops' names")
    return sources


def save(picture: Image.Image, target: Path, sources: set[Path], exif: bytes = b"") -> Path:
    """Write a picture, as JPEG or with its transparency as PNG, and say where.

    Raises:
        InvalidArgument: that would overwrite one of the photos, or cannot be written.
    """
    data, suffix = encode(picture, exif=exif)
    target = target.with_name(target.name + suffix)
    if target.resolve() in sources:
        raise InvalidArgument(
            f"{target} is one of the photos itself; choose another folder with --out"
        )
    write(data, target)
    return target


def _expanded(argument: str) -> list[Source]:
    path = Path(argument)
    if argument == STANDARD:
        return [Source(None, Path("stdin"))]
    if path.is_dir():
        return _below(path, "**/*", argument)
    if MAGIC.search(argument) and not path.exists():
        root = next(parent for parent in path.parents if not MAGIC.search(str(parent)))
        return _below(root, str(path.relative_to(root)), argument)
    return [Source(path, Path(path.stem))]


def _below(root: Path, pattern: str, argument: str) -> list[Source]:
    found = sorted(path for path in root.glob(pattern) if path.suffix.lower() in PHOTO_SUFFIXES)
    photos = [path for path in found if path.is_file()]
    if not photos:
        raise InvalidArgument(f"{argument} holds no photo ({', '.join(sorted(PHOTO_SUFFIXES))})")
    return [Source(path, path.relative_to(root).with_suffix("")) for path in photos]
