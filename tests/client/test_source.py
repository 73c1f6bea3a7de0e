"""What a photo may be given as, and what files do that others have read from."""

import asyncio
import io
import mmap
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, BinaryIO

import gazecrop
import numpy as np
import pytest
from gazecrop._photo import decoded, upload
from gazecrop._source import read
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import encode

DATA = encode(Image.linear_gradient("L"))


def in_memory(path: Path) -> BinaryIO:
    return io.BytesIO(path.read_bytes())


def spooled(path: Path) -> BinaryIO:
    file: Any = tempfile.SpooledTemporaryFile(2**20)  # noqa: SIM115
    file.write(path.read_bytes())
    return file


def just_written(path: Path) -> BinaryIO:
    file: Any = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(path.read_bytes())  # and not flushed
    return file


def zipped(path: Path) -> BinaryIO:
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        archive.write(path, "photo")
    return zipfile.ZipFile(path.with_suffix(".zip")).open("photo")  # type: ignore[return-value]


def mapped(path: Path) -> Any:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


FILES: list[Callable[[Path], BinaryIO]] = [
    in_memory,
    spooled,
    just_written,
    zipped,
    mapped,
    lambda path: path.open("rb"),
    lambda path: path.open("rb", buffering=0),
    lambda path: path.open("r+b"),
]


@pytest.mark.parametrize("opened", FILES)
@pytest.mark.parametrize("position", [0, 3, len(DATA)])
def test_a_file_is_read_from_its_start_and_stands_where_it_stood(
    tmp_path: Path, opened: Callable[[Path], BinaryIO], position: int
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(DATA)
    with opened(path) as file:
        file.seek(position)
        assert read(file) == read(file) == DATA
        assert file.tell() == position
        assert decoded(file)[1] == (256, 256)


@pytest.mark.parametrize(
    "photo", [DATA, bytearray(DATA), memoryview(DATA), np.frombuffer(DATA, np.uint8)]
)
def test_bytes_of_every_kind(photo: Any) -> None:
    assert read(photo) == DATA


@pytest.mark.parametrize("shape", [(90, 160), (90, 160, 3), (90, 160, 4), (1, 1)])
def test_an_array_of_pixels_is_a_picture(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert upload(pixels, None).size == shape[1::-1]
    assert np.array_equal(np.asarray(decoded(pixels)[0]), pixels)


@pytest.mark.parametrize(
    "array",
    [np.zeros((9, 16, 3)), np.zeros((9, 16, 2), np.uint8), np.zeros((0, 3), np.uint8), np.ones(9)],
)
def test_other_arrays_are_refused(array: NDArray[Any]) -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="uint8"):
        upload(array, None)


def test_what_cannot_be_rewound_is_read_once_and_then_says_so(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(DATA)
    with urllib.request.urlopen(path.as_uri()) as response:
        pipe = io.BufferedReader(Pipe(response.read()))
    assert read(pipe) == DATA
    with pytest.raises(gazecrop.InvalidArgument, match="keep its bytes"):
        read(pipe)


class Pipe(io.RawIOBase):
    """Bytes that come once, as from another process."""

    def __init__(self, data: bytes) -> None:
        self.data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self.data.readinto(buffer)


class Asynchronous:
    async def read(self) -> bytes:
        return DATA


class Hidden:
    def read(self) -> Coroutine[Any, Any, bytes]:
        return Asynchronous().read()


class Uploaded(Asynchronous):
    file = io.BytesIO(DATA)


class Broken(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise RuntimeError("connection reset by the store")


def test_an_asynchronous_file_says_how_it_is_read(recwarn: pytest.WarningsRecorder) -> None:
    for file in (Asynchronous(), Hidden()):
        with pytest.raises(gazecrop.InvalidArgument, match=r"give `await file\.read"):
            read(file)  # type: ignore[arg-type]
    assert read(Uploaded()) == DATA  # type: ignore[arg-type]
    assert not recwarn.list


def closed() -> BinaryIO:
    file = io.BufferedReader(io.BytesIO(DATA))  # type: ignore[type-var]
    file.close()
    return file


def closed_picture() -> Image.Image:
    picture = Image.open(io.BytesIO(DATA))
    picture.close()
    return picture


def released() -> memoryview:
    view = memoryview(DATA)
    view.release()
    return view


UNUSABLE: dict[str, Callable[[], Any]] = {
    "a closed file": closed,
    "a file that fails": lambda: Broken(DATA),
    "a text file": lambda: io.StringIO("text"),
    "a file to write": lambda: tempfile.NamedTemporaryFile("ab"),  # noqa: SIM115
    "a name with NUL": lambda: "a\0b.jpg",
    "a name that no file has": lambda: "no/such/\udce9.jpg",
    "a folder": lambda: Path(),
    "a truncated picture": lambda: Image.open(io.BytesIO(DATA[: len(DATA) // 2])),
    "a closed picture": closed_picture,
    "a picture without pixels": lambda: Image.new("RGB", (0, 5)),
    "a released view": released,
    "a number": lambda: 3,
    "nothing": lambda: None,
    "a list": lambda: [DATA],
}


@pytest.mark.parametrize("make", UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_is_refused_in_its_own_place(
    client: gazecrop.Client, grpc: str, make: Callable[[], Any]
) -> None:
    before, refused, after = client.predict_many([DATA, make(), DATA])
    assert isinstance(refused, gazecrop.InvalidArgument), refused
    assert isinstance(before, gazecrop.Saliency)
    assert isinstance(after, gazecrop.Saliency)

    async def predict() -> None:
        async with gazecrop.AsyncClient(grpc) as client:
            with pytest.raises(gazecrop.InvalidArgument):
                await client.predict(make())

    asyncio.run(predict())
    crop = gazecrop.Saliency(np.ones((4, 4)), (256, 256)).crop("1:1")
    with pytest.raises(gazecrop.InvalidArgument):
        crop.apply(make())


def test_an_open_file_is_cropped_and_then_cut(client: gazecrop.Client, photo: Path) -> None:
    with photo.open("rb") as file:
        (crop,) = client.crop(file, ["1:1"])
        assert crop.apply(file, (100, 100)).size == (100, 100)


MODES = ("1", "L", "P", "LA", "La", "PA", "F", "I", "HSV", "LAB", "YCbCr", "RGBX", "RGBa")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (1500, 1)])
def test_the_smallest_pictures_of_every_mode(
    client: gazecrop.Client, mode: str, size: tuple[int, int]
) -> None:
    assert client.predict(Image.new(mode, size)).size == size
