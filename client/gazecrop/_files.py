"""Files: photos to find, crops to write beside each other."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from gazecrop._errors import InvalidArgument
from gazecrop._save import encode, write
from gazecrop._source import read

PHOTO_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo"),
    *(".png", ".apng", ".webp", ".avif", ".heic", ".heif", ".hif"),
    *(".gif", ".bmp", ".dib", ".tif", ".tiff"),
}
OTHERS_FOLDERS = {"@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX", "lost+found"}  # previews, waste
MAGIC = re.compile(r"[*?[]")  # of glob patterns
STANDARD = "-"  # input or output, where a file's name is expected


@dataclass(frozen=True)
class Source:
    """A photo, and what its crops are called: a path below the output folder, without suffix."""

    path: Path | None  # None is standard input
    name: Path

    def __str__(self) -> str:
        return str(self.path or "standard input")

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            InvalidArgument: it cannot be read.
        """
        if self.path:
            return read(self.path)
        if sys.stdin is None:
            raise InvalidArgument("standard input is closed")
        return sys.stdin.buffer.read()


@dataclass
class Found:
    """What arguments name.

    Attributes:
        sources: the photos, each once, whose names are all different.
        problems: why some arguments, or parts of them, name none.
        passed_over: how many files and folders are no photos, by suffix.
    """

    sources: list[Source] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)


def find_photos(arguments: Sequence[str], out: Path | None = None) -> Found:
    """Photos by name, in folders (with all below them) and by glob pattern.

    Of folders and patterns, what is hidden is passed over, and what other programs keep beside
    photos; so is the output folder, whose crops are no photos to crop again.

    Args:
        out: the output folder.

    Raises:
        InvalidArgument: the output folder is one of those to look for photos in.
    """
    found = Found()
    for argument in arguments:
        before = len(found.sources), len(found.problems)
        found.sources += _expanded(argument, found, _real(out) if out else "")
        if before == (len(found.sources), len(found.problems)):
            known = ", ".join(sorted(PHOTO_SUFFIXES))
            found.problems.append(f"{argument} holds no photo ({known})")
    found.sources = _with_names_apart(_each_once(found.sources))
    return found


def save(picture: Image.Image, target: Path, sources: set[str], exif: bytes = b"") -> Path:
    """Write a picture, as JPEG or with its transparency as PNG, and say where.

    Args:
        sources: real paths of photos, never to be overwritten.

    Raises:
        InvalidArgument: that would overwrite one of the photos, or cannot be written.
    """
    data, suffix = encode(picture, exif=exif)
    target = target.with_name(target.name + suffix)
    if _real(target) in sources:
        raise InvalidArgument(
            f"{target} is one of the photos itself; choose another folder with --out"
        )
    write(data, target)
    return target


def real_paths(sources: Iterable[Source]) -> set[str]:
    """Where the photos lie, whatever links lead there."""
    return {_real(source.path) for source in sources if source.path}


def _expanded(argument: str, found: Found, out: str) -> Iterator[Source]:
    path = Path(argument)
    if argument == STANDARD:
        return iter([Source(None, Path("stdin"))])
    if path.is_dir() and argument:
        return _of_folder(path, Path(), found, out)
    if MAGIC.search(argument) and "\0" not in argument and not os.path.lexists(path):
        return _of_pattern(path, found, out)
    return iter([Source(path, Path(path.stem))] if argument else [])


def _of_folder(root: Path, below: Path, found: Found, out: str) -> Iterator[Source]:
    """The photos in a folder below a root, and in all folders below it."""

    def tell(error: OSError) -> None:
        found.problems.append(f"cannot read {error.filename}: {error.strerror}")

    _check_out(root, out)
    for folder, folders, files in os.walk(root / below, onerror=tell):
        here = Path(folder)
        found.passed_over["hidden"] += sum(map(_is_hidden, [*folders, *files]))
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        folders[:] = [name for name in folders if _real(here / name) != out]
        found.passed_over["links to folders"] += sum((here / name).is_symlink() for name in folders)
        for name in sorted(files):
            if not _is_hidden(name):
                yield from _of_file(root, (here / name).relative_to(root), found)


def _of_pattern(pattern: Path, found: Found, out: str) -> Iterator[Source]:
    """The photos that a pattern matches. What exists of it is no pattern, whatever its brackets.

    Where nothing matches, the other brackets are taken for part of a name, too.
    """
    root = next(parent for parent in pattern.parents if parent.is_dir())
    _check_out(root, out)
    rest = str(pattern.relative_to(root))
    within = out and Path(_real(root)) in Path(out).parents
    matches = _matches(root, rest) or _matches(root, rest.replace("[", "[[]"))
    for match in matches:
        real = Path(_real(root / match))
        if within and Path(out) in (real, *real.parents):
            continue
        if not OTHERS_FOLDERS.isdisjoint(match.parts):
            found.passed_over["hidden"] += 1
        elif not (root / match).is_dir():
            yield from _of_file(root, match, found)
        elif "**" not in rest:
            yield from _of_folder(root, match, found, out)


def _check_out(root: Path, out: str) -> None:
    if _real(root) == out:
        raise InvalidArgument(
            f"crops in {root} itself would be photos to crop the next time; "
            "choose another folder with --out"
        )


def _matches(root: Path, pattern: str) -> list[Path]:
    found = glob.glob(pattern, root_dir=root, recursive=True)  # noqa: PTH207  (as shells: not what is hidden)
    return sorted(map(Path, found))


def _of_file(root: Path, name: Path, found: Found) -> Iterator[Source]:
    path, suffix = root / name, name.suffix.lower()
    if suffix not in PHOTO_SUFFIXES:
        found.passed_over[suffix or "without a suffix"] += 1
    elif path.exists() and not path.is_file():
        found.passed_over["no files"] += 1  # to read a pipe may take for ever
    else:
        yield Source(path, name.with_suffix(""))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in OTHERS_FOLDERS


def _real(path: Path) -> str:
    try:
        return os.path.realpath(path)
    except ValueError:  # a NUL in its name: no file has one
        return str(path)


def _absolute(path: Path) -> str:
    return os.path.normpath(path.absolute())


def _each_once(sources: Iterable[Source]) -> list[Source]:
    """Without those that come again: by the same path, or by another and under the same name."""
    once: dict[object, Source] = {}
    named = set[tuple[str, Path]]()
    for source in sources:
        path = str(source) if source.path is None else _absolute(source.path)
        by_name = (path if source.path is None else _real(source.path), source.name)
        if path not in once and by_name not in named:
            once[path] = source
            named.add(by_name)
    return list(once.values())


def _with_names_apart(sources: list[Source]) -> list[Source]:
    """The photos with names that differ: where they would not, with suffix, or folders as well."""
    longer = [_names(source) for source in sources]
    names = [next(choice) for choice in longer]
    while clashing := {name for name, count in Counter(names).items() if count > 1}:
        lengthened = False
        for index, name in enumerate(names):
            if name in clashing and (further := next(longer[index], None)):
                names[index], lengthened = further, True
        if not lengthened:
            break
    taken = set[Path]()
    for index, name in enumerate(names):
        number = 2
        while names[index] in taken:
            names[index], number = name.with_name(f"{name.name}-{number}"), number + 1
        taken.add(names[index])
    return [Source(source.path, name) for source, name in zip(sources, names, strict=True)]


def _names(source: Source) -> Iterator[Path]:
    """What crops of a photo may be called, shortest first."""
    yield source.name
    if source.path is None:
        return
    whole = source.name.with_name(source.path.name)
    yield whole
    folders = Path(_absolute(source.path)).parts[1 : -len(whole.parts)]
    for start in range(len(folders) - 1, -1, -1):
        yield Path(*folders[start:]) / whole
